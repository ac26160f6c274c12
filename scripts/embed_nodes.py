"""Maps and clusters of the kept nodes."""

from __future__ import annotations

from pathlib import Path

from biosae import cli

DESCRIPTION = """UMAP of the kept nodes, from decoder directions and from co-activation -> umap.tsv.

Reads RUN/checkpoint and RUN/seqlets. Both maps use cosine distance; clusters are KMeans on the
unit decoder directions. Published settings: min_dist 0.02, seed 42, 25 clusters.
"""


def main() -> None:
    """Parse, embed, cluster, write ``umap.tsv``."""
    parser = cli.program(DESCRIPTION)
    add = parser.add_argument
    add("--run", type=cli.existing_path, required=True, help="folder of the run")
    add("--output", type=Path, required=True, help="umap.tsv to write")
    add("--n-neighbors", type=int, default=15, help="neighbours a node in UMAP")
    add("--min-dist", type=float, default=0.02, help="least distance of points in UMAP")
    add("--n-clusters", type=int, default=25, help="clusters; at most as many as nodes")
    cli.add_seed(parser)
    parser.set_defaults(seed=42)
    arguments = parser.parse_args()

    from biosae import artefacts
    from biosae.directions import read_directions
    from biosae.landscape import loci, umap

    nodes = loci.read_nodes(arguments.run)
    incidence = loci.incidence(loci.read_seqlets(arguments.run, nodes), len(nodes))
    checkpoint = arguments.run / "checkpoint"
    directions = read_directions(checkpoint, nodes["node"].to_numpy())
    layout = {name: getattr(arguments, name) for name in ("n_neighbors", "min_dist", "seed")}
    by_direction, by_locus = umap.embed(directions, **layout), umap.embed(incidence, **layout)
    table = nodes.assign(
        umap1=by_direction[:, 0],
        umap2=by_direction[:, 1],
        cluster=umap.cluster(directions, arguments.n_clusters, arguments.seed),
        coact1=by_locus[:, 0],
        coact2=by_locus[:, 1],
    )
    inputs = [arguments.run / "seqlets" / name for name in ("manifest.tsv", "seqlets.bed.gz")]
    inputs += [checkpoint / name for name in ("config.json", "model.safetensors")]
    settings = {**layout, "n_clusters": arguments.n_clusters}
    made_by = artefacts.provenance("embed_nodes", settings, inputs, arguments.seed)
    artefacts.write_table(table, arguments.output, "umap", made_by)


if __name__ == "__main__":
    cli.run(main)
