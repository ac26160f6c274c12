"""The cluster of the tests itself: it runs jobs, and stops what it started."""

from __future__ import annotations

from pathlib import Path

import pytest
from cluster import SERVER_NAMES, Cluster, missing_servers

pytestmark = pytest.mark.slurm


def test_jobs_run_on_their_partition_and_see_their_gpus(cluster):
    assert cluster.ask("srun", "-p", "cpu", "sh", "-c", "echo ${CUDA_VISIBLE_DEVICES-none}").strip() == "none"
    assert (
        cluster.ask("srun", "-p", "gpu", "--gpus=2", "sh", "-c", "echo $CUDA_VISIBLE_DEVICES").strip()
        == "0,1"
    )


@pytest.mark.xdist_group("accounting")
def test_accounting_knows_the_account(accounting_cluster):
    text = accounting_cluster.ask("sacctmgr", "-n", "-P", "-s", "list", "user", "format=account")
    assert "lab" in text.split()


@pytest.mark.skipif(bool(missing_servers()), reason="no SLURM on this machine")
def test_it_stops_exactly_what_it_started(cluster, tmp_path):
    own = Cluster(tmp_path / "own").start()
    pids = [int(own.pid_file(name).read_text()) for name in SERVER_NAMES if own.pid_file(name).is_file()]
    assert len(pids) == 4
    own.stop()
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]
    assert set(cluster.states()) == {"cpu01", "gpu01"}, "another cluster goes on"
