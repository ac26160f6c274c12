"""Seqlets of each node in repeats, against random windows of the same GC."""

from __future__ import annotations

from pathlib import Path

from biosae import cli

DESCRIPTION = """Share of each node's seqlets in soft-masked bases and in classes of repeats -> repeats.tsv.

Reads RUN/seqlets, the intervals in RUN/top_activations.parquet and the genome. A window lies in a class
when at least half of its bases do. Each node has a background of its own, matched to its seqlets in GC alone.
Odds ratio with 0.5 added to all counts, 95 % Woolf interval, two-sided Fisher p, q over all tests of the run.
"""


def main() -> None:
    """Parse, draw, count, test, write ``repeats.tsv``."""
    parser = cli.program(DESCRIPTION)
    add = parser.add_argument
    add("--run", type=cli.existing_path, required=True, help="folder of the run")
    add("--genome", type=cli.existing_path, required=True, help="genome FASTA; lower case marks repeats")
    add("--output", type=Path, required=True, help="repeats.tsv to write")
    add("--path", type=cli.existing_path, help="BED (or .gz) of repeats, such as RepeatMasker's")
    add("--class-column", type=int, default=6, help="column of that BED that holds the class, from 1")
    add("--classes", nargs="+", help="classes of that BED that are repeats (left out: all)")
    add("--background-windows", type=int, default=10_000, help="background windows a node, at most")
    add("--pool-windows", type=int, default=200_000, help="random windows that they are taken from")
    add("--explained-share", type=float, default=0.5, help="excess share of a class that explains a node")
    add("--significance", type=float, default=0.05, help="q of such a class is below")
    cli.add_seed(parser)
    arguments = parser.parse_args()

    from biosae import artefacts, genome, top_activations
    from biosae.landscape import loci, repeats, tracks

    names = ("background_windows", "pool_windows", "explained_share", "significance", "seed")
    decided = {name: getattr(arguments, name) for name in names}
    settings = repeats.Settings(**decided)
    bed = arguments.path
    annotation = None if bed is None else tracks.read_annotation("repeats", bed, arguments.class_column)
    if annotation is not None:
        annotation = repeats.choose_classes(annotation, arguments.classes)
    nodes, fasta = loci.read_nodes(arguments.run), genome.Genome(arguments.genome)
    top = arguments.run / "top_activations.parquet"
    intervals = genome.interval_table(top_activations.read_notes(top)["intervals"], fasta)
    seqlets = loci.read_seqlets(arguments.run, nodes)
    table, left_out = repeats.repeat_table(nodes, seqlets, intervals, fasta, annotation, settings)
    inputs = [arguments.run / "seqlets" / name for name in ("manifest.tsv", "seqlets.bed.gz")]
    inputs += [top, fasta.path, *([bed] if bed else [])]
    about = {**decided, "path": bed and bed.name, "classes": arguments.classes}
    made_by = artefacts.provenance("measure_repeats", about, inputs, arguments.seed)
    artefacts.write_table(table, arguments.output, "repeats", {**made_by, "counts": left_out})


if __name__ == "__main__":
    cli.run(main)
