"""The benchmark programs start, and what they compare with is what it claims to be. No timings."""

from __future__ import annotations

import importlib.util
import json
import logging
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks"
PROGRAMS = sorted(path.stem for path in FOLDER.glob("*.py") if "\ndef main(" in path.read_text())


@pytest.fixture(autouse=True)
def _paths(monkeypatch):
    """Programs run with their own folder first; what they add to the path is taken back."""
    monkeypatch.setattr(sys, "path", [str(FOLDER), str(FOLDER.parent / "browser"), *sys.path])
    level = logging.getLogger().level
    yield
    logging.getLogger().setLevel(level)  # benchmarks run quietly; other tests read the log


def load(name: str):
    """A benchmark's module, by file: its name may be that of another module."""
    spec = importlib.util.spec_from_file_location(f"benchmark_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_there_are_programs():
    assert {"training_step", "train_quality", "train_together", "gpu_step"} <= set(PROGRAMS)


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_program_explains_itself(name, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [f"{name}.py", "--help"])
    with pytest.raises(SystemExit) as ended:
        load(name).main()
    printed = capsys.readouterr().out
    assert ended.value.code == 0
    assert printed.startswith("usage:") and f"{name}.py" in printed


def formula(weights: dict, u: np.ndarray, k: int, layer_norm: bool) -> tuple[float, dict]:
    """Loss and gradients of the published step by hand, float64, row by row where it selects."""
    encoder, decoder = weights["encoder"], weights["decoder"]  # (nodes, channels), (channels, nodes)
    mean, std = u.mean(1, keepdims=True), u.std(1, ddof=1, keepdims=True)
    inner = (u - mean) / (std + 1e-5) if layer_norm else u
    factor = std if layer_norm else np.ones_like(std)
    centred = inner - weights["pre_bias"]
    pre = np.maximum(centred @ encoder.T + weights["latent_bias"], 0)
    codes = np.zeros_like(pre)
    for row, values in enumerate(pre):
        kept = np.argsort(-values, kind="stable")[:k]
        codes[row, kept] = values[kept]
    output = (codes @ decoder.T + weights["pre_bias"]) * factor + (mean if layer_norm else 0)
    error = output - u
    grad_output = 2 * error / error.size * factor
    grad_codes = (grad_output @ decoder) * (codes > 0)
    return float((error**2).mean()), {
        "encoder": grad_codes.T @ centred,
        "decoder": (grad_output.T @ codes).T,
        "pre_bias": grad_output.sum(0) - (grad_codes @ encoder).sum(0),
        "latent_bias": grad_codes.sum(0),
    }


@pytest.mark.parametrize("layer_norm", [False, True])
def test_published_step_is_the_published_formula(layer_norm):
    published = load("published_step")
    rng = np.random.default_rng(0)
    model = published.PublishedSAE(channels=7, n_nodes=20, k=4, layer_norm=layer_norm, seed=3).double()
    with torch.no_grad():
        model.pre_bias.copy_(torch.from_numpy(0.3 * rng.standard_normal(7)))
        model.latent_bias.copy_(torch.from_numpy(0.3 * rng.standard_normal(20)))
    u = rng.standard_normal((15, 7)) + 0.5
    weights = {"encoder": model.encoder.weight, "decoder": model.decoder.weight}
    weights |= {"pre_bias": model.pre_bias, "latent_bias": model.latent_bias}
    weights = {name: value.detach().numpy().copy() for name, value in weights.items()}
    loss, gradients = formula(weights, u, 4, layer_norm)
    logged = published.PublishedStep(model, learning_rate=1e-3)(torch.from_numpy(u))
    assert logged["mse"] == pytest.approx(loss, rel=1e-12)
    assert 0 < 1 - logged["zeros"] <= 4 / 20
    for name, value in model.gradients_as().items():
        np.testing.assert_allclose(value.numpy(), gradients[name], rtol=1e-9, atol=1e-12, err_msg=name)
    moved = np.abs(model.encoder.weight.detach().numpy() - weights["encoder"])
    assert moved.max() == pytest.approx(1e-3, rel=1e-3)  # Adam's first step: the learning rate


def test_published_step_takes_the_weights_of_a_dictionary():
    from biosae.model import SAE

    model = SAE(7, 20, 4, layer_norm=True, seed=1)
    published = load("published_step").PublishedSAE(7, 20, 4, layer_norm=True).take_weights(model)
    u = torch.from_numpy(np.random.default_rng(1).standard_normal((9, 7)).astype(np.float32))
    torch.testing.assert_close(published(u)[0], model(u).output)


def test_gradient_gate_sees_a_wrong_gradient(monkeypatch):
    """The gate passes the step as it is and fails one whose gradients are 1 % too large."""
    gates = load("step_gates")
    from contenders import Size

    rows = torch.from_numpy(np.random.default_rng(2).standard_normal((40, 12)).astype(np.float32))
    normaliser = np.zeros(12, np.float32), np.ones(12, np.float32)
    right = gates.training_step_class()

    class Wrong(right):
        def gradients(self, rows, *others, **more):
            result = super().gradients(rows, *others, **more)
            self.model.decoder.grad *= 1.01
            return result

    size = Size(12, 48, 5)
    good = gates.check_gradients(size, rows, normaliser, layer_norm=False)
    assert good.against_float32 < 1e-5 and good.against_float64 < 1e-5
    assert good.rows + good.left_out == 40
    monkeypatch.setattr(gates, "training_step_class", lambda: Wrong)
    assert gates.check_gradients(size, rows, normaliser, layer_norm=False).against_float32 > 5e-3


def test_planted_activations_hold_what_they_say():
    planted_module = load("planted_activations")
    make = planted_module.PlantedActivations
    planted = make(channels=24, n_directions=40, frequencies=(0.01, 0.1), seed=5)
    rows = planted.rows(5000, positions=2000)
    assert rows.dtype == np.float16 and rows.shape == (5000, 24)
    np.testing.assert_array_equal(rows[2000:4000], make(24, 40, (0.01, 0.1), 5).sequence(1, 2000))
    where, which = planted._appearances(np.random.default_rng(0), 200_000)
    measured = np.bincount(which, minlength=40) / 200_000
    np.testing.assert_allclose(measured, planted.frequency, rtol=0.15)
    assert where.min() >= 0 and where.max() < 200_000
    # of a direction's positions, many are followed by another: neighbours resemble one another
    rare = np.unique(where[which == planted.frequency.argmin()])
    assert np.isin(rare + 1, rare).mean() > 0.2


def test_found_share_counts_directions_whatever_the_normaliser():
    from biosae.model import SAE

    planted = load("planted_activations").PlantedActivations(24, 40, seed=5)
    scale = np.linspace(0.5, 2, 24).astype(np.float32)
    model = SAE(24, 40, 4, layer_norm=False, scale=scale, seed=1)
    std = np.full(24, 1.5)
    assert planted.found_share(model, std) < 0.2
    with torch.no_grad():
        true = planted.directions * planted.channel_scale / scale
        model.decoder.copy_(torch.from_numpy(true[::-1].copy()))
        model.decoder[:10] = 0  # the last ten directions
    assert planted.found_share(model, std) == pytest.approx(30 / 40)


def test_jobs_are_timed_in_turn():
    turns, now = [], iter(range(1000))
    jobs = {name: (lambda name=name: turns.append(name)) for name in "ab"}
    seconds = load("contenders").interleaved(jobs, rounds=3, warm_up=1, clock=lambda: next(now))
    assert turns == list("abababab") and seconds == {"a": 1, "b": 1}


def test_quality_is_kept_and_compared(tmp_path, monkeypatch, capsys):
    """A tiny run is kept, is not run again, and its table says how soon each recipe gets there."""
    quality = load("train_quality")
    results = tmp_path / "kept.jsonl"
    sizes = "--positions 512 --store-positions 512 --held-out 512 --curve-positions 256 --evaluations 4"
    sizes += " --channels 16 --directions 32 --k 4 --seeds 0"
    monkeypatch.setattr(quality, "SEQUENCE", 256)
    monkeypatch.setattr(sys, "argv", ["x", "--results", str(results), *sizes.split(), "--rows", "quick"])
    quality.main()
    lines = results.read_text().splitlines()
    assert [json.loads(line)["row"] for line in lines] == list(quality.QUICK)
    assert json.loads(lines[0])["curve"][-1][0] == 512
    assert "published, lr 1e-5 | 1 |" in capsys.readouterr().out
    monkeypatch.setattr(quality, "run", None)  # would fail if called
    quality.main()
    assert results.read_text().splitlines() == lines


def test_share_to_reach_is_the_first_point_that_is_low_enough():
    share = load("train_quality").share_to_reach
    curve = [[0, 0.9], [10, 0.5], [20, 0.6], [40, 0.4]]
    assert share(curve, 0.5, 40) == 0.25
    assert share(curve, 0.45, 40) == 1.0
    assert share(curve, 0.3, 40) is None


def test_a_contender_that_is_not_installed_says_so(monkeypatch):
    contenders = load("contenders")
    monkeypatch.setitem(sys.modules, "sae_lens", None)  # as if it were not there
    batch = contenders.Batch(torch.zeros(4, 8), torch.zeros(4, 8))
    with pytest.raises(contenders.Unavailable, match=r"not installed .*sae_lens"):
        contenders.build("sae-lens", contenders.Size(8, 16, 2), batch, None)
