"""Chunks of motifs -> motifs.tsv and motifs.meme of a run, with q-values over all nodes x motifs."""

from __future__ import annotations

import logging
from pathlib import Path

from biosae import cli


def main() -> None:
    """Parse, collect, write."""
    parser = cli.program(__doc__)
    add = parser.add_argument
    add("--chunks", type=cli.existing_path, nargs="+", required=True, help="chunk_{i}.tsv, in any order")
    add("--memes", type=cli.existing_path, nargs="+", required=True, help="chunk_{i}.meme, in any order")
    add("--statuses", type=cli.existing_path, nargs="+", default=[], help="status_{i}.tsv: no node missing?")
    add("--held-out", type=cli.existing_path, nargs="+", default=[], help="held_out_{i}.tsv.gz, in any order")
    add("--manifest", type=cli.existing_path, required=True, help="manifest.tsv of the seqlets")
    add("--significance", type=float, default=0.05, help="q below which a motif is significant")
    add("--strand", choices=("given", "both"), default="given", help="strands read, for motifs.meme")
    add("--meme-dir", type=Path, help="folder of {rank}_n{node}/; those of nodes no longer kept are removed")
    add("--output-table", type=Path, required=True, help="motifs.tsv to write")
    add("--output-held-out", type=Path, help="held_out.tsv.gz to write; needs --held-out")
    add("--output-meme", type=Path, required=True, help="motifs.meme to write")
    args = parser.parse_args()
    if bool(args.held_out) != bool(args.output_held_out):
        parser.error("--held-out and --output-held-out go together")

    from biosae.artefacts import provenance, read_table, write_table
    from biosae.motifs.collection import collect
    from biosae.motifs.evidence import gather
    from biosae.motifs.fasta import remove_stale_nodes
    from biosae.motifs.formats import write_meme

    manifest = read_table(args.manifest, "seqlet_manifest")
    table, motifs, counts = collect(args.chunks, args.memes, manifest, args.significance, args.statuses)
    evidence = gather(args.held_out, table) if args.held_out else None
    if args.meme_dir:
        remove_stale_nodes(args.meme_dir, manifest, "meme.txt")
    logging.getLogger(__name__).info("%s", ", ".join(f"{count} {name}" for name, count in counts.items()))
    made_by = provenance("collect_motifs", {"significance": args.significance}, [args.manifest, *args.chunks])
    if evidence is not None:
        write_table(evidence, args.output_held_out, "held_out", made_by)
    write_meme(args.output_meme, motifs, strands="+ -" if args.strand == "both" else "+")
    write_table(table, args.output_table, "motifs", {**made_by, "counts": counts})


if __name__ == "__main__":
    cli.run(main)
