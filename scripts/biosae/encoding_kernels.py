"""What encoding does with each code, compiled: histogram, exact sums and the running top of each node.

A code costs one increment, one 128-bit addition and one comparison; few are inserted into a top. All
results are integers, so they depend neither on the order of the codes nor on how a stream is split.

An activation is known by the bits of its float32: for positive numbers they sort as the numbers do.
A top entry is one uint64, ``bits << 32 | (2**32 - 1 - position)``: the larger one is the stronger one,
and of equal activations the earlier position.
"""

from __future__ import annotations

import numpy as np
from numba import njit

# A sketch bin is a sixteenth of an octave: the top 4 mantissa bits. 32 octaves from 2**-16 on.
BIN_BITS = 4
OCTAVES = 32
LOWEST_EXPONENT = -16
SKETCH_BINS = OCTAVES << BIN_BITS
_FIRST_BIN = (127 + LOWEST_EXPONENT) << BIN_BITS  # 127: the bias of a float32's exponent
_BIN_SHIFT = 23 - BIN_BITS  # 23: mantissa bits of a float32
# Exact sums are 128-bit integers in units of 2**-64. A float32 is mantissa * 2**(exponent - 150).
UNIT_EXPONENT = -64
_SUM_SHIFT = 150 + UNIT_EXPONENT
TOO_LARGE_BITS = (127 + 62) << 23  # 2**62: from here on, infinity and NaN included, a code is refused
_POSITION_MASK = np.uint64(0xFFFFFFFF)


@njit(cache=True, nogil=True)
def add_exactly(low, high, node, bits):
    """Add the float32 of these bits to the 128-bit sum of a node; parts below 2**-64 are cut off."""
    exponent = np.int64(bits >> np.uint32(23))
    mantissa = np.uint64(bits & np.uint32(0x7FFFFF))
    if exponent > 0:
        mantissa |= np.uint64(1 << 23)
    else:
        exponent = 1
    shift = exponent - _SUM_SHIFT
    if shift <= 0:
        more_low = mantissa >> np.uint64(-shift) if shift > -24 else np.uint64(0)
        more_high = np.uint64(0)
    elif shift < 64:
        more_low = mantissa << np.uint64(shift)
        more_high = mantissa >> np.uint64(64 - shift)
    else:
        more_low = np.uint64(0)
        more_high = mantissa << np.uint64(shift - 64)
    total = low[node] + more_low
    low[node] = total
    high[node] += np.int64(more_high) + (1 if total < more_low else 0)


@njit(cache=True, nogil=True)
def tally(rows, nodes, bits, first, sequence, histogram, low, high, last, n_sequences, best):
    """Take in the codes of a block, in any order; zeros are padding.

    Args:
        rows, nodes: int64 (m,): row of the block and node of each code.
        bits: uint32 (m,): its float32 activation.
        first, sequence: position of the block's first row in its sequence, and the sequence's number.
        histogram: int64 (n_nodes, SKETCH_BINS).
        low, high: uint64 and int64 (n_nodes,), sums.
        last, n_sequences: int64 (n_nodes,): last sequence in which each node was active, and how many.
        best: uint64 (n_nodes, top), strongest first; 0 is empty.

    Returns:
        -1, or the index of a code that cannot be taken: unknown node, or activation (or its node's
        sum) negative, not finite or from 2**62 on.
    """
    n_nodes, top = best.shape
    for i in range(len(nodes)):
        code = bits[i]
        if code == 0:
            continue
        node = nodes[i]
        if code >= TOO_LARGE_BITS or node < 0 or node >= n_nodes:
            return i
        place = np.int64(code >> np.uint32(_BIN_SHIFT)) - _FIRST_BIN
        histogram[node, min(max(place, 0), SKETCH_BINS - 1)] += 1
        add_exactly(low, high, node, code)
        if high[node] < 0:
            return i
        if last[node] != sequence:
            last[node] = sequence
            n_sequences[node] += 1
        key = (np.uint64(code) << np.uint64(32)) | (_POSITION_MASK - np.uint64(first + rows[i]))
        slot = top - 1
        if key > best[node, slot]:
            while slot > 0 and best[node, slot - 1] < key:
                best[node, slot] = best[node, slot - 1]
                slot -= 1
            best[node, slot] = key
    return -1


@njit(cache=True, nogil=True)
def take(best, low, high, out_nodes, out_keys, filled):
    """Move the kept entries to the end of a buffer, by node, strongest first; ``best`` begins anew.

    Args:
        best: as in ``tally``.
        low, high: sums of what is kept, uint64 and int64 (n_nodes,).
        out_nodes, out_keys: int32 and uint64 (capacity,), with room for all of ``best``.
        filled: entries that they hold.

    Returns:
        Entries that they hold now.
    """
    for node in range(best.shape[0]):
        for slot in range(best.shape[1]):
            key = best[node, slot]
            if key == 0:
                break
            add_exactly(low, high, node, np.uint32(key >> np.uint64(32)))
            out_nodes[filled] = node
            out_keys[filled] = key
            filled += 1
            best[node, slot] = 0
    return filled


@njit(cache=True, nogil=True)
def sort_by_node(nodes, keys, sequences, offsets, bits, found_in, positions):
    """Stable counting sort of entries by node.

    Args:
        nodes, keys, sequences: int32, uint64, int32 (m,).
        offsets: int64 (n_nodes + 1,), filled: entries of node n are [offsets[n], offsets[n + 1]).
        bits, found_in, positions: uint32, int32, int32 (m,), filled: activation, sequence, position.
    """
    offsets[:] = 0
    for node in nodes:
        offsets[node + 1] += 1
    for node in range(len(offsets) - 1):
        offsets[node + 1] += offsets[node]
    place = offsets[:-1].copy()
    for i in range(len(nodes)):
        to = place[nodes[i]]
        place[nodes[i]] += 1
        bits[to] = np.uint32(keys[i] >> np.uint64(32))
        positions[to] = np.int32(_POSITION_MASK - (keys[i] & _POSITION_MASK))
        found_in[to] = sequences[i]


def warm_up() -> None:
    """Compile every kernel (into ``NUMBA_CACHE_DIR``)."""
    ids, low, high = np.zeros(1, np.int64), np.zeros(1, np.uint64), np.zeros(1, np.int64)
    bits, best = np.ones(1, np.float32).view(np.uint32), np.zeros((1, 1), np.uint64)
    histogram = np.zeros((1, SKETCH_BINS), np.int64)
    tally(ids, ids, bits, 0, 0, histogram, low, high, ids - 1, ids.copy(), best)
    nodes, keys = np.zeros(1, np.int32), np.zeros(1, np.uint64)
    take(best, low, high, nodes, keys, 0)
    sort_by_node(nodes, keys, nodes, np.zeros(2, np.int64), bits, nodes.copy(), nodes.copy())
