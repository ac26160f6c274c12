"""Variants of a VCF in the network: both alleles, both strands, change of kept nodes and of outputs."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from biosae import cli
from biosae.causal.options import add_causal_options, open_network


def main() -> None:
    """Parse, read the VCF, open the network, score, write variants.tsv and the tables of nodes and tracks."""
    parser = cli.program(__doc__)
    add_causal_options(parser)
    add = parser.add_argument
    add("--vcf", type=cli.existing_path, required=True, help="variants, plain or gzip")
    add("--reference-mismatch", choices=("refuse", "drop"), default="refuse", help="wrong reference alleles")
    add("--nodes-per-variant", type=int, default=20, help="nodes listed a variant, of largest change")
    add("--tracks-per-variant", type=int, default=20, help="tracks listed a variant, likewise")
    add("--output", type=Path, required=True, help="folder of the run")
    arguments = parser.parse_args()

    from biosae.artefacts import provenance, write_table
    from biosae.causal.places import choose_nodes
    from biosae.causal.variants import AlleleReader, Settings, score_variants
    from biosae.causal.vcf import read_vcf
    from biosae.genome import Genome

    settings = Settings(arguments.nodes_per_variant, arguments.tracks_per_variant)
    mismatch = arguments.reference_mismatch
    variants, counts = read_vcf(arguments.vcf, Genome(arguments.genome), mismatch)
    nodes = choose_nodes(arguments.run, None)["node"].to_numpy("int64")
    network = open_network(arguments)
    reader = AlleleReader(network.model, nodes)
    scale = network.track_scale()
    tables = score_variants(network.passes, reader, variants, network.tracks, scale, settings)
    inputs = [*network.inputs, arguments.vcf, arguments.run / "selected_nodes.tsv"]
    decided = {**network.settings, **asdict(settings), "reference_mismatch": mismatch}
    made_by = {**provenance("score_variants.py", decided, inputs), "counts": counts}
    for name, table in tables.items():
        write_table(table, arguments.output / f"{name}.tsv", name, made_by)


if __name__ == "__main__":
    cli.run(main)
