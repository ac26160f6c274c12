"""Pictures of the self-test, SVG and PNG: recovery against difficulty, and every other figure likewise."""

from __future__ import annotations

from pathlib import Path

from biosae import artefacts, cli


def main() -> None:
    """Parse, read, draw."""
    parser = cli.program(__doc__)
    parser.add_argument(
        "--tables", type=cli.existing_path, required=True, help="folder of the tables that join_rungs wrote"
    )
    parser.add_argument(
        "--output", type=Path, required=True, help="folder for ladder.{svg,png} and ladder_figures.{svg,png}"
    )
    arguments = parser.parse_args()

    from biosae.figures import save_figure
    from biosae.ladder.figure import figures_grid, ladder_figure

    names = ("ladder", "ladder_axes", "ladder_differences")
    ladder, axes, differences = (
        artefacts.read_table(arguments.tables / f"{name}.tsv", name) for name in names
    )
    save_figure(ladder_figure(axes, differences), arguments.output, "ladder")
    save_figure(figures_grid(ladder, axes), arguments.output, "ladder_figures")


if __name__ == "__main__":
    cli.run(main)
