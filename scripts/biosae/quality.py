"""The figure of a run's quality: how often nodes are active, which channels are explained, and stability."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
from matplotlib.ticker import PercentFormatter

from biosae.figures import FVU_TOP, STYLE, log_fvu_axis, new_figure
from biosae.summary import load_json, required

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FIGURES = (
    "n_nodes",
    "fvu",
    "fvu_channel_mean",
    "l0",
    "l0_quantiles",
    "dead_fraction",
    "density_median",
    "log10_density_histogram",
)
_BLUE, _ORANGE, _GREY = "tab:blue", "tab:orange", "0.55"


def load_figures(run: Path) -> dict:
    """The figures of evaluation.json that are drawn."""
    path = run / "evaluation.json"
    return required(load_json(path), FIGURES, path)


def quality_figure(
    figures: dict, channels: pd.DataFrame, run: str, stability: pd.DataFrame | None = None
) -> Figure:
    """Densities of the nodes, FVU of the channels and, if given, stability across seeds.

    Args:
        figures: ``FIGURES`` of evaluation.json.
        channels: rows of channel_fvu.tsv.
        run: name of the run, for the title.
        stability: rows of stability.tsv; None where the grid has one seed.
    """
    panels = 2 if stability is None else 3
    figure = new_figure(3.6 * panels, 3.2)
    with mpl.rc_context(STYLE):
        axes = figure.subplots(1, panels)
        figure.suptitle(_title(figures, run), fontsize=10)
        _draw_densities(axes[0], figures)
        _draw_channels(axes[1], figures, channels)
        if stability is not None:
            _draw_stability(axes[2], stability)
    return figure


def _title(figures: dict, run: str) -> str:
    levels = figures["l0_quantiles"]
    spread = f"{levels['0.05']:.0f} to {levels['0.95']:.0f}"
    fvu = "undefined" if figures["fvu"] is None else f"{figures['fvu']:.3g}"
    return f"{run}: FVU {fvu}, L0 {figures['l0']:.3g} (5 % to 95 % of positions: {spread})"


def _draw_densities(axis: Axes, figures: dict) -> None:
    edges, counts = (figures["log10_density_histogram"][name] for name in ("edges", "counts"))
    axis.stairs(counts, edges, fill=True, color=_BLUE, alpha=0.75)
    dead = round(figures["dead_fraction"] * figures["n_nodes"])
    seen = np.flatnonzero(counts)
    first = edges[seen[0]] if len(seen) else -1.0
    axis.set(
        title="how often a node is active",
        xlabel=r"density: log$_{10}$ share of positions",
        ylabel="nodes",
        xlim=(min(first, -2.0) - 0.25, 0.1),
        ylim=(0, max(*counts, 1) * 1.3),
    )
    share = f"{100 * figures['dead_fraction']:.3g} %"
    text = f"dead: {dead:,} of {figures['n_nodes']:,} nodes ({share})\nnot in the histogram"
    axis.text(0.02, 0.98, text, transform=axis.transAxes, va="top")


def _draw_channels(axis: Axes, figures: dict, channels: pd.DataFrame) -> None:
    fvu = np.sort(channels["fvu"].dropna().to_numpy(float))
    axis.set(
        title="FVU of each channel", xlabel="channels, by FVU", ylabel="fraction of variance unexplained"
    )
    axis.xaxis.set_major_formatter(PercentFormatter(1.0))
    axis.set_xlim(0, 1)
    if len(fvu):
        steps = np.linspace(0, 1, len(fvu) + 1)
        axis.stairs(np.minimum(fvu, FVU_TOP), steps, baseline=None, color=_BLUE, linewidth=1.5)
        axis.plot([0.5 / len(fvu)], [min(fvu[0], FVU_TOP)], alpha=0)  # the scale reads lines, not stairs
        for name, label, color in (
            ("fvu", "all channels together", _ORANGE),
            ("fvu_channel_mean", "mean of the channels", _GREY),
        ):
            style = {"color": color, "linestyle": "--", "linewidth": 1}
            axis.axhline(min(figures[name], FVU_TOP), label=f"{label}: {figures[name]:.3g}", **style)
    log_fvu_axis(axis)
    notes = {f"above {FVU_TOP:g}": (fvu > FVU_TOP).sum(), "constant": channels["fvu"].isna().sum()}
    for what, count in notes.items():
        if count:
            axis.plot([], [], " ", label=f"{count} of {len(channels)} channels {what}")
    low, high = axis.get_ylim()  # room for the legend
    axis.set_ylim(low, high * (high / low) ** 0.4 if axis.get_yscale() == "log" else high * 1.3)
    axis.legend(loc="upper left", handlelength=1.5)


def _draw_stability(axis: Axes, stability: pd.DataFrame) -> None:
    live = stability[~stability["dead"].astype(bool)]
    siblings = int(stability["siblings"].max()) if len(stability) else 0
    bins = np.linspace(-0.2, 1.0, 49)
    for column, label, style in (
        ("stability", "other seeds", {"fill": True, "color": _BLUE, "alpha": 0.75}),
        ("null_stability", "random directions", {"color": _ORANGE, "linewidth": 1.5}),
    ):
        values = live[column].dropna().to_numpy(float)
        axis.stairs(np.histogram(np.clip(values, bins[0], bins[-1]), bins)[0], bins, label=label, **style)
    top = axis.get_ylim()[1]
    axis.set(
        title=f"matched decoder cosine, {siblings} other seed{'s' if siblings != 1 else ''}",
        xlabel="mean cosine with the node's partners",
        ylabel="live nodes",
        ylim=(0, max(top, 1) * 1.25),
    )
    axis.legend(loc="upper left")
