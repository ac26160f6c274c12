"""Snakemake with the SLURM profile and stand-ins of SLURM's commands: what it says, and never calls."""

import re
import subprocess
import sys
from pathlib import Path

import helpers
import pytest

import stand_in_slurm

pytestmark = pytest.mark.workflow
ASKING = ("sinfo", "scontrol", "sacctmgr")  # the executor plugin asks too


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return helpers.copy_project(tmp_path_factory.mktemp("it's a project"))


def plan(project, environment, *arguments):
    """Start the demo with the SLURM profile."""
    command = [sys.executable, "-m", "snakemake", "--profile", "profiles/slurm", *arguments]
    return subprocess.run(
        [*command, "--configfile", "config/demo.yaml"],
        cwd=project,
        env={**environment, "PATH": f"{environment['PATH']}:{Path(sys.executable).parent}"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_dry_run_names_what_the_cluster_lacks(project, tmp_path):
    slurm = stand_in_slurm.install(tmp_path / "bin", nodes=stand_in_slurm.NODES.replace("gpu:", "mps:"))
    done = plan(project, slurm, "-n")
    assert done.returncode == 1
    text = done.stdout + done.stderr
    (rules,) = re.findall(r"(\w[\w, ]*): no node of partition gpu has a GPU", text)
    assert {"train_sae", "encode_activations", "collect_examples"} <= set(rules.split(", "))
    assert "Traceback" not in text
    assert not (project / "results").exists()


def test_a_dry_run_without_slurm_warns_and_plans(project, tmp_path):
    slurm = stand_in_slurm.install(tmp_path / "bin", failing="scontrol")
    done = plan(project, slurm, "-n")
    assert helpers.planned(done)["train_sae"] > 0
    assert "The plan was not held against the cluster" in done.stdout


def test_a_run_is_refused_before_anything_is_submitted(project, tmp_path):
    others = stand_in_slurm.PARTITIONS.replace("PartitionName=gpu", "PartitionName=big")
    slurm = stand_in_slurm.install(tmp_path / "bin", partitions=others)
    done = plan(project, slurm, "--slurm-status-command", "squeue")
    assert done.returncode == 1
    assert "partition gpu does not exist (there are big, cpu, old)" in done.stderr
    assert stand_in_slurm.calls(tmp_path / "bin", *ASKING) == []


def test_a_local_run_with_the_profile_asks_nothing(project, tmp_path):
    slurm = stand_in_slurm.install(tmp_path / "bin", partitions="")
    target = "results/demo/synthetic/topk-x3-k3-lr0.004-s0/meme/settings.json"
    done = plan(project, slurm, "--executor", "local", "--cores", "1", target)
    assert done.returncode == 0, done.stderr
    assert "1 of 1 steps (100%) done" in done.stderr
    assert questions(tmp_path / "bin") == []


def test_a_job_does_not_ask_again(project, tmp_path):
    """What a compute node runs parses the same files in another mode."""
    slurm = stand_in_slurm.install(tmp_path / "bin", partitions="")
    assert plan(project, slurm, "-n").returncode == 1, "the process that a user starts asks"
    done = plan(project, slurm, "-n", "--mode", "remote", "--executor", "local")
    assert done.returncode == 0, done.stderr
    assert len(questions(tmp_path / "bin")) == 1


def questions(folder):
    """Calls of the command that the executor plugin does not use when partitions are given."""
    return [line for line in stand_in_slurm.calls(folder) if line.startswith("sinfo")]
