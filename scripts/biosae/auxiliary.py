"""AuxK: dead nodes are made to explain what the living leave unexplained, so that they come back.

Gao et al., arXiv 2406.04093, appendix A.2. Only the dead nodes' rows of the weights are read, multiplied
and given gradients: few dead nodes cost little, and no second pass over all nodes is made.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from biosae.model import SAE
from biosae.parallel import chunks, run_chunks
from biosae.recipes import Recipe

_ROWS = 1024  # rows whose dead pre-activations exist at once
_NAMES = ("encoder", "decoder", "latent_bias")


def auxiliary_k(recipe: Recipe, channels: int) -> int:
    """Dead nodes that a row may use: the recipe's, or half the channels (same appendix)."""
    return recipe.auxk_k or max(1, channels // 2)


def auxiliary_loss(model: SAE, v: Tensor, error: Tensor, std: Tensor | None, dead: Tensor, k: int) -> Tensor:
    """AuxK: how badly the k most active dead nodes explain the error of the living, a scalar.

    Sum over rows and channels of squared differences between ``error`` (u - y, held fixed) and its
    reconstruction from dead nodes alone (Gao et al., arXiv 2406.04093, appendix A.2).

    Args:
        v, error: (n, channels); std: (n, 1) or None; dead: indices; k: how many of them a row may use.
    """
    parts = {name: getattr(model, name)[dead] for name in _NAMES}
    return _explained({**parts, "pre_bias": model.pre_bias}, v, error, std, k)


def _explained(parts: dict[str, Tensor], v: Tensor, error: Tensor, std: Tensor | None, k: int) -> Tensor:
    pre = F.relu(F.linear(v - parts["pre_bias"], parts["encoder"], parts["latent_bias"]))
    kept = pre.topk(min(k, pre.shape[1]), dim=1)
    sparse = torch.zeros_like(pre).scatter(1, kept.indices, kept.values)
    explained = sparse @ parts["decoder"]
    return ((explained if std is None else explained * std) - error).square().sum()


def auxiliary_gradients(
    model: SAE, v: Tensor, error: Tensor, std: Tensor, dead: Tensor, k: int, weight: float
) -> float:
    """Add the gradients of weight x ``auxiliary_loss`` to the parameters' ``grad``; that product."""

    def chunk(low: int, high: int) -> tuple[Tensor, tuple[Tensor, ...]]:
        with torch.enable_grad():
            parts = {name: getattr(model, name).detach()[dead].requires_grad_() for name in _NAMES}
            parts["pre_bias"] = model.pre_bias.detach().clone().requires_grad_()
            loss = weight * _explained(parts, v[low:high], error[low:high], std[low:high], k)
        return loss.detach(), torch.autograd.grad(loss, list(parts.values()))

    pieces = run_chunks(chunk, chunks(len(v), _ROWS))
    for _, (*gradients, pre_bias) in pieces:
        for name, gradient in zip(_NAMES, gradients, strict=True):
            getattr(model, name).grad.index_add_(0, dead, gradient)
        model.pre_bias.grad += pre_bias
    return float(sum(loss for loss, _ in pieces))
