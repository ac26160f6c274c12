"""What a fast training step must not change: its gradients, and what training with it reaches."""

from __future__ import annotations

from typing import NamedTuple

import contenders
import torch
import torch.nn.functional as F
from contenders import Batch, Size
from planted_activations import PlantedActivations
from published_step import PublishedSAE
from torch import Tensor

NEAR_TIE = 1e-5  # relative gap at TopK's border under which float32 cannot tell which node is in


class GradientCheck(NamedTuple):
    """Largest |difference| / largest |gradient|, over all parameters; rows used and left out."""

    against_float32: float
    against_float64: float
    published_against_float64: float
    rows: int
    left_out: int


def training_step_class() -> type:
    """``biosae.step.TrainingStep``, or the stand-in that ``biosae.trainer`` holds until there is one."""
    try:
        from biosae.step import TrainingStep
    except ImportError:
        from biosae.trainer import TrainingStep
    return TrainingStep


def check_gradients(
    size: Size, raw: Tensor, normaliser, layer_norm: bool, precision: str = "float32"
) -> GradientCheck:
    """Gradients of one step on ``raw`` (n, channels) against dense autograd of the published formula.

    All weights are random (untied, biases too). Rows at whose TopK border two nodes are closer than
    ``NEAR_TIE`` are left out: there both choices are right.
    """
    model, recipe = contenders.new_biosae(
        size, normaliser, precision, layer_norm=layer_norm, tied_initialisation=False
    )
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        model.decoder.copy_(F.normalize(torch.randn(model.decoder.shape, generator=generator), dim=1))
        for bias in (model.pre_bias, model.latent_bias):
            bias.copy_(0.1 * torch.randn(len(bias), generator=generator))
    u = model.normalise(raw)
    exact = PublishedSAE(*size, layer_norm=layer_norm).take_weights(model).double()
    clear = _clear_rows(exact, u.double())
    raw, u = raw[clear], u[clear]
    training_step_class()(model, recipe).gradients(raw)
    ours = {name: value.grad.double() for name, value in model.named_parameters()}
    dense = PublishedSAE(*size, layer_norm=layer_norm).take_weights(model)
    theirs, truth = _dense_gradients(dense, u), _dense_gradients(exact, u.double())
    return GradientCheck(
        _difference(ours, theirs),
        _difference(ours, truth),
        _difference(theirs, truth),
        len(u),
        int((~clear).sum()),
    )


def _clear_rows(exact: PublishedSAE, u: Tensor) -> Tensor:
    """Rows (n,) bool whose k-th and next pre-activation differ by more than ``NEAR_TIE`` of the k-th."""
    inner = (u - u.mean(1, keepdim=True)) / (u.std(1, keepdim=True) + 1e-5) if exact.layer_norm else u
    with torch.no_grad():
        pre = exact.encoder(inner - exact.pre_bias) + exact.latent_bias
    if exact.k == pre.shape[1]:
        return torch.ones(len(u), dtype=torch.bool)
    top = pre.topk(exact.k + 1, dim=1).values
    return (top[:, -2] - top[:, -1]) > NEAR_TIE * top[:, -2].abs()


def _dense_gradients(model: PublishedSAE, u: Tensor) -> dict[str, Tensor]:
    F.mse_loss(model(u)[0], u).backward()
    return {name: value.double() for name, value in model.gradients_as().items()}


def _difference(ours: dict[str, Tensor], reference: dict[str, Tensor]) -> float:
    return max(
        float((ours[name] - value).abs().max() / value.abs().max()) for name, value in reference.items()
    )


def fvu_after_training(
    size: Size, planted: PlantedActivations, normaliser, steps: int, rows: int, learning_rate: float = 2e-3
) -> dict[str, float]:
    """Held-out FVU after ``steps`` steps of ``rows`` rows from the same start: {"biosae fp32": ..., ...}.

    A constant learning rate, so that the figure does not hang on how a schedule ends.
    """
    changes = {"learning_rate": learning_rate, "warmup_share": 0.0, "decay_share": 0.0}
    held_out = as_batch(planted.rows(8192, first_number=10**6), normaliser)
    first = as_batch(planted.rows(rows), normaliser)
    running = {}
    for name, precision in (("biosae fp32", "float32"), ("biosae bf16", "bfloat16")):
        try:
            running[name] = contenders.build_biosae(size, first, normaliser, precision, **changes)
        except contenders.Unavailable as error:
            print(f"(no FVU of {name}: {error})")
    for number in range(steps):
        batch = as_batch(planted.rows(rows, first_number=1000 * (number + 1)), normaliser)
        for contender in running.values():
            contender.step(batch)
    return {name: contenders.fvu(contender, held_out) for name, contender in running.items()}


def as_batch(raw, normaliser, device: str = "cpu") -> Batch:
    """Raw float16 rows, numpy (n, channels), as both kinds of contender take them."""
    rows = torch.from_numpy(raw).to(device)
    shift, scale = (torch.from_numpy(vector).to(device) for vector in normaliser)
    return Batch(rows, (rows.float() - shift) / scale)
