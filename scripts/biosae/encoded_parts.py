"""Part files: what encoding some whole sequences of a store gave, and how parts become one.

An HDF5 file. ``description`` (JSON): settings, sizes, provenance, intervals of the store, and which
sequences the part holds. ``tallies/<name>``: see ``NodeTallies``. ``runs/<i>``: kept top positions of
consecutive sequences, sorted by node (``offsets``, int64 (n_nodes + 1,)), and within a node by
sequence, part and falling activation: ``activation``, ``sequence``, ``position``, 12 bytes an entry.

Parts that tile the sequences of a store merge to the same tables, whatever the tiling, the order or
the grouping: tallies are integers, and the entries of a node are distinct and sorted anew. Memory: while
encoding, a run (``RUN_ENTRIES``, or the entries of one part of a sequence) and its sorted copy, 28 bytes
an entry. While merging, the tallies (4 KB a node, twice while parts are added up), 8 bytes a node and run,
and ``RANGE_ENTRIES`` entries (at least one node's) of some 100 bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

from biosae import artefacts
from biosae.encoding_kernels import sort_by_node, take
from biosae.errors import InputError
from biosae.node_tallies import NodeTallies
from biosae.store_files import new_hdf5

FORMAT = "biosae encoded part 1"
RUN_ENTRIES = 2**21  # entries held while encoding (16 bytes each) before they are sorted and written
RANGE_ENTRIES = 2**21  # entries of consecutive nodes that are sorted at once; each run is read once for them
_OPEN_FILES = 256  # well below the usual limit of 1,024 handles a process
_COLUMNS = {"activation": np.float32, "sequence": np.int32, "position": np.int32}


class PartWriter:
    """Write a part file; entries go to it as they come. Use inside ``artefacts.atomic_path``.

    Args:
        file: the open HDF5 file.
        n_nodes, top: most entries that one call of ``add`` brings are n_nodes x top.
    """

    def __init__(self, file: h5py.File, n_nodes: int, top: int) -> None:
        self._file, self._n_nodes, self._batch = file, n_nodes, n_nodes * top
        capacity = max(RUN_ENTRIES, self._batch)
        self._nodes, self._keys = np.empty(capacity, np.int32), np.empty(capacity, np.uint64)
        self._sequences = np.empty(capacity, np.int32)
        self._filled = self._runs = 0

    def add(self, best: np.ndarray, tallies: NodeTallies, sequence: int) -> None:
        """Take the kept entries of a part of a sequence out of ``best`` (see ``encoding_kernels.take``)."""
        if self._filled + self._batch > len(self._keys):
            self._write_run()
        begin = self._filled
        sums = tallies.kept_low, tallies.kept_high
        self._filled = int(take(best, *sums, self._nodes, self._keys, begin))
        self._sequences[begin : self._filled] = sequence

    def finish(self, description: dict, tallies: NodeTallies) -> None:
        """Write what is left, the tallies and the description."""
        self._write_run()
        _write_rest(self._file, description, tallies)

    def _write_run(self) -> None:
        n = self._filled
        if n == 0:
            return
        offsets = np.empty(self._n_nodes + 1, np.int64)
        bits, sequences, positions = np.empty(n, np.uint32), np.empty(n, np.int32), np.empty(n, np.int32)
        held = self._nodes[:n], self._keys[:n], self._sequences[:n]
        sort_by_node(*held, offsets, bits, sequences, positions)
        columns = {"activation": bits.view(np.float32), "sequence": sequences, "position": positions}
        _write_run(self._file, self._runs, offsets, columns, int(self._sequences[0]))
        self._filled, self._runs = 0, self._runs + 1


def _write_run(file: h5py.File, number: int, offsets: np.ndarray, columns: dict, first: int) -> None:
    group = file.create_group(f"runs/{number}")
    group.attrs["first_sequence"] = first
    group["offsets"] = offsets
    for name, kind in _COLUMNS.items():
        group[name] = np.asarray(columns[name], kind)


def _write_rest(file: h5py.File, description: dict, tallies: NodeTallies) -> None:
    file.attrs["format"] = FORMAT
    file["description"] = json.dumps(description, sort_keys=True)
    options = {"compression": "gzip", "compression_opts": 1}
    for field in fields(tallies):
        file.create_dataset(f"tallies/{field.name}", data=getattr(tallies, field.name), **options)


@dataclass
class _Part:
    """A part file without its entries; ``runs``: (first sequence, path, number) of each."""

    path: Path
    description: dict
    tallies: NodeTallies
    counts: np.ndarray
    runs: list[tuple[int, Path, int]]


def _open_part(path: Path) -> _Part:
    try:
        with h5py.File(path, "r") as file:
            if file.attrs.get("format") != FORMAT:
                raise KeyError(f"format {file.attrs.get('format')}")
            description = json.loads(file["description"][()])
            tallies = NodeTallies(**{f.name: file[f"tallies/{f.name}"][()] for f in fields(NodeTallies)})
            groups = dict(file["runs"]) if "runs" in file else {}
            counts = np.zeros(description["n_nodes"], np.int64)
            for run in groups.values():
                counts += np.diff(run["offsets"][()])
            runs = [(int(run.attrs["first_sequence"]), path, int(name)) for name, run in groups.items()]
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise InputError(
            "Cannot read a part of an encoding",
            where=path,
            got=error,
            expected=f"a part file of encode_activations.py ({FORMAT})",
            mend="encode this part again",
        ) from error
    return _Part(path, description, tallies, counts, runs)


class EncodedParts:
    """One part file or several that belong together, read as one.

    Args:
        paths: part files, in any order.

    Attributes:
        description: what is common to the parts.
        intervals, n_sequences, positions: of the whole store, as of ``ActivationStore``.
        sequences: half-open ranges of sequences that the parts hold, sorted, joined where they meet.
        tallies: the sum of the parts' tallies.
        counts: entries of each node, int64 (n_nodes,).

    Raises:
        InputError: no part file, parts of different runs, or two parts that hold the same sequences.
    """

    def __init__(self, paths: Sequence[str | Path]) -> None:
        if not paths:
            raise InputError("There are no parts to merge", mend="name the part files")
        first = _open_part(Path(paths[0]))
        self.description, self.tallies, self.counts = first.description, first.tallies, first.counts
        self._runs = list(first.runs)
        self._files: dict[Path, h5py.File] = {}
        self._open: dict[tuple, tuple] = {}  # offsets and columns of runs
        held = [(*span, first.path) for span in first.description.pop("sequences")]
        for path in paths[1:]:
            part = _open_part(Path(path))
            held += [(*span, part.path) for span in part.description.pop("sequences")]
            _check_same(first, part)
            self.tallies.add(part.tallies)
            self.counts = self.counts + part.counts
            self._runs += part.runs
        self._runs.sort()
        self.sequences = _joined(held)
        self.intervals = pd.DataFrame(self.description["intervals"])
        self.n_sequences, self.positions = len(self.intervals), self.description["positions"]

    def check_complete(self) -> None:
        """Refuse parts that do not hold every sequence of the store."""
        borders = [0, *(border for span in self.sequences for border in span), self.n_sequences]
        gaps = [(low, high) for low, high in zip(borders[::2], borders[1::2], strict=True) if low < high]
        if gaps:
            shown = ", ".join(f"[{low}, {high})" for low, high in gaps[:5])
            raise InputError(
                "Parts of the encoding are missing",
                got=f"{len(self._runs)} runs without sequences {shown}",
                expected=f"parts that together hold sequences [0, {self.n_sequences})",
                mend="encode the missing parts, and name every part file",
            )

    def ranges(self) -> Iterator[tuple[int, int]]:
        """Half-open ranges of nodes with at most ``RANGE_ENTRIES`` entries, or of one node."""
        total = np.concatenate([[0], np.cumsum(self.counts)])
        low, n_nodes = 0, len(self.counts)
        while low < n_nodes:
            high = int(np.searchsorted(total, total[low] + RANGE_ENTRIES, side="right")) - 1
            high = min(max(high, low + 1), n_nodes)
            yield low, high
            low = high

    def top(self, low: int, high: int) -> pd.DataFrame:
        """The kept top positions of nodes [low, high), as ``EncodedNodes.top``."""
        pieces = [self._entries(run, low, high) for run in self._runs] or [_no_entries()]
        return _sorted_top(*(np.concatenate(column) for column in zip(*pieces, strict=True)))

    def close(self) -> None:
        """Close the files; they are opened again when they are read."""
        self._open.clear()
        while self._files:
            self._files.popitem()[1].close()

    def _entries(self, run: tuple[int, Path, int], low: int, high: int) -> tuple[np.ndarray, ...]:
        offsets, columns = self._run(run)
        begin, end = offsets[low], offsets[high]
        try:
            entries = tuple(column[begin:end] for column in columns)
        except OSError as error:
            raise InputError("Cannot read a part of an encoding", where=run[1], got=error) from error
        return np.repeat(np.arange(low, high, dtype=np.int32), np.diff(offsets[low : high + 1])), *entries

    def _run(self, run: tuple[int, Path, int]) -> tuple[np.ndarray, list[h5py.Dataset]]:
        """Offsets and columns of a run; its file stays open, for it is read for every range of nodes."""
        if run not in self._open:
            _, path, number = run
            try:
                if path not in self._files:
                    if len(self._files) == _OPEN_FILES:
                        self.close()
                    self._files[path] = h5py.File(path, "r")
                group = self._files[path][f"runs/{number}"]
                self._open[run] = group["offsets"][()], [group[column] for column in _COLUMNS]
            except (OSError, KeyError) as error:
                raise InputError("Cannot read a part of an encoding", where=path, got=error) from error
        return self._open[run]

    def write(self, path: str | Path) -> None:
        """Write these parts as one part file; it may be merged with others."""
        with artefacts.atomic_path(path) as temporary, new_hdf5(temporary, path) as file:
            for number, run in enumerate(self._runs):
                offsets, columns = self._run(run)
                entries = {name: column[()] for name, column in zip(_COLUMNS, columns, strict=True)}
                _write_run(file, number, offsets, entries, run[0])
            _write_rest(file, {**self.description, "sequences": self.sequences}, self.tallies)
        self.close()


def _no_entries() -> tuple[np.ndarray, ...]:
    return np.empty(0, np.int32), *(np.empty(0, kind) for kind in _COLUMNS.values())


def _check_same(first: _Part, other: _Part) -> None:
    """Both were made from the same store and checkpoint, with the same settings, versions and device."""
    ours, theirs = (_compared(part.description) for part in (first, other))
    differing = [name for name in {**ours, **theirs} if ours.get(name) != theirs.get(name)]
    if differing:
        raise InputError(
            "Parts of different encodings cannot be merged",
            where=f"{first.path} and {other.path}",
            got=f"another {', another '.join(differing)}",
            expected="parts of one store, encoded with one checkpoint, settings, versions and type of device",
            mend="encode all parts again from the same inputs, or name the files of one run",
        )


def _compared(description: dict) -> dict:
    made_by = dict(description.get("provenance") or {})
    parts = {"checkpoint": made_by.pop("inputs", None), "store": made_by.pop("store", None)}
    rest = {key: value for key, value in description.items() if key != "provenance"}
    return {**parts, **rest, **made_by}


def _joined(held: list[tuple[int, int, Path]]) -> list[list[int]]:
    """Ranges that meet become one; two that overlap are refused."""
    spans: list[list[int]] = []
    before = None
    for low, high, path in sorted((span for span in held if span[0] < span[1]), key=lambda span: span[:2]):
        if before is not None and low < spans[-1][1]:
            raise InputError(
                "Two parts hold the same sequences",
                where=f"{before} and {path}",
                got=f"sequences [{low}, {min(high, spans[-1][1])}) twice",
                mend="name each part once",
            )
        if spans and low == spans[-1][1]:
            spans[-1][1] = high
        else:
            spans.append([low, high])
        before = path
    return spans


def _sorted_top(
    nodes: np.ndarray, values: np.ndarray, sequences: np.ndarray, positions: np.ndarray
) -> pd.DataFrame:
    # entries of a node come by sequence, part and position, so a stable sort leaves ties in that order;
    # the bits of positive float32 sort like the numbers
    falling = np.uint32(0xFFFFFFFF) - np.ascontiguousarray(values, np.float32).view(np.uint32)
    order = np.argsort(nodes.astype(np.uint64) << np.uint64(32) | falling.astype(np.uint64), kind="stable")
    nodes = nodes[order]
    counts = np.bincount(nodes)
    before = np.cumsum(counts) - counts  # entries of the nodes before each
    columns = {
        "node": nodes,
        "rank": (np.arange(1, len(nodes) + 1) - before[nodes]).astype(np.int32),
        "activation": values[order],
        "sequence": sequences[order],
        "position": positions[order],
    }
    return pd.DataFrame(columns, copy=False)
