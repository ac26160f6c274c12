"""Put the figures of several runs side by side: one row per run, nulls beside; with a page and a picture."""

from __future__ import annotations

from pathlib import Path

from biosae import artefacts, cli


def main() -> None:
    """Parse, gather, write."""
    parser = cli.program(__doc__)
    parser.add_argument(
        "--runs",
        type=cli.existing_path,
        nargs="+",
        required=True,
        help="run folders results/{layer}/{run}; each holds nodes.tsv, null_counts.tsv, evaluation.json, "
        "checkpoint/config.json and, if the truth is known, recovery.json",
    )
    parser.add_argument(
        "--stability",
        type=cli.existing_path,
        nargs="+",
        default=[],
        help="stability.tsv of each run that was compared with other seeds",
    )
    parser.add_argument(
        "--scoreboard", type=cli.existing_path, required=True, help="scoreboard.tsv of these runs"
    )
    parser.add_argument("--output", type=Path, required=True, help="folder of the files to write")
    arguments = parser.parse_args()
    from biosae.figures import save_figure
    from biosae.scoreboard.differences import with_differences
    from biosae.scoreboard.page import render
    from biosae.scoreboard.picture import scoreboard_figure
    from biosae.summary import build_summary

    summary = build_summary(arguments.runs, arguments.stability)
    scoreboard = artefacts.read_table(arguments.scoreboard, "scoreboard")
    inputs = [run / name for run in arguments.runs for name in ("nodes.tsv", "evaluation.json")]
    made_by = artefacts.provenance(
        "summarise_runs.py", {}, [*inputs, *arguments.stability, arguments.scoreboard]
    )
    svg, _ = save_figure(scoreboard_figure(summary, scoreboard), arguments.output, "scoreboard")
    artefacts.write_text(arguments.output / "summary.html", render(summary, scoreboard, svg.read_bytes()))
    summary = with_differences(summary, scoreboard)
    artefacts.write_table(summary, arguments.output / "summary.tsv", "summary", made_by)


if __name__ == "__main__":
    cli.run(main)
