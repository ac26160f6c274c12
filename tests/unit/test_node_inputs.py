"""What the config names for the node table is there before anything runs."""

from __future__ import annotations

import pytest

from biosae.errors import ConfigError
from biosae.node_inputs import OTHER_RUN_FILES, check_node_inputs, other_runs


def config(path=None, classes=None, runs=()) -> dict:
    return {"repeats": {"path": path, "classes": classes}, "stability": {"other_runs": list(runs)}}


def test_every_missing_file_is_named_at_once(tmp_path):
    whole = tmp_path / "whole"
    for name in OTHER_RUN_FILES:
        (whole / name).parent.mkdir(parents=True, exist_ok=True)
        (whole / name).touch()
    check_node_inputs(config(), [])
    check_node_inputs(config(runs=[f"{whole}/"]), [])
    with pytest.raises(ConfigError) as error:
        check_node_inputs(config("no.bed", runs=[str(whole), "gone"]), [])
    text = str(error.value)
    assert "4 input(s)" in text
    assert "repeats.path: no such file: no.bed" in text
    assert "stability.other_runs.1: no such file: gone/seqlets/manifest.tsv" in text
    assert str(whole) not in text


def test_what_the_workflow_makes_is_not_missing():
    made = config("out/world/a.bed", ["repeat"], ["out/layer/raw"])
    check_node_inputs(made, ["out/world", "out/layer"])
    with pytest.raises(ConfigError, match=r"out/layer/raw/top_activations"):
        check_node_inputs(made, ["out/world"])


def test_classes_of_no_annotation_are_refused():
    with pytest.raises(ConfigError, match=r"repeats\.classes chooses classes.*\['SINE'\]"):
        check_node_inputs(config(classes=["SINE"]), [])


def test_a_run_is_not_compared_with_itself():
    both = config(runs=["out/layer/a/", "out/layer/b"])
    assert other_runs(both, "out/layer/a") == ["out/layer/b"]
    assert other_runs(both, "out/layer/c") == ["out/layer/a", "out/layer/b"]
