"""Evidence over windows: a window is one observation, however many positions of it are changed."""

from __future__ import annotations

import numpy as np


def bootstrap_weights(n_windows: int, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Shares of windows in each draw of as many windows as there are, float64 (draws, n_windows)."""
    counts = rng.multinomial(n_windows, np.full(n_windows, 1 / n_windows), size=draws)
    return counts / n_windows


def interval(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """2.5th and 97.5th percentile over draws, (draws, ...) -> two (...)."""
    low, high = np.quantile(values, [0.025, 0.975], axis=0)
    return low, high


def within_window_p(sizes: np.ndarray, draws: int, rng: np.random.Generator) -> float:
    """Does the node stand out of its controls in one window after the other?

    The node's label is given to one of the node and its controls at random, in each window anew. A window's
    sizes are divided by their mean, so that one window with large effects does not decide. Directions that
    mean nothing keep some of their size from window to window, so that this p is below 0.05 for more than 5
    % of them: it says that windows agree, not that the node is above what directions do
    (``biosae.causal.law``).

    Args:
        sizes: (n_windows, 1 + K), the node first.

    Returns:
        (1 + c) / (1 + draws), c the draws in which the mean of the labelled is as large as the node's.
    """
    means = sizes.mean(axis=1, keepdims=True)
    relative = np.divide(sizes, means, out=np.ones_like(sizes), where=means > 0)
    own = relative[:, 0].mean()
    picked = rng.integers(0, sizes.shape[1], size=(draws, len(sizes)))
    null = relative[np.arange(len(sizes)), picked].mean(axis=1)
    return (1 + int((null >= own * (1 - 1e-12)).sum())) / (1 + draws)
