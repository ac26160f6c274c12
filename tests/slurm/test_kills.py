"""kill -9 of the driver, then of the jobs' processes, at every stage: the same command again mends it."""

from __future__ import annotations

import os
import signal

import pytest
from stages import SIDE_BY_SIDE, STAGES, stage_of

pytestmark = pytest.mark.slurm


def test_every_stage_is_killed_once():
    killed = [program for programs in SIDE_BY_SIDE for program in programs]
    assert sorted(killed) == sorted(stage.program for stage in STAGES)


@pytest.mark.parametrize("programs", SIDE_BY_SIDE, ids=", ".join)
def test_driver_and_jobs_are_killed(project, record, programs: tuple[str, ...]):
    stages = [stage_of(program) for program in programs]
    config = project.saving() if "train_sae" in programs else project.config
    targets = [f"results/{stage.target}" for stage in stages]
    for stage in stages:
        project.remove(*stage.removed)
    assert project.incomplete() == []
    for stage in stages:
        project.lay(stage.program, f"hold {stage.stop_before}")
    with project.driver(*targets, config=config) as driver:
        processes = [project.wait_for_hold(program) for program in programs]
        driver.send_signal(signal.SIGKILL)
    jobs = project.cluster.jobs("RUNNING")
    assert len(jobs) == sum(not stage.is_local for stage in stages), "SLURM jobs outlive their driver"
    for process in processes:
        os.kill(process, signal.SIGKILL)
    project.wait_for_queue()
    assert project.incomplete() == [], "an output that exists is complete"
    project.unlock()
    again = project.snakemake(*targets, config=config)
    assert again.returncode == 0, again.stderr
    for stage in stages:
        record("kill -9 of the driver, then of the job", stage, "the same command again", project)
