"""Null sets of a run: sequences that its kept nodes could have had, had they learnt nothing."""

from __future__ import annotations

import logging
from pathlib import Path

from biosae import cli

DESCRIPTION = """Null sets of a run (FASTA): what composition, chance, or any taste for sequence gives.

Reads RUN/seqlets/ and the intervals noted in RUN/top_activations.parquet. Writes {set}_n{set - 1}.fa and,
last, manifest.tsv. Kinds: shuffled (the seqlets, dinucleotides kept), genome (random windows with the run's
GC and repeat shares), filter (the windows that a filter of random weights likes best).
"""


def main() -> None:
    """Parse, draw, write."""
    parser = cli.program(DESCRIPTION)
    add = parser.add_argument
    add("--run", type=cli.existing_path, required=True, help="folder of the run")
    add("--genome", type=cli.existing_path, required=True, help="genome FASTA, plain or bgzip")
    add("--kind", choices=("shuffled", "genome", "filter"), required=True, help="kind of null")
    add("--sets", type=int, default=1000, help="number of sets; each mirrors a kept node")
    add("--pool-windows", type=int, default=200_000, help="random windows that genome and filter draw from")
    add("--filter-bp", type=int, default=15, help="width of the random filters, bp")
    add("--output", type=Path, required=True, help="folder to write into")
    cli.add_seed(parser)
    args = parser.parse_args()

    from biosae import artefacts, genome, top_activations
    from biosae.motifs import null_sets

    inputs = [args.run / "seqlets/manifest.tsv", args.run / "seqlets/background.fa", args.genome]
    manifest = artefacts.read_table(inputs[0], "seqlet_manifest")
    _, notes = top_activations.read_top_activations(args.run / "top_activations.parquet", columns=["node"])
    fasta = genome.Genome(args.genome)
    intervals = genome.interval_table(notes["intervals"], fasta)
    settings = null_sets.NullSettings(args.kind, args.sets, args.pool_windows, args.filter_bp, args.seed)
    made_by = artefacts.provenance("write_null_sets", settings.as_dict(), inputs, args.seed)
    table = null_sets.write_sets(args.run / "seqlets", manifest, intervals, fasta, settings, args.output)
    artefacts.write_table(table, args.output / "manifest.tsv", "null_sets", made_by)
    logging.getLogger(__name__).info(
        "%d sets, %d sequences of %d wanted", len(table), table["n_sequences"].sum(), table["n_wanted"].sum()
    )


if __name__ == "__main__":
    cli.run(main)
