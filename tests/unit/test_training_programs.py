"""train_sae.py and build_baseline.py: bad options, several runs at once, and the files of a run."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from helpers_training import LAYER, contents, options, run_here, write_inputs

from biosae.artefacts import read_table

FILES = [
    "channel_fvu.tsv",
    "channel_fvu.tsv.json",
    "checkpoint/config.json",
    "checkpoint/model.safetensors",
    "evaluation.json",
    "training_curve.tsv",
    "training_curve.tsv.json",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return write_inputs(tmp_path_factory.mktemp("program"))


def test_files_of_a_run_and_of_two_trained_at_once(folder, monkeypatch, capsys):
    assert run_here("train_sae.py", options(folder, "alone"), monkeypatch, capsys)[0] == 0
    alone = contents(folder / "alone")
    assert sorted(alone) == FILES
    curve = read_table(folder / "alone" / "training_curve.tsv", "training_curve")
    assert curve["step"].is_monotonic_increasing
    assert len(curve) == 5
    words = [
        "--dictionary",
        "first",
        "k=2",
        "seed=0",
        "--dictionary",
        "second",
        "kind=topk",
        "expansion=3",
        "k=3",
        "seed=0",
    ]
    code, text = run_here("train_sae.py", options(folder, "both", *words), monkeypatch, capsys)
    assert code == 0, text
    both = contents(folder / "both")
    assert sorted(both) == [f"{name}/{file}" for name in ("first", "second") for file in FILES]
    assert {name: both[f"first/{name}"] for name in FILES} == alone
    assert b'"n_nodes": 24' in both["second/checkpoint/config.json"]


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--k", "40"], "1 to 16"),
        (["--channels", "9"], "number of channels is not that of the layer"),
        (["--learning-rate", "-1"], "training recipe holds values that make no sense"),
        (["--evaluation-positions", "0"], "--evaluation-positions must be positive"),
        (["--device", "cuda"], "No CUDA device"),
        (
            ["--dictionary", "a", "k=2", "--dictionary", "a"],
            "name of a folder, each once. Got: a",
        ),
        (["--dictionary", "../a"], "name of a folder, each once"),
        (["--dictionary", "a", "k2"], "run a. Got: 'k2' (no =)"),
        (["--dictionary", "a", "kay=2"], "Got: 'kay=2' (no such key)"),
        (["--dictionary", "a", "k=two"], "Got: 'k=two' (could not convert"),
        (
            ["--dictionary", "a", "--dictionary", "b", "batch_rows=32"],
            "share one stream of positions. Got: {'batch_rows'",
        ),
        (["--dictionary", "a", "--dictionary", "b", "seed=1"], "one --shuffle-seed for all"),
        (["--kind", "topkk"], "topkk"),
    ],
)
def test_bad_options_are_named(folder, extra, message, monkeypatch, capsys):
    if extra[0] == "--device" and torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    code, text = run_here("train_sae.py", options(folder, "bad", *extra), monkeypatch, capsys)
    assert code == 2
    assert message in text
    assert not (folder / "bad").exists()


def test_raw_baseline_program(folder, monkeypatch, capsys):
    words = ["--kind", "raw", *LAYER, "--validation", str(folder / "va'lid"), "--output", str(folder / "raw")]
    words += ["--statistics", str(folder / "statistics.h5")]
    assert run_here("build_baseline.py", words, monkeypatch, capsys)[0] == 0
    curve = read_table(folder / "raw" / "training_curve.tsv", "training_curve")
    assert curve["step"].tolist() == [0]
    assert curve["validation_fvu"].tolist() == [0]
    assert "fvu is 0 by construction" in (folder / "raw" / "evaluation.json").read_text()
