"""A training job that is killed goes on from its last state when the workflow is started again."""

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import helpers
import pytest
import yaml

pytestmark = pytest.mark.workflow

RUN = "results/tiny/topk-x4-k4-lr0.004-s0"
TARGET = f"{RUN}/checkpoint/model.safetensors"
WAIT_SECONDS = 120


def longer(config: dict) -> dict:
    """The tiny config with one longer run that saves its state all the time."""
    sae = {**config["sae"], "grid": {**config["sae"]["grid"], "learning_rate": [0.004]}}
    return {**config, "sae": {**sae, "max_positions": 600_000, "epochs": 99, "checkpoint_seconds": 0.01}}


def kill_training(folder: Path) -> None:
    """SIGKILL the training process of ``folder`` once it has saved a state."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not (folder / RUN / "state.pt").exists():
        if time.monotonic() > deadline:
            raise TimeoutError("training saved no state")
        time.sleep(0.02)
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
            here = (entry / "cwd").resolve() == folder.resolve()
        except OSError:
            continue  # the process has ended meanwhile, or is not ours to read
        if here and words[0].endswith(b"python") and any(w.endswith(b"train_sae.py") for w in words):
            subprocess.run(["kill", f"-{signal.SIGKILL.value}", entry.name], check=True)


def test_a_killed_training_ends_in_the_same_bytes(copy, tmp_path):
    folder, config = copy
    config = longer(config)
    undisturbed = tmp_path / "undisturbed"
    shutil.copytree(folder, undisturbed, symlinks=True, copy_function=shutil.copy2)
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    command = [sys.executable, "-m", "snakemake", "--profile", "profiles/local", TARGET]
    with subprocess.Popen(
        [*command, "--configfile", "config.yaml"],
        cwd=folder,
        env=helpers.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as driver:
        kill_training(folder)
        assert driver.wait(WAIT_SECONDS) != 0
    assert not (folder / TARGET).exists()
    again = helpers.snakemake(folder, config, TARGET)
    assert again.returncode == 0, again.stderr
    log = (folder / "results/logs/tiny" / Path(RUN).name / "train_sae.log").read_text()
    assert "resuming at step" in log
    assert not (folder / RUN / "state.pt").exists()
    assert helpers.snakemake(undisturbed, config, TARGET).returncode == 0
    for name in ("checkpoint/model.safetensors", "training_curve.tsv", "evaluation.json"):
        assert (folder / RUN / name).read_bytes() == (undisturbed / RUN / name).read_bytes(), name
