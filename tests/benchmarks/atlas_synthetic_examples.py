"""Made-up examples of made-up nodes, for ``atlas_synthetic``: half of them carry the node's motif."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from biosae import examples as real

CHROM_BP = 120_000_000  # of every chromosome
SHARES = (0.5, 0.1, 0.1, 0.1, 0.1, 0.1)  # of a node's examples, by band
LEVELS = (1.0, 0.62, 0.37, 0.12, 0.3, 0.0)  # mean activation of a band, as a share of the maximum
BEST_SCORE = 900
NO_PLACE = -(2**15)


def made_up_examples(
    kept: pd.DataFrame,
    matrices: list[np.ndarray | None],
    each: int,
    geometry: tuple[int, int],
    chroms: list[str],
    rng: np.random.Generator,
) -> tuple[real.Examples, np.ndarray, np.ndarray]:
    """Examples, their letters and the activation of each base, (n, window_bp) both.

    Args:
        kept: rank and node.
        matrices: of the best motif of each node, None without one.
        each: examples a node; half of them are of the top band.
        geometry: (window_bp, stride_bp).
    """
    window_bp, stride_bp = geometry
    sizes = [max(1, round(share * each)) for share in SHARES]
    of_node, n = sum(sizes), sum(sizes) * len(kept)
    band = np.tile(np.repeat(np.arange(len(SHARES)), sizes), len(kept))
    node = np.repeat(np.arange(len(kept)), of_node)
    highest = 30 / np.sqrt(1 + node)
    peak = (np.array(LEVELS)[band] * highest * rng.uniform(0.8, 1.2, n)).astype(np.float32)
    peak = peak[np.lexsort((-peak, band, node))]
    widths = np.array([0 if matrix is None else len(matrix) for matrix in matrices], dtype=np.int64)
    fits = ((widths > 0) & (widths <= window_bp))[node]
    at = np.where(fits, rng.integers(0, np.maximum(window_bp - widths, 0)[node] + 1), NO_PLACE)
    carries = fits & (rng.random(n) < np.where(band == 0, 0.8, 0.4))
    sequence = rng.integers(0, 4, (n, window_bp), dtype=np.uint8)
    for row in np.flatnonzero(carries):
        matrix = matrices[node[row]]
        sequence[row, at[row] : at[row] + len(matrix)] = matrix.argmax(axis=1)
    columns = {"band": band, "chrom": rng.integers(0, len(chroms), n), "peak": peak, "motif_at": at}
    columns |= {"start": rng.integers(0, CHROM_BP // 4, n) * 4, "motif_strand": np.zeros(n)}
    columns["motif_score"] = np.where(carries, rng.integers(700, BEST_SCORE + 1, n), np.where(fits, -300, 0))
    columns["has_motif"] = np.where(widths[node] == 0, real.NO_MOTIF, carries)
    best = np.where(widths > 0, BEST_SCORE, 0).astype(np.int32)
    of = kept["node"].to_numpy(np.int32), kept["rank"].to_numpy(np.int32), of_node * np.arange(len(kept) + 1)
    made = real.Examples(*of, columns, best, list(chroms), window_bp, stride_bp)
    return made, sequence, activations(peak, window_bp, stride_bp, rng)


def activations(peak: np.ndarray, window_bp: int, stride_bp: int, rng: np.random.Generator) -> np.ndarray:
    """(n, window_bp) float32: the peak in the middle, less beside it, mostly 0 beyond."""
    positions = -(-window_bp // stride_bp)
    distance = np.abs(np.arange(positions) - positions // 2)
    chance = np.where(distance == 1, 0.6, np.where(distance == 2, 0.2, 0.04))
    shape = (len(peak), positions)
    found = np.where(rng.random(shape) < chance, rng.uniform(0.1, 0.9, shape), 0).astype(np.float32)
    found[:, positions // 2] = 1
    return np.repeat(found * peak[:, None], stride_bp, axis=1)[:, :window_bp]


def write_examples(path: Path, made: tuple[real.Examples, np.ndarray, np.ndarray]) -> None:
    """Write examples.h5."""
    found, sequence, activation = made
    path.parent.mkdir(parents=True, exist_ok=True)
    real.write_examples(
        path, found, lambda low, high: (sequence[low:high], activation[low:high]), {"program": "made up"}
    )
