"""Matplotlib figures whose bytes depend on nothing but their content.

Matplotlib puts the time and random element ids into an SVG; both are fixed here, so that a figure drawn
twice from the same table is the same file twice. Figures are made without pyplot (`new_figure`): no global
state, no display.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl

from biosae.artefacts import atomic_path

if TYPE_CHECKING:
    import pandas as pd
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
    "fraction of variance unexplained": {"train_fvu": "training", "validation_fvu": "validation"},
    "L0 (active nodes a position)": {"l0": "validation"},
    "dead fraction of all nodes": {
        "dead_fraction": "not active in validation",
        "train_silent_fraction": "not active in recent training",
    },
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
    """Three panels over the training step: FVU, L0 and dead fraction.

    Args:
        curve: rows of training_curve.tsv; none, or only the one before the first step, for a run that was
            not trained: the figure then says so.
        run: name of the run, for the title.
    """
    figure = new_figure(9.0, 2.8)
    with mpl.rc_context(STYLE):
        axes = figure.subplots(1, 3)
        figure.suptitle(run if len(curve) > 1 else f"{run}: not trained", fontsize=10)
        for axis, (title, series) in zip(axes, TRAINING_PANELS.items(), strict=True):
            for column, label in series.items():
                shown = curve.dropna(subset=[column])
                axis.plot(shown["step"], shown[column], label=label, linewidth=1.25, marker=".", markersize=3)
            axis.set(title=title, xlabel="step", ylim=(0, None))
            axis.legend()
        axes[0].set_ylim(0, FVU_TOP)
    return figure
