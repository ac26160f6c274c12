"""The HDF5 files of an activation store: numbering, shapes, types and ``store.json``; writing HDF5 files.

What ``biosae.activations`` needs to know about files before it streams them. Nothing here reads
activations; opening a store costs one look into each file.
"""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from biosae.errors import InputError
from biosae.locking import is_running
from biosae.store_layout import (
    Layout,
    direct_offset,
    read_layout,
    repack_command,
    require_filters,
    require_written,
)
from biosae.store_types import KINDS, is_bfloat16, raw_dtype

_log = logging.getLogger(__name__)

_FILE_NAME = re.compile(r"activations_(\d+)\.(?:h5|hdf5)")
_LEFT_BEHIND = re.compile(r"\.activations_(\d+)\.(?:h5|hdf5)\.(\d+)\.tmp")
_CACHE_LIMIT_BYTES = 512 * 2**20  # most memory a compressed file's chunk cache may take


@dataclass(frozen=True)
class StoredFile:
    """One HDF5 file as it was found when the store was opened.

    Attributes:
        number, path, dataset, shape: where and what; shape is (n_sequences, positions, channels).
        kind: stored type (``store_types.KINDS``).
        layout: how it lies in the file.
        offset: byte at which the dataset begins, where it can be read without HDF5; else None.
        file_bytes: size of the file.
        cache_bytes: chunk cache that HDF5 needs (0: its own default).
    """

    number: int
    path: Path
    dataset: str
    shape: tuple[int, int, int]
    kind: str
    layout: Layout
    offset: int | None
    file_bytes: int
    cache_bytes: int


def numbered_files(folder: Path) -> dict[int, Path]:
    """The activation files of a folder by number, in the order of numbers (not of text).

    Raises:
        InputError: no folder, no files, a name that is not understood, a gap in the numbers.
    """
    if not folder.is_dir():
        raise InputError(
            "An activation store is missing", where=folder, expected="a folder", mend="check the path"
        )
    numbered: dict[int, Path] = {}
    for path in sorted(folder.glob("activations_*")):
        match = _FILE_NAME.fullmatch(path.name)
        if match is None or int(match[1]) in numbered:
            raise InputError(
                "A file of an activation store has a name that is not understood, or a number twice",
                where=path,
                expected="activations_<number>.h5, each number once",
                mend="rename it or move it out of the folder",
            )
        numbered[int(match[1])] = path
    if not numbered:
        raise InputError(
            "An activation store holds no files", where=folder, expected="activations_<number>.h5"
        )
    first = min(numbered)
    missing = sorted(set(range(min(first, 1), max(numbered) + 1)) - set(numbered))
    if missing:
        raise InputError(
            "The numbers of the activation files have a gap",
            where=folder,
            got=f"{len(numbered)} files, without {[f'activations_{i}' for i in missing[:5]]}",
            expected="numbers from 0 or 1 on, without gaps",
            mend="copy the missing files, or renumber files and interval table together",
        )
    return dict(sorted(numbered.items()))


def inspect_file(number: int, path: Path) -> StoredFile:
    """Open one file, find its one floating dataset and check its shape; reads no activations.

    Raises:
        InputError: not HDF5, truncated, not exactly one floating dataset of three dimensions, or one that
            was never written or refers to files that are not there.
    """
    found: list[h5py.Dataset] = []
    try:
        with h5py.File(path, "r") as handle:
            handle.visititems(lambda _, item: found.append(item) if isinstance(item, h5py.Dataset) else None)
            shown = [f"'{item.name}' {item.dtype} {item.shape}" for item in found]
            floating = [item for item in found if item.dtype.name in KINDS]
            if len(floating) != 1 or floating[0].ndim != 3 or 0 in floating[0].shape:
                raise InputError(
                    "An activation file needs exactly one floating-point dataset of three dimensions",
                    where=path,
                    got=shown or "no dataset",
                    expected="one of shape (n_sequences, positions, channels), none of them 0; "
                    "pooled activations have positions = 1",
                )
            return _described(number, path, floating[0])
    except (OSError, RuntimeError, KeyError) as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: Exception, where: str = "") -> InputError:
    """The error for a file that HDF5 cannot read; ``where`` adds dataset and row."""
    return InputError(
        "Cannot read an activation file: it is truncated, damaged or not HDF5",
        where=f"{path}{where}",
        got=str(error),
        mend="copy or extract it again",
    )


def remove_left_behind(folder: Path, number: int | None = None) -> None:
    """Remove unfinished activation files of runs that died on this machine; of one file number, if given."""
    for path in folder.glob(".activations_*.tmp"):
        match = _LEFT_BEHIND.fullmatch(path.name)
        if match and number in (None, int(match[1])) and not is_running(int(match[2])):
            _log.warning("removed %s, %d bytes left by a run that died", path, path.stat().st_size)
            path.unlink()


class _Sink(io.FileIO):
    """A new file under HDF5's hands that survives a full disk.

    HDF5 cannot close a file whose last bytes it cannot write, and ends the whole process for it later.
    So a write that fails is raised once, while the file is filled, and what follows goes nowhere.
    """

    fault: OSError | None = None
    closing = False

    def write(self, data: memoryview) -> int:
        left = memoryview(data).cast("B")
        n_bytes = left.nbytes
        try:
            while left.nbytes and self.fault is None:
                left = left[super().write(left) :]
        except OSError as error:
            self.fault = error
            if not self.closing:
                raise
        return n_bytes

    def truncate(self, size: int | None = None) -> int:
        try:
            return size if self.fault else super().truncate(size)
        except OSError as error:
            self.fault = error
            return size


@contextmanager
def new_hdf5(temporary: Path, path: str | Path) -> Iterator[h5py.File]:
    """Yield an empty HDF5 file to fill, at ``temporary`` (``artefacts.atomic_path``); ``path``: for messages.

    Raises:
        InputError: the disk is full or fails; names ``path``.
    """
    with _Sink(temporary, "w+") as sink:
        try:
            handle = h5py.File(sink, "w")
            try:
                yield handle
            finally:
                sink.closing = True
                handle.close()
        finally:
            if sink.fault is not None:
                raise unwritable(path, sink.fault) from sink.fault


def unwritable(path: str | Path, error: OSError) -> InputError:
    """The error for an output that the disk does not take."""
    return InputError(
        "Cannot write a file", where=path, got=error, mend="free space; finished files are kept, run it again"
    )


def _described(number: int, path: Path, data: h5py.Dataset) -> StoredFile:
    kind = "bfloat16" if is_bfloat16(data.id.get_type()) else data.dtype.name
    layout = read_layout(data, kind)
    require_filters(layout, f"{path}, dataset '{data.name}'")
    require_written(data)
    return StoredFile(
        number,
        path,
        data.name,
        data.shape,
        kind,
        layout,
        direct_offset(data, layout),
        path.stat().st_size,
        _cache_bytes(layout, data.shape, raw_dtype(kind).itemsize),
    )


def _cache_bytes(layout: Layout, shape: tuple[int, int, int], itemsize: int) -> int:
    """Chunk cache in which a pass over the rows decompresses each chunk once (0: HDF5's own)."""
    if layout.chunks is None or not layout.filters:
        return 0  # plain chunks are read in part, without a cache
    across = -(-shape[2] // layout.chunks[2])
    return min(across * int(np.prod(layout.chunks)) * itemsize + 2**20, _CACHE_LIMIT_BYTES)


def check_shapes(parts: list[StoredFile], channels: int | None) -> None:
    """All files agree in positions, channels and type, and have the channels that are expected."""
    first = parts[0]
    for part in parts:
        where = f"{part.path}, dataset '{part.dataset}'"
        if channels is not None and part.shape[2] != channels:
            swapped = part.shape[1] == channels
            mend = "name the layer that made this store"
            if swapped:
                command = repack_command(part.path.parent, "--channels-first")
                mend = f"write positions before channels: {command}"
            raise InputError(
                "The number of channels is not that of the layer"
                + ("; the axes seem to be channels first" if swapped else ""),
                where=where,
                got=f"shape {part.shape}",
                expected=f"(n_sequences, positions, {channels})",
                mend=mend,
            )
        if part.shape[1:] != first.shape[1:] or part.kind != first.kind:
            raise InputError(
                "Activation files differ in positions, channels or type",
                where=where,
                got=f"shape {part.shape}, {part.kind}",
                expected=f"(any, {first.shape[1]}, {first.shape[2]}), {first.kind}, as in {first.path.name}",
                mend="keep one layer, one sequence length and one type in a store",
            )


def check_description(path: Path, expected: dict) -> None:
    """Compare ``store.json``, if there, with what is expected (None: not known, not compared)."""
    if not path.is_file():
        return
    try:
        content = json.loads(path.read_text())
        described = content["layer"] if isinstance(content.get("layer"), dict) else content
    except (ValueError, AttributeError) as error:
        raise InputError("store.json is not a JSON object", where=path, got=error) from error
    keys = {
        "layer": "name" if described is not content else "layer",
        "channels": "channels",
        "stride_bp": "stride_bp",
    }
    clash = {
        key: described[keys[key]]
        for key, value in expected.items()
        if value is not None and described.get(keys[key]) is not None and described[keys[key]] != value
    }
    if clash:
        raise InputError(
            "store.json contradicts what is asked for, or the files beside it",
            where=path,
            got=clash,
            expected={key: expected[key] for key in clash},
            mend="name the layer that made this store",
        )
