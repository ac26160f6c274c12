"""How detectors are shared out over nodes: splitting, merging and absorption.

A node is *active* where its activation is at or above its threshold for its *own* detector, the one with
which it has the highest F1; it has none where it shares no position with any. A node *serves* its own
detector if that fires on at least SERVES_PRECISION of the node's active positions and the node is active on
at least SERVES_RECALL of the detector's.

splitting
    Share of the scored detectors that two nodes or more serve.
merging
    Share of the nodes with an own detector that stand for two detectors or more: on at least MERGED_SHARE of
    the node's active positions the one fires and no other scored detector does, and likewise the other (so a
    pair and its first motif, which fire together, are not thereby merged). None where no node has one.
absorption
    Mean, over the detectors that a node serves, of the share of the detector's firings on which every node
    that serves it is silent while a node is active that does not serve it, but whose activity implies it: the
    detector fires on at least SERVES_PRECISION of that node's active positions. This is the event that
    Chanin et al. 2024 ("A is for Absorption", arXiv 2409.14507, section 3) call feature absorption: a
    general latent is silent on tokens that a more specific latent has taken over. They ask the specific
    latent's decoder for the general direction, since in a language model the feature's presence must itself
    be probed; here it is known where detectors fire. Both see the outcome, not whether sparsity or a bad fit
    brought it about. None where no detector is served.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix

SERVES_PRECISION = 0.5  # more often than not
SERVES_RECALL = 0.1  # smaller fragments are no share of a detector
MERGED_SHARE = 0.2


def split_and_merged(
    rows: np.ndarray, nodes: np.ndarray, values: np.ndarray, kept: np.ndarray, f1: np.ndarray,
    threshold: np.ndarray, truth: csr_matrix,
) -> tuple[dict[str, float | None], pd.DataFrame]:  # fmt: skip
    """Splitting, merging and absorption of a run (see the module's text).

    Args:
        rows, nodes, values: (m,) non-zero activations of a whole store, in any order.
        kept: (n,) node numbers, ascending.
        f1, threshold: (n, n_detectors) of ``scoring.best_f1``.
        truth: (rows, n_detectors) bool.

    Returns:
        The three figures, and per detector n_serving (nodes) and absorbed (share of its firings; missing
        where no node serves it).
    """
    n_detectors = truth.shape[1]
    if len(kept) == 0:
        nothing = pd.DataFrame({"n_serving": np.zeros(n_detectors, int), "absorbed": np.nan})
        return {"splitting": 0.0, "merging": None, "absorption": None}, nothing
    own = np.where(f1.max(axis=1) > 0, f1.argmax(axis=1), -1)
    active = _active(
        rows, nodes, values, kept, np.where(own >= 0, threshold[range(len(kept)), own], np.inf), truth
    )
    hits = truth.astype(np.int32)
    together = (active.T @ hits).toarray()  # (n, n_detectors) positions
    size = np.maximum(np.asarray(active.sum(axis=0)).ravel(), 1)[:, None]
    fires = np.asarray(hits.sum(axis=0)).ravel()
    implies = together / size >= SERVES_PRECISION
    is_own = own[:, None] == np.arange(n_detectors)
    serves = is_own & implies & (together >= SERVES_RECALL * np.maximum(fires, 1))
    absorbed = _absorbed(active, hits, fires, serves, implies)
    figures = {
        "splitting": float((serves.sum(axis=0) > 1).mean()),
        "merging": _merging(active, hits, size, own >= 0),
        "absorption": None if np.isnan(absorbed).all() else float(np.nanmean(absorbed)),
    }
    return figures, pd.DataFrame({"n_serving": serves.sum(axis=0), "absorbed": absorbed})


def _active(
    rows: np.ndarray, nodes: np.ndarray, values: np.ndarray, kept: np.ndarray, threshold: np.ndarray,
    truth: csr_matrix,
) -> csr_matrix:  # fmt: skip
    """(rows, n) int32: 1 where a kept node is at or above its threshold (n,)."""
    at = np.searchsorted(kept, nodes).clip(max=len(kept) - 1)
    counted = (kept[at] == nodes) & (values >= threshold[at])
    ones = np.ones(int(counted.sum()), dtype=np.int32)
    return csr_matrix((ones, (rows[counted], at[counted])), shape=(truth.shape[0], len(kept)))


def _merging(active: csr_matrix, hits: csr_matrix, size: np.ndarray, has_own: np.ndarray) -> float | None:
    alone = np.asarray(hits.sum(axis=1)).ravel() == 1
    share = (active[alone].T @ hits[alone]).toarray() / size
    merged = (share >= MERGED_SHARE).sum(axis=1) > 1
    return float(merged[has_own].mean()) if has_own.any() else None


def _absorbed(
    active: csr_matrix, hits: csr_matrix, fires: np.ndarray, serves: np.ndarray, implies: np.ndarray
) -> np.ndarray:
    """Share of each detector's firings that other nodes took over, (n_detectors,); NaN if not served."""
    absorbed = np.full(len(fires), np.nan)
    for detector in np.flatnonzero(serves.any(axis=0)):
        own_rows = active[hits[:, [detector]].nonzero()[0]]
        silent = own_rows[:, np.flatnonzero(serves[:, detector])].sum(axis=1) == 0
        taken = own_rows[:, np.flatnonzero(implies[:, detector] & ~serves[:, detector])].sum(axis=1) > 0
        absorbed[detector] = float((np.asarray(silent) & np.asarray(taken)).sum()) / fires[detector]
    return absorbed
