"""Figures of the landscape: maps of the nodes, Jaccard similarities, overlaps with annotations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
import pandas as pd
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform

from biosae.figures import STYLE, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIGNIFICANT_Q = 0.05
_HEATMAP_NODES = 40  # labels stay legible up to here
_HEATMAP_CLASSES = 30
_LOG_ODDS_LIMIT = 4.0  # colour range in log2 units: 16-fold either way


def _empty_figure(message: str) -> Figure:
    figure = new_figure(5, 3)
    axes = figure.subplots()
    axes.set_axis_off()
    axes.text(0.5, 0.5, message, ha="center", va="center", transform=axes.transAxes)
    return figure


def _colours(clusters: np.ndarray) -> np.ndarray:
    """A colour per cluster: hues a golden angle apart, in three lightnesses; (n, 4)."""
    hue = (clusters * 0.618034) % 1
    value = np.array([0.85, 0.6, 0.95])[clusters % 3]
    rgb = mpl.colors.hsv_to_rgb(np.stack([hue, np.full(len(clusters), 0.75), value], axis=1))
    return np.concatenate([rgb, np.ones((len(clusters), 1))], axis=1)


def draw_umap(table: pd.DataFrame) -> Figure:
    """Two maps of the nodes, from decoder directions and from co-activation, coloured by cluster."""
    if table.empty:
        return _empty_figure("no node was kept")
    panels = (("umap1", "umap2", "decoder directions"), ("coact1", "coact2", "co-activation at loci"))
    with mpl.rc_context(STYLE):
        figure = new_figure(10, 5)
        for axes, (x, y, title) in zip(figure.subplots(1, 2), panels, strict=True):
            placed = table[table[x].notna()].astype({x: "float64", y: "float64", "cluster": "int64"})
            axes.set(title=f"{title}: {len(placed)} of {len(table)} nodes", xlabel="UMAP 1", ylabel="UMAP 2")
            axes.set(xticks=[], yticks=[])
            if placed.empty:
                axes.text(0.5, 0.5, "too few nodes for a map", ha="center", transform=axes.transAxes)
                continue
            size = float(np.clip(3000 / len(placed), 4, 30))
            axes.scatter(placed[x], placed[y], s=size, c=_colours(placed["cluster"].to_numpy()), linewidths=0)
            for cluster, centre in placed.groupby("cluster")[[x, y]].median().iterrows():
                axes.annotate(str(cluster), (centre[x], centre[y]), ha="center", va="center", fontsize=8)
    return figure


def draw_jaccard(table: pd.DataFrame, n_nodes: int) -> Figure:
    """Histogram of the similarities of all listed pairs, and a clustered heatmap of the most similar nodes.

    Args:
        table: jaccard.tsv.
        n_nodes: kept nodes of the run, to tell an empty run from one whose nodes share no locus.
    """
    if table.empty:
        return _empty_figure("no pair of nodes is listed" if n_nodes else "no node was kept")
    with mpl.rc_context(STYLE):
        figure = new_figure(11, 5)
        left, right = figure.subplots(1, 2)
        left.hist(table["jaccard"].astype("float64"), bins=np.linspace(0, 1, 41), color="0.4")
        left.set(
            title=f"{len(table)} pairs of nodes",
            xlabel="Jaccard similarity",
            ylabel="pairs",
            yscale="log",
            xlim=(0, 1),
        )
        _draw_similarities(right, table)
    return figure


def _draw_similarities(axes: Axes, table: pd.DataFrame) -> None:
    ordered = table.sort_values(["jaccard", "node_a", "node_b"], ascending=[False, True, True])
    nodes = pd.unique(ordered[["node_a", "node_b"]].to_numpy("int64").ravel())[:_HEATMAP_NODES]
    place = pd.Series(np.arange(len(nodes)), index=nodes)
    inside = table[table["node_a"].isin(nodes) & table["node_b"].isin(nodes)]
    matrix = np.eye(len(nodes))
    a, b = place[inside["node_a"]].to_numpy(), place[inside["node_b"]].to_numpy()
    matrix[a, b] = matrix[b, a] = inside["jaccard"].to_numpy("float64")
    order = leaves_list(linkage(squareform(1 - matrix, checks=False), "average"))
    image = axes.imshow(matrix[np.ix_(order, order)], vmin=0, vmax=1, cmap="viridis", interpolation="nearest")
    labels = [str(node) for node in nodes[order]]
    axes.set_xticks(range(len(labels)), labels, rotation=90, fontsize=6)
    axes.set_yticks(range(len(labels)), labels, fontsize=6)
    axes.set_title(f"the {len(labels)} nodes of the most similar pairs")
    axes.figure.colorbar(image, ax=axes, label="Jaccard similarity", shrink=0.8)


def draw_overlaps(table: pd.DataFrame, n_nodes: int) -> Figure:
    """Heatmap of log2 odds ratios of the most significant nodes and classes; a dot where q < 0.05.

    Args:
        table: overlaps.tsv.
        n_nodes: kept nodes of the run, to tell an empty run from one without annotations.
    """
    if table.empty:
        return _empty_figure("no annotation overlaps" if n_nodes else "no node was kept")
    table = table.assign(column=table["annotation"] + ": " + table["class"])
    shown = [
        _most_significant(table, "node", _HEATMAP_NODES),
        _most_significant(table, "column", _HEATMAP_CLASSES),
    ]
    wide = {
        name: table.pivot(index="node", columns="column", values=name)
        .loc[shown[0], shown[1]]
        .to_numpy("float64")
        for name in ("odds_ratio", "q_value")
    }
    with mpl.rc_context(STYLE):
        figure = new_figure(3 + 0.25 * len(shown[1]), 2 + 0.16 * len(shown[0]))
        axes = figure.subplots()
        limits = {"vmin": -_LOG_ODDS_LIMIT, "vmax": _LOG_ODDS_LIMIT}
        image = axes.imshow(
            np.log2(wide["odds_ratio"]), cmap="RdBu_r", aspect="auto", interpolation="nearest", **limits
        )
        rows, columns = np.nonzero(wide["q_value"] < SIGNIFICANT_Q)
        axes.scatter(columns, rows, s=5, color="black", linewidths=0)
        axes.set_xticks(range(len(shown[1])), shown[1], rotation=90, fontsize=7)
        axes.set_yticks(range(len(shown[0])), [str(node) for node in shown[0]], fontsize=6)
        n_significant = int((table["q_value"] < SIGNIFICANT_Q).sum())
        axes.set(
            ylabel="node", title=f"{n_significant} of {len(table)} tests with q < {SIGNIFICANT_Q} (dots)"
        )
        figure.colorbar(
            image, ax=axes, label="log2 odds ratio against the background", extend="both", shrink=0.8
        )
    return figure


def _most_significant(table: pd.DataFrame, by: str, count: int) -> list:
    """The ``count`` values of a column with the lowest q, p, then name."""
    best = table.groupby(by)[["q_value", "p_value"]].min().reset_index()
    return best.sort_values(["q_value", "p_value", by])[by].head(count).tolist()
