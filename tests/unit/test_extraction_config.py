"""The config sections model and extract: stores that are made, what is refused, options of programs."""

import argparse
from pathlib import Path

import pytest

from biosae import config as configuration
from biosae.errors import ConfigError
from biosae.extraction_config import count_intervals, file_numbers
from biosae.hosts.options import add_host_options, host_spec

SCHEMA = Path(__file__).resolve().parents[2] / "workflow" / "schemas" / "config.schema.yaml"


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Loads a small config with both sections, changed; BED files of three and one intervals lie there."""
    monkeypatch.chdir(tmp_path)
    Path("t.bed").write_text("#x\nchr1\t0\t8\nchr1\t8\t16\n\nchr1\t16\t24\n")
    Path("v.bed").write_text("chr2\t0\t8\n")

    def loader(model=None, extract=None, without=(), **changes):
        smallest = {
            "layer": {"name": "conv1d_2"},
            "genome": "g.fa",
            "matching": {"database": "d.meme"},
            "model": {"weights": "random:0", **(model or {})},
            "extract": {"train": "t.bed", "validation": "v.bed", **(extract or {})},
        }
        full = {key: value for key, value in {**smallest, **changes}.items() if key not in without}
        return configuration.load_config(full, SCHEMA)

    return loader


def test_stores_are_named_by_the_workflow(load):
    full = load()
    assert full["activations"]["train"] == "results/conv1d_2/activations/train"
    assert full["activations"]["validation"] == "results/conv1d_2/activations/validation"
    assert configuration.store_numbers(full) == {
        "results/conv1d_2/activations/train": range(1),
        "results/conv1d_2/activations/validation": range(1),
    }


def test_stores_lie_where_the_config_says(load):
    full = load(extract={"folder": "far/away/"}, results="out/")
    assert full["activations"]["train"] == "far/away/train"
    same = load(extract={"folder": "far/away"}, activations={"train": "far/away/train"})
    assert same["activations"]["train"] == "far/away/train"


def test_a_store_named_otherwise_is_refused(load):
    with pytest.raises(ConfigError, match="names other folders"):
        load(activations={"train": "mine"})


def test_extracted_stores_need_not_be_there_and_their_intervals_must(load):
    with pytest.raises(ConfigError) as caught:
        configuration.check_inputs(load(extract={"validation": "gone.bed"}))
    message = str(caught.value)
    assert "extract.validation: no such file: gone.bed" in message
    assert "activations." not in message and "3 raw input(s)" in message  # and genome and database


def test_a_third_store_is_read_for_nodes(load):
    full = load(extract={"encode": "v.bed"})
    assert configuration.encoded_store(full) == "results/conv1d_2/activations/encode"
    assert list(configuration.made_stores(full)) == ["train", "validation", "encode"]
    with pytest.raises(ConfigError, match="names other folders"):
        load(extract={"encode": "v.bed"}, activations={"encode": "validation"})


def test_the_random_model_is_the_same_model_with_other_weights(load):
    full = load(extract={"random_model_seed": 7}, baselines=["random_model"])
    made = configuration.made_stores(full)
    assert made["random_model/train"].weights == "random:7"
    assert full["activations"]["random_model"]["train"] == made["random_model/train"].folder
    assert made["random_model/train"].intervals == "t.bed" and made["train"].weights == "random:0"


def test_there_are_no_more_files_than_intervals(load):
    full = load(extract={"files": 2})
    made = configuration.made_stores(full)
    assert file_numbers(full, made["train"]) == range(2)
    assert file_numbers(full, made["validation"]) == range(1)
    assert count_intervals("t.bed") == 3


@pytest.mark.parametrize(("keep", "pad"), [("core", 0), ("window", 64)])
def test_the_padding_of_the_store_follows(load, keep, pad):
    full = load(extract={"keep": keep, "context_bp": 64})
    assert full["activations"]["pad_bp"] == pad
    with pytest.raises(ConfigError, match=r"activations\.pad_bp is not what the extraction keeps"):
        load(extract={"keep": keep, "context_bp": 64}, activations={"pad_bp": 128})


@pytest.mark.parametrize("weights", ["johahi/borzoi-replicate-0", "gone.safetensors", "random:", "random:x"])
def test_weights_are_checked_while_the_workflow_is_parsed(load, weights):
    with pytest.raises(ConfigError, match=r"model\.weights"):
        load(model={"weights": weights})


def test_weights_are_an_input_where_they_are_a_file(load):
    Path("w").mkdir()
    Path("w/model.safetensors").touch()
    assert configuration.weights_path(load(model={"weights": "w"})) == ["w/model.safetensors"]
    assert configuration.weights_path(load()) == []
    assert configuration.weights_path(load(model={"weights": "w"}), "random:1") == []


def test_extract_needs_a_model_and_no_demo(load):
    with pytest.raises(ConfigError, match="needs a section model"):
        load(without=("model",))
    with pytest.raises(ConfigError, match="no section synthetic"):
        load(synthetic={"motif_ids": ["MA0062.4"]})


def test_without_extract_the_activations_are_required(load):
    with pytest.raises(ConfigError, match="'train' is a required property"):
        load(without=("extract",))
    assert (
        configuration.made_stores(load(without=("extract",), activations={"train": "a", "validation": "b"}))
        == {}
    )


@pytest.mark.parametrize("strand", ["reverse", "both"])
def test_nodes_are_not_read_from_reverse_strands(load, strand):
    with pytest.raises(ConfigError, match="seqlets are cut from the forward one"):
        load(extract={"strand": strand})
    load(extract={"strand": strand}, activations={"encode": "validation"})
    full = load(extract={"strand": strand, "encode": "v.bed"})
    made = configuration.made_stores(full)
    assert strand in configuration.plan_options(full, made["train"])
    for name in ("validation", "encode"):
        assert "--strand" not in configuration.plan_options(full, made[name])
    with pytest.raises(ConfigError, match="seqlets are cut"):
        load(extract={"strand": strand, "encode": "v.bed", "random_model_seed": 1})


def test_a_subsample_is_of_cores(load):
    with pytest.raises(ConfigError, match="subsample"):
        load(extract={"subsample_share": 0.1, "keep": "window", "context_bp": 8})
    full = load(extract={"subsample_share": 0.1})
    made = configuration.made_stores(full)
    assert "--subsample-share" in configuration.plan_options(full, made["train"])
    assert "--subsample-share" not in configuration.plan_options(full, made["validation"])


@pytest.mark.parametrize("factory", ["hub/model", "module", "a:b:c", "borzoi "])
def test_a_factory_is_borzoi_or_a_function(load, factory):
    with pytest.raises(ConfigError, match=r"model\.factory"):
        load(model={"factory": factory})


def test_faults_of_types_are_left_to_the_schema():
    for broken in ({"extract": 3}, {"activations": "x"}, {"layer": 3}, {"results": 4}):
        with pytest.raises(ConfigError, match="fault"):
            configuration.load_config({"extract": {"train": "t.bed"}, "layer": {}, **broken}, SCHEMA)


def test_the_programs_read_the_options(load):
    model = {"arguments": {"depth": 0, "dim": 32}, "bin_bp": 32, "module": "a.b", "tracks_first": False}
    full = load(model=model)
    parser = argparse.ArgumentParser()
    add_host_options(parser)
    words = configuration.model_options(full, "random:9") + configuration.layer_options(full)
    spec = host_spec(parser.parse_args(words))
    assert (spec.weights, spec.arguments, spec.bin_bp) == ("random:9", {"depth": 0, "dim": 32}, 32)
    assert (spec.module, spec.tracks_first, spec.layer.name) == ("a.b", False, "conv1d_2")
