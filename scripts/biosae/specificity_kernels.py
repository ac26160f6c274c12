"""Compiled loops of the specificity of nodes: hits and who fires on them, chance, and AUROC by histogram.

Blocks, positions and hits are those of ``stream_sample``; every result is a count, so the order of the work
does not matter.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from biosae.motif_scan import best_in_windows, scan


@njit(cache=True, nogil=True)
def owners(start, width, stride, window, positions, opens, closes):
    """First and last position of a block whose windows hold the bases [start, start + width); -1, -2 where
    there are none, or where one of them lies in a neighbouring block."""
    first = -((window - width - start) // stride)  # rounded up
    last = start // stride
    if first < 0:
        if not opens:
            return -1, -2
        first = 0
    if last >= positions:
        if not closes:
            return -1, -2
        last = positions - 1
    if first > last:
        return -1, -2
    return first, last


@njit(cache=True, nogil=True)
def find_hits(scores, threshold, width, stride, window, positions, opens, closes):
    """Hits with their positions, int32 (n, 2): numbers of the first and the last position that hold them.

    Args:
        scores: (n_blocks, places) int32; a hit scores at least ``threshold``.
    """
    n = 0
    for block in range(len(scores)):
        for start in range(scores.shape[1]):
            if scores[block, start] >= threshold:
                n += 1
    found = np.empty((n, 2), np.int32)
    n = 0
    for block in range(len(scores)):
        for start in range(scores.shape[1]):
            if scores[block, start] >= threshold:
                first, last = owners(start, width, stride, window, positions, opens[block], closes[block])
                if first >= 0:
                    found[n, 0] = block * positions + first
                    found[n, 1] = block * positions + last
                    n += 1
    return found[:n].copy()


@njit(cache=True, nogil=True)
def count_holding(hits, n_positions):
    """Positions, of ``n_positions``, that hold at least one of the hits (n, 2)."""
    holds = np.zeros(n_positions, np.bool_)
    for hit in range(len(hits)):
        holds[hits[hit, 0] : hits[hit, 1] + 1] = True
    return holds.sum()


@njit(cache=True, nogil=True)
def count_fired(hits, by_position, edges, counts):
    """Add to ``counts`` (n_nodes,) the number of hits on which each node fires: in any of a hit's positions.

    Args:
        hits: (n, 2) int32 from ``find_hits``.
        by_position, edges: which nodes fire at each position (``Firing``).
    """
    last_seen = np.full(len(counts), -1, np.int64)
    for hit in range(len(hits)):
        for at in range(edges[hits[hit, 0]], edges[hits[hit, 1] + 1]):
            node = by_position[at]
            if last_seen[node] != hit:
                last_seen[node] = hit
                counts[node] += 1


@njit(cache=True, nogil=True)
def count_places(width, stride, window, positions, opens, closes, places):
    """Places of all blocks at which a motif of this width would be a hit that is looked at."""
    n = 0
    for block in range(len(opens)):
        for start in range(places):
            if owners(start, width, stride, window, positions, opens[block], closes[block])[0] >= 0:
                n += 1
    return n


@njit(cache=True, nogil=True)
def count_covered(fired, width, stride, window, positions, opens, closes):
    """Of those places, the number on which a node fires that fires at the positions ``fired`` (ascending)."""
    room = window - width  # a position owns the places 0 to room of its window
    n = 0
    reached = np.int64(-1)  # last place counted, over all blocks
    span = stride * (positions - 1) + window
    for at in fired:
        block, position = at // positions, at % positions
        low, high = stride * position, stride * position + room
        if not opens[block]:
            low = max(low, room - stride + 1)
        if not closes[block]:
            high = min(high, stride * positions - 1)
        low, high = max(low + block * span, reached + 1), high + block * span
        if high >= low:
            n += high - low + 1
            reached = high
    return n


@njit(cache=True, nogil=True)
def auroc_within(best, stratum, fires, n_strata):
    """AUROC of scores over the positions where a node fires against those of the same stratum where not.

    Args:
        best: (n,) int32 scores.
        stratum: (n,) int64, -1 where a position is left out.
        fires: (n,) bool.

    Returns:
        The mean over positions that fire of the share of its stratum's others that it beats (ties count
        half), NaN where no stratum has both; and the number of positions that it is over.
    """
    low, high = np.int64(2**31 - 1), np.int64(-(2**31))
    for i in range(len(best)):
        if stratum[i] >= 0:
            low, high = min(low, best[i]), max(high, best[i])
    if high < low:
        return np.nan, 0
    counts = np.zeros((2, n_strata, high - low + 1), np.int64)
    for i in range(len(best)):
        if stratum[i] >= 0:
            counts[1 if fires[i] else 0, stratum[i], best[i] - low] += 1
    total, weight = 0.0, 0
    for s in range(n_strata):
        ours, others = counts[1, s].sum(), counts[0, s].sum()
        if ours == 0 or others == 0:
            continue
        below, wins = np.int64(0), np.int64(0)
        for score in range(high - low + 1):
            wins += counts[1, s, score] * (2 * below + counts[0, s, score])
            below += counts[0, s, score]
        total += wins / (2.0 * others)
        weight += ours
    return (total / weight if weight else np.nan), weight


def warm_up() -> None:
    """Compile every kernel of this module, and those of ``motif_scan``, on a block of two positions."""
    codes, weights = np.zeros((1, 8), np.uint8), np.zeros((3, 5), np.int32)
    scores, best = np.zeros((1, 6), np.int32), np.zeros((1, 2), np.int32)
    scan(codes, weights, scores)
    best_in_windows(scores, 4, 2, best)
    geometry = 3, 4, 4, 2, np.ones(1, np.bool_), np.ones(1, np.bool_)
    hits = find_hits(scores, 0, *geometry)
    count_holding(hits, 2)
    nodes = np.zeros(1, np.int32)
    count_fired(hits, nodes, np.array([0, 1, 1]), np.zeros(1, np.int64))
    count_places(*geometry, 6)
    count_covered(nodes, *geometry)
    auroc_within(best.ravel(), np.zeros(2, np.int64), np.array([True, False]), 1)
