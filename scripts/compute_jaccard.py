"""Jaccard similarity of the kept nodes over loci."""

from __future__ import annotations

from pathlib import Path

from biosae import cli

DESCRIPTION = """Jaccard similarity of every two kept nodes that share a locus -> jaccard.tsv.

Reads RUN/seqlets. A locus is a bin of the genome as wide as a seqlet; a seqlet belongs to the bin
of its centre. The number of pairs left out stands in the .json beside the table.
"""


def main() -> None:
    """Parse, compare, write ``jaccard.tsv``."""
    parser = cli.program(DESCRIPTION)
    add = parser.add_argument
    add("--run", type=cli.existing_path, required=True, help="folder of the run")
    add("--output", type=Path, required=True, help="jaccard.tsv to write")
    add("--min-jaccard", type=float, default=0.01, help="pairs below are counted, not listed; 0 lists all")
    arguments = parser.parse_args()

    from biosae import artefacts
    from biosae.landscape import jaccard, loci

    nodes = loci.read_nodes(arguments.run)
    incidence = loci.incidence(loci.read_seqlets(arguments.run, nodes), len(nodes))
    table, left_out = jaccard.jaccard_pairs(incidence, nodes["node"].to_numpy(), arguments.min_jaccard)
    inputs = [arguments.run / "seqlets" / name for name in ("manifest.tsv", "seqlets.bed.gz")]
    made_by = artefacts.provenance("compute_jaccard", {"min_jaccard": arguments.min_jaccard}, inputs)
    counts = {
        "nodes": len(nodes),
        "loci": incidence.shape[1],
        "pairs": len(table),
        "pairs_left_out": left_out,
    }
    artefacts.write_table(table, arguments.output, "jaccard", {**made_by, "counts": counts})


if __name__ == "__main__":
    cli.run(main)
