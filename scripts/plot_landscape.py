"""Figures of the landscape of a run."""

from __future__ import annotations

from pathlib import Path

from biosae import cli

DESCRIPTION = """umap, jaccard and overlaps as SVG and PNG, from the tables of the same names in RUN."""


def main() -> None:
    """Parse, read, draw."""
    parser = cli.program(DESCRIPTION)
    add = parser.add_argument
    add("--run", type=cli.existing_path, required=True, help="folder of the run")
    add("--output", type=Path, help="folder to write into (left out: RUN/figures)")
    arguments = parser.parse_args()

    from biosae.artefacts import read_table
    from biosae.figures import save_figure
    from biosae.landscape import figures

    names = ("umap", "jaccard", "overlaps")
    tables = {name: read_table(arguments.run / f"{name}.tsv", name) for name in names}
    folder = arguments.output or arguments.run / "figures"
    save_figure(figures.draw_umap(tables["umap"]), folder, "umap")
    save_figure(figures.draw_jaccard(tables["jaccard"], len(tables["umap"])), folder, "jaccard")
    save_figure(figures.draw_overlaps(tables["overlaps"], len(tables["umap"])), folder, "overlaps")


if __name__ == "__main__":
    cli.run(main)
