"""`train_together`: all trained runs are one job that reads once, on one process or on several."""

import shutil
from pathlib import Path

import helpers
import pytest

pytestmark = pytest.mark.workflow

GRID = {"kind": ["topk", "batchtopk"], "expansion": [4], "k": [4], "learning_rate": [0.003], "seed": [1, 0]}
RUNS = [f"results/tiny/{kind}-x4-k4-lr0.003-s{seed}" for kind in GRID["kind"] for seed in GRID["seed"]]
WEIGHTS = "checkpoint/model.safetensors"


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """A project folder with activations, and a config whose runs are trained together for a short time."""
    folder = helpers.copy_project(tmp_path_factory.mktemp("together") / "it's")
    made = helpers.run(helpers.simulate_command(), folder)
    if made.returncode:
        raise RuntimeError(made.stdout + made.stderr)
    config = helpers.tiny_config(folder)
    sae = {**config["sae"], "grid": GRID, "max_positions": 20_000, "device": "cpu", "train_together": True}
    return folder, {**config, "sae": sae}


@pytest.fixture(scope="module")
def trained(inputs, tmp_path_factory):
    """The folder after all runs were trained in one job."""
    folder, config = inputs
    result = helpers.snakemake(folder, config, *(f"{run}/{WEIGHTS}" for run in RUNS))
    assert result.returncode == 0, result.stderr[-4000:]
    return folder


def test_the_plan_holds_one_training_job(inputs):
    folder, config = inputs
    plan = helpers.planned(helpers.snakemake(folder, {**config, "results": "elsewhere"}, "-n"))
    assert plan["train_together"] == 1
    assert "train_sae" not in plan
    alone = {**config, "results": "elsewhere", "sae": {**config["sae"], "train_together": False}}
    plan = helpers.planned(helpers.snakemake(folder, alone, "-n"))
    assert plan["train_sae"] == len(RUNS)
    assert "train_together" not in plan


def test_each_run_has_its_files_and_ends_as_alone(trained, inputs):
    _, config = inputs
    for run in RUNS:
        names = {path.name for path in (trained / run).iterdir()}
        assert {"checkpoint", "training_curve.tsv", "evaluation.json"} <= names
        assert not {"state.pt", ".lock"} & names
    targets = [f"{run}/{WEIGHTS}" for run in RUNS]
    assert helpers.planned(helpers.snakemake(trained, config, "-n", *targets)) == {}
    alone = {"train_together": False, "shuffle_seed": 1}  # together they took the first seed of the grid
    run, other = RUNS[-1], trained / "other"
    shutil.copytree(inputs[0], other, ignore=shutil.ignore_patterns("results", ".snakemake", "other"))
    result = helpers.snakemake(other, {**config, "sae": {**config["sae"], **alone}}, f"{run}/{WEIGHTS}")
    assert result.returncode == 0, result.stderr[-4000:]
    for name in (WEIGHTS, "checkpoint/config.json", "training_curve.tsv", "evaluation.json"):
        assert (other / run / name).read_bytes() == (trained / run / name).read_bytes(), name


def test_several_processes_train_in_one_job(inputs):
    folder, config = inputs
    changed = {**config, "results": "two", "sae": {**config["sae"], "gpus": 2, "device": "auto"}}
    target = str(Path("two", *Path(RUNS[0]).parts[1:]) / WEIGHTS)
    result = helpers.snakemake(folder, changed, target)
    log = (folder / "two/logs/tiny/train_together.log").read_text()
    assert result.returncode == 0, log[-4000:]
    assert "torchrun --standalone --nproc-per-node 2 " in result.stderr
    assert (folder / target).exists()
