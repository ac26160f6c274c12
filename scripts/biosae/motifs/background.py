"""The background: a Markov model of bases, and what it expects of words.

The model of order m is a set of tables P(base | o bases before it) for o = 0..m in one flat array. The table
of order o has 4**(o+1) entries and starts at 4 + 16 + ... = 4 * (4**o - 1) / 3; its index is context * 4 +
base, the context read as a number in base 4, nearest base last. Where fewer bases are known (start of a
sequence, after N) the lower order serves.
"""

from __future__ import annotations

import numpy as np
from numba import njit

# Each context starts with this many pseudo-observations, spread as the next lower order says (a Dirichlet
# prior: MacKay & Peto 1995, "A hierarchical Dirichlet language model", section 3). One per base of the
# alphabet.
PSEUDOCOUNT = 4.0


def fit(codes: np.ndarray, offsets: np.ndarray, order: int, both_strands: bool) -> np.ndarray:
    """Fit the tables of orders 0..order.

    Args:
        codes, offsets: encoded sequences (packing.encode); N breaks a context.
        order: highest order.
        both_strands: count the reverse complements too.

    Returns:
        Flat tables, (4 + 16 + ... + 4**(order+1),) float64; every context sums to 1.
    """
    tables = np.zeros(table_start(order + 1))
    below = np.full((1, 4), 0.25)
    for o in range(order + 1):
        counts = _count_words(codes, offsets, o + 1, both_strands).reshape(-1, 4)
        prior = np.tile(
            below, (counts.shape[0] // below.shape[0], 1)
        )  # the context without its farthest base
        table = (counts + PSEUDOCOUNT * prior) / (counts.sum(axis=1, keepdims=True) + PSEUDOCOUNT)
        tables[table_start(o) : table_start(o + 1)] = table.ravel()
        below = table
    return tables


def table_start(order: int) -> int:
    """Where the table of ``order`` starts in the flat array."""
    return 4 * (4**order - 1) // 3


def composition(tables: np.ndarray) -> np.ndarray:
    """Base frequencies (4,): the table of order 0."""
    return tables[:4].copy()


@njit(cache=True, nogil=True)
def _count_words(codes, offsets, length, both_strands):
    counts = np.zeros(1 << (2 * length), np.float64)
    mask = (1 << (2 * length)) - 1
    for s in range(len(offsets) - 1):
        word = 0
        reverse = 0
        known = 0
        for i in range(offsets[s], offsets[s + 1]):
            if codes[i] > 3:
                known = 0
                continue
            word = ((word << 2) | codes[i]) & mask
            reverse = (reverse >> 2) | ((3 - codes[i]) << (2 * (length - 1)))
            known += 1
            if known >= length:
                counts[word] += 1.0
                if both_strands:
                    counts[reverse] += 1.0
    return counts


def word_probabilities(tables: np.ndarray, order: int, length: int) -> np.ndarray:
    """P(word at a position) for all words of ``length``, (4**length,); begins with order 0."""
    p = np.ones(1)
    for i in range(length):
        o = min(i, order)
        table = tables[table_start(o) : table_start(o + 1)].reshape(-1, 4)
        p = (p[:, None] * np.tile(table, (len(p) // table.shape[0], 1))).ravel()
    return p


def dyad_probabilities(tables: np.ndarray, order: int, max_gap: int) -> np.ndarray:
    """P(two 3-mers with g bases between them at a position), (max_gap + 1, 64, 64).

    The chain runs on over the gap (order 3 at most: the state is the last three bases).
    """
    o = min(order, 3)
    table = tables[table_start(o) : table_start(o + 1)].reshape(-1, 4)
    step = np.tile(table, (64 // table.shape[0], 1))  # (64 states, next base)
    move = np.zeros((64, 64))
    states = np.arange(64)
    for base in range(4):
        move[states, (states * 4 + base) & 63] = step[:, base]
    first = word_probabilities(tables, order, 3)
    three = move @ move @ move  # P(next three bases | state): after three moves the state is those bases
    out = np.empty((max_gap + 1, 64, 64))
    for gap in range(max_gap + 1):
        out[gap] = first[:, None] * three
        three = move @ three
    return out
