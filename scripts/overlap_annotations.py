"""Overlaps of the seqlets of each node with annotations."""

from __future__ import annotations

from pathlib import Path

from biosae import cli

DESCRIPTION = """Seqlets of each node against BED annotations and the matched background -> overlaps.tsv.

Reads RUN/seqlets. A window overlaps a class when 1 bp or more is shared with any interval of it.
Odds ratio with 0.5 added to all counts, 95 % Woolf interval, two-sided Fisher p, q over all tests.
Without --annotation the table is empty.
"""


def main() -> None:
    """Parse, count, test, write ``overlaps.tsv``."""
    parser = cli.program(DESCRIPTION)
    add = parser.add_argument
    add("--run", type=cli.existing_path, required=True, help="folder of the run")
    add("--output", type=Path, required=True, help="overlaps.tsv to write")
    add(
        "--annotation",
        nargs="+",
        action="append",
        default=[],
        metavar="NAME PATH CLASS_COLUMN",
        help="BED (or .gz) with the class in a column counted from 1 (left out: 6); may be repeated",
    )
    arguments = parser.parse_args()

    from biosae import artefacts
    from biosae.landscape import loci, overlaps, tracks

    wanted = tracks.parse_annotations(arguments.annotation)
    nodes = loci.read_nodes(arguments.run)
    seqlets = loci.read_seqlets(arguments.run, nodes)
    background = overlaps.read_background(arguments.run)
    annotations = [tracks.read_annotation(*entry) for entry in wanted]
    table = overlaps.overlap_table(nodes, seqlets, background, annotations)
    folder = arguments.run / "seqlets"
    inputs = [folder / name for name in ("manifest.tsv", "seqlets.bed.gz", "background.fa")]
    settings = {"annotations": [[name, path.name, column] for name, path, column in wanted]}
    made_by = artefacts.provenance("overlap_annotations", settings, [*inputs, *(e[1] for e in wanted)])
    artefacts.write_table(table, arguments.output, "overlaps", {**made_by, "tests": len(table)})


if __name__ == "__main__":
    cli.run(main)
