"""Draw chosen nodes along the genome: a bigWig each, in a folder that is a UCSC hub.

The folder also holds a session for IGV.
"""

from __future__ import annotations

from pathlib import Path

from biosae import cli


def main() -> None:
    """Parse, encode, write the tracks and the hub."""
    parser = cli.program(__doc__)
    parser.add_argument("--run", type=cli.existing_path, required=True, help="folder of the run")
    parser.add_argument("--activations", type=cli.existing_path, required=True, help="folder of the store")
    parser.add_argument("--genome", type=cli.existing_path, required=True, help="genome FASTA")
    parser.add_argument("--output", type=Path, required=True, help="folder of the hub")
    parser.add_argument("--assembly", required=True, help="name of the genome, as UCSC or IGV knows it: hg38")
    parser.add_argument("--top-nodes", type=int, default=0, help="kept nodes that are drawn, by rank")
    parser.add_argument("--nodes", type=int, nargs="*", default=[], help="further kept nodes, by number")
    parser.add_argument("--email", default="nobody@example.org", help="whom readers of the hub may ask")
    cli.add_pad(parser)
    cli.add_device(parser)
    cli.add_threads(parser)
    arguments = parser.parse_args()

    import torch

    from biosae.track_run import write_run_tracks

    torch.set_num_threads(arguments.threads)
    write_run_tracks(
        arguments.run,
        arguments.activations,
        arguments.genome,
        arguments.output,
        choice=(arguments.top_nodes, arguments.nodes),
        hub={"assembly": arguments.assembly, "email": arguments.email},
        pad_bp=arguments.pad_bp,
        device=arguments.device,
    )


if __name__ == "__main__":
    cli.run(main)
