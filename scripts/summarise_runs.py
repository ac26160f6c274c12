"""Put the figures of several runs side by side: one row per run, baselines beside the runs they belong to."""

from __future__ import annotations

from pathlib import Path

from biosae import artefacts, cli
from biosae.summary import build_summary


def main() -> None:
    """Parse, gather, write."""
    parser = cli.program(__doc__)
    parser.add_argument(
        "--runs",
        type=cli.existing_path,
        nargs="+",
        required=True,
        help="run folders results/{layer}/{run}; each holds nodes.tsv, evaluation.json and, if the truth is "
        "known, recovery.json",
    )
    parser.add_argument(
        "--stability",
        type=cli.existing_path,
        nargs="+",
        default=[],
        help="stability.tsv of each run that was compared with other seeds",
    )
    parser.add_argument("--output", type=Path, required=True, help="summary.tsv to write")
    arguments = parser.parse_args()
    summary = build_summary(arguments.runs, arguments.stability)
    inputs = [run / name for run in arguments.runs for name in ("nodes.tsv", "evaluation.json")]
    inputs += arguments.stability
    made_by = artefacts.provenance("summarise_runs.py", {}, inputs)
    artefacts.write_table(summary, arguments.output, "summary", made_by)


if __name__ == "__main__":
    cli.run(main)
