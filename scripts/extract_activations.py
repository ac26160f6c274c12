"""Extract the activations of a planned store: windows of the genome through the model up to one layer.

Takes the same model as plan_extraction.py did. Writes the files of the plan that are not there yet, or one of
them (--file). An extraction that was stopped goes on with the same command.
"""

from __future__ import annotations

from pathlib import Path

from biosae import cli
from biosae.hosts.options import add_host_options, host_spec


def main() -> None:
    """Parse, load the model, write the files."""
    parser = cli.program(__doc__)
    parser.add_argument("--output", type=Path, required=True, help="folder of the planned store")
    parser.add_argument("--genome", type=cli.existing_path, required=True, help="genome FASTA")
    parser.add_argument("--file", type=int, help="number of one file; None: all")
    parser.add_argument(
        "--piece-bp",
        type=int,
        default=32_768,
        help="bases through the model at once: bounds memory; shorter windows go together",
    )
    add_host_options(parser)
    cli.add_threads(parser)
    arguments = parser.parse_args()

    import torch

    from biosae.extraction import extract_files
    from biosae.genome import Genome
    from biosae.hosts.loading import load_host

    torch.set_num_threads(arguments.threads)
    host = load_host(host_spec(arguments))
    numbers = None if arguments.file is None else [arguments.file]
    extract_files(host, Genome(arguments.genome), arguments.output, numbers, arguments.piece_bp)


if __name__ == "__main__":
    cli.run(main)
