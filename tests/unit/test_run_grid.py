"""Baselines as runs: their names, their data, what each SAE is compared with, and what is refused."""

from pathlib import Path

import pytest

from biosae import config as configuration
from biosae.errors import ConfigError
from biosae.recipes import Schedule, recipe_of

SCHEMA = Path(__file__).resolve().parents[2] / "workflow" / "schemas" / "config.schema.yaml"
STORES = {"train": "a/", "validation": "b", "random_model": {"train": "c", "validation": "d"}}
ALL = ["raw", "pca", "ica", "random", "frozen", "permuted", "random_model"]
GRID = {"kind": ["topk", "relu"], "expansion": [4], "k": [36, 40], "seed": [3, 4], "learning_rate": [1e-3]}


def load(**changes):
    smallest = {
        "layer": {"name": "conv1d_2"},
        "activations": STORES,
        "genome": "g.fa",
        "matching": {"database": "d"},
    }
    return configuration.load_config({**smallest, **changes}, SCHEMA)


def words_after(words: list[str], flag: str) -> str:
    return words[words.index(flag) + 1]


def test_names_and_data_of_every_baseline():
    runs = configuration.runs(load(sae={"grid": GRID}, baselines=ALL))
    nulls = {name: run for name, run in runs.items() if run["role"] != "sae"}
    assert list(nulls) == [
        "raw",
        "pca",
        "ica",
        "random-x4-k36-s3",
        "random-x4-k40-s3",
        "frozen-x4-k36-lr0.001-s3",
        "frozen-x4-k40-lr0.001-s3",
        "frozen-relu-x4-lr0.001-s3",
        "permuted-x4-k36-lr0.001-s3",
        "permuted-x4-k40-lr0.001-s3",
        "permuted-relu-x4-lr0.001-s3",
        "random_model-x4-k36-lr0.001-s3",
        "random_model-x4-k40-lr0.001-s3",
        "random_model-relu-x4-lr0.001-s3",
    ]
    given = {"kind": "topk", "expansion": 4, "k": 36, "seed": 3}
    assert nulls["random-x4-k36-s3"] == {**given, "role": "random", "data": "given"}
    trained = {**given, "learning_rate": 0.001}
    assert nulls["frozen-x4-k36-lr0.001-s3"] == {**trained, "role": "frozen", "data": "given"}
    assert nulls["permuted-x4-k36-lr0.001-s3"] == {**trained, "role": "permuted", "data": "permuted"}
    assert nulls["random_model-x4-k36-lr0.001-s3"]["data"] == "random_model"
    assert nulls["ica"] == {"kind": "ica", "role": "ica", "data": "given"}
    assert runs["topk-x4-k36-lr0.001-s4"]["role"] == "sae"


def test_random_baselines_do_not_depend_on_kind_or_learning_rate():
    grid = {"kind": ["topk", "batchtopk"], "k": [36], "learning_rate": [1e-3, 2e-3]}
    runs = configuration.runs(load(sae={"grid": grid}, baselines=["random", "frozen"]))
    assert list(runs)[4:] == [
        "random-x4-k36-s0",
        "frozen-x4-k36-lr0.001-s0",
        "frozen-x4-k36-lr0.002-s0",
        "frozen-batchtopk-x4-k36-lr0.001-s0",
        "frozen-batchtopk-x4-k36-lr0.002-s0",
    ]


def test_an_sae_is_compared_with_nulls_of_its_own_shape():
    nulls = configuration.nulls_of(load(sae={"grid": GRID}, baselines=ALL))
    assert len(nulls) == 6
    shapes = ("frozen", "permuted", "random_model")
    assert nulls["topk-x4-k40-lr0.001-s4"] == [
        *("raw", "pca", "ica", "random-x4-k40-s3"),
        *(f"{role}-x4-k40-lr0.001-s3" for role in shapes),
    ]
    assert nulls["relu-x4-lr0.001-s3"] == [
        *("raw", "pca", "ica"),
        *(f"{role}-relu-x4-lr0.001-s3" for role in shapes),
    ]
    assert configuration.nulls_of(load(baselines=[])) == {"topk-x4-k36-lr0.002-s0": []}
    kinds = load(sae={"grid": {"kind": ["matryoshka"], "k": [36]}}, baselines=["random"])
    assert list(configuration.nulls_of(kinds).values()) == [["random-x4-k36-s0"]]


@pytest.mark.parametrize(
    ("encode", "data", "folders"),
    [
        ("train", "given", ["a/", "b", "a/"]),
        ("validation", "given", ["a/", "b", "b"]),
        ("other", "given", ["a/", "b", "other"]),
        ("train", "permuted", ["r/conv1d_2/permuted/" + split for split in ("train", "validation", "train")]),
        (
            "other",
            "permuted",
            ["r/conv1d_2/permuted/" + split for split in ("train", "validation", "encode")],
        ),
        ("validation", "random_model", ["c", "d", "d"]),
        ("other", "random_model", ["c", "d", "c"]),
    ],
)
def test_every_run_reads_the_stores_of_its_data(encode, data, folders):
    full = load(activations={**STORES, "encode": encode}, results="r/")
    splits = ("train", "validation", "encode")
    assert [configuration.data_store(full, split, data) for split in splits] == folders


def test_options_of_nulls():
    settings = {"components": 9, "sample_positions": 700, "seed": 5}
    full = load(sae={"grid": GRID, "layer_norm": True}, baselines=ALL, baseline_settings=settings)
    words = configuration.baseline_options(full, "ica")
    assert [words_after(words, f"--{key}") for key in ("kind", "components", "sample-positions", "seed")] == [
        *("ica", "9", "700", "5"),
    ]
    assert not {"--k", "--layer-norm"} & set(words)
    words = configuration.baseline_options(full, "random-x4-k40-s3")
    assert [words_after(words, f"--{key}") for key in ("kind", "k", "seed")] == ["random", "40", "3"]
    assert "--layer-norm" in words
    assert "--components" not in words
    assert words_after(words, "--device") == "cpu"
    known = {name: configuration.baseline_options(full, name) for name in ("raw", "pca", "ica")}
    used = {"components": {"pca", "ica"}, "sample-positions": {"pca", "ica"}, "seed": {"ica"}}
    for key, users in used.items():
        assert {name for name, words in known.items() if f"--{key}" in words} == users
    words = configuration.run_options(full, "frozen-relu-x4-lr0.001-s3")
    assert (words_after(words, "--kind"), words_after(words, "--role")) == ("relu", "frozen")
    assert "--frozen-decoder" in words
    assert "--data" not in words
    words = configuration.run_options(full, "permuted-x4-k36-lr0.001-s3")
    assert words_after(words, "--role") == "permuted"
    assert not {"--frozen-decoder", "--no-frozen-decoder"} & set(words)
    assert "--role" not in configuration.run_options(full, "topk-x4-k36-lr0.001-s3")


def test_only_runs_on_the_given_store_are_trained_together():
    full = load(sae={"grid": GRID, "train_together": True}, baselines=ALL)
    words = configuration.together_options(full)
    names = [words[i + 1] for i, word in enumerate(words) if word == "--dictionary"]
    assert names == configuration.joint_runs(full)
    assert {name.split("-")[0] for name in names} == {"topk", "relu"}, "another baseline would retrain them"
    assert "frozen_decoder=true" not in words
    assert len(configuration.trained_runs(full)) == len(names) + 3 + 6


@pytest.mark.parametrize(
    ("select", "seqlets", "least"),
    [({}, {}, "32"), ({"min_nonzero": 1}, {"per_node": 1}, "2"), ({}, {"per_node": 5000}, "157")],
)
def test_a_permuted_store_has_the_sequences_that_nodes_need(select, seqlets, least):
    full = load(select=select, seqlets=seqlets, baselines=["permuted"])
    words = configuration.permuting_options(full, "validation")
    assert words_after(words, "--least-sequences") == least
    assert words_after(words, "--positions") == "2000000"


@pytest.mark.parametrize(
    ("sae", "positions"),
    [({"epochs": 1}, 20_000_000), ({"epochs": 3, "max_positions": 10_000_000}, 3_333_334), ({}, 2_000_000)],
)
def test_a_permuted_sae_trains_on_as_many_positions_as_the_sae(sae, positions):
    full = load(sae=sae, baselines=["permuted"])
    assert words_after(configuration.permuting_options(full, "train"), "--positions") == str(positions)
    assert words_after(configuration.permuting_options(full, "encode"), "--positions") == "2000000"
    recipe = recipe_of("default", sae)
    given, permuted = (Schedule(recipe, rows).positions for rows in (10**9, positions))
    assert permuted >= given


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"baselines": ["random_model"], "activations": {"train": "a", "validation": "b"}},
            r"random_model needs activations of the model with random weights.*take random_model out",
        ),
        (
            {"baselines": ["pca"], "baseline_settings": {"components": 737}},
            "737 components.*at most 736 channels",
        ),
        (
            {"baselines": ["ica"], "baseline_settings": {"sample_positions": 700}},
            "736 components.*700 sampled",
        ),
        ({"baselines": ["noise"]}, r"baselines\.0: 'noise' is not one of"),
        ({"baselines": ["raw", "raw"]}, "non-unique"),
        ({"activations": {**STORES, "random_model": {"train": "c"}}}, "'validation' is a required property"),
    ],
)
def test_baselines_that_cannot_be_made_are_refused_before_anything_runs(changes, message):
    with pytest.raises(ConfigError, match=f"(?s){message}"):
        load(**changes)


def test_components_matter_only_where_they_are_used():
    load(baselines=["raw", "random"], baseline_settings={"components": 737, "sample_positions": 5})
    load(activations={"train": "a", "validation": "b"}, baselines=["raw"])


def test_the_demos_random_model_must_be_simulated():
    made = {split: f"results/world/activations/random_model/{split}" for split in ("train", "validation")}
    full = load(
        activations={"train": "results/world/a", "validation": "results/world/b", "random_model": made},
        baselines=["random_model"],
        genome="results/world/g.fa",
        synthetic={"motif_ids": ["MA0062.4"], "random_model": False},
    )
    with pytest.raises(ConfigError, match=r"random_model\.train: .* needs synthetic\.random_model: true"):
        configuration.check_inputs(full, "results/world")
    full["synthetic"]["random_model"] = True
    with pytest.raises(ConfigError) as caught:  # of the database alone
        configuration.check_inputs(full, "results/world")
    assert "1 raw input(s) are not there" in str(caught.value)


def test_missing_stores_of_the_random_model_are_named():
    with pytest.raises(ConfigError) as caught:
        configuration.check_inputs(load(baselines=["random_model"]))
    assert "activations.random_model.train: no such folder: c" in str(caught.value)
    assert "activations.random_model.validation: no such folder: d" in str(caught.value)
    with pytest.raises(ConfigError) as caught:
        configuration.check_inputs(load(baselines=["raw"]))
    assert "random_model" not in str(caught.value)


def test_siblings_differ_in_the_seed_alone():
    runs = configuration.runs(load(sae={"grid": {**GRID, "kind": ["topk"]}}, baselines=["frozen"]))
    siblings = configuration.siblings_of(runs)
    assert siblings["topk-x4-k36-lr0.001-s3"] == ["topk-x4-k36-lr0.001-s4"]
    assert siblings["topk-x4-k40-lr0.001-s4"] == ["topk-x4-k40-lr0.001-s3"]
    assert siblings["frozen-x4-k36-lr0.001-s3"] == []
    assert list(siblings) == list(runs)
