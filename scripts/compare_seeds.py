"""Find each node of a run again in the runs of other seeds: matched decoder cosine, beside that of chance."""

from __future__ import annotations

from pathlib import Path

from biosae import artefacts, cli


def main() -> None:
    """Parse, match, write."""
    parser = cli.program(__doc__)
    add = parser.add_argument
    add("--run", type=cli.existing_path, required=True, help="run folder: checkpoint/ and node_stats.tsv")
    add(
        "--siblings", type=cli.existing_path, nargs="+", required=True, help="runs with other seeds, likewise"
    )
    add("--statistics", type=cli.existing_path, required=True, help="statistics.h5 of the layer")
    add("--output", type=Path, required=True, help="folder for stability.tsv and stability_pairs.tsv")
    add("--found-again-cosine", type=float, default=0.7, help="a node is found again above this cosine")
    add(
        "--max-dense-nodes",
        type=int,
        default=8192,
        help="most nodes a side that are assigned at once, in 8 n^2 bytes; more: mutual best pairs go first",
    )
    cli.add_seed(parser)
    arguments = parser.parse_args()

    from biosae.stability import RUN_INPUTS, read_runs, stability_tables

    folders = [arguments.run, *arguments.siblings]
    settings = {name: getattr(arguments, name) for name in ("found_again_cosine", "max_dense_nodes")}
    nodes, pairs = stability_tables(
        read_runs(folders, arguments.statistics), *settings.values(), seed=arguments.seed
    )
    settings["runs"] = [folder.resolve().name for folder in folders]
    inputs = [folder / name for folder in folders for name in RUN_INPUTS] + [arguments.statistics]
    made_by = artefacts.provenance("compare_seeds.py", settings, inputs, arguments.seed)
    artefacts.write_table(pairs, arguments.output / "stability_pairs.tsv", "stability_pairs", made_by)
    artefacts.write_table(nodes, arguments.output / "stability.tsv", "stability", made_by)


if __name__ == "__main__":
    cli.run(main)
