"""Motif rows: from one node's motifs to the tables of a chunk and of a run."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from biosae.artefacts import conform, load_schema, read_table
from biosae.errors import ContractError
from biosae.motifs.formats import Motif, node_name, read_meme
from biosae.motifs.significance import q_values

log = logging.getLogger(__name__)


@dataclass
class NodeResult:
    """What discovery found in one node.

    Attributes:
        rank, node: as in the file name ``{rank}_n{node}.fa``.
        status: ok, no_motif, too_few (sequences), too_short (sequences) or failed (message says why).
        n_seqlets: sequences of the node's FASTA.
        motifs: motifs under the run's ids ``{rank}_n{node}_m{motif}``, named by their consensus.
        rows: one record of schema ``motif_chunk`` per motif.
    """

    rank: int
    node: int
    status: str
    n_seqlets: int
    message: str | None = None
    motifs: list[Motif] = field(default_factory=list)
    rows: list[dict] = field(default_factory=list)

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


def add_batched(result: NodeResult, discovered: Sequence) -> NodeResult:
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
        }
        result.rows.append(_row(result, motif, number, "batched") | tested)
    return result


def add_external(result: NodeResult, motifs: Sequence[Motif], engine: str) -> NodeResult:
    """Add motifs as ``meme`` or ``streme`` wrote them to a node's result."""
    motifs = [_with_e(motif, len(motifs)) for motif in motifs]
    result.motifs = renamed(motifs, result.rank, result.node)
    result.rows = [_row(result, motif, number, engine) for number, motif in enumerate(result.motifs, 1)]
    if not motifs:
        result.status = "no_motif"
    return result


def _with_e(motif: Motif, n_reported: int) -> Motif:
    """STREME states P= with some settings; its E is that times the motifs reported."""
    if motif.e_value is not None or motif.log10_p is None:
        return motif
    return Motif(
        motif.id, motif.name, motif.matrix, motif.n_sites, log10_e=motif.log10_p + np.log10(n_reported)
    )


def _row(result: NodeResult, motif: Motif, number: int, engine: str) -> dict:
    return {
        "motif_id": motif.id,
        "rank": result.rank,
        "node": result.node,
        "motif": number,
        "consensus": motif.consensus,
        "width": motif.width,
        "n_sites": round(motif.n_sites),
        "n_seqlets": result.n_seqlets,
        "share_forward": None,
        "log10_p": None,
        "p_value": None,
        "e_value": motif.e_value,
        "log10_e": motif.log10_e,
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


def with_q_values(chunk: pd.DataFrame, significance: float) -> pd.DataFrame:
    """``motifs`` from rows of ``motif_chunk``: q over all motifs of all nodes given, by Benjamini-Hochberg.

    The p behind it is the held-out p where the engine gives one, else min(1, E): an E-value bounds its p from
    above, so q is an upper bound. A motif whose tool states neither counts as p = 1.
    """
    bound = np.log10(chunk["e_value"].astype("float64").clip(upper=1.0).replace(0.0, np.nan))
    log10_e = chunk["log10_e"].astype("float64").clip(upper=0.0).fillna(bound).fillna(0.0)
    log10_p = chunk["log10_p"].astype("float64").fillna(log10_e)
    q_value = q_values(log10_p.to_numpy())
    table = chunk.assign(q_value=q_value, significant=q_value < significance)
    return conform(table, "motifs")


def collect(
    chunks: Sequence[Path],
    memes: Sequence[Path],
    manifest: pd.DataFrame,
    significance: float,
    statuses: Sequence[Path] = (),
) -> tuple[pd.DataFrame, list[Motif], dict[str, int]]:
    """One run's motif table and motifs from its chunks, in any order.

    Args:
        chunks: tables of schema ``motif_chunk``.
        memes: the chunks' MEME files.
        manifest: schema ``seqlet_manifest``: the nodes that were to be searched.
        significance: a motif is significant where its q is below this.
        statuses: tables of schema ``motif_status``; where given, each node must stand in exactly one.

    Returns:
        Table of schema ``motifs``, the motifs in its order, and counts.

    Raises:
        ContractError: chunks that do not belong together: a motif twice, without matrix, of an unknown node.
    """
    tables = [read_table(path, "motif_chunk") for path in chunks]
    merged = pd.concat(tables, ignore_index=True) if tables else chunk_table([])
    merged = merged.sort_values(["rank", "motif"], ignore_index=True)
    motifs = {motif.id: motif for path in memes for motif in read_meme(path)}
    _belong_together(merged, motifs, manifest)
    if statuses:
        _every_node_once(pd.concat([read_table(path, "motif_status") for path in statuses]), manifest)
    table = with_q_values(merged, significance)
    counts = {
        "nodes": len(manifest),
        "nodes_with_motifs": int(table["node"].nunique()),
        "motifs": len(table),
        "motifs_significant": int(table["significant"].sum()),
        "nodes_with_significant_motifs": int(table.loc[table["significant"].astype(bool), "node"].nunique()),
    }
    return table, [motifs[motif_id] for motif_id in table["motif_id"]], counts


def _belong_together(table: pd.DataFrame, motifs: dict[str, Motif], manifest: pd.DataFrame) -> None:
    twice = table.loc[table["motif_id"].duplicated(), "motif_id"]
    apart = set(table["motif_id"]) ^ set(motifs)
    known = {(int(r), int(n)) for r, n in zip(manifest["rank"], manifest["node"], strict=True)}
    foreign = sorted({(int(r), int(n)) for r, n in zip(table["rank"], table["node"], strict=True)} - known)
    for problem, culprits in (
        ("A motif stands in two chunks", list(twice)),
        ("The tables and MEME files of the chunks name different motifs", sorted(apart)),
        ("A chunk holds a node that the manifest does not (rank, node)", foreign),
    ):
        if culprits:
            raise ContractError(
                problem,
                got=f"{len(culprits)}, first {culprits[:3]}",
                mend="discover the motifs of all chunks again",
            )


def _every_node_once(status: pd.DataFrame, manifest: pd.DataFrame) -> None:
    expected = sorted(map(int, manifest["node"]))
    got = sorted(map(int, status["node"]))
    failed = [int(node) for node in status.loc[status["status"] == "failed", "node"]]
    if got != expected or failed:
        missing, extra = sorted(set(expected) - set(got)), sorted(set(got) - set(expected))
        raise ContractError(
            "The chunks do not cover the nodes of the manifest",
            got=f"{len(got)} nodes; missing {missing[:5]}, unknown {extra[:5]}, failed {failed[:5]}",
            expected=f"each of {len(expected)} nodes once",
            mend="give the tables of all chunks",
        )
