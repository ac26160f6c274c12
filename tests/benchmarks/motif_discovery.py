"""Benchmark of the batched engine on simulated nodes (see simulate_motifs). From the root of the repository:

    PYTHONPATH=scripts python tests/benchmarks/motif_discovery.py --genome genome.fa.gz

Prints a markdown table, a row per length, size and family: mean r of the best motif with each planted matrix
(planted columns that were not found count as 0.25), the same r for the base shares of the planted sites
themselves (what a perfect method would get), hit rate (r > 0.85), share of nodes with a motif at E < 0.05,
CPU-seconds a node after compilation. Without ``--genome`` windows come from a random order-2 chain. Nodes
depend on seed, length, size and family only, not on what else is asked for.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import simulate_motifs as simulated

from biosae.motifs.batched import DiscoverySettings, discover_many

BACKGROUND = 20000  # background windows of a run, as write_seqlets makes by default
HEADINGS = "length | seqlets | family | nodes | mean r | r of the sites | hit rate | E < 0.05 | CPU s a node"


def main() -> None:
    """Run the families at each length and size."""
    arguments = parse()
    settings = DiscoverySettings(strand=arguments.strand)
    matrices = simulated.read_matrices(arguments.database)
    print(f"| {HEADINGS} |\n|{'---|' * len(HEADINGS.split('|'))}")
    warmed = False
    for length in arguments.lengths:
        for size in arguments.seqlets:
            background, windows, elements = make_windows(arguments, length, size)
            for family in arguments.families:
                rng = np.random.default_rng(
                    [arguments.seed, length, size, simulated.FAMILIES.index(family) + 1]
                )
                controls = simulated.population(family, background, elements, rng)
                nodes = make_nodes(arguments, family, size, windows, matrices, elements, rng)
                if not warmed:
                    run(nodes[:1], controls, settings, arguments)
                    warmed = True
                report(f"{length} | {size:,}", family, nodes, controls, settings, arguments)


def parse() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--database", type=Path, default=simulated.DATABASE, help="MEME file of matrices to plant")
    add("--genome", type=Path, help="gzipped FASTA for windows")
    add("--seqlets", type=int, nargs="+", default=[200, 1000, 5000], help="of a node")
    add("--lengths", type=int, nargs="+", default=[24, 42, 78, 150], help="of the windows, bp")
    add("--families", nargs="+", default=list(simulated.FAMILIES), choices=simulated.FAMILIES)
    add("--repeats", type=int, default=10, help="nodes a family")
    add("--nulls", type=int, help="nodes of each null family; else --repeats")
    add("--strand", choices=("given", "both"), default="both")
    add("--seed", type=int, default=0)
    add("--threads", type=int, default=1)
    return parser.parse_args()


def make_windows(arguments, length: int, size: int) -> tuple[list[str], list[str], list[np.ndarray]]:
    """Windows for the background, windows for nodes (none in both), and repeat families."""
    rng = np.random.default_rng([arguments.seed, length, size])
    elements = simulated.repeat_elements(rng)
    if arguments.genome:
        windows = simulated.genome_windows(arguments.genome, length)
    else:
        windows = simulated.markov_windows(length, BACKGROUND + 10 * size, rng)
    order = rng.permutation(len(windows))
    n_background = min(BACKGROUND, len(windows) // 2)  # 3 Mb hold 20,000 windows of 150 bp
    rest = [windows[i] for i in order[n_background:]]
    if len(rest) < size:
        raise SystemExit(f"the genome has {len(rest)} windows of {length} bp for nodes of {size} seqlets")
    return [windows[i] for i in order[:n_background]], rest, elements


def make_nodes(arguments, family, size, windows, matrices, elements, rng) -> list[simulated.SimulatedNode]:
    """The nodes of one family."""
    count, both = arguments.repeats, arguments.strand == "both"
    if family in simulated.NULLS and arguments.nulls is not None:
        count = arguments.nulls
    nodes = []
    for i in range(count):
        chosen = [windows[k] for k in rng.choice(len(windows), size, replace=False)]
        nodes.append(simulated.simulate(family, f"{family}{i}", chosen, matrices, both, rng, elements))
    return nodes


def run(nodes, background, settings, arguments) -> dict:
    """Motifs of the nodes."""
    named = [(node.name, node.sequences) for node in nodes]
    return discover_many(named, background, settings, arguments.seed, arguments.threads)


def report(cell: str, family: str, nodes, background, settings, arguments) -> None:
    """Discover and print one row."""
    start = time.process_time()
    found = run(nodes, background, settings, arguments)
    cpu_s = (time.process_time() - start) / max(len(nodes), 1)
    both = settings.strand == "both"
    r = [
        max((simulated.aligned_correlation(m.matrix, matrix, both) for m in found[node.name]), default=0.0)
        for node in nodes
        for matrix in node.planted
    ]
    ceiling = [
        float(np.corrcoef(sites.ravel(), matrix.ravel())[0, 1])
        for node in nodes
        for sites, matrix in zip(node.sites, node.planted, strict=True)
    ]
    quality = " | | "
    if r:
        quality = f"{np.mean(r):.3f} | {np.mean(ceiling):.3f} | {np.mean(np.array(r) > 0.85):.2f}"
    significant = sum(any(m.log10_e < np.log10(0.05) for m in found[node.name]) for node in nodes)
    share = f"{significant / max(len(nodes), 1):.2f}"
    print(f"| {cell} | {family} | {len(nodes)} | {quality} | {share} | {cpu_s:.3f} |", flush=True)


if __name__ == "__main__":
    main()
