"""Build the static HTML page of a run: one file that needs no network; its links are relative to it."""

from __future__ import annotations

import logging
from pathlib import Path

from biosae import artefacts, cli

log = logging.getLogger(__name__)


def main() -> None:
    """Parse, read the run, write the page."""
    parser = cli.program(__doc__)
    parser.add_argument(
        "--run",
        type=cli.existing_path,
        required=True,
        help="run folder; needs nodes.tsv, motifs.meme, umap.tsv, training_curve.tsv, evaluation.json and "
        "checkpoint/config.json, and shows overlaps.tsv and recovery.json where they are there",
    )
    parser.add_argument("--output", type=Path, required=True, help="HTML file to write")
    arguments = parser.parse_args()

    from biosae.atlas.builder import READ, load_run
    from biosae.atlas.page import render

    data = load_run(arguments.run, arguments.output)
    text = render(data)
    read = [arguments.run / name for name in READ if (arguments.run / name).exists()]
    artefacts.write_json(f"{arguments.output}.json", artefacts.provenance("build_page.py", {}, read))
    artefacts.write_text(arguments.output, text)
    log.info("page of %d nodes, %.1f MB", len(data.nodes), len(text) / 1e6)


if __name__ == "__main__":
    cli.run(main)
