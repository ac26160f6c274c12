"""A sample of the encoded stream: blocks of neighbouring positions, their bases, and which nodes fire there.

Blocks of one length are spread evenly over the store, so nothing is drawn at random. A block of B positions
is read with all the bases that its windows hold: base s of a block is s bases after the start of its first
position's window, and position p (0 to B - 1) reads the bases [stride_bp*p, stride_bp*p + window_bp).

A motif hit at bases [s, s + w) belongs to the positions whose window holds the whole of it,
ceil((s + w - window_bp) / stride_bp) to floor(s / stride_bp), as far as the sequence has them. Only starts of
which all these positions lie in the block are looked at: elsewhere a node may fire where nobody looks.

Floor: one encoder pass over the sampled rows. Memory: the sample's bases (1 byte each), PRUNE_CODES
activations while they are sorted, and two integers for every position that a kept node fires at.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from biosae.activations import ActivationStore
from biosae.cli import progress
from biosae.encoding import Encoder
from biosae.errors import ConfigError, InputError
from biosae.genome import Genome, interval_table
from biosae.geometry import Layer
from biosae.letter_codes import OTHER, letter_codes

log = logging.getLogger(__name__)

BLOCK_POSITIONS = 512  # longest block: the bases at its two ends, which are not looked at, are few beside it
PRUNE_CODES = 2**24  # activations held before all but the strongest of each node are let go: 200 MB
_CODE = np.dtype([("position", np.int32), ("node", np.int32), ("value", np.float32)])


@dataclass(frozen=True)
class Blocks:
    """Where the sampled blocks lie, and their bases.

    Attributes:
        stride_bp, window_bp: of a position, see the module's text.
        positions: positions of a block, B.
        codes: (n_blocks, stride_bp * (B - 1) + window_bp) uint8: 0 to 3 for A, C, G, T, else OTHER.
        opens, closes: (n_blocks,) bool: the block begins (ends) where its sequence does.
    """

    stride_bp: int
    window_bp: int
    positions: int
    codes: np.ndarray
    opens: np.ndarray
    closes: np.ndarray

    @property
    def n_positions(self) -> int:
        """Positions of all blocks; position p of block b is number b * positions + p."""
        return len(self.codes) * self.positions

    def windows(self) -> np.ndarray:
        """Codes of the window of each position, a view (n_blocks, positions, window_bp)."""
        every = np.lib.stride_tricks.sliding_window_view(self.codes, self.window_bp, axis=1)
        return every[:, :: self.stride_bp]


@dataclass(frozen=True)
class Firing:
    """Which kept nodes fire where, sorted both ways. Nodes are numbered by their place among the kept ones.

    Attributes:
        by_node: positions, int32, node by node, each node's ascending; those of node n are
            by_node[node_edges[n]:node_edges[n + 1]].
        by_position: nodes, int32, position by position, likewise with position_edges.
    """

    by_node: np.ndarray
    node_edges: np.ndarray
    by_position: np.ndarray
    position_edges: np.ndarray

    @classmethod
    def of(cls, positions: np.ndarray, nodes: np.ndarray, n_positions: int, n_nodes: int) -> Firing:
        """From pairs (position, node), each once, in any order."""
        order = np.lexsort((nodes, positions))
        positions, nodes = positions[order], nodes[order]
        position_edges = np.searchsorted(positions, np.arange(n_positions + 1))
        by_node = np.argsort(nodes, kind="stable")
        node_edges = np.searchsorted(nodes[by_node], np.arange(n_nodes + 1))
        return cls(positions[by_node].astype(np.int32), node_edges, nodes.astype(np.int32), position_edges)

    @property
    def n_nodes(self) -> int:
        """Number of kept nodes."""
        return len(self.node_edges) - 1

    def of_node(self, node: int) -> np.ndarray:
        """Positions where a node fires, ascending."""
        return self.by_node[self.node_edges[node] : self.node_edges[node + 1]]


def choose_blocks(positions: int, n_sequences: int, sample_positions: int) -> tuple[int, np.ndarray]:
    """Length of a block, and sequence and first position of each, (n_blocks, 2) int64, in stream order.

    A sequence is cut into equal blocks of at most BLOCK_POSITIONS; what does not divide, less than one
    position a block, is left out at its end. Of all blocks of the store those are taken whose numbers are
    spread evenly, until there are ``sample_positions`` positions, or all.
    """
    if sample_positions < 1:
        raise ConfigError("sample_positions must be 1 or more", got=sample_positions)
    a_sequence = math.ceil(positions / BLOCK_POSITIONS)
    length = positions // a_sequence
    every = a_sequence * n_sequences
    n = min(math.ceil(sample_positions / length), every)
    chosen = (2 * np.arange(n, dtype=np.int64) + 1) * every // (2 * n)
    sequence, number = np.divmod(chosen, a_sequence)
    return length, np.stack([sequence, number * length], axis=1)


def cut_blocks(
    store: ActivationStore,
    layer: Layer,
    genome: Genome,
    sample_positions: int,
    window_bp: int | None = None,
) -> tuple[Blocks, np.ndarray]:
    """The blocks of a sample with their bases, and sequence and first position of each (n_blocks, 2).

    Args:
        window_bp: width of the run's seqlets where it is not the receptive field, centred as theirs.

    Raises:
        InputError: a chromosome of the store is not in the genome, or is too short for it.
        ConfigError: sample_positions below 1.
    """
    columns = ["chrom", "start", "end", "core_start", "core_end"]
    intervals = interval_table(store.intervals[columns].to_numpy(object).tolist(), genome)
    length, places = choose_blocks(store.positions, store.n_sequences, sample_positions)
    first, last = (layer.window(0, at, window_bp) for at in (0, length - 1))
    width, span = int(first[1] - first[0]), int(last[1] - first[0])
    own = intervals.iloc[places[:, 0]]
    starts = layer.window(own["start"].to_numpy("int64"), places[:, 1], window_bp)[0]
    codes = np.full((len(places), span), OTHER, dtype=np.uint8)
    for chrom, blocks in own.reset_index(drop=True).groupby("chrom", sort=False).groups.items():
        letters = letter_codes(genome.letters(chrom))
        for block in blocks:
            low, high = max(starts[block], 0), min(starts[block] + span, len(letters))
            codes[block, low - starts[block] : max(high, low) - starts[block]] = letters[low:high]
    closes = places[:, 1] + length == store.positions
    return Blocks(layer.stride_bp, width, length, codes, places[:, 1] == 0, closes), places


def encode_blocks(
    model: Encoder, store: ActivationStore, places: np.ndarray, length: int, strongest: dict[int, int]
) -> tuple[Firing, np.ndarray]:
    """Encode the sampled blocks: the strongest activations of each kept node, as many as are asked for.

    Args:
        places: sequence and first position of each block, (n_blocks, 2).
        length: positions of a block.
        strongest: how many positions each kept node fires at, by node number; more where activations are
            equal, fewer where it is active at fewer. Its order numbers the kept nodes.

    Returns:
        where each kept node fires, and its weakest activation there, (n_nodes,) float32, NaN where nowhere.

    Raises:
        InputError: the model's channels are not the store's, or it has no such node.
    """
    kept = np.fromiter(strongest, dtype=np.int64, count=len(strongest))
    running = StrongestCodes(np.fromiter(strongest.values(), dtype=np.int64, count=len(kept)))
    for fresh in sample_codes(model, store, places, length, kept):
        running.add(fresh)
    return running.firing(len(places) * length)


def sample_codes(
    model: Encoder, store: ActivationStore, places: np.ndarray, length: int, kept: np.ndarray
) -> Iterator[np.ndarray]:
    """Encode the sampled blocks: every activation of the kept nodes, block by block.

    Args:
        places, length: as for ``encode_blocks``.
        kept: numbers of the kept nodes, (n_nodes,).

    Yields:
        structured arrays of position (of all blocks), node (place among the kept ones) and value.

    Raises:
        InputError: as ``encode_blocks``.
    """
    _check_model(model, store, kept)
    place_of = np.full(model.n_nodes, -1, dtype=np.int32)
    place_of[kept] = np.arange(len(kept), dtype=np.int32)
    for block, (sequence, position) in enumerate(progress(places, what="encode sample", unit="block")):
        found = model.encode_block(store.read(sequence * store.positions + position, length))
        own = place_of[found.nodes] >= 0
        fresh = np.empty(int(own.sum()), dtype=_CODE)
        fresh["node"], fresh["value"] = place_of[found.nodes[own]], found.values[own]
        fresh["position"] = found.rows[own] + block * length
        yield fresh


class StrongestCodes:
    """The strongest activations of each kept node, while those of a sample stream past.

    Args:
        wanted: how many of each node, (n_nodes,); more where activations are equal.
    """

    def __init__(self, wanted: np.ndarray) -> None:
        self._wanted = wanted
        self._codes = np.zeros(0, dtype=_CODE)
        self._waiting: list[np.ndarray] = []
        self._held = 0

    def add(self, fresh: np.ndarray) -> None:
        """Take in what ``sample_codes`` yields of a block."""
        self._waiting.append(fresh)
        self._held += len(fresh)
        if self._held > PRUNE_CODES:
            self._prune()

    def firing(self, n_positions: int) -> tuple[Firing, np.ndarray]:
        """Where each node fires, and its weakest activation there, (n_nodes,) float32, NaN where nowhere."""
        self._prune()
        codes, n_nodes = self._codes, len(self._wanted)
        weakest = np.full(n_nodes, np.inf, dtype=np.float32)
        np.minimum.at(weakest, codes["node"], codes["value"])
        firing = Firing.of(codes["position"], codes["node"], n_positions, n_nodes)
        return firing, np.where(np.isinf(weakest), np.nan, weakest)

    def _prune(self) -> None:
        self._codes = keep_strongest_codes(np.concatenate([self._codes, *self._waiting]), self._wanted)
        self._waiting, self._held = [], 0


def keep_strongest_codes(codes: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The codes that fewer than ``wanted[node]`` stronger ones of their node precede; ties stay together."""
    codes = codes[np.lexsort((-codes["value"], codes["node"]))]
    number = np.arange(len(codes))
    opens = np.ones(len(codes), dtype=bool)
    opens[1:] = codes["node"][1:] != codes["node"][:-1]
    node_start = np.maximum.accumulate(np.where(opens, number, 0))
    opens[1:] |= codes["value"][1:] != codes["value"][:-1]
    stronger = np.maximum.accumulate(np.where(opens, number, 0)) - node_start
    return codes[stronger < wanted[codes["node"]]]


def _check_model(model: Encoder, store: ActivationStore, kept: np.ndarray) -> None:
    if model.channels != store.channels or kept.max(initial=-1) >= model.n_nodes:
        raise InputError(
            "The checkpoint fits neither the store nor the selected nodes",
            got=f"{model.channels} channels, {model.n_nodes} nodes",
            expected=f"{store.channels} channels, nodes up to {kept.max(initial=-1)}",
            where=store.folder,
            mend="give checkpoint, store and selected_nodes.tsv of one run",
        )
