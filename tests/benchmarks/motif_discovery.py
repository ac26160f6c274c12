"""Benchmark of the batched engine on simulated nodes. From the root of the repository:

    PYTHONPATH=scripts python tests/benchmarks/motif_discovery.py \\
        --database JASPAR.meme --genome genome.fa.gz --seqlets 250 1000 --repeats 6

Prints per size and family: mean r of the best motif with each planted matrix (planted columns that were not
found count as 0.25), hit rate (r > 0.85), share of nodes with a motif at E < 0.05, CPU-seconds a node after
compilation. Without ``--genome`` windows come from a random order-2 chain.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import simulate_motifs as simulated

from biosae.motifs.batched import DiscoverySettings, discover_many

BACKGROUND = 20000  # background windows of a run, as write_seqlets makes by default


def main() -> None:
    """Run the families at each size."""
    arguments = parse()
    settings = DiscoverySettings(strand=arguments.strand)
    matrices = simulated.read_matrices(arguments.database)
    warmed = False
    print("seqlets\tfamily\tnodes\tmean_r\thit_rate\tsignificant\tcpu_s_a_node")
    for size in arguments.seqlets:
        rng = np.random.default_rng(arguments.seed)
        nodes, background = make_nodes(arguments, size, matrices, rng)
        if not warmed:
            discover_many([(nodes[0].name, nodes[0].sequences)], background, settings, 0)
            warmed = True
        for family in simulated.FAMILIES:
            report(size, family, [node for node in nodes if node.family == family], background, settings)


def parse() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--database", type=Path, required=True, help="MEME file of matrices to plant")
    parser.add_argument("--genome", type=Path, help="gzipped FASTA for windows")
    parser.add_argument("--seqlets", type=int, nargs="+", default=[250, 1000])
    parser.add_argument("--length", type=int, default=42, help="bp")
    parser.add_argument("--repeats", type=int, default=6, help="nodes a family")
    parser.add_argument("--nulls", type=int, default=30, help="null nodes")
    parser.add_argument("--strand", choices=("given", "both"), default="both")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def make_nodes(arguments, size, matrices, rng) -> tuple[list[simulated.SimulatedNode], list[str]]:
    """Nodes of all families and background windows: of one genome (or chain), no window in both."""
    counts = {f: arguments.nulls if f == "null" else arguments.repeats for f in simulated.FAMILIES}
    if arguments.genome:
        windows = simulated.genome_windows(arguments.genome, arguments.length)
    else:
        windows = simulated.markov_windows(arguments.length, BACKGROUND + 10 * size, rng)
    order = rng.permutation(len(windows))
    background, rest = [windows[i] for i in order[:BACKGROUND]], order[BACKGROUND:]
    both, nodes = arguments.strand == "both", []
    for family, count in counts.items():
        for i in range(count):
            chosen = [windows[k] for k in rng.choice(rest, size, replace=False)]
            nodes.append(simulated.simulate(family, f"{family}{i}", chosen, matrices, both, rng))
    return nodes, background


def report(size, family, nodes, background, settings) -> None:
    """Discover and print one line."""
    start = time.process_time()
    found = discover_many([(node.name, node.sequences) for node in nodes], background, settings, 0)
    cpu_s = (time.process_time() - start) / len(nodes)
    both = settings.strand == "both"
    r = [
        max((simulated.aligned_correlation(m.matrix, matrix, both) for m in found[node.name]), default=0.0)
        for node in nodes
        for matrix in node.planted
    ]
    significant = np.mean([any(m.log10_e < np.log10(0.05) for m in found[node.name]) for node in nodes])
    quality = f"{np.mean(r):.3f}\t{np.mean(np.array(r) > 0.85):.2f}" if r else "\t"
    print(f"{size}\t{family}\t{len(nodes)}\t{quality}\t{significant:.2f}\t{cpu_s:.3f}", flush=True)


if __name__ == "__main__":
    main()
