"""Extraction: windows of the genome through a model up to one layer, into the files of an activation store.

A file is whole or not there. One that is there and was made by the same plan is kept, so an extraction that
was stopped goes on with the files that are missing. Letters are read and encoded in a thread while the model
runs. Memory: one piece of a window through the model and one in the stored type, however long the window.

Floor: the multiply-adds of the layers up to the one that is read, over every base and halo once, and the
bytes of the store written once.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import torch
from torch.nn.functional import pad

from biosae import __version__, artefacts
from biosae.cli import progress
from biosae.errors import ContractError, InputError
from biosae.extraction_chunks import Halo, Piece, pieces
from biosae.extraction_store import DESCRIPTION, TABLE, check_host, read_description
from biosae.genome import Genome
from biosae.hosts.host import Host
from biosae.hosts.onehot import encode, reverse_complement_letters
from biosae.reading_ahead import read_ahead
from biosae.store_files import inspect_file, new_hdf5, remove_left_behind

_log = logging.getLogger(__name__)

_DATASET, _NOTE, _PROGRAM = "activations", "extracted", "program"


@dataclass(frozen=True)
class Window:
    """One pass of the model: a stretch of the genome on one strand, and the rows that are kept of it.

    Attributes:
        chrom, start, end, strand: what the model is given.
        rows: (row in the file, first position that it keeps), positions in forward order.
    """

    chrom: str
    start: int
    end: int
    strand: str
    rows: tuple[tuple[int, int], ...]

    @property
    def length_bp(self) -> int:
        """Bases that the model is given."""
        return self.end - self.start


def extract_files(
    host: Host, genome: Genome, folder: Path, numbers: list[int] | None = None, piece_bp: int | None = None
) -> None:
    """Write files of a planned store; those that are finished are kept.

    Args:
        host: the model that the store was planned with.
        folder: holds ``intervals.tsv`` and ``store.json``.
        numbers: of the files; None: all.
        piece_bp: bases that go through the model at once; shorter windows go together.

    Raises:
        ContractError: another model, or a layer that gives fewer positions than it should.
        InputError: no plan, a number beyond the stored type, a file of another plan, or a full disk.
    """
    told = read_description(folder)
    table = artefacts.read_table(folder / TABLE, "intervals")
    check_host(host, told, host.precision, folder / DESCRIPTION)
    every = sorted(set(table["file"]))
    wanted = every if numbers is None else numbers
    if unknown := sorted(set(wanted) - set(every)):
        raise InputError(
            "The plan has no such file", where=folder, got=unknown, expected=f"{every[0]} to {every[-1]}"
        )
    waiting = [number for number in wanted if not _finished(folder, number, _note(told, table, number))]
    _log.info("%d files to write, %d are there already", len(waiting), len(wanted) - len(waiting))
    for number in waiting:
        rows = table[table["file"] == number]
        remove_left_behind(folder, number)  # other files may be in the making, on other machines too
        writer = _Writer(host, told, piece_bp)
        writer.write(folder / f"activations_{number}.h5", rows, genome, _note(told, table, number))


def _note(told: dict, table: pd.DataFrame, number: int) -> str:
    """What a file is made from: a hash of everything that its numbers depend on."""
    keys = ("model", "arguments", "weights", "layer", "window", "dtype", "precision")
    rows = table[table["file"] == number].to_csv(index=False)
    genome = [one["sha256"] for one in told["provenance"]["inputs"][1:]]
    text = json.dumps([{key: told[key] for key in keys}, rows, genome], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _finished(folder: Path, number: int, note: str) -> bool:
    """Whether a file is there and of this plan.

    Raises:
        InputError: it is there, and of another plan or unreadable.
    """
    path = folder / f"activations_{number}.h5"
    if not path.exists():
        return False
    inspect_file(number, path)
    with h5py.File(path, "r") as handle:
        found = handle.attrs.get(_NOTE)
    if found != note:
        raise InputError(
            "A file of the store was made by another plan",
            where=path,
            mend="move it away, or extract into an empty folder",
        )
    return True


def windows_of(rows: pd.DataFrame, stride_bp: int) -> list[Window]:
    """The passes of the model that make these rows, in their order."""
    place = ["chrom", "input_start", "input_end", "strand"]
    found = []
    for key, group in groupby(
        rows.sort_values("row").itertuples(), key=lambda row: [getattr(row, p) for p in place]
    ):
        kept = tuple((int(row.row), int(row.start - row.input_start) // stride_bp) for row in group)
        found.append(Window(*key, kept))
    return found


class _Writer:
    """Runs a host over windows and writes what it gives.

    Args:
        host: the model.
        told: ``store.json``.
        piece_bp: bases through the model at once.
    """

    def __init__(self, host: Host, told: dict, piece_bp: int | None) -> None:
        measured, layer = told["geometry"]["measured"], host.layer
        left, right = (max(measured[key], getattr(layer, key)) for key in ("left_bp", "right_bp"))
        self._halo = Halo(host.stride_bp, left, right, measured["whole_window"])
        self._host, self._piece_bp = host, piece_bp
        self._positions, self._dtype = told["window"]["positions"], told["dtype"]
        self._shape = (self._positions, layer.channels)
        self._forward_seconds, self._lacking = 0.0, 0

    def write(self, path: Path, rows: pd.DataFrame, genome: Genome, note: str) -> None:
        """Write one file, atomically."""
        windows = windows_of(rows, self._halo.stride_bp)
        began = time.perf_counter()
        total = sum(window.length_bp for window in windows)
        with artefacts.atomic_path(path) as temporary, new_hdf5(temporary, path) as handle:
            handle.attrs[_NOTE] = note
            handle.attrs[_PROGRAM] = f"extract_activations.py, biosae {__version__}"
            data = handle.create_dataset(
                _DATASET, (len(rows), *self._shape), np.dtype(self._dtype).newbyteorder("<")
            )
            with (
                progress(what=path.name, total=total, unit="base") as bar,
                closing(read_ahead(self._inputs(windows, genome))) as inputs,
            ):
                for batch, piece, onehot in inputs:
                    self._write_piece(data, batch, piece, torch.from_numpy(onehot), path)
                    bar.update(len(batch) * (piece.end - piece.first) * self._halo.stride_bp)
        self._say(path, total, time.perf_counter() - began)

    def _inputs(
        self, windows: list[Window], genome: Genome
    ) -> Iterator[tuple[list[Window], Piece, np.ndarray]]:
        """Windows that go together, a piece of them, and its one-hot bases (n, 4, bases)."""
        together = max(1, (self._piece_bp or 0) // windows[0].length_bp)
        for low in range(0, len(windows), together):
            batch = windows[low : low + together]
            letters = np.stack([self._letters(window, genome) for window in batch])
            for piece in pieces(batch[0].length_bp, self._piece_bp, self._halo):
                if any(list(self._parts(window, piece)) for window in batch):
                    yield batch, piece, encode(letters[:, piece.begin_bp : piece.end_bp])

    @staticmethod
    def _letters(window: Window, genome: Genome) -> np.ndarray:
        letters = genome.segment(window.chrom, window.start, window.end)
        return letters if window.strand == "+" else reverse_complement_letters(letters)

    def _parts(self, window: Window, piece: Piece) -> Iterator[tuple[int, int, int, int]]:
        """(row, first position in it, first in the piece, number) of what a piece gives, forward order."""
        first, end = piece.first, piece.end
        if window.strand == "-":
            positions = window.length_bp // self._halo.stride_bp
            first, end = positions - piece.end, positions - piece.first
        for row, at in window.rows:
            low, high = max(first, at), min(end, at + self._positions)
            if low < high:
                yield row, low - at, low - first, high - low

    def _write_piece(
        self, data: h5py.Dataset, batch: list[Window], piece: Piece, onehot: torch.Tensor, path: Path
    ) -> None:
        values = self._forward(onehot, piece)
        for window, found in zip(batch, values, strict=True):
            block = found.flip(0) if window.strand == "-" else found
            for row, into, at, n in self._parts(window, piece):
                stored = block[at : at + n].to(getattr(torch, self._dtype)).contiguous().cpu()
                if not torch.isfinite(stored).all():
                    self._refuse(stored, window, row, into, path)
                data[row, into : into + n] = stored.numpy()

    def _forward(self, onehot: torch.Tensor, piece: Piece) -> torch.Tensor:
        began = time.perf_counter()
        found = self._host.activations(onehot)
        if self._host.device.type == "cuda":
            torch.cuda.synchronize(self._host.device)
        self._forward_seconds += time.perf_counter() - began
        kept = found[:, piece.skip : piece.skip + piece.end - piece.first]
        self._lacking = piece.end - piece.first - kept.shape[1]
        # a network without padding has none at the end of a window: no row may want them
        return kept if not self._lacking else pad(kept, (0, 0, 0, self._lacking), value=torch.nan)

    def _refuse(self, stored: torch.Tensor, window: Window, row: int, into: int, path: Path) -> None:
        if self._lacking:
            raise ContractError(
                f"Layer '{self._host.layer.name}' gives fewer positions than its input has strides",
                got=f"{self._lacking} too few at the end of {window.length_bp} bp",
                mend="a network without padding needs a context of its receptive field, and keep: core",
            )
        position, channel = (int(value) for value in torch.nonzero(~torch.isfinite(stored))[0])
        raise InputError(
            f"An activation cannot be held as {self._dtype}, or is no number",
            where=f"{path}, row {row}, position {into + position}, channel {channel}, "
            f"{window.chrom}:{window.start}-{window.end}({window.strand})",
            got=float(stored[position, channel]),
            mend="set extract.dtype to float32; if that does not help, look at the weights",
        )

    def _say(self, path: Path, bases: int, seconds: float) -> None:
        outside = 1 - self._forward_seconds / seconds if seconds else 0.0
        rate = bases / seconds if seconds else 0.0
        _log.info("%s: %.0f bases/s, %.1f %% of the time outside the model", path.name, rate, 100 * outside)
        self._forward_seconds = 0.0
