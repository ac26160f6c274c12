"""Matplotlib figures whose bytes depend on nothing but their content.

Matplotlib puts the time and random element ids into an SVG; both are fixed here, so that a figure drawn
twice from the same table is the same file twice. Figures are made without pyplot (`new_figure`): no global
state, no display.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl
from matplotlib.ticker import EngFormatter

from biosae.artefacts import atomic_path

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STYLE = {
    "svg.hashsalt": "biosae",  # ids inside the SVG are hashes of the content and of this, not random
    "svg.fonttype": "none",  # text stays text: small files that can be searched and follow the page's font
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # ships with matplotlib: the same PNG on every machine
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "legend.frameon": False,
}
PNG_DPI = 150
FVU_TOP = 1.25  # an untrained dictionary can be far worse than the mean (FVU 1) and would flatten the rest
TRAINING_PANELS = {  # title -> column of training_curve.tsv -> label
    "fraction of variance unexplained": {
        "train_fvu": "training",
        "validation_fvu": "validation",
        "validation_fvu_without_layer_norm": "validation, inside LayerNorm",
    },
    "L0 (active nodes a position)": {"l0": "validation"},
    "dead fraction of all nodes": {
        "dead_fraction": "not active in validation",
        "train_silent_fraction": "not active in recent training",
    },
    "learning rate": {"learning_rate": "Adam"},
}


def new_figure(width_in: float = 6.0, height_in: float = 4.0) -> Figure:
    """An empty figure (inches) outside pyplot, with the house style; draw on `figure.subplots()`."""
    from matplotlib.figure import Figure

    with mpl.rc_context(STYLE):
        return Figure(figsize=(width_in, height_in), layout="constrained")


def save_figure(figure: Figure, folder: Path | str, name: str) -> list[Path]:
    """Write `folder/name.svg` and `folder/name.png`; the same figure gives the same bytes.

    Text properties are fixed when axes are made: make axes inside `with mpl.rc_context(STYLE)`.

    Returns:
        the two paths.
    """
    folder = Path(folder)
    metadata = {"svg": {"Date": None, "Creator": None}, "png": {"Software": None}}
    written = []
    for suffix in ("svg", "png"):
        path = folder / f"{name}.{suffix}"
        with atomic_path(path) as part, mpl.rc_context(STYLE):
            figure.savefig(part, format=suffix, dpi=PNG_DPI, metadata=metadata[suffix])
        written.append(path)
    return written


def training_figure(curve: pd.DataFrame, run: str) -> Figure:
    """Four panels over the training positions: FVU (log scale), L0, dead fraction and learning rate.

    Args:
        curve: rows of training_curve.tsv; none, or only the one before the first step, for a run that was
            not trained: the figure then says so and gives its figures in words.
        run: name of the run, for the title.
    """
    if len(curve) < 2:
        return _untrained_figure(curve, run)
    figure = new_figure(7.2, 5.2)
    with mpl.rc_context(STYLE):
        axes = figure.subplots(2, 2).flat
        figure.suptitle(run, fontsize=10)
        for axis, (title, series) in zip(axes, TRAINING_PANELS.items(), strict=True):
            for column, label in _distinct(curve, series).items():
                shown = curve.dropna(subset=[column])
                style = {"linewidth": 1.25, "marker": ".", "markersize": 3}
                axis.plot(shown["positions"], shown[column], label=label, **style)
            axis.set(title=title, xlabel="training positions")
            axis.xaxis.set_major_formatter(EngFormatter(sep=""))
            _from_zero(axis)
            if len(axis.lines) > 1:
                axis.legend()
        log_fvu_axis(figure.axes[0])
        figure.axes[3].ticklabel_format(axis="y", style="sci", scilimits=(-2, 3))
    return figure


def _untrained_figure(curve: pd.DataFrame, run: str) -> Figure:
    """The figures of a dictionary that has no curve, as one line of text."""
    figure = new_figure(7.2, 1.0)
    words = []
    for row in curve.itertuples(index=False):
        fvu = "undefined" if row.validation_fvu != row.validation_fvu else f"{row.validation_fvu:.3g}"
        words.append(f"validation: FVU {fvu}, L0 {row.l0:.4g}, dead fraction {row.dead_fraction:.3g}")
    with mpl.rc_context(STYLE):
        figure.suptitle(f"{run}: not trained", fontsize=10)
        figure.text(0.5, 0.3, "".join(words) or "no curve", ha="center")
    return figure


def _from_zero(axis: Axes) -> None:
    """A linear axis a little from below 0, so that a line at 0 is seen."""
    top = max((max(line.get_ydata(), default=0) for line in axis.lines), default=0) * 1.1 or 0.1
    axis.set_ylim(-0.02 * top, top)


def _distinct(curve: pd.DataFrame, series: dict[str, str]) -> dict[str, str]:
    """``series`` without FVU inside LayerNorm where there is no LayerNorm: it is the FVU itself."""
    name = "validation_fvu_without_layer_norm"
    same = name in series and curve[name].equals(curve["validation_fvu"])
    return {column: label for column, label in series.items() if not (same and column == name)}


def log_fvu_axis(axis: Axes) -> None:
    """A log scale up to ``FVU_TOP`` where every value allows it, else a linear one from 0."""
    values = [value for line in axis.lines for value in line.get_ydata()]
    if not values or min(values) <= 0:
        axis.set_ylim(0, FVU_TOP)
        return
    low = min(0.5, min(values) / 1.2)
    axis.set(yscale="log", ylim=(low, FVU_TOP))
    marks = (1, 1.5, 2, 3, 5, 7) if low > 0.05 else (1, 2, 5)
    ticks = [m * 10.0**e for e in range(-9, 1) for m in marks if low <= m * 10.0**e <= FVU_TOP][-12:]
    axis.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axis.minorticks_off()
