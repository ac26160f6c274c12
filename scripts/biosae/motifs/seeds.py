"""Seeds: words that more sequences hold than controls and background explain.

Two families of words: dyads 3-g-3 (two 3-mers with g free bases between, g = 0 is the exact 6-mer) and 8-mers
with their one-mismatch neighbourhood. A word counts once a sequence, so a repeat inside one sequence is no
evidence; with ``both`` strands a word and its reverse complement are one word.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numba import njit

from biosae.motifs import background
from biosae.motifs.packing import N, Packed

MAX_GAP = (
    12  # widest gap of a dyad in bp: spans 18 bp, a little over two turns of the helix less the half-sites
)
PRIOR_SEQUENCES = 500.0  # controls speak against the Markov model with this many prior sequences on its side
DYADS = (MAX_GAP + 1) * 4096  # words of the first family
WORDS = DYADS + 65536  # and of both
_CANDIDATES = 300  # best words looked at when similar ones are dropped


def find_seeds(
    packed: Packed, controls: Packed, likely: np.ndarray, both_strands: bool, n_seeds: int
) -> np.ndarray:
    """The most enriched words, similar ones dropped.

    Args:
        packed: sequences of the discovery part.
        controls: control sequences of the same part.
        likely: (WORDS,) what the background makes of each word (word_probabilities).
        both_strands: fold strands.
        n_seeds: words wanted.

    Returns:
        (<= n_seeds, 6 + MAX_GAP) uint8 patterns of enriched words, best first: 0..3, 4 for a free base.
    """
    counts, places = count_words(packed, both_strands)
    control_counts, _ = count_words(controls, both_strands)
    scores = _scores(counts, packed.n, control_counts, controls.n, likely, places)
    best = np.flatnonzero(scores)
    if len(best) > _CANDIDATES:
        best = best[scores[best] >= np.partition(scores[best], -_CANDIDATES)[-_CANDIDATES]]
    patterns = _patterns(best[np.argsort(-scores[best], kind="stable")][:_CANDIDATES])
    return patterns[_distinct(patterns, n_seeds, both_strands)]


def count_words(packed: Packed, both_strands: bool) -> tuple[np.ndarray, np.ndarray]:
    """Sequences that hold each word; with both strands at the smaller of a word and its reverse complement.

    Returns:
        counts (WORDS,) int32: DYADS dyads (gap * 4096 + word), then 8-mers with one mismatch allowed; and the
        mean number of places that a sequence offers to words of spans 0..6 + MAX_GAP + 2 (MAX_GAP + 9,).
    """
    counts = np.zeros(WORDS, np.int32)
    places = np.zeros(MAX_GAP + 9, np.int64)
    _count(packed.codes, packed.offsets, both_strands, counts, places)
    return counts, places / max(packed.n, 1)


def word_probabilities(tables: np.ndarray, order: int, both_strands: bool) -> np.ndarray:
    """P(word at a place) under the background, on either strand when asked, (WORDS,)."""
    dyads = background.dyad_probabilities(tables, order, MAX_GAP).reshape(MAX_GAP + 1, 4096)
    grid = background.word_probabilities(tables, min(order, 3), 8).reshape((4,) * 8)
    octamers = sum(grid.sum(axis=axis, keepdims=True) for axis in range(8)) - 7 * grid
    octamers = octamers.ravel()
    if both_strands:
        dyads = dyads + dyads[:, _reverse_words(6)]
        octamers = octamers + octamers[_reverse_words(8)]
    return np.concatenate([dyads.ravel(), octamers])


@cache
def _reverse_words(length: int) -> np.ndarray:
    """Index of the reverse complement of each word index, (4**length,)."""
    words = np.arange(4**length)
    out = np.zeros_like(words)
    for i in range(length):
        out = (out << 2) | (3 - ((words >> (2 * i)) & 3))
    return out


@njit(cache=True, nogil=True)
def _scores(counts, n, control_counts, n_controls, likely, places):
    """Log likelihood ratio (nats) of the share of sequences hit against the expected one; 0 if not above.

    The expected share is that of the controls and PRIOR_SEQUENCES of the background model, for which hits
    are Poisson over the places.
    """
    scores = np.zeros(len(counts))
    for word in range(len(counts)):
        if counts[word] < 2:
            continue
        span = 6 + word // 4096 if word < DYADS else 8
        share = counts[word] / n
        expected = -math.expm1(-likely[word] * places[span])
        q = (control_counts[word] + PRIOR_SEQUENCES * expected) / (n_controls + PRIOR_SEQUENCES)
        q = min(max(q, 1e-12), 1.0 - 1e-12)
        if share > q:
            score = share * math.log(share / q)
            if share < 1.0:
                score += (1.0 - share) * math.log((1.0 - share) / (1.0 - q))
            scores[word] = n * score
    return scores


def _patterns(words: np.ndarray) -> np.ndarray:
    """Flat word numbers (dyads first, then octamers) as rows of bases."""
    patterns = np.full((len(words), 6 + MAX_GAP), N, np.uint8)
    for row, word in zip(patterns, words.tolist(), strict=True):
        if word < DYADS:
            gap, pair = divmod(word, 4096)
            bases = [(pair >> shift) & 3 for shift in (10, 8, 6, 4, 2, 0)]
            row[:3] = bases[:3]
            row[3 + gap : 6 + gap] = bases[3:]
        else:
            word -= DYADS
            row[:8] = [(word >> shift) & 3 for shift in range(14, -1, -2)]
    return patterns


def seed_matrix(pattern: np.ndarray, composition: np.ndarray) -> np.ndarray:
    """A start for EM, (w, 4): 0.7 on the word's base, the rest and free columns as in the background."""
    width = int(np.flatnonzero(pattern < 4)[-1]) + 1
    matrix = np.tile(composition, (width, 1))
    fixed = np.flatnonzero(pattern[:width] < 4)
    matrix[fixed] *= 0.3
    matrix[fixed, pattern[fixed]] += 0.7
    return matrix


@njit(cache=True, nogil=True)
def _count(codes, offsets, both_strands, counts, places):
    seen = np.full(len(counts), -1, np.int32)
    for s in range(len(offsets) - 1):
        clean = 0
        word = 0
        reverse = 0
        for i in range(offsets[s], offsets[s + 1]):
            if codes[i] > 3:
                clean = 0
                continue
            clean += 1
            word = ((word << 2) | codes[i]) & 65535
            reverse = (reverse >> 2) | ((3 - codes[i]) << 14)
            for span in range(min(clean, len(places) - 1) + 1):
                places[span] += 1
            if clean >= 8:
                _add_octamers(word, reverse, s, both_strands, seen, counts)
            for gap in range(min(MAX_GAP + 1, clean - 5)):
                j = i - 5 - gap
                left = (codes[j] << 4) | (codes[j + 1] << 2) | codes[j + 2]
                dyad = (left << 6) | (word & 63)
                if both_strands:
                    turned = ((3 - codes[j + 2]) << 4) | ((3 - codes[j + 1]) << 2) | (3 - codes[j])
                    dyad = min(dyad, ((reverse >> 4) & 4032) | turned)
                dyad += gap * 4096
                if seen[dyad] != s:
                    seen[dyad] = s
                    counts[dyad] += 1


@njit(cache=True, nogil=True)
def _add_octamers(word, reverse, s, both_strands, seen, counts):
    """The 8-mer and all that differ in one base; ``reverse`` is its reverse complement."""
    for k in range(8):
        for change in range(1 if k else 0, 4):
            near = word ^ (change << (2 * k))
            if both_strands:
                near = min(near, reverse ^ (change << (14 - 2 * k)))
            near += DYADS
            if seen[near] != s:
                seen[near] = s
                counts[near] += 1


@njit(cache=True, nogil=True)
def _distinct(patterns, n_seeds, both_strands):
    """Greedy: keep a word unless some shift of a kept one shares five bases with at most one conflict."""
    kept = np.empty(len(patterns), np.int64)
    n = 0
    width = patterns.shape[1]
    for i in range(len(patterns)):
        new = True
        for k in range(n):
            for strand in range(2 if both_strands else 1):
                for shift in range(1 - width, width):
                    same = 0
                    conflict = 0
                    for x in range(max(0, shift), min(width, width + shift)):
                        a = patterns[kept[k], x - shift]
                        b = patterns[i, x] if strand == 0 else patterns[i, width - 1 - x]
                        if a < 4 and b < 4:
                            b = b if strand == 0 else 3 - b
                            if a == b:
                                same += 1
                            else:
                                conflict += 1
                    if same >= 5 and conflict <= 1:
                        new = False
            if not new:
                break
        if new:
            kept[n] = i
            n += 1
            if n == n_seeds:
                break
    return kept[:n]
