"""Reading blocks of rows out of the HDF5 files of a store, from several threads, into given buffers.

A contiguous dataset in the machine's byte order is read with ``preadv`` at its offset in the file: no
copy in between, no lock, the interpreter free. Everything else goes through HDF5 (one thread at a
time), in the stored type: letting HDF5 convert float16 to float32 is some thirty times slower.
"""

from __future__ import annotations

import os
import threading
import weakref

import h5py
import numpy as np

from biosae.store_files import StoredFile, unreadable
from biosae.store_types import memory_type, raw_dtype

_OPEN_FILES = 32  # well below the usual limit of 1,024 handles a process
_CHUNK_SLOTS = 10007  # a prime well above the number of chunks that the cache holds


class DirectFile:
    """A file whose dataset is one stretch of bytes."""

    def __init__(self, part: StoredFile) -> None:
        self.users = 0
        self._part = part
        self._row_bytes = part.shape[2] * raw_dtype(part.kind).itemsize
        self._fd = os.open(part.path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
        self.close = weakref.finalize(self, os.close, self._fd)
        size = os.fstat(self._fd).st_size
        if size != part.file_bytes:
            raise OSError(f"{size} bytes, where {part.file_bytes} were when the store was opened")

    def read_into(self, row: int, position: int, raw: np.ndarray) -> None:
        """Fill ``raw`` (n, channels), in the stored type and contiguous."""
        place = self._part.offset + (row * self._part.shape[1] + position) * self._row_bytes
        left = memoryview(raw).cast("B")
        while left.nbytes:
            got = os.preadv(self._fd, [left], place)
            if got == 0:
                raise OSError(f"the file ends at byte {place}, {left.nbytes} bytes early")
            left, place = left[got:], place + got


class HDF5File:
    """A file that the HDF5 library reads: chunked, compressed, or of another byte order."""

    def __init__(self, part: StoredFile) -> None:
        self.users = 0
        options = {"rdcc_nbytes": part.cache_bytes, "rdcc_nslots": _CHUNK_SLOTS} if part.cache_bytes else {}
        self._file = h5py.File(part.path, "r", **options)
        self._data = self._file[part.dataset].id
        self._type = memory_type(part.kind)
        self.close = self._file.close

    def read_into(self, row: int, position: int, raw: np.ndarray) -> None:
        """Fill ``raw`` (n, channels), in the stored type and contiguous."""
        self.read_box((row, position, 0), raw)

    def read_box(self, start: tuple[int, int, int], raw: np.ndarray) -> None:
        """Fill ``raw`` (two dimensions) from ``start`` on, along the last two axes of the dataset."""
        place = self._data.get_space()
        place.select_hyperslab(start, (1, *raw.shape))
        self._data.read(h5py.h5s.create_simple(raw.shape), place, raw, mtype=self._type)


class FilePool:
    """The files of a store, opened when first read; the least recently used are closed again.

    May be used by several threads at a time.
    """

    def __init__(self, parts: list[StoredFile]) -> None:
        self._parts = parts
        self._open: dict[int, DirectFile | HDF5File] = {}
        self._lock = threading.Lock()

    def read_into(self, index: int, row: int, position: int, raw: np.ndarray) -> None:
        """Fill ``raw`` from ``position`` of ``row`` of file ``index`` on.

        Raises:
            InputError: the file cannot be read there; names file, dataset and row.
        """
        part = self._parts[index]
        file = None
        try:
            file = self._take(index)
            file.read_into(row, position, raw)
        except (OSError, KeyError) as error:
            raise unreadable(part.path, error, f", dataset '{part.dataset}', row {row}") from error
        finally:
            if file is not None:
                with self._lock:
                    file.users -= 1

    def close(self) -> None:
        """Close the files that nobody reads just now; they are opened again when they are read."""
        with self._lock:
            self._close_idle(len(self._open))

    def _take(self, index: int) -> DirectFile | HDF5File:
        with self._lock:
            file = self._open.pop(index, None)
            if file is None:
                self._close_idle(len(self._open) - _OPEN_FILES + 1)
                part = self._parts[index]
                file = HDF5File(part) if part.offset is None else DirectFile(part)
            self._open[index] = file  # at the end: the least recently used goes first
            file.users += 1
            return file

    def _close_idle(self, most: int) -> None:
        idle = [index for index, file in self._open.items() if not file.users]
        for index in idle[: max(most, 0)]:
            self._open.pop(index).close()


def check_buffer(raw: np.ndarray, kind: str, channels: int) -> None:
    """Refuse a buffer that blocks of a store do not fit (a fault of the caller, not of the user)."""
    if raw.dtype != raw_dtype(kind) or raw.ndim != 2 or raw.shape[1] != channels:
        raise TypeError(f"a buffer {raw.dtype} {raw.shape} for rows of {channels} channels, {kind}")
    if not raw.flags.c_contiguous:
        raise TypeError("a buffer must be contiguous")
