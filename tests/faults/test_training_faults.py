"""Full disks, damaged files, NaN and a second process: nothing good is lost, and the message helps."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from helpers_training import SCRIPTS, contents, write_inputs

from biosae.checkpoint import save_checkpoint
from biosae.evaluation import evaluate
from biosae.trainer import Trainer

ALL_STATES = ("--checkpoint-seconds", "1e-9")


@contextmanager
def file_size_limit(n_bytes: int):
    """Writes beyond ``n_bytes`` fail in the kernel, half way through a file, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def step_of(run: Path) -> int:
    return torch.load(run / "state.pt", weights_only=True)["step"]


def test_a_full_disk_leaves_the_state_before_whole(folder, undisturbed, train, monkeypatch):
    original = Trainer.save

    def on_a_full_disk(self, path, identity):
        if self.step < 40:
            return original(self, path, identity)
        with file_size_limit(path.stat().st_size // 2):
            return original(self, path, identity)

    monkeypatch.setattr(Trainer, "save", on_a_full_disk)
    code, text = train(folder, "full", *ALL_STATES)
    assert code == 2
    message = text[text.index("error: ") :]
    assert "Cannot write a training state; the state before it is whole." in message
    assert f"Where: {folder / 'full' / 'state.pt'}." in message
    assert "File too large" in message
    assert "make space and give the same command again" in message
    assert sorted(contents(folder / "full")) == ["state.pt"]  # no temporary file, no lock
    assert step_of(folder / "full") == 39
    monkeypatch.setattr(Trainer, "save", original)
    assert train(folder, "full")[0] == 0
    assert contents(folder / "full") == undisturbed


def test_a_disk_that_is_full_at_the_end_loses_no_training(folder, undisturbed, train, monkeypatch):
    def on_a_full_disk(*arguments, **options):
        with file_size_limit(100):
            save_checkpoint(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr("biosae.runs.save_checkpoint", on_a_full_disk)
        code, text = train(folder, "end")
    assert code == 2
    assert "Cannot write the results of a run that is trained. Where:" in text
    assert "File too large" in text
    assert step_of(folder / "end") == 472
    assert train(folder, "end")[0] == 0
    assert contents(folder / "end") == undisturbed


@pytest.fixture
def own_inputs(tmp_path) -> Path:
    """Inputs that a test may damage; the same bytes as ``folder``'s."""
    return write_inputs(tmp_path)


def test_a_file_cut_short_meanwhile_is_named_and_no_step_is_lost(own_inputs, undisturbed, train, monkeypatch):
    path = own_inputs / "tr ain" / "activations_1.h5"
    whole = path.read_bytes()
    original = Trainer.train_step

    def cutting(self, batch):
        if self.step == 50 and path.stat().st_size == len(whole):
            os.truncate(path, 5000)
        original(self, batch)

    monkeypatch.setattr(Trainer, "train_step", cutting)
    code, text = train(own_inputs, "cut")
    assert code == 2
    message = text[text.index("error: ") :]
    assert "Cannot read an activation file" in message
    assert str(path) in message
    step = step_of(own_inputs / "cut")
    assert step > 50
    assert f"cut: state.pt holds step {step}; it goes on from there" in text
    path.write_bytes(whole)
    code, text = train(own_inputs, "cut")
    assert code == 0, text
    assert f"resuming at step {step} of 472" in text
    assert contents(own_inputs / "cut") == undisturbed


def test_a_validation_that_fails_loses_no_step_and_no_row(own_inputs, undisturbed, train, monkeypatch):
    path = own_inputs / "va'lid" / "activations_0.h5"
    whole = path.read_bytes()
    calls = []

    def failing(*arguments, **words):
        calls.append(1)
        if len(calls) == 3:  # the start is the first
            os.truncate(path, 3000)
            arguments[1].close()
        return evaluate(*arguments, **words)

    monkeypatch.setattr("biosae.runs.evaluate", failing)
    code, text = train(own_inputs, "unread")
    assert code == 2
    assert str(path) in text[text.index("error: ") :]
    path.write_bytes(whole)
    assert step_of(own_inputs / "unread") == 236  # an evaluation was due there
    assert train(own_inputs, "unread")[0] == 0
    assert contents(own_inputs / "unread") == undisturbed


@pytest.mark.parametrize("every_seconds", ["1e-9", "600"])
def test_nan_stops_at_once_and_is_never_saved(folder, train, monkeypatch, every_seconds):
    output = f"nan{every_seconds}"
    original = Trainer._update

    def spoil(self):
        original(self)
        if self.step == 60:  # the 61st step spoils the weights
            with torch.no_grad():
                self.model.pre_bias[0] = float("nan")

    monkeypatch.setattr(Trainer, "_update", spoil)
    run = folder / output
    code, text = train(folder, output, "--checkpoint-seconds", every_seconds)
    assert code == 2
    message = text[text.index("error: ") :]
    assert "not finite; training stops, and the last good state is kept" in message
    assert f"{output}, step {61 if every_seconds == '1e-9' else 62} of 472, epoch 1" in message
    assert "lower learning_rate" in message
    if every_seconds == "600":
        assert contents(run) == {}
        return
    state = torch.load(run / "state.pt", weights_only=True)
    assert state["step"] == 60
    assert all(bool(value.isfinite().all()) for value in state["model"].values())


HOLDER = """
import sys, time
from biosae.locking import locked
with locked(sys.argv[1]):
    print(flush=True)
    time.sleep(60)
"""


def test_a_second_process_is_refused_and_the_first_is_named(folder, train):
    run, environment = folder / "taken", {**os.environ, "PYTHONPATH": str(SCRIPTS)}
    command = [sys.executable, "-c", HOLDER, str(run)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as first:
        first.stdout.readline()
        code, text = train(folder, "taken")
        assert code == 2
        assert f"error: Another process is writing this folder. Where: {run}." in text
        assert f"Got: process {first.pid} on " in text
        assert list(contents(run)) == [".lock"]
        first.kill()
    assert train(folder, "taken", "--max-positions", "128")[0] == 0  # a dead process holds nothing
    assert not (run / ".lock").exists()
