"""SLURM jobs that an earlier driver left in the queue of this working folder.

A driver takes its jobs along when it is interrupted, but not when it is killed or its machine goes down:
they go on, and write what a new driver would give to a second job.
"""

from __future__ import annotations

import os
from pathlib import Path

from biosae.cluster import ask
from biosae.errors import ClusterError

# number, state, comment (the executor plugin's names the rule), working folder: last, since it may hold a bar
_FORMAT = "%i|%T|%k|%Z"
_COMMENT = "rule_"
_SHOWN = 20


def parse_jobs(text: str, folder: str | Path) -> list[str]:
    """Numbers of the jobs that Snakemake submitted from ``folder``, of what ``squeue`` prints in _FORMAT."""
    rows = [line.split("|", 3) for line in text.splitlines() if line.count("|") >= 3]
    here = os.path.realpath(folder)
    return [
        number
        for number, _, comment, where in rows
        if comment.startswith(_COMMENT) and os.path.realpath(where) == here
    ]


def check_no_earlier_jobs(folder: str | Path) -> None:
    """Check that SLURM's queue holds no job of this user that a driver in ``folder`` submitted.

    Raises:
        ClusterError: names these jobs.
        NoClusterError: SLURM does not answer.
    """
    found = parse_jobs(ask("squeue", "--me", "--noheader", f"--format={_FORMAT}"), folder)
    if found:
        more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        raise ClusterError(
            "SLURM jobs of an earlier driver are still in the queue; a second job would write the same files",
            got=f"{len(found)}: {' '.join(found[:_SHOWN])}{more}",
            where=folder,
            mend=f"wait until they have ended (squeue --me), or end them: scancel {' '.join(found)}; "
            "training saves its state and goes on from it",
        )
