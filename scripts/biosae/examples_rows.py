"""The second pass over the store: a node's activation at every position whose stride meets a window.

Position j of a sequence stands for its bases [stride_bp * j, stride_bp * (j + 1)). The positions that any
window needs are sorted, each is read and encoded once, in store order, and only the values that are asked for
are kept. ENCODE_ROWS of them are encoded at once, whichever those are, so a result does not depend on how the
store is read. It is what the encoder gives, TopK included, up to the last bits, which depend on the rows that
are multiplied at once.

Floor: reading and encoding the rows that some window needs, each once. Reads that lie at most GAP_BYTES apart
are one: a seek costs more than that. Memory: the asked values (4 bytes each), 40 bytes a window, three blocks
of ENCODE_ROWS rows, and their codes; nothing grows with the store.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import numpy as np

from biosae.activations import ActivationStore
from biosae.cli import progress
from biosae.encoding import BLOCK_ROWS, Encoder
from biosae.errors import InputError
from biosae.examples_kernels import serve
from biosae.geometry import Layer
from biosae.reading_ahead import read_ahead
from biosae.store_types import to_float32

ENCODE_ROWS = BLOCK_ROWS
GAP_BYTES = 2**15  # about what a disk reads ahead anyway; on a network a request costs more still
SPAN_ROWS = 2 * ENCODE_ROWS  # longest read


@dataclass(frozen=True)
class Asked:
    """Which positions each window asks for.

    Attributes:
        sequence, first, count: sequence, first position and number of positions, int64 (n,). All lie within
            the sequence, and the window's own position is among them.
        before: base of the sequence at which the window begins, int64 (n,), below 0 where it begins earlier.
        stride_bp, window_bp: of a position, of a window.
    """

    sequence: np.ndarray
    first: np.ndarray
    count: np.ndarray
    before: np.ndarray
    stride_bp: int
    window_bp: int

    @classmethod
    def of(cls, places: np.ndarray, layer: Layer, positions: int, window_bp: int) -> Asked:
        """For windows of ``window_bp`` at ``places`` (``PLACE``) in sequences of so many positions."""
        own = places["position"].astype(np.int64)
        width = None if window_bp == layer.window_bp else window_bp
        before, end = layer.window(np.int64(0), own, width)
        # the window of an odd layer need not hold the stride of its own position
        low = np.minimum(np.maximum(before // layer.stride_bp, 0), own)
        high = np.maximum(np.minimum((end - 1) // layer.stride_bp, positions - 1), own)
        sequence = places["sequence"].astype(np.int64)
        return cls(sequence, low, high - low + 1, before, layer.stride_bp, window_bp)

    def of_own(self, places: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Of ``values`` (n, slots), that at each window's own position, (n,)."""
        return values[np.arange(len(values)), places["position"] - self.first]

    def of_bases(self, rows: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Activation of each base of the windows ``rows``, float32 (len(rows), window_bp).

        A base off the sequence of the store has 0.

        Args:
            values: (len(rows), slots), their positions' activations.
        """
        base = self.before[rows, None] + np.arange(self.window_bp)
        slot = base // self.stride_bp - self.first[rows, None]
        inside = (base >= 0) & (slot >= 0) & (slot < self.count[rows, None])
        picked = np.take_along_axis(values, np.where(inside, slot, 0), axis=1)
        return np.where(inside, picked, np.float32(0))


@dataclass(frozen=True)
class Pieces:
    """The rows of the stream that are needed, as pieces of neighbouring rows in stream order.

    Attributes:
        row, length: first row and number of rows of each piece, int64 (m,); no piece crosses the border of a
            sequence or of a block of ENCODE_ROWS needed rows.
        block: number of the block that each piece belongs to, ascending.
        ordinals: number, among all needed rows, of each window's first row, int64 (n,).
        n_rows: needed rows.
    """

    row: np.ndarray
    length: np.ndarray
    block: np.ndarray
    ordinals: np.ndarray
    n_rows: int


def needed_rows(asked: Asked, positions: int) -> Pieces:
    """What all windows together need, each row once."""
    first = asked.sequence * positions + asked.first
    order = np.lexsort((first + asked.count, first))
    low = first[order]
    reach = np.maximum.accumulate((first + asked.count)[order])
    opens = np.ones(len(low), dtype=bool)
    # rows of two sequences are neighbours in the stream, but not in the store
    opens[1:] = (low[1:] > reach[:-1]) | (asked.sequence[order][1:] != asked.sequence[order][:-1])
    start = low[opens]
    end = reach[np.append(np.flatnonzero(opens)[1:], len(low)) - 1] if len(low) else reach
    before = np.cumsum(end - start) - (end - start)
    n_rows = int((end - start).sum())
    run = np.searchsorted(start, first, side="right") - 1
    borders = np.unique(np.concatenate([before, np.arange(0, n_rows, ENCODE_ROWS)]))
    of_run = np.searchsorted(before, borders, side="right") - 1
    return Pieces(
        row=start[of_run] + borders - before[of_run],
        length=np.diff(np.append(borders, n_rows)),
        block=borders // ENCODE_ROWS,
        ordinals=before[run] + first - start[run],
        n_rows=n_rows,
    )


def read_blocks(store: ActivationStore, pieces: Pieces) -> Iterator[np.ndarray]:
    """The needed rows in stream order, float32 (ENCODE_ROWS, channels) at a time, the last block shorter.

    Raises:
        InputError: a file cannot be read, or holds NaN or infinity there.
    """
    gap_rows = GAP_BYTES // store.row_bytes
    borders = np.searchsorted(pieces.block, np.arange(pieces.block.max(initial=-1) + 2))
    for low, high in zip(borders[:-1].tolist(), borders[1:].tolist(), strict=True):
        row, length = pieces.row[low:high], pieces.length[low:high]
        block = np.empty((int(length.sum()), store.channels), np.float32)
        filled = 0
        for first, last in _reads(row, length, store.positions, gap_rows):
            begin, end = int(row[first]), int(row[last - 1] + length[last - 1])
            raw = np.empty((end - begin, store.channels), store.raw_dtype)
            store.read_into(*divmod(begin, store.positions), raw)
            for at, n in zip((row[first:last] - begin).tolist(), length[first:last].tolist(), strict=True):
                to_float32(raw[at : at + n], block[filled : filled + n])
                filled += n
        yield block


def _reads(row: np.ndarray, length: np.ndarray, positions: int, gap_rows: int) -> Iterator[tuple[int, int]]:
    """Half-open ranges of pieces that are read at once: of one sequence, near, and SPAN_ROWS at most."""
    starts, ends = row.tolist(), (row + length).tolist()
    sequences = (row // positions).tolist()
    first = 0
    for piece in range(1, len(starts) + 1):
        if (
            piece == len(starts)
            or sequences[piece] != sequences[first]
            or starts[piece] - ends[piece - 1] > gap_rows
            or ends[piece] - starts[first] > SPAN_ROWS
        ):
            yield first, piece
            first = piece


def asked_activations(
    model: Encoder, store: ActivationStore, asked: Asked, places: np.ndarray, nodes: np.ndarray
) -> np.ndarray:
    """Activations at the positions that windows ask for, float32 (n, slots), 0 behind each window's last.

    Args:
        places: node of each window, by place among ``nodes`` (``PLACE``).
        nodes: numbers of the kept nodes.
    """
    pieces = needed_rows(asked, store.positions)
    order = np.argsort(pieces.ordinals, kind="stable")
    ordinals, count = pieces.ordinals[order], asked.count[order].astype(np.int32)
    kept = np.ascontiguousarray(places["kept"][order])
    slots = int(asked.count.max(initial=1))
    found = np.zeros((len(order), slots), np.float32)
    place_of = np.full(model.n_nodes, -1, np.int32)
    place_of[nodes] = np.arange(len(nodes), dtype=np.int32)
    dense = np.zeros(len(nodes), np.float32)
    first, source = 0, read_ahead(read_blocks(store, pieces))
    with progress(what="encode windows", total=pieces.n_rows, unit="row") as bar, closing(source) as blocks:
        for block in blocks:
            low, high = np.searchsorted(ordinals, [first - slots + 1, first + len(block)])
            windows = slice(low, high)
            asking = ordinals[windows], count[windows], kept[windows]
            serve(*_by_row(model, block), place_of, first, *asking, dense, found[windows])
            first += len(block)
            bar.update(len(block))
    result = np.empty_like(found)
    result[order] = found
    return result


def _by_row(model: Encoder, block: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Codes of a block by row: begin (n_rows + 1,), nodes and values."""
    codes = model.encode_block(block)
    rows, nodes = np.asarray(codes.rows, np.int64), np.asarray(codes.nodes, np.int64)
    values = np.asarray(codes.values, np.float32)
    if (rows[1:] < rows[:-1]).any():
        order = np.argsort(rows, kind="stable")
        rows, nodes, values = rows[order], nodes[order], values[order]
    return np.searchsorted(rows, np.arange(len(block) + 1)), nodes, values


def check_agreement(expected: np.ndarray, found: np.ndarray, store: ActivationStore) -> int:
    """How many windows' own activations are not those that were encoded before (NaN: not known).

    Last bits may differ, and with TopK a node at the border of the k may come or go; more than one in a
    hundred means another store or checkpoint.

    Raises:
        InputError: more than one in a hundred, and more than one, differ.
    """
    known = ~np.isnan(expected)
    differs = np.abs(found[known] - expected[known]) > 1e-3 * np.abs(expected[known])
    n = int(differs.sum())
    if n > max(1, known.sum() // 100):
        raise InputError(
            f"{n} of {int(known.sum())} activations are not those of top_activations.parquet",
            got=f"{found[known][differs][:3].tolist()}",
            expected=f"{expected[known][differs][:3].tolist()}",
            where=store.folder,
            mend="give the store and checkpoint that the run was encoded from, or re-run encode_activations",
        )
    return n
