"""From a stream of activations to each node's top positions, statistics and sketch, in one pass.

A sequence is cut into equal parts, and of every node the strongest positions of each part are kept
(published: 8 of each quarter sequence). Blocks of a fixed size begin at the start of each part, so
neither the way files are read nor their sizes change a result. The last block of a part is as short
as the part demands; the published stream dropped such remainders (12 to 16 % of the rows).

Whole sequences can be encoded as separate parts (``biosae.encoded_parts``); any split gives the same
tables, since all that is counted is integers and the kept positions are sorted at the end.

Floor: one encoder pass over the rows; the next blocks are read meanwhile. Only sparse codes leave the
model; a code costs a histogram increment, an exact addition and a comparison with its node's weakest
kept activation (``biosae.encoding_kernels``). Memory: a few blocks, n_nodes x (top_per_part + 512
sketch bins) x 8 bytes, and that of ``biosae.encoded_parts``, whatever the number of sequences and files.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd
from tqdm import tqdm

from biosae import artefacts
from biosae.activations import ActivationStore
from biosae.cli import progress
from biosae.encoded_parts import EncodedParts, PartWriter
from biosae.encoding_kernels import tally
from biosae.errors import ConfigError, InputError
from biosae.geometry import Layer
from biosae.node_statistics import TopSummaries
from biosae.node_tallies import NodeTallies
from biosae.reading_ahead import read_ahead
from biosae.store_files import new_hdf5
from biosae.top_activations import write_top_activations

BLOCK_ROWS = 4096  # rows the model encodes at once; part of the definition of the result (see above)


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


class RunningTally:
    """What is kept of each node while codes stream past.

    Args:
        n_nodes: number of nodes.
        top: positions kept of each node. Of equal activations the earlier position is kept.

    Attributes:
        best: uint64 (n_nodes, top), see ``encoding_kernels``.
        tallies: counts, sums and sketches.
    """

    def __init__(self, n_nodes: int, top: int) -> None:
        self.best = np.zeros((n_nodes, top), np.uint64)
        self.tallies = NodeTallies.empty(n_nodes)
        self._last = np.full(n_nodes, -1, np.int64)

    def add(self, codes: Codes, first: int, sequence: int) -> None:
        """Take in the codes of a block of a sequence, in any order; zeros are padding.

        ``first``: position of the block's first row in its sequence.

        Raises:
            InputError: an activation is negative, not finite or huge, or a node unknown.
        """
        rows, nodes = np.asarray(codes.rows, dtype=np.int64), np.asarray(codes.nodes, dtype=np.int64)
        values = np.ascontiguousarray(codes.values, dtype=np.float32)
        counted = self.tallies
        sums = counted.total_low, counted.total_high
        at_fault = tally(
            rows, nodes, values.view(np.uint32), first, sequence,
            counted.histogram, *sums, self._last, counted.n_sequences, self.best,
        )  # fmt: skip
        if at_fault >= 0:
            raise InputError(
                "The dictionary gave an activation that cannot be counted",
                where=f"sequence {sequence}, position {first + rows[at_fault]}",
                got=f"{values[at_fault]} of node {nodes[at_fault]}",
                expected=f"nodes below {len(self.best)}, activations above 0 with a sum below 2^63",
                mend="check the checkpoint and its normaliser",
            )


def encode_part(
    model: Encoder,
    store: ActivationStore,
    path: str | Path,
    top_per_part: int,
    parts_per_sequence: int,
    *,
    sequences: tuple[int, int] | None = None,
    notes: dict | None = None,
    block_rows: int = BLOCK_ROWS,
) -> None:
    """Encode whole sequences of a store and write a part file, atomically.

    Args:
        top_per_part: positions kept per node and part of a sequence.
        parts_per_sequence: parts of a sequence, equal up to one position.
        sequences: half-open range, may be empty; all if None.
        notes: what else describes the encoding (``encoding_notes``).

    Raises:
        InputError: the model's channels are not the store's, or the disk is full.
        ConfigError: a number below 1, or sequences that the store has not.
    """
    settings = {"top_per_part": top_per_part, "parts_per_sequence": parts_per_sequence}
    span = (0, store.n_sequences) if sequences is None else sequences
    _check(model, store, {**settings, "block_rows": block_rows}, span)
    running = RunningTally(model.n_nodes, top_per_part)
    sizes = {"n_nodes": model.n_nodes, "positions": store.positions, "sequences": [list(span)]}
    told = {"settings": settings, **sizes, "intervals": store.intervals.to_dict(orient="list")}
    with artefacts.atomic_path(path) as temporary, new_hdf5(temporary, path) as file:
        writer = PartWriter(file, model.n_nodes, top_per_part)
        total = (span[1] - span[0]) * store.positions
        source = read_ahead(_blocks(store, span, parts_per_sequence, block_rows))
        with progress(what="encode", total=total, unit="row") as bar, closing(source) as blocks:
            _encode_blocks(model, blocks, running, writer, bar)
        writer.finish({**(notes or {}), **told}, running.tallies)


def _encode_blocks(
    model: Encoder, blocks: Iterator, running: RunningTally, writer: PartWriter, bar: tqdm
) -> None:
    for (sequence, _), group in itertools.groupby(blocks, key=lambda item: item[:2]):
        for *_, first, block in group:
            running.add(model.encode_block(block), first, sequence)
            bar.update(len(block))
        writer.add(running.best, running.tallies, sequence)


def _check(model: Encoder, store: ActivationStore, settings: dict[str, int], span: tuple[int, int]) -> None:
    if min(settings.values()) < 1:
        raise ConfigError("Encoding needs numbers of at least 1", got=settings)
    if not 0 <= span[0] <= span[1] <= store.n_sequences:
        expected = f"0 <= first <= last <= {store.n_sequences}"
        raise ConfigError("The store has no such range of sequences", got=span, expected=expected)
    _check_strand(store)
    if model.channels != store.channels:
        raise InputError(
            "The checkpoint was trained on another number of channels than the store has",
            where=store.folder,
            got=f"{store.channels} channels in the store",
            expected=f"{model.channels} channels",
            mend="encode the layer that the checkpoint was trained on",
        )


def _check_strand(store: ActivationStore) -> None:
    reverse = int((store.intervals["strand"] == "-").sum())
    if reverse:
        raise InputError(
            "Nodes are read from forward strands, from which their seqlets are cut",
            where=store.folder,
            got=f"{reverse} of {store.n_sequences} sequences of strand -",
            mend="encode a store of forward strands; one of both serves for training",
        )


def _blocks(
    store: ActivationStore, sequences: tuple[int, int], parts: int, block_rows: int
) -> Iterator[tuple[int, int, int, np.ndarray]]:
    """(sequence, part, position of the first row, rows) of each block, in stream order."""
    borders = part_borders(store.positions, parts)
    for sequence, part in itertools.product(range(*sequences), range(parts)):
        origin = sequence * store.positions
        # a fresh array each: it waits while the next is read
        for first, block in store.slabs(block_rows, tuple(origin + borders[part : part + 2])):
            yield sequence, part, first - origin, block


def encode_store(
    model: Encoder,
    store: ActivationStore,
    top_per_part: int,
    parts_per_sequence: int,
    block_rows: int = BLOCK_ROWS,
) -> EncodedNodes:
    """Stream a store through a model; keep each node's top positions and its statistics, in memory.

    Arguments and errors: see ``encode_part``. ``write_encoded`` needs less memory.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "part.h5"
        encode_part(model, store, path, top_per_part, parts_per_sequence, block_rows=block_rows)
        encoded = EncodedParts([path])
        summaries = TopSummaries(encoded)
        top = pd.concat(_tables(encoded, summaries), ignore_index=True)
    return EncodedNodes(top, summaries.node_statistics())


def write_encoded(parts: Sequence[str | Path], output: Path) -> None:
    """Merge part files that hold every sequence of a store once; write the final files.

    Args:
        parts: part files of ``encode_part`` with ``encoding_notes``; any order.
        output: folder of ``top_activations.parquet`` and ``node_stats.tsv``.

    Raises:
        InputError: parts of different encodings, missing or twice.
    """
    encoded = EncodedParts(parts)
    encoded.check_complete()
    told = encoded.description
    notes = {**told["settings"], "n_nodes": told["n_nodes"], "provenance": told["provenance"]}
    layer, summaries = Layer.from_dict(told["layer"]), TopSummaries(encoded)
    tables = _tables(encoded, summaries)
    write_top_activations(output / "top_activations.parquet", tables, encoded, layer, notes)
    stats = summaries.node_statistics()
    artefacts.write_table(stats, output / "node_stats.tsv", "node_stats", told["provenance"])


def _tables(encoded: EncodedParts, summaries: TopSummaries) -> Iterator[pd.DataFrame]:
    with closing(encoded):
        for low, high in encoded.ranges():
            yield summaries.see(encoded.top(low, high), low, high)


def sequence_share(n_sequences: int, part: int | None = None, of: int | None = None) -> tuple[int, int]:
    """Half-open range of sequences of one of ``of`` parts; all of them if ``part`` is None.

    Part I holds [I * n // N, (I + 1) * n // N): empty for some I when there are more parts than
    sequences, which is valid.

    Raises:
        ConfigError: only one of the two is given, or ``part`` is not one of 0 to ``of`` - 1.
    """
    if part is None and of is None:
        return 0, n_sequences
    if part is None or of is None or not 0 <= part < of:
        raise ConfigError(
            "--part and --of belong together",
            got={"part": part, "of": of},
            expected="a part from 0 to of - 1",
        )
    return part * n_sequences // of, (part + 1) * n_sequences // of


def encoding_notes(
    checkpoint: Path, store: ActivationStore, layer: Layer, settings: dict, device: str
) -> dict:
    """What identifies an encoding, the same in each of its parts: ``notes`` of ``encode_part``.

    ``settings``: top_per_part and parts_per_sequence. ``device``: its type; the last bits of an activation
    depend on it, so parts of several are not merged. The final files do not name it.
    """
    inputs = [checkpoint / name for name in ("config.json", "model.safetensors")]
    told = {**settings, "pad_bp": store.pad_bp, "layer": layer.as_dict()}
    made_by = artefacts.provenance("encode_activations.py", told, inputs)
    return {
        "layer": layer.as_dict(),
        "device": device,
        "provenance": {**made_by, "store": store.fingerprint()},
    }
