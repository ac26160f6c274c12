"""The search on part A: seeds are screened, the best refined, and a rival motif taken into account."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from biosae.motifs import em, heldout, seeds, width
from biosae.motifs.packing import Packed, prefix
from biosae.motifs.settings import DiscoverySettings

# The search reads this many sequences of part A, its find is fitted to all of it. At 42 bp 300, 400 and 500
# of 600 sequences gave the same r to 0.002. Of weak motifs in 600 x 150 bp, both strands, 400 missed 2 of 68
# nodes, 500 missed 1 of 38, 600 missed none of 68 for a tenth more time at 42 bp.
SAMPLE = 600
SAMPLE_CONTROLS = 1000  # and this many controls
PURE_RATE = 0.1  # share of sequences with a site that EM starts from: a low rate keeps to those that hold the
PURE_PASSES = 2  # seed itself, and after few passes two motifs have not merged yet
SCREENED = 8  # seeds that get
SCREEN_PASSES = 2  # more passes before the best are refined
TURNS = 2  # motif and rival are refined in turn this often,
NEAR = 20.0  # but once when BIC is worse by more than this after it (nats): a second turn gained 17 at most


@dataclass(frozen=True)
class Background:
    """Base frequencies (4,) and what the Markov background makes of each seed word (seeds.WORDS,)."""

    composition: np.ndarray
    words: np.ndarray


@dataclass(frozen=True)
class Found:
    """A motif, what it tells sequences from controls by (nats), and the motif beside which it was fitted."""

    state: em.Fit
    gain: float
    rival: em.Fit | None = None


def search(
    part: Packed, controls: Packed, model: Background, settings: DiscoverySettings, widths: tuple[int, int]
) -> Found | None:
    """The motif that tells part A from its controls best; None where no word is enriched.

    It is looked for in the first SAMPLE sequences (parts.prepare has put them in random order) and then
    fitted to all.
    """
    both = settings.strand == "both"
    sample = prefix(part, min(part.n, SAMPLE))
    found = _search(sample, prefix(controls, min(controls.n, SAMPLE_CONTROLS)), model, settings, widths)
    if found is None or sample.n == part.n:
        return found
    part.rival[:] = rival_ratio(part, found.rival, both)
    state = width.refine(part, found.state, model.composition, both, widths)
    part.rival[:] = 1.0
    return replace(found, state=state)


def _search(
    part: Packed, controls: Packed, model: Background, settings: DiscoverySettings, widths: tuple[int, int]
) -> Found | None:
    """The search itself: one motif, or two beside each other."""
    both = settings.strand == "both"
    patterns = seeds.find_seeds(part, controls, model.words, both, settings.seeds)
    starts = [seeds.seed_matrix(pattern, model.composition) for pattern in patterns]
    starts = [matrix for matrix in starts if len(matrix) <= widths[1]]
    pure = [em.fit(part, matrix, PURE_RATE, model.composition, both, PURE_PASSES) for matrix in starts]
    screened = _screen(part, pure, model, both)
    candidates = [
        width.refine(part, start, model.composition, both, widths) for start in screened[: settings.refined]
    ]
    if not candidates:
        return None
    ranked = sorted(
        (_judge(part, controls, state, both) for state in candidates),
        key=lambda found: (-found.gain, -found.state.bic(part.n)),
    )
    pair = _with_rival(part, ranked[0].state, pure, model, both, widths)
    if pair is None:
        return ranked[0]
    judged = [
        _judge(part, controls, state, both, _conditional(rival, state)) for state, rival in (pair, pair[::-1])
    ]
    return max(judged, key=lambda found: found.gain)


def rival_ratio(packed: Packed, rival: em.Fit | None, both_strands: bool) -> np.ndarray:
    """Likelihood ratio (n,) of each sequence under rival or background alone; 1 without a rival."""
    if rival is None:
        return np.ones(packed.n)
    return 1.0 - rival.rate + rival.rate * em.best_sites(packed, rival, both_strands).ratio


def _screen(part: Packed, pure: list[em.Fit], model: Background, both: bool) -> list[em.Fit]:
    """A few more EM passes of the better fits; best BIC first."""

    def by_bic(state: em.Fit) -> float:
        return -state.bic(part.n)

    fits = [
        em.fit(part, state.matrix, state.rate, model.composition, both, SCREEN_PASSES)
        for state in sorted(pure, key=by_bic)[:SCREENED]
    ]
    return sorted(fits, key=by_bic)


def _judge(part: Packed, controls: Packed, state: em.Fit, both: bool, rival: em.Fit | None = None) -> Found:
    """How well a fit tells sequences from controls."""
    _, gain = heldout.choose_threshold(
        em.best_sites(part, state, both).odds, em.best_sites(controls, state, both).odds
    )
    return Found(state, gain, rival)


def _with_rival(
    part: Packed,
    state: em.Fit,
    pure: list[em.Fit],
    model: Background,
    both: bool,
    widths: tuple[int, int],
) -> tuple[em.Fit, em.Fit] | None:
    """Two motifs fitted beside each other, where BIC prefers them to ``state`` alone.

    One start is the best pair of seeds, which frees two motifs that ``state`` merges, the other the motif
    with the seed that goes with it best. Rates are shares of all sequences; ``_conditional`` turns one into
    its share of those without the other.
    """
    best, best_bic = None, state.bic(part.n)
    for first, second in _best_pairs(part, [*pure, state], both):
        for _ in range(TURNS):
            part.rival[:] = rival_ratio(part, _conditional(first, second), both)
            second = width.refine(part, second, model.composition, both, widths)
            part.rival[:] = rival_ratio(part, _conditional(second, first), both)
            first = width.refine(part, first, model.composition, both, widths)
            together = first.bic(part.n) - 0.5 * (3 * len(second.matrix) + 1) * math.log(part.n)
            if together < best_bic - NEAR:
                break
        if together > best_bic:
            best, best_bic = (first, second), together
    part.rival[:] = 1.0
    return best


def _best_pairs(part: Packed, fits: list[em.Fit], both: bool) -> list[tuple[em.Fit, em.Fit]]:
    """The pair of fits of the best BIC among all but the last, and the best with the last."""
    ratios = np.array([em.best_sites(part, fit, both).ratio for fit in fits])
    rates = np.array([fit.rate for fit in fits])
    cost = np.array([1.5 * len(fit.matrix) * math.log(part.n) for fit in fits])
    bic = np.full((len(fits), len(fits)), -np.inf)
    for i in range(1, len(fits)):
        others = np.minimum(rates[:i], 0.9 * (1.0 - rates[i]))[:, None]
        mixed = 1.0 - rates[i] - others + rates[i] * ratios[i] + others * ratios[:i]
        bic[i, :i] = np.log(mixed).sum(axis=1) - cost[:i] - cost[i]
    with_last = fits[-1], fits[int(np.argmax(bic[-1]))]
    if len(fits) < 3:
        return [with_last]
    first, second = divmod(int(np.argmax(bic[:-1])), len(fits))
    return [(fits[first], fits[second]), with_last]


def _conditional(other: em.Fit, own: em.Fit) -> em.Fit:
    """``other`` with its rate among the sequences that do not have ``own``."""
    return em.Fit(other.matrix, min(other.rate / max(1.0 - own.rate, 1e-3), em.MAX_RATE), other.llr)
