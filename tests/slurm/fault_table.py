"""docs/faults.md: one row a fault that the tests laid, with what became of the results.

`make faults` writes it (FAULTS_TABLE names the file); other runs hold each row against the committed one.
"""

from __future__ import annotations

import os
from pathlib import Path

COMMITTED = Path(__file__).resolve().parents[2] / "docs" / "faults.md"
PROPERTY = "fault"
HEAD = """\
# Faults survived

Written by `make faults` from the tests of `tests/slurm/`, on a SLURM 22.05 of two nodes on one machine. Each
fault disturbs one stage of a run of a tiny world (a kill of the driver and its jobs also those that run
beside it), which is then made again as the third column says; every artefact (tables, weights, figures,
pages: all but logs and times) is compared with that of a run that nothing disturbed. After each kill, and
before anything was made again, every artefact that was there was whole. Lost and doubled are lines over all
artefacts.

| fault | stage | what mended it | lost | doubled |
|---|---|---|---|---|
"""


def row(fault: str, stage: str, mended_by: str, lost: int, doubled: int) -> str:
    """One line of the table."""
    return f"| {fault} | {stage} | {mended_by} | {lost} | {doubled} |"


def check(line: str) -> None:
    """AssertionError where a row is not in the committed table; nothing while a new table is written."""
    if "FAULTS_TABLE" not in os.environ:
        assert line in COMMITTED.read_text().splitlines(), f"not in docs/faults.md (make faults): {line}"


def write(lines: list[str]) -> None:
    """Write the table where FAULTS_TABLE says; nothing without it."""
    if path := os.environ.get("FAULTS_TABLE"):
        Path(path).write_text(HEAD + "\n".join(lines) + "\n")
