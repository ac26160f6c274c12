"""Collect the examples that the atlas shows of each kept node: its strongest seqlets, windows of three lower
bands of activation, positions drawn evenly from those where it is active, and near misses of its best motif.

The store is read again where these lie, for the activation at each base.
"""

from __future__ import annotations

from pathlib import Path

from biosae import cli


def main() -> None:
    """Parse, choose, encode, write ``examples.h5``."""
    parser = cli.program(__doc__)
    add = parser.add_argument
    add("--run", type=cli.existing_path, required=True, help="run folder")
    add("--activations", type=cli.existing_path, required=True, help="the store that was encoded")
    add("--genome", type=cli.existing_path, required=True, help="genome FASTA")
    add("--top-examples", type=int, default=100, help="strongest seqlets of a node")
    add("--band-examples", type=int, default=20, help="examples of a node and any other band")
    add("--sample-positions", type=int, default=200_000, help="positions sampled, as in measure_specificity")
    add("--hit-p", type=float, default=1e-4, help="largest p of a hit, as in measure_specificity")
    add("--site-share", type=float, default=0.9, help="as in measure_specificity")
    add("--strand", choices=("given", "both"), default="given", help="as motifs were discovered")
    add("--output", type=Path, required=True, help="examples.h5 to write")
    cli.add_pad(parser)
    cli.add_device(parser)
    cli.add_threads(parser)
    args = parser.parse_args()

    from biosae.artefacts import provenance
    from biosae.examples import Settings
    from biosae.examples_run import RUN_INPUTS, collect_examples

    hit = args.sample_positions, args.hit_p, args.site_share, args.strand
    settings = Settings(args.top_examples, args.band_examples, *hit)
    inputs = [args.run / name for name in (*RUN_INPUTS, "checkpoint/model.safetensors")] + [args.genome]
    made_by = provenance("collect_examples.py", {**vars(settings), "pad_bp": args.pad_bp}, inputs)
    where = {"pad_bp": args.pad_bp, "device": args.device, "threads": args.threads}
    collect_examples(args.run, args.activations, args.genome, settings, args.output, made_by, **where)


if __name__ == "__main__":
    cli.run(main)
