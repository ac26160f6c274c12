"""Merge the part files of encode_activations.py: top activations (Parquet) and node statistics (TSV).

The parts must hold every sequence of the store once; their number, order and sizes change no byte.
With --joined they become one larger part file instead, to be merged later.
"""

from __future__ import annotations

from pathlib import Path

from biosae import cli


def main() -> None:
    """Parse, check, merge, write ``top_activations.parquet`` and ``node_stats.tsv``, or a part file."""
    parser = cli.program(__doc__)
    parser.add_argument("--parts", type=cli.existing_path, nargs="+", required=True, help="part files")
    target = parser.add_mutually_exclusive_group(required=True)
    target.add_argument("--output", type=Path, help="RUN folder to write into")
    target.add_argument("--joined", type=Path, help="part file to write, of some of the parts")
    arguments = parser.parse_args()

    from biosae.encoded_parts import EncodedParts
    from biosae.encoding import write_encoded

    if arguments.joined:
        EncodedParts(arguments.parts).write(arguments.joined)
    else:
        write_encoded(arguments.parts, arguments.output)


if __name__ == "__main__":
    cli.run(main)
