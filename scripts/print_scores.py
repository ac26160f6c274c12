"""Print the figures of all runs as one table, and where their pages are."""

from __future__ import annotations

from biosae import artefacts, cli
from biosae.summary import format_scores


def main() -> None:
    """Parse, read summary.tsv, print."""
    parser = cli.program(__doc__)
    parser.add_argument(
        "--results", type=cli.existing_path, required=True, help="results folder that holds summary.tsv"
    )
    arguments = parser.parse_args()
    summary = artefacts.read_table(arguments.results / "summary.tsv", "summary")
    print(format_scores(summary))
    print("\nPages:")
    for layer, run in zip(summary["layer"], summary["run"], strict=True):
        page = arguments.results / layer / run / "atlas" / "index.html"
        print(f"  {page}" if page.exists() else f"  {page} (not built)")
    print(f"\nTable: {arguments.results / 'summary.tsv'}")


if __name__ == "__main__":
    cli.run(main)
