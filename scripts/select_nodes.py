"""Select the nodes that go on to seqlets and motifs, by the counts in node_stats.tsv."""

from __future__ import annotations

from pathlib import Path

from biosae import artefacts, cli
from biosae.nodes import select_nodes


def main() -> None:
    """Parse, select, write ``selected_nodes.tsv``; an empty selection is a valid empty table."""
    parser = cli.program(__doc__)
    parser.add_argument("--node-stats", type=cli.existing_path, required=True, help="node_stats.tsv")
    parser.add_argument("--output", type=Path, required=True, help="selected_nodes.tsv to write")
    parser.add_argument("--min-nonzero", type=int, default=1000, help="least number of top activations")
    parser.add_argument(
        "--min-above-half", type=int, default=200, help="least number of top activations above half"
    )
    parser.add_argument(
        "--above-half-of", choices=("mean", "max"), default="mean", help="half of this, of the node's own"
    )
    parser.add_argument(
        "--max-nodes", type=int, help="keep at most so many nodes, by mean activation; all if not given"
    )
    arguments = parser.parse_args()
    keys = ("min_nonzero", "min_above_half", "above_half_of", "max_nodes")
    settings = {key: getattr(arguments, key) for key in keys}
    stats = artefacts.read_table(arguments.node_stats, "node_stats")
    selection = select_nodes(stats, **settings)
    made_by = artefacts.provenance("select_nodes.py", settings, [arguments.node_stats])
    made_by["counts"] = selection.counts
    artefacts.write_table(selection.table, arguments.output, "selected_nodes", made_by)


if __name__ == "__main__":
    cli.run(main)
