"""The configuration: all faults at once, defaults, runs, options, raw inputs."""

import argparse
from dataclasses import fields
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from biosae import config as configuration
from biosae.errors import ConfigError
from biosae.options import add_recipe, add_runs, given_runs
from biosae.recipes import Recipe

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = ROOT / "workflow" / "schemas" / "config.schema.yaml"
SMALLEST = {
    "layer": {"name": "conv1d_2"},
    "activations": {"train": "a", "validation": "b"},
    "genome": "g.fa",
    "matching": {"database": "d.meme"},
}


def load(**changes):
    return configuration.load_config({**SMALLEST, **changes}, SCHEMA)


def test_defaults_are_filled():
    full = load()
    assert full["select"] == {
        "min_nonzero": 1000,
        "min_above_half": 200,
        "above_half_of": "mean",
        "max_nodes": None,
    }
    assert full["sae"]["grid"]["seed"] == [0]


def test_all_faults_are_reported_at_once_with_their_keys():
    with pytest.raises(ConfigError) as caught:
        load(genome=3, selct={}, motifs={"engine": "memo", "chunks": 0})
    message = str(caught.value)
    assert "4 fault(s)" in message
    for part in (
        "genome: 3 is not of type",
        "'selct' was unexpected",
        "motifs.engine: 'memo'",
        "motifs.chunks: 0",
    ):
        assert part in message


def test_a_number_that_yaml_reads_as_text_is_a_number():
    assert yaml.safe_load("1e-3") == "1e-3"  # the trap
    full = load(sae={"grid": {"learning_rate": ["1e-3"]}})
    assert full["sae"]["grid"]["learning_rate"] == [0.001]


def test_runs_of_a_grid_are_named_by_what_distinguishes_them():
    full = load(sae={"grid": {"expansion": [4, 8], "k": [36], "learning_rate": [1e-5], "seed": [0, 1]}})
    assert list(configuration.runs(full)) == [
        "topk-x4-k36-lr1e-05-s0",
        "topk-x4-k36-lr1e-05-s1",
        "topk-x8-k36-lr1e-05-s0",
        "topk-x8-k36-lr1e-05-s1",
        "raw",
        "pca",
        "random-x4-k36-s0",
        "random-x8-k36-s0",
    ]


def test_kind_relu_has_no_k_and_is_there_once():
    full = load(
        sae={"grid": {"kind": ["topk", "relu"], "expansion": [4], "k": [36, 64], "learning_rate": [1e-3]}},
        baselines=["raw"],
    )
    names = ["topk-x4-k36-lr0.001-s0", "topk-x4-k64-lr0.001-s0", "relu-x4-lr0.001-s0", "raw"]
    assert list(configuration.runs(full)) == names
    assert "--k" not in configuration.run_options(full, names[2])


@pytest.mark.parametrize(
    ("preset", "name"), [("default", "topk-x4-k36-lr0.002-s0"), ("published", "topk-x4-k36-lr1e-05-s0")]
)
def test_a_preset_fills_what_the_grid_leaves_open(preset, name):
    assert list(configuration.runs(load(sae={"preset": preset}, baselines=["raw"]))) == [name, "raw"]


@pytest.mark.parametrize(
    ("k", "k_of", "count"), [(36, "absolute", 36), (0.05, "input_channels", 36), (0.0125, "hidden_units", 36)]
)
def test_k_is_resolved_as_its_key_says(k, k_of, count):
    full = load(sae={"grid": {"k": [k]}, "k_of": k_of})
    assert next(iter(configuration.runs(full).values()))["k"] == count


def test_a_fraction_taken_as_a_count_is_refused():
    with pytest.raises(ConfigError, match="gives no usable number of active nodes"):
        load(sae={"grid": {"k": [0.05]}})


def test_an_unknown_layer_needs_its_geometry():
    with pytest.raises(ConfigError, match="geometry of layer 'mine' is not known"):
        load(layer={"name": "mine"})
    own = {"name": "mine", "channels": 64, "stride_bp": 4, "left_bp": 5, "right_bp": 9}
    assert configuration.layer_of(load(layer=own)).window_bp == 14


@pytest.mark.parametrize("name", ["world", "logs", "../up", ""])
def test_a_layer_cannot_take_a_folder_that_is_used_otherwise(name):
    own = {"name": name, "channels": 16, "stride_bp": 4, "left_bp": 5, "right_bp": 9}
    with pytest.raises(ConfigError, match=r"layer\.name"):
        load(layer=own, sae={"grid": {"k": [3]}})


def test_a_geometry_that_contradicts_a_known_layer_is_refused():
    with pytest.raises(ConfigError, match="contradicts the measured one"):
        load(layer={"name": "conv1d_2", "left_bp": 9})


def test_all_that_a_recipe_holds_can_be_configured():
    sae = yaml.safe_load(SCHEMA.read_text())["properties"]["sae"]["properties"]
    grid = sae["grid"]["properties"]
    # a frozen decoder is not a way to make an SAE, but a baseline
    assert {rule.name for rule in fields(Recipe)} - {"frozen_decoder"} <= {*sae, *grid}
    assert tuple(grid["kind"]["items"]["enum"]) == configuration.TRAINED_KINDS


def words_after(words: list[str], flag: str) -> list[str]:
    """The words that follow ``flag``, up to the next option."""
    tail = words[words.index(flag) + 1 :]
    return tail[: next((i for i, word in enumerate(tail) if word.startswith("--")), len(tail))]


def test_options_of_runs_one_by_one_and_together():
    sae = {"grid": {"expansion": [4], "k": [36], "seed": [7, 8], "kind": ["topk", "batchtopk"]}, "epochs": 3}
    full = load(sae=sae)
    one = configuration.run_options(full, "batchtopk-x4-k36-lr0.002-s8")
    assert [words_after(one, f"--{key}") for key in ("kind", "seed", "epochs")] == [
        ["batchtopk"],
        ["8"],
        ["3"],
    ]
    assert not {"--shuffle-seed", "--gpus", "--train-together", "--no-train-together"} & set(one)
    words = configuration.together_options(load(sae={**sae, "train_together": True}))
    assert words_after(words, "--shuffle-seed") == ["7"]
    assert words.count("--dictionary") == 4
    name = "topk-x4-k36-lr0.002-s7"
    assert words_after(words, "--dictionary") == [
        name,
        "kind=topk",
        "expansion=4",
        "k=36",
        "learning_rate=0.002",
        "seed=7",
    ]


def test_options_of_runs_together_are_read_back():
    grid = {"expansion": [4, 8], "k": [36], "seed": [7, 8]}
    baselines = ["pca", "random", "frozen", "permuted"]
    full = load(sae={"train_together": True, "grid": grid}, baselines=baselines)
    parser = argparse.ArgumentParser()
    parser.add_argument("--kind", default="topk")
    parser.add_argument("--output", type=Path, default=Path("results/layer"))
    for name in ("device", "evaluation-positions", "checkpoint-seconds"):
        parser.add_argument(f"--{name}")
    add_recipe(parser, leave_out=())
    add_runs(parser)
    read = given_runs(parser.parse_args(configuration.together_options(full)))
    names = [name for name, run in configuration.runs(full).items() if run["role"] == "sae"]
    assert [folder for _, _, folder, _ in read] == [Path("results/layer") / name for name in names]
    found = [(kind, r.expansion, r.k, r.k_of, r.seed, r.shuffle_seed) for kind, r, _, _ in read]
    shapes = [(x, seed) for x in (4, 8) for seed in (7, 8)]
    assert found == [("topk", x, 36, "absolute", seed, 7) for x, seed in shapes]
    assert [(r.frozen_decoder, role) for _, r, _, role in read] == [(False, "sae")] * 4
    read = given_runs(parser.parse_args(["--dictionary", "f", "k=3", "role=frozen", "frozen_decoder=true"]))
    assert [(r.frozen_decoder, role) for _, r, _, role in read] == [(True, "frozen")]


@pytest.mark.parametrize(
    ("sae", "seed"),
    [
        ({"grid": {"seed": [5]}}, None),  # with one seed a run is the one that it is alone
        ({"grid": {"seed": [5, 6]}, "shuffle_seed": 1}, ["1"]),
    ],
)
def test_the_shared_order_of_positions(sae, seed):
    words = configuration.together_options(load(sae={**sae, "train_together": True}))
    assert (words_after(words, "--shuffle-seed") if "--shuffle-seed" in words else None) == seed


@pytest.mark.parametrize(
    "sae, message",
    [
        ({"warmup_share": 0.7, "decay_share": 0.7}, "values that make no sense"),
        ({"device": "cpu", "gpus": 2}, "several GPUs, but sae.device is cpu"),
        ({"grid": {"k": [36, 0.05]}, "k_of": "input_channels"}, "no usable number of active nodes"),
        ({"grid": {"k": [float("inf")]}}, "no usable number of active nodes"),
        ({"grid": {"learning_rate": [0.001, 0.0010000001]}}, "Two runs of the grid have one name"),
        ({"grid": {"k": [0.05, 0.0501]}, "k_of": "input_channels"}, "Two runs of the grid have one name"),
    ],
)
def test_contradictions_are_found_before_anything_runs(sae, message):
    with pytest.raises(ConfigError, match=message):
        load(sae=sae)


def test_a_folder_above_the_output_is_no_name_of_a_run():
    parser = argparse.ArgumentParser()
    parser.add_argument("--kind", default="topk")
    parser.add_argument("--output", type=Path, default=Path("out"))
    parser.add_argument("--seed", type=int, default=0)
    add_recipe(parser)
    add_runs(parser)
    with pytest.raises(ConfigError, match="needs the name of a folder"):
        given_runs(parser.parse_args(["--dictionary", "..", "k=2"]))


def test_several_gpus_need_a_launcher():
    assert configuration.launcher(load()) == ["python"]
    assert configuration.launcher(load(sae={"gpus": 4})) == [
        "torchrun",
        "--standalone",
        "--nproc-per-node",
        "4",
    ]
    with pytest.raises(ConfigError, match=r"sae\.gpus: 0"):
        load(sae={"gpus": 0})


def test_options():
    words = configuration.options(
        {"top_per_part": 8, "shuffle": False, "x": None, "q": [1, 2], "a": "-mod oops"}
    )
    assert words == ["--top-per-part", "8", "--no-shuffle", "--q", "1", "2", "--a=-mod oops"]


def test_every_key_of_the_schema_is_described_and_documented():
    documented = (ROOT / "config" / "README.md").read_text()

    def walk(schema, path):
        for name, rule in schema.get("properties", {}).items():
            assert rule.get("description"), f"{path}{name} has no description"
            named = f"`{name}`" in documented or f"`{path}{name}`" in documented
            assert named, f"config/README.md says nothing of {path}{name}"
            walk(rule, f"{path}{name}.")
            walk(rule.get("items", {}), f"{path}{name}[].")

    walk(yaml.safe_load(SCHEMA.read_text()), "")


@pytest.mark.parametrize("name", ["config.yaml", "demo.yaml", "borzoi_random.yaml"])
def test_the_configs_that_we_ship_fit_the_schema(name):
    Draft202012Validator.check_schema(yaml.safe_load(SCHEMA.read_text()))
    configuration.load_config(yaml.safe_load((ROOT / "config" / name).read_text()), SCHEMA)


def test_files_of_a_store_are_in_the_order_of_their_numbers(tmp_path):
    for number in (10, 2, 0):
        (tmp_path / f"activations_{number}.h5").touch()
    (tmp_path / "train_seqs.bed").touch()
    names = [Path(file).name for file in configuration.store_files(tmp_path)]
    assert names == ["activations_0.h5", "activations_2.h5", "activations_10.h5", "train_seqs.bed"]


def test_missing_raw_inputs_are_all_named(tmp_path):
    train = tmp_path / "train"
    train.mkdir()
    for number in (0, 2):
        (train / f"activations_{number}.h5").touch()
    (train / "train_seqs.bed").touch()
    full = load(activations={"train": str(train), "validation": str(tmp_path / "none")})
    with pytest.raises(ConfigError) as caught:
        configuration.check_inputs(full)
    message = str(caught.value)
    assert "activations_1.h5 is missing" in message
    assert "activations.validation: no such folder" in message
    assert "genome: no such file: g.fa" in message
    assert "matching.database: no such file: d.meme" in message
