"""One training step's losses and gradients. Two paths with one result: compiled on the CPU, plain elsewhere.

The loss is the mean over rows and channels of (y - u)^2 (``biosae.model``'s letters). Kind
``matryoshka`` takes the mean of it over nested prefixes of the nodes; kind ``relu`` adds the L1 term of
its recipe; AuxK adds its own (``auxiliary_loss``). Everything is a sum over the rows at hand divided by
the rows of the whole batch, so that what several processes compute adds up.

The compiled path cuts rows into chunks and nodes into ranges (``biosae.parallel``): its results do not
depend on the number of threads, to the last bit. In bfloat16 only the encoder's product is in that type.

Floor, in multiply-adds a position: d*n for the encoder and 4*d*k for the active nodes. Memory beside
weights, gradients and Adam: (2 + prefixes) x batch x channels, and one chunk of pre-activations a thread.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from biosae.auxiliary import auxiliary_k, auxiliary_loss
from biosae.compiled_step import CompiledStep
from biosae.model import SAE, BatchTopKSAE, MatryoshkaSAE, ReLUSAE
from biosae.recipes import Recipe
from biosae.sparse import sparse_decode, sparse_encode


@dataclass
class StepResult:
    """What a step found out.

    loss: () mean squared error. total: () what was differentiated. squares: () float64, sum over rows
    and channels of (u - channel mean over these rows)^2. active: bool (n_nodes,), at any row.
    """

    loss: Tensor
    total: Tensor
    squares: Tensor
    active: Tensor


def low_precision(recipe: Recipe, device: torch.device) -> bool:
    """Whether the encoder's product is in bfloat16."""
    if recipe.precision != "auto":
        return recipe.precision == "bfloat16"
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()


def with_precision(recipe: Recipe, device: torch.device) -> Recipe:
    """The recipe with precision ``auto`` resolved: a run must not go on in another arithmetic."""
    return replace(recipe, precision="bfloat16" if low_precision(recipe, device) else "float32")


class TrainingStep:
    """Losses and gradients of a model under a recipe.

    Args:
        model: on the device where it is trained, float32 (any floating type on the plain path).
        recipe: its precision, AuxK, L1 and prefixes count here.
        compiled: take the compiled path; None: on the CPU in float32.
    """

    def __init__(self, model: SAE, recipe: Recipe, compiled: bool | None = None):
        self.model, self.recipe = model, recipe
        device = model.shift.device
        self.low = low_precision(recipe, device)
        self.borders = [model.n_nodes]
        if isinstance(model, MatryoshkaSAE):
            self.borders = model.borders(recipe.matryoshka_groups)
        own = device.type == "cpu" and model.encoder.dtype == torch.float32
        use = own if compiled is None else compiled
        self.compiled = CompiledStep(model, recipe, self.borders, self.low) if use else None
        for parameter in model.parameters():
            parameter.grad = torch.zeros_like(parameter)

    @torch.no_grad()
    def gradients(
        self, rows: Tensor, dead: Tensor | None = None, total_rows: int | None = None
    ) -> StepResult:
        """Set every parameter's ``grad``, in buffers that are reused, from raw rows (n, channels).

        Args:
            rows: any floating type; n may be 0.
            dead: indices of the nodes that AuxK works on; None or empty: no AuxK.
            total_rows: rows of the whole batch; None: these are all.
        """
        if not len(rows):
            return self._nothing()
        share = 1.0 / ((total_rows or len(rows)) * self.model.channels)
        dead = dead if dead is not None and len(dead) and self.recipe.auxk_coefficient else None
        if self.compiled:
            return StepResult(*self.compiled.gradients(rows, dead, share))
        return self._plain_gradients(rows, dead, share)

    def _nothing(self) -> StepResult:
        zero = self.model.pre_bias.new_zeros(())
        for parameter in self.model.parameters():
            parameter.grad.zero_()
        active = torch.zeros(self.model.n_nodes, dtype=torch.bool, device=zero.device)
        return StepResult(zero, zero, zero.double(), active)

    @torch.enable_grad()
    def _plain_gradients(self, rows: Tensor, dead: Tensor | None, share: float) -> StepResult:
        model = self.model
        u = model.normalise(rows)
        v, mean, std = model._inner(u)
        whole = isinstance(model, BatchTopKSAE)
        inner = v - model.pre_bias
        choose = model.choose_in_training
        values, indices = sparse_encode(
            inner, model.encoder, model.latent_bias, choose, low=self.low, whole=whole
        )
        losses = []
        for border in self.borders:
            output = sparse_decode(values * (indices < border), indices, model.decoder) + model.pre_bias
            error = (output if std is None else output * std + mean) - u
            losses.append(error.square().sum() * share)
        total = torch.stack(losses).mean()
        if isinstance(model, ReLUSAE):
            norms = model.decoder.norm(dim=1)
            total = total + self.recipe.l1_coefficient * share * (values * norms[indices]).sum()
        if dead is not None:
            k = auxiliary_k(self.recipe, model.channels)
            explained = auxiliary_loss(model, v, -error.detach(), std, dead, k)
            total = total + self.recipe.auxk_coefficient * share * explained
        for parameter in model.parameters():
            parameter.grad.zero_()
        total.backward()
        positive = values.detach() > 0
        if whole and bool(positive.any()):
            model.follow(values.detach()[positive].min())
        counts = torch.zeros(model.n_nodes, dtype=torch.int32, device=u.device)
        active = counts.index_add_(0, indices.flatten(), positive.flatten().int()) > 0
        squares = u.var(0, correction=0).double().sum() * len(u)
        return StepResult(losses[-1].detach(), total.detach(), squares, active)
