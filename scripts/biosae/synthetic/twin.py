"""The random twin of a synthetic network: the same geometry, mixing, means and noise, but filters of random
weights. What an SAE finds in its activations is not motifs that a network learned.

Each filter's rows of weights are drawn where the detector it replaces has its own (of a pair: where the whole
pair lies), and its threshold is set so that it fires on about the same share of positions.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from biosae.synthetic.detectors import Detector
from biosae.synthetic.network import Network, best_scores

CALIBRATION_SEQUENCES = 24
_SEED = 3  # of its own, so that the twin changes nothing that the network draws


def random_twin(network: Network, density: np.ndarray, sequences: list[np.ndarray], seed: int) -> Network:
    """The twin of a network.

    Args:
        network: the network.
        density: (n_detectors,) share of positions on which each detector fires.
        sequences: bases of some sequences, each (length,) int8, to set the thresholds on.
        seed: the world's.

    Returns:
        A network whose detectors keep name, gain and place, but read random words.
    """
    rng = np.random.default_rng([seed, _SEED])
    blank = [_random_filter(detector, rng) for detector in network.detectors]
    twin = replace(network, detectors=blank)
    scores = np.concatenate([best_scores(twin, bases)[0] for bases in sequences])
    return replace(
        twin,
        detectors=[
            _calibrated(detector, own, share)
            for detector, own, share in zip(blank, scores.T, density, strict=True)
        ],
    )


def _random_filter(detector: Detector, rng: np.random.Generator) -> Detector:
    halves = [detector.filter] + ([detector.partner.filter] if detector.partner else [])
    rows = np.flatnonzero(np.any([half.any(axis=1) for half in halves], axis=0))
    first, last = rows[0], rows[-1] + 1
    weights = np.zeros_like(detector.filter)
    weights[first:last] = rng.standard_normal((last - first, 4))
    return replace(
        detector, filter=weights, offset=int(first), width=int(last - first), anchor=None, partner=None
    )


def _calibrated(detector: Detector, scores: np.ndarray, density: float) -> Detector:
    """Threshold and scale from (n,) scores; some of them pass (the words of a short filter tie)."""
    passing = min(max(round(density * len(scores)), 1), len(scores) - 1)
    ranked = np.sort(scores)
    threshold = min(ranked[-passing - 1], ranked[ranked < ranked[-1]][-1])
    scale = ranked[ranked > threshold].mean(dtype=np.float64) - threshold
    return replace(detector, threshold=float(threshold), scale=float(scale))
