"""Find each node of a run again in other runs, of any layer, by where it fires."""

from __future__ import annotations

from pathlib import Path

from biosae import cli

DESCRIPTION = """Kept nodes of a run matched one to one with those of other runs -> coactivation.tsv.

Nodes are compared by the Jaccard index of the loci of their seqlets, so that the runs may be of different
layers, with windows of different width. Beside it stands the same matching with the other run's seqlets
given to its nodes at random.
"""


def main() -> None:
    """Parse, match, write ``coactivation.tsv``."""
    parser = cli.program(DESCRIPTION)
    add = parser.add_argument
    add("--run", type=cli.existing_path, required=True, help="run folder: top_activations.parquet, seqlets/")
    add("--others", type=cli.existing_path, nargs="+", required=True, help="runs to compare with, likewise")
    add("--output", type=Path, required=True, help="coactivation.tsv to write")
    add("--permutations", type=int, default=10, help="permutations of the null, for each other run")
    add(
        "--max-dense-nodes",
        type=int,
        default=8192,
        help="most nodes a side that are assigned at once, in 8 n^2 bytes; more: mutual best pairs go first",
    )
    cli.add_seed(parser)
    arguments = parser.parse_args()

    from biosae import artefacts
    from biosae.coactivation import RUN_INPUTS, coactivation_table, read_places

    folders = [arguments.run, *arguments.others]
    places = [read_places(folder) for folder in folders]
    settings = {name: getattr(arguments, name) for name in ("permutations", "max_dense_nodes")}
    table = coactivation_table(places, *settings.values(), seed=arguments.seed)
    settings["runs"] = [run.name for run in places]
    inputs = [folder / name for folder in folders for name in RUN_INPUTS]
    made_by = artefacts.provenance("compare_layers", settings, inputs, arguments.seed)
    artefacts.write_table(table, arguments.output, "coactivation", made_by)


if __name__ == "__main__":
    cli.run(main)
