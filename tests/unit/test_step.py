"""A training step: the compiled path, the plain path and autograd through dense float64 agree."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from biosae import gradient_kernels
from biosae.model import KINDS, build
from biosae.recipes import Recipe
from biosae.step import TrainingStep

CHANNELS, NODES, K, ROWS = 24, 90, 5, 300


def model_of(kind: str, layer_norm: bool = False, seed: int = 0, threshold: float = 0.3):
    rng = np.random.default_rng(seed)
    shift, scale = rng.normal(size=CHANNELS), rng.random(CHANNELS) + 0.5
    model = build(kind, CHANNELS, NODES, K, layer_norm, shift, scale, seed)
    with torch.no_grad():
        model.decoder.copy_(torch.from_numpy(rng.normal(size=(NODES, CHANNELS)) * 0.2))
        model.pre_bias.copy_(torch.from_numpy(rng.normal(size=CHANNELS) * 0.1))
        model.latent_bias.copy_(torch.from_numpy(rng.normal(size=NODES) * 0.1))
        if hasattr(model, "threshold"):
            model.threshold.fill_(threshold)
    return model


def rows_of(n: int = ROWS, seed: int = 1) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(n, CHANNELS)).astype(np.float32)) * 2


def dense_codes(pre: torch.Tensor, kind: str) -> torch.Tensor:
    """Codes (n, n_nodes) by sorting everything: slow and plain."""
    positive = pre.clamp_min(0)
    if kind == "relu":
        return positive
    if kind == "topk":
        border = positive.sort(dim=1, descending=True).values[:, K - 1 : K]
    else:
        border = positive.flatten().sort(descending=True).values[len(pre) * K - 1]
    return torch.where(positive >= border, positive, 0)


def dense_loss(model, rows, recipe: Recipe, dead=None) -> tuple[torch.Tensor, torch.Tensor]:
    """(mean squared error, total) from the formulas of the modules' docstrings, differentiable, float64."""
    u = (rows.double() - model.shift) / model.scale
    mean, std = 0.0, 1.0
    v = u
    if model.layer_norm:
        mean, std = u.mean(1, keepdim=True), u.std(1, keepdim=True)
        v = (u - mean) / (std + 1e-5)
    pre = (v - model.pre_bias) @ model.encoder.T + model.latent_bias
    codes = dense_codes(pre, model.kind)
    borders = model.borders(recipe.matryoshka_groups) if model.kind == "matryoshka" else [NODES]
    outputs = [(codes[:, :b] @ model.decoder[:b] + model.pre_bias) * std + mean for b in borders]
    losses = torch.stack([(output - u).square().mean() for output in outputs])
    total = losses.mean()
    if model.kind == "relu":
        total = total + recipe.l1_coefficient * (codes @ model.decoder.norm(dim=1)).mean() / CHANNELS
    if dead is not None:
        aux = ((v - model.pre_bias) @ model.encoder[dead].T + model.latent_bias[dead]).clamp_min(0)
        kept = aux.topk(min(recipe.auxk_k, len(dead)), dim=1)
        aux = torch.zeros_like(aux).scatter(1, kept.indices, kept.values)
        error = (u - outputs[-1]).detach()
        total = total + recipe.auxk_coefficient * (aux @ model.decoder[dead] * std - error).square().mean()
    return losses[-1], total


def gradients(model) -> dict[str, torch.Tensor]:
    return {name: parameter.grad.double().clone() for name, parameter in model.named_parameters()}


def close(got: dict, expected: dict, tolerance: float) -> None:
    for name, wanted in expected.items():
        difference = (got[name] - wanted).abs().max() / wanted.abs().max()
        assert difference <= tolerance, f"{name}: {difference:.2g}"


RECIPE = Recipe(precision="float32", auxk_coefficient=0.5, auxk_k=4, l1_coefficient=0.7, matryoshka_groups=4)


@pytest.mark.parametrize("with_dead", [False, True])
@pytest.mark.parametrize("layer_norm", [False, True])
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_both_paths_equal_autograd_through_dense_float64(kind, layer_norm, with_dead):
    dead = torch.tensor([3, 17, 40, 41, 88, 89]) if with_dead else None
    exact = model_of(kind, layer_norm).double()
    loss, total = dense_loss(exact, rows_of(), RECIPE, dead)
    total.backward()
    expected = gradients(exact)
    for compiled, dtype, tolerance in ((True, torch.float32, 1e-5), (False, torch.float64, 1e-9)):
        model = model_of(kind, layer_norm).to(dtype)
        result = TrainingStep(model, RECIPE, compiled=compiled).gradients(rows_of(), dead)
        assert float(result.loss) == pytest.approx(loss.item(), rel=1e-5)
        assert float(result.total) == pytest.approx(total.item(), rel=1e-5)
        close(gradients(model), expected, tolerance)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_results_do_not_depend_on_threads_or_on_what_the_buffers_held(kind, monkeypatch):
    monkeypatch.setattr("biosae.selection.chunk_rows", lambda *sizes: 64)
    monkeypatch.setattr("biosae.compiled_step.chunk_rows", lambda *sizes: 64)
    dead, before, found = torch.tensor([1, 2, 3]), torch.get_num_threads(), []
    try:
        for threads, warm in ((1, False), (2, True), (3, False)):
            torch.set_num_threads(threads)
            model = model_of(kind)
            step = TrainingStep(model, RECIPE)
            if warm:
                step.gradients(rows_of(ROWS + 70, seed=5))
                if hasattr(model, "threshold"):
                    model.threshold.fill_(0.3)
            result = step.gradients(rows_of(), dead)
            found.append((float(result.total), result.active, result.squares, *gradients(model).values()))
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        assert other[0] == found[0][0]
        assert all(torch.equal(a, b) for a, b in zip(other[1:], found[0][1:], strict=True))


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("kind", ["topk", "relu"])  # the others choose among the rows of one process
def test_parts_of_a_batch_add_up(kind, compiled):
    whole, parts = model_of(kind), model_of(kind)
    result = TrainingStep(whole, RECIPE, compiled).gradients(rows_of())
    step = TrainingStep(parts, RECIPE, compiled)
    summed, losses = None, 0.0
    for part in (rows_of()[:100], rows_of()[100:100], rows_of()[100:]):
        losses += float(step.gradients(part, total_rows=ROWS).total)
        now = gradients(parts)
        summed = now if summed is None else {name: summed[name] + now[name] for name in now}
    assert losses == pytest.approx(float(result.total), rel=1e-6)
    close(summed, gradients(whole), 1e-5)


def test_active_nodes_and_squares():
    model = model_of("topk")
    result = TrainingStep(model, RECIPE).gradients(rows_of())
    u = model.normalise(rows_of()).double()
    assert float(result.squares) == pytest.approx(float((u - u.mean(0)).square().sum()), rel=1e-5)
    values, indices = model.encode(rows_of())
    expected = torch.zeros(NODES, dtype=torch.bool)
    expected[indices[values > 0]] = True
    assert torch.equal(result.active, expected)
    assert int(expected.sum()) > 0


@pytest.mark.parametrize("kind", ["topk", "batchtopk"])
def test_bfloat16_proposes_and_float32_computes(kind):
    """Where bfloat16 proposes the same nodes, loss and gradients are those of float32."""
    chosen = model_of(kind)
    with torch.no_grad():  # well separated: nodes are axes, rows few strong ones
        chosen.latent_bias.zero_()
        chosen.pre_bias.zero_()
        chosen.encoder.zero_()
        chosen.encoder[torch.arange(CHANNELS), torch.arange(CHANNELS)] = 1.003
    chosen.shift.zero_()
    chosen.scale.fill_(1.0)
    generator = torch.Generator().manual_seed(0)
    strong = torch.rand(ROWS, CHANNELS, generator=generator).argsort(1) < K
    rows = torch.where(strong, 1 + torch.rand(ROWS, CHANNELS, generator=generator), -1.0)
    results = []
    for precision in ("float32", "bfloat16"):
        chosen.threshold.fill_(0.9) if kind == "batchtopk" else None
        result = TrainingStep(chosen, replace(RECIPE, precision=precision)).gradients(rows)
        results.append((result, gradients(chosen)))
    assert float(results[0][0].loss) == pytest.approx(float(results[1][0].loss), rel=1e-6)
    close(results[1][1], results[0][1], 1e-5)
    assert torch.equal(results[0][0].active, results[1][0].active)


def test_float16_rows_are_their_float32_values():
    rows = rows_of().half()
    models = model_of("topk"), model_of("topk")
    for model, given in zip(models, (rows, rows.float()), strict=True):
        TrainingStep(model, RECIPE).gradients(given)
    assert all(torch.equal(a, b) for a, b in zip(*(gradients(m).values() for m in models), strict=True))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("where", ["encoder", "decoder", "pre_bias", "latent_bias", "rows"])
def test_a_value_that_is_not_finite_reaches_the_loss_or_a_gradient(where, precision):
    model, rows = model_of("topk"), rows_of()
    with torch.no_grad():
        if where == "rows":
            rows[7, 3] = -float("nan")
        else:
            getattr(model, where).fill_(-float("nan"))
    result = TrainingStep(model, replace(RECIPE, precision=precision)).gradients(rows)
    seen = [result.total, *(p.grad for p in model.parameters())]
    assert not all(bool(torch.isfinite(part).all()) for part in seen)


def test_running_threshold_follows_the_smallest_chosen_value():
    model = model_of("batchtopk", threshold=0.0)
    step = TrainingStep(model, RECIPE)
    step.gradients(rows_of())
    u = model.normalise(rows_of())
    pre = (u - model.pre_bias) @ model.encoder.T + model.latent_bias
    least = pre.detach().flatten().sort(descending=True).values[ROWS * K - 1]
    assert float(model.threshold) == pytest.approx(float(least), rel=1e-5)  # the first is taken whole
    with torch.no_grad():
        model.threshold.mul_(2)
    step.gradients(rows_of())  # now one hundredth of the way back
    assert float(model.threshold) == pytest.approx(2 * float(least) - 0.01 * float(least), rel=1e-5)


@pytest.mark.parametrize("guess", [0.0, 1e-9, 0.4, 1.0, 50.0])
def test_batch_choice_does_not_depend_on_the_guess(guess):
    from biosae.selection import select_batch

    model = model_of("batchtopk")
    inner = model.normalise(rows_of()) - model.pre_bias.detach()
    product = inner, model.encoder.detach(), model.latent_bias.detach()
    entries = select_batch(*product, K, guess)
    pre = product[0] @ product[1].T + product[2]
    expected = dense_codes(pre, "batchtopk")
    values, indices = entries.padded()
    dense = torch.zeros_like(pre).scatter_add(1, indices, values)
    assert torch.equal(dense > 0, expected > 0)
    assert int((dense > 0).sum()) == ROWS * K
    torch.testing.assert_close(dense, expected, rtol=1e-6, atol=1e-6)


def test_batch_choice_with_too_few_positive_values_takes_them_all():
    from biosae.selection import select_batch

    inner, encoder = torch.tensor([[1.0], [-1.0], [2.0]]), torch.tensor([[1.0], [0.5]])
    entries = select_batch(inner, encoder, torch.zeros(2), 2, 3.0)
    rows, nodes, values = entries.coordinates()
    assert (rows.tolist(), nodes.tolist(), values.tolist()) == ([0, 0, 2, 2], [0, 1, 0, 1], [1, 0.5, 2, 1])


def test_exact_relu_l1_pulls_values_down():
    """With the L1 term alone worth anything, gradients push every active value towards 0."""
    model = model_of("relu")
    recipe = replace(RECIPE, l1_coefficient=1e4)
    TrainingStep(model, recipe).gradients(rows_of())
    assert bool((model.latent_bias.grad >= 0).all())
    assert F.cosine_similarity(model.decoder.grad, model.decoder, dim=1).min() > 0.9


@pytest.mark.parametrize("channels", [3, 8, 24, 40])
def test_losses_do_not_depend_on_where_buffers_lie(channels):
    """Vector and scalar loops add in another order; which one runs must not hang on addresses."""
    rng = np.random.default_rng(0)
    target, decoder = (rng.normal(size=(n, channels)).astype(np.float32) for n in (1, 6))
    entries = np.zeros(1, np.int64), np.full(1, 3), np.array([0, 2, 5], np.int32), np.ones(3, np.float32)
    ones, zeros, borders = np.ones(1, np.float32), np.zeros(channels, np.float32), np.array([6])
    losses = set()
    for gap in (0, 1, 4, 8, 16, 32, 64, 1000):
        memory = np.zeros(2 * channels + gap + 1, np.float32)
        wanted, residual = memory[:channels][None], memory[channels + gap : 2 * channels + gap][None, None]
        wanted[:] = target
        out = residual, np.zeros(3, np.float32), np.zeros(channels, np.float32)
        found = gradient_kernels.residual_rows(0, 1, wanted, ones, entries, borders, decoder, zeros, *out)
        losses.add(float(found[0]))
    assert len(losses) == 1


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_nothing_positive_and_no_rows_at_all(kind):
    model = model_of(kind)
    with torch.no_grad():
        model.latent_bias.fill_(-1e6)
    result = TrainingStep(model, RECIPE).gradients(rows_of(50))
    assert not result.active.any()
    assert float(model.encoder.grad.abs().max()) == 0
    assert float(model.pre_bias.grad.abs().max()) > 0
    assert len(model.encode_block(np.zeros((0, CHANNELS), np.float32)).values) == 0


def test_a_first_guess_that_overflowed_does_not_hang():
    model = model_of("batchtopk", threshold=0.0)
    with torch.no_grad():
        model.encoder[-1].fill_(3e38)
    result = TrainingStep(model, RECIPE).gradients(rows_of())
    assert not np.isfinite(float(result.total))
