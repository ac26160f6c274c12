"""Plan the extraction of an activation store: intervals.tsv and store.json, written before any file.

Checks all that an extraction needs: weights that fit the model, the layer and its geometry by gradient, the
intervals against genome, stride and receptive field. extract_activations.py then writes the files.
"""

from __future__ import annotations

from pathlib import Path

from biosae import cli
from biosae.hosts.options import add_host_options, host_spec


def main() -> None:
    """Parse, check, write the plan."""
    parser = cli.program(__doc__)
    parser.add_argument("--intervals", type=cli.existing_path, required=True, help="BED of intervals")
    parser.add_argument("--genome", type=cli.existing_path, required=True, help="genome FASTA")
    parser.add_argument("--output", type=Path, required=True, help="folder of the store")
    add_host_options(parser)
    parser.add_argument("--context-bp", type=int, default=0, help="bases seen on each side of an interval")
    parser.add_argument("--length-bp", type=int, help="length of all intervals, about their middles")
    parser.add_argument("--keep", choices=("core", "window"), default="core", help="positions that are kept")
    parser.add_argument("--strand", choices=("forward", "reverse", "both"), default="forward", help="read")
    parser.add_argument("--dtype", choices=("float16", "float32"), default="float16", help="of the store")
    parser.add_argument("--files", type=int, default=1, help="files of the store")
    parser.add_argument("--subsample-share", type=float, help="share of the positions, in blocks; None: all")
    parser.add_argument("--subsample-block", type=int, default=256, help="neighbouring positions a block")
    parser.add_argument("--assembly", help="name of the genome, for store.json")
    cli.add_seed(parser)
    arguments = parser.parse_args()

    from dataclasses import fields

    from biosae.extraction_plan import Extraction, asked_of
    from biosae.extraction_store import plan_store

    asked = asked_of({rule.name: getattr(arguments, rule.name) for rule in fields(Extraction)})
    plan_store(host_spec(arguments), arguments.intervals, arguments.genome, arguments.output, asked)


if __name__ == "__main__":
    cli.run(main)
