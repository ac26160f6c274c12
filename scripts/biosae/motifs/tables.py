"""Motif rows: from one node's motifs to the tables of a chunk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from biosae.artefacts import conform, load_schema
from biosae.motifs.evidence import PlacedEvidence
from biosae.motifs.formats import Motif, node_name
from biosae.motifs.numbers import power_of_ten
from biosae.motifs.quality import flag, information_bits
from biosae.motifs.settings import Evidence

# of NodeMotifs -> of the table motif_status
STATUS = {"ok": "ok", "no motif": "no_motif", "too few sequences": "too_few", "too short": "too_short"}


@dataclass(frozen=True)
class NodeInput:
    """The FASTA of one node: {rank}_n{node}.fa."""

    rank: int
    node: int
    path: Path

    @property
    def name(self) -> str:
        """``{rank}_n{node}``."""
        return node_name(self.rank, self.node)

    @property
    def key(self) -> str:
        """``n{node}``: its random choices must not change with its rank."""
        return f"n{self.node}"


@dataclass(frozen=True)
class HeldOut:
    """What the held-out seqlets say of a motif of ``meme`` or ``streme``.

    Attributes:
        n_seqlets: seqlets that the tool read (part A).
        share_forward: share of all sites (both parts) on the strand as given, for the matrix as the tool
            wrote it; None where one strand is read, or without a site.
        log10_p: log10 of the one-sided p (``exact_test``).
        table: (seqlets hit, seqlets, controls hit, controls) of part B, one of each locus.
        evidence: the same, sequence by sequence of the node's FASTA.
    """

    n_seqlets: int
    share_forward: float | None
    log10_p: float
    table: tuple[int, int, int, int]
    evidence: Evidence | None = field(default=None, compare=False, repr=False)


@dataclass
class NodeResult:
    """What discovery found in one node.

    Attributes:
        rank, node: as in the file name ``{rank}_n{node}.fa``.
        status: ok, no_motif, too_few (sequences), too_short (sequences) or failed (message says why).
        n_seqlets: sequences of the node's FASTA.
        motifs: motifs under the run's ids ``{rank}_n{node}_m{motif}``, named by their consensus.
        rows: one record of schema ``motif_chunk`` per motif.
        evidence: of the motifs' held-out tests, each placed on the genome (``evidence.place``).
    """

    rank: int
    node: int
    status: str
    n_seqlets: int
    message: str | None = None
    motifs: list[Motif] = field(default_factory=list)
    rows: list[dict] = field(default_factory=list)
    evidence: list[PlacedEvidence] = field(default_factory=list)

    @property
    def name(self) -> str:
        """``{rank}_n{node}``."""
        return node_name(self.rank, self.node)


def renamed(motifs: Sequence[Motif], rank: int, node: int) -> list[Motif]:
    """The motifs of a node under the run's ids, in their order."""
    name = node_name(rank, node)
    return [
        Motif(
            f"{name}_m{i}",
            motif.consensus,
            motif.matrix,
            motif.n_sites,
            motif.e_value,
            motif.log10_e,
            motif.log10_p,
        )
        for i, motif in enumerate(motifs, 1)
    ]


def add_batched(result: NodeResult, discovered: Sequence, min_information_bits: float) -> NodeResult:
    """Add the DiscoveredMotif of engine ``batched`` to a node's result."""
    motifs = [
        Motif("unnamed", "", found.matrix, found.n_sites, found.e_value, found.log10_e)
        for found in discovered
    ]
    result.motifs = renamed(motifs, result.rank, result.node)
    for number, (motif, found) in enumerate(zip(result.motifs, discovered, strict=True), 1):
        tested = {
            "n_seqlets": found.n_seqlets,
            "share_forward": found.share_forward,
            "log10_p": min(found.log10_p, 0.0),
            "p_value": min(found.p_value, 1.0),
            "e_value": found.e_value,
            "log10_e": found.log10_e,
        }
        result.rows.append(_row(result, motif, number, "batched", min_information_bits) | tested)
    return result


def add_external(
    result: NodeResult,
    motifs: Sequence[Motif],
    engine: str,
    min_information_bits: float,
    tests: Sequence[HeldOut] | None = None,
) -> NodeResult:
    """Add motifs as ``meme`` or ``streme`` wrote them, with their held-out tests, to a node's result.

    Without tests the tool read every seqlet: its own E is then all that is known.
    """
    told = [_with_e(motif, len(motifs)) for motif in motifs]
    ours = told
    if tests is not None:
        log10_e = [test.log10_p + np.log10(len(tests)) for test in tests]
        ours = [
            Motif(motif.id, motif.name, motif.matrix, motif.n_sites, log10_e=float(value))
            for motif, value in zip(told, log10_e, strict=True)
        ]
    result.motifs = renamed(ours, result.rank, result.node)
    for i, motif in enumerate(result.motifs):
        row = _row(result, motif, i + 1, engine, min_information_bits)
        row |= {"tool_e_value": told[i].e_value, "tool_log10_e": told[i].log10_e}
        if tests is not None:
            row |= _tested(motif, tests[i])
        result.rows.append(row)
    return result


def _tested(motif: Motif, test: HeldOut) -> dict:
    """The columns that come from a held-out test; ``motif`` carries its E."""
    return {
        "n_seqlets": test.n_seqlets,
        "share_forward": test.share_forward,
        "log10_p": test.log10_p,
        "p_value": power_of_ten(test.log10_p),
        "e_value": motif.e_value,
        "log10_e": motif.log10_e,
    }


def _with_e(motif: Motif, n_reported: int) -> Motif:
    """STREME states P= with some settings; its E is that times the motifs reported."""
    if motif.e_value is not None or motif.log10_p is None:
        return motif
    return Motif(
        motif.id, motif.name, motif.matrix, motif.n_sites, log10_e=motif.log10_p + np.log10(n_reported)
    )


def _row(result: NodeResult, motif: Motif, number: int, engine: str, min_information_bits: float) -> dict:
    """A record of schema ``motif_chunk``; what is not set here or later is missing."""
    row = dict.fromkeys(load_schema("motif_chunk")["properties"])
    return row | {
        "motif_id": motif.id,
        "rank": result.rank,
        "node": result.node,
        "motif": number,
        "consensus": motif.consensus,
        "width": motif.width,
        "n_sites": round(motif.n_sites),
        "n_seqlets": result.n_seqlets,
        "information_bits": information_bits(motif.matrix),
        "flag": flag(motif.matrix, min_information_bits),
        "engine": engine,
    }


def chunk_table(results: Sequence[NodeResult]) -> pd.DataFrame:
    """Rows of schema ``motif_chunk`` by rank and motif, numbers as a table holds them.

    Rounded here, since q-values must not depend on whether a chunk was written and read between.
    """
    rows = [row for result in results for row in result.rows]
    table = pd.DataFrame(rows, columns=list(load_schema("motif_chunk")["properties"]))
    table = conform(table, "motif_chunk").sort_values(["rank", "motif"], ignore_index=True)
    for name in table.select_dtypes("float64"):
        table[name] = [float(f"{value:.9g}") for value in table[name]]
    return table


def status_table(results: Sequence[NodeResult]) -> pd.DataFrame:
    """Rows of schema ``motif_status`` by rank."""
    rows = [
        {
            "rank": result.rank,
            "node": result.node,
            "status": result.status,
            "n_seqlets": result.n_seqlets,
            "n_motifs": len(result.motifs),
            "message": result.message,
        }
        for result in results
    ]
    table = pd.DataFrame(rows, columns=list(load_schema("motif_status")["properties"]))
    return conform(table, "motif_status").sort_values("rank", ignore_index=True)
