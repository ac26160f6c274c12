"""The strongest seqlets of each kept node, and which position of which sequence of the store each is.

Which windows are seqlets says ``seqlets.bed.gz``; where they lie in the store, and their exact activation,
says ``top_activations.parquet``. A window that two sequences of the store hold is the position that is
stronger, as write_seqlets took it.

Floor: both files are read once, a piece at a time. Memory: one piece of each, and the seqlets that are shown.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from biosae.activations import ActivationStore
from biosae.artefacts import read_table
from biosae.cli import progress
from biosae.errors import ContractError, InputError
from biosae.geometry import Layer
from biosae.motifs.formats import node_name
from biosae.top_activations import read_notes

# what is known of an example before its window is looked at; ``kept`` is the place among the kept nodes
PLACE = np.dtype(
    [
        ("kept", np.int32),
        ("band", np.uint8),
        ("sequence", np.int32),
        ("position", np.int32),
        ("peak", np.float32),
    ]
)
_BED = {0: "chrom", 1: "start", 2: "end", 3: "name", 7: "seqlet_rank"}
_BED_LINES = 2**20  # read at once
_COLUMNS = ["node", "file", "row", "position", "activation"]


@dataclass(frozen=True)
class TopSeqlets:
    """The strongest seqlets of the kept nodes.

    Attributes:
        table: kept, seqlet_rank, chrom, start; by kept, then seqlet_rank.
        window_bp: width of all seqlets of the run; None where there is none.
    """

    table: pd.DataFrame
    window_bp: int | None


def read_top_seqlets(run: Path, nodes: pd.DataFrame, most: int) -> TopSeqlets:
    """The ``most`` strongest seqlets of each node.

    Args:
        run: run folder, with ``seqlets/seqlets.bed.gz`` and ``seqlets/manifest.tsv``.
        nodes: rank and node of the kept nodes, by rank.

    Raises:
        InputError: the BED cannot be read to its end, or holds windows of several widths.
        ContractError: it is of other nodes, or lacks seqlets that the manifest counts.
    """
    path = run / "seqlets" / "seqlets.bed.gz"
    names = pd.Index([node_name(*pair) for pair in zip(nodes["rank"], nodes["node"], strict=True)])
    pieces, widths = [], set()
    for piece in _bed_pieces(path):
        widths |= set((piece["end"] - piece["start"]).unique().tolist())
        piece = piece[piece["seqlet_rank"] <= most]
        kept = names.get_indexer(piece["name"])
        if (kept < 0).any():
            raise _other_run(
                "The seqlets are of other nodes than were selected", piece["name"][kept < 0], path
            )
        pieces.append(piece[["chrom", "start", "seqlet_rank"]].assign(kept=kept))
    if len(widths) > 1:
        raise InputError("The seqlets of a run differ in width", got=f"{sorted(widths)[:5]} bp", where=path)
    table = pd.concat(pieces, ignore_index=True).sort_values(["kept", "seqlet_rank"], ignore_index=True)
    manifest = read_table(run / "seqlets" / "manifest.tsv", "seqlet_manifest").set_index("node")
    if set(manifest.index) != set(nodes["node"]):
        raise _other_run("The manifest is of other nodes than were selected", manifest.index, run / "seqlets")
    expected = manifest["n_seqlets"].clip(upper=most).reindex(nodes["node"]).to_numpy(np.int64)
    found = np.bincount(table["kept"].to_numpy(np.int64), minlength=len(nodes))
    if (found != expected).any():
        at_fault = names[found != expected]
        raise _other_run("seqlets.bed.gz lacks seqlets that the manifest counts", at_fault, path)
    return TopSeqlets(table, next(iter(widths), None))


def _other_run(problem: str, names: pd.Series | pd.Index, path: Path) -> ContractError:
    return ContractError(problem, got=names[:5].tolist(), where=path, mend="re-run write_seqlets")


def _bed_pieces(path: Path) -> Iterator[pd.DataFrame]:
    """The BED, ``_BED_LINES`` rows at a time; one empty table of an empty file."""
    empty = pd.DataFrame({"chrom": [""], "start": [0], "end": [0], "name": [""], "seqlet_rank": [0]})[:0]
    kinds = {"chrom": str, "name": str, "start": "int64", "end": "int64", "seqlet_rank": "int64"}
    options = {"header": None, "usecols": list(_BED), "names": list(_BED.values()), "dtype": kinds}
    yield empty
    try:
        with pd.read_csv(path, sep="\t", chunksize=_BED_LINES, keep_default_na=False, **options) as pieces:
            yield from pieces
    except pd.errors.EmptyDataError:
        return
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise InputError(
            "Cannot read the seqlets of the run", got=error, where=path, mend="re-run write_seqlets"
        ) from error


def locate_seqlets(
    path: Path, seqlets: TopSeqlets, nodes: np.ndarray, store: ActivationStore, layer: Layer
) -> np.ndarray:
    """Position in the store and activation of each seqlet, ``PLACE`` (n,), row by row of ``seqlets.table``.

    Args:
        path: ``top_activations.parquet``.
        nodes: numbers of the kept nodes, (n_nodes,).
        store: the store that was encoded.

    Raises:
        InputError: the file cannot be read, or was made from another store.
        ContractError: a seqlet is no top activation of its node.
    """
    table, window = seqlets.table, seqlets.window_bp or layer.window_bp
    found = np.zeros(len(table), PLACE)
    found["kept"], found["position"] = table["kept"], -1
    keys = _Keys(store.intervals, layer, window)
    wanted = keys.of(table["kept"].to_numpy(np.int64), keys.code(table["chrom"]), table["start"].to_numpy())
    order = np.argsort(wanted)
    for piece in _top_pieces(path, nodes) if len(table) else ():
        sequence = _sequences(piece["file"], piece["row"], store)
        key = keys.of_positions(piece["kept"], sequence, piece["position"])
        at = order[np.minimum(np.searchsorted(wanted, key, sorter=order), len(order) - 1)]
        hit = np.flatnonzero(wanted[at] == key)
        # rows come by node and falling activation: the first row of a window is the strongest
        seqlet, first = np.unique(at[hit], return_index=True)
        fresh = found["position"][seqlet] < 0
        seqlet, row = seqlet[fresh], hit[first[fresh]]
        found["sequence"][seqlet], found["position"][seqlet] = sequence[row], piece["position"][row]
        found["peak"][seqlet] = piece["activation"][row]
    if (lost := found["position"] < 0).any():
        raise ContractError(
            f"{int(lost.sum())} of {len(found)} seqlets are no top activations of their nodes",
            got=table.loc[lost, ["chrom", "start"]].iloc[0].tolist(),
            where=path,
            mend="re-run write_seqlets: seqlets and top activations are of different runs",
        )
    return found


class _Keys:
    """One whole number for a window of a node: the same for the same node, chromosome and start."""

    def __init__(self, intervals: pd.DataFrame, layer: Layer, window_bp: int) -> None:
        self._chrom, self._names = pd.factorize(intervals["chrom"])
        # windows reach this far beyond a sequence at most
        margin = window_bp + layer.stride_bp + abs(layer.left_bp) + abs(layer.right_bp)
        by_chrom = intervals.groupby(self._chrom)
        low, high = by_chrom["start"].min().to_numpy() - margin, by_chrom["end"].max().to_numpy() + margin
        first = np.cumsum(high - low) - (high - low)
        self._shift, self._total = first - low, int((high - low).sum())
        self._start, self._layer = intervals["start"].to_numpy(np.int64), layer
        self._width = None if window_bp == layer.window_bp else window_bp

    def code(self, chrom: pd.Series) -> np.ndarray:
        """Number of each chromosome.

        Raises:
            ContractError: the store has no such chromosome.
        """
        code = pd.Index(self._names).get_indexer(chrom)
        if (code < 0).any():
            raise ContractError(
                "Seqlets lie on a chromosome that the store has not",
                got=chrom[code < 0].iloc[0],
                mend="give the store that the run was encoded from",
            )
        return code

    def of(self, kept: np.ndarray, chrom: np.ndarray, start: np.ndarray) -> np.ndarray:
        """Keys of windows, int64 (n,)."""
        return kept.astype(np.int64) * self._total + self._shift[chrom] + start

    def of_positions(self, kept: np.ndarray, sequence: np.ndarray, position: np.ndarray) -> np.ndarray:
        """Keys of the windows of positions, int64 (n,)."""
        start = self._layer.window(self._start[sequence], position, self._width)[0]
        return self.of(kept, self._chrom[sequence], start)


def _top_pieces(path: Path, nodes: np.ndarray) -> Iterator[dict[str, np.ndarray]]:
    """``_COLUMNS`` of the kept nodes' rows, with their place ``kept``, a row group at a time."""
    order = np.argsort(nodes)
    try:
        with pq.ParquetFile(path) as file:
            for group in progress(range(file.num_row_groups), what="top activations", unit="group"):
                table = file.read_row_group(group, columns=_COLUMNS)
                piece = {name: table[name].to_numpy() for name in _COLUMNS}
                at = np.searchsorted(nodes, piece["node"], sorter=order)
                place = order[np.minimum(at, len(order) - 1)]
                own = nodes[place] == piece["node"]
                yield {name: column[own] for name, column in {**piece, "kept": place}.items()}
    except (OSError, pa.ArrowException, KeyError) as error:
        raise InputError(
            "Cannot read the top activations", got=error, where=path, mend="re-run encode_activations"
        ) from error


def check_store(path: Path, store: ActivationStore) -> None:
    """Refuse top activations (``path``) that were encoded from another store: InputError."""
    notes = read_notes(path)
    columns = ["chrom", "start", "end", "core_start", "core_end"]
    intervals = store.intervals[columns].to_numpy(object).tolist()
    if notes.get("positions") != store.positions or notes.get("intervals") != intervals:
        raise InputError(
            "The top activations are of another store",
            got=f"{store.n_sequences} sequences of {store.positions} positions in {store.folder}",
            expected=f"{notes.get('sequences')} of {notes.get('positions')} positions, at the same places",
            where=path,
            mend="give the store that the run was encoded from, or re-run encode_activations",
        )


def _sequences(file: np.ndarray, row: np.ndarray, store: ActivationStore) -> np.ndarray:
    """Sequence of each file number and row: the store's sequences are ordered by both."""
    intervals = store.intervals
    known = (intervals["file"].to_numpy(np.int64) << 32) + intervals["row"].to_numpy(np.int64)
    sequence = np.searchsorted(known, (file.astype(np.int64) << 32) + row)
    if (
        len(sequence)
        and (known[np.minimum(sequence, len(known) - 1)] != (file.astype(np.int64) << 32) + row).any()
    ):
        raise InputError("The top activations are of another store", where=store.folder)
    return sequence
