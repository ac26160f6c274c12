"""Dictionaries that are not trained, and the frozen decoder: what they must be, and what they refuse."""

from __future__ import annotations

import json
import logging

import numpy as np
import pytest
import torch
from helpers_store import random_arrays, rows_of, write_store
from helpers_training import LAYER, contents, make_recipe, options, planted, run_here, write_inputs

from biosae import baselines
from biosae.activations import ActivationStore
from biosae.artefacts import read_table
from biosae.baselines import BaselineSettings, build, sample_blocks
from biosae.checkpoint import load_checkpoint, save_checkpoint
from biosae.errors import ConfigError
from biosae.evaluation import evaluate
from biosae.geometry import Layer
from biosae.training import new_model, train

CHANNELS = 6
VECTORS = np.zeros(CHANNELS), np.ones(CHANNELS)


def correlated(n: int = 4000, seed: int = 0) -> np.ndarray:
    """Rows (n, CHANNELS) whose principal components differ in variance and are not the channels."""
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.normal(size=(CHANNELS, CHANNELS)))[0]
    return (rng.normal(size=(n, CHANNELS)) * [6, 5, 4, 3, 2, 1] @ turn + 3).astype(np.float32)


def test_principal_components_are_those_of_a_singular_value_decomposition():
    rows = correlated()
    model, note = build("pca", rows, VECTORS)
    right = np.linalg.svd(rows - rows.mean(0), full_matrices=False)[2]
    cosines = np.abs(np.sum(model.decoder_directions()[:CHANNELS] * right, axis=1))
    np.testing.assert_allclose(cosines, 1, atol=1e-4)
    assert note.startswith("6 components, fitted on 4000 positions; 1 of the variance.")
    assert "fvu is 0 by construction" in note


@pytest.mark.parametrize("kind", ["pca", "ica"])
def test_linear_nodes_are_both_signs_of_the_scores(kind):
    rows = correlated(500)
    vectors = np.arange(CHANNELS), np.arange(CHANNELS) + 1.0
    model, _ = build(kind, rows, vectors)
    u = (rows - vectors[0]) / vectors[1]
    score = (u - u.mean(0)) @ model.encoder.numpy().T
    codes = model.encode_block(rows)
    dense = np.zeros((500, 2 * CHANNELS))
    dense[codes.rows, codes.nodes] = codes.values
    np.testing.assert_allclose(dense, np.maximum(np.hstack([score, -score]), 0), atol=1e-3)
    np.testing.assert_allclose(model(rows).output, u, atol=1e-3)
    np.testing.assert_allclose(model.decode(*model.encode(rows)), rows, atol=1e-2)


def test_fewer_components_leave_the_rest_of_the_variance(tmp_path):
    rows = correlated()
    model, note = build("pca", rows, VECTORS, BaselineSettings(components=2))
    store = ActivationStore.open(write_store(tmp_path / "s", [rows.reshape(40, 100, CHANNELS)]))
    variances = np.linalg.eigvalsh(np.cov(rows.T))
    left = variances[:-2].sum() / variances.sum()
    assert evaluate(model, store, 10**9)["fvu"] == pytest.approx(left, rel=1e-3)
    assert model.n_nodes == 4
    assert f"{1 - left:.3f}" in note
    assert "by construction" not in note


@pytest.mark.parametrize("kind", ["pca", "ica"])
def test_components_without_variance_are_dead_and_counted(kind):
    rows = correlated()
    rows[:, 2] = 7  # a constant channel
    rows[:, 4] = rows[:, 3]  # and one that says nothing new
    model, note = build(kind, rows, VECTORS)
    assert "2 of them have no variance" in note
    assert len(set(model.encode_block(correlated(seed=1)).nodes)) == 2 * (CHANNELS - 2)
    alone, note = build(kind, np.ones((50, CHANNELS), np.float32), VECTORS)
    assert "6 of them have no variance" in note
    assert len(alone.encode_block(rows).nodes) == 0


def test_independent_components_are_found_where_principal_ones_are_not():
    rng = np.random.default_rng(0)
    sources = rng.laplace(size=(20_000, CHANNELS))
    mixing = rng.normal(size=(CHANNELS, CHANNELS))
    rows = (sources @ mixing).astype(np.float32)
    truth = mixing / np.linalg.norm(mixing, axis=1, keepdims=True)

    def least_cosine(kind: str) -> float:
        found = build(kind, rows, VECTORS).model.decoder_directions()[:CHANNELS]
        found /= np.linalg.norm(found, axis=1, keepdims=True)
        return float(np.abs(truth @ found.T).max(1).min())

    assert least_cosine("ica") > 0.98
    assert least_cosine("pca") < 0.9


def test_ica_that_does_not_converge_says_so(monkeypatch, caplog):
    monkeypatch.setattr(baselines, "ICA_ITERATIONS", 1)
    with caplog.at_level(logging.WARNING):
        note = build("ica", correlated(), VECTORS).note
    assert "FastICA did NOT converge in 1 iterations" in note
    assert "not independent" in caplog.text


@pytest.mark.parametrize("layer_norm", [False, True])
def test_a_random_baseline_is_an_sae_with_nothing_learned(layer_norm):
    rows = correlated()
    settings = BaselineSettings(n_nodes=18, k=2, layer_norm=layer_norm, seed=5)
    model, note = build("random", rows, VECTORS, settings)
    assert (model.kind, model.n_nodes, model.k, model.layer_norm) == ("topk", 18, 2, layer_norm)
    assert torch.equal(model.encoder, model.decoder)
    np.testing.assert_allclose(np.linalg.norm(model.decoder_directions(), axis=1), 1, rtol=1e-6)
    inner = rows.astype(np.float64)
    if layer_norm:
        inner = (inner - inner.mean(1, keepdims=True)) / inner.std(1, ddof=1, keepdims=True)
    np.testing.assert_allclose(model.pre_bias.detach(), inner.mean(0), atol=1e-4)
    assert not model.latent_bias.any()
    assert "drawn at random" in note
    again, other = (
        build("random", rows, VECTORS, BaselineSettings(n_nodes=18, k=2, seed=seed)).model for seed in (5, 6)
    )
    assert torch.equal(again.decoder, model.decoder)
    assert not torch.equal(other.decoder, model.decoder)


@pytest.mark.parametrize("kind", ["pca", "ica"])
@pytest.mark.parametrize(
    ("rows", "settings", "message"),
    [
        (50, {"components": 7}, r"7 components.*1 to 6 \(6 channels, 50 sampled positions\)"),
        (4, {}, r"6 components.*1 to 4 \(6 channels, 4 sampled positions\)"),
        (50, {"sample_positions": 3}, r"6 components.*1 to 3 \(6 channels, 3 sampled positions\)"),
        (50, {"components": 0}, "0 components"),
    ],
)
def test_more_components_than_channels_or_samples_are_refused(kind, rows, settings, message):
    with pytest.raises(ConfigError, match=f"(?s)cannot have more components.*{message}"):
        build(kind, correlated(rows), VECTORS, BaselineSettings(**settings))


@pytest.mark.parametrize(
    ("kind", "source", "message"),
    [
        ("pcb", correlated(9), "needs a known kind"),
        ("pca", None, "all but raw a training store"),
        ("random", correlated(9), "needs the shape of the SAE"),
    ],
)
def test_a_baseline_that_cannot_be_made_is_refused(kind, source, message):
    with pytest.raises(ConfigError, match=message):
        build(kind, source, VECTORS)


@pytest.mark.parametrize(("wanted", "count"), [(10**6, 4000), (1000, 1000), (300, 300), (7, 7)])
def test_a_sample_is_spread_over_the_store(tmp_path, wanted, count):
    arrays = random_arrays([3, 1], positions=1000)
    store = ActivationStore.open(write_store(tmp_path / "s", arrays))
    everything = {row.tobytes(): number for number, row in enumerate(rows_of(arrays))}
    found = [everything[row.tobytes()] for block in sample_blocks(store, wanted) for row in block]
    assert len(found) == count
    assert found == sorted(set(found))
    if count >= 1000:  # every sequence gives its share
        shares = np.bincount(np.array(found) // 1000, minlength=4) / count
        assert shares.min() > 0.2
    flat = np.concatenate(list(sample_blocks(rows_of(arrays), wanted)))
    assert len(flat) == count


@pytest.mark.parametrize("given", [{}, {"unit_norm_decoder": True}, {"tied_initialisation": False}])
def test_a_frozen_decoder_stays_and_the_rest_is_trained(tmp_path, given):
    store = ActivationStore.open(write_store(tmp_path / "t", [planted(7, 0)[1]]))
    recipe = make_recipe(frozen_decoder=True, **given)
    model = new_model(recipe, 8, np.zeros(8), np.ones(8))
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    curve = train(model, store, lambda m: evaluate(m, store, 1000), recipe, tmp_path)
    assert torch.equal(model.decoder, before["decoder"])
    torch.testing.assert_close(model.decoder.norm(dim=1), torch.ones(16))
    for name in ("encoder", "pre_bias", "latent_bias"):
        assert not torch.equal(getattr(model, name), before[name])
    assert curve[-1]["validation_mse"] < curve[0]["validation_mse"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_inputs(tmp_path_factory.mktemp("program"))


def baseline(folder, output: str, *extra: str) -> list[str]:
    """Options of build_baseline.py on ``write_inputs``' stores."""
    words = [*LAYER, "--validation", str(folder / "va'lid"), "--activations", str(folder / "tr ain")]
    return [
        *words,
        "--statistics",
        str(folder / "statistics.h5"),
        "--output",
        str(folder / output),
        "--device",
        "cpu",
        *extra,
    ]


@pytest.mark.parametrize(
    ("kind", "extra", "nodes", "saved_as"),
    [
        ("pca", ["--components", "3"], 6, "pca"),
        ("ica", [], 16, "ica"),
        ("random", ["--expansion", "2", "--k", "3", "--seed", "4"], 16, "topk"),
    ],
)
def test_program(folder, monkeypatch, capsys, kind, extra, nodes, saved_as):
    words = baseline(folder, kind, "--kind", kind, *extra)
    code, text = run_here("build_baseline.py", words, monkeypatch, capsys)
    assert code == 0, text
    files = contents(folder / kind)
    config = json.loads(files["checkpoint/config.json"])
    assert (config["role"], config["kind"], config["n_nodes"]) == (kind, saved_as, nodes)
    assert json.loads(files["evaluation.json"])["note"]
    loaded = load_checkpoint(folder / kind / "checkpoint", channels=8)
    assert len(loaded.encode_block(planted(2, 2)[1][0]).nodes) > 0
    run_here("build_baseline.py", baseline(folder, f"{kind}2", "--kind", kind, *extra), monkeypatch, capsys)
    assert contents(folder / f"{kind}2") == files


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--kind", "pca", "--components", "9"], "1 to 8 (8 channels, 2100 sampled positions)"),
        (["--kind", "ica", "--sample-positions", "5"], "1 to 5 (8 channels, 5 sampled positions)"),
        (["--kind", "random", "--k", "2"], "needs the shape of the SAE"),
        (["--kind", "random", "--k", "17", "--expansion", "2"], "1 to 16"),
    ],
)
def test_bad_options_of_the_program(folder, monkeypatch, capsys, extra, message):
    code, text = run_here("build_baseline.py", baseline(folder, "bad", *extra), monkeypatch, capsys)
    assert code == 2
    assert message in text
    assert not (folder / "bad").exists()


def test_a_dictionary_whose_nodes_are_all_dead_is_encoded_and_none_is_kept(
    folder, tmp_path, monkeypatch, capsys
):
    model, _ = build("pca", np.ones((50, 8), np.float32), (np.zeros(8), np.ones(8)))
    layer = Layer("toy", "", 8, 4, 19, 23)
    save_checkpoint(model, tmp_path / "checkpoint", {"layer": layer.as_dict()})
    words = ["--checkpoint", str(tmp_path / "checkpoint"), "--output", str(tmp_path)]
    words += ["--activations", str(folder / "tr ain"), "--device", "cpu"]
    assert run_here("encode_activations.py", words, monkeypatch, capsys)[0] == 0
    words = [
        "--node-stats",
        str(tmp_path / "node_stats.tsv"),
        "--output",
        str(tmp_path / "selected_nodes.tsv"),
    ]
    assert run_here("select_nodes.py", [*words, "--min-nonzero", "0"], monkeypatch, capsys)[0] == 0
    assert len(read_table(tmp_path / "node_stats.tsv", "node_stats")) == 16
    assert len(read_table(tmp_path / "selected_nodes.tsv", "selected_nodes")) == 0
    counts = json.loads((tmp_path / "selected_nodes.tsv.json").read_text())["counts"]
    assert (counts["never_active"], counts["selected"]) == (16, 0)


def test_trained_nulls_say_their_role(folder, monkeypatch, capsys):
    short = ["--max-positions", "500"]
    words = ["--dictionary", "f", "role=frozen", "frozen_decoder=true", "--dictionary", "s", "k=2"]
    code, text = run_here("train_sae.py", options(folder, "roles", *short, *words), monkeypatch, capsys)
    assert code == 0, text
    found = {
        name: json.loads((folder / "roles" / name / "checkpoint/config.json").read_text()) for name in "fs"
    }
    assert [found[name]["role"] for name in "fs"] == ["frozen", "sae"]
    assert [found[name]["recipe"]["frozen_decoder"] for name in "fs"] == [True, False]
    run_here("train_sae.py", options(folder, "one", *short, "--role", "permuted"), monkeypatch, capsys)
    assert '"role": "permuted"' in (folder / "one/checkpoint/config.json").read_text()
    words = ["--dictionary", "x", "role=king"]
    code, text = run_here("train_sae.py", options(folder, "bad", *words), monkeypatch, capsys)
    assert code == 2
    assert "Unknown role of a run" in text
