"""Each SAE run beside the best of its nulls: differences at matched numbers of nodes, with intervals."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from biosae import cli


def main() -> None:
    """Parse, resample, write."""
    parser = cli.program(__doc__)
    add = parser.add_argument
    add(
        "--runs",
        type=cli.existing_path,
        nargs="+",
        required=True,
        help="run folders results/{layer}/{run}, of one layer",
    )
    add(
        "--compare",
        nargs="+",
        action="append",
        default=[],
        metavar=("SAE", "NULL"),
        help="an SAE run and the runs it is compared with; once for each SAE",
    )
    add("--kinds", nargs="*", default=[], help="kinds of null sets that the runs were calibrated with")
    add("--significance", type=float, default=0.05, help="q below which a motif counts")
    add("--locus-bp", type=int, default=100_000, help="length of a block that is drawn as one, bp")
    add("--replicates", type=int, default=500, help="draws of as many blocks as there are")
    cli.add_seed(parser)
    add("--output", type=Path, required=True, help="scoreboard.tsv to write")
    args = parser.parse_args()

    from biosae.artefacts import provenance, write_table
    from biosae.motifs.calibration import checked_kinds
    from biosae.scoreboard import table

    settings = table.Settings(args.locus_bp, args.replicates, args.seed, args.significance)
    runs = table.checked_runs(args.runs)
    nulls = table.checked_nulls({sae: others for sae, *others in args.compare}, list(runs))
    scores = table.score_runs(runs, checked_kinds(args.kinds), settings)
    inputs = [path for run in args.runs for path in table.files_read(run, args.kinds)]
    made_by = provenance("score_runs", {**asdict(settings), "compare": nulls}, inputs, args.seed)
    scoreboard = table.build_scoreboard(args.runs[0].resolve().parent.name, scores, nulls)
    write_table(scoreboard, args.output, "scoreboard", made_by)


if __name__ == "__main__":
    cli.run(main)
