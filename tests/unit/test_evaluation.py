"""Figures of an evaluation, against literal numbers and slow references."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from helpers_store import random_arrays, write_store

from biosae import evaluation
from biosae.activations import ActivationStore
from biosae.errors import InputError
from biosae.evaluation import evaluate, spread_rows, write_evaluation
from biosae.model import SAE, RawChannels

CHANNELS = 6


def open_store(folder, arrays) -> ActivationStore:
    return ActivationStore.open(write_store(folder, arrays))


@pytest.fixture
def store(tmp_path) -> ActivationStore:
    arrays = [array * 2 + np.arange(CHANNELS) for array in random_arrays([3, 2], channels=CHANNELS)]
    return open_store(tmp_path / "store", [array.astype(np.float32) for array in arrays])


def all_rows(store) -> np.ndarray:
    return np.concatenate([rows for _, rows in store.slabs(1000)])


def slow_figures(model: SAE, rows: np.ndarray) -> dict:
    """Dense and in float64, from the definitions."""
    result = model(rows)
    u, y, v, w = (part.detach().double().numpy() for part in result[:4])
    dense = np.zeros((len(rows), model.n_nodes))
    np.put_along_axis(dense, result.indices.numpy(), result.values.detach().numpy(), 1)
    density = (dense > 0).mean(0)
    return {
        "mse": ((y - u) ** 2).mean(),
        "fvu": ((y - u) ** 2).sum() / ((u - u.mean(0)) ** 2).sum(),
        "fvu_without_layer_norm": ((w - v) ** 2).sum() / ((v - v.mean(0)) ** 2).sum(),
        "fvu_channel_mean": (((y - u) ** 2).mean(0) / u.var(0)).mean(),
        "l0": (dense > 0).sum(1).mean(),
        "dead_fraction": (density == 0).mean(),
        "density_median": np.median(density),
    }


@pytest.mark.parametrize("layer_norm", [True, False])
@pytest.mark.parametrize("block_rows", [7, 4096])
def test_figures_equal_the_slow_reference(store, layer_norm, block_rows, monkeypatch):
    monkeypatch.setattr(evaluation, "spread_rows", lambda n, m: spread_rows(n, m, block_rows))
    model = SAE(CHANNELS, 24, 3, layer_norm, np.arange(CHANNELS), np.full(CHANNELS, 2.0))
    with torch.no_grad():
        model.latent_bias[:8] = -100.0  # eight dead nodes
        model.latent_bias[8:] = -0.7  # and positions with fewer than k active
    figures = evaluate(model, store, 10**9)
    expected = slow_figures(model, all_rows(store))
    assert expected["l0"] < 3
    assert expected["dead_fraction"] >= 8 / 24
    assert {name: figures[name] for name in expected} == pytest.approx(expected, rel=1e-5)
    assert figures["positions"] == store.n_rows
    assert figures["positions_share"] == 1.0
    assert (figures["fvu"] == figures["fvu_without_layer_norm"]) == (not layer_norm)


def test_layer_norm_alone_explains_variance_that_the_nodes_do_not(tmp_path):
    """All nodes silent: mean and std a position still give an FVU below 1; inside LayerNorm it is 1."""
    base = np.random.default_rng(0).normal(size=(2, 40, 1)) * 5
    data = (base + random_arrays([2], 40, CHANNELS)[0]).astype(np.float32)
    model = SAE(CHANNELS, 12, 2, layer_norm=True)
    with torch.no_grad():
        model.latent_bias.fill_(-1e6)
    figures = evaluate(model, open_store(tmp_path / "s", [data]), 10**9)
    assert figures["fvu"] < 0.2
    assert figures["fvu_without_layer_norm"] > 0.99
    assert figures["l0"] == 0
    assert figures["dead_fraction"] == 1
    assert sum(figures["log10_density_histogram"]["counts"]) == 0


def test_raw_channels_have_fvu_0(store):
    figures = evaluate(RawChannels(CHANNELS, np.arange(CHANNELS)), store, 10**9)
    assert figures["fvu"] == figures["mse"] == 0
    assert figures["l0"] == pytest.approx(CHANNELS)


def test_literal_densities(tmp_path):
    data = np.array([[[1.0, -1], [2, 3], [-1, 4], [5, 6]]], np.float32)
    figures = evaluate(RawChannels(2), open_store(tmp_path / "s", [data]), 10**9)
    # nodes +0, +1, -0, -1 are active at 3, 3, 1 and 1 of 4 positions
    assert figures["density_quantiles"] == pytest.approx(
        {"0": 0.25, "0.05": 0.25, "0.25": 0.25, "0.5": 0.5, "0.75": 0.75, "0.95": 0.75, "1": 0.75}
    )
    assert figures["log10_density_histogram"]["counts"][-2:] == [2, 2]  # edges -1, -0.5, 0
    assert figures["l0"] == 2


def test_channel_mean_of_fvu_does_not_change_with_the_normaliser(store):
    """The same raw reconstruction under two normalisers: fvu differs, fvu_channel_mean does not."""
    scale = np.linspace(1, 30, CHANNELS)
    plain = SAE(CHANNELS, 24, 3, layer_norm=False)
    scaled = SAE(CHANNELS, 24, 3, layer_norm=False, scale=scale)
    with torch.no_grad():
        scaled.encoder.copy_(plain.encoder * scaled.scale)
        scaled.decoder.copy_(plain.decoder / scaled.scale)
    first, second = evaluate(plain, store, 10**9), evaluate(scaled, store, 10**9)
    assert first["fvu_channel_mean"] == pytest.approx(second["fvu_channel_mean"], rel=1e-4)
    assert abs(first["fvu"] / second["fvu"] - 1) > 0.01


def test_without_variance_there_is_no_fvu(tmp_path):
    store = open_store(tmp_path / "s", [np.full((1, 30, CHANNELS), 0.1, np.float32)])
    figures = evaluate(RawChannels(CHANNELS), store, 10**9)
    assert figures["fvu_channel_mean"] is None


def test_a_part_of_the_store_is_spread_over_it(store):
    figures = evaluate(RawChannels(CHANNELS), store, 100)
    assert figures["positions"] == 100
    assert figures["positions_share"] == pytest.approx(100 / store.n_rows)


@pytest.mark.parametrize(
    ("n_rows", "limit", "size", "expected"),
    [
        (10, 100, 4, [(0, 4), (4, 8), (8, 10)]),
        (100, 20, 10, [(0, 10), (50, 60)]),
        (100, 25, 10, [(0, 10), (50, 60)]),
        (100, 3, 10, [(0, 3)]),
        (12, 11, 5, [(0, 5), (5, 10)]),
    ],
)
def test_spread_rows(n_rows, limit, size, expected):
    assert spread_rows(n_rows, limit, size) == expected


def test_faults_are_named(store):
    with pytest.raises(InputError, match="at least one position"):
        spread_rows(10, 0)
    with pytest.raises(InputError, match=r"do not fit the dictionary.*\(rows, 5\)"):
        evaluate(RawChannels(5), store, 10)
    model = SAE(CHANNELS, 12, 2)
    with torch.no_grad():
        model.pre_bias[0] = float("inf")
    with pytest.raises(InputError, match="output is not finite"):
        evaluate(model, store, 10)


def test_written_file(store, tmp_path):
    model = RawChannels(CHANNELS)
    figures = evaluate(model, store, 10**9)
    for name in "ab":
        write_evaluation(figures, model, tmp_path / f"{name}.json", "x.py", {"seed": 1}, note="a note")
    content = json.loads((tmp_path / "a.json").read_text())
    assert {"kind", "n_nodes", "channels", "k", "fvu", "l0", "dead_fraction", "mse", "positions"} <= set(
        content
    )
    assert content["note"] == "a note"
    assert content["provenance"]["seed"] == 1
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
