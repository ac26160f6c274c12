"""What a SLURM cluster says of itself: partitions, nodes, accounts; asked once, before jobs are submitted.

The parsing functions take text that SLURM 22.05 or newer prints, and know nothing of Snakemake.
"""

from __future__ import annotations

import getpass
import math
import re
import shutil
import subprocess
from dataclasses import dataclass, replace

from biosae.errors import NoClusterError

TIMEOUT_S = 30  # SLURM's own commands give up after about ten
NODE_FORMAT = "%R|%n|%c|%m|%G"
ASSOCIATION_FORMAT = "defaultaccount,account,partition,qos"
# each of these words in AccountingStorageEnforce makes SLURM refuse a user whom it has no account for
_ENFORCING = {"associations", "limits", "qos", "safe", "wckeys", "all"}
_COUNT = re.compile(r"(\d+)([KMGT]?)", re.IGNORECASE)
_MEND = "start snakemake where `sinfo` answers, once the controller is up; jobs that ended well are kept"


@dataclass(frozen=True)
class Node:
    """One node: its host, cores as SLURM counts them, memory (MiB) and devices by (name, type)."""

    host: str
    cpus: int
    mem_mb: int
    gres: tuple[tuple[str, str, int], ...] = ()

    def count(self, name: str, kind: str = "") -> int:
        """Devices called ``name``, of one type or of any."""
        return sum(n for other, own, n in self.gres if other == name and kind.lower() in ("", own.lower()))


@dataclass(frozen=True)
class Partition:
    """One partition: its limits (infinite where it has none), who may use it, and its nodes."""

    name: str
    default: bool = False
    state: str = "UP"
    minutes: float = math.inf
    cpus: float = math.inf
    mem_mb: float = math.inf
    allow: tuple[tuple[str, frozenset[str]], ...] = ()
    nodes: tuple[Node, ...] = ()

    def admits(self, key: str, name: str) -> bool:
        """Whether AllowAccounts, DenyAccounts, AllowQos or DenyQos let this account or QOS in."""
        allow, deny = dict(self.allow).get(f"Allow{key}"), dict(self.allow).get(f"Deny{key}")
        return (allow is None or name.lower() in allow) and (deny is None or name.lower() not in deny)


@dataclass(frozen=True)
class Association:
    """One account that a user may charge; ``partition`` is empty where it holds for all."""

    account: str
    partition: str
    qos: frozenset[str]
    default: bool = False


@dataclass(frozen=True)
class Cluster:
    """A cluster as one user sees it; ``associations`` is None where SLURM keeps none, or could not say."""

    partitions: dict[str, Partition]
    accounting: bool = False
    enforces_accounts: bool = False
    enforces_qos: bool = False
    user: str = ""
    associations: tuple[Association, ...] | None = None
    silent: str = ""  # why the accounts are not known, where they should be

    @property
    def default(self) -> str | None:
        """The partition of jobs that name none."""
        return next((name for name, found in self.partitions.items() if found.default), None)


def parse_minutes(text: str) -> float:
    """Minutes of a SLURM time: ``UNLIMITED``, minutes, or ``days-hours:minutes:seconds`` or parts of it."""
    if text.upper() in ("UNLIMITED", "INFINITE", "NONE"):
        return math.inf
    days, dash, rest = text.rpartition("-")
    parts = [int(part) for part in rest.split(":")]
    if dash:  # days-hours, days-hours:minutes, days-hours:minutes:seconds
        hours, minutes, seconds = [*parts, 0, 0][:3]
    elif len(parts) == 3:
        hours, minutes, seconds = parts
    else:  # minutes, minutes:seconds
        hours, minutes, seconds = 0, parts[0], (parts[1] if len(parts) == 2 else 0)
    return (int(days or 0) * 24 + hours) * 60 + minutes + seconds / 60


def parse_gres(text: str) -> tuple[tuple[str, str, int], ...]:
    """``gpu:a100:4(S:0-1),gpu:2`` -> ``(("gpu", "a100", 4), ("gpu", "", 2))``; no type is an empty one."""
    found = []
    # what stands in parentheses are sockets or indices, and may hold commas
    plain = "".join(part.partition(")")[2] if index else part for index, part in enumerate(text.split("(")))
    for entry in filter(None, plain.split(",")):
        name, *rest = entry.split(":")
        number = _COUNT.fullmatch(rest[-1]) if rest else None
        count = int(number[1]) * 1024 ** " KMGT".index(number[2].upper() or " ") if number else 1
        kinds = rest[:-1] if number else rest
        found.append((name, kinds[0] if kinds else "", count))
    return tuple(found)


def parse_partitions(text: str) -> dict[str, Partition]:
    """Partitions of ``scontrol --all --oneliner show partition``, without their nodes."""
    found = {}
    for line in text.splitlines():
        if not line.startswith("PartitionName="):
            continue
        # a value without "=" belongs to no key: no field that is read here has spaces in it
        fields = dict(word.split("=", 1) for word in line.split() if "=" in word)
        lists = {
            key: frozenset(fields[key].lower().split(","))
            for key in ("AllowAccounts", "DenyAccounts", "AllowQos", "DenyQos")
            if fields.get(key, "ALL") not in ("ALL", "NONE", "(null)")
        }
        found[fields["PartitionName"]] = Partition(
            name=fields["PartitionName"],
            default=fields.get("Default") == "YES",
            state=fields.get("State", "UP"),
            minutes=parse_minutes(fields.get("MaxTime", "UNLIMITED")),
            cpus=_limit(fields.get("MaxCPUsPerNode")),
            mem_mb=_limit(fields.get("MaxMemPerNode")),
            allow=tuple(sorted(lists.items())),
        )
    return found


def _limit(text: str | None) -> float:
    return float(text) if text and text.isdigit() and text != "0" else math.inf


def parse_nodes(text: str) -> dict[str, tuple[Node, ...]]:
    """Nodes of each partition from ``sinfo --noheader --all --exact`` with ``NODE_FORMAT``."""
    found: dict[str, tuple[Node, ...]] = {}
    for line in filter(str.strip, text.splitlines()):
        partition, host, cpus, mem_mb, gres = (field.strip() for field in line.split("|"))
        devices = () if gres == "(null)" else parse_gres(gres)
        found[partition] = (*found.get(partition, ()), Node(host, int(cpus), int(mem_mb), devices))
    return found


def parse_config(text: str) -> dict[str, str]:
    """Settings of ``scontrol show config``."""
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line)
    return {key.strip(): value.strip() for key, _, value in pairs}


def parse_associations(text: str) -> tuple[Association, ...]:
    """A user's accounts from ``sacctmgr --noheader --parsable2`` with ``ASSOCIATION_FORMAT``."""
    found = []
    for line in filter(str.strip, text.splitlines()):
        default, account, partition, qos = line.split("|")
        if account:  # a user of other clusters alone is a line of empty fields
            names = frozenset(filter(None, qos.lower().split(",")))
            found.append(Association(account.lower(), partition, names, account == default))
    return tuple(found)


def ask(*command: str, timeout_s: float = TIMEOUT_S) -> str:
    """What one of SLURM's commands prints.

    Raises:
        NoClusterError: it is not on the path, does not end in time, or fails.
    """
    line = " ".join(command)
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False)
    except FileNotFoundError:
        raise NoClusterError(f"SLURM's {command[0]} is not on the path", mend=_MEND) from None
    except subprocess.TimeoutExpired:
        raise NoClusterError(
            f"SLURM does not answer: {line} did not end in {timeout_s:g} s",
            mend=_MEND,
        ) from None
    if done.returncode:
        raise NoClusterError(
            f"SLURM does not answer: {line} failed",
            got=" ".join((done.stderr or done.stdout).split()) or f"exit code {done.returncode}",
            mend=_MEND,
        )
    return done.stdout


def check_commands(*names: str) -> None:
    """Check that these commands are on the path.

    Raises:
        NoClusterError: names all that are not.
    """
    missing = [name for name in names if shutil.which(name) is None]
    if missing:
        raise NoClusterError(
            "SLURM's commands are not on the path", got=f"no {', '.join(missing)}", mend=_MEND
        )


def read_cluster(wants_accounts: bool) -> Cluster:
    """Ask SLURM: one ``sinfo``, two ``scontrol`` and at most one ``sacctmgr``.

    Args:
        wants_accounts: ask for the user's accounts even where SLURM does not enforce them.

    Raises:
        NoClusterError: SLURM does not answer.
    """
    config = parse_config(ask("scontrol", "show", "config"))
    nodes = parse_nodes(ask("sinfo", "--noheader", "--all", "--exact", f"--format={NODE_FORMAT}"))
    partitions = {
        name: replace(found, nodes=nodes.get(name, ()))
        for name, found in parse_partitions(
            ask("scontrol", "--all", "--oneliner", "show", "partition")
        ).items()
    }
    enforced = set(config.get("AccountingStorageEnforce", "none").lower().split(","))
    cluster = Cluster(
        partitions=partitions,
        accounting=config.get("AccountingStorageType", "").endswith("slurmdbd"),
        enforces_accounts=bool(enforced & _ENFORCING),
        enforces_qos=bool(enforced & {"qos", "all"}),
        user=getpass.getuser(),
    )
    matters = wants_accounts or cluster.enforces_accounts or any(found.allow for found in partitions.values())
    if not (cluster.accounting and matters):
        return cluster
    where = f"cluster={config.get('ClusterName', '')}"
    command = ("sacctmgr", "--noheader", "--parsable2", "list", "user", cluster.user, "withassoc", where)
    try:
        answer = ask(*command, f"format={ASSOCIATION_FORMAT}")
    except NoClusterError as error:  # the database may rest while the controller works from its copy
        return replace(cluster, silent=str(error))
    return replace(cluster, associations=parse_associations(answer))
