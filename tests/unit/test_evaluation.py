"""Figures of an evaluation, against literal numbers and slow references."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from helpers_store import random_arrays, write_store
from hypothesis import given, settings
from hypothesis import strategies as st

from biosae import evaluation
from biosae.activations import ActivationStore
from biosae.artefacts import read_table
from biosae.errors import InputError
from biosae.evaluation import Evaluation, channel_table, evaluate, spread_rows, write_evaluation
from biosae.model import SAE, RawChannels, Reconstruction

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
        "fvu_channel_quantiles": by_level(np.quantile(((y - u) ** 2).mean(0) / u.var(0), LEVELS)),
        "l0": (dense > 0).sum(1).mean(),
        "l0_quantiles": by_level(np.quantile((dense > 0).sum(1), LEVELS, method="inverted_cdf")),
        "dead_fraction": (density == 0).mean(),
        "density_median": np.median(density),
    }


LEVELS = (0, 0.05, 0.25, 0.5, 0.75, 0.95, 1)


def by_level(values) -> dict:
    return {f"{level:g}": float(value) for level, value in zip(LEVELS, values, strict=True)}


def slow_channels(model: SAE, rows: np.ndarray) -> dict:
    """The table of channels, from the definitions."""
    u, y = (part.detach().double().numpy() for part in model(rows)[:2])
    errors = (y - u) ** 2
    return {
        "variance": u.var(0),
        "mse": errors.mean(0),
        "fvu": errors.mean(0) / u.var(0),
        "error_share": errors.sum(0) / errors.sum(),
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
    for name, value in expected.items():
        assert figures[name] == pytest.approx(value, rel=1e-6), name
    for name, values in slow_channels(model, all_rows(store)).items():
        assert figures["by_channel"][name] == pytest.approx(values.tolist(), rel=1e-6), name
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


class Given:
    """A model that gives the reconstructions it was made with, block by block, whatever the rows."""

    def __init__(self, results: list[Reconstruction], n_nodes: int, layer_norm: bool = False):
        self.results, self.n_nodes, self.layer_norm = results, n_nodes, layer_norm
        self.channels = results[0].target.shape[1]
        self.shift = torch.zeros(self.channels)

    def figures(self) -> dict:
        running = Evaluation(self)
        for result in self.results:
            running.add(result)
        return running.figures()


def reconstruction(target, output, values, indices) -> Reconstruction:
    u, y = torch.tensor(target), torch.tensor(output)
    return Reconstruction(u, y, u, y, None, torch.tensor(values), torch.tensor(indices))


def test_a_table_by_hand_of_blocks_with_different_numbers_of_columns():
    """Kinds batchtopk and relu have any number of active nodes a position; value 0 is padding."""
    first = reconstruction(
        [[0.0, 7.0, 1.0], [4.0, 7.0, 1.0]], [[1.0, 7.0, 1.0], [4.0, 9.0, 1.0]], [[0.5], [0.0]], [[2], [2]]
    )
    second = reconstruction(
        [[0.0, 7.0, 2.0], [4.0, 7.0, 4.0]],
        [[0.0, 7.0, 2.0], [3.0, 7.0, 4.0]],
        [[0.1, 0.2, 0.0], [1.0, 2.0, 3.0]],
        [[0, 2, 0], [3, 2, 0]],
    )
    figures = Given([first, second], n_nodes=5).figures()
    # channel 0: 0 4 0 4, errors 1 0 0 1; channel 1: constant, errors 0 4 0 0; channel 2: 1 1 2 4, no error
    assert figures["by_channel"] == {
        "variance": [4.0, 0.0, 1.5],
        "mse": [0.5, 1.0, 0.0],
        "fvu": [0.125, None, 0.0],
        "error_share": pytest.approx([2 / 6, 4 / 6, 0.0]),
    }
    assert figures["fvu"] == pytest.approx(6 / 22)
    assert figures["mse"] == pytest.approx(6 / 12)
    assert (figures["fvu_channel_mean"], figures["constant_channels"]) == (0.0625, 1)
    assert figures["fvu_channel_quantiles"] == pytest.approx(by_level(np.quantile([0, 0.125], LEVELS)))
    # active nodes a position: 1 (node 2), 0, 2 (nodes 0 and 2), 3 (nodes 3, 2 and 0)
    assert figures["l0"] == 6 / 4
    assert figures["l0_quantiles"] == by_level([0, 0, 0, 1, 2, 3, 3])
    assert figures["dead_fraction"] == 2 / 5  # nodes 1 and 4; node 0's padding does not count
    assert figures["density_quantiles"]["1"] == 3 / 4


def test_no_active_node_and_an_empty_block():
    none = reconstruction([[1.0], [3.0]], [[2.0], [2.0]], np.zeros((2, 0)), np.zeros((2, 0), int))
    empty = reconstruction(np.zeros((0, 1)), np.zeros((0, 1)), np.zeros((0, 2)), np.zeros((0, 2), int))
    figures = Given([empty, none, empty], n_nodes=3).figures()
    assert (figures["positions"], figures["fvu"], figures["l0"]) == (2, 1.0, 0.0)
    assert figures["l0_quantiles"] == by_level([0] * 7)
    assert figures["dead_fraction"] == 1


def test_the_variance_of_a_channel_far_from_0_is_right_however_it_is_cut(tmp_path):
    rng = np.random.default_rng(3)
    data = (rng.normal(size=(3, 1000, 2)) * [1e-2, 3.0] + [20.0, -900.0]).astype(np.float32)
    store = open_store(tmp_path / "s", [data])
    expected = data.reshape(-1, 2).astype(np.float64).var(0)
    for block in (7, 1000, 4096):
        running = Evaluation(RawChannels(2))
        for low in range(0, store.n_rows, block):
            running.add(RawChannels(2)(data.reshape(-1, 2)[low : low + block]))
        assert running.figures()["by_channel"]["variance"] == pytest.approx(expected.tolist(), rel=1e-6)


def test_blocks_are_the_rows_of_the_store_and_faults_of_reading_arrive(store, monkeypatch):
    ranges = spread_rows(store.n_rows, 10**9, 37)  # blocks that cross sequences
    found = np.concatenate([block.copy() for block in evaluation._blocks(store, ranges)])
    assert np.array_equal(found, all_rows(store))

    def refuse(*_, **__):
        raise InputError("made up")

    monkeypatch.setattr(store, "slabs", refuse)
    with pytest.raises(InputError, match="made up"):
        evaluate(RawChannels(CHANNELS), store, 10)


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
    assert figures["fvu"] is figures["fvu_channel_mean"] is figures["fvu_channel_quantiles"] is None
    assert figures["constant_channels"] == CHANNELS
    assert channel_table(figures)["fvu"].isna().all()


def test_a_part_of_the_store_is_spread_over_it(store):
    figures = evaluate(RawChannels(CHANNELS), store, 100)
    assert figures["positions"] == 100
    assert figures["positions_share"] == pytest.approx(100 / store.n_rows)


@pytest.mark.parametrize(
    ("n_rows", "limit", "size", "expected"),
    [
        (10, 100, 4, [(0, 4), (4, 8), (8, 10)]),
        (100, 25, 10, [(12, 20), (45, 53), (78, 87)]),
        (10_000, 4097, 4096, [(1475, 3523), (6475, 8524)]),
        (10**6, 8191, 4096, [(247952, 252047), (747951, 752047)]),
    ],
)
def test_spread_rows(n_rows, limit, size, expected):
    assert spread_rows(n_rows, limit, size) == expected


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 10**6), st.integers(1, 10**6), st.integers(1, 5000))
def test_as_many_rows_as_were_asked_for_come_in_even_blocks_from_all_over(n_rows, limit, size):
    limit, n_rows = min(limit, 200 * size), min(n_rows, 300 * size)  # not too many blocks
    ranges = spread_rows(n_rows, limit, size)
    lengths = np.array([high - low for low, high in ranges])
    assert lengths.sum() == min(n_rows, limit) and 0 < lengths.min() <= lengths.max() <= size
    assert (np.diff([0, *np.ravel(ranges), n_rows]) >= 0).all()  # no row twice, none beyond the store
    if n_rows > limit:
        assert len(ranges) == -(-limit // size) and np.ptp(lengths) <= 1
        assert np.mean(ranges, axis=1) / n_rows == pytest.approx(
            (np.arange(len(ranges)) + 0.5) / len(ranges), abs=2 / n_rows
        )


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
        path = tmp_path / name / "evaluation.json"
        write_evaluation(figures, model, path, "x.py", {"seed": 1}, note="a note")
    content = json.loads((tmp_path / "a" / "evaluation.json").read_text())
    assert {"kind", "n_nodes", "channels", "k", "fvu", "l0", "dead_fraction", "mse", "positions"} <= set(
        content
    )
    assert content["note"] == "a note"
    assert content["provenance"]["seed"] == 1
    assert "by_channel" not in content
    for name in ("evaluation.json", "channel_fvu.tsv", "channel_fvu.tsv.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    table = read_table(tmp_path / "a" / "channel_fvu.tsv", "channel_fvu")
    assert table["channel"].tolist() == list(range(CHANNELS))
    assert table["variance"].tolist() == pytest.approx(all_rows(store).var(0).tolist(), rel=1e-5)
    assert table["fvu"].tolist() == [0.0] * CHANNELS
    assert table["error_share"].isna().all()  # raw channels leave nothing unexplained
