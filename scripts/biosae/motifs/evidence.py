"""The held-out evidence of a run: which seqlets of the test hit, and where they lie.

A motif's p comes from a 2x2 table in each stratum; kept by locus these tables can be counted again with some
loci taken twice and others left out (``bootstrap``), without a new discovery. Coordinates are 0-based,
half-open, on the forward strand.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from biosae.artefacts import conform, load_schema, read_table
from biosae.errors import ContractError
from biosae.motifs.heldout import place_of
from biosae.motifs.settings import Evidence

EVIDENCE_FILE = "held_out{}.tsv.gz"


class PlacedEvidence(NamedTuple):
    """The evidence of one motif with its seqlets placed.

    Attributes:
        motif_id: {rank}_n{node}_m{motif}.
        chrom: (n,) names; of a seqlet whose header states no place, what names its record.
        start: (n,) int64, -1 where the header states no place.
        evidence: as the test made it.
    """

    motif_id: str
    chrom: list[str]
    start: np.ndarray
    evidence: Evidence


def place_all(
    result, evidence: Sequence[Evidence | None], records: Sequence[tuple[str, str]]
) -> list[PlacedEvidence]:
    """The evidence of a node's motifs, placed by the headers of its FASTA; none where nothing was tested.

    Args:
        result: NodeResult with its motifs.
        evidence: of each motif, rows being places among ``records``; empty without tests.
        records: (header, sequence) of the node.
    """
    places = [place_of(header) for header, _ in records] if evidence else []
    placed = []
    for row, own in zip(result.rows, evidence, strict=bool(evidence)):
        # one object for each name: thousands of nodes share a handful of chromosomes
        chrom = [
            sys.intern(places[i][0] if places[i] else _record_name(result.name, records[i][0], i))
            for i in own.rows.tolist()
        ]
        start = np.array([places[i][1] if places[i] else -1 for i in own.rows.tolist()], dtype=np.int64)
        placed.append(PlacedEvidence(row["motif_id"], chrom, start, own))
    return placed


def _record_name(node: str, header: str, row: int) -> str:
    """The first word of a header that states no place; without any the record's number in its node."""
    words = header.split()
    return words[0] if words else f"{node}_record_{row + 1}"


def evidence_table(results: Sequence) -> pd.DataFrame:
    """Rows of schema ``held_out`` by rank and motif; a motif's rows do not depend on the other nodes."""
    ordered = sorted(results, key=lambda result: result.rank)
    placed = [one for result in ordered for one in result.evidence]
    names = [name for name in load_schema("held_out")["properties"] if name not in ("motif_id", "population")]
    columns: dict[str, list] = {name: [] for name in names}
    sizes = []
    for one in placed:
        for part in (_seqlet_columns(one), _control_columns(one.evidence)):
            sizes.append(len(part[0]))
            for column, values in zip(columns.values(), part, strict=True):
                column.append(values)
    table = pd.DataFrame({name: np.concatenate([[], *parts]) for name, parts in columns.items()})
    table["start"] = table["start"].where(table["start"] >= 0)
    table["chrom"] = table["chrom"].where(table["chrom"] != "")
    ids = [one.motif_id for one in placed for _ in range(2)]
    table["motif_id"] = np.repeat(np.array(ids, dtype=object), sizes)
    table["population"] = np.repeat(np.array(["seqlets", "controls"] * len(placed), dtype=object), sizes)
    return conform(table, "held_out")


def _seqlet_columns(placed: PlacedEvidence) -> tuple[np.ndarray, ...]:
    """chrom, start (-1: none), stratum, n and n_hit of each seqlet, by place."""
    own = placed.evidence
    chrom = np.array(placed.chrom, dtype=object)
    order = np.lexsort((own.hit, own.strata, placed.start, chrom.astype(str)))
    return chrom[order], placed.start[order], own.strata[order], np.ones(len(order)), own.hit[order] * 1


def _control_columns(own: Evidence) -> tuple[np.ndarray, ...]:
    """The same of the controls, one row a stratum; they have no place."""
    n = np.bincount(own.control_strata)
    n_hit = np.bincount(own.control_strata[own.control_hit], minlength=len(n))
    there = np.flatnonzero(n)
    return np.full(len(there), "", dtype=object), np.full(len(there), -1), there, n[there], n_hit[there]


def gather(paths: Sequence[Path], motifs: pd.DataFrame) -> pd.DataFrame:
    """The evidence of a run from that of its chunks, in any order; by rank and motif.

    Args:
        paths: tables of schema ``held_out``.
        motifs: schema ``motifs`` of the run, in its order.

    Raises:
        ContractError: the evidence is not that of the motifs that were tested.
    """
    parts = [read_table(path, "held_out") for path in paths]
    table = pd.concat(parts, ignore_index=True) if parts else evidence_table([])
    check_evidence(table, motifs)
    place = pd.Series(range(len(motifs)), index=motifs["motif_id"])
    order = table["motif_id"].map(place).argsort(kind="stable")
    return table.iloc[order].reset_index(drop=True)


def check_evidence(evidence: pd.DataFrame, motifs: pd.DataFrame) -> None:
    """ContractError unless the evidence is of the motifs that were tested, all of them."""
    tested = motifs.loc[motifs["log10_p"].notna(), "motif_id"]
    apart = set(tested) ^ set(evidence["motif_id"].unique())
    if apart:
        raise ContractError(
            "The held-out evidence is not that of the motifs",
            got=f"{len(apart)} motifs apart, first {sorted(apart)[:3]}",
            expected=f"evidence of {len(tested)} tested motifs",
            mend="discover the motifs of all chunks again, and collect them",
        )


def load_evidence(run: Path, motifs: pd.DataFrame) -> pd.DataFrame:
    """The evidence of a run folder, checked beside its motifs; names, of many rows each, as categories."""
    table = read_table(run / EVIDENCE_FILE.format(""), "held_out")
    check_evidence(table, motifs)
    return table.astype(dict.fromkeys(("motif_id", "population", "chrom"), "category"))
