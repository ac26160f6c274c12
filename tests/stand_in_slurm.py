"""SLURM's client commands as small programs that print recorded text, and note each call.

The text is what SLURM 22.05.8 printed, with more nodes and accounts in the same form.
"""

from __future__ import annotations

import os
from pathlib import Path

CONFIG = """\
Configuration data as of 2026-11-27T20:15:00
AccountingStorageBackupHost = (null)
AccountingStorageEnforce = {enforce}
AccountingStorageHost   = localhost
AccountingStorageType   = {storage}
ClusterName             = ci
EnforcePartLimits       = NO
MaxArraySize            = 1001
MinJobAge               = 300 sec
SLURM_VERSION           = 22.05.8

Slurmctld(primary) at vm is UP
"""

PARTITIONS = (
    "PartitionName=cpu AllowGroups=ALL AllowAccounts=ALL AllowQos=ALL AllocNodes=ALL Default=YES QoS=N/A "
    "DefaultTime=NONE DisableRootJobs=NO ExclusiveUser=NO GraceTime=0 Hidden=NO MaxNodes=UNLIMITED "
    "MaxTime=4-00:00:00 MinNodes=0 LLN=NO MaxCPUsPerNode=UNLIMITED Nodes=n[1-2] PriorityJobFactor=1 "
    "PriorityTier=1 RootOnly=NO ReqResv=NO OverSubscribe=NO OverTimeLimit=NONE PreemptMode=OFF State=UP "
    "TotalCPUs=40 TotalNodes=2 SelectTypeParameters=NONE JobDefaults=(null) DefMemPerCPU=500 "
    "MaxMemPerNode=UNLIMITED TRES=cpu=40,mem=192000M,node=2,billing=40\n"
    "PartitionName=gpu AllowGroups=ALL AllowAccounts=lab,core DenyQos=slow AllocNodes=ALL Default=NO QoS=N/A "
    "DefaultTime=NONE DisableRootJobs=NO ExclusiveUser=NO GraceTime=0 Hidden=NO MaxNodes=UNLIMITED "
    "MaxTime=UNLIMITED MinNodes=0 LLN=NO MaxCPUsPerNode=16 Nodes=g[1-2] PriorityJobFactor=1 "
    "PriorityTier=1 RootOnly=NO ReqResv=NO OverSubscribe=NO OverTimeLimit=NONE PreemptMode=OFF State=UP "
    "TotalCPUs=64 TotalNodes=2 SelectTypeParameters=NONE JobDefaults=(null) DefMemPerCPU=500 "
    "MaxMemPerNode=100000 TRES=cpu=64,mem=512000M,node=2,billing=64,gres/gpu=6\n"
    "PartitionName=old AllowGroups=ALL AllowAccounts=ALL AllowQos=ALL Default=NO MaxTime=30:00 "
    "MaxCPUsPerNode=UNLIMITED Nodes=(null) State=DRAIN MaxMemPerNode=UNLIMITED\n"
)

NODES = """\
cpu|n1|8|64000|(null)
cpu|n2|32|128000|(null)
gpu|g1|32|256000|gpu:a100:4(S:0-1)
gpu|g2|32|256000|gpu:2,shard:8
"""

ACCOUNTS = """\
lab|lab||fast,normal
lab|other|cpu|normal
"""


def install(folder: Path, **text: str) -> dict[str, str]:
    """Write the programs into ``folder`` and return an environment that finds them first.

    Args:
        text: what to print in place of the recorded text, by ``enforce``, ``storage``, ``partitions``,
            ``nodes`` and ``accounts``; ``failing`` names a program that fails, ``absent`` one to leave out.
    """
    folder.mkdir(parents=True)
    config = CONFIG.format(
        enforce=text.get("enforce", "none"), storage=text.get("storage", "accounting_storage/none")
    )
    answers = {
        "scontrol": f"case \"$*\" in *config*) cat '{_file(folder, 'config', config)}' ;; "
        f"*) cat '{_file(folder, 'partitions', text.get('partitions', PARTITIONS))}' ;; esac",
        "sinfo": f"cat '{_file(folder, 'nodes', text.get('nodes', NODES))}'",
        "sacctmgr": f"cat '{_file(folder, 'accounts', text.get('accounts', ACCOUNTS))}'",
        **dict.fromkeys(("sbatch", "scancel", "squeue", "sacct"), "exit 1"),
    }
    for name, answer in answers.items():
        if name == text.get("absent"):
            continue
        if name == text.get("failing"):
            answer = "echo 'Unable to contact slurm controller (connect failure)' >&2; exit 1"
        program = folder / name
        program.write_text(f"#!/bin/sh\necho \"{name} $*\" >> '{folder}/calls'\n{answer}\n")
        program.chmod(0o755)
    return {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


def _file(folder: Path, name: str, text: str) -> Path:
    path = folder / f"{name}.txt"
    path.write_text(text)
    return path


def calls(folder: Path, *without: str) -> list[str]:
    """The commands that were run, without those of some programs."""
    log = folder / "calls"
    lines = log.read_text().splitlines() if log.exists() else []
    return [line for line in lines if line.split()[0] not in without]
