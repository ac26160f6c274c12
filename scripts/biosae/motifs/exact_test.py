"""Fisher's exact test within strata: are there more hits among seqlets than among controls like them?

Seqlets and controls of one stratum (GC and repeat share, see ``controls``) are exchangeable unless the motif
tells them apart; those of different strata are not: a set rich in A runs meets more A-run motifs than
controls that are not, whatever the node means. So hits are compared within each stratum, given its number of
hits (hypergeometric), and the strata's hits are added: the exact conditional test of Mantel & Haenszel
(1959, J. Natl. Cancer Inst. 22:719) and Gart (1970, Biometrika 57:471). With one stratum it is Fisher's test.
A stratum without controls, or without seqlets, says nothing and has no weight.

The sum's tail may lie far below what a double holds: the distribution is tilted to where the hits are
(exponentially, exact for any tilt), convolved there, and tilted back in logarithms.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import gammaln

_LARGEST_TILT = 200.0  # exp(-200) of a tilted stratum's mass lies beside its largest number of hits
_HALVINGS = 60  # of the interval for the tilt; it need not be exact


def log10_p_in_strata(
    hit: np.ndarray, stratum: np.ndarray, control_hit: np.ndarray, control_stratum: np.ndarray
) -> float:
    """log10 of the one-sided p: at least as many hits among the seqlets.

    Args:
        hit, stratum: (n,) bool and (n,) int >= 0 of the seqlets.
        control_hit, control_stratum: (m,) of the controls.
    """
    if len(hit) == 0 or len(control_hit) == 0:
        return 0.0
    size = int(max(stratum.max(), control_stratum.max())) + 1
    counts = [
        np.bincount(of[which], minlength=size)
        for of, which in (
            (stratum, hit), (stratum, ...), (control_stratum, control_hit), (control_stratum, ...),
        )
    ]  # fmt: skip
    return log10_p_of_tables(*counts)


def log10_p_of_tables(
    hits: np.ndarray, n: np.ndarray, control_hits: np.ndarray, n_controls: np.ndarray
) -> float:
    """The same from counts, each (strata,): hits among n seqlets, control_hits among n_controls controls."""
    support, excess = _support(hits, n, control_hits, n_controls)
    if excess <= 0:
        return 0.0
    above, log_mass, starts, sizes = support
    tilt = _tilt(*support, excess)
    tilted, log_scale = _tilted(above, log_mass, starts, sizes, tilt)
    sums = np.ones(1)
    for mass in np.split(tilted, starts[1:]):
        sums = np.convolve(sums, mass)
    tail = sums[excess:] * np.exp(-tilt * np.arange(len(sums) - excess))
    return min((log_scale - tilt * excess + math.log(tail.sum())) / math.log(10), 0.0)


def tilt_of_tables(
    hits: np.ndarray, n: np.ndarray, control_hits: np.ndarray, n_controls: np.ndarray
) -> float:
    """The tilt that ``log10_p_of_tables`` takes for these counts; 0 where there is nothing to tilt."""
    support, excess = _support(hits, n, control_hits, n_controls)
    return _tilt(*support, excess) if excess > 0 else 0.0


def _support(hits, n, control_hits, n_controls) -> tuple[tuple[np.ndarray, ...], int]:
    """(hits above the fewest, their log mass, starts, sizes) of the strata that tell, and all hits above."""
    total = hits + control_hits
    fewest, most = np.maximum(total - n_controls, 0), np.minimum(n, total)
    tells = most > fewest
    excess = int((hits - fewest)[tells].sum())
    sizes = (most - fewest)[tells] + 1
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])[: len(sizes)]
    above = np.arange(sizes.sum()) - np.repeat(starts, sizes)  # hits above the stratum's fewest
    log_mass = _log_hypergeometric(above, sizes, *(x[tells] for x in (fewest, total, n, n_controls)))
    return (above, log_mass, starts, sizes), excess


def _log_hypergeometric(above, sizes, fewest, total, n, n_controls) -> np.ndarray:
    """Log mass of every number of hits of every stratum, one after another."""
    fewest, total, n, n_controls = (np.repeat(x, sizes) for x in (fewest, total, n, n_controls))
    k = fewest + above

    def choose(top, part):
        return gammaln(top + 1) - gammaln(part + 1) - gammaln(top - part + 1)

    return choose(n, k) + choose(n_controls, total - k) - choose(n + n_controls, total)


def _tilted(above, log_mass, starts, sizes, tilt) -> tuple[np.ndarray, float]:
    """Masses times exp(tilt x above), each stratum scaled to 1, and the log of all scales together."""
    raised = log_mass + tilt * above
    largest = np.maximum.reduceat(raised, starts)
    mass = np.exp(raised - np.repeat(largest, sizes))
    scale = np.add.reduceat(mass, starts)
    return mass / np.repeat(scale, sizes), float((largest + np.log(scale)).sum())


def _tilt(above, log_mass, starts, sizes, excess: int) -> float:
    """The tilt under which the expected sum is about ``excess``; 0 where it is above that untilted."""
    low, high = 0.0, _LARGEST_TILT
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        mean = float((_tilted(above, log_mass, starts, sizes, middle)[0] * above).sum())
        if abs(mean - excess) < 0.5:
            return middle
        low, high = (middle, high) if mean < excess else (low, middle)
    return low
