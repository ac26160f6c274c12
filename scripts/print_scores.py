"""Print each SAE beside its nulls, and where the picture is."""

from __future__ import annotations

from biosae import artefacts, cli


def main() -> None:
    """Parse, read summary.tsv and scoreboard.tsv, print."""
    parser = cli.program(__doc__)
    parser.add_argument(
        "--results", type=cli.existing_path, required=True, help="results folder that holds summary.tsv"
    )
    results = parser.parse_args().results
    from biosae.scoreboard.text import format_scoreboard

    tables = (artefacts.read_table(results / f"{name}.tsv", name) for name in ("summary", "scoreboard"))
    print(format_scoreboard(*tables))
    print(f"\nPicture: {results / 'scoreboard.png'}\nPage: {results / 'summary.html'}")


if __name__ == "__main__":
    cli.run(main)
