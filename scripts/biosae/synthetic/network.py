"""A small convolutional network whose detectors are known and whose channels each mix many of them.

An output position takes each detector's best match among the ``stride_bp`` starts it covers. Channels are
random directions of the detectors, fewer than detectors (superposition) unless a ratio of 1 is asked for,
plus channel means, distractors (dense detectors of random words), and noise.
Work of one sequence of L bases: 2 * 4 * filter_bp * filters * L multiply-adds (a pair has two filters).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from biosae.errors import ConfigError
from biosae.geometry import Layer
from biosae.motifs.formats import Motif
from biosae.synthetic.detectors import Detector, distractor, scored_detectors
from biosae.synthetic.matrices import filter_width_bp
from biosae.synthetic.settings import SyntheticSettings


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


def channel_count(settings: SyntheticSettings, n_detectors: int) -> int:
    """Channels of a network of so many scored detectors.

    Raises:
        ConfigError: ``n_channels`` decides and is not below the detectors, or the ratio leaves no channel.
    """
    if settings.superposition is None:
        if settings.n_channels >= n_detectors:
            raise ConfigError(
                "The synthetic network has no superposition",
                got=f"{settings.n_channels} channels for {n_detectors} detectors",
                expected=f"n_channels below {n_detectors}",
                mend="for as many channels as detectors set superposition to 1",
            )
        return settings.n_channels
    channels = round(n_detectors / settings.superposition)
    if channels < 1:
        raise ConfigError(
            "The superposition leaves the synthetic network no channel",
            got=f"{settings.superposition:g} for {n_detectors} detectors",
            expected=f"at most {n_detectors}",
        )
    return channels


def build_network(planted: list[Motif], consensus: np.ndarray, settings: SyntheticSettings) -> Network:
    """The network: detectors of every truth motif and strand, distractors, and random channel directions.

    Args:
        planted: planted matrices.
        consensus: consensus of the repeat family, int8 bases.
        settings: sizes, gains and noise; same settings, same network.

    Raises:
        ConfigError: the number of channels is impossible (``channel_count``), or a palindrome is to be read
            on one strand only.
    """
    rng = np.random.default_rng([settings.seed, 2])
    filter_bp = filter_width_bp(planted, settings.pairs)
    detectors = scored_detectors(planted, consensus, settings, rng)
    n_channels = channel_count(settings, len(detectors))
    for i in range(settings.distractors):
        detectors.append(distractor(i, settings, filter_bp, rng))
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
        motif of the best match (of a pair: its first motif) begins, in bases from the start of the sequence
        (it may hang over an end).
    """
    best, start = best_scores(network, bases)
    threshold, scale, gain, offset = (
        np.array([getattr(d, key) for d in network.detectors])
        for key in ("threshold", "scale", "gain", "offset")
    )
    activation = np.maximum(best - threshold, 0) / scale * gain
    return activation.astype(np.float32), start - network.layer.left_bp + offset


def best_scores(network: Network, bases: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Best score per output position and detector, and its start; the sequence is padded by left_bp."""
    layer, detectors = network.layer, network.detectors
    filters = torch.from_numpy(np.stack([d.filter.T for d in detectors])).float()
    hot = torch.zeros(4, len(bases) + filters.shape[2] - 1)
    known = np.flatnonzero(bases < 4)
    hot[torch.from_numpy(bases[known].astype(np.int64)), torch.from_numpy(known + layer.left_bp)] = 1.0
    scores = torch.nn.functional.conv1d(hot[None], filters)
    paired = [i for i, d in enumerate(detectors) if d.partner is not None]
    if paired:
        scores[0, paired] = _both([detectors[i] for i in paired], scores[0, paired], hot)
    best, start = torch.nn.functional.max_pool1d(scores, layer.stride_bp, return_indices=True)
    return best[0].T.numpy(), start[0].T.numpy()


def _both(pairs: list[Detector], scores: torch.Tensor, hot: torch.Tensor) -> torch.Tensor:
    """Scores of pairs from their first halves': the smaller excess of the two, in the first half's units."""
    filters = torch.from_numpy(np.stack([d.partner.filter.T for d in pairs])).float()
    others = torch.nn.functional.conv1d(hot[None], filters)[0]
    threshold, scale = (
        torch.tensor([[getattr(d, key)] for d in pairs], dtype=torch.float32)
        for key in ("threshold", "scale")
    )
    of_other, scale_of_other = (
        torch.tensor([[getattr(d.partner, key)] for d in pairs], dtype=torch.float32)
        for key in ("threshold", "scale")
    )
    least = torch.minimum((scores - threshold) / scale, (others - of_other) / scale_of_other)
    return threshold + scale * least


def mix(network: Network, activation: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Channels of detector activations: (positions, n_detectors) -> (positions, channels) float32."""
    noise = rng.standard_normal((len(activation), network.mixing.shape[1]), dtype=np.float32) * network.noise
    return ((activation @ network.mixing + noise) * network.scales + network.means).astype(np.float32)
