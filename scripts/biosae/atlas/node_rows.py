"""The table of nodes on a run's page: its columns, and what stands in each cell."""

from __future__ import annotations

from dataclasses import dataclass, field

import pandas as pd
from markupsafe import Markup

from biosae.artefacts import load_schema
from biosae.atlas.builder import RunData, node_links
from biosae.atlas.logos import logo_svg
from biosae.atlas.numbers import MISSING, format_log10, format_number, format_share
from biosae.explanations import is_repeat, label_of

STATUS = {  # css class -> words; a node is in exactly one
    "repeat": "explained by repeats or low complexity",
    "named": "significant motif with a significant match",
    "motif": "significant motif, no significant match",
    "plain": "no significant motif",
}


@dataclass(frozen=True)
class Cell:
    """One cell: text, the number it sorts by (None: by its text), and optionally SVG, muted text, links."""

    text: str = ""
    sort: float | None = None
    css: str = ""
    svg: Markup | None = None
    muted: str = ""
    links: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Column:
    """One column of the node table; `key` is its column of nodes.tsv, whose schema gives the tooltip."""

    key: str
    title: str
    kind: str  # number, share, log10, text, logo


COLUMNS = (
    Column("rank", "Rank", "number"),
    Column("node", "Node", "number"),
    Column("explained_by", "Explained by", "text"),
    Column("best_motif_id", "Best motif", "logo"),
    Column("consensus", "Consensus", "text"),
    Column("motif_log10_e", "E", "log10"),
    Column("motif_q_value", "q", "number"),
    Column("motif_q_null", "q, nulls", "number"),
    Column("motif_sites", "Sites", "number"),
    Column("motif_cluster", "Motif cluster", "number"),
    Column("best_match", "Best match", "text"),
    Column("match_q_value", "Match q", "number"),
    Column("match_q_null", "Match q, nulls", "number"),
    Column("n_seqlets", "Seqlets", "number"),
    Column("mean_act", "Mean act.", "number"),
    Column("max_act", "Max act.", "number"),
    Column("density", "Density", "share"),
    Column("gc_share", "GC", "share"),
    Column("soft_masked_share", "Soft-masked", "share"),
    Column("repeat_class", "Repeat class", "text"),
    Column("repeat_class_share", "In class", "share"),
    Column("repeat_odds_ratio", "Odds ratio", "number"),
    Column("repeat_q", "Repeat q", "number"),
    Column("seqlets_with_motif", "Seqlets with motif", "share"),
    Column("hits_fired", "Hits fired on", "share"),
    Column("hits_fired_chance", "Fired on, chance", "share"),
    Column("motif_f1", "Motif F1", "number"),
    Column("motif_auroc", "AUROC", "number"),
    Column("strand_class", "Strand", "text"),
    Column("partner_node", "Partner", "number"),
    Column("stability", "Seed cosine", "number"),
    Column("coactivation_stability", "Co-activation", "number"),
    Column("coactivation_null", "Co-act., chance", "number"),
    Column("cluster", "Cluster", "number"),
)


_FORMATS = {"number": format_number, "share": format_share, "log10": format_log10}


def status_of(node: object) -> str:
    """The key of STATUS for one row of nodes.tsv; repeats go before names."""
    if is_repeat(node.explained_by):
        return "repeat"
    if node.named:
        return "named"
    return "motif" if node.n_significant_motifs > 0 else "plain"


def _true(value: object) -> bool:
    """Whether a nullable boolean is there and true."""
    return not pd.isna(value) and bool(value)


def _false(value: object) -> bool:
    """Whether a nullable boolean is there and false."""
    return not pd.isna(value) and not value


def _text_cell(column: Column, node: object) -> Cell:
    value = getattr(node, column.key)
    if pd.isna(value):
        return Cell(MISSING)
    if column.key == "best_match":
        doubtful = not (_true(node.match_significant) and _true(node.match_of_significant_motif))
        doubtful |= is_repeat(node.explained_by)
        name = value if pd.isna(node.target_name) else node.target_name
        notes = [] if name == value else [str(value)]
        if str(node.match_motif_id) != str(node.best_motif_id):
            # the logo beside it is of another motif: say whose match this is
            notes.append(f"by motif {str(node.match_motif_id).rsplit('_m', 1)[-1]}")
        return Cell(str(name), muted=", ".join(notes), css="weak" if doubtful else "")
    if column.key == "explained_by":
        # a factor's name that the nulls reach too is shown, but not as a finding; without nulls it stands
        reached = _false(node.named_calibrated)
        finding = is_repeat(value) or (node.named and not reached)
        return Cell(str(value), css="label" if finding else "weak")
    if column.key == "repeat_class":
        return Cell(str(value), css="" if str(node.explained_by) == label_of(value) else "weak")
    if column.key == "strand_class":
        return Cell(str(value).replace("_", "-"), css="weak" if value == "unknown" else "")
    return Cell(str(value), css="sequence" if _true(node.motif_significant) else "sequence weak")


def _cell(column: Column, node: object, data: RunData) -> Cell:
    value = getattr(node, column.key)
    if column.kind == "logo":
        if pd.isna(value):
            return Cell(MISSING)
        css = "" if _true(node.motif_significant) else "faint"
        return Cell(svg=Markup(logo_svg(data.matrices[value], f"{value} {node.consensus}")), css=css)
    if column.kind == "text":
        return _text_cell(column, node)
    sort = None if pd.isna(value) else float(value)
    if column.key in ("node", "partner_node") and sort is not None:
        # a partner whose own partner is another node is no pair
        one_sided = column.key == "partner_node" and _false(node.partner_mutual)
        return Cell(f"n{int(value)}", sort, "num weak" if one_sided else "num")
    return Cell(_FORMATS[column.kind](value), sort, "num")


def node_rows(nodes: pd.DataFrame, data: RunData) -> list[dict]:
    """Each node's row: id, status and cells, in the order of ``COLUMNS``, then the links to its files."""
    rows = []
    for node in nodes.itertuples(index=False):
        cells = [_cell(column, node, data) for column in COLUMNS]
        cells.append(Cell(links=node_links(data, node.rank, node.node), css="links"))
        rows.append({"id": f"n{node.node}", "status": status_of(node), "cells": cells})
    return rows


def node_heads() -> list[dict]:
    """Title, kind and tooltip of each column."""
    described = {**load_schema("umap")["properties"], **load_schema("nodes")["properties"]}
    return [{"title": c.title, "kind": c.kind, "about": described[c.key]["description"]} for c in COLUMNS]
