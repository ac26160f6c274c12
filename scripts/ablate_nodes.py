"""Take nodes out of the network's layer at their seqlets, and put other directions in their place.

Writes one part of the nodes, --part I of --of N: groups.tsv, doses.tsv and tracks.tsv in the folder of the
part; join_ablation.py makes the results of all parts. Numbers do not depend on the number of parts.
"""

from __future__ import annotations

from argparse import BooleanOptionalAction
from dataclasses import asdict
from pathlib import Path

from biosae import cli
from biosae.causal.options import add_causal_options, open_network


def main() -> None:
    """Parse, open the network, ablate, write the part."""
    parser = cli.program(__doc__)
    add_causal_options(parser)
    add = parser.add_argument
    add("--nodes", type=int, nargs="+", help="kept nodes to take out (left out: all)")
    add("--windows", type=int, default=8, help="windows a node, those of its strongest seqlets")
    add("--neighbours", type=int, default=0, help="positions on each side of a seqlet's, changed too")
    add("--doses", type=float, nargs="*", default=[], help="multiples of its activation, beside 0")
    add("--controls", type=int, default=8, help="other nodes' directions at the same places, a node")
    moved = "also put the change at another place of its window"
    add("--moved", action=BooleanOptionalAction, default=True, help=moved)
    add("--tracks-per-node", type=int, default=20, help="tracks listed a node")
    add("--permutations", type=int, default=999, help="draws of labels within windows")
    add("--bootstraps", type=int, default=200, help="draws of windows for intervals")
    cli.add_seed(parser)
    add("--part", type=int, default=0, help="this part of the nodes, from 0")
    add("--of", type=int, default=1, help="number of parts")
    add("--output", type=Path, required=True, help="folder of the part")
    arguments = parser.parse_args()

    from biosae.artefacts import provenance, write_table
    from biosae.causal.ablation import Settings
    from biosae.causal.ablation_run import PART_TABLES, measure_part
    from biosae.causal.changes import Directions
    from biosae.causal.places import RUN_INPUTS, choose_nodes, read_places

    numbers = {name: getattr(arguments, name) for name in Settings.__dataclass_fields__}
    settings = Settings(**{**numbers, "doses": tuple(arguments.doses)})
    choose_nodes(arguments.run, arguments.nodes)  # refuses before the model is loaded
    network = open_network(arguments)
    places, _ = read_places(arguments.run, network.passes.input_bp)
    given = network.passes, Directions(network.model), places, network.tracks, network.track_scale(), settings
    chosen = {"n_controls": arguments.controls, "nodes": arguments.nodes}
    tables = measure_part(arguments.run, *given, **chosen, part=(arguments.part, arguments.of))
    inputs = [*network.inputs, *(arguments.run / name for name in RUN_INPUTS[:1])]
    decided = {**network.settings, **asdict(settings), **chosen}
    made_by = provenance("ablate_nodes.py", decided, inputs, settings.seed)
    for name, table in tables.items():
        write_table(table, arguments.output / f"{name}.tsv", PART_TABLES[name], made_by)


if __name__ == "__main__":
    cli.run(main)
