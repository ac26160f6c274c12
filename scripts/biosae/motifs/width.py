"""The width of a motif: it grows and is trimmed between rounds of EM, column by column, as BIC says.

A column belongs to the motif when it raises the log likelihood by more than its three parameters cost
(3/2 log n). The columns on both sides of the sites are measured too, so that a motif found by a part of it,
or shifted, moves to its place.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from biosae.motifs import em
from biosae.motifs.packing import Packed

REACH = 8  # columns looked at on each side in one round, bp
ROUNDS = 5  # width changes at most; two or three are usual
PASSES = 6  # EM passes between them
MIN_POSTERIOR = 1e-3  # places below add nothing that decides a width


def refine(
    packed: Packed,
    start: em.Fit,
    composition: np.ndarray,
    both_strands: bool,
    widths: tuple[int, int],
) -> em.Fit:
    """EM and width search from a start; the fit of the best BIC seen.

    Args:
        packed: sequences.
        start: seed or earlier fit.
        composition: (4,) base frequencies.
        both_strands: look on both strands.
        widths: narrowest and widest motif, bp.
    """
    best: em.Fit | None = None
    matrix, rate = start.matrix, start.rate
    seen: set[tuple[int, int]] = set()
    shift = (
        0  # of the first column against the start's, so that a return to an earlier window ends the search
    )
    for _ in range(ROUNDS):
        state = em.fit(packed, matrix, rate, composition, both_strands, PASSES)
        inside = widths[0] <= len(state.matrix) <= widths[1]
        if inside and (best is None or state.bic(packed.n) > best.bic(packed.n)):
            best = state
        seen.add((shift, len(matrix)))
        counts, gains, lost = column_gains(packed, state, both_strands)
        first, last = choose_columns(gains, lost, widths)
        if (shift + first - REACH, last - first) in seen:
            break
        shift += first - REACH
        matrix = _probabilities(counts[first:last], composition)
        rate = state.rate
    return best if best is not None else em.fit(packed, matrix, rate, composition, both_strands, PASSES)


def column_gains(
    packed: Packed, state: em.Fit, both_strands: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What each column in and beside the sites is worth.

    Returns:
        counts (w + 2 REACH, 4) expected bases; gains (w + 2 REACH,) log likelihood ratio less the cost of the
        column, nats; lost (w + 2 REACH,) log likelihood of the sites too near an end to have the column.
    """
    odds, allowed = packed.windows(len(state.matrix))
    counts, background, lost = _flanks(
        packed.codes, packed.tetramers, packed.log_inverse, packed.offsets, odds, allowed, packed.rival,
        state.matrix, state.rate,
        both_strands, REACH,
    )  # fmt: skip
    total = counts.sum(axis=1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        entropy = np.where(counts > 0, counts * np.log(counts / total), 0.0).sum(axis=1)
    return counts, entropy + background - 1.5 * math.log(max(packed.n, 2)), lost


def choose_columns(gains: np.ndarray, lost: np.ndarray, widths: tuple[int, int]) -> tuple[int, int]:
    """The half-open range of columns with the largest sum of gains less the sites lost at either end."""
    sums = np.concatenate([[0.0], np.cumsum(gains)])
    first = np.arange(len(gains))[:, None]
    last = np.arange(1, len(gains) + 1)[None, :]
    value = sums[last] - sums[first] - lost[first] - lost[last - 1]
    width = last - first
    value = np.where((width >= widths[0]) & (width <= widths[1]), value, -np.inf)
    best = int(np.argmax(value))
    return best // len(gains), best % len(gains) + 1


def trim_ends(
    matrix: np.ndarray, composition: np.ndarray, min_width: int, min_bits: float
) -> tuple[int, int]:
    """Half-open range of columns left when ends of less than ``min_bits`` (against ``composition``) go."""
    with np.errstate(divide="ignore", invalid="ignore"):
        bits = np.where(matrix > 0, matrix * np.log2(matrix / composition), 0.0).sum(axis=1)
    first, last = 0, len(matrix)
    while last - first > min_width and min(bits[first], bits[last - 1]) < min_bits:
        if bits[first] <= bits[last - 1]:
            first += 1
        else:
            last -= 1
    return first, last


def _probabilities(counts: np.ndarray, composition: np.ndarray) -> np.ndarray:
    """Counts (w, 4) as probabilities with the pseudocount of EM."""
    counts = counts + em.PSEUDOCOUNT * composition
    return counts / counts.sum(axis=1, keepdims=True)


@njit(cache=True, nogil=True)
def _flanks(codes, tetramers, log_inverse, offsets, window_odds, allowed, rival, matrix, rate, both, reach):
    width = matrix.shape[0]
    counts = np.zeros((width + 2 * reach, 4))
    background = np.zeros(width + 2 * reach)
    lost = np.zeros(width + 2 * reach)
    tables = em._tables(matrix, both)
    strands = tables.shape[0]
    odds = em._room(offsets, strands)
    last = 0
    while last < len(allowed):
        first, last = last, em._tile(offsets, last)
        origin = offsets[first]
        em._odds(tetramers, window_odds, tables, origin, offsets[last], odds)
        for s in range(first, last):
            places = range(offsets[s], offsets[s + 1] - width + 1)
            total = 0.0
            for strand in range(strands):
                for at in places:
                    total += odds[strand, at - origin]
            prior = rate / (max(allowed[s], 1) * strands)
            scale = prior / ((1.0 - rate) * rival[s] + prior * total)
            least = MIN_POSTERIOR / scale
            for strand in range(strands):
                for at in places:
                    value = odds[strand, at - origin]
                    if value >= least:
                        _add_columns(
                            codes, log_inverse, offsets[s], offsets[s + 1], at, strand == 1, width, reach,
                            value * scale, max(math.log(value), 0.0), counts, background, lost,
                        )  # fmt: skip
    return counts, background, lost


@njit(cache=True, nogil=True)
def _add_columns(
    codes, log_inverse, start, stop, at, reverse, width, reach, z, worth, counts, background, lost
):
    """One place of posterior z: its bases, their background, and the columns that it cannot have."""
    for column in range(len(lost)):
        i = at + width - 1 + reach - column if reverse else at + column - reach
        if i < start or i >= stop or codes[i] > 3:
            lost[column] += z * worth
        else:
            counts[column, 3 - codes[i] if reverse else codes[i]] += z
            background[column] += z * log_inverse[i]
