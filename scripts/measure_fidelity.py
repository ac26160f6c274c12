"""Put a dictionary's reconstruction in the layer's place: how much of the network's outputs is left."""

from __future__ import annotations

from pathlib import Path

from biosae import cli
from biosae.causal.options import add_causal_options, open_network


def main() -> None:
    """Parse, open the network, splice, write fidelity.tsv and fidelity_groups.tsv."""
    parser = cli.program(__doc__)
    add_causal_options(parser)
    add = parser.add_argument
    add("--statistics", type=cli.existing_path, required=True, help="statistics.h5: channel means")
    add("--windows", type=int, default=64, help="windows, spread evenly over the encoded store")
    add("--bootstraps", type=int, default=200, help="draws of windows for intervals")
    cli.add_seed(parser)
    add("--output", type=Path, required=True, help="folder of the run")
    arguments = parser.parse_args()

    from biosae.artefacts import provenance, write_table
    from biosae.causal.fidelity import channel_means, measure_fidelity
    from biosae.causal.passes import spread

    network = open_network(arguments)
    means = channel_means(arguments.statistics, network.model.channels)
    windows = spread(network.windows(), arguments.windows)
    sums = measure_fidelity(network.passes, network.model, means, windows)
    decided = {**network.settings, "windows": arguments.windows, "bootstraps": arguments.bootstraps}
    inputs = [*network.inputs, arguments.statistics]
    made_by = provenance("measure_fidelity.py", decided, inputs, arguments.seed)
    groups = sums.group_table(network.tracks, arguments.bootstraps, arguments.seed)
    write_table(groups, arguments.output / "fidelity_groups.tsv", "fidelity_groups", made_by)
    write_table(sums.track_table(network.tracks), arguments.output / "fidelity.tsv", "fidelity", made_by)


if __name__ == "__main__":
    cli.run(main)
