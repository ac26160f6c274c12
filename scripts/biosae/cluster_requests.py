"""What jobs would ask of a SLURM cluster, and which of it SLURM would refuse or let wait for ever.

SLURM queues a job that asks for more cores or time than its partition has, without an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from biosae.cluster import Cluster, Node, Partition, parse_gres
from biosae.errors import ClusterError

_FOR_EVER = "SLURM would never start it"


@dataclass(frozen=True)
class Request:
    """What one job asks for; zero where it says nothing.

    ``elsewhere``: of another cluster, which is not asked.
    """

    rule: str
    partitions: tuple[str, ...] = ()
    cpus: int = 1
    mem_mb: int = 0
    minutes: int = 0
    gres: tuple[tuple[str, str, int], ...] = ()
    accounts: tuple[str, ...] = ()
    qos: str = ""
    elsewhere: bool = False


def request_of(rule: str, resources: Mapping[str, object], threads: int, qos: str = "") -> Request:
    """What ``snakemake-executor-plugin-slurm`` would ask ``sbatch`` for.

    Args:
        resources: of a job, by name; text where a number should be is not known yet, and counts as not asked.
        qos: of all jobs, where the job has none of its own.
    """
    number = {key: value for key, value in resources.items() if isinstance(value, int)}
    words = {key: str(value) for key, value in resources.items() if value is not None}
    kind, gpus = words.get("gpu_model", ""), number.get("gpu", 1 if words.get("gpu_model") else 0)
    gres = parse_gres(words.get("gres", ""))
    if gpus:
        gres = (*gres, ("gpu", kind, gpus))
    has_gpu = any(name == "gpu" for name, _, _ in gres)
    cpus = number.get("cpus_per_task") or threads
    if has_gpu and "cpus_per_gpu" in number and not number.get("cpus_per_task"):
        cpus = number["cpus_per_gpu"] * sum(count for name, _, count in gres if name == "gpu")
    per_cpu = number.get("mem_mb_per_cpu", 0)
    return Request(
        rule=rule,
        partitions=_names(words.get("slurm_partition", "")),
        cpus=max(cpus, 1),  # a negative count leaves it to the cluster
        mem_mb=per_cpu * max(cpus, 1) if per_cpu else number.get("mem_mb", 0),
        minutes=number.get("runtime", 0),
        gres=gres,
        accounts=_names(words.get("slurm_account", "")),
        qos=words.get("qos", qos),
        elsewhere=any(words.get(key) for key in ("cluster", "clusters", "slurm_cluster")),
    )


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.replace(",", " ").split())


@dataclass
class Findings:
    """What is wrong, each with the rules it is wrong for: for certain, or perhaps."""

    errors: dict[str, list[str]]
    warnings: dict[str, list[str]]

    def add(self, rule: str, problem: str, certain: bool = True) -> None:
        """Note one problem of one rule."""
        rules = (self.errors if certain else self.warnings).setdefault(problem, [])
        if rule not in rules:
            rules.append(rule)

    def add_later(self, later: Findings, attempt: int) -> None:
        """Note as warnings what is wrong for a later attempt alone, which may ask for more."""
        for problem in later.errors.keys() - self.errors.keys():
            for rule in later.errors[problem]:
                self.add(rule, f"in attempt {attempt}: {problem}", certain=False)

    def warning_lines(self) -> list[str]:
        """One line a warning."""
        return _lines(self.warnings)

    def check(self) -> None:
        """Refuse what is wrong for certain.

        Raises:
            ClusterError: lists it.
        """
        if self.errors:
            raise ClusterError(
                f"SLURM would refuse {len(self.errors)} thing(s) or let them wait; nothing was submitted:\n"
                + "".join(f"  {line}\n" for line in _lines(self.errors)),
                mend="account, partitions, set-resources and set-threads stand in the profile's config.yaml; "
                "`scontrol show partition` and `sinfo` say what the cluster has",
            )


def _lines(problems: dict[str, list[str]]) -> list[str]:
    return [f"{', '.join(rules)}: {problem}" for problem, rules in problems.items()]


def examine(requests: Iterable[Request], cluster: Cluster, asked_account: str = "") -> Findings:
    """Hold requests against the cluster.

    Args:
        asked_account: the account of jobs that name none, from SBATCH_ACCOUNT; empty for the user's default.
    """
    found = Findings({}, {})
    for request in dict.fromkeys(requests):
        if request.elsewhere:
            continue
        partitions = _partitions(request, cluster, found)
        if partitions:
            _examine_size(request, partitions, found)
        names = request.accounts or ((asked_account,) if asked_account else ())
        charged = names or tuple(entry.account for entry in cluster.associations or () if entry.default)
        _examine_admission(request, partitions, charged, found)
        _examine_account(request, partitions, cluster, names, found)
    if cluster.silent:
        found.add("accounts", f"not checked. {cluster.silent}", certain=False)
    return found


def _partitions(request: Request, cluster: Cluster, found: Findings) -> list[Partition]:
    """The partitions that SLURM may choose from, those noted that are not there or take no jobs."""
    if not request.partitions and cluster.default is None:
        found.add(request.rule, f"no partition given, and none is the default (there are {_all(cluster)})")
    chosen = []
    for name in request.partitions or ((cluster.default,) if cluster.default else ()):
        partition = cluster.partitions.get(name)
        if partition is None:
            found.add(request.rule, f"partition {name} does not exist (there are {_all(cluster)})")
        elif partition.state in ("DRAIN", "INACTIVE"):
            found.add(request.rule, f"partition {name} takes no jobs now (its state is {partition.state})")
        else:
            chosen.append(partition)
            if partition.state != "UP":
                found.add(
                    request.rule, f"partition {name} is {partition.state}: jobs wait until it is up", False
                )
    return chosen


def _all(cluster: Cluster) -> str:
    return ", ".join(sorted(cluster.partitions)) or "none"


def _examine_size(request: Request, partitions: list[Partition], found: Findings) -> None:
    """Note a request that no partition of its choice can hold."""
    problems = [_oversize(request, partition) for partition in partitions]
    if any(not of_one for of_one in problems):
        return
    for of_one in problems:
        for problem, certain in of_one:
            found.add(request.rule, problem, certain)


def _oversize(request: Request, partition: Partition) -> list[tuple[str, bool]]:
    """What of a request is too much for one partition, and whether that is certain; empty where it fits."""
    problems = []
    name, nodes = partition.name, partition.nodes
    if request.minutes > partition.minutes:
        # a QOS may be allowed to go beyond its partition
        limit = f"{partition.minutes:g} minutes is the most in partition {name}"
        problems.append((f"{request.minutes} minutes asked, {limit}: {_FOR_EVER}", not request.qos))
    if not nodes:
        return [*problems, (f"partition {name} has no nodes", False)]
    if any(_holds(node, request, partition) for node in nodes):
        return problems
    cpus = min(max(node.cpus for node in nodes), partition.cpus)
    mem_mb = min(max(node.mem_mb for node in nodes), partition.mem_mb)
    single = []
    if request.cpus > cpus:
        single.append(
            f"{request.cpus} cores asked, a node of partition {name} has {cpus:g} at most: {_FOR_EVER}"
        )
    if request.mem_mb > mem_mb:
        single.append(f"{request.mem_mb} MB asked, a node of partition {name} has {mem_mb:g} at most")
    single += [problem for device in request.gres for problem in _lacking(device, partition)]
    whole = f"no one node of partition {name} has all of {_describe(request)}: {_FOR_EVER}"
    return problems + [(problem, True) for problem in single or [whole]]


def _lacking(device: tuple[str, str, int], partition: Partition) -> list[str]:
    """A device that no node of a partition has, or not as often as asked."""
    name, kind, count = device
    most = max(node.count(name, kind) for node in partition.nodes)
    if count <= most:
        return []
    label = f"{name.upper() if name == 'gpu' else name}{f' of type {kind}' if kind else ''}"
    if most:
        return [f"{count} {label} asked, a node of partition {partition.name} has {most} at most"]
    there = sorted({own for node in partition.nodes for other, own, _ in node.gres if other == name and own})
    return [
        f"no node of partition {partition.name} has a {label}"
        + (f" (there are {', '.join(there)})" if there else "")
    ]


def _holds(node: Node, request: Request, partition: Partition) -> bool:
    return (
        request.cpus <= min(node.cpus, partition.cpus)
        and request.mem_mb <= min(node.mem_mb, partition.mem_mb)
        and all(node.count(name, kind) >= count for name, kind, count in request.gres)
    )


def _describe(request: Request) -> str:
    gres = [f"{count} {name}{f':{kind}' if kind else ''}" for name, kind, count in request.gres]
    return ", ".join([f"{request.cpus} cores", f"{request.mem_mb} MB", *gres])


def _examine_admission(
    request: Request, partitions: list[Partition], names: tuple[str, ...], found: Findings
) -> None:
    """Note an account or a QOS that a partition does not take."""
    for partition in partitions:
        for key, sort, wanted in (("Accounts", "account", names), ("Qos", "QOS", (request.qos,))):
            for name in filter(None, wanted):
                if not partition.admits(key, name):
                    found.add(request.rule, f"partition {partition.name} does not take {sort} {name}")


def _examine_account(
    request: Request, partitions: list[Partition], cluster: Cluster, names: tuple[str, ...], found: Findings
) -> None:
    """Note an account or QOS that SLURM, or the executor plugin, would refuse."""
    if request.accounts and not cluster.accounting:
        found.add(request.rule, "slurm_account is given, but this cluster keeps no accounts: leave it out")
    own = cluster.associations
    if own == () and cluster.enforces_accounts:
        found.add(request.rule, f"SLURM asks for an account, and user {cluster.user} has none")
    if not own:
        return
    theirs = ", ".join(sorted({entry.account for entry in own}))
    for name in names:
        if name.lower() not in {entry.account for entry in own}:
            found.add(request.rule, f"account {name} is none of user {cluster.user} (there are {theirs})")
    chosen = {name.lower() for name in names}
    here = {"", *(partition.name for partition in partitions)}
    usable = [entry for entry in own if entry.partition in here]
    usable = [entry for entry in usable if (entry.account in chosen if chosen else entry.default)]
    if partitions and not usable and cluster.enforces_accounts:
        where = ", ".join(partition.name for partition in partitions)
        if not names:
            found.add(request.rule, f"no account given, and user {cluster.user} has no default of {theirs}")
        elif chosen & {entry.account for entry in own}:
            found.add(request.rule, f"account {names[0]} of user {cluster.user} is not for partition {where}")
    if request.qos and usable and not any(request.qos.lower() in entry.qos for entry in usable):
        there = ", ".join(sorted({name for entry in usable for name in entry.qos})) or "none"
        problem = f"QOS {request.qos} is none that user {cluster.user} may use there (there are {there})"
        found.add(request.rule, problem, certain=cluster.enforces_qos)
