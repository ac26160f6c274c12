"""Write an activation store anew so that it is read fast; run once for a store that is compressed with gzip,
chunked badly or holds channels before positions. The old store is only read. A run that was stopped goes on
with the first file that is not finished."""

from __future__ import annotations

from pathlib import Path

from biosae import cli


def main() -> None:
    """Parse, repack."""
    parser = cli.program(__doc__)
    parser.add_argument("--activations", type=cli.existing_path, required=True, help="folder of the store")
    parser.add_argument("--output", type=Path, required=True, help="folder of the new store")
    parser.add_argument(
        "--layout",
        choices=("contiguous", "chunked"),
        default="contiguous",
        help="contiguous is read fastest; chunked has chunks of 1,024 positions",
    )
    parser.add_argument(
        "--dtype",
        choices=("keep", "float16", "bfloat16", "float32"),
        default="keep",
        help="type of the numbers; one that float16 cannot hold (beyond 65504) is refused",
    )
    parser.add_argument(
        "--compression",
        choices=("none", "lz4"),
        default="none",
        help="lz4 needs --layout chunked and the package hdf5plugin; activations hardly compress",
    )
    parser.add_argument(
        "--channels-first",
        action="store_true",
        help="the store's axes are (sequence, channel, position), not (sequence, position, channel)",
    )
    arguments = parser.parse_args()

    from biosae.repacking import Target, repack_store

    target = Target(arguments.layout, arguments.dtype, arguments.compression)
    repack_store(arguments.activations, arguments.output, target, arguments.channels_first)


if __name__ == "__main__":
    cli.run(main)
