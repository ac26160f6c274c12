"""The whole check before submission, with stand-ins of SLURM's commands."""

import socket
from pathlib import Path

import pytest

import stand_in_slurm
from biosae import submission
from biosae.cluster_requests import Request
from biosae.errors import ClusterError, NoClusterError
from biosae.shared_paths import Mount

FINE = [Request("train_sae", ("gpu",), cpus=8, gres=(("gpu", "", 1),)), Request("select_nodes", ("cpu",))]


@pytest.fixture
def check(monkeypatch, tmp_path):
    """A function that installs stand-ins and checks; it returns the warnings."""

    def checked(requests=FINE, paths=(), function=submission.check_submission, **arguments):
        stand_ins = arguments.pop("stand_ins", {})
        folder = tmp_path / "bin"
        monkeypatch.setenv("PATH", stand_in_slurm.install(folder, **stand_ins)["PATH"])
        if "absent" in stand_ins:
            monkeypatch.setenv("PATH", str(folder))
        warnings = []
        function(requests, dict(paths), warnings.append, **arguments)
        assert len(stand_in_slurm.calls(folder)) <= 4, "SLURM is asked four times at most"
        return warnings

    monkeypatch.delenv("SBATCH_ACCOUNT", raising=False)
    monkeypatch.setattr(submission, "read_mounts", list)  # whatever this machine has mounted
    monkeypatch.setattr(submission.sys, "prefix", "/usr")  # wherever the environment of the tests lies
    return checked


@pytest.fixture
def in_memory(check, monkeypatch, tmp_path):
    """A folder that the table of mounts says is in memory."""
    monkeypatch.setattr(submission, "read_mounts", lambda: [Mount(tmp_path.resolve(), "tmpfs")])
    return tmp_path / "results"


def test_a_plan_that_fits_passes_without_a_word(check):
    assert check() == []


def test_a_plan_that_does_not_fit_is_refused(check):
    with pytest.raises(ClusterError, match="train_sae: partition gpux does not exist"):
        check([Request("train_sae", ("gpux",)), FINE[1]])


def test_without_sbatch_a_run_is_refused(check):
    with pytest.raises(NoClusterError, match="no sbatch"):
        check(stand_ins={"absent": "sbatch"})


def test_a_dry_run_needs_no_slurm(check):
    (warning,) = check(function=submission.check_dry_run, stand_ins={"absent": "sinfo"})
    assert "The plan was not held against the cluster" in warning
    assert "no sinfo" in warning


def test_a_dry_run_is_told_what_is_wrong_where_there_is_slurm(check):
    with pytest.raises(ClusterError, match="gpux"):
        check([Request("a", ("gpux",))], function=submission.check_dry_run)


def test_jobs_in_a_database_that_is_not_there_would_never_end(check):
    with pytest.raises(ClusterError, match="slurm-status-command: squeue"):
        check(status_command="sacct")


def test_with_a_database_sacct_is_fine(check):
    assert check(status_command="sacct", stand_ins={"storage": "accounting_storage/slurmdbd"}) == []


def test_the_last_attempt_is_looked_at(check):
    (warning,) = check(later=(3, [Request("select_nodes", ("cpu",), cpus=64)]))
    assert warning.startswith("select_nodes: in attempt 3: 64 cores asked")


def test_the_account_of_the_environment_counts(check, monkeypatch):
    monkeypatch.setenv("SBATCH_ACCOUNT", "nobody")
    with pytest.raises(ClusterError, match="account nobody is none of user"):
        check(stand_ins={"storage": "accounting_storage/slurmdbd"})


def test_results_in_the_memory_of_the_login_node_are_refused(check, in_memory):
    with pytest.raises(ClusterError, match=r"paths: compute nodes do not see .* \(tmpfs\): results"):
        check(paths={"results": in_memory})


def test_a_cluster_of_this_machine_alone_sees_all_paths(check, in_memory):
    nodes = stand_in_slurm.NODES
    for host in ("n1", "n2", "g1", "g2"):
        nodes = nodes.replace(f"|{host}|", f"|{socket.gethostname()}|")
    assert check(paths={"results": in_memory}, stand_ins={"nodes": nodes}) == []


def test_one_node_elsewhere_is_enough_to_need_shared_paths(check, in_memory):
    nodes = stand_in_slurm.NODES.replace("|n1|", f"|{socket.gethostname()}|")
    with pytest.raises(ClusterError, match="compute nodes do not see"):
        check(paths={"results": in_memory}, stand_ins={"nodes": nodes})


def test_a_local_disk_is_a_warning(check, monkeypatch, tmp_path):
    monkeypatch.setattr(submission, "read_mounts", lambda: [Mount(tmp_path.resolve(), "ext4")])
    (warning,) = check(paths={"results": tmp_path})
    assert "may not see" in warning


def test_the_environment_of_python_must_be_seen_unless_it_is_the_systems(check, monkeypatch):
    monkeypatch.setattr(submission, "read_mounts", lambda: [Mount(Path("/"), "tmpfs")])
    monkeypatch.setattr(submission.sys, "prefix", "/home/me/.venv")
    with pytest.raises(ClusterError, match="Python environment"):
        check()
    monkeypatch.setattr(submission.sys, "prefix", "/usr")
    assert submission.check_submission(FINE, {}, [].append) is None
