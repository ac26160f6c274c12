"""Plot a run's training: FVU, L0, dead fraction and learning rate by position, as SVG and PNG."""

from __future__ import annotations

from pathlib import Path

from biosae import artefacts, cli


def main() -> None:
    """Parse, read, draw."""
    parser = cli.program(__doc__)
    parser.add_argument(
        "--run", type=cli.existing_path, required=True, help="run folder that holds training_curve.tsv"
    )
    parser.add_argument(
        "--output", type=Path, required=True, help="folder for training_curve.svg and training_curve.png"
    )
    arguments = parser.parse_args()

    from biosae.figures import save_figure, training_figure

    curve = artefacts.read_table(arguments.run / "training_curve.tsv", "training_curve")
    save_figure(training_figure(curve, arguments.run.resolve().name), arguments.output, "training_curve")


if __name__ == "__main__":
    cli.run(main)
