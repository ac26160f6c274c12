"""Compiled kernels on the CPU that normalise rows and choose active nodes: exact TopK, thresholds.

Shapes: m rows, d channels, n nodes. Active entries of a block of rows are flat arrays ``nodes`` int32 and
``values`` float32; row r owns entries [begin[r], end[r]), by ascending node, all values positive where not
said otherwise. Pre-activations are compared by their bits: a positive float's bits, read as a signed
integer, sort like the float, and those of a negative one are negative. So one kernel serves float32
(int32) and bfloat16 (int16), and "positive" is "bits > 0".

``biosae.selection`` puts them together; the plain path that they must equal is in ``biosae.sparse``.
"""

from __future__ import annotations

import numpy as np
from numba import njit

# sums may be taken in vector order; NaN and infinity keep their meaning, so that a bad loss is seen
FAST = {"nogil": True, "cache": True, "fastmath": {"reassoc", "nsz", "contract", "arcp"}}
_BLOCK = 32  # pre-activations compared at once before any is looked at alone; measured best of 32 to 128


@njit(**FAST)
def prepare_rows(low, high, shift, scale, pre_bias, eps, target, inner, row_scale, sums, squares):
    """Normalise rows [low, high) of ``target`` in place, and make what the encoder is to see of them.

    Args:
        shift, scale, pre_bias (d,). eps: LayerNorm's; below 0 without LayerNorm.
        target (m, d): raw rows; becomes u, or u - mean(u) under LayerNorm.
    Writes:
        inner (m, d): v - pre_bias. row_scale (m,): std(u), only under LayerNorm.
        sums, squares (d,) float64: of u and of its square, added to.
    """
    d = target.shape[1]
    for r in range(low, high):
        row, out = target[r], inner[r]
        for j in range(d):
            row[j] = (row[j] - shift[j]) / scale[j]
        for j in range(d):
            sums[j] += row[j]
            squares[j] += np.float64(row[j]) * row[j]
        factor = np.float32(1)
        if eps >= 0:
            mean, total = np.float32(0), np.float32(0)
            for j in range(d):
                mean += row[j]
            mean /= np.float32(d)
            for j in range(d):
                row[j] -= mean
            for j in range(d):
                total += row[j] * row[j]
            row_scale[r] = np.sqrt(total / np.float32(d - 1))  # unbiased
            factor = np.float32(1) / (row_scale[r] + eps)
        for j in range(d):
            out[j] = row[j] * factor - pre_bias[j]


@njit(**FAST)
def _count_from(bits, threshold):
    count = 0
    for i in range(len(bits)):
        count += 1 if bits[i] >= threshold else 0
    return count


@njit(**FAST)
def _cut(bits, k, low, slack):
    """A threshold >= low that at least k of ``bits`` reach: the highest, or one that <= k + slack reach."""
    high = low
    for i in range(len(bits)):
        high = bits[i] if bits[i] > high else high
    bottom, top = np.int64(low), np.int64(high) + 1
    while top - bottom > 1:
        middle = (top + bottom) >> 1
        count = _count_from(bits, bits.dtype.type(middle))
        if count >= k:
            bottom = middle
            if count <= k + slack:
                break
        else:
            top = middle
    return bits.dtype.type(bottom)


@njit(**FAST)
def _group_maxima(row, out):
    """The maximum of every len(out)-th value of ``row``, for each offset."""
    groups = len(out)
    for j in range(groups):  # not a slice: numba compiles its message for shapes that do not fit for a second
        out[j] = row[j]
    for low in range(groups, len(row), groups):
        part = row[low : low + groups]
        for j in range(len(part)):
            out[j] = part[j] if part[j] > out[j] else out[j]


@njit(**FAST)
def _collect(row, threshold, kept, places):
    """Write what of ``row`` is >= threshold, and where, in order; how many. Needs room for one more."""
    count = 0
    for low in range(0, len(row), _BLOCK):
        part = row[low : low + _BLOCK]
        highest = part[0]
        for i in range(len(part)):
            highest = part[i] if part[i] > highest else highest
        if highest >= threshold:
            for i in range(len(part)):
                kept[count] = part[i]
                places[count] = low + i
                count += 1 if part[i] >= threshold else 0
    return count


@njit(**FAST)
def _highest(row):
    """The highest of a row; 0 where none is positive."""
    highest = row.dtype.type(0)
    for i in range(len(row)):
        highest = row[i] if row[i] > highest else highest
    return highest


@njit(**FAST)
def _first_place(row, value):
    """The first place of a value that ``row`` holds."""
    for low in range(0, len(row), _BLOCK):
        part, found = row[low : low + _BLOCK], False
        for i in range(len(part)):
            found |= part[i] == value
        if found:
            for i in range(len(part)):
                if part[i] == value:
                    return low + i
    return -1


@njit(**FAST)
def top_few_rows(bits, k, nodes, out, counts):
    """What ``top_many_rows`` gives, by taking the highest value k times; ``bits`` is as before in the end."""
    kept, places = np.empty(k, bits.dtype), np.empty(k, np.int64)
    for r in range(len(bits)):
        row, found = bits[r], 0
        while found < k:
            value = _highest(row)
            if value <= 0:
                break
            kept[found], places[found] = value, _first_place(row, value)
            row[places[found]] = 0  # until all are found
            found += 1
        counts[r] = found
        for i in range(found):
            row[places[i]] = kept[i]
            at = 0
            for j in range(found):
                at += 1 if places[j] < places[i] else 0
            nodes[r, at], out[r, at] = places[i], kept[i]


@njit(**FAST)
def top_many_rows(bits, k, nodes, out, counts):
    """The k largest positive values of each row of ``bits`` (m, n); of equal ones the lower nodes.

    Two stages: the k-th largest of group maxima is a lower bound of the k-th largest of all, so few
    values come into question, and among those the exact border is found by bisection on the bits.

    Writes:
        nodes int32, out (both (m, k)): the first counts[r] entries of a row, by ascending node.
    """
    m, n = bits.shape
    maxima = np.empty(max(1, n // max(1, n // (5 * k))), bits.dtype)  # some five groups a wanted value
    kept, places = np.empty(n + 1, bits.dtype), np.empty(n + 1, np.int32)
    least = bits.dtype.type(1)
    for r in range(m):
        _group_maxima(bits[r], maxima)
        threshold = _cut(maxima, k, least, 4) if _count_from(maxima, least) > k else least
        found = _collect(bits[r], threshold, kept, places)
        counts[r] = min(found, k)
        ties, border = found, threshold
        if found > k:
            border = _cut(kept[:found], k, threshold, 0)
            above = 0
            for i in range(found):
                above += 1 if kept[i] > border else 0
            ties = k - above
        place = 0
        for i in range(found):
            if kept[i] > border or (kept[i] == border and ties > 0):
                ties -= 1 if kept[i] == border else 0
                nodes[r, place], out[r, place] = places[i], kept[i]
                place += 1


def top_rows(bits, k, nodes, out, counts):
    """``top_many_rows``, or ``top_few_rows`` where that is quicker (`tests/benchmarks/selecting.py`)."""
    few = k <= 3 or (k <= 6 and bits.shape[1] <= 1024)
    (top_few_rows if few else top_many_rows)(bits, k, nodes, out, counts)


@njit(**FAST)
def count_rows(bits, threshold, counts):
    """How many values of each row of ``bits`` (m, n) are >= threshold, into counts (m,)."""
    for r in range(len(bits)):
        counts[r] = _count_from(bits[r], threshold)


@njit(**FAST)
def collect_rows(bits, threshold, begin, nodes, out):
    """Those values and their nodes, flat, row r from entry begin[r] on, by ascending node."""
    kept, places = np.empty(bits.shape[1] + 1, bits.dtype), np.empty(bits.shape[1] + 1, np.int32)
    for r in range(len(bits)):
        found = _collect(bits[r], threshold, kept, places)
        nodes[begin[r] : begin[r] + found] = places[:found]
        out[begin[r] : begin[r] + found] = kept[:found]


@njit(**FAST)
def refine_rows(inner, encoder, bias, begin, end, nodes, values):
    """Values of the chosen entries in full float32: max(0, <inner row, encoder[node]> + bias[node])."""
    for r in range(len(inner)):
        row = inner[r]
        for i in range(begin[r], end[r]):
            direction = encoder[nodes[i]]
            total = np.float32(0)
            for c in range(len(row)):
                total += row[c] * direction[c]
            total += bias[nodes[i]]
            values[i] = np.float32(0) if total <= 0 else total  # NaN stays


def warm_up() -> None:
    """Compile what kind topk uses, for both types; jobs of threshold kinds compile the rest."""
    rng = np.random.default_rng(0)
    inner = rng.standard_normal((4, 8)).astype(np.float32)
    encoder = rng.standard_normal((16, 8)).astype(np.float32)
    bits = np.ascontiguousarray(inner @ encoder.T).view(np.int32)
    counts, nodes = np.zeros(4, np.int64), np.zeros((4, 3), np.int32)
    for kind in (bits, (bits >> 16).astype(np.int16)):
        for top in (top_few_rows, top_many_rows):
            top(kind, 3, nodes, np.zeros((4, 3), kind.dtype), counts)
    vector, sums = np.ones(8, np.float32), np.zeros(8)
    rows = inner.copy(), inner.copy(), np.ones(4, np.float32)
    prepare_rows(0, 4, vector, vector, vector, np.float32(1), *rows, sums, sums.copy())
    values, begin = np.ones(12, np.float32), np.arange(4) * 3
    refine_rows(inner, encoder, np.zeros(16, np.float32), begin, begin + 3, nodes.reshape(-1), values)
