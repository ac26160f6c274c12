"""How large the effect of a direction that means nothing is: the null of the ablation.

A node's change and those of its K controls (other nodes' directions at the same places, of the same size)
have squared effects S over the tracks of a group. Where a node is no different from its controls, its ratio R
= S / median(S of controls) has the law that the controls' own ratios have, each to the median of the others.
Simply counting controls above a node fails where nodes matter: a direction that drives a track does so
wherever it is added, so that with 5 % of such nodes 5 % of all controls are above every node. The null is
therefore fitted to the central half of the controls' ratios and extrapolated (an empirical null by central
matching: Efron, J. Am. Stat. Assoc. 99:96, 2004, section 4). The family: effects of many small parts are
Gaussian, so S is a sum of squares of Gaussians, which is close to a scaled chi-square of some degrees of
freedom (Satterthwaite, Biometrics Bull. 2:110, 1946); these are what is fitted. The medians' own scatter is
part of the law.

A p is never below 1 / (1 + controls of the run, over all groups): what so many controls could not show by
being counted is not claimed.
"""

from __future__ import annotations

import numpy as np
from scipy import special, stats

MIN_CONTROLS = 2  # a control is compared with the others, so there must be others
_DEGREES = (0.02, 2e3)  # of freedom: from "hardly anything known" to "no scatter"
# quantiles of the median's place and their weights, dense at both ends: a small median makes a large ratio
_PLACES = np.linspace(-14, 14, 113)
_QUANTILES = 1 / (1 + np.exp(-_PLACES))
_WEIGHTS = _QUANTILES * (1 - _QUANTILES) / (_QUANTILES * (1 - _QUANTILES)).sum()
_GRID = np.logspace(-10, 10, 401)


def lower_median(values: np.ndarray) -> np.ndarray:
    """The (n + 1) // 2-th smallest of n along the last axis: one of the values, so that its law is known."""
    rank = (values.shape[-1] + 1) // 2 - 1
    return np.partition(values, rank, axis=-1)[..., rank]


def control_ratios(controls: np.ndarray) -> np.ndarray:
    """Each control's S over the lower median of the others', (n, K); inf or nan where that is 0."""
    k = controls.shape[1]
    others = np.stack([lower_median(np.delete(controls, i, axis=1)) for i in range(k)], axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return controls / others


def survival(ratio: np.ndarray, degrees: float, k: int) -> np.ndarray:
    """P(R >= ratio) of a chi-square of ``degrees`` over the lower median of k independent ones, any shape."""
    tails = np.maximum(_tails(degrees, k), np.finfo(float).tiny)
    with np.errstate(divide="ignore"):
        place = np.log(np.asarray(ratio, dtype=np.float64))
    found = np.exp(np.interp(place, np.log(_GRID), np.log(tails)))
    return np.where(np.isneginf(place), 1.0, found)


def _tails(degrees: float, k: int) -> np.ndarray:
    """``survival`` on the grid of ratios."""
    rank = (k + 1) // 2
    # the median's place among all chi-squares is a beta variable (an order statistic of uniforms)
    medians = stats.chi2.ppf(stats.beta.ppf(_QUANTILES, rank, k - rank + 1), degrees)
    return special.chdtrc(degrees, _GRID[:, None] * medians) @ _WEIGHTS


def fit_degrees(ratios: np.ndarray, k: int, most: float) -> float:
    """Degrees of freedom whose law has the interquartile range of log ``ratios``, each over k others.

    Never above ``most``: a sum of squares over so many tracks has no more. Ratios that are 0, inf or nan
    (effects of exactly 0) are left out; with fewer than four the law of one track.
    """
    known = np.log(ratios[np.isfinite(ratios) & (ratios > 0)])
    if len(known) < 4:
        return 1.0
    low, high = np.quantile(known, [0.25, 0.75])
    bounds = np.log(_DEGREES)
    for _ in range(24):
        middle = bounds.mean()
        wider = _interquartile_range(float(np.exp(middle)), k) > high - low
        bounds = np.array([middle, bounds[1]] if wider else [bounds[0], middle])
    return min(float(np.exp(bounds.mean())), most)


def p_values(
    own: np.ndarray, controls: np.ndarray, n_controls: int, n_tracks: int
) -> tuple[np.ndarray, float]:
    """p of each node of one group of tracks.

    Args:
        own: S of each node, (n,).
        controls: S of its controls, (n, K).
        n_controls: controls of all nodes and groups, which bound p from below.
        n_tracks: tracks of the group.

    Returns:
        p (n,), nan where K is below ``MIN_CONTROLS``; and the degrees of freedom of the law.
    """
    n, k = controls.shape
    if k < MIN_CONTROLS or n == 0:
        return np.full(n, np.nan), float("nan")
    degrees = fit_degrees(control_ratios(controls), k - 1, n_tracks)
    median = lower_median(controls)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(own > 0, own / median, 0.0)
    return np.clip(survival(ratio, degrees, k), 1 / (1 + n_controls), 1.0), degrees


def _interquartile_range(degrees: float, k: int) -> float:
    high, low = np.interp([0.25, 0.75], _tails(degrees, k)[::-1], np.log(_GRID)[::-1])
    return float(high - low)
