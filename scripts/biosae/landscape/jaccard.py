"""Jaccard similarity of nodes over loci: loci that both have over loci that either has.

All pairs come from one product of the node x locus matrix with its transpose, taken in blocks of
rows. Sets are counted, never records, so a value lies in (0, 1] and is the same either way round
(counting overlapping records per ordered pair, as published, gave 3.0).
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import sparse

from biosae.errors import ConfigError

_BLOCK = 512  # rows of the product held at once: _BLOCK x nodes values at most


def jaccard_pairs(
    incidence: sparse.csr_array, nodes: np.ndarray, min_jaccard: float = 0.0
) -> tuple[pd.DataFrame, int]:
    """Every pair of nodes that shares a locus.

    Args:
        incidence: (n_nodes, n_loci) of zeros and ones.
        nodes: node number of each row, (n_nodes,).
        min_jaccard: pairs below are counted but not listed.

    Returns:
        (table, left_out): node_a < node_b, n_a, n_b, n_shared, jaccard, sorted by the two nodes; and
        the number of pairs that share a locus but lie below ``min_jaccard``.
    """
    if not 0 <= min_jaccard <= 1:
        raise ConfigError("min_jaccard must lie between 0 and 1", got=min_jaccard)
    order = np.argsort(nodes, kind="stable")
    nodes, incidence = np.asarray(nodes, dtype=np.int64)[order], incidence[order]
    n_loci = incidence.sum(axis=1).astype(np.int64)
    transpose = incidence.T.tocsr()
    parts, left_out = [_pair_table(*[np.zeros(0, dtype=np.int64)] * 5)], 0
    for low in range(0, len(nodes), _BLOCK):
        shared = sparse.triu(incidence[low : low + _BLOCK] @ transpose, k=low + 1, format="coo")
        a, b = shared.row.astype(np.int64) + low, shared.col.astype(np.int64)
        table = _pair_table(nodes[a], nodes[b], n_loci[a], n_loci[b], shared.data.astype(np.int64))
        listed = table["jaccard"] >= min_jaccard
        left_out += int((~listed).sum())
        parts.append(table[listed])
    table = pd.concat(parts).sort_values(["node_a", "node_b"], ignore_index=True)
    return table, left_out


def _pair_table(
    node_a: np.ndarray, node_b: np.ndarray, n_a: np.ndarray, n_b: np.ndarray, n_shared: np.ndarray
) -> pd.DataFrame:
    columns = {"node_a": node_a, "node_b": node_b, "n_a": n_a, "n_b": n_b, "n_shared": n_shared}
    return pd.DataFrame({**columns, "jaccard": n_shared / (n_a + n_b - n_shared)})
