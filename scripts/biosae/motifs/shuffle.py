"""Shuffles that keep every dinucleotide: uniform over all sequences with the same counts and ends.

Altschul & Erickson 1985, "Significance of nucleotide sequence alignments: a method for random sequence
permutation that preserves dinucleotide and codon usage": a random arborescence of last edges, the other edges
shuffled. The arborescence is drawn by Wilson's loop-erased walk, which is uniform (Propp & Wilson 1998).
"""

from __future__ import annotations

import numpy as np
from numba import njit

from biosae.motifs.packing import PAD


def shuffle_dinucleotides(
    codes: np.ndarray, offsets: np.ndarray, copies: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Shuffle each sequence ``copies`` times.

    Args:
        codes, offsets: encoded sequences; N counts as a fifth letter, so runs of N stay what they are.
        copies: shuffles of each sequence.
        seed: 0 <= seed < 2**63.

    Returns:
        Codes and offsets of n * copies sequences; those of sequence i are i * copies and on.
    """
    lengths = np.repeat(np.diff(offsets), copies)
    new = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=new[1:])
    return _shuffle_all(codes, offsets, copies, np.uint64(seed), new, PAD), new


@njit(cache=True, nogil=True)
def _next(state):
    """SplitMix64 (Steele, Lea & Flood 2014): own generator, since numba's global one is per thread."""
    state[0] += np.uint64(0x9E3779B97F4A7C15)
    z = state[0]
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@njit(cache=True, nogil=True)
def _below(state, n):
    """Integer in [0, n): the top 32 bits scaled; bias under n / 2**32."""
    return np.int64(((_next(state) >> np.uint64(32)) * np.uint64(n)) >> np.uint64(32))


@njit(cache=True, nogil=True)
def _shuffle_all(codes, offsets, copies, seed, new, pad):
    out = np.full(new[-1] + pad, np.uint8(4))
    state = np.empty(1, np.uint64)
    state[0] = seed
    longest = 0
    for s in range(len(offsets) - 1):
        longest = max(longest, offsets[s + 1] - offsets[s])
    edges = np.empty((5, max(longest, 1)), np.uint8)
    for s in range(len(offsets) - 1):
        for c in range(copies):
            _shuffle_one(codes[offsets[s] : offsets[s + 1]], out[new[s * copies + c] :], edges, state)
    return out


@njit(cache=True, nogil=True)
def _shuffle_one(sequence, out, edges, state):
    n = len(sequence)
    if n < 3:
        for i in range(n):
            out[i] = sequence[i]
        return
    count = np.zeros(5, np.int64)
    for i in range(n - 1):
        edges[sequence[i], count[sequence[i]]] = sequence[i + 1]
        count[sequence[i]] += 1
    root = sequence[n - 1]
    _draw_last_edges(edges, count, root, state)
    for letter in range(5):
        free = count[letter] if letter == root else count[letter] - 1  # the last edge of the others is fixed
        for i in range(free - 1, 0, -1):
            j = _below(state, i + 1)
            edges[letter, i], edges[letter, j] = edges[letter, j], edges[letter, i]
    used = np.zeros(5, np.int64)
    letter = sequence[0]
    out[0] = letter
    for i in range(1, n):
        following = edges[letter, used[letter]]
        used[letter] += 1
        letter = following
        out[i] = letter


@njit(cache=True, nogil=True)
def _draw_last_edges(edges, count, root, state):
    """Wilson's walk over the multigraph of edges; each letter's chosen edge goes to the end of its list."""
    in_tree = np.zeros(5, np.bool_)
    in_tree[root] = True
    choice = np.zeros(5, np.int64)
    for letter in range(5):
        if count[letter] == 0:
            continue
        at = letter
        while not in_tree[at]:
            choice[at] = _below(state, count[at])
            at = edges[at, choice[at]]
        at = letter
        while not in_tree[at]:
            in_tree[at] = True
            at = edges[at, choice[at]]
    for letter in range(5):
        if letter != root and count[letter] > 0:
            last = count[letter] - 1
            edges[letter, last], edges[letter, choice[letter]] = (
                edges[letter, choice[letter]],
                edges[letter, last],
            )
