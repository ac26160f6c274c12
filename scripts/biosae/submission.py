"""Hold a plan against the SLURM cluster that it is for, before anything is submitted to it."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from biosae.cluster import Cluster, check_commands, read_cluster
from biosae.cluster_requests import Findings, Request, examine
from biosae.errors import NoClusterError
from biosae.shared_paths import read_mounts, unshared

SYSTEM = ("/usr", "/opt")


def check_submission(
    requests: list[Request],
    paths: Mapping[str, str | Path],
    warn: Callable[[str], None],
    *,
    later: tuple[int, list[Request]] = (1, []),
    status_command: str | None = None,
) -> None:
    """Ask SLURM what it has and refuse what it would refuse or never start.

    Args:
        requests: what each job asks for.
        paths: what compute nodes must see, by what it is to the user.
        warn: takes each thing that may go wrong.
        later: the last attempt's number, and what each job asks for in it.
        status_command: what the executor plugin asks after its jobs, if known: ``sacct`` or ``squeue``.

    Raises:
        NoClusterError: SLURM's commands are not there, or its controller does not answer.
        ClusterError: lists what is wrong.
    """
    account = os.environ.get("SBATCH_ACCOUNT", "")
    named = any(request.accounts for request in requests)
    # the plugin checks an account with sacctmgr, and looks for one with sacct where none is given
    check_commands("sbatch", "scancel", "sinfo", "scontrol", "squeue", "sacctmgr" if named else "sacct")
    cluster = read_cluster(wants_accounts=named or bool(account) or any(request.qos for request in requests))
    found = examine(requests, cluster, account)
    found.add_later(examine(later[1], cluster, account), later[0])
    if status_command == "sacct" and not cluster.accounting:
        problem = "no job would be seen to end without accounting: set slurm-status-command: squeue"
        found.add("status", problem)
    _check_paths(requests, paths, cluster, found)
    for line in found.warning_lines():
        warn(line)
    found.check()


def _check_paths(
    requests: list[Request], paths: Mapping[str, str | Path], cluster: Cluster, found: Findings
) -> None:
    """Note paths that nodes do not see, unless every node is this very machine."""
    names = {name for request in requests for name in request.partitions or (cluster.default,)}
    nodes = [node for name in names if name in cluster.partitions for node in cluster.partitions[name].nodes]
    here = socket.gethostname().split(".")[0]
    if all(node.host.split(".")[0] == here for node in nodes):
        return
    # packages of the system are at the same place on every node; an environment of the user's is one place
    own = {} if sys.prefix.startswith(SYSTEM) else {"Python environment": sys.prefix}
    certain, perhaps = unshared({**paths, **own}, read_mounts())
    for line in certain:
        found.add("paths", f"compute nodes do not see {line}")
    for line in perhaps:
        found.add(
            "paths",
            f"compute nodes may not see these, if they are not shared under the same name: {line}",
            False,
        )


def check_dry_run(
    requests: list[Request], paths: Mapping[str, str | Path], warn: Callable[[str], None]
) -> None:
    """``check_submission``, but where there is no SLURM to ask it only warns: a plan needs none.

    Raises:
        ClusterError: lists what is wrong.
    """
    try:
        check_submission(requests, paths, warn)
    except NoClusterError as error:
        warn(f"The plan was not held against the cluster. {error}")
