"""train_sae.py and build_baseline.py: a real kill -9, bad options, and the files of a run."""

from __future__ import annotations

import os
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from helpers_store import write_store
from test_training import planted

from biosae.activations import ActivationStore
from biosae.artefacts import provenance, read_table
from biosae.statistics import compute_statistics, write_statistics

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
LAYER = ["--layer", "toy", "--channels", "8", "--stride-bp", "4", "--left-bp", "19", "--right-bp", "23"]


def command(folder: Path, output: str, *extra: str) -> list[str]:
    words = [sys.executable, str(SCRIPTS / "train_sae.py"), "--output", str(folder / output), *LAYER]
    words += ["--activations", str(folder / "tr ain"), "--validation", str(folder / "va'lid")]
    words += ["--statistics", str(folder / "statistics.h5"), "--kind", "topk", "--expansion", "2", "--k", "2"]
    words += ["--learning-rate", "5e-3", "--seed", "0", "--batch-rows", "64", "--max-positions", "30000"]
    return [*words, "--epochs", "100", "--evaluations", "4", "--device", "cpu", *extra]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("program")
    write_store(folder / "tr ain", [planted(4, 0)[1], planted(3, 1)[1]])
    write_store(folder / "va'lid", [planted(2, 2)[1]])
    stats = compute_statistics(ActivationStore.open(folder / "tr ain"), [0.5])
    write_statistics(stats, folder / "statistics.h5", provenance("test", {}))
    return folder


def test_a_killed_program_continues_to_the_same_bytes(folder):
    subprocess.run(command(folder, "whole"), check=True, capture_output=True)
    process = subprocess.Popen(
        command(folder, "killed", "--checkpoint-seconds", "0"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    state = folder / "killed" / "state.pt"
    deadline = time.monotonic() + 60
    while not state.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    time.sleep(0.1)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert 0 < torch.load(state, weights_only=True)["step"] < 450
    assert not (folder / "killed" / "checkpoint").exists()
    second = subprocess.run(command(folder, "killed"), check=True, capture_output=True, text=True)
    assert "resuming at step" in second.stderr
    files = {p.relative_to(folder / "whole") for p in (folder / "whole").rglob("*") if p.is_file()}
    assert {path.name for path in files} == {
        "model.safetensors",
        "config.json",
        "training_curve.tsv",
        "training_curve.tsv.json",
        "evaluation.json",
    }
    assert files == {p.relative_to(folder / "killed") for p in (folder / "killed").rglob("*") if p.is_file()}
    for path in files:
        assert (folder / "whole" / path).read_bytes() == (folder / "killed" / path).read_bytes(), path
    curve = read_table(folder / "whole" / "training_curve.tsv", "training_curve")
    assert curve["step"].is_monotonic_increasing
    assert len(curve) == 5


def run_here(program: str, words: list[str], monkeypatch, capsys) -> tuple[int, str]:
    """Run a program in this process, for a new one takes seconds to start: (exit code, standard error)."""
    monkeypatch.setattr(sys, "argv", [program, *words])
    try:
        runpy.run_path(str(SCRIPTS / program), run_name="__main__")
    except SystemExit as error:
        return int(error.code or 0), capsys.readouterr().err
    return 0, capsys.readouterr().err


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--k", "40"], "1 to 16"),
        (["--channels", "9"], "number of channels is not that of the layer"),
        (["--learning-rate", "-1"], "training recipe holds values that make no sense"),
        (["--evaluation-positions", "0"], "--evaluation-positions must be positive"),
        (["--device", "cuda"], "No CUDA device"),
    ],
)
def test_bad_options_are_named(folder, extra, message, monkeypatch, capsys):
    if extra[0] == "--device" and torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    code, text = run_here("train_sae.py", command(folder, "bad", *extra)[2:], monkeypatch, capsys)
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
