"""The ladder in words: a line a world, and by name those in which the SAE does not beat its best null."""

from __future__ import annotations

import pandas as pd

from biosae.ladder.names import ALL
from biosae.synthetic.found import FOUND_F1

HEADER = ("world", "detectors", "SAE", "raw", "best null", "", "difference", "95 % interval", "")


def summary_text(ladder: pd.DataFrame, axes: pd.DataFrame, differences: pd.DataFrame) -> str:
    """What ``make selftest`` prints.

    Args:
        ladder, axes, differences: tables of schemas ladder, ladder_axes and ladder_differences.
    """
    own = differences[differences["figure"] == "detectors_found"]
    parts = []
    runs = list(own["run"].unique())
    for run in runs:
        part = own[own["run"] == run]
        rows = [HEADER, *_rows(part, axes, ladder)]
        parts += [_title(run, runs[0], ladder), _aligned(rows), _failures(part)]
    return "\n\n".join(parts) + "\n"


def _title(run: str, first: str, ladder: pd.DataFrame) -> str:
    seeds = ladder["seed"].nunique()
    shape = "" if run == first else f"; nulls have the shape of {first}"
    return (
        f"Share of planted detectors that {run} finds (a node of its own with F1 >= {FOUND_F1:g}), "
        f"mean of {seeds} seed{'s' if seeds != 1 else ''}; the best null is that of highest mean{shape}"
    )


def _rows(part: pd.DataFrame, axes: pd.DataFrame, ladder: pd.DataFrame) -> list[tuple[str, ...]]:
    labels = axes.drop_duplicates("axis").set_index("axis")["label"]
    raw = ladder[ladder["role"] == "raw"].groupby("world")["detectors_found"].mean()
    rows = []
    for row in part.itertuples():
        about = "all" if row.detectors == ALL else labels[row.detectors]
        first = _share(raw.get(row.world)) if row.detectors == ALL else ""
        line = (row.world, f"{row.n_detectors}: {about}", _share(row.value), first)
        if pd.isna(row.best_null):
            rows.append((*line, "", "no null", "", "", ""))
            continue
        interval = f"{row.ci_low:+.3f} to {row.ci_high:+.3f}"
        verdict = "" if row.beats_null else "NOT above its best null"
        rows.append(
            (*line, _share(row.null_value), row.best_null, f"{row.difference:+.3f}", interval, verdict)
        )
    return rows


def _share(value: float | None) -> str:
    return "" if value is None or pd.isna(value) else f"{value:.3f}"


def _failures(part: pd.DataFrame) -> str:
    compared = part[part["best_null"].notna()]
    if compared.empty:
        return "There is no baseline to compare with."
    lost = compared[~compared["beats_null"].astype(bool)]
    if lost.empty:
        return f"In each of these {len(compared)} comparisons the interval of the difference lies above 0."
    names = [
        row.world if row.detectors == ALL else f"{row.world} ({row.detectors})" for row in lost.itertuples()
    ]
    return (
        f"In {len(lost)} of {len(compared)} comparisons the interval of the difference reaches 0 or less: "
        f"{', '.join(names)}."
    )


def _aligned(rows: list[tuple[str, ...]]) -> str:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
