"""A real SLURM of this machine's own, started once; skipped where its programs are not installed."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow"))

import fault_table
from cluster import Cluster, missing_servers
from project import Project, finished_project, run_undisturbed
from stages import Stage

from made_once import made_once


def started(tmp_path_factory, accounting: bool):
    if missing := missing_servers(accounting):
        pytest.skip(
            f"no SLURM on this machine: {missing} not found "
            "(Debian: slurm-wlm, munge, slurmdbd, mariadb-server)"
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
    """A project of this worker's own whose tiny run has ended undisturbed."""
    undisturbed = made_once(tmp_path_factory, "undisturbed", run_undisturbed)
    folder = tmp_path_factory.mktemp("faults") / "a project"
    return finished_project(folder, undisturbed, cluster)


@pytest.fixture
def project(finished):
    """The same, put back as it was."""
    finished.restore()
    return finished


@pytest.fixture
def record(request):
    """Compare a project with the undisturbed run, and note the fault, the stage, and what mended it."""

    def note(fault: str, stage: Stage, mended_by: str, project: Project) -> None:
        line = fault_table.row(fault, stage.name, mended_by, *project.compare())
        request.node.user_properties.append((fault_table.PROPERTY, line))
        assert line.endswith("| 0 | 0 |"), line
        fault_table.check(line)

    return note


def pytest_collection_modifyitems(items):
    """The whole runs first: they take longest. Groups are of tests that share a cluster of a kind."""
    items.sort(key=lambda item: item.path.stem != "test_whole_run")


ROWS: dict[str, list[str]] = {}  # of each test; reports reach the process that started the workers


def pytest_runtest_logreport(report):
    """Gather the rows of the table of faults."""
    if report.when == "call" and not report.skipped:
        ROWS[report.nodeid] = [line for name, line in report.user_properties if name == fault_table.PROPERTY]


def pytest_sessionfinish(session):
    """Write the table of faults, in the order of the tests."""
    if not hasattr(session.config, "workerinput"):
        fault_table.write([line for _, lines in sorted(ROWS.items()) for line in lines])
