"""TopK of a block of rows: the highest value k times, against counting by bits, where each is used.

    PYTHONPATH=scripts python tests/benchmarks/selecting.py [--nodes 192 608 1024 2432] [--k 1 2 3]

``selection_kernels.top_few_rows`` and ``top_many_rows`` choose the same nodes (tests); each in turn, medians,
one thread. ``top_rows`` says which is taken for which size.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from biosae import selection_kernels

ROWS = 1024  # a step's
KERNELS = ("top_few_rows", "top_many_rows")


def arguments_of(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--nodes", type=int, nargs="+", default=[192, 608, 1024, 2432], help="nodes (default 192 to 2,432)")
    add("--k", type=int, nargs="+", default=[1, 2, 3, 6, 8], help="active nodes a position (default 1 to 8)")
    add("--rounds", type=int, default=9, help="rounds, after one that is not counted (default 9)")
    return parser.parse_args(argv)


def measure(nodes: int, k: int, rounds: int) -> dict[str, float]:
    """Kernel -> median microseconds for ROWS rows of random pre-activations."""
    values = np.random.default_rng(0).standard_normal((ROWS, nodes)).astype(np.float32)
    bits = values.view(np.int32)
    chosen, out = np.empty((ROWS, k), np.int32), np.empty((ROWS, k), np.int32)
    counts = np.empty(ROWS, np.int64)
    seen: dict[str, list[float]] = {kernel: [] for kernel in KERNELS}
    for turn in range(rounds + 1):
        for kernel in KERNELS:
            started = time.perf_counter()
            getattr(selection_kernels, kernel)(bits, k, chosen, out, counts)
            if turn:
                seen[kernel].append(1e6 * (time.perf_counter() - started))
    return {kernel: statistics.median(times) for kernel, times in seen.items()}


def main() -> None:
    """Measure and print."""
    arguments = arguments_of()
    print("| nodes | k | few us | many us | many / few |\n|---|---|---|---|---|")
    for nodes in arguments.nodes:
        for k in arguments.k:
            few, many = measure(nodes, k, arguments.rounds).values()
            print(f"| {nodes:,} | {k} | {few:.0f} | {many:.0f} | {many / few:.2f} |")


if __name__ == "__main__":
    main()
