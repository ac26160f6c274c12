"""The compiled path of a training step: float32 on the CPU, gradients written without autograd.

With c = 2 / (rows x channels), e = y - u and g = c x std x e, the gradient for the inner output:

    decoder[j]      sum over rows of a_rj g_r           values       <g_r, decoder[j]>, active entries only
    encoder[j]      sum of (that) x (v_r - pre_bias)    latent_bias  sum of (that)
    pre_bias        sum of g_r - sum over j of latent_bias's gradient x encoder[j]

Rows are cut into chunks and nodes into ranges, see ``biosae.parallel``. ``tests/unit/test_step.py`` holds
the equality with the plain path and with autograd through dense float64.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from biosae import gradient_kernels as kernels
from biosae.auxiliary import auxiliary_gradients, auxiliary_k
from biosae.model import LAYER_NORM_EPS, SAE, BatchTopKSAE, ReLUSAE
from biosae.parallel import chunks, run_chunks
from biosae.recipes import Recipe
from biosae.selection import Entries, chunk_rows, select_above, select_batch, select_top
from biosae.selection_kernels import prepare_rows

_NODE_RANGES = 64  # pieces of the nodes' gradients; enough to balance threads


class CompiledStep:
    """Buffers and kernels of one model's steps. ``biosae.step.TrainingStep`` is how to use it.

    Args:
        borders: ends of the nested prefixes, the last is n_nodes.
        low: the encoder's product in bfloat16.
    """

    def __init__(self, model: SAE, recipe: Recipe, borders: list[int], low: bool):
        self.model, self.recipe, self.borders, self.low = model, recipe, borders, low
        self._rows = 0

    def gradients(self, rows: Tensor, dead: Tensor | None, share: float) -> tuple[Tensor, ...]:
        """Loss, total, squares and active nodes of ``StepResult``; sets every parameter's ``grad``.

        Args:
            rows: raw (n, channels), n >= 1, any floating type. dead: nodes for AuxK, or None.
            share: 1 / (rows of the whole batch x channels).
        """
        model, n, self._share = self.model, len(rows), share
        self._reserve(n)
        size = chunk_rows(n, model.channels, model.n_nodes)
        moments = run_chunks(lambda low, high: self._prepare(rows, low, high), chunks(n, size))
        found = self._select(self._inner[:n])
        entries = found.begin, found.end, found.nodes, found.values
        value_grad = np.empty_like(found.values)
        losses, bias_grads = zip(
            *run_chunks(lambda *range_: self._residuals(*range_, entries, value_grad), chunks(n, size)),
            strict=True,
        )
        errors = np.sum(losses, axis=0) * self._share
        total = float(errors.mean())
        if isinstance(model, ReLUSAE):
            total += self._penalise(found, value_grad)
        starts = self._node_gradients(entries, value_grad, np.sum(bias_grads, axis=0))
        if isinstance(model, ReLUSAE):
            self._shrink_decoder(starts)
        if not bool(torch.isfinite(model.latent_bias).all()):
            total = float("nan")  # such a node is never chosen, and would go unseen
        if dead is not None:
            std = self._row_scale[:n, None]
            error = torch.from_numpy(self._residual[-1, :n]) * (-len(self.borders) / std.clamp_min(1e-30))
            weight = self.recipe.auxk_coefficient * share
            k = auxiliary_k(self.recipe, model.channels)
            total += auxiliary_gradients(model, self._inner[:n] + model.pre_bias, error, std, dead, k, weight)
        if isinstance(model, BatchTopKSAE) and len(found.values):
            model.follow(torch.tensor(found.values.min()))
        active = torch.from_numpy(np.diff(starts) > 0)
        return torch.tensor(errors[-1]), torch.tensor(total), _squares(moments), active

    def _reserve(self, n: int) -> None:
        if n <= self._rows:
            return
        d, self._rows = self.model.channels, n
        self._target, self._inner = torch.empty(n, d), torch.empty(n, d)
        self._row_scale = torch.ones(n)
        self._residual = np.empty((len(self.borders), n, d), np.float32)
        self._low_encoder = torch.empty_like(self.model.encoder, dtype=torch.bfloat16) if self.low else None

    def _prepare(self, rows: Tensor, low: int, high: int) -> tuple[int, np.ndarray, np.ndarray]:
        """Normalise rows into the buffers; their number, and sum and sum of squares of each channel."""
        model = self.model
        self._target[low:high].copy_(rows[low:high])
        sums, squares = np.zeros(model.channels), np.zeros(model.channels)
        vectors = model.shift.numpy(), model.scale.numpy(), model.pre_bias.detach().numpy()
        eps = np.float32(LAYER_NORM_EPS if model.layer_norm else -1)
        out = self._target.numpy(), self._inner.numpy(), self._row_scale.numpy()
        prepare_rows(low, high, *vectors, eps, *out, sums, squares)
        return high - low, sums, squares

    def _select(self, inner: Tensor) -> Entries:
        model = self.model
        if self.low:
            self._low_encoder.copy_(model.encoder)
        product = inner, model.encoder.detach(), model.latent_bias.detach()
        if isinstance(model, BatchTopKSAE):
            return select_batch(*product, model.k, float(model.threshold), low=self._low_encoder)
        if isinstance(model, ReLUSAE):
            return select_above(*product, 0.0, low=self._low_encoder)
        return select_top(*product, model.k, low=self._low_encoder)

    def _residuals(self, low: int, high: int, entries: tuple, value_grad: np.ndarray) -> tuple:
        model, bias_grad = self.model, np.zeros(self.model.channels, np.float32)
        weights = model.decoder.detach().numpy(), model.pre_bias.detach().numpy()
        target, scale = self._target.numpy(), self._row_scale.numpy()
        out = self._residual, value_grad, bias_grad
        borders = np.array(self.borders)
        losses = kernels.residual_rows(low, high, target, scale, entries, borders, *weights, *out)
        return losses, bias_grad

    def _node_gradients(self, entries: tuple, value_grad: np.ndarray, bias_grad: np.ndarray) -> np.ndarray:
        """Write all gradients; where each node's sorted entries begin, int64 (n_nodes + 1,)."""
        model, count = self.model, len(value_grad)
        ordered = (
            np.empty(model.n_nodes + 1, np.int64),
            np.empty(count, np.int32),
            np.empty(count, np.float32),
            np.empty(count, np.float32),
        )
        kernels.order_by_node(entries, value_grad, *ordered)
        self._ordered = ordered
        scale = np.float32(2 * self._share)
        gradients = [p.grad.numpy() for p in (model.encoder, model.decoder, model.latent_bias)]
        fixed = self._inner.numpy(), self._residual, np.array(self.borders), model.encoder.detach().numpy()
        owed = run_chunks(
            lambda low, high: kernels.node_gradients(low, high, ordered, *fixed, scale, *gradients),
            chunks(model.n_nodes, max(16, model.n_nodes // _NODE_RANGES)),
        )
        model.pre_bias.grad.copy_(torch.from_numpy(scale * bias_grad - np.sum(owed, axis=0)))
        return ordered[0]

    def _penalise(self, found: Entries, value_grad: np.ndarray) -> float:
        """Add the L1 term to the values' gradients; its size."""
        norms = self.model.decoder.detach().norm(dim=1).numpy()[found.nodes]
        value_grad += 0.5 * self.recipe.l1_coefficient * norms  # the kernels multiply by 2 x share
        return float(self.recipe.l1_coefficient * self._share * (found.values * norms).sum(dtype=np.float64))

    def _shrink_decoder(self, starts: np.ndarray) -> None:
        """Add the L1 term to the decoder's gradient: each direction times its node's sum of values."""
        decoder, (_, _, values, _) = self.model.decoder.detach(), self._ordered
        running = np.concatenate([[0.0], np.cumsum(values[: starts[-1]], dtype=np.float64)])
        sums = torch.from_numpy((running[starts[1:]] - running[starts[:-1]]).astype(np.float32))
        weight = self.recipe.l1_coefficient * self._share * sums[:, None]
        self.model.decoder.grad += weight * F.normalize(decoder, dim=1)


def _squares(moments: list[tuple[int, np.ndarray, np.ndarray]]) -> Tensor:
    """Sum over channels of squares around their means, from all chunks' sums in float64."""
    n, sums, squares = (sum(column) for column in zip(*moments, strict=True))
    return torch.tensor((squares - sums**2 / n).sum())
