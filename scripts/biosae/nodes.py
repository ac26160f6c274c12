"""Which nodes are kept for seqlets and motifs: the two documented rules, and a ceiling."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import pandas as pd

from biosae.errors import ConfigError

_log = logging.getLogger(__name__)

_HALF_COLUMNS = {"mean": "acts_above_node_half", "max": "acts_above_node_half_max"}


@dataclass
class Selection:
    """Kept nodes and what each rule dropped.

    Attributes:
        table: schema ``selected_nodes``, by rank; may be empty.
        counts: nodes in all, dead, dropped by each rule in turn, and selected.
    """

    table: pd.DataFrame
    counts: dict[str, int]


def select_nodes(
    stats: pd.DataFrame,
    min_nonzero: int = 1000,
    min_above_half: int = 200,
    above_half_of: str = "mean",
    max_nodes: int | None = None,
) -> Selection:
    """Keep the nodes with enough, and enough strong, top activations.

    Both rules as the published work documents them (its README; its code leaves the second out and
    would take half of the maximum). The rules apply in turn; then the ``max_nodes`` strongest stay.

    Args:
        stats: schema ``node_stats``; all counts are over the top activations.
        min_nonzero: least number of top activations (published: 1000).
        min_above_half: least number of top activations above half of ``above_half_of`` (published: 200).
        above_half_of: ``mean`` or ``max`` of the node's top activations.
        max_nodes: keep at most so many, those with the highest mean activation; None for all.

    Returns: Selection; rank 1 is the highest mean activation, ties go to the lower node.

    Raises: ConfigError for a negative threshold or an unknown ``above_half_of``.
    """
    _check((min_nonzero, min_above_half, max_nodes or 0), above_half_of)
    half = _HALF_COLUMNS[above_half_of]
    enough = stats[stats["num_nonzero"] >= max(min_nonzero, 1)]  # a dead node never passes
    strong = enough[enough[half] >= min_above_half]
    ranked = strong.sort_values(["mean_act", "node_id"], ascending=[False, True], ignore_index=True)
    ranked.insert(0, "rank", range(1, len(ranked) + 1))
    table = ranked.head(len(ranked) if max_nodes is None else max_nodes).rename(columns={"node_id": "node"})
    counts = {
        "nodes": len(stats),
        "never_active": int((stats["num_nonzero"] == 0).sum()),
        "dropped_by_min_nonzero": len(stats) - len(enough),
        "dropped_by_min_above_half": len(enough) - len(strong),
        "dropped_by_max_nodes": len(strong) - len(table),
        "selected": len(table),
    }
    _report(counts, stats, half)
    return Selection(table, counts)


def _check(thresholds: tuple[int, ...], above_half_of: str) -> None:
    if above_half_of not in _HALF_COLUMNS or min(thresholds) < 0:
        raise ConfigError(
            "Node selection needs thresholds >= 0 and above_half_of 'mean' or 'max'",
            got={"thresholds": thresholds, "above_half_of": above_half_of},
        )


def _report(counts: dict[str, int], stats: pd.DataFrame, half: str) -> None:
    _log.info("node selection: %s", counts)
    if counts["selected"] == 0:
        _log.warning(
            "no node passes the selection rules, so every table after this one is empty: %s. The highest "
            "num_nonzero is %d and the highest %s is %d; to keep nodes, lower select.min_nonzero and "
            "select.min_above_half, or encode more sequences",
            counts,
            int(stats["num_nonzero"].max()) if len(stats) else 0,
            half,
            int(stats[half].max()) if len(stats) else 0,
        )
