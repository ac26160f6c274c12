"""How the dataset of an activation file lies on disk, or shall lie; what of it cannot be read, or slowly.

The factors are measured (one core, page cache, float16 of 608 channels, GB a CPU second): contiguous 15,
chunks of 1,024 rows 6.1, of 256 rows 4.1, h5py's automatic chunks 2.4, lz4 4.8, another byte order (HDF5
converts) 0.36, gzip 0.25.
"""

from __future__ import annotations

import logging
import os
import shlex
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np

from biosae.errors import ConfigError, InputError
from biosae.store_types import memory_type

if TYPE_CHECKING:
    from biosae.store_files import StoredFile

_log = logging.getLogger(__name__)

LAYOUTS = ("contiguous", "chunked")
TYPES = ("keep", "float16", "bfloat16", "float32")
COMPRESSIONS = ("none", "lz4")
CHUNK_ROWS = 1024  # read at 40 % of the rate of a contiguous dataset, and appended to at any time

_SLOW_FILTERS = {h5py.h5z.FILTER_DEFLATE: "gzip", h5py.h5z.FILTER_SZIP: "szip"}
_FEW_ROWS = 64  # a chunk of fewer rows costs more to look up than to read
_MANY_ROWS = 8192  # a compressed chunk of more is decompressed whole for a random block of some 1,024


@dataclass(frozen=True)
class Layout:
    """How one dataset (n_sequences, positions, channels) lies in its file.

    Attributes:
        chunks: shape of a chunk; None if contiguous.
        filters: HDF5 numbers of the filters (compression, checksum), in order.
        native: whether the stored bytes are those of a buffer in memory; False for another byte order.
    """

    chunks: tuple[int, int, int] | None
    filters: tuple[int, ...]
    native: bool


@dataclass(frozen=True)
class Target:
    """How a store shall lie on disk: one of ``LAYOUTS``, ``TYPES`` and ``COMPRESSIONS``.

    Raises:
        ConfigError: an unknown word, compression of a contiguous dataset, or lz4 that is not installed.
    """

    layout: str = "contiguous"
    dtype: str = "keep"
    compression: str = "none"

    def __post_init__(self) -> None:
        known = {"layout": LAYOUTS, "dtype": TYPES, "compression": COMPRESSIONS}
        for name, words in known.items():
            if getattr(self, name) not in words:
                raise ConfigError(f"Unknown {name}", got=getattr(self, name), expected=f"one of {words}")
        if self.compression != "none" and self.layout != "chunked":
            raise ConfigError("Only chunks can be compressed", got=asdict(self), mend="add --layout chunked")
        self.filters()

    def filters(self) -> dict:
        """What h5py needs to compress."""
        if self.compression == "none":
            return {}
        try:
            import hdf5plugin
        except ImportError as error:
            raise ConfigError(
                "lz4 needs the Python package hdf5plugin, which is not installed",
                got=error,
                mend="pip install hdf5plugin, or leave --compression away: activations hardly compress",
            ) from error
        return dict(hdf5plugin.LZ4())


def read_layout(data: h5py.Dataset, kind: str) -> Layout:
    """The layout of a dataset whose numbers are held as ``kind`` (``store_types.KINDS``)."""
    made = data.id.get_create_plist()
    filters = tuple(made.get_filter(i)[0] for i in range(made.get_nfilters()))
    return Layout(data.chunks, filters, data.id.get_type().equal(memory_type(kind)))


def direct_offset(data: h5py.Dataset, layout: Layout) -> int | None:
    """Byte of the file at which a contiguous, native dataset begins; None if HDF5 must read it."""
    made = data.id.get_create_plist()
    if made.get_layout() != h5py.h5d.CONTIGUOUS or made.get_external_count() or not layout.native:
        return None
    return data.id.get_offset()


def require_filters(layout: Layout, where: object) -> None:
    """Load the filters of the package hdf5plugin if the dataset needs them.

    Raises:
        InputError: the HDF5 library here cannot decompress the dataset.
    """
    if all(map(h5py.h5z.filter_avail, layout.filters)):
        return
    with suppress(ImportError):  # the check that follows says what is missing
        import_module("hdf5plugin")  # registers its filters as it is imported
    missing = [number for number in layout.filters if not h5py.h5z.filter_avail(number)]
    if missing:
        raise InputError(
            "An activation file is compressed with a filter that is not installed here",
            where=where,
            got=f"HDF5 filter {missing} (32004 is lz4)",
            expected="filters of HDF5 itself or of the package hdf5plugin",
            mend="pip install hdf5plugin",
        )


def require_written(data: h5py.Dataset) -> None:
    """Refuse numbers that are not there: HDF5 gives zeros (the fill value) for them, without a word.

    Raises:
        InputError: the dataset, or one that it is put together of, was never written, or only in part.
    """
    missing = _missing(data)
    if missing:
        raise InputError(
            "An activation file holds no numbers where it should; they would be read as zeros",
            where=f"{data.file.filename}, dataset '{data.name}'",
            got=missing,
            expected="every number written",
            mend="extract this file again, or copy the files it refers to beside it",
        )


def _missing(data: h5py.Dataset) -> str | None:
    """What of a dataset was never written; None if all was, as far as the file tells."""
    if data.is_virtual:
        return _missing_of_virtual(data)
    if data.chunks is not None:
        needed = int(np.prod([-(-size // part) for size, part in zip(data.shape, data.chunks, strict=True)]))
        written = data.id.get_num_chunks()
        return f"{written} of {needed} chunks written" if written < needed else None
    return "a dataset that was never written" if data.id.get_storage_size() == 0 else None


def _missing_of_virtual(data: h5py.Dataset) -> str | None:
    """The same of a dataset that is put together of others, which may lie in other files."""
    covered = 0
    for source in data.virtual_sources():
        shown = f"its source '{source.dset_name}' in {source.file_name}"
        try:
            with h5py.File(_source_path(data, source.file_name), "r") as handle:
                found = handle[source.dset_name]
                missing = _missing(found)
                smaller = any(np.less(found.shape, source.src_space.shape))
        except (OSError, KeyError) as error:
            return f"{shown} cannot be read ({error})"
        if missing or smaller:
            return f"{shown}: {missing or f'shape {found.shape}'}"
        covered += source.vspace.get_select_npoints()
    return f"sources for {covered} of {data.size} numbers" if covered < data.size else None


def _source_path(data: h5py.Dataset, name: str) -> Path:
    """The file that HDF5 takes for a source of a virtual dataset: beside the file, else as it is named."""
    if name == ".":
        return Path(data.file.filename)
    beside = Path(data.file.filename).parent
    places = [Path(name), beside / Path(name).name] if Path(name).is_absolute() else [beside / name]
    if "HDF5_VDS_PREFIX" in os.environ:
        places.insert(len(places) - 1, Path(os.environ["HDF5_VDS_PREFIX"]) / name)
    return next((place for place in [*places, Path(name)] if place.is_file()), Path(name))


def repack_command(folder: str | Path, *options: str) -> str:
    """The command that writes a store anew, into a folder beside it."""
    folder = Path(folder)
    words = ["--activations", str(folder), "--output", str(folder.with_name(f"{folder.name}_repacked"))]
    return " ".join(["python scripts/repack_activations.py", *map(shlex.quote, words), *options])


def slowness(layout: Layout, positions: int, channels: int) -> str | None:
    """Why, and by how much, a dataset is slower to read than a contiguous one; None if it is not."""
    reasons = [
        f"compressed with {_SLOW_FILTERS[number]} (gzip: some 50 times slower)"
        for number in layout.filters
        if number in _SLOW_FILTERS
    ]
    if not layout.native:
        reasons.append(
            "in a number format or byte order other than this machine's (HDF5 converts: some 40 times slower)"
        )
    if layout.chunks is not None:
        rows, part = layout.chunks[1:]
        if part < channels:
            reasons.append(
                f"chunks of {part} of {channels} channels, as h5py chooses them (some 6 times slower)"
            )
        if rows < min(_FEW_ROWS, positions):
            reasons.append(f"chunks of {rows} positions (more than 4 times slower)")
        if layout.filters and layout.chunks[0] * rows > _MANY_ROWS:
            reasons.append(
                f"compressed chunks of {layout.chunks[0] * rows} positions, each decompressed whole for any "
                "block in it (shuffled reading: as many times slower as a chunk holds blocks)"
            )
    return "; ".join(reasons) or None


def warn_if_slow(folder: Path, parts: Iterable[StoredFile]) -> None:
    """Log one warning for a store with files that are slow to read, with the command that mends it."""
    parts = list(parts)
    slow = [(part, slowness(part.layout, *part.shape[1:])) for part in parts]
    slow = [(part, reason) for part, reason in slow if reason]
    if slow:
        first, reason = slow[0]
        _log.warning(
            "%d of %d files of the store %s are slow to read, %s: %s. To mend, once: %s",
            len(slow),
            len(parts),
            folder,
            first.path.name,
            reason,
            repack_command(folder),
        )
