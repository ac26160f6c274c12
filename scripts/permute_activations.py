"""Write a store whose positions mean nothing: each channel of each sequence permuted on its own.

A null: an SAE that is trained and encoded on it finds no feature of the network. Takes whole sequences,
spread evenly over the store. The new store holds one file and intervals.tsv.
"""

from __future__ import annotations

from pathlib import Path

from biosae import cli


def main() -> None:
    """Parse, permute, write the store."""
    parser = cli.program(__doc__)
    parser.add_argument("--activations", type=cli.existing_path, required=True, help="folder of the store")
    parser.add_argument("--output", type=Path, required=True, help="folder of the new store")
    parser.add_argument(
        "--positions", type=int, default=2_000_000, help="sequences are taken until so many are reached"
    )
    parser.add_argument("--least-sequences", type=int, default=2, help="sequences taken at least")
    cli.add_seed(parser)
    cli.add_pad(parser)
    arguments = parser.parse_args()

    from biosae.activations import ActivationStore
    from biosae.permuting import permute_store

    store = ActivationStore.open(arguments.activations, arguments.pad_bp)
    permute_store(store, arguments.output, arguments.positions, arguments.seed, arguments.least_sequences)


if __name__ == "__main__":
    cli.run(main)
