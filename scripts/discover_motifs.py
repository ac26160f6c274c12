"""Seqlets of nodes (FASTA) -> motifs, in MEME format and as tables.

--fasta: a folder of {rank}_n{node}.fa; with --chunk a share of its nodes; or one FASTA (its meme.txt only).
"""

from __future__ import annotations

import argparse
from pathlib import Path

from biosae import cli
from biosae.motifs.options import add_discovery_options


def arguments() -> argparse.Namespace:
    """The options, checked for what belongs together."""
    parser = cli.program(__doc__)
    add = parser.add_argument
    add("--fasta", type=cli.existing_path, required=True, help="folder of FASTA files, or one FASTA")
    add("--manifest", type=cli.existing_path, help="manifest.tsv of the folder; with --chunk and --chunks")
    add("--chunk", type=int, help="number of this chunk, from 0")
    add("--chunks", type=int, help="number of chunks; says nothing without --chunk")
    add("--background", type=cli.existing_path, help="FASTA that controls are drawn from; else shuffles")
    add("--significance", type=float, default=0.05, help="q below which a motif is significant")
    add("--output", type=Path, help="folder of the tables; not needed for one FASTA with --meme-dir")
    add("--meme-dir", type=Path, help="folder of {rank}_n{node}/meme.txt; else OUTPUT/meme")
    add("--tables-only", action="store_true", help="write no meme.txt and no evidence, keep no tool output")
    add_discovery_options(parser)
    cli.add_seed(parser)
    cli.add_threads(parser)
    args = parser.parse_args()
    if args.chunk is not None and None in (args.manifest, args.chunks):
        parser.error("--chunk needs --manifest and --chunks")
    if args.output is None and (args.meme_dir is None or args.fasta.is_dir()):
        parser.error("--output is needed")
    if args.tables_only and (args.meme_dir or args.fasta.is_file()):
        parser.error("--tables-only needs a folder of FASTA files and no --meme-dir")
    return args


def main() -> None:
    """Parse, discover, write."""
    args = arguments()
    from biosae.motifs import jobs

    wanted = jobs.Discovery.of(args)
    part = None if args.chunk is None else (args.chunk, args.chunks)
    nodes = jobs.nodes_of(args.fasta, args.manifest, part)
    meme_dir = None if args.tables_only else args.meme_dir or args.output / "meme"
    results = jobs.discover_nodes(nodes, wanted, args.background, meme_dir, args.threads)
    if args.fasta.is_dir():
        inputs = [path for path in (args.manifest, args.background) if path]
        evidence = not args.tables_only
        jobs.write_results(results, wanted, args.output, part, inputs, args.significance, evidence)
    jobs.refuse_failures(results)


if __name__ == "__main__":
    cli.run(main)
