"""Where a motif lies in the seqlets of its node: the best place of each seqlet that holds a hit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from biosae.motif_scan import ScanMotif, scan


@dataclass(frozen=True)
class Sites:
    """Sites of one motif, at most one a seqlet.

    Attributes:
        seqlet: (n,) rows of the seqlets, ascending (strongest first).
        start: (n,) first base of the place in its seqlet, as stored.
        reverse: (n,) bool: the place reads as the motif's reverse complement.
        n_all: seqlets with a hit, of which ``seqlet`` holds the strongest n.
    """

    seqlet: np.ndarray
    start: np.ndarray
    reverse: np.ndarray
    n_all: int


def find_sites(codes: np.ndarray, motif: ScanMotif, both_strands: bool, most: int) -> Sites:
    """The best place of each seqlet whose score is a hit; ties go to the strand as written, then to the left.

    Args:
        codes: (n, width) uint8, strongest seqlet first.
        motif: weights and threshold.
        both_strands: look for the reverse complement too.
        most: seqlets returned at most, the strongest first.
    """
    score, start = _best_places(codes, motif)
    reverse = np.zeros(len(codes), dtype=bool)
    if both_strands:
        other, other_start = _best_places(codes, motif.reverse_complement())
        reverse = other > score
        score, start = np.where(reverse, other, score), np.where(reverse, other_start, start)
    hits = np.flatnonzero(score >= motif.threshold)
    shown = hits[:most]
    return Sites(shown, start[shown], reverse[shown], len(hits))


def _best_places(codes: np.ndarray, motif: ScanMotif) -> tuple[np.ndarray, np.ndarray]:
    """Score and start of the best place of each sequence; a score below any hit where the motif is wider."""
    if not len(codes) or codes.shape[1] < motif.width:
        return np.full(len(codes), np.iinfo(np.int32).min), np.zeros(len(codes), dtype=np.int64)
    scores = np.empty((len(codes), codes.shape[1] - motif.width + 1), dtype=np.int32)
    scan(codes, motif.weights, scores)
    start = scores.argmax(axis=1)
    return scores[np.arange(len(codes)), start], start
