"""Join a run's tables into nodes.tsv: one row per kept node with its best motif and best match."""

from __future__ import annotations

from pathlib import Path

from biosae import artefacts, cli
from biosae.node_table import NODE_INPUTS, build_nodes

MISSING = {  # table -> why it may not be there
    "stability": "one seed",
    "coactivation": "no other run",
    "ablation": "no node taken out",
    "ablation_tracks": "no node taken out",
}


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
    parser.add_argument(
        "--coactivation",
        type=cli.existing_path,
        help="coactivation.tsv of the run; none where it was compared with no other",
    )
    parser.add_argument(
        "--ablation",
        type=cli.existing_path,
        help="ablation.tsv of the run, ablation_tracks.tsv beside it; none where no node was taken out",
    )
    parser.add_argument("--output", type=Path, required=True, help="nodes.tsv to write")
    arguments = parser.parse_args()
    paths = [arguments.run / name for name in NODE_INPUTS]
    schemas = NODE_INPUTS.values()
    tables = {name: artefacts.read_table(path, name) for path, name in zip(paths, schemas, strict=True)}
    other = {name: getattr(arguments, name) for name in MISSING if name != "ablation_tracks"}
    if beside := arguments.ablation:
        beside = beside.with_name("ablation_tracks.tsv")
    other["ablation_tracks"] = beside
    read = {name: artefacts.read_table(path, name) for name, path in other.items() if path is not None}
    nodes = build_nodes(tables, arguments.significance, **read)
    settings = {"significance": arguments.significance}
    settings |= {name: MISSING[name] if path is None else path.name for name, path in other.items()}
    given = [path for path in other.values() if path is not None]
    made_by = artefacts.provenance("summarise_nodes.py", settings, [*paths, *given])
    artefacts.write_table(nodes, arguments.output, "nodes", made_by)


if __name__ == "__main__":
    cli.run(main)
