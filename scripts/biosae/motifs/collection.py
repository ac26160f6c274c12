"""The chunks of a run put together: one family of motifs, and its q-values."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from biosae.artefacts import conform, read_table
from biosae.errors import ContractError
from biosae.motifs.formats import Motif, read_meme
from biosae.motifs.significance import log10_of, q_values
from biosae.motifs.tables import chunk_table


def with_q_values(chunk: pd.DataFrame, significance: float) -> pd.DataFrame:
    """``motifs`` from rows of ``motif_chunk``: q over all motifs of all nodes given, by Benjamini-Hochberg.

    The p behind it is the held-out p. Where no motif has one (engines meme and streme that read every
    seqlet) it is min(1, the tool's E): an E-value bounds its p from above, so q is an upper bound; a motif
    whose tool states neither E nor p counts as p = 1.

    Raises:
        ContractError: some motifs have a held-out p and some have not: the two are never mixed.
    """
    tested = chunk["log10_p"].notna()
    if tested.any() and not tested.all():
        raise ContractError(
            "Some motifs of a run were tested on held-out seqlets and some were not",
            got=f"{int(tested.sum())} of {len(tested)}, not {list(chunk.loc[~tested, 'motif_id'])[:3]}",
            mend="discover the motifs of all chunks again, with one engine and one held_out_share",
        )
    log10_p = chunk["log10_p"].astype("float64")
    if not tested.any():
        bound = pd.Series(log10_of(chunk["tool_e_value"].astype("float64").clip(upper=1.0)), chunk.index)
        log10_p = chunk["tool_log10_e"].astype("float64").clip(upper=0.0).fillna(bound).fillna(0.0)
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
