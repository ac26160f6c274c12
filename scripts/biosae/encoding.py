"""From a stream of activations to each node's top positions and statistics.

A sequence is cut into equal parts, and of every node the strongest positions of each part are kept
(published: 8 of each quarter sequence). Blocks of a fixed size begin at the start of each part, so
neither the way files are read nor their sizes change a result. The last block of a part is as short
as the part demands; the published stream dropped such remainders (12 to 16 % of the rows).

Floor: one encoder pass over the rows. Only sparse codes leave the model; per block they cost one
histogram and a filter against each node's weakest kept value, which few codes pass. Memory: one
block, n_nodes x (top_per_part + 32 histogram bins), and the result, at most top_per_part x
parts_per_sequence rows a node and sequence at 16 bytes.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd

from biosae.activations import ActivationStore
from biosae.cli import progress
from biosae.errors import ConfigError, InputError
from biosae.top_activations import read_top_activations, write_top_activations

__all__ = ["EncodedNodes", "encode_store", "part_borders", "read_top_activations", "write_top_activations"]

_log = logging.getLogger(__name__)

BLOCK_ROWS = 4096  # rows the model encodes at once; part of the definition of the result (see above)
_MERGE_CODES = 2**16  # codes merged at once: the first of a part all pass the filter, and are sorted
HISTOGRAM_BINS = 32
HISTOGRAM_LOWEST = -16  # bin i counts activations in [2**(i-16), 2**(i-15)); the end bins take the rest


class Codes(Protocol):
    """Sparse activations of a block: row in the block, node and value, each (m,)."""

    rows: np.ndarray
    nodes: np.ndarray
    values: np.ndarray


class Encoder(Protocol):
    """What ``encode_store`` needs of a model."""

    n_nodes: int
    channels: int

    def encode_block(self, x: np.ndarray) -> Codes:
        """All non-zero activations of the rows of ``x``, float32 (n, channels)."""


@dataclass
class EncodedNodes:
    """What is kept of a stream.

    Attributes:
        top: DataFrame of node, rank (1 = strongest of its node), activation, sequence, position;
            sorted by node and rank, ties broken by sequence and position.
        stats: DataFrame of schema ``node_stats``, one row per node, dead nodes included.
    """

    top: pd.DataFrame
    stats: pd.DataFrame


def part_borders(positions: int, parts: int) -> np.ndarray:
    """Borders of the parts of a sequence, int64 (parts + 1,); together the parts cover every position."""
    return np.arange(parts + 1, dtype=np.int64) * positions // parts


class RunningTop:
    """The strongest positions of each node, kept while codes stream past.

    Args:
        n_nodes: number of nodes.
        top: positions kept of each node. Of equal activations the earlier position is kept.
    """

    def __init__(self, n_nodes: int, top: int) -> None:
        self.values = np.zeros((n_nodes, top), np.float32)  # 0: empty, since only positive codes come
        self.positions = np.full((n_nodes, top), -1, np.int64)
        self._floor = np.zeros(n_nodes, np.float32)  # the weakest kept value of each node

    def add(self, nodes: np.ndarray, values: np.ndarray, positions: np.ndarray) -> None:
        """Take in codes, in any order: node, positive float32 value and position, each (m,)."""
        for low in range(0, len(nodes), _MERGE_CODES):
            part = slice(low, low + _MERGE_CODES)
            passed = values[part] >= self._floor[nodes[part]]
            if passed.any():
                self._merge(nodes[part][passed], values[part][passed], positions[part][passed])

    def _merge(self, nodes: np.ndarray, values: np.ndarray, positions: np.ndarray) -> None:
        touched = np.unique(nodes)
        which, slot = np.nonzero(self.values[touched] > 0)
        kept = touched[which]
        nodes = np.concatenate([kept, nodes])
        values = np.concatenate([self.values[kept, slot], values])
        positions = np.concatenate([self.positions[kept, slot], positions])
        order = np.lexsort((positions, _strongest_first(nodes, values)))
        nodes, values, positions = nodes[order], values[order], positions[order]
        rank = rank_in_group(nodes)
        best = rank < self.values.shape[1]
        self.values[nodes[best], rank[best]] = values[best]
        self.positions[nodes[best], rank[best]] = positions[best]
        self._floor[touched] = self.values[touched, -1]

    def take(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(nodes, values, positions) kept so far, by node, strongest first; begins anew."""
        nodes, slot = np.nonzero(self.values)
        kept = nodes, self.values[nodes, slot], self.positions[nodes, slot]
        self.values[nodes], self._floor[nodes], self.positions[nodes] = 0, 0, -1
        return kept


def _strongest_first(nodes: np.ndarray, values: np.ndarray) -> np.ndarray:
    """A uint64 key that sorts by node, then by falling value: the bits of a positive float32 sort like it."""
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    return nodes.astype(np.uint64) << np.uint64(32) | (np.uint32(0xFFFFFFFF) - bits).astype(np.uint64)


def rank_in_group(groups: np.ndarray) -> np.ndarray:
    """Rank from 0 of each entry within its run of equal values, (n,) int64; ``groups`` is sorted."""
    starts = np.flatnonzero(np.concatenate([[True], groups[1:] != groups[:-1]])) if len(groups) else []
    lengths = np.diff(np.concatenate([starts, [len(groups)]])).astype(np.int64)
    return np.arange(len(groups)) - np.repeat(np.asarray(starts, dtype=np.int64), lengths)


class StreamCounts:
    """Full-stream statistics of each node: histogram, sum, and sequences in which it is active."""

    def __init__(self, n_nodes: int) -> None:
        self.histogram = np.zeros((n_nodes, HISTOGRAM_BINS), np.int64)
        self.total = np.zeros(n_nodes)
        self.n_sequences = np.zeros(n_nodes, np.int64)
        self._active = np.zeros(n_nodes, bool)

    def add(self, nodes: np.ndarray, values: np.ndarray) -> None:
        """Take in the codes of a block."""
        n_nodes = len(self.total)
        exponent = (values.view(np.uint32) >> np.uint32(23)).astype(np.int64) - 127  # floor(log2(value))
        bins = np.clip(exponent - HISTOGRAM_LOWEST, 0, HISTOGRAM_BINS - 1)
        counts = np.bincount(nodes * HISTOGRAM_BINS + bins, minlength=self.histogram.size)
        self.histogram += counts.reshape(n_nodes, HISTOGRAM_BINS)
        self.total += np.bincount(nodes, weights=values, minlength=n_nodes)
        self._active[nodes] = True

    def end_sequence(self) -> None:
        """Count the nodes that were active in the sequence that ends here."""
        self.n_sequences += self._active
        self._active[:] = False


def encode_store(
    model: Encoder,
    store: ActivationStore,
    top_per_part: int,
    parts_per_sequence: int,
    block_rows: int = BLOCK_ROWS,
) -> EncodedNodes:
    """Stream a store through a model; keep each node's top positions and its statistics.

    Args:
        model: see ``Encoder``; it normalises raw activations itself.
        store: the activations.
        top_per_part: positions kept per node and part of a sequence.
        parts_per_sequence: parts of a sequence, equal up to one position.
        block_rows: rows encoded at once.

    Raises:
        InputError: the model's channels are not the store's.
        ConfigError: a number below 1.
    """
    settings = {
        "top_per_part": top_per_part,
        "parts_per_sequence": parts_per_sequence,
        "block_rows": block_rows,
    }
    if min(settings.values()) < 1:
        raise ConfigError("Encoding needs numbers of at least 1", got=settings)
    if model.channels != store.channels:
        raise InputError(
            "The checkpoint was trained on another number of channels than the store has",
            where=store.folder,
            got=f"{store.channels} channels in the store",
            expected=f"{model.channels} channels",
            mend="encode the layer that the checkpoint was trained on",
        )
    counts = StreamCounts(model.n_nodes)
    kept = list(_kept_parts(model, store, counts, top_per_part, parts_per_sequence, block_rows))
    top = _sorted_top(*(np.concatenate(column) for column in zip(*kept, strict=True)))
    return EncodedNodes(top, node_statistics(top, counts, store.n_rows))


def _kept_parts(
    model: Encoder, store: ActivationStore, counts: StreamCounts, top: int, parts: int, block_rows: int
) -> Iterator[tuple[np.ndarray, ...]]:
    """Yield (node, activation, sequence, position) of what is kept of each part, in stream order."""
    running = RunningTop(model.n_nodes, top)
    borders = part_borders(store.positions, parts)
    with progress(what="encode", total=store.n_rows, unit="row") as bar:
        for sequence, part in itertools.product(range(store.n_sequences), range(parts)):
            origin = sequence * store.positions
            for first, block in store.slabs(block_rows, origin + borders[part : part + 2], reuse=True):
                rows, nodes, values = _checked(model.encode_block(block))
                counts.add(nodes, values)
                running.add(nodes, values, rows + (first - origin))
                bar.update(len(block))
            nodes, values, positions = running.take()
            where = np.full(len(nodes), sequence, np.int32)
            yield nodes.astype(np.int32), values, where, positions.astype(np.int32)
            if part == parts - 1:
                counts.end_sequence()


def _checked(codes: Codes) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Codes with the types that follow, without zeros (the padding of a top-k)."""
    rows, nodes = np.asarray(codes.rows, dtype=np.int64), np.asarray(codes.nodes, dtype=np.int64)
    values = np.ascontiguousarray(codes.values, dtype=np.float32)
    positive = values > 0
    if positive.all():
        return rows, nodes, values
    return rows[positive], nodes[positive], values[positive]


def _sorted_top(
    nodes: np.ndarray, values: np.ndarray, sequences: np.ndarray, positions: np.ndarray
) -> pd.DataFrame:
    # entries come by sequence, part and position, so a stable sort leaves ties in that order
    order = np.argsort(_strongest_first(nodes, values), kind="stable")
    nodes = nodes[order]
    columns = {
        "node": nodes,
        "rank": (rank_in_group(nodes) + 1).astype(np.int32),
        "activation": values[order],
        "sequence": sequences[order],
        "position": positions[order],
    }
    return pd.DataFrame(columns, copy=False)


def node_statistics(top: pd.DataFrame, counts: StreamCounts, n_rows: int) -> pd.DataFrame:
    """The table of schema ``node_stats``: published columns over ``top``, the others over the stream."""
    n_nodes = len(counts.total)
    stats = {"node_id": np.arange(n_nodes), **_top_statistics(top, n_nodes)}
    active = counts.histogram.sum(axis=1)
    stats["stream_count"] = active
    stats["density"] = active / n_rows
    stats["stream_mean"] = np.divide(counts.total, active, out=np.zeros(n_nodes), where=active > 0)
    stats["stream_max"] = stats["max_act"]  # the strongest of all is the strongest of its part, so it is kept
    stats["n_sequences"] = counts.n_sequences
    stats["histogram"] = [",".join(map(str, row)) for row in counts.histogram.tolist()]
    _log.info("%d of %d nodes are never active", int((active == 0).sum()), n_nodes)
    return pd.DataFrame(stats)


def _top_statistics(top: pd.DataFrame, n_nodes: int) -> dict[str, np.ndarray]:
    """The published columns, each (n_nodes,); 0 for a node without activations."""
    nodes, values = top["node"].to_numpy(), top["activation"].to_numpy().astype(np.float64)

    def per_node(weights: np.ndarray) -> np.ndarray:
        return np.bincount(nodes, weights=weights, minlength=n_nodes)

    count = np.bincount(nodes, minlength=n_nodes)
    alive = count > 0
    start = (np.cumsum(count) - count)[alive]
    mean = np.divide(per_node(values), count, out=np.zeros(n_nodes), where=alive)
    squares = per_node((values - mean[nodes]) ** 2)
    spread = np.sqrt(np.divide(squares, count - 1, out=np.zeros(n_nodes), where=count > 1))
    highest, median = np.zeros(n_nodes), np.zeros(n_nodes)
    highest[alive] = values[start]  # strongest first
    middle = count[alive] - 1
    median[alive] = (values[start + middle // 2] + values[start + (middle + 1) // 2]) / 2
    global_mean = values.mean() if len(values) else 0.0
    return {
        "num_nonzero": count,
        "mean_act": mean,
        "max_act": highest,
        "std_act": spread,
        "median_act": median,
        "acts_above_global_mean": per_node(values > global_mean).astype(np.int64),
        "acts_above_node_mean": per_node(values > mean[nodes]).astype(np.int64),
        "acts_above_node_half": per_node(values > mean[nodes] / 2).astype(np.int64),
        "acts_above_node_half_max": per_node(values > highest[nodes] / 2).astype(np.int64),
    }
