"""Seeds: words that more sequences hold than controls and background explain.

Two families of words: dyads 3-g-3 (two 3-mers with g free bases between, g = 0 is the exact 6-mer) and 8-mers
with their one-mismatch neighbourhood. A word counts once a sequence, so a repeat inside one sequence is no
evidence; with ``both`` strands a word and its reverse complement are one word.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from biosae.motifs import background
from biosae.motifs.packing import N, Packed

MAX_GAP = (
    12  # widest gap of a dyad in bp: spans 18 bp, a little over two turns of the helix less the half-sites
)
PRIOR_SEQUENCES = 500.0  # controls speak against the Markov model with this many prior sequences on its side
_CANDIDATES = 300  # best words looked at when similar ones are dropped


def find_seeds(
    packed: Packed, controls: Packed, tables: np.ndarray, order: int, both_strands: bool, n_seeds: int
) -> np.ndarray:
    """The most enriched words, similar ones dropped.

    Args:
        packed: sequences of the discovery part.
        controls: control sequences of the same part.
        tables, order: background model (background.fit).
        both_strands: fold strands.
        n_seeds: words wanted.

    Returns:
        (<= n_seeds, 6 + MAX_GAP) uint8 patterns of enriched words, best first: 0..3, 4 for a free base.
    """
    dyads, octamers, places = count_words(packed, both_strands)
    control_dyads, control_octamers, _ = count_words(controls, both_strands)
    expected_dyads, expected_octamers = _expected(tables, order, both_strands, places)
    scores = np.concatenate(
        [
            _enrichment(dyads, packed.n, control_dyads, controls.n, expected_dyads).ravel(),
            _enrichment(octamers, packed.n, control_octamers, controls.n, expected_octamers),
        ]
    )
    least = np.partition(scores, -_CANDIDATES)[-_CANDIDATES]
    best = np.flatnonzero((scores >= least) & (scores > 0.0))
    patterns = _patterns(best[np.argsort(-scores[best], kind="stable")][:_CANDIDATES])
    return patterns[_distinct(patterns, n_seeds, both_strands)]


def count_words(packed: Packed, both_strands: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sequences that hold each word.

    Returns:
        dyads (MAX_GAP + 1, 4096), octamers (65536,) with one mismatch allowed, and the mean number of places
        a sequence offers to words of spans 0..6 + MAX_GAP + 2 (MAX_GAP + 9,).
    """
    dyads = np.zeros((MAX_GAP + 1, 4096), np.int32)
    octamers = np.zeros(65536, np.int32)
    places = np.zeros(MAX_GAP + 9, np.int64)
    _count(packed.codes, packed.offsets, both_strands, dyads, octamers, places)
    return dyads, octamers, places / max(packed.n, 1)


def _expected(tables, order, both_strands, places):
    """Share of sequences that hold each word by the background alone (Poisson over the places)."""
    dyads = background.dyad_probabilities(tables, order, MAX_GAP).reshape(MAX_GAP + 1, 4096)
    octamers = background.word_probabilities(tables, min(order, 3), 8)
    grid = octamers.reshape((4,) * 8)
    near = sum(grid.sum(axis=axis, keepdims=True) for axis in range(8)) - 7 * grid
    octamers = near.ravel()
    if both_strands:
        words = np.arange(4096)
        dyads = dyads + dyads[:, _reverse_words(words, 6)]
        octamers = octamers + octamers[_reverse_words(np.arange(65536), 8)]
    spans = 6 + np.arange(MAX_GAP + 1)
    return -np.expm1(-dyads * places[spans][:, None]), -np.expm1(-octamers * places[8])


def _enrichment(hits, n, control_hits, n_controls, expected):
    """Log likelihood ratio (nats) of the share of sequences hit against the expected one; 0 if not above."""
    share = hits / n
    q = (control_hits + PRIOR_SEQUENCES * expected) / (n_controls + PRIOR_SEQUENCES)
    q = np.clip(q, 1e-12, 1 - 1e-12)
    above = (share > q) & (hits >= 2)
    p, q = share[above], q[above]
    scores = np.zeros(share.shape)
    rest = np.where(p < 1, (1 - p) * np.log(np.maximum(1 - p, 1e-300) / (1 - q)), 0.0)
    scores[above] = n * (p * np.log(p / q) + rest)
    return scores


def _reverse_words(words: np.ndarray, length: int) -> np.ndarray:
    """Index of the reverse complement of each word index."""
    out = np.zeros_like(words)
    for i in range(length):
        out = (out << 2) | (3 - ((words >> (2 * i)) & 3))
    return out


def _patterns(words: np.ndarray) -> np.ndarray:
    """Flat word numbers (dyads first, then octamers) as rows of bases."""
    patterns = np.full((len(words), 6 + MAX_GAP), N, np.uint8)
    for row, word in zip(patterns, words.tolist(), strict=True):
        if word < (MAX_GAP + 1) * 4096:
            gap, pair = divmod(word, 4096)
            bases = [(pair >> shift) & 3 for shift in (10, 8, 6, 4, 2, 0)]
            row[:3] = bases[:3]
            row[3 + gap : 6 + gap] = bases[3:]
        else:
            word -= (MAX_GAP + 1) * 4096
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
def _count(codes, offsets, both_strands, dyads, octamers, places):
    seen_dyads = np.full(dyads.shape, -1, np.int32)
    seen_octamers = np.full(octamers.shape, -1, np.int32)
    n_gaps = dyads.shape[0]
    for s in range(len(offsets) - 1):
        start, stop = offsets[s], offsets[s + 1]
        clean = np.int64(0)
        for i in range(start, stop):
            clean = clean + 1 if codes[i] < 4 else 0
            for span in range(min(clean, len(places) - 1) + 1):
                places[span] += 1
            if clean >= 8:
                _add_octamers(codes, i - 7, s, both_strands, seen_octamers, octamers)
            for gap in range(min(n_gaps, clean - 5)):
                j = i - 5 - gap
                a = (codes[j] << 4) | (codes[j + 1] << 2) | codes[j + 2]
                b = (codes[i - 2] << 4) | (codes[i - 1] << 2) | codes[i]
                word = (a << 6) | b
                if seen_dyads[gap, word] != s:
                    seen_dyads[gap, word] = s
                    dyads[gap, word] += 1
                if both_strands:
                    ra = (63 - a) & 3, ((63 - a) >> 2) & 3, (63 - a) >> 4
                    rb = (63 - b) & 3, ((63 - b) >> 2) & 3, (63 - b) >> 4
                    word = (rb[0] << 10) | (rb[1] << 8) | (rb[2] << 6) | (ra[0] << 4) | (ra[1] << 2) | ra[2]
                    if seen_dyads[gap, word] != s:
                        seen_dyads[gap, word] = s
                        dyads[gap, word] += 1


@njit(cache=True, nogil=True)
def _add_octamers(codes, start, s, both_strands, seen, counts):
    for strand in range(2 if both_strands else 1):
        word = 0
        for k in range(8):
            word = (word << 2) | (codes[start + k] if strand == 0 else 3 - codes[start + 7 - k])
        if seen[word] != s:
            seen[word] = s
            counts[word] += 1
        for k in range(8):
            for change in range(1, 4):
                near = word ^ (change << (2 * k))
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
