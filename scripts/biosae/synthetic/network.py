"""A small convolutional network whose detectors are known and whose channels each mix many of them.

A detector is a filter of log2 odds (one strand), a threshold and a ReLU; an output position takes the best
match among the ``stride_bp`` starts it covers. Channels are random directions of the detectors, fewer than
detectors (superposition), plus channel means, distractors (dense detectors of random words), and noise.
Work of one sequence of L bases: 2 * 4 * filter_bp * detectors * L multiply-adds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from biosae.errors import ConfigError
from biosae.geometry import Layer
from biosae.motifs.formats import Motif
from biosae.synthetic.genome import (
    LOW_COMPLEXITY,
    LOW_COMPLEXITY_ERROR,
    REPEAT_BP,
    REPEAT_DIVERGENCE,
    REPEAT_NAME,
    sample_sites,
)
from biosae.synthetic.settings import SyntheticSettings

BACKGROUND = np.array([0.29, 0.21, 0.21, 0.29])  # mean base composition of the synthetic genome
PSEUDO = 0.01  # keeps log odds of absent letters finite (about -4.5 bits)
LEAST_FILTER_BP = 19  # width of repeat and low-complexity filters; the widest matrix decides when it is wider
REPEAT_WINDOWS_BP = (200, 236, 272)  # offsets in the consensus; every copy holds its last 110 bp
PALINDROME = (
    0.8  # Pearson correlation of a matrix with its reverse complement above which one detector serves
)
SENSITIVITY = 0.75  # share of sampled sites that a detector fires on
DISTRACTOR_BP = 6
CALIBRATION_SITES = 20_000


@dataclass(frozen=True)
class Detector:
    """One detector: ``gain * relu(score - threshold) / scale`` of the best start in the window.

    Attributes:
        name: ``{motif}{strand}`` or ``distractor_{i}``.
        kind: motif, repeat, low_complexity or distractor (never scored).
        motif: id of its truth motif; None for distractors.
        strand: ``+`` or ``-``: the strand on which it reads the motif.
        matrix: (width, 4) probabilities as read on the forward strand; None for distractors.
        filter: (filter_bp, 4) weights, centred, zero outside the motif.
        offset: where the motif starts inside the filter.
        width: motif width in bp.
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


@dataclass(frozen=True)
class Network:
    """Detectors, the layer's geometry and how channels mix them.

    Attributes:
        mixing: (n_detectors, channels) float32, rows of unit length.
        means: (channels,) float32 added to every position.
        scales: (channels,) float32 that multiply each channel (before the means are added).
        noise: standard deviation of the Gaussian noise of a channel before scaling; detectors have size 1.
    """

    detectors: list[Detector]
    layer: Layer
    mixing: np.ndarray
    means: np.ndarray
    scales: np.ndarray
    noise: float


def one_hot_matrix(bases: np.ndarray, agreement: float) -> np.ndarray:
    """(width, 4) probabilities: ``agreement`` for the given base, the rest shared by the other three."""
    matrix = np.full((len(bases), 4), (1 - agreement) / 3)
    matrix[np.arange(len(bases)), bases] = agreement
    return matrix


def truth_motifs(planted: list[Motif], consensus: np.ndarray, filter_bp: int) -> list[tuple[str, Motif]]:
    """Every motif that a scored detector reads, with its kind: planted, repeat windows, low complexity."""
    motifs = [("motif", motif) for motif in planted]
    for at in REPEAT_WINDOWS_BP:
        matrix = one_hot_matrix(consensus[at : at + min(filter_bp, REPEAT_BP - at)], 1 - REPEAT_DIVERGENCE)
        motifs.append(("repeat", Motif(f"{REPEAT_NAME}_{at}", f"{REPEAT_NAME}_{at}", matrix)))
    for name, (unit, _) in LOW_COMPLEXITY.items():
        matrix = one_hot_matrix(np.resize(np.array(unit), filter_bp), 1 - LOW_COMPLEXITY_ERROR)
        motifs.append(("low_complexity", Motif(name, name, matrix)))
    return motifs


def filter_width_bp(planted: list[Motif]) -> int:
    """Common filter width: the widest planted matrix, at least LEAST_FILTER_BP."""
    return max([LEAST_FILTER_BP, *(motif.width for motif in planted)])


def is_palindrome(matrix: np.ndarray) -> bool:
    """Whether a matrix equals its reverse complement well enough for one detector to serve both strands."""
    return float(np.corrcoef(matrix.ravel(), matrix[::-1, ::-1].ravel())[0, 1]) > PALINDROME


def _log_odds(matrix: np.ndarray) -> np.ndarray:
    return np.log2((matrix + PSEUDO) / (1 + 4 * PSEUDO) / BACKGROUND)


def _centred(weights: np.ndarray, filter_bp: int) -> tuple[np.ndarray, int]:
    offset = (filter_bp - len(weights)) // 2
    return np.pad(weights, ((offset, filter_bp - len(weights) - offset), (0, 0))), offset


def _scores(weights: np.ndarray, sites: np.ndarray) -> np.ndarray:
    return weights[np.arange(weights.shape[0]), sites].sum(axis=1)


def _detector(
    motif: Motif, kind: str, strand: str, gain: float, filter_bp: int, rng: np.random.Generator
) -> Detector:
    matrix = motif.matrix if strand == "+" else motif.matrix[::-1, ::-1]
    weights = _log_odds(matrix)
    scores = _scores(weights, sample_sites(matrix, CALIBRATION_SITES, rng))
    threshold = float(np.quantile(scores, 1 - SENSITIVITY))
    scale = float(scores[scores > threshold].mean()) - threshold
    filter_, offset = _centred(weights, filter_bp)
    return Detector(
        f"{motif.id}{strand}", kind, motif.id, strand, filter_, offset, motif.width, threshold, scale, gain
    )


def _distractor(
    number: int, settings: SyntheticSettings, filter_bp: int, rng: np.random.Generator
) -> Detector:
    """A random filter that fires on about ``distractor_density`` of the positions."""
    weights = rng.standard_normal((DISTRACTOR_BP, 4))
    scores = _scores(weights, sample_sites(np.tile(BACKGROUND, (DISTRACTOR_BP, 1)), CALIBRATION_SITES, rng))
    threshold = float(np.quantile(scores, 1 - settings.distractor_density / settings.stride_bp))
    scale = float(scores[scores > threshold].mean()) - threshold
    filter_, offset = _centred(weights, filter_bp)
    return Detector(
        f"distractor_{number}",
        "distractor",
        None,
        "+",
        filter_,
        offset,
        DISTRACTOR_BP,
        threshold,
        scale,
        settings.distractor_gain,
    )


def build_network(planted: list[Motif], consensus: np.ndarray, settings: SyntheticSettings) -> Network:
    """The network: detectors of every truth motif and strand, distractors, and random channel directions.

    Args:
        planted: planted matrices.
        consensus: consensus of the repeat family, int8 bases.
        settings: sizes, gains and noise; same settings, same network.

    Raises:
        ConfigError: there are at least as many channels as detectors.
    """
    rng = np.random.default_rng([settings.seed, 2])
    n_channels, gains = settings.n_channels, settings.gains
    filter_bp = filter_width_bp(planted)
    detectors = []
    for kind, motif in truth_motifs(planted, consensus, filter_bp):
        for strand in "+" if is_palindrome(motif.matrix) else "+-":
            detectors.append(_detector(motif, kind, strand, gains[kind], filter_bp, rng))
    if n_channels >= len(detectors):
        raise ConfigError(
            "The synthetic network has no superposition",
            got=f"{n_channels} channels for {len(detectors)} detectors",
            expected=f"n_channels below {len(detectors)}",
        )
    for i in range(settings.distractors):
        detectors.append(_distractor(i, settings, filter_bp, rng))
    mixing = rng.standard_normal((len(detectors), n_channels))
    mixing /= np.linalg.norm(mixing, axis=1, keepdims=True)
    return Network(
        detectors,
        synthetic_layer(n_channels, settings.stride_bp, filter_bp),
        mixing.astype(np.float32),
        rng.normal(0, 1, n_channels).astype(np.float32),
        np.exp(rng.normal(0, 0.5, n_channels)).astype(np.float32),
        settings.noise,
    )


def synthetic_layer(n_channels: int, stride_bp: int, filter_bp: int) -> Layer:
    """Geometry: position j scores the starts stride*j-left ... stride*j-left+stride-1 of every filter."""
    window_bp = filter_bp + stride_bp - 1
    left_bp = (window_bp - stride_bp) // 2
    return Layer("synthetic", "", n_channels, stride_bp, left_bp, window_bp - left_bp)


def detect(network: Network, bases: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Run the detectors over one sequence.

    Args:
        bases: (length,) int8 with length a multiple of the stride; N and what lies outside score 0.

    Returns:
        activation (positions, n_detectors) float32, and site_start (positions, n_detectors) int64: where the
        motif of the best match begins, in bases from the start of the sequence (it may hang over an end).
    """
    layer, detectors = network.layer, network.detectors
    filters = torch.from_numpy(np.stack([d.filter.T for d in detectors])).float()
    hot = torch.zeros(4, len(bases) + filters.shape[2] - 1)
    known = np.flatnonzero(bases < 4)
    hot[torch.from_numpy(bases[known].astype(np.int64)), torch.from_numpy(known + layer.left_bp)] = 1.0
    scores = torch.nn.functional.conv1d(hot[None], filters)
    best, start = torch.nn.functional.max_pool1d(scores, layer.stride_bp, return_indices=True)
    threshold, scale, gain, offset = (
        np.array([getattr(d, key) for d in detectors]) for key in ("threshold", "scale", "gain", "offset")
    )
    activation = np.maximum(best[0].T.numpy() - threshold, 0) / scale * gain
    return activation.astype(np.float32), start[0].T.numpy() - layer.left_bp + offset


def mix(network: Network, activation: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Channels of detector activations: (positions, n_detectors) -> (positions, channels) float32."""
    noise = rng.standard_normal((len(activation), network.mixing.shape[1]), dtype=np.float32) * network.noise
    return ((activation @ network.mixing + noise) * network.scales + network.means).astype(np.float32)
