"""The scoreboard as a picture: every SAE and its nulls, and what is left of the SAE beside the best null."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
import pandas as pd

from biosae.figures import STYLE, new_figure
from biosae.scoreboard.labels import LABELS, Block, blocks, long_label, value_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# an SAE is a filled point, a null an open mark of its role; up to ten SAEs are told apart by colour
COLOURS = mpl.color_sequences["tab10"]
MARKS = {
    "raw": "s", "pca": "D", "ica": "d", "random": "^", "frozen": "v", "permuted": "P", "random_model": "X",
}  # fmt: skip
_ROW_IN = 0.3


def scoreboard_figure(summary: pd.DataFrame, scoreboard: pd.DataFrame) -> Figure:
    """Left: each figure of each run, counts as a share of its kept nodes. Right: SAE minus best null.

    Differences are per matched node, with their intervals; recovery figures are shares as they are.

    Args:
        summary, scoreboard: rows of summary.tsv and of scoreboard.tsv.
    """
    found = blocks(summary, scoreboard)
    shown = [figure for figure in LABELS if figure in set(scoreboard["figure"])]
    figure = new_figure(9.5, 1.6 + _ROW_IN * max(len(shown), 3) + 0.16 * len(found))
    with mpl.rc_context(STYLE):
        values, differences = figure.subplots(1, 2, sharey=True)
        for number, block in enumerate(found):
            _draw(values, differences, block, shown, number, len(found))
        _finish(values, differences, shown)
        handles, labels = values.get_legend_handles_labels()
        unique = dict(zip(labels, handles, strict=True))
        if unique:
            figure.legend(unique.values(), unique, loc="outside lower center", ncols=4, fontsize=8)
    return figure


def _draw(
    values: Axes, differences: Axes, block: Block, shown: list[str], number: int, n_blocks: int
) -> None:
    colour = COLOURS[number % len(COLOURS)]
    # the SAEs of one figure lie a little above one another
    rows = np.arange(len(shown)) + (number - (n_blocks - 1) / 2) * min(0.15, 0.7 / n_blocks)
    for null in block.nulls:
        style = {"marker": MARKS.get(null["role"], "o"), "mfc": "none", "ls": "", "ms": 5}
        values.plot(_shares(null, shown), rows, color="0.45", label=null["role"], **style)
    style = {"marker": "o", "ls": "", "ms": 6}
    values.plot(_shares(block.sae, shown), rows, color=colour, label=block.sae["run"], **style)
    for row, name in zip(rows, shown, strict=True):
        score = block.scores.get(name)
        if score is None or pd.isna(score["difference"]):
            continue
        scale = 1.0 if pd.isna(score["matched_nodes"]) else 1.0 / max(score["matched_nodes"], 1)
        differences.plot(score["difference"] * scale, row, color=colour, **style)
        if pd.notna(score["ci_low"]):
            ends = [score["ci_low"] * scale, score["ci_high"] * scale]
            differences.plot(ends, [row, row], color=colour, linewidth=1.5, solid_capstyle="butt")


def _shares(run: pd.Series, shown: list[str]) -> np.ndarray:
    """The figures of a run: counts as a share of its kept nodes, shares as they are; NaN where missing."""
    kept = max(float(run["kept_nodes"]), 1.0)
    scale = [1.0 if figure in _SHARES else kept for figure in shown]
    return np.array([np.nan if pd.isna(v := value_of(run, f)) else float(v) for f in shown]) / scale


_SHARES = ("motif_recall", "motif_precision", "assignment_f1", "detectors_found")


def _finish(values: Axes, differences: Axes, shown: list[str]) -> None:
    values.set_yticks(range(len(shown)), [long_label(figure) for figure in shown])
    values.set_ylim(len(shown) - 0.4, -0.6)
    values.set(title="SAE and nulls", xlabel="share of kept nodes; of the truth where it is known")
    values.set_xlim(-0.03, 1.03)
    differences.set(
        title="SAE minus best null",
        xlabel="difference per node compared (of the truth: as it is), 95 % interval",
    )
    differences.axvline(0, color="0.3", linewidth=0.8)
    for axis in (values, differences):
        axis.grid(axis="x", color="0.9", linewidth=0.8)
        axis.set_axisbelow(True)
