"""Requests held against a literal cluster: what SLURM refuses or never starts, and nothing else."""

from dataclasses import replace

import pytest

import stand_in_slurm
from biosae import cluster
from biosae.cluster import Association, Cluster
from biosae.cluster_requests import Request, examine, request_of
from biosae.errors import ClusterError

NODES = cluster.parse_nodes(stand_in_slurm.NODES)
PLAIN = Cluster(
    {
        name: replace(found, nodes=NODES.get(name, ()))
        for name, found in cluster.parse_partitions(stand_in_slurm.PARTITIONS).items()
    },
    user="ada",
)
ACCOUNTS = (
    Association("lab", "", frozenset({"fast", "normal"}), default=True),
    Association("other", "cpu", frozenset({"normal"})),
)
ENFORCING = replace(PLAIN, accounting=True, enforces_accounts=True, enforces_qos=True, associations=ACCOUNTS)


def faults(*requests, on=PLAIN, account=""):
    found = examine(requests, on, account)
    return list(found.errors), list(found.warnings)


@pytest.mark.parametrize(
    "fine",
    [
        Request("a"),
        Request("a", ("cpu",), cpus=32, mem_mb=128_000, minutes=5760),
        Request("a", ("gpu",), cpus=16, mem_mb=100_000, minutes=100_000, gres=(("gpu", "", 4),)),
        Request("a", ("gpu",), gres=(("gpu", "A100", 4), ("gpu", "", 2))),
        Request("a", ("gpu",), gres=(("shard", "", 8),)),
        Request("a", ("cpu", "gpu"), gres=(("gpu", "", 1),)),  # SLURM takes the one that can
        Request("a", ("nowhere",), cpus=1000, elsewhere=True),
    ],
)
def test_what_fits_is_let_through(fine):
    assert faults(fine) == ([], [])


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (Request("a", ("gpux",)), "partition gpux does not exist (there are cpu, gpu, old)"),
        (Request("a", ("cpu", "gpux")), "partition gpux does not exist (there are cpu, gpu, old)"),
        (Request("a", ("old",)), "partition old takes no jobs now (its state is DRAIN)"),
        (Request("a", ("cpu",), gres=(("gpu", "", 1),)), "no node of partition cpu has a GPU"),
        (
            Request("a", ("gpu",), gres=(("gpu", "h100", 1),)),
            "no node of partition gpu has a GPU of type h100 (there are a100)",
        ),
        (
            Request("a", ("gpu",), gres=(("gpu", "", 8),)),
            "8 GPU asked, a node of partition gpu has 4 at most",
        ),
        (
            Request("a", minutes=5761),
            "5761 minutes asked, 5760 minutes is the most in partition cpu: SLURM would never start it",
        ),
        (
            Request("a", cpus=33),
            "33 cores asked, a node of partition cpu has 32 at most: SLURM would never start it",
        ),
        (
            Request("a", ("gpu",), cpus=17),
            "17 cores asked, a node of partition gpu has 16 at most: SLURM would never start it",
        ),
        (Request("a", mem_mb=128_001), "128001 MB asked, a node of partition cpu has 128000 at most"),
        (
            Request("a", ("gpu",), mem_mb=100_001),
            "100001 MB asked, a node of partition gpu has 100000 at most",
        ),
        (
            Request("a", ("gpu",), gres=(("gpu", "", 4), ("shard", "", 8))),
            "no one node of partition gpu has all of 1 cores, 0 MB, 4 gpu, 8 shard: "
            "SLURM would never start it",
        ),
        (
            Request("a", accounts=("lab",)),
            "slurm_account is given, but this cluster keeps no accounts: leave it out",
        ),
        (Request("a", ("gpu",), qos="slow"), "partition gpu does not take QOS slow"),
        (Request("a", ("gpu",), accounts=("x",)), "partition gpu does not take account x"),
    ],
)
def test_what_slurm_would_refuse_or_never_start(request_, words):
    errors, warnings = faults(request_)
    assert words in errors
    assert warnings == []


def test_no_default_partition():
    without = replace(PLAIN, partitions={"gpu": PLAIN.partitions["gpu"]})
    assert faults(Request("a"), on=without)[0] == [
        "no partition given, and none is the default (there are gpu)"
    ]


def test_a_partition_that_is_down_may_come_back():
    down = replace(PLAIN.partitions["cpu"], state="DOWN")
    assert faults(Request("a"), on=replace(PLAIN, partitions={"cpu": down})) == (
        [],
        ["partition cpu is DOWN: jobs wait until it is up"],
    )


def test_a_quality_of_service_may_allow_more_time_than_the_partition():
    errors, warnings = faults(Request("a", minutes=6000, qos="long"))
    assert errors == []
    assert "6000 minutes asked" in warnings[0]


@pytest.mark.parametrize(
    ("request_", "account", "words"),
    [
        (Request("a"), "", None),
        (Request("a", accounts=("LAB",), qos="fast"), "", None),
        (Request("a", ("cpu",), accounts=("other",)), "", None),
        (Request("a", accounts=("nobody",)), "", "account nobody is none of user ada (there are lab, other)"),
        (Request("a"), "nobody", "account nobody is none of user ada (there are lab, other)"),
        (
            Request("a", qos="huge"),
            "",
            "QOS huge is none that user ada may use there (there are fast, normal)",
        ),
        (
            Request("a", ("cpu",), accounts=("other",), qos="fast"),
            "",
            "QOS fast is none that user ada may use there (there are normal)",
        ),
    ],
)
def test_accounts_that_are_enforced(request_, account, words):
    assert faults(request_, on=ENFORCING, account=account) == ([words] if words else [], [])


def test_an_account_for_another_partition_alone():
    elsewhere = (*ACCOUNTS, Association("gpus", "gpu", frozenset({"normal"})))
    on = replace(ENFORCING, associations=elsewhere)
    wrong = Request("a", ("cpu",), accounts=("gpus",))
    assert faults(wrong, on=on) == (["account gpus of user ada is not for partition cpu"], [])
    assert faults(wrong, on=replace(on, enforces_accounts=False, enforces_qos=False)) == ([], [])


def test_a_user_without_account():
    none = replace(ENFORCING, associations=())
    assert faults(Request("a"), on=none)[0] == ["SLURM asks for an account, and user ada has none"]
    unenforced = replace(none, enforces_accounts=False, enforces_qos=False)
    assert faults(Request("a"), on=unenforced) == ([], [])


def test_a_user_without_default_account_must_choose():
    own = (replace(ACCOUNTS[0], default=False),)
    undecided = replace(ENFORCING, associations=own)
    assert faults(Request("a"), on=undecided)[0] == ["no account given, and user ada has no default of lab"]


def test_the_default_account_too_must_be_let_in():
    own = (Association("guests", "", frozenset({"normal"}), default=True),)
    errors, _ = faults(Request("a", ("gpu",)), on=replace(ENFORCING, associations=own))
    assert errors == ["partition gpu does not take account guests"]


def test_a_quality_of_service_that_is_not_enforced_is_a_warning():
    lax = replace(ENFORCING, enforces_qos=False)
    errors, warnings = faults(Request("a", qos="huge"), on=lax)
    assert (errors, len(warnings)) == ([], 1)


def test_accounts_that_could_not_be_asked_for_are_said():
    silent = replace(ENFORCING, associations=None, silent="sacctmgr failed")
    assert faults(Request("a", accounts=("x",)), on=silent) == ([], ["not checked. sacctmgr failed"])


def test_rules_with_one_fault_share_a_line_and_all_is_said_at_once():
    found = examine([Request("a", ("x",)), Request("b", ("x",)), Request("b", cpus=99)], PLAIN)
    with pytest.raises(ClusterError) as error:
        found.check()
    text = str(error.value)
    assert "  a, b: partition x does not exist" in text
    assert "  b: 99 cores asked" in text
    assert "nothing was submitted" in text


def test_a_later_attempt_that_would_never_start_is_a_warning():
    first = examine([Request("a", mem_mb=64_000), Request("b", cpus=99)], PLAIN)
    first.add_later(examine([Request("a", mem_mb=256_000), Request("b", cpus=99)], PLAIN), 3)
    assert first.warning_lines() == [
        "a: in attempt 3: 256000 MB asked, a node of partition cpu has 128000 at most"
    ]


@pytest.mark.parametrize(
    ("resources", "wanted"),
    [
        ({}, Request("a", cpus=3)),
        (
            {"slurm_partition": "cpu,gpu", "mem_mb": 2000, "runtime": 60, "slurm_account": "x y"},
            Request("a", ("cpu", "gpu"), 3, 2000, 60, accounts=("x", "y")),
        ),
        ({"gpu": 2}, Request("a", cpus=3, gres=(("gpu", "", 2),))),
        ({"gpu": 0, "gres": "gpu:a100:1"}, Request("a", cpus=3, gres=(("gpu", "a100", 1),))),
        ({"gpu_model": "a100"}, Request("a", cpus=3, gres=(("gpu", "a100", 1),))),
        ({"gpu": 2, "cpus_per_gpu": 4}, Request("a", cpus=8, gres=(("gpu", "", 2),))),
        ({"cpus_per_task": 8, "mem_mb_per_cpu": 500}, Request("a", cpus=8, mem_mb=4000)),
        ({"mem_mb": "<TBD>", "tmpdir": "/tmp"}, Request("a", cpus=3)),
        ({"qos": "own"}, Request("a", cpus=3, qos="own")),
        ({"clusters": "far"}, Request("a", cpus=3, elsewhere=True)),
    ],
)
def test_what_the_executor_would_ask_for(resources, wanted):
    assert request_of("a", resources, threads=3) == wanted


def test_a_quality_of_service_for_all_jobs():
    assert request_of("a", {}, 1, qos="all").qos == "all"
    assert request_of("a", {"qos": "own"}, 1, qos="all").qos == "own"
