"""Writing an activation store anew in a layout that is read fast: contiguous, or chunks of 1,024 rows.

A store is repacked file by file. A file appears whole or not at all, and a finished one is not written
again, so a repacking that was stopped goes on where it was. The interval table and ``store.json`` come
last: before that the new folder is no store. The old store is only read. One repacking at a time may write
into a folder: what one that died has left behind (``.activations_*.tmp``) is removed.

Floor: the bytes of the old store read once and those of the new one written once.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path

import h5py
import numpy as np

from biosae import __version__, artefacts
from biosae.cli import progress
from biosae.errors import ConfigError, ContractError, InputError
from biosae.intervals import find_interval_table, match_intervals, read_intervals
from biosae.number_conversion import LARGEST, Loss, convert, exact, too_large
from biosae.store_files import (
    StoredFile,
    check_description,
    check_shapes,
    inspect_file,
    new_hdf5,
    numbered_files,
    remove_left_behind,
    unwritable,
)
from biosae.store_layout import CHUNK_ROWS, Target
from biosae.store_reading import DirectFile, HDF5File
from biosae.store_types import all_finite, bfloat16_type, memory_type, not_finite, raw_dtype, to_float32

_log = logging.getLogger(__name__)

_VERIFIED_BLOCKS = 64  # blocks of a file that are read back
_VERIFIED_ROWS = 16  # most rows of such a block
_NOTE = "repacked"  # attribute that says what a file was made from, and how
_PROGRAM = "program"  # attribute of program and version; a file of another version is still kept


def repack_store(
    folder: str | Path, output: str | Path, target: Target, channels_first: bool = False
) -> None:
    """Write the store in ``folder`` anew into ``output``.

    Args:
        folder: the store; also one whose axes are (n_sequences, channels, positions).
        output: folder of the new store; finished files in it that fit are kept.
        target: how it shall lie on disk.
        channels_first: the axes of ``folder``.

    Raises:
        InputError: the store cannot be read, does not fit its interval table, holds NaN or infinity or a
            number that the new type cannot hold (names file, row, position and channel), the disk is
            too small, or ``output`` holds a file that was made of something else.
    """
    folder, output = Path(folder), Path(output)
    if output.resolve() == folder.resolve():
        raise ConfigError("A store cannot be repacked onto itself", got=output, mend="name another folder")
    table = find_interval_table(folder)
    sources = _sources(folder, table, channels_first)
    _check_output(output, folder, table, {source.part.path.name for source in sources})
    kind = sources[0].part.kind if target.dtype == "keep" else target.dtype
    waiting = [source for source in sources if not _finished(source, output, target, kind)]
    _require_space(waiting, output, target, kind)
    loss = Loss()
    with progress(what="repack", total=sum(source.n_rows for source in waiting), unit="row") as bar:
        for source in waiting:
            _write_file(source, output / source.part.path.name, target, kind, loss, bar)
    _copy_description(folder, output, table, kind)
    kept = len(sources) - len(waiting)
    _log.info("%d files written as %s, %s; %d were there already", len(waiting), kind, target.layout, kept)
    if not exact(sources[0].part.kind, kind):
        told = loss.largest, loss.at, loss.vanished
        _log.info("the largest rounding error is %.3g, at %.6g; %d numbers other than 0 became 0", *told)


def _sources(folder: Path, table: Path, channels_first: bool) -> list[_Source]:
    """The files of the old store, checked against one another, the interval table and ``store.json``."""
    sources = [
        _Source(inspect_file(number, path), channels_first) for number, path in numbered_files(folder).items()
    ]
    parts = [source.part for source in sources]
    check_shapes(parts, None)
    check_description(folder / "store.json", {"channels": parts[0].shape[2]})
    rows = {part.number: part.shape[0] for part in parts}
    match_intervals(read_intervals(table), rows, {part.number: part.path.name for part in parts}, table)
    return sources


def _check_output(output: Path, folder: Path, table: Path, names: set[str]) -> None:
    """Refuse an output that is no folder or belongs to another store; clear what dead runs left in it."""
    place = next(place for place in (output, *output.absolute().parents) if place.exists())
    if not place.is_dir():
        raise InputError("The output is not a folder", where=output, got=f"a file {place}")
    if place != output:
        return
    present = {path.name for pattern in ("activations_*", "*_seqs.bed") for path in output.glob(pattern)}
    present |= {name for name in ("intervals.tsv", "store.json") if (output / name).exists()}
    own = names | {table.name} | ({"store.json"} if (folder / "store.json").is_file() else set())
    if present - own:
        raise InputError(
            "The output folder holds files of another store",
            where=output,
            got=sorted(present - own)[:5],
            expected=f"nothing, or files of a repacking of {folder} that was stopped",
            mend="remove them, or name another folder",
        )
    remove_left_behind(output)


class _Source:
    """One file of the old store, read in blocks of (positions, channels).

    Attributes:
        part: what ``inspect_file`` found, with the shape (n_sequences, positions, channels).
        n_rows: sequences x positions.
    """

    def __init__(self, part: StoredFile, channels_first: bool) -> None:
        self.stored, self.part, self.channels_first = part, part, channels_first
        if channels_first:
            n, channels, positions = part.shape
            self.part = replace(part, shape=(n, positions, channels))
            if part.cache_bytes:  # room for the chunks of all channels at some positions
                across = -(-channels // part.layout.chunks[1])
                chunk_bytes = int(np.prod(part.layout.chunks)) * raw_dtype(part.kind).itemsize
                self.stored = replace(part, cache_bytes=across * chunk_bytes + 2**20)
        self.n_rows = self.part.shape[0] * self.part.shape[1]

    def open(self) -> closing:
        """Open the file for ``read``; close it with ``with``."""
        direct = self.stored.offset is not None and not self.channels_first
        return closing(DirectFile(self.stored) if direct else HDF5File(self.stored))

    def read(self, file: DirectFile | HDF5File, row: int, position: int, n: int) -> np.ndarray:
        """Raw rows (n, channels) from ``position`` of sequence ``row`` on, checked to be finite."""
        channels = self.part.shape[2]
        raw = np.empty((channels, n) if self.channels_first else (n, channels), raw_dtype(self.part.kind))
        try:
            if self.channels_first:
                file.read_box((row, 0, position), raw)
            else:
                file.read_into(row, position, raw)
        except (OSError, KeyError) as error:
            raise InputError(
                "Cannot read an activation file", where=f"{self.part.path}, row {row}", got=error
            ) from error
        raw = np.ascontiguousarray(raw.T) if self.channels_first else raw
        if not all_finite(raw):
            self.refuse(not_finite(raw), raw, row, position, "Activations hold NaN or infinity")
        return raw

    def refuse(self, bad: np.ndarray, raw: np.ndarray, row: int, position: int, problem: str) -> None:
        """Raise the error that names the first number of ``raw`` that is ``bad``."""
        first, channel = (int(value) for value in np.argwhere(bad)[0])
        shown = to_float32(raw)[first, channel] if raw.dtype == np.uint16 else raw[first, channel]
        raise InputError(
            problem,
            where=f"{self.part.path}, dataset '{self.part.dataset}', row {row}, "
            f"position {position + first}, channel {channel}",
            got=f"{shown} ({int(bad.sum())} such values in {len(raw)} positions)",
            mend="nothing was written of this file; choose a type that holds it (--dtype), or extract again",
        )


def _blocks(source: _Source) -> Iterator[tuple[int, int, int]]:
    """(row, position, positions) of blocks of at most CHUNK_ROWS positions of a file."""
    for row in range(source.part.shape[0]):
        for position in range(0, source.part.shape[1], CHUNK_ROWS):
            yield row, position, min(CHUNK_ROWS, source.part.shape[1] - position)


def _note(source: _Source, target: Target) -> str:
    made = {
        "source": artefacts.fingerprint(source.part.path),
        "channels_first": source.channels_first,
        **asdict(target),
    }
    return json.dumps(made, sort_keys=True)


def _finished(source: _Source, output: Path, target: Target, kind: str) -> bool:
    """Whether a file is there already, made from the same file in the same way."""
    path = output / source.part.path.name
    if not path.exists():
        return False
    found = inspect_file(source.part.number, path)
    with h5py.File(path, "r") as handle:
        note = handle.attrs.get(_NOTE)
    if (found.shape, found.kind, note) != (source.part.shape, kind, _note(source, target)):
        raise InputError(
            "The output folder holds a file that was not made from this store in this way",
            where=path,
            got=f"shape {found.shape}, {found.kind}, made by {note}",
            expected=f"shape {source.part.shape}, {kind}, made by {_note(source, target)}",
            mend="remove it, or name another folder",
        )
    return True


def _require_space(waiting: list[_Source], output: Path, target: Target, kind: str) -> None:
    output.mkdir(parents=True, exist_ok=True)
    row_bytes = waiting[0].part.shape[2] * raw_dtype(kind).itemsize if waiting else 0
    needed, free = sum(source.n_rows for source in waiting) * row_bytes, shutil.disk_usage(output).free
    if needed > free and target.compression == "none":
        raise InputError(
            "The disk is too small for the repacked store",
            where=output,
            got=f"{free / 1e9:.1f} GB free",
            expected=f"{needed / 1e9:.1f} GB",
        )


def _write_file(source: _Source, path: Path, target: Target, kind: str, loss: Loss, bar: object) -> None:
    with source.open() as old, artefacts.atomic_path(path) as temporary:
        with new_hdf5(temporary, path) as handle:
            handle.attrs[_NOTE] = _note(source, target)
            handle.attrs[_PROGRAM] = f"repack_activations.py, biosae {__version__}"
            data = _create(handle, source, target, kind)
            for row, position, n in _blocks(source):
                raw = _converted(source, old, (row, position, n), kind, loss)
                place = data.get_space()
                place.select_hyperslab((row, position, 0), (1, *raw.shape))
                data.write(h5py.h5s.create_simple(raw.shape), place, raw, mtype=memory_type(kind))
                bar.update(n)
        _verify(source, old, temporary, kind)


def _create(handle: h5py.File, source: _Source, target: Target, kind: str) -> h5py.h5d.DatasetID:
    _, positions, channels = source.part.shape
    options = target.filters()
    if target.layout == "chunked":
        options["chunks"] = (1, min(CHUNK_ROWS, positions), channels)
    stored = h5py.Datatype(bfloat16_type()) if kind == "bfloat16" else np.dtype(kind).newbyteorder("<")
    return handle.create_dataset(source.part.dataset, source.part.shape, stored, **options).id


def _converted(
    source: _Source, old: DirectFile | HDF5File, block: tuple[int, int, int], kind: str, loss: Loss | None
) -> np.ndarray:
    row, position, _ = block
    raw = source.read(old, *block)
    if not exact(source.part.kind, kind):
        bad = too_large(raw, kind)
        if bad.any():
            problem = f"A number is too large for {kind}, whose largest is {LARGEST[kind]:g}"
            source.refuse(bad, raw, row, position, problem)
    return convert(raw, source.part.kind, kind, loss)


def _verify(source: _Source, old: DirectFile | HDF5File, path: Path, kind: str) -> None:
    """Read random rows back, as every reader will, and compare their bits with the old file's."""
    found = inspect_file(source.part.number, path)
    rng = np.random.default_rng(source.part.number)
    with closing(HDF5File(found) if found.offset is None else DirectFile(found)) as new:
        for _ in range(_VERIFIED_BLOCKS):
            n = int(rng.integers(1, min(_VERIFIED_ROWS, found.shape[1]) + 1))
            row, position = int(rng.integers(found.shape[0])), int(rng.integers(found.shape[1] - n + 1))
            got = np.empty((n, found.shape[2]), raw_dtype(found.kind))
            new.read_into(row, position, got)
            if got.tobytes() != _converted(source, old, (row, position, n), kind, None).tobytes():
                raise ContractError(
                    "A repacked file does not hold what was written to it",
                    where=f"{path}, row {row}, positions {position} to {position + n}",
                    mend="check the disk",
                )


def _copy_description(folder: Path, output: Path, table: Path, kind: str) -> None:
    try:
        if (folder / "store.json").is_file():
            content = json.loads((folder / "store.json").read_text())
            if "dtype" in content:
                content["dtype"] = kind
            artefacts.write_json(output / "store.json", content)
        with artefacts.atomic_path(output / table.name) as temporary:
            shutil.copyfile(table, temporary)
    except OSError as error:
        raise unwritable(output, error) from error
