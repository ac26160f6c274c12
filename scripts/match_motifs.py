"""Motifs against a database (both in MEME format) -> matches.tsv, and tomtom.tsv per node.

--motifs is a run's motifs.meme, one node's RUN/meme/{rank}_n{node}/meme.txt, or any MEME file. At least one
of --output and --tomtom-dir is needed.
"""

from __future__ import annotations

import argparse
import logging
from dataclasses import asdict, fields
from pathlib import Path

from biosae import cli


def arguments() -> argparse.Namespace:
    """The options, checked for what belongs together."""
    parser = cli.program(__doc__)
    add = parser.add_argument
    add("--engine", choices=("batched", "tomtom"), default="batched", help="tomtom: of the MEME Suite")
    add("--motifs", type=cli.existing_path, required=True, help="query motifs, MEME format")
    add("--database", type=cli.existing_path, required=True, help="target motifs, MEME format")
    add("--distance", choices=("pearson", "ed"), default="pearson", help="of columns; ed: Euclidean")
    add("--significance", type=float, default=0.05, help="per-query q below which a match is significant")
    add("--report-q", type=float, default=0.5, help="largest per-query q that is written")
    add("--min-overlap", type=int, default=5, help="fewest aligned bp (or the narrower width)")
    add("--min-information-bits", type=float, default=6.0, help="a query of less is flagged (whole motif)")
    add("--output", type=Path, help="matches.tsv to write")
    add("--tomtom-dir", type=Path, help="folder for {rank}_n{node}/tomtom.tsv of each node with motifs")
    add("--manifest", type=cli.existing_path, help="manifest.tsv: TOMTOM_DIR of nodes not in it is removed")
    cli.add_threads(parser)
    args = parser.parse_args()
    if args.output is None and args.tomtom_dir is None:
        parser.error("give --output, --tomtom-dir or both")
    return args


def main() -> None:
    """Parse, match, write."""
    args = arguments()
    from biosae.artefacts import provenance, write_table
    from biosae.motifs.formats import read_meme
    from biosae.motifs.matching import MatchSettings, match
    from biosae.motifs.tomtom_tables import node_of_file, read_queries, write_tomtom_tables

    settings = MatchSettings(*(getattr(args, field.name) for field in fields(MatchSettings)))
    queries, database = read_queries(args.motifs), read_meme(args.database)
    table = match(queries, database, args.engine, settings, args.threads, args.database.name)
    logging.getLogger(__name__).info("%s", table.attrs["counts"])
    if args.tomtom_dir:
        write_tomtom_tables(queries, table, args.tomtom_dir, node_of_file(args.motifs), args.manifest)
    if args.output:
        options = {"engine": args.engine, **asdict(settings)}
        made_by = provenance("match_motifs", options, [args.motifs, args.database])
        write_table(table, args.output, "matches", {**made_by, "counts": table.attrs["counts"]})


if __name__ == "__main__":
    cli.run(main)
