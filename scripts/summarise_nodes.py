"""Join a run's tables into nodes.tsv: one row per kept node with its best motif and best match."""

from __future__ import annotations

from pathlib import Path

from biosae import artefacts, cli
from biosae.node_table import NODE_INPUTS, build_nodes


def main() -> None:
    """Parse, join, write."""
    parser = cli.program(__doc__)
    parser.add_argument(
        "--run", type=cli.existing_path, required=True, help=f"run folder that holds {', '.join(NODE_INPUTS)}"
    )
    parser.add_argument("--significance", type=float, default=0.05, help="calibrated q that counts")
    parser.add_argument(
        "--stability",
        type=cli.existing_path,
        help="stability.tsv of the run; none where the grid has one seed",
    )
    parser.add_argument("--output", type=Path, required=True, help="nodes.tsv to write")
    arguments = parser.parse_args()
    paths = [arguments.run / name for name in NODE_INPUTS]
    tables = [
        artefacts.read_table(path, schema) for path, schema in zip(paths, NODE_INPUTS.values(), strict=True)
    ]
    given, stability = arguments.stability, None
    if given is not None:
        stability = artefacts.read_table(given, "stability")
    nodes = build_nodes(*tables, arguments.significance, stability)
    settings = {
        "significance": arguments.significance,
        "stability": "one seed" if given is None else given.name,
    }
    made_by = artefacts.provenance("summarise_nodes.py", settings, [*paths, *([given] if given else [])])
    artefacts.write_table(nodes, arguments.output, "nodes", made_by)


if __name__ == "__main__":
    cli.run(main)
