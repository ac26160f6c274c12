"""Bad input against a real SLURM: each fault is said before anything is submitted; what is fine passes."""

import sys
from pathlib import Path
from types import SimpleNamespace

import helpers
import pytest
import yaml
from cluster import ACCOUNT, Cluster, missing_servers
from project import PATIENCE_SECONDS

import warm_snakemake

pytestmark = [pytest.mark.slurm, pytest.mark.xdist_group("bad input")]
SELECTED = "results/demo/synthetic/topk-x3-k3-lr0.004-s0/selected_nodes.tsv"
KERNELS = "results/demo/kernels/sae.txt"
ON_GPU = {"slurm_partition": "gpu"}
ON_GPUS = ("train_sae", "encode_activations", "collect_examples", "write_tracks")  # as in the profile
PROFILE = {
    "executor": "slurm",
    "jobs": 2,
    "scheduler": "greedy",
    "slurm-status-command": "squeue",
    "slurm-init-seconds-before-status-checks": 2,
}
DEFAULTS = {"slurm_partition": "cpu", "mem_mb": 500, "runtime": 10}


class Enforcing(Cluster):
    """A cluster that takes jobs of known accounts and QOS alone."""

    def _configure(self) -> None:
        super()._configure()
        with self.conf.open("a") as conf:
            conf.write("AccountingStorageEnforce=associations,qos\n")


@pytest.fixture(scope="module")
def enforcing_cluster(tmp_path_factory):
    if missing := missing_servers(accounting=True):
        pytest.skip(f"no SLURM with accounting on this machine: {missing} not found")
    made = Enforcing(tmp_path_factory.mktemp("enforcing") / "cluster", accounting=True).start()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return helpers.copy_project(tmp_path_factory.mktemp("bad_input"))


def start(project, cluster, *arguments, defaults=(), rules=(), config="config/demo.yaml", **settings):
    """Start the demo on ``cluster`` with a profile of its own; its end, and the jobs that SLURM was given."""
    profile = project / "changed" / "config.yaml"
    profile.parent.mkdir(exist_ok=True)
    resources = dict.fromkeys(ON_GPUS, ON_GPU) | dict(rules)
    changed = {"default-resources": DEFAULTS | dict(defaults), "set-resources": resources}
    profile.write_text(yaml.safe_dump({**PROFILE, **changed, **settings}))
    before = set(cluster.jobs())
    words = ["--profile", "changed", *arguments, "--configfile", config]
    environment = {**cluster.env, "PATH": f"{Path(sys.executable).parent}:{cluster.env['PATH']}"}
    done = warm_snakemake.run(words, project, environment, PATIENCE_SECONDS)
    return done, set(cluster.jobs()) - before


def of_training(**resources):
    return {"rules": {"train_sae": {**ON_GPU, **resources}}}


def of_statistics(**resources):
    return {"rules": {"compute_statistics": resources}}


FAULTS = {
    "partition": (
        {"defaults": {"slurm_partition": "nowhere"}},
        "partition nowhere does not exist (there are cpu, gpu, urgent)",
    ),
    "no GPU": (of_training(slurm_partition="cpu"), "train_sae: no node of partition cpu has a GPU"),
    "type of GPU": (
        of_training(gpu=0, gres="gpu:a100:1"),
        "train_sae: no node of partition gpu has a GPU of type a100",
    ),
    "GPUs": (of_training(gpu=3), "train_sae: 3 GPU asked, a node of partition gpu has 2 at most"),
    "memory": (
        of_statistics(mem_mb=64_001),
        "compute_statistics: 64001 MB asked, a node of partition cpu has 64000 at most",
    ),
    "cores": (
        {"set-threads": {"compute_statistics": 5}},
        "compute_statistics: 5 cores asked, a node of partition cpu has 4 at most: SLURM would never",
    ),
    "time": (of_statistics(runtime=5761), "compute_statistics: 5761 minutes asked, 5760 minutes is the most"),
    "account": (
        {"defaults": {"slurm_account": "mine"}},
        "slurm_account is given, but this cluster keeps no accounts: leave it out",
    ),
    "sacct": ({"slurm-status-command": "sacct"}, "set slurm-status-command: squeue"),
}
# a dry run is not told the settings of the executor
PLANNED = [fault for fault in FAULTS if fault != "sacct"]


def refused(done, jobs, words):
    text = done.stdout + done.stderr
    assert done.returncode == 1, text
    assert words in text
    assert "Traceback" not in text
    assert jobs == set()


@pytest.mark.parametrize("fault", FAULTS)
def test_a_run_says_a_fault_and_submits_nothing(project, cluster, fault):
    changes, words = FAULTS[fault]
    refused(*start(project, cluster, SELECTED, **changes), words)


@pytest.mark.parametrize("fault", PLANNED)
def test_a_dry_run_says_a_fault(project, cluster, fault):
    changes, words = FAULTS[fault]
    refused(*start(project, cluster, SELECTED, "-n", **changes), words)


def test_a_dry_run_says_all_faults_at_once(project, cluster):
    rules = {"train_sae": {**ON_GPU, "gpu": 3}, "compute_statistics": {"mem_mb": 64_001}}
    account = {"slurm_account": "mine"}
    done, jobs = start(project, cluster, SELECTED, "-n", rules=rules, defaults=account)
    for fault in ("GPUs", "memory", "account"):
        refused(done, jobs, FAULTS[fault][1])


def test_a_dry_run_of_a_plan_that_fits(project, cluster):
    done, _ = start(project, cluster, SELECTED, "-n")
    assert helpers.planned(done)["train_sae"] == 1
    assert "SLURM" not in done.stdout + done.stderr, "nothing to warn of"


@pytest.mark.parametrize(
    ("defaults", "settings", "words"),
    [
        ({"slurm_account": "nobodys"}, {}, "account nobodys is none of user"),
        ({"slurm_account": ACCOUNT}, {"slurm-qos": "huge"}, "QOS huge is none that user"),
    ],
)
def test_accounts_and_qos_that_slurm_enforces(project, enforcing_cluster, defaults, settings, words):
    refused(*start(project, enforcing_cluster, SELECTED, defaults=defaults, **settings), words)


def test_a_known_account_runs(project, enforcing_cluster):
    done, jobs = start(project, enforcing_cluster, KERNELS, "--force", defaults={"slurm_account": ACCOUNT})
    assert done.returncode == 0, done.stderr
    assert len(jobs) == 1


def test_a_later_attempt_that_is_too_large_is_a_warning(project, cluster):
    # the missing partition keeps all from being submitted
    rules = {"compute_statistics": {"mem_mb": "40000 * attempt"}, "train_sae": {"slurm_partition": "nowhere"}}
    done, jobs = start(project, cluster, SELECTED, rules=rules, retries=1)
    refused(done, jobs, "compute_statistics: in attempt 2: 80000 MB asked")
    assert "compute_statistics" not in done.stderr.partition("SLURM would refuse")[2]


def test_a_controller_that_is_gone_is_said(project, cluster, tmp_path):
    lines = [line for line in cluster.conf.read_text().splitlines() if not line.startswith("SlurmctldPort=")]
    conf = tmp_path / "slurm.conf"
    conf.write_text("\n".join([*lines, "SlurmctldPort=1", "MessageTimeout=2"]) + "\n")
    gone = SimpleNamespace(env={**cluster.env, "SLURM_CONF": str(conf)}, jobs=cluster.jobs)
    refused(*start(project, gone, SELECTED), "SLURM does not answer: scontrol show config failed")


def test_results_that_cannot_be_written(project, cluster, tmp_path):
    (tmp_path / "file").touch()
    config = yaml.safe_load((project / "config/demo.yaml").read_text())
    config["results"] = f"{tmp_path}/file/results"
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    refused(*start(project, cluster, config=str(tmp_path / "config.yaml")), "The results cannot be written")
