"""Two processes on the CPU (torchrun, gloo) train what one process trains; a fault on one ends both."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from helpers_training import SCRIPTS, contents, options, train_quietly, write_inputs
from safetensors.torch import load_file

from biosae.artefacts import read_table
from biosae.distributed import ALONE, Bucket

TOGETHER = ["--dictionary", "one", "auxk_coefficient=0.1", "dead_after_positions=500"]
TOGETHER += ["--dictionary", "two", "k=3", "pre_bias_init=mean", "unit_norm_decoder=true"]
# 63 rows: the shares differ, and so does the last batch of an epoch
SHORT = ["--precision", "float32", "--max-positions", "5000", "--batch-rows", "63"]

# train_sae.py, whose second process cannot read on at some step
FAILING = """
import os, runpy, sys
sys.path.insert(0, {scripts!r})
from biosae import training_group
from biosae.errors import InputError
original = training_group.epoch_batches
def epoch_batches(*arguments):
    for i, batch in enumerate(original(*arguments)):
        if os.environ["RANK"] == "1" and i == 20:
            raise InputError("A file is cut short", where="activations_1.h5")
        yield batch
training_group.epoch_batches = epoch_batches
sys.argv[0] = "train_sae.py"
runpy.run_path({scripts!r} + "/train_sae.py", run_name="__main__")
"""


def two_processes(words: list[str], program: Path = SCRIPTS / "train_sae.py") -> subprocess.CompletedProcess:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    return subprocess.run(
        [*launcher, str(program), *words],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
        env={**os.environ, "MASTER_ADDR": "127.0.0.1", "OMP_NUM_THREADS": "1"},
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return write_inputs(tmp_path_factory.mktemp("distributed"))


@pytest.fixture(scope="module")
def two(folder) -> dict[str, bytes]:
    result = two_processes(options(folder, "two", *TOGETHER, *SHORT))
    assert result.returncode == 0, result.stderr
    return contents(folder / "two")


def test_two_processes_train_what_one_does(folder, two):
    train_quietly(options(folder, "single", *TOGETHER, *SHORT))
    assert sorted(two) == sorted(contents(folder / "single"))
    for run in ("one", "two"):
        paths = [folder / output / run for output in ("single", "two")]
        weights = [load_file(path / "checkpoint" / "model.safetensors") for path in paths]
        for name, value in weights[0].items():
            torch.testing.assert_close(weights[1][name], value, rtol=1e-3, atol=1e-4, msg=f"{run} {name}")
        curves = [read_table(path / "training_curve.tsv", "training_curve") for path in paths]
        pd.testing.assert_frame_equal(*curves, rtol=1e-3)
        assert curves[0]["step"].iloc[-1] > 70


def test_an_error_on_one_rank_ends_all_and_saves_and_a_second_start_goes_on(folder, two):
    program = folder / "failing.py"
    program.write_text(FAILING.format(scripts=str(SCRIPTS)))
    result = two_processes(options(folder, "failed", *TOGETHER, *SHORT), program)
    assert result.returncode != 0
    said = [
        line for line in result.stderr.splitlines() if "error: " in line and "A file is cut short" in line
    ]
    assert any("error: A file is cut short. Where: activations_1.h5." in line for line in said)
    assert any("Process 1 of the job failed: A file is cut short" in line for line in said)
    states = {
        path.parent.name: torch.load(path, weights_only=True)["step"]
        for path in folder.glob("failed/*/state.pt")
    }
    assert states == {"one": 20, "two": 20}
    again = two_processes(options(folder, "failed", *TOGETHER, *SHORT))
    assert again.returncode == 0, again.stderr
    assert again.stderr.count("resuming at step 20") >= 2
    assert contents(folder / "failed") == two


class _Faked:
    """Two ranks whose tensors are at hand: what the first sums is what both hold."""

    world, rank = 2, 0

    def __init__(self, other: list[torch.Tensor]):
        self.other = other

    def sum(self, values: torch.Tensor) -> torch.Tensor:
        values += self.other.pop(0)
        return values


def test_squares_of_shares_are_those_of_the_batch():
    rows = torch.tensor(np.random.default_rng(0).normal(5, 2, (31, 4)))
    shares = rows[::2], rows[1::2]
    squares = [(share - share.mean(0)).square().sum() for share in shares]
    zero = torch.tensor(0.0)
    recorded = []

    class Recording(_Faked):
        def sum(self, values):
            recorded.append(values.clone())
            return values

    Bucket(Recording([]), []).sum_figures(zero + 2, zero + 3, squares[1], shares[1])
    loss, total, both = Bucket(_Faked(recorded), []).sum_figures(zero + 4, zero + 5, squares[0], shares[0])
    assert (float(loss), float(total)) == (6, 8)
    assert float(both) == pytest.approx(float((rows - rows.mean(0)).square().sum()), rel=1e-12)


def test_a_share_may_be_empty():
    rows = torch.arange(6.0).reshape(2, 3)
    recorded = []

    class Recording(_Faked):
        def sum(self, values):
            recorded.append(values.clone())
            return values

    zero = torch.tensor(0.0)
    Bucket(Recording([]), []).sum_figures(zero, zero, zero.double(), rows[:0])
    squares = (rows - rows.mean(0)).square().sum()
    figures = Bucket(_Faked(recorded), []).sum_figures(zero + 1, zero + 1, squares, rows)
    assert [float(figure) for figure in figures] == [1, 1, float(squares)]


def test_alone_nothing_is_exchanged():
    assert ALONE.from_main(lambda: 3) == 3
    assert ALONE.agree(None, True, False) == [True, False]
    with pytest.raises(KeyError):
        ALONE.agree(KeyError())
    assert not torch.distributed.is_initialized()
