"""The nearest nodes of each node: by decoder direction, and by the loci at which they fire.

All pairs are compared, block by block; nothing of nodes x nodes is held. Values are rounded before they are
compared, and of equal ones the node of lower rank goes first, so that last bits of a product decide nothing.
Cosine and Jaccard index over loci are of the matrix of ``landscape.loci``, as in jaccard.tsv (which leaves
out pairs below ``landscape.min_jaccard``).

Floor: 2 x nodes^2 x channels operations, and a look at nodes^2 values of each kind.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import numpy as np
from scipy import sparse

from biosae.cli import progress

MOST = 10  # neighbours of each kind
_SCALE = 100_000  # values to 5 decimals
_BLOCK_VALUES = 2**23  # of nodes x nodes that are held at once, 4 bytes each and a few copies

Neighbours = list[list[list]]  # of each node: [row, value], nearest first


def decoder_neighbours(directions: np.ndarray) -> Neighbours:
    """By cosine; ``directions`` (n, channels) are of length 1 or 0."""
    n, found = len(directions), []
    for rows in _blocks(n, "decoder neighbours"):
        whole = _as_whole(directions[rows] @ directions.T)
        whole[np.arange(len(whole)), rows.start + np.arange(len(whole))] = 0
        least = np.partition(whole, n - MOST, axis=1)[:, n - MOST] if n > MOST else np.zeros(len(whole))
        for values, limit in zip(whole, np.maximum(least, 1), strict=True):
            columns = np.flatnonzero(values >= limit)
            found.append(_nearest(columns, values[columns]))
    return found


def locus_neighbours(incidence: sparse.csr_array) -> tuple[Neighbours, Neighbours]:
    """By co-activation (cosine) and by Jaccard index, of ``incidence`` (n, loci), zeros and ones."""
    n = incidence.shape[0]
    loci = np.asarray(incidence.sum(axis=1), dtype=np.float64)
    across = incidence.T.tocsr()
    found: tuple[Neighbours, Neighbours] = ([], [])
    for rows in _blocks(n, "locus neighbours"):
        shared = sparse.csr_array(incidence[rows] @ across)
        shared.sort_indices()
        for row, (low, high) in enumerate(pairwise(shared.indptr), rows.start):
            columns, both = shared.indices[low:high], shared.data[low:high]
            columns, both = columns[columns != row], both[columns != row]
            cosine = both / np.sqrt(loci[row] * loci[columns])
            union = loci[row] + loci[columns] - both
            for kind, values in zip(found, (cosine, both / union), strict=True):
                kind.append(_nearest(columns, _as_whole(values)))
    return found


def _blocks(n: int, what: str) -> Iterable[slice]:
    """All rows, so many at once that a block of them has room."""
    size = max(1, _BLOCK_VALUES // max(n, 1))
    starts = progress(range(0, n, size), what=what, unit="block")
    return (slice(low, min(low + size, n)) for low in starts)


def _as_whole(values: np.ndarray) -> np.ndarray:
    return np.rint(values * _SCALE).astype(np.int32)


def _nearest(columns: np.ndarray, whole: np.ndarray) -> list[list]:
    """The largest positive values, of equal ones the lower column first; ``columns`` ascend."""
    order = np.argsort(-whole, kind="stable")[:MOST]
    return [[int(columns[at]), int(whole[at]) / _SCALE] for at in order if whole[at] > 0]
