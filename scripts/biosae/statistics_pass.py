"""One pass over an activation store for ``statistics``: extremes, moments and a sample of rows.

The stream is cut into units of at most ``UNIT_ROWS`` rows of one sequence, wherever and by however many
threads they are read; each is measured by itself and they are merged in stream order. So neither the rows
read at a time nor the threads change one bit of the result. Rows are read in pieces that stay in the
cache of a core until they are measured.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from biosae.activations import ActivationStore
from biosae.cli import progress
from biosae.statistics_kernels import BLOCK_ROWS, State, bits_of_keys, ordered_keys
from biosae.store_types import raw_dtype, to_float32

UNIT_ROWS = 8192  # a multiple of BLOCK_ROWS
_PIECE_BYTES = 2**20  # half of a core's second-level cache, where reading needs no HDF5
_COLUMNS = 32  # channels sorted at a time: they are copied


def measured_kind(store: ActivationStore) -> str:
    """The type in which a store is measured: as stored; float64 as float32, which models are fed."""
    return "float32" if store.dtype == "float64" else store.dtype


def measure(
    store: ActivationStore, sampled: np.ndarray, slab_rows: int, threads: int
) -> tuple[State, np.ndarray]:
    """Read a store once.

    Args:
        store: the activations.
        sampled: rows to keep, ascending.
        slab_rows: rows read at a time, rounded up to whole blocks; see ``compute_statistics``.
        threads: threads that read and measure.

    Returns:
        (state of all rows, the sampled rows, raw (n, channels) of ``measured_kind``).

    Raises:
        InputError: NaN or infinity, or an unreadable file; names file, dataset and row.
    """
    rows = -(-slab_rows // BLOCK_ROWS)
    if store.direct:
        rows = min(rows, max(_PIECE_BYTES // store.row_bytes // BLOCK_ROWS, 1))
    reader = _UnitReader(store, sampled, min(rows * BLOCK_ROWS, UNIT_ROWS))
    total = State(store.channels, reader.kind)
    with progress(what="statistics", total=store.n_rows, unit="row") as bar:
        for state in _in_order(reader.measure, _units(store), threads):
            total.merge(state)
            bar.update(state.count)
    return total, reader.sample


def _units(store: ActivationStore) -> Iterator[tuple[int, int, int]]:
    """(sequence, first position, rows) of every unit, in stream order."""
    for sequence in range(store.n_sequences):
        for position in range(0, store.positions, UNIT_ROWS):
            yield sequence, position, min(UNIT_ROWS, store.positions - position)


def _in_order(work: Callable, items: Iterable, threads: int) -> Iterator:
    """``map(work, items)`` by several threads, with few results waiting."""
    if threads == 1:
        yield from map(work, items)
        return
    with ThreadPoolExecutor(threads, "statistics") as executor:
        waiting: deque = deque()
        try:
            for item in items:
                waiting.append(executor.submit(work, item))
                if len(waiting) > 2 * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


class _UnitReader:
    """Measures units; each thread has its own buffers."""

    def __init__(self, store: ActivationStore, sampled: np.ndarray, rows: int) -> None:
        self._store, self._sampled, self._rows = store, sampled, rows
        self.kind = measured_kind(store)
        self.sample = np.empty((len(sampled), store.channels), raw_dtype(self.kind))
        self._own = threading.local()

    def measure(self, unit: tuple[int, int, int]) -> State:
        """The state of one unit; its sampled rows go to ``sample``."""
        sequence, position, n_rows = unit
        state = State(self._store.channels, self.kind)
        begin = sequence * self._store.positions + position
        for low in range(0, n_rows, self._rows):
            piece = self._read(sequence, position + low, min(self._rows, n_rows - low), check=False)
            state.add(piece)
            first, last = np.searchsorted(self._sampled, (begin + low, begin + low + len(piece)))
            if first < last:
                rows = self._sampled[first:last] - (begin + low)
                np.take(piece, rows, axis=0, out=self.sample[first:last], mode="clip")  # "raise" copies twice
        if not state.finite():
            for low in range(0, n_rows, self._rows):  # again, to name the place
                self._read(sequence, position + low, min(self._rows, n_rows - low), check=True)
        return state

    def _read(self, sequence: int, position: int, n: int, check: bool) -> np.ndarray:
        if not hasattr(self._own, "raw"):
            self._own.raw = np.empty((self._rows, self._store.channels), self._store.raw_dtype)
        wide = self._store.dtype == "float64"  # may hold what float32 cannot, which is checked before
        raw = self._store.read_into(sequence, position, self._own.raw[:n], check or wide)
        return to_float32(raw) if wide else raw


def sample_rows(n_rows: int, n_sampled: int, seed: int) -> np.ndarray:
    """One row at random in each of up to ``n_sampled`` equal stretches of the stream, ascending."""
    n = min(n_rows, n_sampled)
    borders = np.arange(n + 1, dtype=np.int64) * n_rows // n
    return np.random.Generator(np.random.PCG64(seed)).integers(borders[:-1], borders[1:])


def sample_quantiles(sample: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Quantiles of each column of raw rows (n, channels): float64 (channels, levels).

    Between two neighbouring numbers they are interpolated (numpy's method "linear").
    """
    place = levels * (len(sample) - 1)
    low = np.floor(place).astype(np.int64)
    high = np.minimum(low + 1, len(sample) - 1)
    parts = []
    for first in range(0, sample.shape[1], _COLUMNS):
        lower, upper = _ranked(sample[:, first : first + _COLUMNS], low, high)
        parts.append(lower + (upper - lower) * (place - low))
    return np.concatenate(parts)


def _ranked(columns: np.ndarray, *ranks: np.ndarray) -> list[np.ndarray]:
    """For each of ``ranks``, the numbers of these ranks of each column: float64 (columns, ranks).

    Numbers of 16 bits are sorted as integers of the same order.
    """
    if columns.dtype.itemsize != 2:
        ordered = np.sort(columns.T, axis=1)
        return [ordered[:, rank].astype(np.float64) for rank in ranks]
    keys = np.empty(columns.shape[::-1], np.uint16)
    ordered_keys(columns.view(np.uint16), keys)
    keys.sort(axis=1)
    chosen = [bits_of_keys(keys[:, rank]).view(columns.dtype) for rank in ranks]
    return [to_float32(bits).astype(np.float64) for bits in chosen]
