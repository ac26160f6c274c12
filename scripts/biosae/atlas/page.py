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
from pathlib import Path

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from biosae.atlas.builder import RunData
from biosae.atlas.node_rows import STATUS, node_heads, node_rows, status_of
from biosae.atlas.numbers import MISSING, format_number, format_share
from biosae.atlas.plots import Point, line_svg, scatter_svg
from biosae.explanations import NOTHING, is_repeat
from biosae.summary import count_nodes

FOLDER = Path(__file__).parent
TOP_OVERLAPS = 30  # rows of the overlap table on the page; the whole table is a link
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


def _embeddings(nodes: pd.DataFrame) -> list[dict]:
    """One scatter plot per embedding that has coordinates; nodes without any are counted."""
    shown = []
    for x, y, title in EMBEDDINGS:
        placed = nodes.dropna(subset=[x, y])
        if placed.empty:
            continue
        points = []
        for node in placed.itertuples(index=False):
            name = "" if node.explained_by == NOTHING else f", {node.explained_by}"
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
            "Repeats",
            format_number(sum(map(is_repeat, data.nodes["explained_by"]))),
            "of these are explained by repeats or low complexity",
        ),
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
            heads=node_heads(),
            rows=node_rows(nodes, data),
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
