"""Measure how specific each kept node is for its best motif, and which node reads the motif's other strand.

The motif is looked for in the node's seqlets and in a sample of the store, blocks of neighbouring positions
spread evenly over it, which are encoded anew.
"""

from __future__ import annotations

from pathlib import Path

from biosae import cli


def main() -> None:
    """Parse, sample, scan, encode, write ``specificity.tsv``."""
    parser = cli.program(__doc__)
    parser.add_argument("--run", type=cli.existing_path, required=True, help="run folder")
    parser.add_argument(
        "--activations", type=cli.existing_path, required=True, help="the store that was encoded"
    )
    parser.add_argument("--genome", type=cli.existing_path, required=True, help="genome FASTA")
    parser.add_argument(
        "--sample-positions", type=int, default=200_000, help="positions sampled of the store"
    )
    parser.add_argument("--hit-p", type=float, default=1e-4, help="largest p of a hit, per place and strand")
    parser.add_argument(
        "--site-share", type=float, default=0.9, help="share of a motif's own sites that are hits, at most"
    )
    parser.add_argument("--min-hits", type=int, default=20, help="fewest hits for a figure")
    parser.add_argument(
        "--strand-ratio", type=float, default=0.5, help="excess on reverse hits over own ones"
    )
    parser.add_argument(
        "--strand", choices=("given", "both"), default="given", help="as motifs were discovered"
    )
    parser.add_argument("--output", type=Path, required=True, help="specificity.tsv to write")
    cli.add_pad(parser)
    cli.add_device(parser)
    cli.add_threads(parser)
    args = parser.parse_args()

    from biosae.artefacts import provenance, write_table
    from biosae.specificity import Settings
    from biosae.specificity_run import RUN_INPUTS, measure_run

    settings = Settings(args.hit_p, args.site_share, args.min_hits, args.strand, args.strand_ratio)
    sampling = {"sample_positions": args.sample_positions, "pad_bp": args.pad_bp}
    where = {"device": args.device, "threads": args.threads}
    table, counts = measure_run(args.run, args.activations, args.genome, settings, **sampling, **where)
    inputs = [args.run / name for name in (*RUN_INPUTS, "checkpoint/model.safetensors")] + [args.genome]
    made_by = provenance("measure_specificity.py", {**vars(settings), **sampling}, inputs)
    write_table(table, args.output, "specificity", {**made_by, "counts": counts})


if __name__ == "__main__":
    cli.run(main)
