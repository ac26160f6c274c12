"""Examples of nodes, from examples.h5 to their part of a shard: 2 bits a base, one byte an activation.

Of a node whose examples do not all fit, each band keeps the same share: of ``top`` and ``near miss`` the
first, which are the strongest, of the others examples spread evenly over the band.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from biosae.atlas.payload import Arrays
from biosae.errors import ContractError, InputError

_OF_ROWS = ("band", "chrom", "start", "peak", "sequence", "activation")
_OF_MOTIF = ("motif_at", "motif_strand", "motif_score")
_OF_NODES = ("node", "rank", "motif_best_score")
NO_MOTIF = 255
_OTHER = 4  # code of a base that is none of A, C, G, T
_NO_PLACE = -(2**15)


@dataclass
class Examples:
    """An open examples.h5.

    Attributes:
        window_bp, stride_bp: of the windows and of the layer.
        bands, band_text: names of the bands, and what each means.
        chroms: names by number.
        reason: why there is none, where there is none.
        dropped: counts that the file states.
        edges: (n_nodes + 1,) rows of each node.
        band: (n,) band of each example.
        carriers: (n_nodes, 2) examples of the first band with the best motif, of how many; -1 without one.
        kept: rows that are shown, ascending.
    """

    handle: h5py.File
    window_bp: int
    stride_bp: int
    bands: list[str]
    band_text: list[str]
    chroms: list[str]
    reason: str | None
    dropped: dict[str, int]
    edges: np.ndarray
    band: np.ndarray
    carriers: np.ndarray
    kept: np.ndarray

    def __enter__(self) -> Examples:
        return self

    def __exit__(self, *_: object) -> None:
        self.handle.close()

    def keep(self, share: float) -> None:
        """Show this share of each band of each node, rounded up."""
        self.kept = thinned(self.band, self.edges, share, self._is_ordered())

    def _is_ordered(self) -> np.ndarray:
        """Bands whose first examples say more than its others, (n_bands,) bool."""
        return np.isin(self.bands, ("top", "near miss"))

    def rows(self, first: int, last: int) -> dict[str, np.ndarray]:
        """The examples of the nodes [first, last) that are shown, by dataset, and their node (from 0)."""
        low, high = int(self.edges[first]), int(self.edges[last])
        chosen = self.kept[slice(*np.searchsorted(self.kept, [low, high]))]
        found = {name: self.handle[name][low:high][chosen - low] for name in (*_OF_ROWS, *_OF_MOTIF)}
        found["of"] = np.searchsorted(self.edges, chosen, side="right") - 1 - first
        found["motif_best_score"] = self.handle["motif_best_score"][first:last]
        return found

    def top_windows(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Chromosome, start and node row of the shown examples of the first band."""
        chosen = self.kept[self.band[self.kept] == 0]
        row = np.searchsorted(self.edges, chosen, side="right") - 1
        if not len(chosen):
            return (np.zeros(0, np.int64),) * 3
        return self.handle["chrom"][:][chosen], self.handle["start"][:][chosen], row


def thinned(band: np.ndarray, edges: np.ndarray, share: float, ordered: np.ndarray) -> np.ndarray:
    """Rows to keep, ascending.

    Args:
        band: (n,) band of each row; rows of a node are together, and of a band within it.
        edges: (n_nodes + 1,) first row of each node.
        share: of each band of each node, rounded up; 1 keeps all.
        ordered: (n_bands,) whether the first rows of a band are kept, or rows spread evenly over it.
    """
    if share >= 1 or not len(band):
        return np.arange(len(band))
    node = np.searchsorted(edges, np.arange(len(band)), side="right") - 1
    group = node.astype(np.int64) * 256 + band
    firsts = np.flatnonzero(np.diff(group, prepend=-1))
    sizes = np.diff(np.append(firsts, len(group)))
    within = np.arange(len(group)) - np.repeat(firsts, sizes)
    size = np.repeat(sizes, sizes)
    wanted = np.ceil(size * share).astype(np.int64)
    spread = within * wanted // size > (within - 1) * wanted // size  # one of each stretch of equal length
    return np.flatnonzero(np.where(ordered[band], within < wanted, spread))


def open_examples(path: Path, nodes: np.ndarray) -> Examples:
    """Open examples.h5 and hold it against the kept nodes, by rank.

    Raises:
        InputError: it cannot be read.
        ContractError: it lacks a dataset, or holds other nodes.
    """
    try:
        handle = h5py.File(path, "r")
    except OSError as error:
        raise InputError(
            "Cannot read the examples", got=error, where=path, mend="re-run collect_examples"
        ) from error
    expected = [*_OF_NODES, *_OF_ROWS, *_OF_MOTIF, "has_motif", "edges", "chroms"]
    missing = [name for name in expected if name not in handle]
    if missing or not {"window_bp", "stride_bp", "bands", "band_text", "counts"} <= set(handle.attrs):
        raise ContractError(
            "The file of examples is incomplete", got=sorted(handle), expected=expected, where=path
        )
    held = handle["node"][:]
    if not np.array_equal(held, nodes):
        raise ContractError(
            "The examples are of other nodes than nodes.tsv",
            got=f"{len(held)} nodes, first {held[:3].tolist()}",
            expected=f"{len(nodes)} nodes, first {list(nodes[:3])}",
            where=path,
            mend="re-run collect_examples",
        )
    return _examples(handle)


def _examples(handle: h5py.File) -> Examples:
    attrs, edges, band = handle.attrs, handle["edges"][:], handle["band"][:]
    return Examples(
        handle,
        int(attrs["window_bp"]),
        int(attrs["stride_bp"]),
        *([_text(item) for item in attrs[name]] for name in ("bands", "band_text")),
        [_text(item) for item in handle["chroms"][:]],
        _text(attrs["reason"]) if "reason" in attrs else None,
        json.loads(attrs["counts"]),
        edges,
        band,
        _carriers(edges, band, handle["has_motif"][:]),
        np.arange(len(band)),
    )


def _carriers(edges: np.ndarray, band: np.ndarray, has_motif: np.ndarray) -> np.ndarray:
    """``Examples.carriers``."""
    top = np.flatnonzero(band == 0)
    node = np.searchsorted(edges, top, side="right") - 1
    count = np.bincount(node, minlength=len(edges) - 1)
    carry = np.bincount(node[has_motif[top] == 1], minlength=len(edges) - 1)
    carry[node[has_motif[top] == NO_MOTIF]] = -1
    carry[count == 0] = -1
    return np.stack([carry, count], axis=1)


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def example_payload(found: dict[str, np.ndarray], node: int, arrays: Arrays) -> dict:
    """One node's ``examples`` of a shard.

    Args:
        found: what ``Examples.rows`` gave.
        node: which of its nodes.
    """
    low, high = np.searchsorted(found["of"], [node, node + 1])
    own = {name: found[name][low:high] for name in (*_OF_ROWS, *_OF_MOTIF)}
    activation = own["activation"].astype(np.float32)
    scale = float(activation.max(initial=0.0))
    levels = np.rint(activation / scale * 255) if scale else np.zeros(activation.shape)
    other = own["sequence"] == _OTHER
    best = int(found["motif_best_score"][node])
    fits = own["motif_at"] != _NO_PLACE
    share = np.where(fits & (best > 0), own["motif_score"] / max(best, 1), np.nan)
    return {
        "n": int(high - low),
        "scale": scale,
        "band": arrays.add(own["band"], "u1", "band"),
        "chrom": arrays.add(own["chrom"], "u2", "chrom"),
        "start": arrays.add(own["start"], "i4", "start"),
        "peak": arrays.add(fewer_bits(own["peak"]), "f4", "peak"),
        "sequence": arrays.add(two_bits(own["sequence"]), "u1", "sequence"),
        "other": arrays.add(np.packbits(other, axis=1, bitorder="little"), "u1", "other")
        if other.any()
        else None,
        "activation": arrays.add(levels.T, "u1", "activation"),
        "motif_at": arrays.add(own["motif_at"], "i2", "motif_at"),
        "motif_strand": arrays.add(own["motif_strand"], "u1", "motif_strand"),
        "motif_score_share": arrays.add(fewer_bits(share), "f4", "motif_score_share"),
    }


def fewer_bits(values: np.ndarray) -> np.ndarray:
    """float32 rounded to 12 significant bits, 0.025 % of the value; the other bits compress to nothing."""
    bits = values.astype(np.float32).view(np.uint32)
    return ((bits + 0x800) & 0xFFFFF000).astype(np.uint32).view(np.float32)


def two_bits(codes: np.ndarray) -> np.ndarray:
    """(n, width) codes as (n, ceil(width / 4)) bytes, the first base in the lowest bits; 4 reads as 0."""
    width = codes.shape[1]
    padded = np.zeros((len(codes), width + -width % 4), np.uint8)
    padded[:, :width] = np.where(codes == _OTHER, 0, codes)
    groups = padded.reshape(len(codes), padded.shape[1] // 4, 4)
    return (groups << np.array([0, 2, 4, 6], np.uint8)).sum(axis=2).astype(np.uint8)
