"""Activations of chosen nodes along the genome, as one bigWig a node.

Position j of a sequence is drawn over the stride_bp bases in the middle of what it reads. Zeros are not
written: a browser draws nothing there, and the file holds where the node fires. Where sequences overlap, each
base is taken from the one in which it lies further from an end: they are cut in the middle of their overlap,
at a position of the later one (where positions do not line up, less than a stride there is in neither). A
sequence of the same stretch as another is left out, and counted.

Floor: one encoder pass over the rows, as of encoding, and 12 bytes written and read a time that a node fires.
Memory: a block of rows and its activations; what the nodes do waits on disk, in the order of the genome.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pybigtools

from biosae.activations import ActivationStore
from biosae.artefacts import atomic_path
from biosae.cli import progress
from biosae.encoding import BLOCK_ROWS, Encoder
from biosae.errors import BiosaeError, InputError
from biosae.geometry import Layer

_log = logging.getLogger(__name__)

_RECORD = np.dtype([("chrom", np.int32), ("start", np.int32), ("value", np.float32)])
_AT_ONCE = 2**16  # records that are read back at a time


@dataclass(frozen=True)
class Stretch:
    """Positions [first, end) of a sequence that are drawn."""

    sequence: int
    first: int
    end: int


def stretches(intervals: pd.DataFrame, positions: int, stride_bp: int, chroms: list[str]) -> list[Stretch]:
    """What is drawn of each sequence, in the order of the genome; no two share a base.

    Args:
        intervals: chrom, start of each sequence, in the store's order.
        positions: of a sequence.
        chroms: the genome's chromosomes, in their order.
    """
    width = positions * stride_bp
    order = intervals["chrom"].map({name: number for number, name in enumerate(chroms)})
    table = pd.DataFrame({"chrom": order, "start": intervals["start"]})
    # all sequences are as long: in this order none lies inside an earlier one, but where it is the same
    table = table.sort_values(["chrom", "start"], kind="stable")
    found: list[Stretch] = []
    last_chrom, last_start, inside = None, 0, 0
    for sequence, chrom, start in table.itertuples():
        first = 0
        if chrom == last_chrom and start < last_start + width:
            if start == last_start:
                inside += 1
                continue
            middle = (start + last_start + width) // 2
            first = -(-(middle - start) // stride_bp)
            border = start + first * stride_bp
            before = found[-1]
            kept = min(before.end, (border - last_start) // stride_bp)
            found[-1] = Stretch(before.sequence, before.first, max(before.first, kept))
        found.append(Stretch(int(sequence), first, positions))
        last_chrom, last_start = chrom, int(start)
    if inside:
        _log.warning("%d of %d sequences are the same stretch as another, and left out", inside, len(table))
    return found


def write_node_tracks(
    model: Encoder, store: ActivationStore, layer: Layer, lengths: dict[str, int], files: dict[int, Path]
) -> pd.DataFrame:
    """Write one bigWig for each node.

    Args:
        model: the dictionary.
        store: what it is run over; forward strands.
        layer: geometry of a position.
        lengths: bases a chromosome.
        files: node -> path of its bigWig.

    Returns:
        DataFrame of node, n_positions (drawn), max_activation, dropped_off_chromosome (beyond an end).

    Raises:
        InputError: rows of reverse strands, a chromosome that the genome lacks, or a node that never fires.
        BiosaeError: a file does not read back.
    """
    _check(store, lengths)
    lengths = dict(sorted(lengths.items()))  # the order of a bigWig's index
    drawn = stretches(store.intervals, store.positions, layer.stride_bp, list(lengths))
    folder = next(iter(files.values())).parent
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".tracks.", suffix=".tmp", dir=folder) as name:
        spools = {node: Path(name) / f"{node}.bin" for node in files}
        dropped = _spool(model, store, layer, lengths, drawn, spools)
        rows = []
        for node, path in progress(files.items(), what="bigWig", unit="node"):
            told = _write_bigwig(path, spools[node], lengths, layer.stride_bp)
            rows.append((node, *told, dropped[node]))
    return pd.DataFrame(rows, columns=["node", "n_positions", "max_activation", "dropped_off_chromosome"])


def _check(store: ActivationStore, lengths: dict[str, int]) -> None:
    reverse = int((store.intervals["strand"] == "-").sum())
    unknown = sorted(set(store.intervals["chrom"]) - set(lengths))
    if reverse or unknown:
        raise InputError(
            "The store cannot be drawn along this genome",
            where=store.folder,
            got=f"{reverse} sequences of strand -; chromosomes that the genome lacks: {unknown[:5]}",
            expected="forward strands, and the genome that the activations were computed on",
        )


def _spool(
    model: Encoder,
    store: ActivationStore,
    layer: Layer,
    lengths: dict[str, int],
    drawn: list[Stretch],
    spools: dict[int, Path],
) -> dict[int, int]:
    """Write each node's records to a file of its own, in the order of the genome; counts what lies off it."""
    number = {name: index for index, name in enumerate(lengths)}
    of_node = np.full(model.n_nodes, -1, np.int64)
    of_node[list(spools)] = np.arange(len(spools))
    dropped = np.zeros(len(spools), np.int64)
    middle = (layer.right_bp - layer.left_bp - layer.stride_bp) // 2
    with ExitStack() as stack:
        handles = [stack.enter_context(path.open("wb")) for path in spools.values()]
        total = sum(one.end - one.first for one in drawn)
        bar = stack.enter_context(progress(what="encode", total=total, unit="row"))
        for one in drawn:
            interval = store.intervals.iloc[one.sequence]
            origin, chrom = one.sequence * store.positions, interval["chrom"]
            for row, block in store.slabs(BLOCK_ROWS, (origin + one.first, origin + one.end)):
                first_bp = int(interval["start"]) + layer.stride_bp * (row - origin) + middle
                place, start, value = _firings(model, block, of_node, first_bp, layer.stride_bp)
                inside = (start >= 0) & (start + layer.stride_bp <= lengths[chrom])
                dropped += np.bincount(place[~inside], minlength=len(spools))
                records = np.empty(int(inside.sum()), _RECORD)
                records["chrom"], records["start"], records["value"] = (
                    number[chrom],
                    start[inside],
                    value[inside],
                )
                borders = np.searchsorted(place[inside], np.arange(len(spools) + 1))
                for handle, low, high in zip(handles, borders, borders[1:], strict=False):
                    records[low:high].tofile(handle)
                bar.update(len(block))
    return dict(zip(spools, dropped.tolist(), strict=True))


def _firings(
    model: Encoder, block: np.ndarray, of_node: np.ndarray, first_bp: int, stride_bp: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which chosen node fires at which base, and how much: (m,) each, sorted by node, then base."""
    codes = model.encode_block(block)
    place, row = of_node[np.asarray(codes.nodes)], np.asarray(codes.rows, np.int64)
    value = np.asarray(codes.values, np.float32)
    kept = np.flatnonzero((place >= 0) & (value > 0))
    kept = kept[np.lexsort((row[kept], place[kept]))]
    return place[kept], first_bp + stride_bp * row[kept], value[kept]


def _write_bigwig(path: Path, spool: Path, lengths: dict[str, int], stride_bp: int) -> tuple[int, float]:
    """Number of positions and largest value of a file that was written, atomically, and read back."""
    records = np.memmap(spool, _RECORD, "r") if spool.stat().st_size else np.empty(0, _RECORD)
    if not len(records):
        raise InputError(
            "A chosen node fires nowhere in the store",
            where=path,
            mend="take it out of tracks.nodes, or draw the store that nodes are read from",
        )
    with atomic_path(path) as temporary:
        named = temporary.with_suffix(".bw")  # by which pybigtools tells a bigWig from a bigBed
        try:
            pybigtools.open(str(named), "w").write(lengths, _values(records, list(lengths), stride_bp))
            _check_whole(named, len(records), stride_bp, path)
            os.replace(named, temporary)
        finally:
            named.unlink(missing_ok=True)
    return len(records), float(records["value"].max())


def _values(records: np.ndarray, chroms: list[str], stride_bp: int) -> Iterator[tuple[str, int, int, float]]:
    for low in range(0, len(records), _AT_ONCE):
        part = records[low : low + _AT_ONCE]
        for chrom, start, value in part.tolist():
            yield chroms[chrom], start, start + stride_bp, value


def _check_whole(written: Path, n_records: int, stride_bp: int, path: Path) -> None:
    """pybigtools states no error when a disk is full: look whether every base is there."""
    try:
        covered = pybigtools.open(str(written)).info()["summary"]["basesCovered"]
    except (OSError, ValueError, KeyError, pybigtools.BBIReadError) as error:
        raise BiosaeError("A bigWig file was not written whole", got=error, where=path) from error
    if covered != n_records * stride_bp:
        raise BiosaeError(
            "A bigWig file was not written whole",
            got=f"{covered} bases",
            expected=n_records * stride_bp,
            where=path,
        )
