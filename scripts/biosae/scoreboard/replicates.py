"""The held-out test of one motif for many sets of counts at once.

The same test as ``motifs.exact_test``, one row a replicate: controls stay, seqlets are counted with weights.
One tilt, that of the observed counts, serves all replicates: the test is exact for any tilt, and a replicate
lies within some standard deviations of what was observed. Where it does not, and the tilted tail leaves the
range of a double, the row is computed by itself.

Floor: for every stratum its support times the support of the strata before, a multiplication and an addition
each, times the replicates. Rows end where their support does; that loop is compiled at first use and
cached (``NUMBA_CACHE_DIR``).
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from scipy.special import gammaln

from biosae.motifs.exact_test import log10_p_of_tables, tilt_of_tables

_SMALLEST_TAIL = 1e-250  # of a tilted tail; below it products of masses may have underflowed


def log10_p_of_replicates(
    hits: np.ndarray,
    n: np.ndarray,
    control_hits: np.ndarray,
    n_controls: np.ndarray,
    observed: tuple[np.ndarray, np.ndarray],
) -> np.ndarray:
    """log10 of the one-sided p of each replicate.

    Args:
        hits, n: (replicates, strata) int64, hits among n seqlets.
        control_hits, n_controls: (strata,) int64, the same in each replicate.
        observed: hits and n, (strata,), of the data themselves, for the tilt.

    Returns:
        (replicates,) float64.
    """
    tilt = tilt_of_tables(*observed, control_hits, n_controls)
    log_factorial = gammaln(np.arange(int((n.max(0, initial=0) + n_controls).max(initial=0)) + 1) + 1.0)
    fewest = np.maximum(hits + control_hits - n_controls, 0)
    excess = (hits - fewest).sum(1)
    sums, log_scale = np.ones((len(hits), 1)), np.zeros(len(hits))
    for s in range(hits.shape[1]):
        if n_controls[s] == 0 or not n[:, s].any():
            continue  # says nothing
        mass, scale = _tilted_masses(
            fewest[:, s], hits[:, s] + control_hits[s], n[:, s], int(n_controls[s]), tilt, log_factorial
        )
        sums, log_scale = _convolved(sums, mass), log_scale + scale
    above = np.arange(sums.shape[1]) - excess[:, None]
    tail = np.where(above >= 0, sums * np.exp(-tilt * np.maximum(above, 0)), 0.0).sum(1)
    lost = (excess > 0) & ~(tail > _SMALLEST_TAIL)
    log10_p = (log_scale - tilt * excess + np.log(np.where(tail > 0, tail, 1.0))) / math.log(10)
    log10_p = np.where(excess > 0, np.minimum(log10_p, 0.0), 0.0)
    for row in np.flatnonzero(lost):
        log10_p[row] = log10_p_of_tables(hits[row], n[row], control_hits, n_controls)
    return log10_p


def _tilted_masses(fewest, total, n, n_controls: int, tilt: float, log_factorial):
    """Hypergeometric masses of one stratum times exp(tilt x hits above the fewest), and their log scale.

    (replicates, support), each row scaled to 1: a replicate of smaller support has zeros at the end.
    """
    most = np.minimum(n, total)
    above = np.arange(int((most - fewest).max()) + 1)
    hits = np.minimum(fewest[:, None] + above, most[:, None])

    def choose(top, part):
        return log_factorial[top] - log_factorial[part] - log_factorial[top - part]

    raised = (
        choose(n[:, None], hits)
        + choose(n_controls, total[:, None] - hits)
        - choose(n + n_controls, total)[:, None]
        + tilt * above
    )
    raised[above > (most - fewest)[:, None]] = -np.inf
    largest = raised.max(1)
    mass = np.exp(raised - largest[:, None])
    scale = mass.sum(1)
    return mass / scale[:, None], largest + np.log(scale)


def _convolved(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Row by row the distribution of the sum of two counts."""
    if first.shape[1] < second.shape[1]:
        first, second = second, first
    return _convolve_rows(first, second, _widths(first), _widths(second))


def _widths(rows: np.ndarray) -> np.ndarray:
    """(rows,) int64 length of each row without the zeros at its end."""
    return rows.shape[1] - (rows[:, ::-1] > 0).argmax(1).astype(np.int64)


@njit(cache=True, nogil=True)
def _convolve_rows(first, second, width_1, width_2):
    out = np.zeros((len(first), first.shape[1] + second.shape[1] - 1))
    for row in range(len(first)):
        for j in range(width_2[row]):
            share = second[row, j]
            for i in range(width_1[row]):
                out[row, i + j] += first[row, i] * share
    return out


def warm_up() -> None:
    """Compile the kernel (or load it from the cache)."""
    _convolved(np.ones((1, 2)), np.ones((1, 1)))
