"""Pictures of the ladder: one panel an axis, the easiest world on the left, every run, and chance."""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
import pandas as pd

from biosae.figures import STYLE, new_figure
from biosae.ladder.names import ALL, CHANCE, SAE
from biosae.synthetic.found import FOUND_F1

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = 4
SAE_COLORS = ("#0b5fa5", "#d1495b", "#6a4c93", "#2a9d8f")
NULL_STYLES = {  # colour and marker; a role keeps its own in every picture
    "raw": ("#e08a00", "s"),
    "pca": ("#8c6d31", "D"),
    "ica": ("#7f7f7f", "v"),
    "random": ("#2ca02c", "^"),
    "frozen": ("#17becf", "P"),
    "permuted": ("#9467bd", "X"),
    "random_model": ("#e377c2", "*"),
}
FAILED = "#c1121f"
FIGURES = {  # column of table ladder -> what its row of panels shows
    "detectors_found": "detectors found",
    "best_f1": "best F1 of any node",
    "motif_recall": "motif recall",
    "motif_precision": "motif precision",
    "position_error_bp": "position error, bp",
    "splitting": "splitting",
    "merging": "merging",
    "absorption": "absorption",
}
LOGARITHMIC = {"position_error_bp"}


def ladder_figure(axes: pd.DataFrame, differences: pd.DataFrame) -> Figure:
    """Detectors found against difficulty, a panel an axis, and every world's difference to its best null.

    Args:
        axes: schema ladder_axes.
        differences: schema ladder_differences.
    """
    names = list(dict.fromkeys(axes["axis"]))
    own = differences[differences["figure"] == "detectors_found"]
    first = own[own["run"] == next(iter(own["run"]))]
    rows = -(-len(names) // COLUMNS)
    height = 2.9 * rows + max(2.4, 0.19 * len(first) + 0.9)
    figure = new_figure(3.0 * COLUMNS, height)
    with mpl.rc_context(STYLE):
        # placed by hand: the long names beside the differences leave a layout engine no room for the panels
        figure.set_layout_engine("none")
        space = {"left": 0.06, "right": 0.985, "bottom": 0.35 / height, "top": 1 - 0.95 / height}
        ratios = [2.7] * rows + [height - 2.7 * rows]
        grid = figure.add_gridspec(rows + 1, COLUMNS, height_ratios=ratios, hspace=0.42, wspace=0.24, **space)
        for number, axis in enumerate(names):
            panel = figure.add_subplot(grid[number // COLUMNS, number % COLUMNS])
            part = axes[axes["axis"] == axis]
            draw_panel(panel, part, "detectors_found")
            mark_failures(panel, part, first, axis)
            panel.set(title=_title(part), ylim=(-0.04, 1.1))
            if number % COLUMNS == 0:
                panel.set_ylabel(f"share with F1 >= {FOUND_F1:g}")
        draw_differences(figure.add_subplot(grid[rows, 2:]), first)
        draw_legend(figure.add_subplot(grid[rows, 0]), axes)
        figure.suptitle(
            "Planted detectors found, one node each: mean and range of the seeds; harder to the right"
            + _shape(axes),
            fontsize=11,
        )
    return figure


def figures_grid(ladder: pd.DataFrame, axes: pd.DataFrame) -> Figure:
    """Every figure of table ladder (rows) on every axis (columns), over all detectors of each world."""
    names = list(dict.fromkeys(axes["axis"]))
    shown = {name: label for name, label in FIGURES.items() if ladder[name].notna().any()}
    places = axes[["axis", "label", "place", "difficulty", "world"]].drop_duplicates()
    figure = new_figure(2.2 * len(names) + 1.0, 1.75 * len(shown) + 1.2)
    with mpl.rc_context(STYLE):
        panels = figure.subplots(len(shown), len(names), squeeze=False, sharey="row")
        for number, (column, label) in enumerate(shown.items()):
            row = panels[number]
            for panel, axis in zip(row, names, strict=True):
                own = places[places["axis"] == axis].merge(ladder, on="world")
                draw_panel(panel, own, column)
                if number == 0:
                    panel.set_title(fill(own["label"].iloc[0], 26), fontsize=8)
                panel.tick_params(labelsize=7)
            row[0].set_ylabel(label)
            _scale(row[0], column)
        handles, labels = _handles(axes)
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), fontsize=8)
        title = "Every figure of the ladder, over all detectors of a world"
        figure.suptitle(title + _shape(axes), fontsize=11)
    return figure


def draw_panel(panel: Axes, part: pd.DataFrame, column: str) -> None:
    """One figure of every run over the worlds of an axis: means, and bars from least to most of the seeds."""
    part = part.sort_values("place", kind="stable")
    ticks = part.drop_duplicates("place")
    runs = list(dict.fromkeys(part["run"]))
    for number, run in enumerate(runs):
        own = part[(part["run"] == run) & part[column].notna()]
        if own.empty:
            continue
        spread = own.groupby("place")[column].agg(["mean", "min", "max"])
        look = style_of(run, own["role"].iloc[0], part)
        # runs stand side by side, so that equal values hide none of them
        at = spread.index.to_numpy(float) + 0.045 * (number - (len(runs) - 1) / 2)
        panel.plot(at, spread["mean"], **look)
        panel.vlines(at, spread["min"], spread["max"], color=look["color"], linewidth=look["linewidth"] * 0.7)
    panel.set_xticks(ticks["place"], [fill(word, 10) for word in ticks["difficulty"]])
    panel.set_xlim(-0.5, ticks["place"].max() + 0.5)


def style_of(run: str, role: str, part: pd.DataFrame) -> dict:
    """Line style of a run: SAEs thick, nulls thin with their own marker, chance dotted."""
    if role == SAE:
        saes = list(dict.fromkeys(part.loc[part["role"] == SAE, "run"]))
        color = SAE_COLORS[saes.index(run) % len(SAE_COLORS)]
        return {"color": color, "marker": "o", "markersize": 4.5, "linewidth": 2.2, "zorder": 5}
    if role == CHANCE:
        return {
            "color": "0.35",
            "linestyle": ":",
            "marker": "_",
            "markersize": 7,
            "linewidth": 1.2,
            "zorder": 2,
        }
    color, marker = NULL_STYLES[role]
    return {"color": color, "marker": marker, "markersize": 4, "linewidth": 1.0, "zorder": 3}


def mark_failures(panel: Axes, part: pd.DataFrame, differences: pd.DataFrame, axis: str) -> None:
    """A red cross above each world in which the first SAE does not beat its best null."""
    about = axis if axis in set(differences["detectors"]) else ALL
    own = differences[(differences["detectors"] == about) & differences["best_null"].notna()]
    lost = set(own.loc[~own["beats_null"].astype(bool), "world"])
    at = part.loc[part["world"].isin(lost), "place"].unique()
    panel.plot(at, np.full(len(at), 1.06), "x", color=FAILED, markersize=7, markeredgewidth=2, clip_on=False)


def draw_differences(panel: Axes, differences: pd.DataFrame) -> None:
    """Difference and interval of each world, red where the interval reaches 0 or less."""
    own = differences[differences["best_null"].notna()].reset_index(drop=True)
    lines = len(own)
    for row in own.itertuples():
        color = SAE_COLORS[0] if row.beats_null else FAILED
        panel.plot([row.ci_low, row.ci_high], [lines - row.Index] * 2, color=color, linewidth=1.5)
        panel.plot(row.difference, lines - row.Index, "o", color=color, markersize=4)
    labels = [
        (row.world if row.detectors == ALL else f"{row.world}: {row.detectors}") + f"  (vs {row.best_null})"
        for row in own.itertuples()
    ]
    panel.axvline(0, color="0.35", linewidth=1, linestyle=":")
    panel.set_yticks(range(lines, 0, -1), labels, fontsize=7.5)
    for label in panel.get_yticklabels():  # they lie over the empty place beside the legend
        label.set_in_layout(False)
    run = differences["run"].iloc[0] if len(differences) else ""
    panel.set(
        title=f"{run} minus best null, share found (95 % interval)",
        ylim=(0.3, lines + 0.7),
    )


def draw_legend(panel: Axes, axes: pd.DataFrame) -> None:
    """The runs, chance and the mark of a failure."""
    panel.axis("off")
    handles, labels = _handles(axes)
    cross = mpl.lines.Line2D([], [], color=FAILED, marker="x", linestyle="", markeredgewidth=2)
    words = [*labels, "SAE not above its best null"]
    # it may be wider than its panel, which must not push the others aside
    panel.legend([*handles, cross], words, loc="upper left", fontsize=9).set_in_layout(False)


def _handles(axes: pd.DataFrame) -> tuple[list, list[str]]:
    runs = axes.drop_duplicates("run")
    handles = [mpl.lines.Line2D([], [], **style_of(row.run, row.role, axes)) for row in runs.itertuples()]
    names = {CHANCE: "chance (truth displaced)"}
    return handles, [names.get(run, run) for run in runs["run"]]


def _shape(axes: pd.DataFrame) -> str:
    """What a title says of the nulls where further SAEs stand beside those of the first."""
    saes = list(dict.fromkeys(axes.loc[axes["role"] == SAE, "run"]))
    return f"; nulls have the shape of {saes[0]}" if len(saes) > 1 else ""


def _title(part: pd.DataFrame) -> str:
    counts = sorted(set(part["n_detectors"]))
    span = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    return f"{fill(part['label'].iloc[0], 30)}\n({span} detectors)"


def _scale(panel: Axes, column: str) -> None:
    if column in LOGARITHMIC:
        panel.set_yscale("log")
    elif panel.get_ylim()[1] <= 1.2:
        panel.set_ylim(-0.04, 1.06)
