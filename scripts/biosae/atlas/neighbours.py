"""The nearest nodes of each node: by decoder direction, and by the loci at which they fire.

All pairs are compared, block by block; nothing of nodes x nodes is held. Values are rounded before they are
compared, and of equal ones the node of lower rank goes first, so that last bits of a product decide nothing.
Cosine and Jaccard index over loci are of the matrix of ``landscape.loci``, as in jaccard.tsv (which leaves
out pairs below ``landscape.min_jaccard``).

Floor: 2 x nodes^2 x channels operations, and a look at nodes^2 values of each kind.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import sparse

from biosae.cli import progress

MOST = 10  # neighbours of each kind
DECIMALS = 5
_BLOCK_VALUES = 2**23  # of nodes x nodes that are held at once, 4 bytes each and a few copies

Neighbours = list[list[list]]  # of each node: [row, value], nearest first


def nearest(values: np.ndarray, first: int, most: int = MOST) -> Neighbours:
    """The largest positive values of each row, the node itself left out.

    Args:
        values: (b, n) similarity of the nodes first, first + 1, … to all nodes.
        first: row of the first of them.
    """
    scale = 10**DECIMALS
    whole = np.rint(values * scale).astype(np.int32)
    whole[np.arange(len(whole)), first + np.arange(len(whole))] = 0
    n = whole.shape[1]
    least = np.partition(whole, n - most, axis=1)[:, n - most] if n > most else np.zeros(len(whole), np.int32)
    found = []
    for row, limit in zip(whole, np.maximum(least, 1), strict=True):
        columns = np.flatnonzero(row >= limit)
        columns = columns[np.argsort(-row[columns], kind="stable")][:most]
        found.append([[int(column), int(row[column]) / scale] for column in columns])
    return found


def _in_blocks(n: int, what: str, compare: Callable[[slice], tuple[np.ndarray, ...]]) -> list[Neighbours]:
    """``nearest`` of every kind of similarity that ``compare`` gives for a block of rows."""
    size = max(1, _BLOCK_VALUES // max(n, 1))
    parts = []
    for low in progress(range(0, n, size), what=what, unit="block"):
        parts.append([nearest(values, low) for values in compare(slice(low, low + size))])
    return [[row for part in kind for row in part] for kind in zip(*parts, strict=True)]


def decoder_neighbours(directions: np.ndarray) -> Neighbours:
    """By cosine; ``directions`` (n, channels) are of length 1 or 0."""
    if not len(directions):
        return []
    (found,) = _in_blocks(
        len(directions), "decoder neighbours", lambda rows: (directions[rows] @ directions.T,)
    )
    return found


def locus_neighbours(incidence: sparse.csr_array) -> tuple[Neighbours, Neighbours]:
    """By co-activation (cosine) and by Jaccard index, of ``incidence`` (n, loci), zeros and ones."""
    n = incidence.shape[0]
    if not n:
        return [], []
    loci = np.asarray(incidence.sum(axis=1), dtype=np.float32)
    across = incidence.T.tocsr()

    def compare(rows: slice) -> tuple[np.ndarray, np.ndarray]:
        shared = (incidence[rows] @ across).toarray().astype(np.float32)
        own = loci[rows, None]
        root = np.sqrt(np.maximum(own * loci, 1))
        return shared / root, shared / np.maximum(own + loci - shared, 1)

    coactivation, jaccard = _in_blocks(n, "locus neighbours", compare)
    return coactivation, jaccard
