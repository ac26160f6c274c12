"""Fidelity of all runs side by side: what is left of each group of tracks, SAEs beside their nulls."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from biosae.figures import new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PANELS = {
    "correlation": "Pearson r with the whole network",
    "variance_kept": "share of output variance kept",
}
_LEAST_SHOWN = -0.25  # a reconstruction may be any amount worse than the mean


def draw_fidelity(table: pd.DataFrame) -> Figure:
    """One panel a figure, groups of tracks along it, a mark a run with its interval over windows.

    Args:
        table: rows of schema ``fidelity_runs``.
    """
    groups, runs = list(dict.fromkeys(table["group"])), list(dict.fromkeys(table["run"]))
    width = max(6.0, 1.5 + 0.25 * len(groups) * (len(runs) + 1))
    figure = new_figure(min(width, 24.0), 6.5)
    axes = figure.subplots(2, 1, sharex=True)
    for axis, (name, title) in zip(axes, _PANELS.items(), strict=True):
        for number, run in enumerate(runs):
            own = table[table["run"] == run].set_index("group").reindex(groups)
            x = np.arange(len(groups)) + 0.8 * ((number + 0.5) / len(runs) - 0.5)
            _marks(axis, x, own, name, run, f"C{number % 10}")
        if name == "variance_kept":
            one = table.drop_duplicates("group").set_index("group").reindex(groups)["mean_ablation_kept"]
            axis.plot(
                np.arange(len(groups)),
                one.clip(lower=_LEAST_SHOWN),
                "_",
                color="0.4",
                ms=30,
                label="mean-ablation",
            )
        axis.set_title(title, fontsize=10, loc="left")
        axis.set_ylim(_LEAST_SHOWN - 0.05, 1.05)
        axis.axhline(0, color="0.8", lw=0.8, zorder=0)
        axis.axhline(1, color="0.8", lw=0.8, zorder=0)
    axes[-1].set_xticks(np.arange(len(groups)), groups, rotation=30, ha="right")
    axes[1].legend(fontsize=7, ncols=3, loc="lower left", frameon=False)
    return figure


def _marks(axis, x: np.ndarray, own: pd.DataFrame, name: str, run: str, colour: str) -> None:
    """Values with intervals; what is below the axis is drawn at its end as a triangle."""
    value, low, high = (own[f"{name}{end}"].to_numpy(float) for end in ("", "_low", "_high"))
    below = value < _LEAST_SHOWN
    shown = np.where(below, _LEAST_SHOWN, value)
    spread = np.stack([shown - np.clip(low, _LEAST_SHOWN, shown), np.maximum(high, shown) - shown])
    axis.errorbar(x, shown, np.where(below, 0, spread), fmt="o", ms=4, lw=1, color=colour, label=run)
    axis.plot(x[below], shown[below], "v", ms=5, color=colour)
