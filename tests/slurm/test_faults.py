"""Jobs, nodes, disks and drivers that fail: the run ends in the bytes of a run that nothing disturbed."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from cluster import wait_until
from project import PATIENCE_SECONDS, Project
from stages import RUN, stage_of

pytestmark = pytest.mark.slurm

TRAINING, MAP = stage_of("train_sae"), stage_of("embed_nodes")
TRAINED_STEPS = 40  # a state is saved after each: half-way is some way behind us


@contextmanager
def half_trained(project: Project) -> Iterator[tuple[subprocess.Popen, str]]:
    """A driver whose training job stands still with states behind it, and the job's number."""
    project.remove(*TRAINING.removed)
    project.lay("train_sae", f"hold {TRAINED_STEPS}")
    with project.driver(f"results/{TRAINING.target}", config=project.saving()) as driver:
        project.wait_for_hold("train_sae")
        (number,) = project.cluster.jobs("RUNNING")
        yield driver, str(number)


def ended_well(project: Project, driver: subprocess.Popen) -> None:
    try:
        code = driver.wait(PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        pytest.fail(f"still running: {project.cluster.ask('squeue', '--states=all')}\n{project.said()}")
    assert code == 0, project.said()


def ended_without_delay(project: Project, driver: subprocess.Popen, number: str) -> bool:
    """Whether the driver ended; a job that SLURM put back is told not to wait its two minutes in the queue.

    It is told each second that it waits: SLURM puts it back again where the node had not cleaned up yet.
    """
    if project.cluster.state(number) == "PENDING":
        project.cluster.attempt("scontrol", "update", f"jobid={number}", "starttime=now")
        time.sleep(1)
    return driver.poll() is not None


def resumed(project: Project) -> None:
    """The training that ended went on from a state."""
    log = project.results / "logs" / Path(RUN).parent / Path(RUN).name / "train_sae.log"
    assert f"resuming at step {TRAINED_STEPS - 1} of" in log.read_text()


def test_a_cancelled_training_goes_on(project, record):
    with half_trained(project) as (driver, number):
        project.cluster.run("scancel", number)
        ended_well(project, driver)
    resumed(project)
    record("scancel of the job", TRAINING, "a retry, from the last state", project)


def test_a_driver_that_is_killed_leaves_a_job_that_is_not_done_twice(project, record):
    with half_trained(project) as (driver, number):
        driver.send_signal(signal.SIGKILL)
    target = f"results/{TRAINING.target}"
    locked = project.snakemake(target, config=project.saving())
    assert locked.returncode != 0
    assert "cannot be locked" in locked.stdout + locked.stderr
    project.unlock()
    refused = project.snakemake(target, config=project.saving())
    assert refused.returncode != 0
    assert "SLURM jobs of an earlier driver are still in the queue" in refused.stderr
    assert f"scancel {number};" in refused.stderr
    assert list(project.cluster.jobs("RUNNING", "PENDING")) == [int(number)], "nothing was submitted"
    project.cluster.run("scancel", number)
    project.wait_for_queue()
    again = project.snakemake(target, config=project.saving())
    assert again.returncode == 0, again.stderr
    resumed(project)
    record(
        "kill -9 of the driver alone", TRAINING, "refused while the job runs; scancel, then again", project
    )


def test_a_training_whose_node_goes_down_goes_on(project, record):
    with half_trained(project) as (driver, number):
        process = project.wait_for_hold("train_sae")
        project.cluster.run("scontrol", "update", "nodename=gpu01", "state=down", "reason=test")
        gone = Path(f"/proc/{process}")
        wait_until(lambda: not gone.exists(), "the end of what ran there", PATIENCE_SECONDS)
        assert project.cluster.state(number) == "PENDING"
        project.cluster.run("scontrol", "update", "nodename=gpu01", "state=resume")
        wait_until(
            lambda: ended_without_delay(project, driver, number), "the driver to end", PATIENCE_SECONDS
        )
        ended_well(project, driver)
    resumed(project)
    record("the node goes down", TRAINING, "SLURM queues the job again; from the last state", project)


def test_a_preempted_training_goes_on(project, record):
    with half_trained(project) as (driver, number):
        urgent = ("sbatch", "-p", "urgent", "--gpus=2", "-o", "/dev/null", "--wrap", "sleep 3")
        project.cluster.run(*urgent)
        state = partial(project.cluster.state, number)
        wait_until(lambda: "RUNNING" not in state(), "the job to be preempted", PATIENCE_SECONDS)
        ended_well(project, driver)
    resumed(project)
    record("preempted by an urgent job", TRAINING, "a retry, from the last state", project)


def test_a_job_over_its_time_gets_more(project, record):
    project.remove(*MAP.removed)
    project.lay("embed_nodes", "sleep 600")
    minutes = "embed_nodes:runtime=attempt**4"  # 1, then more than a slow machine needs
    done = project.snakemake(f"results/{MAP.target}", "--set-resources", minutes)
    assert done.returncode == 0, done.stderr
    times = [(job["JobState"], job["TimeLimit"]) for job in project.cluster.finished()[-2:]]
    assert times == [("TIMEOUT", "1"), ("COMPLETED", "16")]
    record("over its time", MAP, "a retry with more time", project)


@pytest.mark.xdist_group("accounting")
def test_a_job_over_its_memory_gets_more(project, accounting_cluster, record):
    project = replace(project, cluster=accounting_cluster)
    project.remove(*MAP.removed)
    project.lay("embed_nodes", "allocate 2600")
    done = project.snakemake(f"results/{MAP.target}", "--set-resources", "embed_nodes:mem_mb=2000*attempt")
    assert done.returncode == 0, done.stderr
    first, second = accounting_cluster.finished()[-2:]
    assert [job["Tres"].split(",")[1] for job in (first, second)] == ["mem=2000M", "mem=4000M"]
    assert second["JobState"] == "COMPLETED"
    (log,) = (project.folder / "logs" / "slurm").rglob(f"{first['JobId']}.log")
    assert "memory limit" in log.read_text(), log.read_text()[-3000:]
    record("over its memory", MAP, "a retry with more memory", project)


@pytest.mark.skipif(os.geteuid() != 0, reason="a small file system of its own needs root")
@pytest.mark.parametrize("program", ["train_sae", "encode_activations", "write_seqlets", "calibrate_nulls"])
def test_a_full_disk(project, record, program):
    stage = stage_of(program)
    config = project.saving() if program == "train_sae" else project.config
    project.remove(*stage.removed)
    with small_disk(project, room_bytes=16 << 10) as ballast:  # for a log, not for what the program makes
        full = project.snakemake(f"results/{stage.target}", "--retries", "0", config=config)
        assert full.returncode != 0
        (log,) = (project.results / "logs" / "tiny").rglob(f"{RUN.split('/')[1]}/{program}.log")
        assert "No space left on device" in log.read_text()
        assert re.search(r"To mend: (make|free) space", log.read_text())
        assert "Traceback" not in log.read_text()
        assert project.incomplete() == []
        ballast.unlink()
        again = project.snakemake(f"results/{stage.target}", config=config)
        assert again.returncode == 0, again.stderr
        record("the disk is full", stage, "space, and the same command again", project)


@contextmanager
def small_disk(project: Project, room_bytes: int) -> Iterator[Path]:
    """The results on a file system of their own with so much room; the file that fills it is given."""
    disk, kept = project.results, project.folder / "results on another disk"
    disk.rename(kept)
    disk.mkdir()
    size = sum(path.stat().st_size + 8192 for path in kept.rglob("*")) + (64 << 20)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(disk)], check=True)
    try:
        shutil.copytree(kept, disk, dirs_exist_ok=True, copy_function=shutil.copy2)
        ballast = disk / ".ballast"
        with ballast.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(disk).free - room_bytes)
        yield ballast
    finally:
        subprocess.run(["umount", str(disk)], check=True)
        disk.rmdir()
        kept.rename(disk)


def test_outputs_deleted_by_hand_come_back(project, record):
    gone = [stage_of(name).target for name in ("collect_motifs", "measure_repeats", "summarise_runs")]
    project.remove(*gone)
    done = project.snakemake(*(f"results/{name}" for name in gone))
    assert done.returncode == 0, done.stderr
    record("outputs deleted by hand", stage_of("collect_motifs"), "the same command again", project)


def test_a_second_driver_is_refused(project, record):
    project.remove(*MAP.removed)
    project.lay("embed_nodes", "hold 1")
    with project.driver(f"results/{MAP.target}") as driver:
        project.wait_for_hold("embed_nodes")
        second = project.snakemake(f"results/{MAP.target}")
        assert second.returncode != 0
        assert "cannot be locked" in second.stdout + second.stderr
        assert len(project.cluster.jobs("RUNNING", "PENDING")) == 1
        project.release("embed_nodes")
        ended_well(project, driver)
    record("a second driver on the folder", MAP, "the second is refused, the first goes on", project)


def test_files_that_are_seen_late(project, record):
    stage = stage_of("write_seqlets")
    project.remove(*stage.removed)
    project.lay("write_seqlets", "late 12")
    done = project.snakemake(f"results/{stage.target}")
    assert done.returncode == 0, done.stderr
    record("files are seen 12 s late", stage, "Snakemake waits (latency-wait)", project)


def test_a_driver_that_is_interrupted_cancels_its_jobs(project, record):
    project.remove(*MAP.removed)
    project.lay("embed_nodes", "hold 1")
    with project.driver(f"results/{MAP.target}") as driver:
        project.wait_for_hold("embed_nodes")
        driver.send_signal(signal.SIGINT)
        assert driver.wait(PATIENCE_SECONDS) != 0
    project.wait_for_queue()
    assert project.incomplete() == []
    again = project.snakemake(f"results/{MAP.target}")
    assert again.returncode == 0, again.stderr
    record("Ctrl-C on the driver", MAP, "its jobs are cancelled; the same command again", project)
