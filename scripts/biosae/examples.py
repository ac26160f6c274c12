"""The file of examples: what a reader of the atlas is shown of each kept node, window by window.

``examples.h5`` (the format stands in docs/atlas_format.md): of each node its strongest seqlets, examples of
three lower bands of activation, positions drawn evenly from those where it is active, and near misses, each
with its letters, its activation at each base and the best place of the node's best motif.

Floor: the bytes of the file. Memory: WRITE_ROWS windows while they are written.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np

from biosae.artefacts import atomic_path
from biosae.errors import ConfigError
from biosae.store_files import new_hdf5

BANDS = ("top", "band 1", "band 2", "band 3", "random positive", "near miss")
BAND_TEXT = (
    "the strongest seqlets",
    "activation above 50 % and up to 75 % of the node's highest, drawn evenly from the sample of the stream",
    "activation above 25 % and up to 50 % of the node's highest, drawn evenly from the sample",
    "activation above 0 and up to 25 % of the node's highest, drawn evenly from the sample",
    "positions of the sample where the node is active, drawn evenly, whatever the activation",
    "the strongest hits of the node's best motif in the sample on which the node does not fire: no position "
    "whose window holds the hit is one of its strongest, of which it has as many as positions hold a hit",
)
NO_MOTIF = 255  # has_motif of a node without a motif
MAX_WINDOW_BP = 2**15 - 1  # motif_at is an int16; and nobody looks at wider windows base by base
MAX_CHROMS = 2**16  # chrom is an uint16
WRITE_ROWS = 2**14
_CHUNK_ROWS = 1024  # of an HDF5 chunk; a node has some 200
Windows = Callable[[int, int], tuple[np.ndarray, np.ndarray]]
_PACKED = {"compression": "gzip", "compression_opts": 4, "shuffle": True}


@dataclass(frozen=True)
class Settings:
    """How many examples of which kind, and what a hit is.

    Args:
        top_examples: strongest seqlets of a node.
        band_examples: examples of a node and any other band.
        sample_positions, hit_p, site_share, strand: as specificity.tsv was measured.
    """

    top_examples: int = 100
    band_examples: int = 20
    sample_positions: int = 200_000
    hit_p: float = 1e-4
    site_share: float = 0.9
    strand: str = "given"

    def __post_init__(self) -> None:
        if self.top_examples < 1 or self.band_examples < 0:
            raise ConfigError(
                "Examples cannot be collected with these settings",
                got={"top_examples": self.top_examples, "band_examples": self.band_examples},
                expected="top_examples of 1 or more, band_examples of 0 or more",
            )


@dataclass
class Examples:
    """All examples of a run, ordered by node, band and, as the file says, strength.

    Attributes:
        node, rank: of the kept nodes, by rank, (N,).
        edges: examples of node r are rows edges[r]:edges[r + 1], int64 (N + 1,).
        columns: band, chrom (number in ``chroms``), start, peak, motif_at, motif_strand, motif_score and
            has_motif, each (n,).
        motif_best_score: best possible score of each node's motif, int32 (N,), 0 without one.
        chroms: names.
        window_bp, stride_bp: of a window, of a position.
        counts: what was left out.
        reason: why there is no example; None where there may be.
    """

    node: np.ndarray
    rank: np.ndarray
    edges: np.ndarray
    columns: dict[str, np.ndarray]
    motif_best_score: np.ndarray
    chroms: list[str]
    window_bp: int
    stride_bp: int
    counts: dict[str, int] = field(default_factory=dict)
    reason: str | None = None

    @property
    def n(self) -> int:
        """Number of examples."""
        return int(self.edges[-1])


COLUMN_TYPES = {
    "band": np.uint8,
    "chrom": np.uint16,
    "start": np.int32,
    "peak": np.float32,
    "motif_at": np.int16,
    "motif_strand": np.uint8,
    "motif_score": np.int32,
    "has_motif": np.uint8,
}


def no_examples(node: np.ndarray, rank: np.ndarray, window_bp: int, stride_bp: int, reason: str) -> Examples:
    """The examples of a run of which there can be none."""
    columns = {name: np.zeros(0, kind) for name, kind in COLUMN_TYPES.items()}
    edges, best = np.zeros(len(node) + 1, np.int64), np.zeros(len(node), np.int32)
    return Examples(node, rank, edges, columns, best, [], window_bp, stride_bp, reason=reason)


def write_examples(path: str | Path, examples: Examples, windows: Windows | None, made_by: dict) -> None:
    """Write ``examples.h5``, atomically; the same examples give the same bytes.

    Args:
        windows: from rows [low, high) to their letters, uint8 (high - low, window_bp), and the activation of
            each base, float32 of the same shape; None where there is no example.

    Raises:
        InputError: the disk is full.
    """
    with atomic_path(path) as temporary, new_hdf5(temporary, path) as file:
        file.attrs["window_bp"], file.attrs["stride_bp"] = examples.window_bp, examples.stride_bp
        file.attrs["bands"], file.attrs["band_text"] = list(BANDS), list(BAND_TEXT)
        file.attrs["counts"] = json.dumps(examples.counts, sort_keys=True)
        file.attrs["provenance"] = json.dumps(made_by, sort_keys=True)
        if examples.reason is not None:
            file.attrs["reason"] = examples.reason
        file["node"], file["rank"] = examples.node.astype(np.int32), examples.rank.astype(np.int32)
        file["edges"], file["motif_best_score"] = examples.edges, examples.motif_best_score
        file.create_dataset("chroms", data=examples.chroms, dtype=h5py.string_dtype())
        for name, kind in COLUMN_TYPES.items():
            _dataset(file, name, (examples.n,), kind)[...] = examples.columns[name]
        shape = examples.n, examples.window_bp
        letters = _dataset(file, "sequence", shape, np.uint8)
        activation = _dataset(file, "activation", shape, np.float32)
        for low in range(0, examples.n, WRITE_ROWS):
            high = min(low + WRITE_ROWS, examples.n)
            letters[low:high], activation[low:high] = windows(low, high)


def _dataset(file: h5py.File, name: str, shape: tuple[int, ...], kind: type) -> h5py.Dataset:
    if shape[0] == 0:  # nothing to cut into chunks
        return file.create_dataset(name, shape, kind)
    rows = _CHUNK_ROWS if len(shape) == 2 else WRITE_ROWS
    chunks = (min(shape[0], rows), *shape[1:])
    return file.create_dataset(name, shape, kind, chunks=chunks, **_PACKED)
