"""The table ``node_stats``: published columns over the kept top positions, others over the whole stream."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd

from biosae.encoded_parts import EncodedParts

_log = logging.getLogger(__name__)

_QUANTILES = {"stream_median": 0.5, "stream_q90": 0.9, "stream_q99": 0.99}

_SHAPE = ("max_act", "std_act", "median_act")
_ABOVE = tuple(f"acts_above_{what}" for what in ("global_mean", "node_mean", "node_half", "node_half_max"))


class TopSummaries:
    """Published columns, gathered while the tables of ``EncodedParts`` pass by.

    Args:
        encoded: the parts; their sums give the means beforehand, so one pass is enough.
    """

    def __init__(self, encoded: EncodedParts) -> None:
        self._encoded = encoded
        self._mean, self._global_mean = encoded.tallies.kept_mean(encoded.counts)
        self._seen: list[dict[str, np.ndarray]] = []

    def see(self, table: pd.DataFrame, low: int, high: int) -> pd.DataFrame:
        """Summarise all kept positions of nodes [low, high), sorted by node and rank; returns ``table``."""
        nodes = table["node"].to_numpy() - low
        values = table["activation"].to_numpy().astype(np.float64)
        mean, counts = self._mean[low:high], self._encoded.counts[low:high]
        summary = _over_top(nodes, values, counts, mean)
        summary["acts_above_global_mean"] = _count(nodes, values > self._global_mean, high - low)
        self._seen.append(summary)
        return table

    def node_statistics(self) -> pd.DataFrame:
        """The table of schema ``node_stats``; after the tables of all nodes were seen, in order."""
        encoded, tallies = self._encoded, self._encoded.tallies
        top = {name: np.concatenate([part[name] for part in self._seen]) for name in self._seen[0]}
        active, n_nodes = tallies.counts, len(encoded.counts)
        n_rows = encoded.n_sequences * encoded.positions
        stats = {
            "node_id": np.arange(n_nodes),
            "num_nonzero": encoded.counts,
            "mean_act": self._mean,
            **{name: top[name] for name in _SHAPE},
            **{name: top[name] for name in _ABOVE},
            "stream_count": active,
            "density": active / n_rows,
            "stream_mean": tallies.mean(),
            # the strongest of all is the strongest of its part, so it is kept
            "stream_max": top["max_act"],
        }
        for name, share in _QUANTILES.items():
            stats[name] = np.minimum(tallies.quantile(share), top["max_act"])
        stats["n_sequences"] = tallies.n_sequences
        stats["histogram"] = [",".join(map(str, row)) for row in tallies.octaves().tolist()]
        _log.info("%d of %d nodes are never active", int((active == 0).sum()), n_nodes)
        return pd.DataFrame(stats)


def _count(nodes: np.ndarray, chosen: np.ndarray, n_nodes: int) -> np.ndarray:
    return np.bincount(nodes[chosen], minlength=n_nodes)


def _over_top(
    nodes: np.ndarray, values: np.ndarray, counts: np.ndarray, mean: np.ndarray
) -> dict[str, np.ndarray]:
    """Columns over the kept positions of some nodes, each (n_nodes,); 0 for a node without any."""
    n_nodes, alive = len(counts), counts > 0
    start = (np.cumsum(counts) - counts)[alive]
    # bincount adds in the order of the rows: a node's sum does not depend on the nodes beside it
    squares = np.bincount(nodes, weights=(values - mean[nodes]) ** 2, minlength=n_nodes)
    highest, median = np.zeros(n_nodes), np.zeros(n_nodes)
    highest[alive] = values[start]  # strongest first
    middle = counts[alive] - 1
    median[alive] = (values[start + middle // 2] + values[start + (middle + 1) // 2]) / 2
    return {
        "max_act": highest,
        "std_act": np.sqrt(np.divide(squares, counts - 1, out=np.zeros(n_nodes), where=counts > 1)),
        "median_act": median,
        "acts_above_node_mean": _count(nodes, values > mean[nodes], n_nodes),
        "acts_above_node_half": _count(nodes, values > mean[nodes] / 2, n_nodes),
        "acts_above_node_half_max": _count(nodes, values > highest[nodes] / 2, n_nodes),
    }
