"""Similarity of two motifs over the union of their columns, and many motifs laid over one another.

A motif is its deviations from 1/4, a missing column is flat. The similarity of two motifs in an alignment is
Pearson's correlation over all columns that either covers: since the deviations of a column sum to 0, the
cosine of the two matrices. Columns count by their information, and a half motif does not equal a whole one;
a mean of column correlations has neither property. (The same idea as the normalised correlation of RSAT
matrix-clustering, Castro-Mondragon et al., Nucleic Acids Res. 45:e119, 2017, which multiplies by the share of
columns that overlap.) The best alignment over all offsets and both strands is taken.

Cost of a pair: 2 strands x (w + v) offsets x about w/2 columns of 4 multiplications, 2 microseconds at 10 bp.
The kernels are compiled at first use and cached (``NUMBA_CACHE_DIR``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit

MIN_OVERLAP = 4  # columns, or the width of the narrower motif: two columns that fit are no alignment
PASSES = 3  # times that all motifs are laid over their mean; the first lays them over the seed
DIGITS = 6  # of an averaged matrix: what MEME files hold
_TIE = 1e-12  # alignments closer than this are equal; the first, on the strand as read, is taken


@dataclass(frozen=True)
class Pile:
    """Motifs laid over one another.

    Attributes:
        matrix: (width, 4) mean of the motifs that cover a column, weighted.
        offsets: (n,) columns by which each motif starts after the matrix's start.
        reverse: (n,) bool, the motif is read as its reverse complement.
        correlation: (n,) similarity of each motif to the matrix.
    """

    matrix: np.ndarray
    offsets: np.ndarray
    reverse: np.ndarray
    correlation: np.ndarray


def deviations(matrix: np.ndarray) -> np.ndarray:
    """(w, 4) probabilities less 1/4, each column's sum 0."""
    return np.ascontiguousarray(matrix / matrix.sum(axis=1, keepdims=True) - 0.25)


def canonical(matrix: np.ndarray) -> tuple[np.ndarray, bool]:
    """Of a matrix and its reverse complement the one that comes first, and whether that is the latter.

    First is the one with more A where the two differ first (then more C, G).
    """
    turned = matrix[::-1, ::-1]
    flip = tuple(turned.ravel()) > tuple(matrix.ravel())
    return np.ascontiguousarray(turned if flip else matrix), flip


def pack(matrices: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Deviations of all motifs, each scaled to length 1, below one another (columns, 4); starts (n + 1,)."""
    starts = np.cumsum([0, *(len(matrix) for matrix in matrices)]).astype(np.int64)
    columns = np.zeros((starts[-1], 4))
    for i, matrix in enumerate(matrices):
        values = deviations(matrix)
        length = np.linalg.norm(values)
        columns[starts[i] : starts[i + 1]] = values / length if length > _TIE else 0.0
    return columns, starts


@njit(cache=True, nogil=True)
def align(query, target):
    """Best (cosine, offset, reverse) of a query (w, 4) on a target (v, 4), both scaled to length 1.

    offset: columns by which the query starts after the target's start; reverse: 1 where the query is read as
    its reverse complement.
    """
    w, v = query.shape[0], target.shape[0]
    fewest = min(MIN_OVERLAP, w, v)
    best, at, strand = -2.0, 0, 0
    for reverse in range(2):
        for offset in range(fewest - w, v - fewest + 1):
            total = 0.0
            for t in range(max(0, offset), min(v, offset + w)):
                k = t - offset
                if reverse:
                    k = w - 1 - k
                    total += query[k, 3] * target[t, 0] + query[k, 2] * target[t, 1]
                    total += query[k, 1] * target[t, 2] + query[k, 0] * target[t, 3]
                else:
                    total += query[k, 0] * target[t, 0] + query[k, 1] * target[t, 1]
                    total += query[k, 2] * target[t, 2] + query[k, 3] * target[t, 3]
            if total > best + _TIE:
                best, at, strand = total, offset, reverse
    return best, at, strand


@njit(cache=True, nogil=True)
def similarities(columns, starts, first, second):
    """Similarity of the packed motifs ``first[k]`` and ``second[k]``, (k,)."""
    out = np.empty(len(first))
    for k in range(len(first)):
        i, j = first[k], second[k]
        out[k] = align(columns[starts[i] : starts[i + 1]], columns[starts[j] : starts[j + 1]])[0]
    return out


@njit(cache=True, nogil=True)
def leaders(columns, starts, least):
    """(n,) each packed motif's leader: itself, or the most similar earlier leader if similar by ``least``."""
    n = len(starts) - 1
    leader, found, n_found = np.empty(n, np.int64), np.empty(n, np.int64), 0
    for i in range(n):
        own, best, at = columns[starts[i] : starts[i + 1]], least, i
        for k in range(n_found):
            j = found[k]
            value = align(own, columns[starts[j] : starts[j + 1]])[0]
            if value > best + _TIE:
                best, at = value, j
        leader[i] = at
        if at == i:
            found[n_found] = i
            n_found += 1
    return leader


def pile(matrices: Sequence[np.ndarray], weights: np.ndarray) -> Pile:
    """Lay motifs over the first of them, then over their mean; the mean is in canonical orientation.

    Columns at the ends that less than half of the weight covers are cut off. The order of the motifs decides
    the order of sums: callers sort them.
    """
    forward = [deviations(matrix) for matrix in matrices]
    profile = forward[0]
    for _ in range(PASSES):
        placed = [align(values, profile) for values in forward]
        first = min(offset for _, offset, _ in placed)
        offsets = np.array([offset - first for _, offset, _ in placed])
        reverse = np.array([strand == 1 for _, _, strand in placed])
        sums, covered = _overlay(forward, offsets, reverse, weights)
        profile = sums / weights.sum()  # columns count by how many motifs cover them
    wide = np.flatnonzero(covered >= min(0.5 * weights.sum(), covered.max()))
    low, high = wide[0], wide[-1] + 1
    matrix = 0.25 + sums[low:high] / covered[low:high, None]
    matrix, flip = canonical(np.round(matrix, DIGITS))
    offsets -= low
    if flip:
        offsets = np.array([len(matrix) - at - len(m) for at, m in zip(offsets, matrices, strict=True)])
        reverse = ~reverse
    return Pile(matrix, offsets, reverse, _correlations(forward, offsets, reverse, matrix))


def _overlay(forward, offsets, reverse, weights) -> tuple[np.ndarray, np.ndarray]:
    """Weighted sum of the deviations (width, 4) and weight of each column (width,)."""
    width = max(at + len(values) for at, values in zip(offsets, forward, strict=True))
    sums, covered = np.zeros((width, 4)), np.zeros(width)
    for values, at, turned, weight in zip(forward, offsets, reverse, weights, strict=True):
        sums[at : at + len(values)] += weight * (values[::-1, ::-1] if turned else values)
        covered[at : at + len(values)] += weight
    return sums, covered


def _correlations(forward, offsets, reverse, matrix) -> np.ndarray:
    """(n,) similarity of each motif, as placed, to the matrix."""
    target, out = deviations(matrix), np.zeros(len(forward))
    for i, (values, at, turned) in enumerate(zip(forward, offsets, reverse, strict=True)):
        low, high = max(0, at), min(len(target), at + len(values))
        read = values[::-1, ::-1] if turned else values
        length = np.linalg.norm(values) * np.linalg.norm(target)
        if length > _TIE and high > low:
            out[i] = (read[low - at : high - at] * target[low:high]).sum() / length
    return np.clip(out, -1.0, 1.0)
