"""Shared by the motif tests: literal matrices, random sequences, planting, and the aligned correlation."""

from __future__ import annotations

import numpy as np

from benchmarks.simulate_motifs import aligned_correlation, markov_windows, plant

__all__ = ["aligned_correlation", "markov_windows", "plant", "same", "sets", "uniform"]

STRONG = np.array(
    [
        [0.70, 0.10, 0.15, 0.05],
        [0.02, 0.01, 0.01, 0.96],
        [0.01, 0.01, 0.97, 0.01],
        [0.97, 0.01, 0.01, 0.01],
        [0.02, 0.60, 0.36, 0.02],
        [0.01, 0.01, 0.01, 0.97],
        [0.01, 0.96, 0.01, 0.02],
        [0.96, 0.01, 0.02, 0.01],
        [0.05, 0.25, 0.10, 0.60],
    ]
)
MEDIUM = np.array(
    [
        [0.15, 0.05, 0.10, 0.70],
        [0.05, 0.05, 0.85, 0.05],
        [0.10, 0.05, 0.15, 0.70],
        [0.05, 0.05, 0.05, 0.85],
        [0.05, 0.05, 0.05, 0.85],
        [0.75, 0.05, 0.15, 0.05],
        [0.05, 0.85, 0.05, 0.05],
        [0.10, 0.45, 0.05, 0.40],
        [0.05, 0.10, 0.05, 0.80],
        [0.05, 0.10, 0.05, 0.80],
    ]
)
WEAK = np.array(
    [
        [0.60, 0.10, 0.20, 0.10],
        [0.10, 0.60, 0.15, 0.15],
        [0.10, 0.80, 0.05, 0.05],
        [0.05, 0.05, 0.85, 0.05],
        [0.10, 0.10, 0.75, 0.05],
        [0.70, 0.05, 0.15, 0.10],
        [0.70, 0.10, 0.10, 0.10],
        [0.15, 0.10, 0.65, 0.10],
    ]
)


def uniform(n: int, length: int, rng: np.random.Generator) -> list[str]:
    """Random sequences of equal bases."""
    return ["".join(row) for row in np.array(list("ACGT"))[rng.integers(4, size=(n, length))]]


def sets(seed: int, n_nodes: int, n: int, n_background: int = 4000) -> tuple[list[list[str]], list[str]]:
    """Sets of windows of one AT-rich order-2 chain, and background windows of the same chain."""
    windows = markov_windows(42, n_background + n_nodes * n, np.random.default_rng(seed))
    chunks = [windows[n_background + i * n : n_background + (i + 1) * n] for i in range(n_nodes)]
    return chunks, windows[:n_background]


def same(first, second) -> bool:
    """Two lists of motifs, bit for bit."""
    return len(first) == len(second) and all(
        (a.matrix == b.matrix).all()
        and a.held_out == b.held_out
        and a.llr == b.llr
        and a.n_sites == b.n_sites
        for a, b in zip(first, second, strict=True)
    )
