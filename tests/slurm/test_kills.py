"""kill -9 of the driver, then of the job's process, at every stage: the same command again mends it."""

from __future__ import annotations

import os
import signal

import pytest
from stages import STAGES, Stage

pytestmark = pytest.mark.slurm


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_driver_and_job_are_killed(project, record, stage: Stage):
    config = project.saving() if stage.program == "train_sae" else project.config
    project.remove(*stage.removed)
    assert project.incomplete() == []
    project.lay(stage.program, f"hold {stage.stop_before}")
    with project.driver(f"results/{stage.target}", config=config) as driver:
        process = project.wait_for_hold(stage.program)
        driver.send_signal(signal.SIGKILL)
    jobs = project.cluster.jobs("RUNNING")
    assert len(jobs) == (0 if stage.is_local else 1), "a SLURM job outlives its driver"
    os.kill(process, signal.SIGKILL)
    project.wait_for_queue()
    assert project.incomplete() == [], "an output that exists is complete"
    project.unlock()
    again = project.snakemake(f"results/{stage.target}", config=config)
    assert again.returncode == 0, again.stderr
    record("kill -9 of the driver, then of the job", stage, "the same command again", project)
