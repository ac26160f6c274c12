"""What a node adds to the layer, in the layer's own units, so that it can be taken away or put elsewhere.

The decoder is linear in the codes: with LayerNorm's mean and std of a row held fixed, changing node n's
activation from a to d*a changes the reconstruction by (d - 1) * a * direction_n * std * scale, channel by
channel. That is decode(changed codes) - decode(codes), without the rounding of two large numbers. It is added
to the activations that the network made, not to their reconstruction: what the SAE fails to reconstruct is no
effect of a node.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from biosae.dictionary import Dictionary


class Directions:
    """Decoder directions of a dictionary, as a change of the layer needs them.

    Args:
        model: on the device that the network runs on.
    """

    def __init__(self, model: Dictionary) -> None:
        self.model = model
        device = model.shift.device
        self.normalised = torch.from_numpy(model.decoder_directions()).to(device)
        self.norms = self.normalised.norm(dim=1)

    @torch.no_grad()
    def activations(self, rows: Tensor, node: int) -> Tensor:
        """The node's activation in raw rows (n, channels), (n,) float32; 0 where it is not active."""
        values, indices = self.model.encode(rows)
        return torch.where(indices == node, values, 0).sum(dim=1)

    @torch.no_grad()
    def unit_change(self, rows: Tensor, node: int, size_of: int | None = None) -> Tensor:
        """What one unit of the node adds to raw rows (n, channels) that it is decoded at, (n, channels).

        Args:
            size_of: another node; the change is then as large as that node's, in normalised channels.
        """
        direction = self.normalised[node]
        if size_of is not None:
            direction = direction * (self.norms[size_of] / self.norms[node])
        spread = self.model._inner(self.model.normalise(rows))[2]
        change = direction * self.model.scale
        return change.expand(len(rows), -1) if spread is None else change * spread


def matched_controls(
    mean_activation: np.ndarray, density: np.ndarray, directions: np.ndarray, count: int, alike: float = 0.7
) -> list[np.ndarray]:
    """For each of n nodes the rows of the ``count`` others nearest in log activation and log density.

    Both are divided by their standard deviation over the nodes. Nodes whose direction is nearly the node's
    own, or
    nearly its opposite, are no controls for it: they are the same change.

    Args:
        mean_activation, density: (n,), at least 0.
        directions: (n, channels).
        alike: size of the cosine from which on two directions are the same.

    Returns:
        n arrays of row numbers, nearest first; shorter than ``count`` where there are not so many.
    """
    features = np.stack([_standardised(mean_activation), _standardised(density)], axis=1)
    norms = np.linalg.norm(directions, axis=1, keepdims=True)
    unit = directions / np.where(norms > 0, norms, 1)
    found = []
    for row in range(len(features)):
        distance = np.square(features - features[row]).sum(axis=1)
        same = np.abs(unit @ unit[row]) >= alike
        distance[same | (norms[:, 0] == 0)] = np.inf
        distance[row] = np.inf
        order = np.argsort(distance, kind="stable")[:count]
        found.append(order[np.isfinite(distance[order])])
    return found


def _standardised(values: np.ndarray) -> np.ndarray:
    values = np.asarray(values, dtype=np.float64)
    positive = values[values > 0]
    logs = np.log(np.maximum(values, positive.min() if len(positive) else 1.0))
    spread = logs.std()
    return (logs - logs.mean()) / (spread if spread > 0 else 1.0)
