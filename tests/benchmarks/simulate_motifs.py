"""Simulated nodes for the motif benchmark: planted JASPAR matrices on real or random background, and nulls.

Families: ``strong``, ``medium``, ``weak`` (one matrix), ``dual`` (two, in one half of the seqlets each),
``repeat`` (mutated pieces of one element in three of ten), ``lowcomplexity`` (A runs and CA repeats in half
of the seqlets), ``null``. A planted site lies anywhere in the window, on either strand when asked.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path

import numpy as np

FAMILIES = ("strong", "medium", "weak", "dual", "repeat", "lowcomplexity", "null")
BITS = {
    "strong": (14.0, 30.0),
    "medium": (10.0, 14.0),
    "weak": (7.5, 10.0),
}  # information of the matrices drawn
RATES = {"strong": 0.6, "medium": 0.4, "weak": 0.4}  # share of the seqlets with a site
LETTERS = np.array(list("ACGT"))


@dataclass(frozen=True)
class SimulatedNode:
    """Sequences of one node, the planted matrices (w, 4) and the family."""

    name: str
    family: str
    sequences: list[str]
    planted: list[np.ndarray]


def read_matrices(path: Path) -> list[np.ndarray]:
    """Matrices of a MEME text file (w, 4)."""
    matrices: list[list[list[float]]] = []
    reading = False
    for line in path.read_text().splitlines():
        fields = line.split()
        if line.startswith("letter-probability"):
            matrices.append([])
            reading = True
        elif reading and len(fields) == 4:
            matrices[-1].append([float(x) for x in fields])
        else:
            reading = False
    return [np.array(m) / np.array(m).sum(axis=1, keepdims=True) for m in matrices]


def information(matrix: np.ndarray) -> float:
    """Bits against uniform bases, all columns."""
    return float((matrix * np.log2(np.maximum(matrix, 1e-9) * 4)).sum())


def genome_windows(path: Path, length: int) -> list[str]:
    """All windows of a gzipped FASTA side by side (none overlap), those with N left out; case kept."""
    with gzip.open(path, "rt") as handle:
        text = "".join(line.strip() for line in handle if not line.startswith(">"))
    windows = (text[start : start + length] for start in range(0, len(text) - length + 1, length))
    return [window for window in windows if "N" not in window.upper()]


def markov_windows(length: int, n: int, rng: np.random.Generator, at_share: float = 0.6) -> list[str]:
    """Windows of an order-2 chain whose rows are drawn once from a Dirichlet around the composition."""
    base = np.array([at_share, 1 - at_share, 1 - at_share, at_share]) / 2
    cumulative = rng.dirichlet(base * 40, size=16).cumsum(axis=1)
    codes = rng.integers(4, size=(n, 2 + length))
    draws = rng.random((n, length))
    for i in range(length):
        rows = cumulative[codes[:, i] * 4 + codes[:, i + 1]]
        codes[:, i + 2] = np.minimum((draws[:, i, None] > rows).sum(axis=1), 3)
    return ["".join(row) for row in LETTERS[codes[:, 2:]]]


def plant(
    windows: list[str], matrix: np.ndarray, rate: float, both_strands: bool, rng: np.random.Generator
) -> list[str]:
    """Write a drawn site over a random place of a share of the windows."""
    out = []
    cumulative = matrix.cumsum(axis=1)
    for window in windows:
        if rng.random() < rate and len(window) >= len(matrix):
            site = np.minimum((rng.random(len(matrix))[:, None] > cumulative).sum(axis=1), 3)
            if both_strands and rng.random() < 0.5:
                site = 3 - site[::-1]
            at = int(rng.integers(len(window) - len(matrix) + 1))
            window = window[:at] + "".join(LETTERS[site]) + window[at + len(matrix) :]
        out.append(window)
    return out


def draw_matrix(
    matrices: list[np.ndarray], family: str, max_width: int, rng: np.random.Generator
) -> np.ndarray:
    """A matrix of the family's information, at most ``max_width`` bp."""
    low, high = BITS[family]
    fit = [m for m in matrices if low <= information(m) < high and len(m) <= max_width]
    return fit[int(rng.integers(len(fit)))]


def simulate(
    family: str,
    name: str,
    windows: list[str],
    matrices: list[np.ndarray],
    both_strands: bool,
    rng: np.random.Generator,
) -> SimulatedNode:
    """One node on the given windows."""
    if family in BITS:
        matrix = draw_matrix(matrices, family, 20, rng)
        return SimulatedNode(name, family, plant(windows, matrix, RATES[family], both_strands, rng), [matrix])
    if family == "dual":
        first, second = (draw_matrix(matrices, kind, 16, rng) for kind in ("strong", "medium"))
        half = len(windows) // 2
        planted = plant(windows[:half], first, 0.8, both_strands, rng)
        planted += plant(windows[half:], second, 0.8, both_strands, rng)
        return SimulatedNode(name, family, planted, [first, second])
    if family == "repeat":
        element = rng.integers(4, size=300)
        return SimulatedNode(name, family, [_with_repeat(w, element, rng) for w in windows], [])
    if family == "lowcomplexity":
        return SimulatedNode(name, family, decoys(windows, rng), [])
    return SimulatedNode(name, family, list(windows), [])


def decoys(windows: list[str], rng: np.random.Generator) -> list[str]:
    """A runs and CA repeats in half of the windows (to be used on controls alike)."""
    out = []
    for window in windows:
        if rng.random() < 0.5:
            length = int(rng.integers(8, 16))
            at = int(rng.integers(len(window) - length + 1))
            text = ("A" * length) if rng.random() < 0.5 else ("CA" * length)[:length]
            window = window[:at] + text + window[at + length :]
        out.append(window)
    return out


def _with_repeat(window: str, element: np.ndarray, rng: np.random.Generator) -> str:
    """The window, or (three in ten) a 15 % mutated piece of the element in its place."""
    if rng.random() >= 0.3:
        return window
    at = int(rng.integers(len(element) - len(window) + 1))
    piece = element[at : at + len(window)].copy()
    changed = rng.random(len(piece)) < 0.15
    piece[changed] = rng.integers(4, size=int(changed.sum()))
    return "".join(LETTERS[piece])


def aligned_correlation(found: np.ndarray, planted: np.ndarray, both_strands: bool = True) -> float:
    """Best Pearson r over offsets (and strands); planted columns without a partner meet 0.25."""
    best = -1.0
    for matrix in (found, found[::-1, ::-1]) if both_strands else (found,):
        for offset in range(1 - len(matrix), len(planted)):
            other = np.full(planted.shape, 0.25)
            low, high = max(0, offset), min(len(planted), offset + len(matrix))
            other[low:high] = matrix[low - offset : high - offset]
            if other.std() > 0:
                best = max(best, float(np.corrcoef(other.ravel(), planted.ravel())[0, 1]))
    return best
