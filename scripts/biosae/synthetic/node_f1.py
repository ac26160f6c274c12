"""F1 of every node with every detector at the node's best threshold, in time that does not grow with both.

True positives are counted only at activations on which the detector fires: lowering the threshold over
anything else lowers F1.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from scipy.sparse import csr_matrix


def by_node(rows: np.ndarray, nodes: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, ...]:
    """The same activations (m,) sorted by node, falling value and row: rows, nodes, values."""
    order = np.argsort(rows, kind="stable") if (rows[1:] < rows[:-1]).any() else np.arange(len(rows))
    # a stable sort of 16-bit numbers counts, where one of all three keys compares
    small = nodes.astype(np.uint16) if nodes.max(initial=0) < 2**16 else nodes
    order = order[np.argsort(small[order], kind="stable")]
    edges = np.append(np.flatnonzero(np.diff(nodes[order], prepend=-1)), len(order))
    for first, last in pairwise(edges):
        own = order[first:last]
        order[first:last] = own[np.argsort(-values[own], kind="stable")]
    return rows[order], nodes[order], values[order]


def best_f1(
    rows: np.ndarray, nodes: np.ndarray, values: np.ndarray, kept: np.ndarray, truth: csr_matrix
) -> tuple[np.ndarray, np.ndarray]:
    """F1 of every kept node with every detector at the node's best threshold.

    Args:
        rows, nodes, values: (m,) non-zero activations of a whole store, in the order of ``by_node``.
        kept: (n,) node numbers.
        truth: (rows, n_detectors) bool.

    Returns:
        f1 and threshold (the node is active where its activation is >= it; infinite where no activation
        lies on a firing), each (n, n_detectors).
    """
    f1 = np.zeros((len(kept), truth.shape[1]))
    threshold = np.full(f1.shape, np.inf)
    fires = np.asarray(truth.sum(axis=0), dtype=np.float64).ravel()
    firing_rows = np.diff(truth.indptr) > 0
    edges = np.searchsorted(nodes, np.stack([kept, kept + 1]))
    for i, (first, last) in enumerate(edges.T):
        own_rows = rows[first:last]
        at = np.flatnonzero(firing_rows[own_rows])
        if len(at):
            hits = truth[own_rows[at]]
            _best_of_node(values[first:last], at, hits, fires, f1[i], threshold[i])
    return f1, threshold


def _best_of_node(
    values: np.ndarray,
    at: np.ndarray,
    hits: csr_matrix,
    fires: np.ndarray,
    f1: np.ndarray,
    threshold: np.ndarray,
) -> None:
    """Fill ``f1`` and ``threshold`` (n_detectors,) of a node.

    Args:
        values: (m,) its activations, falling.
        at: (h,) which of them lie on rows on which any detector fires, increasing.
        hits: (h, n_detectors) what fires there.
    """
    # of equal activations all are above a threshold or none: each counts as the last of its equals
    ends = np.searchsorted(-values, -values[at], side="right")
    by_detector = hits.tocsc()
    by_detector.sort_indices()
    place = by_detector.indices  # in ``at``, increasing within each detector
    counts = np.diff(by_detector.indptr)
    detector = np.repeat(np.arange(len(counts)), counts)
    true_positive = np.arange(1, len(place) + 1) - by_detector.indptr[detector]
    # the earlier of equals that fire count too few true positives: the last of them has the larger F1
    scores = 2 * true_positive / (ends[place] + fires[detector])
    order = np.lexsort((place, -scores, detector))
    best = order[np.searchsorted(detector[order], np.flatnonzero(counts))]
    f1[detector[best]], threshold[detector[best]] = scores[best], values[at[place[best]]]
