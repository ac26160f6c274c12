"""Compiled loops of the examples: drawing positions, apart from each other; a motif's best place; who asks.

A position is drawn by its key, 64 mixed bits of the node's number and of the row of the stream, so a draw
depends neither on the order of the codes, nor on how a stream is cut, nor on which other nodes are kept.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from biosae.letter_codes import OTHER

GROUPS = 4  # of positions drawn from: three bands of activation, and all of them
NO_PLACE = -(2**15)  # motif_at where no place of the window can hold the motif
UNUSED = np.uint64(0xFFFFFFFFFFFFFFFF)  # key of an empty slot
_SALT = np.uint64(0x9E3779B97F4A7C15)  # the constants of splitmix64
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


@njit(cache=True, nogil=True)
def mix(value):
    """splitmix64: every bit of a uint64 changes about half of the bits of the result."""
    value = value + _SALT
    value = (value ^ (value >> np.uint64(30))) * _FIRST
    value = (value ^ (value >> np.uint64(27))) * _SECOND
    return value ^ (value >> np.uint64(31))


@njit(cache=True, nogil=True)
def draw(positions, places, values, rows, allowed, salts, most, keys, held, activation, counts):
    """Take in activations; keep of each node and group those of the lowest keys.

    Args:
        positions, places, values: int32, int32, float32 (m,), as ``stream_sample.sample_codes`` gives them.
        rows, allowed: int64 row of the stream of each position of the sample, and whether it may be drawn.
        salts: uint64 (n_nodes,), from each node's number.
        most: float64 (n_nodes,), each node's highest activation.
        keys, held, activation: uint64, int32, float32 (n_nodes, GROUPS, slots): key (ascending; ``UNUSED``
            where empty), position and activation of what is kept.
        counts: int64 (n_nodes, GROUPS): how many positions there were.

    Returns:
        how many activations were at positions that may not be drawn.
    """
    slots, refused = keys.shape[2], 0
    for i in range(len(positions)):
        if not allowed[positions[i]]:
            refused += 1
            continue
        node = places[i]
        key = mix(np.uint64(rows[positions[i]]) ^ salts[node])
        share = np.float64(values[i]) / most[node]
        band = 2 if share <= 0.25 else 1 if share <= 0.5 else 0 if share <= 0.75 else -1
        for group in (band, GROUPS - 1):
            if group < 0:
                continue
            counts[node, group] += 1
            slot = slots - 1
            if key >= keys[node, group, slot]:
                continue
            while slot > 0 and keys[node, group, slot - 1] > key:
                keys[node, group, slot] = keys[node, group, slot - 1]
                held[node, group, slot] = held[node, group, slot - 1]
                activation[node, group, slot] = activation[node, group, slot - 1]
                slot -= 1
            keys[node, group, slot] = key
            held[node, group, slot] = positions[i]
            activation[node, group, slot] = values[i]
    return refused


@njit(cache=True, nogil=True)
def pick_apart(chrom, start, width, most, picked):
    """Of windows in order, the first ``most`` that overlap none picked before; touching ones do not overlap.

    Args:
        chrom, start: int64 (n,).
        picked: int64 (most,), filled with their numbers.

    Returns:
        how many were picked, and how many were passed over because they overlap.
    """
    n, passed = 0, 0
    for i in range(len(start)):
        if n == most:
            break
        free = True
        for j in range(n):
            other = picked[j]
            if chrom[other] == chrom[i] and abs(start[other] - start[i]) < width:
                free = False
                break
        if free:
            picked[n] = i
            n += 1
        else:
            passed += 1
    return n, passed


@njit(cache=True, nogil=True)
def best_place(codes, weights, score, at):
    """Where a motif scores best in each window, the first of equal places.

    Args:
        codes: (n, window_bp) uint8.
        weights: (width, 5) int32.
        score, at: int32, int16 (n,), filled; 0 and ``NO_PLACE`` where no place is free of other letters.
    """
    width = len(weights)
    for row in range(len(codes)):
        score[row], at[row] = 0, NO_PLACE
        for start in range(codes.shape[1] - width + 1):
            total, whole = np.int32(0), True
            for column in range(width):
                letter = codes[row, start + column]
                if letter == OTHER:
                    whole = False
                    break
                total += weights[column, letter]
            if whole and (at[row] == NO_PLACE or total > score[row]):
                score[row], at[row] = total, start


@njit(cache=True, nogil=True)
def serve(begin, nodes, values, place_of, first, ordinals, counts, places, dense, out):
    """Hand the activations of encoded rows to the windows that hold them.

    Args:
        begin: int64 (n_rows + 1,): codes of row r are [begin[r], begin[r + 1]) of ``nodes`` and ``values``.
        place_of: int32 (n_nodes of the model,): place among the kept nodes, -1 for others.
        first: number of the first row, among all rows that are encoded.
        ordinals: int64 (m,): number of each window's first row, ascending.
        counts, places: int32 (m,): rows of each window, and place of its node.
        dense: float32, a zero for each kept node; left so.
        out: float32 (m, slots), filled where these rows lie.
    """
    low, slots = 0, out.shape[1]
    for row in range(len(begin) - 1):
        for code in range(begin[row], begin[row + 1]):
            if place_of[nodes[code]] >= 0:
                dense[place_of[nodes[code]]] = values[code]
        here = first + row
        while low < len(ordinals) and ordinals[low] + slots <= here:
            low += 1
        window = low
        while window < len(ordinals) and ordinals[window] <= here:
            slot = here - ordinals[window]
            if slot < counts[window]:
                out[window, slot] = dense[places[window]]
            window += 1
        for code in range(begin[row], begin[row + 1]):
            if place_of[nodes[code]] >= 0:
                dense[place_of[nodes[code]]] = 0


def warm_up() -> None:
    """Compile every kernel of this module."""
    one, ids, value = np.zeros(1, np.int32), np.zeros(1, np.int64), np.ones(1, np.float32)
    keys, held = np.full((1, GROUPS, 1), UNUSED), np.zeros((1, GROUPS, 1), np.int32)
    drawn = keys, held, np.zeros((1, GROUPS, 1), np.float32), np.zeros((1, GROUPS), np.int64)
    draw(one, one, value, ids, np.ones(1, np.bool_), np.zeros(1, np.uint64), np.ones(1), *drawn)
    pick_apart(ids, ids, 4, 1, ids.copy())
    best_place(np.zeros((1, 8), np.uint8), np.zeros((3, 5), np.int32), one.copy(), np.zeros(1, np.int16))
    serve(
        np.array([0, 1]),
        ids,
        value,
        one,
        0,
        ids,
        one + 1,
        one,
        np.zeros(1, np.float32),
        np.zeros((1, 1), np.float32),
    )
