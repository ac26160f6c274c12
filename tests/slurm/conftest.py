"""A real SLURM of this machine's own, started once; skipped where its programs are not installed."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow"))

from cluster import Cluster, missing_servers
from project import finished_project


def started(tmp_path_factory, accounting: bool):
    if missing := missing_servers(accounting):
        pytest.skip(
            f"no SLURM on this machine: {missing} not found (Debian: slurm-wlm, munge, slurmdbd, mariadb-server)"
        )
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


@pytest.fixture(scope="session")
def finished(cluster, tmp_path_factory):
    """A project whose tiny run has ended undisturbed."""
    return finished_project(tmp_path_factory.mktemp("faults"), cluster)


@pytest.fixture
def project(finished):
    """The same, put back as it was."""
    finished.restore()
    return finished


@pytest.fixture
def record():
    """Compare a project with the undisturbed run, and note fault, stage, what mended it and lost lines."""

    def note(fault: str, stage: str, mended_by: str, project) -> None:
        lost, doubled = project.compare()
        print(fault, stage, mended_by, lost, doubled)
        assert (lost, doubled) == (0, 0)

    return note
