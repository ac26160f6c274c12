"""Scores and hits of a motif in sequence: a matrix of log odds, its exact p-values, and compiled scans.

The score of a place is the sum over columns of log2((f * n + P * b) / (n + P) / b): f the motif's probability
of the letter, n its number of sites, b the letter's share in the sequences scanned, P = 0.1 the pseudo-sites
that FIMO adds (fimo --motif-pseudo, https://meme-suite.org/meme/doc/fimo.html). Scores are whole numbers of
1/STEPS bit, so that the p-value of a score, the probability that a random place of composition b scores as
high, follows exactly by summing over columns (Grant, Bailey and Noble 2011, Bioinformatics 27:1017).

Floor: one table look-up and addition for each base, column and strand.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from biosae.motifs.formats import Motif

STEPS = 50  # scores in fiftieths of a bit: FIMO's 1,000 bins over a motif's range are about as fine
PSEUDO_SITES = 0.1
NEVER = -(2**20)  # score of any place that holds another letter than A, C, G, T: below every threshold
_LEAST = 1e-6  # keeps a probability of 0 of a motif without sites finite


@dataclass(frozen=True)
class ScanMotif:
    """A motif ready to scan with.

    Attributes:
        weights: (width, 5) int32: score of A, C, G, T and any other letter in each column.
        threshold: a hit scores at least this.
        hit_p: probability of that in random sequence: the one asked for, or less (scores are discrete); more
            where the motif is so short or so vague that its best word alone is more probable.
        site_share: share of the sites drawn from the motif's matrix that are hits.
    """

    weights: np.ndarray
    threshold: int
    hit_p: float
    site_share: float

    @property
    def width(self) -> int:
        """Columns, in bp."""
        return len(self.weights)

    def reverse_complement(self) -> ScanMotif:
        """The same motif on the other strand, with the same threshold: a hit keeps its score."""
        weights = self.weights[::-1, [3, 2, 1, 0, 4]]
        return ScanMotif(np.ascontiguousarray(weights), self.threshold, self.hit_p, self.site_share)


def composition(codes: np.ndarray) -> np.ndarray:
    """Shares (4,) of A, C, G, T among codes of any shape, strands alike (A = T, C = G), so that a motif and
    its reverse complement have the same scores; uniform where there is no letter."""
    counts = np.bincount(codes.ravel(), minlength=5)[:4] + 1e-9
    counts = counts + counts[::-1]
    return counts / counts.sum()


def prepare(motif: Motif, background: np.ndarray, hit_p: float, site_share: float) -> ScanMotif:
    """Weights and threshold of a motif: the lowest score that is improbable enough in random sequence and
    that no more than ``site_share`` of the motif's own sites reach.

    Args:
        background: (4,) shares of A, C, G, T.
        hit_p: largest p-value of a hit, per place and strand. Where the motif is so short or vague that its
            best word alone is more probable, this word is a hit all the same.
        site_share: share of the sites drawn from the matrix that are hits, at most. A long motif would have
            more chance hits than sites at any p that suits a short one.
    """
    smooth = (motif.matrix * motif.n_sites + PSEUDO_SITES * background) / (motif.n_sites + PSEUDO_SITES)
    smooth = np.maximum(smooth, _LEAST)
    weights = np.full((motif.width, 5), NEVER, dtype=np.int32)
    weights[:, :4] = np.rint(np.log2(smooth / background) * STEPS)
    lowest, tail = tail_probabilities(weights, np.tile(background, (motif.width, 1)))
    sites = tail_probabilities(weights, smooth / smooth.sum(axis=1, keepdims=True))[1]
    # equal probabilities are sums in another order: their last bits must not decide
    improbable = tail <= hit_p * (1 + 1e-9)
    good = np.flatnonzero(improbable & (sites <= site_share * (1 + 1e-9)))
    if len(good) == 0:
        good = np.flatnonzero(tail > 0)[-1:]
    return ScanMotif(weights, lowest + int(good[0]), float(tail[good[0]]), float(sites[good[0]]))


def tail_probabilities(weights: np.ndarray, shares: np.ndarray) -> tuple[int, np.ndarray]:
    """The lowest score, and P(score >= lowest + i) for each i up to the highest score, of a random place.

    Args:
        weights: (width, 5) whole numbers.
        shares: (width, 4) probabilities of the letters of the place.
    """
    found = np.ones(1)
    lowest = 0
    for column, letters in zip(weights[:, :4], shares, strict=True):
        least = int(column.min())
        grown = np.zeros(len(found) + int(column.max()) - least)
        for weight, share in zip(column, letters, strict=True):
            at = int(weight) - least
            grown[at : at + len(found)] += share * found
        found, lowest = grown, lowest + least
    return lowest, np.cumsum(found[::-1])[::-1]


@njit(cache=True, nogil=True)
def scan(codes, weights, scores):
    """Score of every place of every sequence.

    Args:
        codes: (n, length) uint8.
        weights: (width, 5) int32.
        scores: (n, length - width + 1) int32 to fill; below 0 by NEVER or more where another letter lies.
    """
    width = len(weights)
    for row in range(len(codes)):
        for start in range(scores.shape[1]):
            total = np.int32(0)
            for column in range(width):
                total += weights[column, codes[row, start + column]]
            scores[row, start] = total


@njit(cache=True, nogil=True)
def best_in_windows(scores, stride, places, best):
    """Highest score within each window.

    Args:
        scores: (n, m) int32 from ``scan``.
        stride: bases between windows; window p looks at the places [stride * p, stride * p + places).
        best: (n, windows) int32 to fill.
    """
    for row in range(len(scores)):
        for window in range(best.shape[1]):
            first = stride * window
            highest = scores[row, first]
            for place in range(first + 1, first + places):
                highest = max(highest, scores[row, place])
            best[row, window] = highest


def carriers(codes: np.ndarray, motif: ScanMotif) -> np.ndarray:
    """Which sequences hold a hit, (n,) bool; codes (n, length) uint8, shorter than the motif: none."""
    if codes.shape[1] < motif.width:
        return np.zeros(len(codes), dtype=bool)
    scores = np.empty((len(codes), codes.shape[1] - motif.width + 1), dtype=np.int32)
    scan(codes, motif.weights, scores)
    return (scores >= motif.threshold).any(axis=1)
