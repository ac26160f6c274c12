"""Fidelity of all runs of a layer in one table and one figure, SAEs beside their nulls."""

from __future__ import annotations

from pathlib import Path

from biosae import cli


def main() -> None:
    """Parse, join, draw."""
    parser = cli.program(__doc__)
    add = parser.add_argument
    add(
        "--runs",
        type=cli.existing_path,
        nargs="+",
        required=True,
        help="run folders with fidelity_groups.tsv",
    )
    add(
        "--output",
        type=Path,
        required=True,
        help="fidelity.tsv to write; the figure lies in figures/ beside it",
    )
    arguments = parser.parse_args()

    import pandas as pd

    from biosae.artefacts import provenance, read_table, write_table
    from biosae.causal.fidelity_figure import draw_fidelity
    from biosae.figures import save_figure

    paths = [run / "fidelity_groups.tsv" for run in arguments.runs]
    parts = []
    for path in paths:
        table = read_table(path, "fidelity_groups")
        table.insert(0, "run", path.resolve().parent.name)
        parts.append(table)
    joined = pd.concat(parts, ignore_index=True)
    save_figure(draw_fidelity(joined), arguments.output.parent / "figures", "fidelity")
    write_table(joined, arguments.output, "fidelity_runs", provenance("compare_fidelity.py", {}, paths))


if __name__ == "__main__":
    cli.run(main)
