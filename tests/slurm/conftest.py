"""A real SLURM of this machine's own, started once; skipped where its programs are not installed."""

import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "workflow")]

from cluster import Cluster, missing_servers


def started(tmp_path_factory, accounting: bool):
    if missing := missing_servers(accounting):
        pytest.skip(f"no SLURM on this machine: {missing} not found (Debian: slurm-wlm, munge, slurmdbd, mariadb-server)")
    cluster = Cluster(tmp_path_factory.mktemp("slurm") / "cluster", accounting)
    cluster.start()
    yield cluster
    cluster.stop()


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    """A cluster without accounting: the state of jobs comes from squeue."""
    yield from started(tmp_path_factory, accounting=False)


@pytest.fixture(scope="session")
def accounting_cluster(tmp_path_factory):
    """A cluster with slurmdbd on MariaDB: the state of jobs comes from sacct, memory limits bite."""
    yield from started(tmp_path_factory, accounting=True)
