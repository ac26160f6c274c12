"""Build the atlas of a run: a folder that shows every node, needs no server and can be copied anywhere."""

from __future__ import annotations

import logging
from pathlib import Path

from biosae import cli

log = logging.getLogger(__name__)


def main() -> None:
    """Parse, read the run, write the folder."""
    parser = cli.program(__doc__)
    add = parser.add_argument
    add("--run", type=cli.existing_path, required=True, help="folder of the run, with its tables")
    add("--database", type=cli.existing_path, required=True, help="motif database of the run's matches")
    add("--genes", type=cli.existing_path, help="BED of genes, plain or gzip, for search by gene")
    add("--scoreboard", type=cli.existing_path, help="scoreboard.tsv of all runs")
    add("--assembly", help="name of the assembly at UCSC, such as hg38, for links")
    add("--shard-nodes", type=int, default=64, help="nodes in one file of data")
    add("--max-mb", type=float, default=120.0, help="size of the folder in MB; examples beyond are left out")
    add("--output", type=Path, required=True, help="folder to write; it replaces one that is there")
    arguments = parser.parse_args()

    from biosae.atlas.builder import Sources, build_atlas
    from biosae.atlas.plan import Limits

    sources = Sources(
        arguments.run,
        arguments.database,
        arguments.genes,
        arguments.scoreboard,
        arguments.assembly,
        Limits(arguments.shard_nodes, arguments.max_mb),
    )
    made = build_atlas(sources, arguments.output)
    log.info("atlas of %d nodes: %d files, %.1f MB", made["nodes"], made["files"], made["bytes"] / 1e6)


if __name__ == "__main__":
    cli.run(main)
