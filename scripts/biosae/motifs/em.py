"""EM for the ZOOPS model: zero or one site per sequence, on the given strand or on either.

Model (Bailey & Elkan 1994, "Fitting a mixture model by expectation maximization to discover motifs in
biopolymers"; zero or one occurrence per sequence as in Bailey & Elkan 1995, "The value of prior knowledge"):
    P(sequence) / P(sequence | background) = (1 - rate) * rival + rate / places * sum over places of
    odds(place) odds(place) = product over columns matrix[column, base] / P(base | bases before it)
``rival`` is 1, or what another motif makes of the sequence: without it two motifs that share a node's
sequences between them merge into one matrix, which fits more sequences than either.
A place is a start (and strand) whose window has no N. The product over columns is read from tables of 4-mers,
four columns at a time, and the background's factor is one number per start, so a pass takes no exp and one
log a sequence.

Floor of one pass: ceil(w / 4) table reads and multiplications per base and strand (256 entries a table: L1).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import njit

from biosae.motifs.packing import Packed

PSEUDOCOUNT = 0.5  # pseudo-sites of a matrix in all, spread over bases as in the background
# Places of lower posterior count in the likelihood but add nothing to the matrix, which saves most of the
# scattered additions; r of planted motifs changed by 0.001 at most from 1e-9 (6 nodes a family and size).
SKIP = 1e-3
TILE = 2048  # positions worked on at a time: their odds stay in the cache, loops over them are long
TOLERANCE = 1e-4  # EM stops when the log likelihood per sequence rises by less (nats)
MAX_RATE = 0.999  # keeps 1 - rate > 0


@dataclass
class Fit:
    """State of a fit.

    Attributes:
        matrix: (w, 4) probabilities.
        rate: expected share of sequences with a site.
        llr: log likelihood ratio against background alone, nats.
    """

    matrix: np.ndarray
    rate: float
    llr: float

    def bic(self, n: int) -> float:
        """llr less half the free parameters (3 a column, the rate) times log n (Schwarz 1978)."""
        return self.llr - 0.5 * (3 * len(self.matrix) + 1) * math.log(max(n, 2))


@dataclass
class Sites:
    """The best place of each sequence.

    Attributes:
        odds: (n,) odds of the best place, 0 without one.
        starts: (n,) absolute start in the packed codes, -1 without one.
        forward: (n,) bool, on the strand as packed.
        ratio: (n,) likelihood ratio of a sequence with a site: the mean odds of its places.
        posterior: (n,) posterior that the sequence has a site anywhere.
    """

    odds: np.ndarray
    starts: np.ndarray
    forward: np.ndarray
    ratio: np.ndarray
    posterior: np.ndarray


def fit(
    packed: Packed, matrix: np.ndarray, rate: float, composition: np.ndarray, both_strands: bool, rounds: int
) -> Fit:
    """EM from a start.

    Args:
        packed: sequences.
        matrix: (w, 4) start, not changed.
        rate: start, share of sequences with a site.
        composition: (4,) base frequencies, for pseudocounts.
        both_strands: look on both strands.
        rounds: passes at most.
    """
    odds, allowed = packed.windows(len(matrix))
    new, rate, llr = _em(
        packed.tetramers,
        packed.offsets,
        odds,
        allowed,
        packed.rival,
        matrix,
        rate,
        composition,
        both_strands,
        rounds,
        TOLERANCE,
    )
    return Fit(new, rate, llr)


def best_sites(packed: Packed, state: Fit, both_strands: bool) -> Sites:
    """Best place of each sequence under a fit; the first of equals, forward before reverse."""
    odds, allowed = packed.windows(len(state.matrix))
    best, starts, forward, ratio = _best(
        packed.tetramers, packed.offsets, odds, allowed, state.matrix, both_strands
    )
    with_site = state.rate * ratio
    return Sites(best, starts, forward, ratio, with_site / ((1.0 - state.rate) * packed.rival + with_site))


def erase_sites(packed: Packed, state: Fit, both_strands: bool, threshold: float) -> None:
    """Turn every place with odds >= threshold, or a posterior of one half by itself, into N; in place."""
    odds, allowed = packed.windows(len(state.matrix))
    _erase(
        packed.codes, packed.tetramers, packed.offsets, odds, allowed, state.matrix, state.rate, both_strands,
        threshold,
    )  # fmt: skip
    packed.forget_windows()


@njit(cache=True, nogil=True)
def _tables(matrix, both):
    """Products over each four columns, (strands, blocks, 256); columns past the end count 1."""
    width = matrix.shape[0]
    tables = np.ones((2 if both else 1, (width + 3) // 4, 256))
    for strand in range(tables.shape[0]):
        for column in range(width):
            shift = 6 - 2 * (column & 3)
            for word in range(256):
                base = (word >> shift) & 3
                factor = matrix[width - 1 - column, 3 - base] if strand else matrix[column, base]
                tables[strand, column >> 2, word] *= factor
    return tables


@njit(cache=True, nogil=True)
def _odds(tetramers, window_odds, tables, start, stop, out):
    """Odds of the places start..stop on each strand into out[strand, 0..stop - start]."""
    n = stop - start
    blocks = tables.shape[1]
    for strand in range(tables.shape[0]):
        table, odds = tables[strand], out[strand]
        for j in range(n):
            odds[j] = window_odds[start + j] * table[0, tetramers[start + j]]
        for block in range(1, blocks - 1, 2):  # two at a time: fewer loads and stores of the product
            at = start + 4 * block
            for j in range(n):
                odds[j] *= table[block, tetramers[at + j]] * table[block + 1, tetramers[at + 4 + j]]
        if blocks % 2 == 0:
            at = start + 4 * (blocks - 1)
            for j in range(n):
                odds[j] *= table[blocks - 1, tetramers[at + j]]


@njit(cache=True, nogil=True)
def _tile(offsets, first):
    """The sequence after the last of a tile that starts with ``first``: TILE positions or a little more."""
    last = first + 1
    while last < len(offsets) - 1 and offsets[last] - offsets[first] < TILE:
        last += 1
    return last


@njit(cache=True, nogil=True)
def _room(offsets, strands):
    """An array for the odds of the largest tile."""
    longest = 1
    for s in range(len(offsets) - 1):
        longest = max(longest, offsets[s + 1] - offsets[s])
    return np.empty((strands, TILE + longest))


@njit(cache=True, nogil=True)
def _collect(tetramers, start, odds, n, scale, counts):
    """Add posteriors of one strand of a sequence to the 4-mer counts of every block."""
    least = SKIP / scale
    for j in range(n):
        if odds[j] > least:
            z = odds[j] * scale
            for block in range(counts.shape[0]):
                counts[block, tetramers[start + j + 4 * block]] += z


@njit(cache=True, nogil=True)
def _pass(tetramers, offsets, window_odds, allowed, rival, matrix, rate, both, counts):
    """One E-step: fills the 4-mer counts; returns the llr and the expected number of sites."""
    tables = _tables(matrix, both)
    strands = tables.shape[0]
    counts.fill(0.0)
    odds = _room(offsets, strands)
    llr = 0.0
    sites = 0.0
    last = 0
    while last < len(allowed):
        first, last = last, _tile(offsets, last)
        origin = offsets[first]
        _odds(tetramers, window_odds, tables, origin, offsets[last], odds)
        for s in range(first, last):
            if allowed[s] == 0:  # cannot hold a site: evidence against a high rate only
                llr += math.log((1.0 - rate) * rival[s])
                continue
            start = offsets[s] - origin
            n = offsets[s + 1] - offsets[s] - matrix.shape[0] + 1
            total = 0.0
            for strand in range(strands):
                for j in range(start, start + n):
                    total += odds[strand, j]
            prior = rate / (allowed[s] * strands)
            likelihood = (1.0 - rate) * rival[s] + prior * total
            llr += math.log(likelihood)
            sites += prior * total / likelihood
            for strand in range(strands):
                _collect(tetramers, offsets[s], odds[strand, start:], n, prior / likelihood, counts[strand])
    return llr, sites


@njit(cache=True, nogil=True)
def _column_counts(counts, width):
    """4-mer counts as (w, 4) base counts on the motif's strand."""
    out = np.zeros((width, 4))
    for strand in range(counts.shape[0]):
        for column in range(width):
            shift = 6 - 2 * (column & 3)
            for word in range(256):
                base = (word >> shift) & 3
                if strand:
                    out[width - 1 - column, 3 - base] += counts[strand, column >> 2, word]
                else:
                    out[column, base] += counts[strand, column >> 2, word]
    return out


@njit(cache=True, nogil=True)
def _em(
    tetramers, offsets, window_odds, allowed, rival, start_matrix, rate, composition, both, rounds, tolerance
):
    width = start_matrix.shape[0]
    matrix = start_matrix.copy()
    counts = np.zeros((2 if both else 1, (width + 3) // 4, 256))
    n = max(len(allowed), 1)
    llr = 0.0
    before = -np.inf
    for _ in range(rounds):
        llr, sites = _pass(tetramers, offsets, window_odds, allowed, rival, matrix, rate, both, counts)
        if llr - before < tolerance * n:
            break  # matrix and rate are those that llr was measured with
        before = llr
        columns = _column_counts(counts, width)
        for i in range(width):
            total = columns[i].sum() + PSEUDOCOUNT
            for base in range(4):
                matrix[i, base] = (columns[i, base] + PSEUDOCOUNT * composition[base]) / total
        rate = min(max(sites / n, 1.0 / (n + 1)), MAX_RATE)
    return matrix, rate, llr


@njit(cache=True, nogil=True)
def _best(tetramers, offsets, window_odds, allowed, matrix, both):
    n = len(allowed)
    best = np.zeros(n)
    starts = np.full(n, -1, np.int64)
    forward = np.ones(n, np.bool_)
    ratio = np.zeros(n)
    tables = _tables(matrix, both)
    odds = _room(offsets, tables.shape[0])
    last = 0
    while last < n:
        first, last = last, _tile(offsets, last)
        origin = offsets[first]
        _odds(tetramers, window_odds, tables, origin, offsets[last], odds)
        for s in range(first, last):
            total = 0.0
            for strand in range(tables.shape[0]):
                for at in range(offsets[s], offsets[s + 1] - matrix.shape[0] + 1):
                    value = odds[strand, at - origin]
                    total += value
                    if value > best[s]:
                        best[s], starts[s], forward[s] = value, at, strand == 0
            ratio[s] = total / (max(allowed[s], 1) * tables.shape[0])
    return best, starts, forward, ratio


@njit(cache=True, nogil=True)
def _erase(codes, tetramers, offsets, window_odds, allowed, matrix, rate, both, threshold):
    width = matrix.shape[0]
    tables = _tables(matrix, both)
    odds = np.empty((tables.shape[0], max(offsets[-1], 1)))
    _odds(tetramers, window_odds, tables, 0, offsets[-1], odds)
    for strand in range(tables.shape[0]):
        for s in range(len(allowed)):
            likely = (1.0 - rate) / rate * allowed[s] * tables.shape[0]
            least = min(threshold, likely)
            for j in range(offsets[s], offsets[s + 1] - width + 1):
                if odds[strand, j] > 0.0 and odds[strand, j] >= least:
                    for i in range(j, j + width):
                        codes[i] = 4
