"""What is read of a SLURM cluster, from text that SLURM printed and from stand-ins of its commands."""

import math

import pytest

import stand_in_slurm
from biosae import cluster
from biosae.cluster import Association, Node
from biosae.errors import NoClusterError


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        ("UNLIMITED", math.inf),
        ("90", 90),
        ("01:30", 1.5),
        ("01:00:00", 60),
        ("2-00:00:00", 2880),
        ("1-12", 2160),
        ("1-00:30", 1470),
    ],
)
def test_times(text, minutes):
    assert cluster.parse_minutes(text) == minutes


@pytest.mark.parametrize(
    ("text", "devices"),
    [
        ("", ()),
        ("gpu", (("gpu", "", 1),)),
        ("gpu:2", (("gpu", "", 2),)),
        ("gpu:a100", (("gpu", "a100", 1),)),
        ("gpu:4090:2", (("gpu", "4090", 2),)),
        ("gpu:1g.10gb", (("gpu", "1g.10gb", 1),)),
        ("gpu:a100:4(S:0,1),lscratch:2K", (("gpu", "a100", 4), ("lscratch", "", 2048))),
    ],
)
def test_devices(text, devices):
    assert cluster.parse_gres(text) == devices


def test_partitions_and_their_limits():
    found = cluster.parse_partitions(stand_in_slurm.PARTITIONS)
    assert list(found) == ["cpu", "gpu", "old"]
    assert (found["cpu"].default, found["cpu"].minutes, found["cpu"].cpus) == (True, 5760, math.inf)
    assert (found["gpu"].default, found["gpu"].minutes) == (False, math.inf)
    assert (found["gpu"].cpus, found["gpu"].mem_mb) == (16, 100_000)
    assert (found["old"].state, found["old"].minutes) == ("DRAIN", 30)
    assert [found["gpu"].admits("Accounts", name) for name in ("LAB", "other")] == [True, False]
    assert [found["gpu"].admits("Qos", name) for name in ("fast", "slow")] == [True, False]
    assert found["cpu"].admits("Accounts", "other")


def test_a_cluster_without_partitions_has_none():
    assert cluster.parse_partitions("No partitions in the system\n") == {}


def test_nodes():
    found = cluster.parse_nodes(stand_in_slurm.NODES)
    assert found["cpu"] == (Node("n1", 8, 64000), Node("n2", 32, 128000))
    assert [node.count("gpu") for node in found["gpu"]] == [4, 2]
    assert [node.count("gpu", "A100") for node in found["gpu"]] == [4, 0]


def test_accounts():
    lab, other = cluster.parse_associations(stand_in_slurm.ACCOUNTS)
    assert lab == Association("lab", "", frozenset({"fast", "normal"}), default=True)
    assert (other.account, other.partition, other.default) == ("other", "cpu", False)
    assert cluster.parse_associations("|||\n") == ()


def use(monkeypatch, folder, **text):
    monkeypatch.setenv("PATH", stand_in_slurm.install(folder, **text)["PATH"])


def test_a_cluster_without_accounting_is_not_asked_for_accounts(monkeypatch, tmp_path):
    use(monkeypatch, tmp_path / "bin", failing="sacctmgr")
    found = cluster.read_cluster(wants_accounts=True)
    assert (found.accounting, found.enforces_accounts, found.associations) == (False, False, None)
    assert (found.default, len(found.partitions["gpu"].nodes)) == ("cpu", 2)
    assert [line.split()[0] for line in stand_in_slurm.calls(tmp_path / "bin")] == [
        "scontrol",
        "sinfo",
        "scontrol",
    ]


@pytest.mark.parametrize(
    ("enforce", "accounts", "qos"),
    [("none", False, False), ("associations", True, False), ("associations,limits,qos", True, True)],
)
def test_what_is_enforced(monkeypatch, tmp_path, enforce, accounts, qos):
    use(monkeypatch, tmp_path / "bin", storage="accounting_storage/slurmdbd", enforce=enforce)
    found = cluster.read_cluster(wants_accounts=False)
    assert (found.enforces_accounts, found.enforces_qos) == (accounts, qos)
    # asked for even where nothing is enforced, since partition gpu lets in some accounts only
    assert [entry.account for entry in found.associations] == ["lab", "other"]
    asked = [line for line in stand_in_slurm.calls(tmp_path / "bin") if line.startswith("sacctmgr")]
    assert len(asked) == 1
    assert "cluster=ci" in asked[0]


def test_a_silent_database_is_no_fault_but_is_said(monkeypatch, tmp_path):
    use(
        monkeypatch,
        tmp_path / "bin",
        storage="accounting_storage/slurmdbd",
        enforce="associations",
        failing="sacctmgr",
    )
    found = cluster.read_cluster(wants_accounts=False)
    assert found.associations is None
    assert "connect failure" in found.silent


def test_a_controller_that_is_down_is_said_with_its_words(monkeypatch, tmp_path):
    use(monkeypatch, tmp_path / "bin", failing="scontrol")
    with pytest.raises(
        NoClusterError, match=r"scontrol show config failed.*connect failure.*To mend"
    ) as error:
        cluster.read_cluster(wants_accounts=False)
    assert "\n" not in str(error.value)


def test_a_command_that_does_not_end_is_not_waited_for(tmp_path):
    slow = tmp_path / "sinfo"
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    with pytest.raises(NoClusterError, match=r"did not end in 0\.2 s"):
        cluster.ask(str(slow), timeout_s=0.2)


def test_commands_that_are_not_there_are_all_named(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NoClusterError, match="no sbatch, sinfo"):
        cluster.check_commands("sbatch", "sinfo")
    with pytest.raises(NoClusterError, match="sinfo is not on the path"):
        cluster.ask("sinfo")
