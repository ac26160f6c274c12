"""The compiled part of ``comparison``: one query against all targets. The method is described there."""

from __future__ import annotations

import numpy as np
from numba import njit

STEPS = 100  # tomtom's number of score steps
_EDGE = 1e-9  # pure columns give a range of 4/3 + 2 to the last bit or not: below 30 steps, as in tomtom
_MEDIAN_BINS = 2048  # coarse bins of the counting median; only speed depends on them


@njit(cache=True, nogil=True)
def compare_query(query, columns, counts, index, starts, euclidean, min_overlap, p_values, places):
    """One query against all targets.

    Args:
        query: (4, width) float64, its columns.
        columns, counts, index, starts: see comparison.Targets.
        euclidean: Euclidean distance in place of the inner product.
        min_overlap: fewest aligned columns.
        p_values: (2, n_targets) float64, filled: better strand, other strand.
        places: (3, n_targets) int32, filled: offset, overlap, reverse, of the better strand.
    """
    width, total = query.shape[1], 2 * index.shape[1]
    scores = _column_scores(query, columns, euclidean)
    steps, zero, top = _in_steps(scores, counts, total)
    best, place = _best_alignments(steps, zero, index, starts, min_overlap)
    nulls = _column_nulls(steps, counts, total, top)
    n_targets, low = len(starts) - 1, width * top
    needed = np.zeros(width, np.bool_)  # widths of targets narrower than the query
    for t in range(n_targets):
        low = min(low, best[0, t], best[1, t])
        if starts[t + 1] - starts[t] < width:
            needed[starts[t + 1] - starts[t]] = True
    narrow, ends, whole = _null_of_maxima(nulls, zero, low, needed)
    for t in range(n_targets):
        target_width = starts[t + 1] - starts[t]
        overlaps = [_aligned(place[strand, t], width, target_width) for strand in range(2)]
        reverse = int((best[1, t], overlaps[1]) > (best[0, t], overlaps[0]))
        for order, strand in enumerate((reverse, 1 - reverse)):
            at = best[strand, t] - low
            if target_width < width:
                p = narrow[target_width, at]
            else:
                repeats = target_width - width + 1
                p = -np.expm1(np.log1p(-ends[at]) + repeats * np.log1p(-whole[at]))
            p_values[order, t] = min(p * (2 - p), 1.0)  # 1 - (1 - p)^2: either strand
        places[0, t] = place[reverse, t]
        places[1, t] = overlaps[reverse]
        places[2, t] = reverse


@njit(cache=True, nogil=True)
def _column_scores(query, columns, euclidean):
    """(width, distinct) similarity of every query column and every distinct target column."""
    width, distinct = query.shape[1], columns.shape[1]
    scores = np.empty((width, distinct))
    a, c, g, t = columns[0], columns[1], columns[2], columns[3]
    for i in range(width):
        qa, qc, qg, qt = query[0, i], query[1, i], query[2, i], query[3, i]
        row = scores[i]
        if euclidean:
            for u in range(distinct):
                outer = (qa - a[u]) ** 2 + (qt - t[u]) ** 2
                row[u] = -np.sqrt(outer + ((qc - c[u]) ** 2 + (qg - g[u]) ** 2))
        else:
            for u in range(distinct):
                row[u] = (qa * a[u] + qt * t[u]) + (qc * c[u] + qg * g[u])
    return scores


@njit(cache=True, nogil=True)
def _in_steps(scores, counts, total):
    """Scores less their median, in whole steps from 0: (distinct, width) with the query's columns reversed.

    Also the step of the score 0 and the largest step. The steps start at a whole number, as tomtom's do.
    """
    width, distinct = scores.shape
    lowest, highest = 0.0, 0.0
    for i in range(width):
        row = scores[i]
        median = _median(row, counts, total)
        for u in range(distinct):
            row[u] -= median
            lowest, highest = min(lowest, row[u]), max(highest, row[u])
    start = np.floor(lowest + _EDGE)
    if start == highest:
        start -= 1
    scale = np.floor(STEPS / (highest - start) - _EDGE)
    steps = np.empty((distinct, width), np.int32)
    for i in range(width):
        row = scores[i]
        for u in range(distinct):
            steps[u, width - 1 - i] = int(np.rint((row[u] - start) * scale))
    return steps, int(-start * scale), int(np.rint((highest - start) * scale))


@njit(cache=True, nogil=True)
def _median(row, counts, total):
    """The lower median of scores that occur ``counts`` times, ``total`` (even) in all, by counting."""
    values, weights, n = row.copy(), counts.copy(), len(row)
    rank = total // 2  # the rank-th smallest, from 1, among those that are left
    while True:
        low, high = values[0], values[0]
        for u in range(n):
            low, high = min(low, values[u]), max(high, values[u])
        scale = _MEDIAN_BINS / (high - low) if high > low else 0.0
        if scale == 0.0 or scale == np.inf:
            return low
        bins = np.zeros(_MEDIAN_BINS + 1, np.int64)
        for u in range(n):
            bins[int((values[u] - low) * scale)] += weights[u]
        at = 0
        while bins[at] < rank:
            rank -= bins[at]
            at += 1
        left = 0
        for u in range(n):
            if int((values[u] - low) * scale) == at:
                values[left], weights[left] = values[u], weights[u]
                left += 1
        n = left


@njit(cache=True, nogil=True)
def _column_nulls(steps, counts, total, top):
    """(width, top + 1) share of all target columns at each step, for each column of the query."""
    width = steps.shape[1]
    nulls = np.zeros((width, top + 1))
    for u in range(len(counts)):
        for i in range(width):
            nulls[i, steps[u, width - 1 - i]] += counts[u]
    for i in range(width):
        for s in range(top + 1):
            nulls[i, s] /= total
    return nulls


@njit(cache=True, nogil=True)
def _best_alignments(steps, zero, index, starts, min_overlap):
    """(2, n_targets) complete score of the best alignment on each strand, and its offset."""
    width, n_targets = steps.shape[1], len(starts) - 1
    best, place = np.empty((2, n_targets), np.int64), np.empty((2, n_targets), np.int64)
    for t in range(n_targets):
        target_width = starts[t + 1] - starts[t]
        fewest = min(min_overlap, width, target_width)
        for strand in range(2):
            sums = np.zeros(width + target_width - 1, np.int32)
            for j in range(target_width):
                column = starts[t] + j if strand == 0 else starts[t + 1] - 1 - j
                row = steps[index[strand, column]]
                for k in range(width):  # offset j - (width - 1 - k), counted from -(width - 1)
                    sums[j + k] += row[k] - zero
            at = fewest - 1
            for k in range(fewest, width + target_width - fewest):
                if sums[k] > sums[at] or (
                    sums[k] == sums[at]
                    and _aligned(k - width + 1, width, target_width)
                    > _aligned(at - width + 1, width, target_width)
                ):
                    at = k
            best[strand, t] = sums[at] + width * zero
            place[strand, t] = at - width + 1
    return best, place


@njit(cache=True, nogil=True)
def _aligned(offset, width, target_width):
    """Columns of an alignment."""
    return min(width, target_width - offset) - max(0, -offset)


@njit(cache=True, nogil=True)
def _null_of_maxima(nulls, zero, low, needed):
    """P(largest score of several alignments on one strand >= low, low + 1, ...).

    Returns:
        narrow (width, scores): of all alignments of a target narrower than the query, by its width;
        ends (scores,): of the alignments that leave out columns at an end of the query, for a wider target;
        whole (scores,): of one alignment with the whole query.
    """
    width, top = nulls.shape[0], nulls.shape[1] - 1
    size = width * top + 1 - low
    narrow, ends, whole = np.zeros((width, size)), np.zeros(size), np.zeros(size)
    front, back = np.ones(1), np.ones(1)
    longest = 0
    for n in range(1, width + 1):
        if n < width and needed[n]:
            longest = n
            for x in range(size):
                narrow[n, x] = ends[x]
        front = _convolved(front, nulls[n - 1])
        rest = (width - n) * zero - low
        if n < width:
            back = _convolved(back, nulls[width - n])
            _either(ends, front, rest)
            _either(ends, back, rest)
        else:
            _either(whole, front, rest)
    for first in range(width):
        inner = np.ones(1)
        for n in range(1, min(longest, width - first) + 1):
            inner = _convolved(inner, nulls[first + n - 1])
            if needed[n]:
                _either(narrow[n], inner, (width - n) * zero - low)
    return narrow, ends, whole


@njit(cache=True, nogil=True)
def _convolved(left, right):
    """Distribution of the sum of two independent scores."""
    both = np.zeros(len(left) + len(right) - 1)
    for k in range(len(right)):
        if right[k] > 0:
            share, into = right[k], both[k : k + len(left)]
            for j in range(len(left)):
                into[j] += share * left[j]
    return both


@njit(cache=True, nogil=True)
def _either(p, null, rest):
    """Turn p[x] into P(either p's event or score >= x); ``null[s]`` is the probability of score s + rest."""
    tail = 0.0
    for s in range(len(null) - 1, -1, -1):
        tail += null[s]
        at = s + rest
        if at < 0:
            return
        p[at] += min(tail, 1.0) * (1 - p[at])
    for at in range(rest):
        p[at] = 1.0
