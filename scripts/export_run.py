"""Write a run in other programs' formats, beside its atlas."""

from __future__ import annotations

from pathlib import Path

from biosae import cli

DESCRIPTION = """A finished run in other programs' formats.

Writes into the output folder seqlets.bb (bigBed, BED9), motifs.h5 (the layout of tfmodisco-lite),
nodes.parquet, nodes.h5ad, biosae_mqc.tsv and training_mqc.yaml (for MultiQC) and, last, exports.tsv:
what each holds, and what was left out and why.
"""


def main() -> None:
    """Parse, read the run, write its exports."""
    parser = cli.program(DESCRIPTION)
    add = parser.add_argument
    add(
        "--run",
        type=cli.existing_path,
        required=True,
        help="run folder, finished up to nodes.tsv and umap.tsv",
    )
    add("--genome", type=cli.existing_path, required=True, help="genome FASTA that the seqlets were cut from")
    add("--output", type=Path, help="folder to write into (left out: RUN/exports)")
    add("--seqlets-per-motif", type=int, default=100, help="seqlets of each motif in motifs.h5, at most")
    add("--strand", choices=("given", "both"), default="given", help="as motifs were discovered")
    add("--hit-p", type=float, default=1e-4, help="largest p of a motif hit, per place and strand")
    add("--site-share", type=float, default=0.9, help="share of a motif's own sites that are hits, at most")
    arguments = parser.parse_args()

    from biosae.exports.writer import Settings, export_run

    settings = Settings(arguments.seqlets_per_motif, arguments.strand, arguments.hit_p, arguments.site_share)
    output = arguments.output or arguments.run / "exports"
    export_run(arguments.run, arguments.genome, output, settings)


if __name__ == "__main__":
    cli.run(main)
