"""The detectors of the synthetic network: what each reads, its filter, and the threshold it fires from.

A detector is a filter of log2 odds (one strand), a threshold and a ReLU. A pair's detector has two filters,
at the pair's spacing, and fires where both pass: it sits where its first motif's own detector sits, so that
wherever the pair fires that detector fires too, at the same output position (a child feature and its parent).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from biosae.errors import ConfigError
from biosae.motifs.formats import Motif
from biosae.synthetic.elements import pair_name, sample_sites
from biosae.synthetic.matrices import BACKGROUND, PSEUDO, filter_width_bp, is_palindrome, truth_motifs
from biosae.synthetic.settings import SyntheticSettings

SENSITIVITY = 0.75  # share of sampled sites that a detector fires on
DISTRACTOR_BP = 6
CALIBRATION_SITES = 20_000


@dataclass(frozen=True)
class Partner:
    """The second half of a pair's detector; it must pass as well.

    Attributes:
        motif: id of the second motif.
        spacing_bp: bases between the two motifs.
        filter: (filter_bp, 4) weights in the frame of the first filter.
        threshold, scale: as a detector's.
    """

    motif: str
    spacing_bp: int
    filter: np.ndarray
    threshold: float
    scale: float


@dataclass(frozen=True)
class Detector:
    """One detector: ``gain * relu(score - threshold) / scale`` of the best start in the window.

    Attributes:
        name: ``{motif}{strand}`` or ``distractor_{i}``.
        kind: motif, repeat, low_complexity, pair or distractor (never scored).
        motif: id of its truth motif; None for distractors.
        strand: ``+`` or ``-``: the strand on which it reads the motif.
        filter: (filter_bp, 4) weights, centred, zero outside the motif; a pair's first motif.
        offset: where the motif starts inside the filter; a pair's first motif.
        width: motif width in bp; a pair's first motif.
        strand_class: palindromic, paired or strand_specific; None for distractors.
        anchor: a pair's first motif; None for every other kind.
        partner: a pair's second half; None for every other kind.
    """

    name: str
    kind: str
    motif: str | None
    strand: str
    filter: np.ndarray
    offset: int
    width: int
    threshold: float
    scale: float
    gain: float
    strand_class: str | None = None
    anchor: str | None = None
    partner: Partner | None = None


def _log_odds(matrix: np.ndarray) -> np.ndarray:
    return np.log2((matrix + PSEUDO) / (1 + 4 * PSEUDO) / BACKGROUND)


def _framed(weights: np.ndarray, filter_bp: int, offset: int) -> np.ndarray:
    return np.pad(weights, ((offset, filter_bp - len(weights) - offset), (0, 0)))


def _centre(width: int, filter_bp: int) -> int:
    return (filter_bp - width) // 2


def _scores(weights: np.ndarray, sites: np.ndarray) -> np.ndarray:
    return weights[np.arange(weights.shape[0]), sites].sum(axis=1)


def _passing(values: np.ndarray, least: float, name: str) -> np.ndarray:
    """Those of a motif's calibration values that are above ``least``.

    Raises:
        ConfigError: none is.
    """
    passing = values[values > least]
    if not passing.size:
        raise ConfigError(
            "The sites of a motif are too alike: no threshold lets a detector fire on some of them only",
            got=f"{name}: most sites have the same, best score",
            expected=f"a detector that fires on {SENSITIVITY:.0%} of the sites",
            mend="lower motif_strength, or plant another matrix",
        )
    return passing


def motif_detector(
    motif: Motif, kind: str, strand: str, strand_class: str, gain: float, filter_bp: int,
    rng: np.random.Generator,
) -> Detector:  # fmt: skip
    """The detector of one matrix on one strand."""
    matrix = motif.matrix if strand == "+" else motif.matrix[::-1, ::-1]
    weights = _log_odds(matrix)
    scores = _scores(weights, sample_sites(matrix, CALIBRATION_SITES, rng))
    threshold = float(np.quantile(scores, 1 - SENSITIVITY))
    scale = float(_passing(scores, threshold, motif.id).mean()) - threshold
    offset = _centre(motif.width, filter_bp)
    return Detector(
        f"{motif.id}{strand}",
        kind,
        motif.id,
        strand,
        _framed(weights, filter_bp, offset),
        offset,
        motif.width,
        threshold,
        scale,
        gain,
        strand_class,
    )


def pair_detector(
    whole: Motif, first: Detector, second: Detector, strand: str, strand_class: str, gain: float,
    rng: np.random.Generator,
) -> Detector:  # fmt: skip
    """The detector of a pair: the smaller of its halves' excesses, so that both must pass.

    Args:
        whole: the pair's truth motif: first, spacing, second.
        first, second: the halves' own detectors of that strand (of a palindrome: its only one).
    """
    spacing, filter_bp = whole.width - first.width - second.width, len(first.filter)
    forward = strand == "+"
    sites = sample_sites(whole.matrix if forward else whole.matrix[::-1, ::-1], CALIBRATION_SITES, rng)
    left, right = (first, second) if forward else (second, first)
    least = np.minimum(_excess(left, sites[:, : left.width]), _excess(right, sites[:, -right.width :]))
    # so that the pair's mean activation on its sites is its gain
    mean = float(_passing(least, 0, whole.id).mean())
    beside = first.offset + (first.width + spacing if forward else -spacing - second.width)
    filter_ = _framed(_weights(second), filter_bp, beside)
    return replace(
        first,
        name=f"{whole.id}{strand}",
        kind="pair",
        motif=whole.id,
        strand=strand,
        scale=first.scale * mean,
        gain=gain,
        strand_class=strand_class,
        anchor=first.motif,
        partner=Partner(second.motif, spacing, filter_, second.threshold, second.scale * mean),
    )


def _weights(detector: Detector) -> np.ndarray:
    return detector.filter[detector.offset : detector.offset + detector.width]


def _excess(detector: Detector, sites: np.ndarray) -> np.ndarray:
    return (_scores(_weights(detector), sites) - detector.threshold) / detector.scale


def distractor(
    number: int, settings: SyntheticSettings, filter_bp: int, rng: np.random.Generator
) -> Detector:
    """A random filter that fires on about ``distractor_density`` of the positions."""
    weights = rng.standard_normal((DISTRACTOR_BP, 4))
    scores = _scores(weights, sample_sites(np.tile(BACKGROUND, (DISTRACTOR_BP, 1)), CALIBRATION_SITES, rng))
    threshold = float(np.quantile(scores, 1 - settings.distractor_density / settings.stride_bp))
    scale = float(scores[scores > threshold].mean()) - threshold
    offset = _centre(DISTRACTOR_BP, filter_bp)
    return Detector(
        f"distractor_{number}",
        "distractor",
        None,
        "+",
        _framed(weights, filter_bp, offset),
        offset,
        DISTRACTOR_BP,
        threshold,
        scale,
        settings.distractor_gain,
    )


def _strands(motif: Motif, parts: set[str], settings: SyntheticSettings) -> tuple[str, str]:
    """Strands on which a truth motif is read, and the class that makes it.

    Raises:
        ConfigError: a palindrome cannot be specific to a strand.
    """
    specific = sorted(parts & set(settings.strand_specific))
    if not is_palindrome(motif.matrix):
        return ("+", "strand_specific") if specific else ("+-", "paired")
    if specific == [motif.id]:
        raise ConfigError(
            "A motif that reads the same on both strands cannot be read on one strand only",
            got=f"{motif.id} in strand_specific",
            expected="a matrix unlike its reverse complement",
            mend="take it out of strand_specific, or plant another one",
        )
    return "+", "palindromic"


def scored_detectors(
    planted: list[Motif], consensus: np.ndarray, settings: SyntheticSettings, rng: np.random.Generator
) -> list[Detector]:
    """The detectors of every truth motif, on each strand on which it is read; motifs first, pairs last.

    Raises:
        ConfigError: a palindrome is to be read on one strand only, or a motif's sites are all alike.
    """
    filter_bp, gains = filter_width_bp(planted, settings.pairs), settings.gains
    own: dict[tuple[str, str], Detector] = {}
    halves = {pair_name(*pair): pair for pair in settings.pairs}
    found = []
    for kind, motif in truth_motifs(planted, consensus, settings.pairs):
        parts = set(halves[motif.id][:2]) if kind == "pair" else {motif.id}
        strands, strand_class = _strands(motif, parts, settings)
        for strand in strands:
            rest = (strand, strand_class, gains[kind])
            if kind == "pair":
                both = [own.get((name, strand), own[name, "+"]) for name in halves[motif.id][:2]]
                found.append(pair_detector(motif, *both, *rest, rng))
            else:
                found.append(motif_detector(motif, kind, *rest, filter_bp, rng))
                own[motif.id, strand] = found[-1]
    return found
