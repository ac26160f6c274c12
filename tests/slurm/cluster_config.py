"""The configuration files of the throw-away SLURM of ``cluster.py``."""

from __future__ import annotations

import getpass
import socket
from pathlib import Path

SLURM = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
CredType=cred/munge
SlurmctldPort={slurmctld}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/run/slurmctld.pid
SlurmdPidFile={folder}/run/slurmd.%n.pid
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/slurmd.%n.log
# no cgroups, no PAM, no switch: a container has none; by group also the children of a dead process are found
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
# a node may claim more cores and memory than the machine has
SlurmdParameters=config_overrides
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_min_interval=200000,bf_interval=1
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
# seconds between SIGTERM and SIGKILL, and that a finished job stays visible to squeue
KillWait=5
MinJobAge=300
# a job that is preempted is queued again, after {grace} seconds in which it may save what it has
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
# evidence: one line a finished job
JobCompType=jobcomp/filetxt
JobCompLoc={folder}/log/jobcomp.log
GresTypes=gpu
NodeName=DEFAULT RealMemory=64000 State=UNKNOWN
NodeName=cpu01 NodeHostname={host} NodeAddr=127.0.0.1 Port={cpu01} CPUs=4
NodeName=gpu01 NodeHostname={host} NodeAddr=127.0.0.1 Port={gpu01} CPUs=8 Gres=gpu:2
PartitionName=cpu Nodes=cpu01 Default=YES MaxTime=4-0 DefMemPerCPU=500 State=UP
PartitionName=gpu Nodes=gpu01 MaxTime=4-0 DefMemPerCPU=500 GraceTime={grace} PriorityTier=1 State=UP
PartitionName=urgent Nodes=gpu01 MaxTime=4-0 DefMemPerCPU=500 PriorityTier=10 PreemptMode=OFF State=UP
"""

NO_ACCOUNTING = """\
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
"""

ACCOUNTING = """\
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=localhost
AccountingStoragePort={slurmdbd}
AccountingStoragePass={folder}/munge/socket
AccountingStorageTRES=gres/gpu
AccountingStoreFlags=job_comment
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1
JobAcctGatherParams=OverMemoryKill
"""

DATABASE = """\
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
DbdHost=localhost
DbdPort={slurmdbd}
SlurmUser={user}
PidFile={folder}/run/slurmdbd.pid
LogFile={folder}/log/slurmdbd.log
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={mariadbd}
StorageUser=slurm
StoragePass=x
StorageLoc=slurm_acct
"""

GRACE_SECONDS = 20

# Two GPUs that are none: SLURM wants character devices, and then sets CUDA_VISIBLE_DEVICES as on a real node.
GRES = """\
NodeName=gpu01 Name=gpu File=/dev/null
NodeName=gpu01 Name=gpu File=/dev/zero
"""


def slurm_conf(folder: Path, ports: dict[str, int], accounting: bool) -> str:
    """``slurm.conf``."""
    words = {
        "folder": folder,
        "host": socket.gethostname().split(".")[0],
        "user": getpass.getuser(),
        "grace": GRACE_SECONDS,
    }
    return (SLURM + (ACCOUNTING if accounting else NO_ACCOUNTING)).format(**words, **ports)


def database_conf(folder: Path, ports: dict[str, int]) -> str:
    """``slurmdbd.conf``, which holds a password: only its user may read it."""
    return DATABASE.format(folder=folder, user=getpass.getuser(), **ports)


def gres_conf() -> str:
    """``gres.conf``."""
    return GRES
