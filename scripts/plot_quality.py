"""Plot a run's quality: node densities, FVU by channel and, with several seeds, stability; SVG and PNG."""

from __future__ import annotations

from pathlib import Path

from biosae import artefacts, cli


def main() -> None:
    """Parse, read, draw."""
    parser = cli.program(__doc__)
    parser.add_argument(
        "--run",
        type=cli.existing_path,
        required=True,
        help="run folder that holds evaluation.json and channel_fvu.tsv",
    )
    parser.add_argument(
        "--stability",
        type=cli.existing_path,
        help="stability.tsv of the run; none where the grid has one seed",
    )
    parser.add_argument("--output", type=Path, required=True, help="folder for quality.svg and quality.png")
    arguments = parser.parse_args()

    from biosae.figures import save_figure
    from biosae.quality import load_figures, quality_figure

    channels = artefacts.read_table(arguments.run / "channel_fvu.tsv", "channel_fvu")
    stability = arguments.stability and artefacts.read_table(arguments.stability, "stability")
    figure = quality_figure(load_figures(arguments.run), channels, arguments.run.resolve().name, stability)
    save_figure(figure, arguments.output, "quality")


if __name__ == "__main__":
    cli.run(main)
