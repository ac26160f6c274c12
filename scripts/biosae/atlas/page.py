"""One run as one self-contained HTML page: table of nodes with logos, embeddings, training curve, limits.

The page fetches nothing: style and script are inline and allowed by their hash in a
Content-Security-Policy, so that text out of a table can never run. All text goes through Jinja2's
autoescape; the only markup passed on as such is SVG from `logos` and `plots`, which escape what they are
given.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from biosae.artefacts import load_schema
from biosae.atlas.builder import RunData, node_links
from biosae.atlas.logos import logo_svg
from biosae.atlas.numbers import MISSING, format_log10, format_number, format_share
from biosae.atlas.plots import Point, line_svg, scatter_svg
from biosae.summary import count_nodes

FOLDER = Path(__file__).parent
TOP_OVERLAPS = 30  # rows of the overlap table on the page; the whole table is a link
STATUS = {  # css class -> words; a node is in exactly one
    "named": "significant motif with a significant match",
    "motif": "significant motif, no significant match",
    "plain": "no significant motif",
}
EMBEDDINGS = (
    ("umap1", "umap2", "Decoder directions"),
    ("coact1", "coact2", "Co-activation"),
)


CURVES = (  # column of training_curve.tsv, title, highest value shown
    ("validation_fvu", "FVU, validation", 1.25),
    ("train_fvu", "FVU, training", 1.25),
    ("dead_fraction", "Dead fraction, validation", 1.0),
    ("l0", "L0, validation", math.inf),
)


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
    Column("repeat_share", "Repeats", "share"),
    Column("cluster", "Cluster", "number"),
)


_FORMATS = {"number": format_number, "share": format_share, "log10": format_log10}


def status_of(node: object) -> str:
    """The key of STATUS for one row of nodes.tsv."""
    if node.named:
        return "named"
    return "motif" if node.n_significant_motifs > 0 else "plain"


def _true(value: object) -> bool:
    """Whether a nullable boolean is there and true."""
    return not pd.isna(value) and bool(value)


def _text_cell(column: Column, node: object) -> Cell:
    value = getattr(node, column.key)
    if pd.isna(value):
        return Cell(MISSING)
    if column.key == "best_match":
        doubtful = not (_true(node.match_significant) and _true(node.match_of_significant_motif))
        name = value if pd.isna(node.target_name) else node.target_name
        notes = [] if name == value else [str(value)]
        if str(node.match_motif_id) != str(node.best_motif_id):
            # the logo beside it is of another motif: say whose match this is
            notes.append(f"by motif {str(node.match_motif_id).rsplit('_m', 1)[-1]}")
        return Cell(str(name), muted=", ".join(notes), css="weak" if doubtful else "")
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
    text = _FORMATS[column.kind](value)
    return Cell(
        f"n{value}" if column.key == "node" else text, None if pd.isna(value) else float(value), "num"
    )


def _rows(nodes: pd.DataFrame, data: RunData) -> list[dict]:
    rows = []
    for node in nodes.itertuples(index=False):
        cells = [_cell(column, node, data) for column in COLUMNS]
        cells.append(Cell(links=node_links(data, node.rank, node.node), css="links"))
        rows.append({"id": f"n{node.node}", "status": status_of(node), "cells": cells})
    return rows


def _heads() -> list[dict]:
    described = {**load_schema("umap")["properties"], **load_schema("nodes")["properties"]}
    return [{"title": c.title, "kind": c.kind, "about": described[c.key]["description"]} for c in COLUMNS]


def _embeddings(nodes: pd.DataFrame) -> list[dict]:
    """One scatter plot per embedding that has coordinates; nodes without any are counted."""
    shown = []
    for x, y, title in EMBEDDINGS:
        placed = nodes.dropna(subset=[x, y])
        if placed.empty:
            continue
        points = []
        for node in placed.itertuples(index=False):
            name = "" if pd.isna(node.target_name) or not node.named else f", {node.target_name}"
            motif = "" if pd.isna(node.consensus) else f", {node.consensus}"
            about = f"n{node.node} (rank {node.rank}{name}{motif})"
            points.append(Point(getattr(node, x), getattr(node, y), status_of(node), about, f"n{node.node}"))
        svg = Markup(scatter_svg(points, f"UMAP, {title.lower()}"))
        shown.append({"title": title, "svg": svg, "missing": len(nodes) - len(placed)})
    return shown


def _figures(data: RunData) -> list[tuple[str, str, str]]:
    """Head figures of the run: (name, value, what it means)."""
    figures, counts = data.evaluation, count_nodes(data.nodes)
    targets = counts["distinct_targets"]
    return [
        ("FVU", format_number(figures["fvu"]), "fraction of variance unexplained"),
        ("L0", format_number(figures["l0"]), "mean number of active nodes at a position"),
        ("Dead", format_share(figures["dead_fraction"]), f"of {format_number(figures['n_nodes'])} nodes"),
        ("Kept", format_number(counts["kept_nodes"]), "nodes that passed the selection"),
        (
            "With motif",
            format_number(counts["nodes_with_significant_motif"]),
            "kept nodes with a significant motif",
        ),
        ("Named", format_number(counts["nodes_named"]), f"of these matched, to {targets} different targets"),
        ("Calibrated", format_number(counts["nodes_named_calibrated"]), "of these stand out from the nulls"),
    ]


def _recovery(data: RunData) -> list[tuple[str, str, str]]:
    """The score against planted truth, empty where the truth is not known."""
    score = data.recovery
    if score is None:
        return []
    planted, detectors = format_number(score["n_planted_motifs"]), format_number(score["n_detectors"])
    error = format_number(score["position_error_bp"])
    return [
        ("Motif recall", format_share(score["motif_recall"]), f"of {planted} planted motifs"),
        ("Motif precision", format_share(score["motif_precision"]), "of the reported motifs were planted"),
        (
            "Assignment F1",
            format_number(score["assignment_f1"]),
            f"nodes against {detectors} known detectors",
        ),
        ("Position error", error if error == MISSING else f"{error} bp", "found against planted sites"),
    ]


def _curves(curve: pd.DataFrame) -> list[Markup]:
    """One small plot per figure of the training curve; none where nothing was trained."""
    if len(curve) < 2:  # a baseline has at most the row before the first step
        return []
    series = (line_svg(curve["step"], curve[key], title, ceiling) for key, title, ceiling in CURVES)
    return [Markup(svg) for svg in series if svg]


def _overlaps(data: RunData) -> list[dict]:
    """The strongest annotation enrichments: lowest q, then highest odds ratio."""
    if data.overlaps is None:
        return []
    order = data.overlaps.sort_values(
        ["q_value", "odds_ratio", "rank", "annotation", "class"], ascending=[True, False, True, True, True]
    )
    rows = []
    for row in order.head(TOP_OVERLAPS).to_dict("records"):
        interval = f"{format_number(row['ci_low'])} to {format_number(row['ci_high'])}"
        rows.append(
            {
                "node": f"n{row['node']}",
                "annotation": row["annotation"],
                "class": row["class"],
                "seqlets": f"{row['n_overlap']} of {row['n_seqlets']}",
                "background": f"{row['n_background_overlap']} of {row['n_background']}",
                "odds_ratio": f"{format_number(row['odds_ratio'])} ({interval})",
                "q_value": format_number(row["q_value"]),
            }
        )
    return rows


def _source_hash(text: str) -> str:
    """What a Content-Security-Policy names an inline style or script by."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def render(data: RunData) -> str:
    """The whole page as text; the same run gives the same bytes."""
    nodes = data.nodes.merge(data.umap.drop(columns="rank"), on="node", how="left", validate="one_to_one")
    style, script = ((FOLDER / name).read_text() for name in ("page.css", "page.js"))
    return (
        _environment()
        .get_template("page.html")
        .render(
            layer=data.layer,
            run=data.run,
            kind=data.evaluation["kind"],
            style=Markup(style),
            script=Markup(script),
            style_hash=_source_hash(style),
            script_hash=_source_hash(script),
            figures=_figures(data),
            recovery=_recovery(data),
            heads=_heads(),
            rows=_rows(nodes, data),
            statuses=STATUS,
            embeddings=_embeddings(nodes),
            curves=_curves(data.curve),
            overlaps=_overlaps(data),
            n_overlaps=0 if data.overlaps is None else len(data.overlaps),
            downloads=data.downloads,
            configuration=json.dumps(data.config, indent=2, sort_keys=True),
            versions=data.made_by.get("versions", {}),
        )
    )
