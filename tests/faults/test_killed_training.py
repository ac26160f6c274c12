"""kill -9 and SIGTERM: the same command again ends in the bytes of a run that nothing disturbed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
import torch
from helpers_training import SCRIPTS, contents, options

from biosae.trainer import Trainer

# train_sae.py in a process that ends itself with a signal before it takes a given step
DYING = """
import os, runpy, sys
sys.path.insert(0, {scripts!r})
from biosae.trainer import Trainer
original = Trainer.train_step
def train_step(self, batch):
    if self.step == {step}:
        os.kill(os.getpid(), {signal})
    original(self, batch)
Trainer.train_step = train_step
sys.argv[0] = "train_sae.py"
runpy.run_path({scripts!r} + "/train_sae.py", run_name="__main__")
"""
ALL_STATES = ("--checkpoint-seconds", "1e-9")


def dying(words: list[str], step: int) -> subprocess.CompletedProcess:
    code = DYING.format(scripts=str(SCRIPTS), step=step, signal=int(signal.SIGKILL))
    return subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, timeout=120, check=False
    )


def test_killed_at_several_steps_it_ends_in_the_same_bytes(folder, undisturbed, train):
    run = folder / "killed"
    for step in (1, 33, 300):  # 33 steps an epoch
        died = dying(options(folder, "killed", *ALL_STATES), step)
        assert died.returncode == -signal.SIGKILL, died.stderr
        assert torch.load(run / "state.pt", weights_only=True)["step"] == step
        assert not (run / "checkpoint").exists()
        assert (run / ".lock").read_text().startswith("process ")  # a file without a lock
    code, text = train(folder, "killed", *ALL_STATES)
    assert code == 0, text
    assert "killed: resuming at step 300 of 472" in text
    assert contents(run) == undisturbed


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_polite_signal_saves_and_says_so(folder, undisturbed, train, monkeypatch, number):
    run, original = folder / number.name, Trainer.train_step

    def signalled(self, batch):
        if self.step == 100:
            os.kill(os.getpid(), number)
        original(self, batch)

    before = signal.getsignal(number)
    monkeypatch.setattr(Trainer, "train_step", signalled)
    code, text = train(folder, number.name)
    assert code == 2
    assert f"error: Training was asked to stop ({number.name}). Where: step 101 of 472." in text
    assert "give the same command again" in text
    assert signal.getsignal(number) is before
    assert sorted(contents(run)) == ["state.pt"]
    monkeypatch.setattr(Trainer, "train_step", original)
    code, text = train(folder, number.name)
    assert code == 0
    assert "resuming at step 101 of 472" in text
    assert contents(run) == undisturbed
