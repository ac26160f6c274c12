"""Tiny activation stores for tests, in both layouts; a fake model and a slow reference for encoding."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np

from biosae.store_types import bfloat16_type


def write_files(
    folder: Path, arrays: list[np.ndarray], first_number: int = 0, dataset: str = "x", **options
) -> None:
    """Write ``activations_<i>.h5``, one per array (n_sequences, positions, channels), in the array's type.

    Arrays of uint16 are the bits of bfloat16.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for number, array in enumerate(arrays, start=first_number):
        with h5py.File(folder / f"activations_{number}.h5", "w") as handle:
            if array.dtype != np.uint16:
                handle.create_dataset(dataset, data=array, **options)
                continue
            stored = h5py.Datatype(bfloat16_type())
            made = handle.create_dataset(dataset, array.shape, stored, **options)
            made.id.write(h5py.h5s.ALL, h5py.h5s.ALL, np.ascontiguousarray(array), mtype=bfloat16_type())


def bfloat16_bits(array: np.ndarray) -> np.ndarray:
    """The bits (uint16) of float32 numbers cut to bfloat16."""
    return (array.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)


def as_float32(array: np.ndarray) -> np.ndarray:
    """Numbers as they are stored (uint16: bits of bfloat16) in float32, by the obvious way."""
    if array.dtype == np.uint16:
        return (array.astype(np.uint32) << 16).view(np.float32)
    return array.astype(np.float32)


def rows_of(arrays: list[np.ndarray]) -> np.ndarray:
    """The stream that a store of ``arrays`` must give, by the obvious way."""
    return np.concatenate([as_float32(array).reshape(-1, array.shape[2]) for array in arrays])


def default_intervals(
    arrays: list[np.ndarray], stride_bp: int = 4, pad_bp: int = 0
) -> list[tuple[str, int, int]]:
    """One core interval a sequence on ``chr1``, so that core and padding span positions x stride_bp."""
    n_sequences, positions = sum(len(array) for array in arrays), arrays[0].shape[1]
    width_bp = positions * stride_bp - 2 * pad_bp
    starts = [1000 + pad_bp + 2 * positions * stride_bp * i for i in range(n_sequences)]
    return [("chr1", start, start + width_bp) for start in starts]


def _file_rows(arrays: list[np.ndarray], first_number: int) -> list[tuple[int, int]]:
    return [
        (number, row) for number, array in enumerate(arrays, start=first_number) for row in range(len(array))
    ]


def write_published_store(
    folder: Path,
    arrays: list[np.ndarray],
    intervals: list[tuple[str, int, int]] | None = None,
    pad_bp: int = 0,
    stride_bp: int = 4,
    first_number: int = 0,
    table_name: str = "train_seqs.bed",
    **options,
) -> Path:
    """Write a store in the published layout; ``intervals`` are the cores, one a sequence, in file order."""
    write_files(folder, arrays, first_number, **options)
    intervals = intervals or default_intervals(arrays, stride_bp, pad_bp)
    lines = ["0\t1\t2\t3\tchunk_ind\tinner_ind"]
    for (chrom, start, end), (number, row) in zip(intervals, _file_rows(arrays, first_number), strict=True):
        lines.append(f"{chrom}\t{start}\t{end}\tfold0\t{number}\t{row}")
    (folder / table_name).write_text("\n".join(lines) + "\n")
    return folder


def write_store(
    folder: Path,
    arrays: list[np.ndarray],
    intervals: list[tuple[str, int, int]] | None = None,
    stride_bp: int = 4,
    first_number: int = 0,
    **options,
) -> Path:
    """Write a store in our layout; ``intervals`` span all positions, one a sequence, in file order."""
    write_files(folder, arrays, first_number, **options)
    intervals = intervals or default_intervals(arrays, stride_bp)
    lines = ["chrom\tstart\tend\tfile\trow"]
    for (chrom, start, end), (number, row) in zip(intervals, _file_rows(arrays, first_number), strict=True):
        lines.append(f"{chrom}\t{start}\t{end}\t{number}\t{row}")
    (folder / "intervals.tsv").write_text("\n".join(lines) + "\n")
    return folder


def random_arrays(
    sizes: list[int], positions: int = 50, channels: int = 6, seed: int = 0, dtype: type = np.float32
) -> list[np.ndarray]:
    """Standard normal activations, one array per number of sequences in ``sizes``; np.uint16: bfloat16."""
    rng = np.random.default_rng(seed)
    arrays = [rng.standard_normal((n, positions, channels)) for n in sizes]
    return [bfloat16_bits(array) if dtype is np.uint16 else array.astype(dtype) for array in arrays]


class Codes(NamedTuple):
    rows: np.ndarray
    nodes: np.ndarray
    values: np.ndarray


class RectifiedChannels:
    """A model whose nodes are the positive parts of chosen channels; keeps the block sizes it saw."""

    def __init__(self, channels: int, nodes: list[int], shuffle: bool = False) -> None:
        self.channels, self.n_nodes, self.nodes, self.shuffle = channels, len(nodes), nodes, shuffle
        self.blocks: list[int] = []

    def encode_block(self, x: np.ndarray) -> Codes:
        self.blocks.append(len(x))
        dense = np.maximum(x[:, self.nodes], 0)
        rows, nodes = np.nonzero(dense)
        if self.shuffle:  # codes may come in any order
            order = np.random.default_rng(len(self.blocks)).permutation(len(rows))
            rows, nodes = rows[order], nodes[order]
        return Codes(rows, nodes, dense[rows, nodes])


def slow_top(arrays: list[np.ndarray], nodes: list[int], top: int, parts: int) -> list[tuple]:
    """What must be kept, by plain loops over everything, densely."""
    sequences = [sequence.astype(np.float32) for array in arrays for sequence in array]
    kept = []
    for node, channel in enumerate(nodes):
        found = []
        for number, sequence in enumerate(sequences):
            positions = len(sequence)
            for part in range(parts):
                low, high = positions * part // parts, positions * (part + 1) // parts
                values = [(-float(sequence[p, channel]), number, p) for p in range(low, high)]
                found += sorted(value for value in values if value[0] < 0)[:top]
        found.sort()
        kept += [(node, rank, -v, s, p) for rank, (v, s, p) in enumerate(found, start=1)]
    return kept
