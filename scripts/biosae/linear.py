"""Dictionaries whose nodes are linear scores of channels, both signs: principal and independent components.

With c components of normalised channels u, score s = (u - mean) W^T, and

    node i = ReLU(+s_i), node c + i = ReLU(-s_i)        output y = s M + mean

W (``encoder``) and M (``directions``) are (c, channels). For principal components M = W, orthonormal; for
independent ones M is the pseudo-inverse of W (Hyvarinen and Oja, Neural Networks 13, 2000, section 4). A
component without variance has W = M = 0: its score is 0 and its two nodes are dead.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from biosae.dictionary import Dictionary
from biosae.errors import InputError


class LinearNodes(Dictionary):
    """Both signs of linear scores as nodes. Use ``PrincipalComponents`` or ``IndependentComponents``.

    Args:
        encoder, directions: (components, channels), W and M of the module's docstring.
        mean: (channels,) of normalised channels.
        shift, scale: (channels,) of the normaliser; 0 and 1 if None.
    """

    def __init__(self, encoder, directions, mean, shift=None, scale=None):
        encoder, directions, mean = (_float32(values) for values in (encoder, directions, mean))
        self.components, channels = encoder.shape
        super().__init__(channels, 2 * len(encoder), len(encoder), False, shift, scale)
        if directions.shape != encoder.shape or mean.shape != (channels,):
            raise InputError(
                "The parts of a linear dictionary do not fit one another",
                got=[tuple(part.shape) for part in (encoder, directions, mean)],
                expected="(components, channels) twice and (channels,)",
            )
        for name, values in (("encoder", encoder), ("directions", directions), ("mean", mean)):
            self.register_buffer(name, values)

    def select(self, inner: Tensor) -> tuple[Tensor, Tensor]:
        """|score| (n, components), and of each component the node of its sign (n, components)."""
        score = (inner - self.mean) @ self.encoder.t()
        node = torch.arange(self.components, device=inner.device)
        return score.abs(), torch.where(score < 0, node + self.components, node)

    def combine(self, values: Tensor, indices: Tensor) -> Tensor:
        """Inner output (n, channels): each value with the sign of its node, along its direction."""
        signed = torch.where(indices < self.components, values, -values)
        score = values.new_zeros(len(values), self.components)
        return score.scatter_add(1, indices % self.components, signed) @ self.directions + self.mean

    def encoder_weights(self) -> Tensor:
        """What gives each node's value, float32 (n_nodes, channels): W, then -W."""
        return torch.cat([self.encoder, -self.encoder])

    def decoder_directions(self) -> np.ndarray:
        """M, then -M: float32 (n_nodes, channels)."""
        return torch.cat([self.directions, -self.directions]).cpu().numpy()


class PrincipalComponents(LinearNodes):
    """Kind ``pca``, a baseline: both signs of principal components of normalised channels."""

    kind = "pca"


class IndependentComponents(LinearNodes):
    """Kind ``ica``, a baseline: both signs of independent components of normalised channels."""

    kind = "ica"


LINEAR = {kind.kind: kind for kind in (PrincipalComponents, IndependentComponents)}


def build_linear(kind: str, tensors: dict[str, Tensor], where: object = None) -> LinearNodes:
    """A linear dictionary of a checkpoint's tensors, ``biosae.checkpoint``'s names, shapes already checked.

    Raises:
        InputError: the second half of the nodes is not the first with the other sign.
    """
    encoder, directions = tensors["encoder.weight"], tensors["decoder.weight"].t()
    half = len(encoder) // 2
    opposite = all(torch.equal(weights[:half], -weights[half:]) for weights in (encoder, directions))
    if len(encoder) != 2 * half or not opposite:
        raise InputError(
            f"A checkpoint of kind {kind} does not hold each component with both signs",
            where=where,
            expected="node i and node components + i with opposite weights",
            mend="build the baseline again",
        )
    rest = tensors["mean"], tensors["shift"], tensors["scale"]
    return LINEAR[kind](encoder[:half], directions[:half], *rest)


def _float32(values) -> Tensor:
    return torch.as_tensor(values, dtype=torch.float32).clone()
