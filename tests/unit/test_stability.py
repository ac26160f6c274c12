"""Stability across seeds: planted truth is found, chance is not."""

from __future__ import annotations

import json
import sys

import numpy as np
import pandas as pd
import pytest
from helpers_page import fill
from safetensors.numpy import load_file, save_file

import compare_seeds
from biosae.artefacts import check_table, read_table, write_json, write_table
from biosae.errors import ConfigError, ContractError, InputError
from biosae.node_matching import unit_rows
from biosae.node_stability import summarise_stability
from biosae.stability import NodeDirections, null_directions, read_runs, stability_tables
from biosae.statistics import ChannelStatistics, write_statistics

CHANNELS, NODES = 20, 60


def directions(seed: int, n: int = NODES, channels: int = CHANNELS) -> np.ndarray:
    return unit_rows(np.random.default_rng(seed).normal(size=(n, channels)))


def near(truth: np.ndarray, order: np.ndarray, noise: float, seed: int) -> np.ndarray:
    """The same directions in another order, each with noise of a share of its norm."""
    other = np.random.default_rng(seed).normal(size=truth.shape) / np.sqrt(truth.shape[1])
    return unit_rows(truth[order] + noise * other)


def run_of(name: str, unit: np.ndarray, live=None) -> NodeDirections:
    live = np.arange(len(unit)) if live is None else np.array(live, dtype=int)
    return NodeDirections(name, len(unit), live, unit[live])


def test_a_permuted_dictionary_with_noise_is_found_again_and_a_random_one_is_not():
    truth = directions(0)
    orders = [np.random.default_rng(seed).permutation(NODES) for seed in (1, 2)]
    planted = [run_of(f"s{i}", near(truth, order, 0.3, i + 5)) for i, order in enumerate(orders, 1)]
    nodes, pairs = stability_tables([run_of("s0", truth), *planted], 0.7, 1000)
    assert nodes["siblings"].tolist() == [2] * NODES
    assert nodes["found_again"].tolist() == [1.0] * NODES
    assert nodes["stability"].min() > 0.9
    assert nodes["null_stability"].max() < 0.8
    assert nodes["null_found_again"].mean() < 0.1
    first = pairs[pairs["sibling"] == "s1"].sort_values("node")
    assert orders[0][first["matched_node"].to_numpy(int)].tolist() == list(range(NODES))
    strangers = [run_of(f"s{seed}", directions(seed + 50)) for seed in (1, 2)]
    nodes, pairs = stability_tables([run_of("s0", truth), *strangers], 0.7, 1000)
    assert nodes["found_again"].mean() < 0.1
    # chance is what it looks like: as large as the null
    assert abs(nodes["stability"].median() - nodes["null_stability"].median()) < 0.05
    assert (pairs["best_cosine"] >= pairs["cosine"] - 1e-6).all()


def test_the_order_of_nodes_and_of_siblings_changes_nothing():
    truth, rng = directions(0), np.random.default_rng(9)
    siblings = [run_of("s1", near(truth, rng.permutation(NODES), 1.0, 3)), run_of("s2", directions(8))]
    order = rng.permutation(NODES)
    before = stability_tables([run_of("s0", truth), *siblings], 0.7, 1000)
    after = stability_tables([run_of("s0", truth[order]), *siblings[::-1]], 0.7, 1000)
    moved = after[0].assign(node=order[after[0]["node"].to_numpy(int)]).sort_values("node")
    for name in ("stability", "found_again", "best_cosine"):
        assert moved[name].to_numpy() == pytest.approx(before[0][name].to_numpy(), abs=1e-6), name
    again = stability_tables([run_of("s0", truth), *siblings[::-1]], 0.7, 1000)
    for one, other in zip(before, again, strict=True):
        pd.testing.assert_frame_equal(one, other)


def test_dead_nodes_take_no_part_on_either_side():
    truth = directions(0, 6)
    own, other = run_of("s0", truth, [0, 1, 2, 5]), run_of("s1", truth, [1, 2, 3])
    nodes, pairs = stability_tables([own, other], 0.7, 100)
    assert nodes["dead"].tolist() == [False, False, False, True, True, False]
    assert nodes.loc[nodes["dead"].astype(bool), "stability"].isna().all()
    matched = pairs.set_index("node")["matched_node"]
    assert (matched[1], matched[2]) == (1, 2)
    assert sorted(matched.dropna().tolist()) == [1, 2, 3]
    left = matched.index[matched.isna()].item()  # four live nodes, three partners
    about = nodes.set_index("node").loc[left]
    assert pd.isna(about["stability"])
    assert about["found_again"] == 0
    summary = summarise_stability(nodes)
    assert (summary["siblings"], summary["found_again"]) == (1, 0.5)  # nodes 1 and 2 of four live ones


def test_all_dead_is_a_valid_table():
    truth = directions(0, 4)
    nodes, pairs = stability_tables([run_of("s0", truth), run_of("s1", truth, [])], 0.7, 100)
    check_table(pairs, "stability_pairs")
    assert pairs["matched_node"].isna().all()
    nodes, pairs = stability_tables([run_of("s0", truth, []), run_of("s1", truth)], 0.7, 100)
    check_table(nodes, "stability")
    assert pairs.empty
    empty = ("stability", "null_stability", "found_again", "null_found_again")
    assert summarise_stability(nodes) == {"siblings": 1, **dict.fromkeys(empty)}


def test_nulls_keep_what_they_say():
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(CHANNELS, 3))
    flat = unit_rows(rng.normal(size=(4000, 3)) @ mixing.T)  # all directions in one 3-dimensional space
    gaussian = null_directions(flat, "gaussian", np.random.default_rng(1))
    assert np.linalg.svd(gaussian, compute_uv=False)[3] < 1e-2
    assert gaussian.T @ gaussian / 4000 == pytest.approx(flat.T @ flat / 4000, abs=0.03)
    sparse = unit_rows(np.eye(CHANNELS)[rng.integers(0, CHANNELS, 500)])  # one channel a node
    permuted = null_directions(sparse, "permuted", np.random.default_rng(1))
    assert (permuted != 0).sum(0).tolist() == (sparse != 0).sum(0).tolist()
    assert np.array_equal(permuted, null_directions(sparse, "permuted", np.random.default_rng(1)))


def test_of_single_channels_the_null_knows_that_chance_finds_them_again():
    """Each node is one channel: found again at cosine 1, and so are many of the permuted null's."""
    channel = np.random.default_rng(0).integers(0, 4, NODES)
    one = unit_rows(np.eye(4)[channel])
    nodes, _ = stability_tables([run_of("s0", one), run_of("s1", one[::-1])], 0.7, 100)
    assert nodes["found_again"].mean() == 1
    assert nodes["null_found_again"].mean() > 0.4


@pytest.mark.parametrize(("runs", "cosine"), [(1, 0.7), (2, 1.0)])
def test_settings_that_make_no_sense_are_refused(runs, cosine):
    given = [run_of(f"s{i}", directions(i, 4)) for i in range(runs)]
    with pytest.raises(ConfigError, match="needs a sibling run and a cosine below 1"):
        stability_tables(given, cosine, 100)


# --- files and program ----------------------------------------------------------------------------


def write_run(folder, seed: int, decoder: np.ndarray, scale: np.ndarray, dead=(), **config):
    """A run folder: a decoder (n_nodes, channels) in normalised channels, and node statistics."""
    n, channels = decoder.shape
    folder.joinpath("checkpoint").mkdir(parents=True)
    tensors = {"decoder.weight": np.ascontiguousarray(decoder.T), "scale": scale}
    save_file({k: v.astype(np.float32) for k, v in tensors.items()}, folder / "checkpoint/model.safetensors")
    about = {"kind": "topk", "n_nodes": n, "channels": channels, "k": 3, "normaliser": "max", "seed": seed}
    about["recipe"] = {"seed": seed, "shuffle_seed": None, "learning_rate": 1e-3}
    write_json(folder / "checkpoint/config.json", {**about, **config})
    counts = np.where(np.isin(np.arange(n), dead), 0, 5)
    table = pd.DataFrame({"node_id": np.arange(n), "stream_count": counts})
    write_table(fill(table, "node_stats"), folder / "node_stats.tsv", "node_stats")
    return folder


def write_stats(path, variance: np.ndarray):
    vectors = {name: np.ones(len(variance)) for name in ("count", "min", "max", "absmax", "mean")}
    table = np.ones((len(variance), 1))
    stats = ChannelStatistics(**vectors, variance=variance, quantiles=table, quantile_levels=np.ones(1))
    write_statistics(stats, path, {})
    return path


@pytest.fixture
def world(tmp_path):
    """Two runs of seeds 0 and 1 with the same directions in raw channels; channel 0 is constant."""
    rng = np.random.default_rng(0)
    variance = np.r_[0.0, rng.uniform(0.1, 9, 15)]
    truth, order = directions(0, 12, 16), rng.permutation(12)
    scale = rng.uniform(0.5, 4, 16)
    runs = [
        write_run(tmp_path / "topk-s0", 0, truth * np.sqrt(variance) / scale, scale, dead=[4]),
        write_run(tmp_path / "topk-s1", 1, 7 * truth[order] * np.sqrt(variance) / scale, scale, dead=[2]),
    ]
    return runs, write_stats(tmp_path / "statistics.h5", variance), truth, order


def test_directions_are_compared_in_channels_of_variance_1(world):
    runs, statistics, truth, order = world
    first, second = read_runs(runs, statistics)
    assert first.live.tolist() == [0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11]
    expected = unit_rows(truth * (np.arange(16) > 0))[first.live]
    assert first.unit == pytest.approx(expected, abs=1e-6)
    assert second.unit == pytest.approx(unit_rows(truth * (np.arange(16) > 0))[order][second.live], abs=1e-6)


def test_the_program_writes_both_tables_twice_the_same(world, tmp_path, monkeypatch):
    runs, statistics, _, order = world
    command = ["x", "--run", runs[0], "--siblings", runs[1], "--statistics", statistics, "--seed", 3]
    for name in ("a b", "c"):
        monkeypatch.setattr(sys, "argv", [*map(str, command), "--output", str(tmp_path / name)])
        compare_seeds.main()
    nodes = read_table(tmp_path / "c" / "stability.tsv", "stability")
    pairs = read_table(tmp_path / "c" / "stability_pairs.tsv", "stability_pairs")
    live = pairs[pairs["cosine"] > 0.99]
    assert order[live["matched_node"].to_numpy(int)].tolist() == live["node"].tolist()
    assert len(live) == 10  # of 11 live nodes one has a dead partner
    assert nodes.loc[nodes["dead"].astype(bool), "node"].tolist() == [4]
    made_by = json.loads((tmp_path / "c" / "stability.tsv.json").read_text())
    assert made_by["settings"]["runs"] == ["topk-s0", "topk-s1"]
    assert (made_by["settings"]["found_again_cosine"], made_by["seed"]) == (0.7, 3)
    for name in ("stability.tsv", "stability_pairs.tsv", "stability.tsv.json"):
        assert (tmp_path / "a b" / name).read_bytes() == (tmp_path / "c" / name).read_bytes()


def test_runs_that_differ_in_more_than_the_seed_are_refused(world, tmp_path):
    runs, statistics, truth, _ = world
    recipe = {"seed": 2, "learning_rate": 0.5}
    other = write_run(tmp_path / "topk-s2", 2, truth, np.ones(16), recipe=recipe, k=4)
    with pytest.raises(
        ConfigError, match=r"'topk-s0' and 'topk-s2' differ in more than the seed: in k, recipe"
    ):
        read_runs([*runs, other], statistics)
    with pytest.raises(ConfigError, match="given twice"):
        read_runs([runs[0], runs[0]], statistics)
    (runs[1] / "checkpoint" / "model.safetensors").write_bytes(b"x")
    with pytest.raises(InputError, match=r"Cannot read a checkpoint.*topk-s1"):
        read_runs(runs, statistics)


@pytest.mark.parametrize(("name", "value"), [("decoder.weight", np.nan), ("scale", np.inf)])
def test_weights_that_are_not_finite_are_refused(world, name, value):
    runs, statistics, *_ = world
    path = runs[1] / "checkpoint" / "model.safetensors"
    tensors = load_file(path)
    tensors[name].flat[3] = value
    save_file(tensors, path)
    size = tensors[name].size
    with pytest.raises(InputError, match=rf"NaN or infinity.*topk-s1.*{name}.*1 such values of {size}"):
        read_runs(runs, statistics)


def test_statistics_or_nodes_of_another_dictionary_are_refused(world, tmp_path):
    runs, _, _, _ = world
    with pytest.raises(ContractError, match="of different dictionaries"):
        read_runs(runs, write_stats(tmp_path / "other.h5", np.ones(9)))
