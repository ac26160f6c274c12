"""Motifs against a database (both in MEME format) -> matches.tsv, and tomtom.tsv per node.

--motifs is a run's motifs.meme, one node's RUN/meme/{rank}_n{node}/meme.txt, or any MEME file. At least one
of --output and --tomtom-dir is needed.
"""

from __future__ import annotations

import argparse
import logging
from dataclasses import asdict
from pathlib import Path

from biosae import cli


def arguments() -> argparse.Namespace:
    """The options, checked for what belongs together."""
    parser = cli.program(__doc__)
    add = parser.add_argument
    add("--engine", choices=("memelite", "tomtom"), default="memelite", help="tomtom: of the MEME Suite")
    add("--motifs", type=cli.existing_path, required=True, help="query motifs, MEME format")
    add("--database", type=cli.existing_path, required=True, help="target motifs, MEME format")
    add("--significance", type=float, default=0.05, help="per-query q below which a match is significant")
    add("--report-q", type=float, default=0.5, help="largest per-query q that is written")
    add(
        "--min-overlap",
        type=int,
        default=5,
        help="fewest aligned bp (or the narrower width)",
    )
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
    from biosae.artefacts import provenance, read_table, write_table
    from biosae.motifs.fasta import remove_stale_nodes
    from biosae.motifs.formats import read_meme
    from biosae.motifs.matching import MatchSettings, match
    from biosae.motifs.tomtom_tables import node_of_file, read_queries, write_tomtom_tables

    settings = MatchSettings(args.significance, args.report_q, args.min_overlap)
    queries, database = read_queries(args.motifs), read_meme(args.database)
    table = match(queries, database, args.engine, settings, args.threads, args.database.name)
    logging.getLogger(__name__).info("%s", table.attrs["counts"])
    if args.tomtom_dir:
        write_tomtom_tables(queries, table, args.tomtom_dir, node_of_file(args.motifs))
    if args.manifest and args.tomtom_dir:
        remove_stale_nodes(args.tomtom_dir, read_table(args.manifest, "seqlet_manifest"), "tomtom.tsv")
    if args.output:
        options = {"engine": args.engine, **asdict(settings)}
        made_by = provenance("match_motifs", options, [args.motifs, args.database])
        write_table(table, args.output, "matches", {**made_by, "counts": table.attrs["counts"]})


if __name__ == "__main__":
    cli.run(main)
