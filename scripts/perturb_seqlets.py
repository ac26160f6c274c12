"""Shuffle the windows of nodes' seqlets in place, dinucleotides kept, and read nodes and outputs again."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from biosae import cli
from biosae.causal.options import add_causal_options, open_network


def main() -> None:
    """Parse, open the network, shuffle, write perturbation.tsv."""
    parser = cli.program(__doc__)
    add_causal_options(parser)
    add = parser.add_argument
    add("--nodes", type=int, nargs="+", help="kept nodes (left out: all)")
    add("--windows", type=int, default=8, help="seqlets a node, its strongest in as many windows")
    add("--draws", type=int, default=5, help="shuffles of each")
    add("--bootstraps", type=int, default=200, help="draws of windows for intervals")
    cli.add_seed(parser)
    add("--output", type=Path, required=True, help="perturbation.tsv to write")
    arguments = parser.parse_args()

    from biosae.artefacts import provenance, write_table
    from biosae.causal.changes import Directions
    from biosae.causal.perturbation import Settings, perturb_nodes
    from biosae.causal.places import RUN_INPUTS, choose_nodes, read_places

    settings = Settings(**{name: getattr(arguments, name) for name in Settings.__dataclass_fields__})
    nodes = choose_nodes(arguments.run, arguments.nodes)
    network = open_network(arguments)
    places, _ = read_places(arguments.run, network.passes.input_bp)
    given = network.passes, Directions(network.model), nodes, places, network.tracks, network.track_scale()
    table = perturb_nodes(*given, settings)
    inputs = [*network.inputs, *(arguments.run / name for name in RUN_INPUTS[:1])]
    decided = {**network.settings, **asdict(settings), "nodes": arguments.nodes}
    made_by = provenance("perturb_seqlets.py", decided, inputs, settings.seed)
    write_table(table, arguments.output, "perturbation", made_by)


if __name__ == "__main__":
    cli.run(main)
