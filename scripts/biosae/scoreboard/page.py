"""summary.html: one row a run, nulls beside, and what is left of each SAE beside its best null.

One file that needs no network, no script and nothing beside it; the picture is inside.
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from biosae.artefacts import load_schema
from biosae.scoreboard.labels import (
    ONE_SEED,
    SUMMARY_COLUMN,
    Block,
    blocks,
    difference_text,
    plain,
    stability_text,
    value_of,
)

FOLDER = Path(__file__).parent


class Column(NamedTuple):
    """A column of the table: its title, the figure or column of summary.tsv, and the calibrated figure."""

    title: str
    key: str
    calibrated: str | None = None


COLUMNS = (
    Column("Role", "role"),
    Column("FVU", "fvu"),
    Column("L0", "l0"),
    Column("Dead", "dead_fraction"),
    Column("Density", "density"),
    Column("Kept nodes", "kept_nodes"),
    Column("With a motif", "nodes_with_motif", "nodes_motif_calibrated"),
    Column("Named", "nodes_named", "nodes_named_calibrated"),
    Column("Distinct motifs", "distinct_targets", "distinct_targets_calibrated"),
    Column("Clusters", "distinct_clusters", "distinct_clusters_calibrated"),
    Column("Motif recall", "motif_recall"),
    Column("Motif precision", "motif_precision"),
    Column("Detector F1", "assignment_f1"),
    Column("Detectors found", "detectors_found"),
    Column("Other seeds", "stability"),
)
_RECOVERY = ("motif_recall", "motif_precision", "assignment_f1", "detectors_found")


def render(summary: pd.DataFrame, scoreboard: pd.DataFrame, picture_svg: bytes, level: float = 0.95) -> str:
    """The page as text; the same tables and picture give the same bytes.

    Args:
        summary, scoreboard: rows of summary.tsv and scoreboard.tsv.
        picture_svg: the file scoreboard.svg; empty for none.
        level: of the intervals.
    """
    columns = [c for c in COLUMNS if c.key not in _RECOVERY or summary[c.key].notna().any()]
    found = blocks(summary, scoreboard)
    style = (FOLDER / "summary.css").read_text()
    environment = Environment(
        loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    picture = base64.b64encode(picture_svg).decode()
    return environment.get_template("summary.html").render(
        layer=", ".join(pd.unique(summary["layer"])),
        style=Markup(style),
        style_hash=f"sha256-{digest}",
        level=f"{100 * level:g}",
        heads=[(column.title, _about(column)) for column in columns],
        rows=_rows(summary, found, columns),
        notes=_notes(found),
        picture=f"data:image/svg+xml;base64,{picture}" if picture_svg else None,
    )


def _about(column: Column) -> str:
    described = load_schema("summary")["properties"]
    return described[SUMMARY_COLUMN.get(column.key, column.key)]["description"]


def _rows(summary: pd.DataFrame, found: list[Block], columns: list[Column]) -> list[dict]:
    """Every run once: an SAE, its difference to the best null, the nulls that have not been shown yet."""
    rows, shown = [], set()
    for block in found:
        rows += [_run_row(block.sae, "sae", columns), _difference_row(block, columns)]
        new = [null for null in block.nulls if null["run"] not in shown]
        rows += [_run_row(null, "null", columns) for null in new]
        shown |= {run["run"] for run in block.runs()}
    rest = [row for _, row in summary.iterrows() if row["run"] not in shown]
    return rows + [_run_row(row, "null", columns) for row in rest]


def _run_row(run: pd.Series, css: str, columns: list[Column]) -> dict:
    cells = []
    for column in columns:
        if column.key == "stability":
            cells.append((stability_text(run) or plain(None), None))
            continue
        value = value_of(run, column.key)
        calibrated = run[column.calibrated] if column.calibrated else None
        small = None if calibrated is None or pd.isna(calibrated) else f"{plain(calibrated)} calibrated"
        cells.append((str(value) if column.key == "role" else plain(value), small))
    # a null has no page, unless one is asked for by name
    link = f"{run['layer']}/{run['run']}/atlas/index.html" if run["role"] == "sae" else None
    return {"name": run["run"], "css": css, "link": link, "cells": cells}


def _difference_row(block: Block, columns: list[Column]) -> dict:
    cells = []
    for column in columns:
        text, beside = _difference(block, column.key)
        calibrated, other = _difference(block, column.calibrated)
        small = [f"beside {beside}"] if text else []
        small += [f"{calibrated} calibrated, beside {other}"] if calibrated else []
        cells.append((text, "; ".join(small) or None))
    return {"name": "minus best null", "css": "difference", "link": None, "cells": cells}


def _difference(block: Block, figure: str | None) -> tuple[str, str | None]:
    """A difference as text, empty where there is none, and the null that it is to."""
    score = block.scores.get(figure)
    return ("", None) if score is None else (difference_text(score), block.best_null(figure))


def _notes(found: list[Block]) -> list[str]:
    """What the rows cannot say: the best nulls, at how many nodes; what is missing and why."""
    notes = []
    for block in found:
        best = sorted(
            {
                f"{score['best_null']} ({plain(score['matched_nodes'])} nodes)"
                for score in block.scores.values()
                if pd.notna(score["best_null"]) and pd.notna(score["matched_nodes"])
            }
        )
        words = [f"compared with {', '.join(best)}"] if best else []
        words += sorted({str(s["note"]) for s in block.scores.values() if pd.notna(s["note"])})
        if stability_text(block.sae) == ONE_SEED:
            words.append(f"{ONE_SEED}: whether another seed finds the same nodes is not known")
        notes.append(f"{block.sae['run']}: {'; '.join(words)}.")
    return notes
