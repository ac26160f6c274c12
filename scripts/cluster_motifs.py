"""Significant motifs of a run, grouped by similarity -> motif_clusters.tsv and an averaged matrix each."""

from __future__ import annotations

import logging
from pathlib import Path

from biosae import cli


def main() -> None:
    """Parse, cluster, write."""
    parser = cli.program(__doc__)
    add = parser.add_argument
    add("--motifs", type=cli.existing_path, required=True, help="motifs.meme of a run")
    add("--table", type=cli.existing_path, required=True, help="motifs.tsv of the same run")
    add(
        "--p-value",
        type=float,
        default=0.01,
        help="largest p, either motif as query, at which two motifs can be similar",
    )
    add("--output-table", type=Path, required=True, help="motif_clusters.tsv to write")
    add("--output-meme", type=Path, required=True, help="motif_clusters.meme to write")
    cli.add_threads(parser)
    args = parser.parse_args()

    from biosae.artefacts import provenance, read_table, write_table
    from biosae.motifs.clusters import cluster_run
    from biosae.motifs.formats import read_meme, write_meme

    motifs, table = read_meme(args.motifs), read_table(args.table, "motifs")
    clusters, averaged, counts = cluster_run(motifs, table, args.p_value, args.threads)
    logging.getLogger(__name__).info("%s", ", ".join(f"{count} {name}" for name, count in counts.items()))
    made_by = provenance("cluster_motifs", {"p_value": args.p_value}, [args.motifs, args.table])
    write_meme(args.output_meme, averaged)
    write_table(clusters, args.output_table, "motif_clusters", {**made_by, "counts": counts})


if __name__ == "__main__":
    cli.run(main)
