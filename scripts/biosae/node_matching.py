"""One-to-one matching of two sets of directions by cosine, within a bound on memory.

Up to ``max_dense`` nodes a side the assignment has the largest sum of cosines there is (the Hungarian
problem, solved by ``scipy.optimize.linear_sum_assignment``). Above it, pairs that are each other's best
are taken first, round after round among the nodes that are left, until the rest is small enough to be
assigned so. That is what a greedy choice of the largest cosine gives, in fewer passes; the pair of the
largest cosine is always one, so that every round leaves less. Cosines are computed in blocks: nothing
of n x m numbers is built above the bound.

Floor: n*m*channels multiply-adds a round; a round of random directions leaves about half.
"""

from __future__ import annotations

import numpy as np

from biosae.errors import ConfigError, InputError

_BLOCK_ROWS = 1024


def unit_rows(directions: np.ndarray) -> np.ndarray:
    """Rows (n, channels) scaled to norm 1, float32; a zero row stays zero."""
    norms = np.linalg.norm(directions, axis=1, keepdims=True).astype(np.float64)
    return (directions / np.where(norms > 0, norms, 1.0)).astype(np.float32)


def match_nodes(first: np.ndarray, second: np.ndarray, max_dense: int) -> tuple[np.ndarray, np.ndarray]:
    """A one-to-one matching of unit rows by cosine.

    Args:
        first: float32 (n, channels), rows of norm 1 or 0 (``unit_rows``).
        second: float32 (m, channels), likewise.
        max_dense: most nodes a side whose cosines are held at once: 8 * max_dense^2 bytes, twice that where
            more rows of ``first`` than of ``second`` are left (scipy then works on a turned copy), beside
            8 bytes a number of both sets.

    Raises:
        ConfigError: max_dense is below 1.
        InputError: a direction is not finite: it would never find its match.

    Returns:
        (partner int64 (n,), cosine float64 (n,)): the row of ``second``, and -1 and NaN for the n - m
        rows that are left over where n > m.
    """
    if max_dense < 1:
        raise ConfigError("A matching needs room for at least one node", got=max_dense)
    bad = sum(int((~np.isfinite(rows).all(axis=1)).sum()) for rows in (first, second))
    if bad:
        raise InputError("Directions hold NaN or infinity", got=f"{bad} of {len(first) + len(second)} nodes")
    partner = np.full(len(first), -1, np.int64)
    rows, columns = np.arange(len(first)), np.arange(len(second))
    while min(len(rows), len(columns)) and len(rows) * len(columns) > max_dense**2:
        best, back = best_partners(first[rows], second[columns])[:2]
        mutual = back[best] == np.arange(len(rows))
        partner[rows[mutual]] = columns[best[mutual]]
        columns = np.delete(columns, best[mutual])
        rows = rows[~mutual]
    if min(len(rows), len(columns)):
        chosen, to = _assign(first[rows], second[columns])
        partner[rows[chosen]] = columns[to]
    matched = partner >= 0
    cosine = np.full(len(first), np.nan)
    cosine[matched] = np.einsum("ij,ij->i", first[matched], second[partner[matched]], dtype=np.float64)
    return partner, np.clip(cosine, -1.0, 1.0)


def _assign(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    from scipy.optimize import linear_sum_assignment

    cost = first.astype(np.float64) @ second.T.astype(np.float64)
    return linear_sum_assignment(np.negative(cost, out=cost))


def best_partners(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Each row's partner of largest cosine, both ways; of equal ones the lowest row.

    Returns:
        (of each row of ``first`` the row of ``second`` (n,), the reverse (m,), cosines of the former (n,)).
    """
    best, value = np.zeros(len(first), np.int64), np.zeros(len(first), np.float32)
    back, highest = np.zeros(len(second), np.int64), np.full(len(second), -np.inf, np.float32)
    for low in range(0, len(first), _BLOCK_ROWS):
        block = first[low : low + _BLOCK_ROWS] @ second.T
        here = slice(low, low + len(block))
        best[here] = block.argmax(1)
        value[here] = np.take_along_axis(block, best[here, None], 1)[:, 0]
        top = block.argmax(0)
        reached = np.take_along_axis(block, top[None], 0)[0]
        better = reached > highest
        back[better], highest[better] = top[better] + low, reached[better]
    return best, back, value
