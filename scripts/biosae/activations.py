"""The activation store: a folder of HDF5 files and an interval table, seen as rows x channels.

A store holds ``activations_<i>.h5`` (numbers without gaps, from 0 or 1), each with one floating
dataset of any name and shape (n_sequences, positions, channels), and an interval table
(``biosae.intervals``). Row r of the stream is position ``r % positions`` of sequence
``r // positions``; sequences are ordered by file *number* and row in the file. A pooled store has
one position a sequence. ``store.json``, when there, is verified.

Floor: the bytes of the files, read once, in the stored type, into a buffer of the caller's
(``biosae.store_reading``). A store may be read by several threads at a time.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from biosae import artefacts
from biosae.errors import ConfigError, InputError
from biosae.intervals import check_widths, find_interval_table, match_intervals, read_intervals
from biosae.shuffling import shuffled_batches
from biosae.store_files import StoredFile, check_description, check_shapes, inspect_file, numbered_files
from biosae.store_layout import warn_if_slow
from biosae.store_reading import FilePool, check_buffer
from biosae.store_types import all_finite, not_finite, raw_dtype, to_float32

__all__ = ["ActivationStore", "shuffled_batches", "to_float32"]


class ActivationStore:
    """A validated activation store. Use ``ActivationStore.open``.

    Attributes:
        folder: where it lies.
        files: paths, by file number.
        channels, positions, n_sequences, n_rows: sizes; n_rows = n_sequences x positions.
        dtype: stored type of all files, by name: float16, bfloat16, float32 or float64.
        raw_dtype: numpy type of buffers for ``read_into``: that of ``dtype``, uint16 (the bits) for bfloat16.
        intervals: DataFrame of sequence (global index), chrom, start, end (what the positions span),
            core_start, core_end (without padding), file (number), row (in the file); one row per
            sequence, in stream order. 0-based, half-open.
    """

    def __init__(
        self, folder: Path, parts: list[StoredFile], intervals: pd.DataFrame, table: Path, pad_bp: int
    ):
        self.folder, self.intervals, self.pad_bp = folder, intervals, pad_bp
        self.files = [part.path for part in parts]
        self.n_sequences = len(intervals)
        self.positions, self.channels = parts[0].shape[1:]
        self.n_rows = self.n_sequences * self.positions
        self.dtype = parts[0].kind
        self.raw_dtype = raw_dtype(self.dtype)
        self.row_bytes = self.channels * self.raw_dtype.itemsize
        # files that are read without HDF5 gain from several threads, and lose nothing by small reads
        self.direct = all(part.offset is not None for part in parts)
        self._table = table
        self._parts = parts
        self._first = np.cumsum([0] + [part.shape[0] for part in parts]).tolist()
        self._pool = FilePool(parts)

    @classmethod
    def open(
        cls,
        folder: str | Path,
        pad_bp: int = 0,
        channels: int | None = None,
        stride_bp: int | None = None,
        layer: str | None = None,
    ) -> ActivationStore:
        """Open and check a store. Reads shapes and the interval table, no activations.

        Args:
            folder: the store.
            pad_bp: bases that the network saw on each side of an interval's core.
            channels: number of channels that is expected; not checked if None.
            stride_bp: bases a position; when given, each interval must span positions x stride_bp.
            layer: name of the layer that is expected; compared with ``store.json`` if that is there.

        Raises:
            InputError: names the file, dataset and row at fault.
        """
        folder = Path(folder)
        numbered = numbered_files(folder)
        table = find_interval_table(folder)
        intervals = read_intervals(table, pad_bp)
        parts = [inspect_file(number, path) for number, path in numbered.items()]
        check_shapes(parts, channels)
        rows = {part.number: part.shape[0] for part in parts}
        match_intervals(intervals, rows, {part.number: part.path.name for part in parts}, table)
        if stride_bp is not None:
            check_widths(intervals, parts[0].shape[1] * stride_bp, pad_bp, table)
        expected = {"layer": layer, "channels": parts[0].shape[2], "stride_bp": stride_bp}
        check_description(folder / "store.json", expected)
        warn_if_slow(folder, parts)
        return cls(folder, parts, intervals, table, pad_bp)

    def close(self) -> None:
        """Close the files; the store opens them again when it is read."""
        self._pool.close()

    def locate(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(sequence, position) of rows of the stream, each int64 (n,)."""
        return np.divmod(np.asarray(rows, dtype=np.int64), self.positions)

    def fingerprint(self) -> dict:
        """Names, sizes and hashes of table and files; the same wherever the folder lies."""
        files = [
            {**artefacts.fingerprint(part.path), "shape": list(part.shape), "dtype": part.kind}
            for part in self._parts
        ]
        return {"table": artefacts.fingerprint(self._table), "pad_bp": self.pad_bp, "files": files}

    def read(self, first_row: int, n: int, check: bool = True) -> np.ndarray:
        """Rows [first_row, first_row + n) of the stream, float32 (n, channels); all in one sequence."""
        sequence, position = divmod(int(first_row), self.positions)
        raw = np.empty((n, self.channels), self.raw_dtype)
        return to_float32(self.read_into(sequence, position, raw, check))

    def read_into(self, sequence: int, position: int, raw: np.ndarray, check: bool = True) -> np.ndarray:
        """Fill ``raw`` (n, channels), of ``raw_dtype``, contiguous, from ``position`` of ``sequence`` on.

        May be called from several threads at a time; reading holds neither a lock nor the interpreter
        where the files are contiguous.

        Raises:
            InputError: the file cannot be read, or (``check``) holds NaN or infinity there.
        """
        if position < 0 or position + len(raw) > self.positions or not 0 <= sequence < self.n_sequences:
            raise IndexError(f"positions {position} to {position + len(raw)} of sequence {sequence}")
        check_buffer(raw, self.dtype, self.channels)
        index = bisect_right(self._first, sequence) - 1
        row = int(sequence) - self._first[index]
        self._pool.read_into(index, row, int(position), raw)
        if check and not all_finite(raw):
            self._refuse_block(self._parts[index], row, position, raw)
        return raw

    def slabs(
        self,
        rows_per_slab: int,
        rows: tuple[int, int] | None = None,
        check: bool = True,
        reuse: bool = False,
    ) -> Iterator[tuple[int, np.ndarray]]:
        """Stream rows in order: (first_row, float32 (n, channels)), n <= rows_per_slab.

        A slab never crosses a sequence border; within a sequence slabs begin at multiples of
        rows_per_slab from the first row asked for. Memory: one slab in the stored type and one in
        float32, whatever the size of the store.

        Args:
            rows_per_slab: most rows a slab.
            rows: half-open range of rows; all if None.
            check: refuse NaN and infinity.
            reuse: yield the same array again and again; faster, for a caller that keeps none.

        Raises:
            ConfigError: rows_per_slab is below 1.
        """
        if rows_per_slab < 1:
            raise ConfigError("A slab needs at least one row", got=rows_per_slab)
        low, high = (0, self.n_rows) if rows is None else (int(row) for row in rows)
        size = min(rows_per_slab, self.positions)
        raw = np.empty((size, self.channels), self.raw_dtype)
        kept = np.empty((size, self.channels), np.float32) if reuse else None
        while low < high:
            sequence, position = divmod(low, self.positions)
            n = min(size, high - low, self.positions - position)
            block = self.read_into(sequence, position, raw[:n], check)
            yield low, to_float32(block, None if kept is None else kept[:n])
            low += n

    def _refuse_block(self, part: StoredFile, row: int, position: int, raw: np.ndarray) -> None:
        bad = not_finite(raw)
        first, channel = (int(value) for value in np.argwhere(bad)[0])
        value = raw[first, channel]
        if part.kind == "bfloat16":
            value = to_float32(raw[first : first + 1])[0, channel]
        raise InputError(
            "Activations hold NaN, infinity or values beyond float32",
            where=f"{part.path}, dataset '{part.dataset}', row {row}, position {position + first}, "
            f"channel {channel}",
            got=f"{value} ({int(bad.sum())} such values in {len(raw)} positions)",
            expected="finite numbers",
            mend="extract this sequence again; float16 overflows above 65504",
        )
