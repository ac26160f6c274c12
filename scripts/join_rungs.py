"""Rungs of the self-test -> tables ladder, ladder_detectors, ladder_axes, ladder_differences; summary.txt.

Prints the summary, which names the worlds in which an SAE does not beat its best null.
"""

from __future__ import annotations

import json
from pathlib import Path

from biosae import cli


def main() -> None:
    """Parse, join, compare, write, print."""
    parser = cli.program(__doc__)
    parser.add_argument(
        "--rungs", type=cli.existing_path, nargs="+", required=True, help="ladder.tsv of each"
    )
    parser.add_argument(
        "--detectors", type=cli.existing_path, nargs="+", required=True, help="ladder_detectors.tsv of each"
    )
    parser.add_argument(
        "--places",
        type=json.loads,
        required=True,
        help="JSON: what biosae.ladder.config.ladder_places gives",
    )
    parser.add_argument("--output", type=Path, required=True, help="folder to write into")
    cli.add_seed(parser)
    arguments = parser.parse_args()

    import pandas as pd

    from biosae.artefacts import conform, provenance, read_table, write_table, write_text
    from biosae.ladder import summary, table

    rungs, detectors = (
        pd.concat([read_table(path, name) for path in paths], ignore_index=True)
        for name, paths in (("ladder", arguments.rungs), ("ladder_detectors", arguments.detectors))
    )
    axes = table.axis_table(detectors, arguments.places)
    differences = table.difference_table(detectors, arguments.places, arguments.seed)
    inputs = [*arguments.rungs, *arguments.detectors]
    made_by = provenance("join_rungs", {"places": arguments.places}, inputs, arguments.seed)
    tables = {"ladder": rungs, "ladder_detectors": detectors, "ladder_axes": axes}
    for name, content in (tables | {"ladder_differences": differences}).items():
        write_table(conform(content, name), arguments.output / f"{name}.tsv", name, made_by)
    text = summary.summary_text(rungs, axes, differences)
    write_text(arguments.output / "summary.txt", text)
    print(text, end="")


if __name__ == "__main__":
    cli.run(main)
