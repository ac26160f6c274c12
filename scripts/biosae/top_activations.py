"""The Parquet file of top activations: written by the encoder, read by every stage after it.

One row per kept activation: node, rank (1 = strongest of its node), activation, file (number), row
(in the file), position, chrom, start, end (receptive field, 0-based half-open, not clipped to the
chromosome), strand ('+': a network reads the forward strand). Sorted by node and rank. The schema
metadata key ``biosae`` holds a JSON object: provenance, layer, sizes, settings and all intervals.
Reading needs no PyTorch.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from biosae import artefacts
from biosae.errors import InputError
from biosae.geometry import Layer

_METADATA_KEY = b"biosae"
_GROUP_ROWS = 2**18  # rows a row group: bounds the memory that text columns take while writing
_SCHEMA = pa.schema(
    [
        ("node", pa.int32()),
        ("rank", pa.int32()),
        ("activation", pa.float32()),
        ("file", pa.int32()),
        ("row", pa.int32()),
        ("position", pa.int32()),
        ("chrom", pa.string()),
        ("start", pa.int64()),
        ("end", pa.int64()),
        ("strand", pa.string()),
    ]
)


class Places(Protocol):
    """Where the sequences lie: an ``ActivationStore`` or ``EncodedParts``."""

    intervals: pd.DataFrame
    n_sequences: int
    positions: int


def write_top_activations(
    path: str | Path, top: pd.DataFrame | Iterable[pd.DataFrame], places: Places, layer: Layer, notes: dict
) -> None:
    """Write top positions with genomic windows, atomically; the same bytes however they are divided.

    Args:
        path: ``top_activations.parquet``.
        top: node, rank, activation, sequence, position; sorted by node and rank. One table, or its
            consecutive pieces, of which two are held at a time.
        places: where the sequences lie.
        layer: geometry of the windows.
        notes: provenance, n_nodes, top_per_part, parts_per_sequence; sizes and intervals are added.
    """
    columns = ["chrom", "start", "end", "core_start", "core_end"]
    content = {
        **notes,
        "layer": layer.as_dict(),
        "sequences": places.n_sequences,
        "positions": places.positions,
        "rows": places.n_sequences * places.positions,
        "intervals": places.intervals[columns].to_numpy(object).tolist(),
    }
    schema = _SCHEMA.with_metadata({_METADATA_KEY: json.dumps(content, sort_keys=True).encode()})
    pieces = [top] if isinstance(top, pd.DataFrame) else top
    with (
        artefacts.atomic_path(path) as temporary,
        pq.ParquetWriter(temporary, schema, compression="zstd") as writer,
    ):
        for piece in _row_groups(pieces):
            part = _with_places(piece, places.intervals, layer)
            writer.write_table(pa.Table.from_pydict(part, schema=schema), row_group_size=_GROUP_ROWS)


def _row_groups(pieces: Iterable[pd.DataFrame]) -> Iterator[pd.DataFrame]:
    """The same rows in tables of ``_GROUP_ROWS``, the last one shorter: groups do not depend on pieces."""
    held: list[pd.DataFrame] = []
    n = 0
    for piece in pieces:
        while n + len(piece) >= _GROUP_ROWS:
            needed = _GROUP_ROWS - n
            yield pd.concat([*held, piece.iloc[:needed]])
            held, n, piece = [], 0, piece.iloc[needed:]
        held, n = [*held, piece], n + len(piece)
    if n:
        yield pd.concat(held)


def _with_places(top: pd.DataFrame, intervals: pd.DataFrame, layer: Layer) -> dict:
    sequence, position = top["sequence"].to_numpy(), top["position"].to_numpy()
    start, end = layer.window(intervals["start"].to_numpy()[sequence], position)
    columns = {name: top[name].to_numpy() for name in ("node", "rank", "activation", "position")}
    for name in ("file", "row"):
        columns[name] = intervals[name].to_numpy(np.int32)[sequence]
    columns["chrom"] = pa.array(intervals["chrom"], pa.string()).take(pa.array(sequence))
    strand = pa.repeat(pa.scalar("+", pa.string()), len(top))
    return {**columns, "start": start, "end": end, "strand": strand}


def read_notes(path: str | Path) -> dict:
    """The notes of a file that ``write_top_activations`` wrote (layer, intervals, ...), without its rows.

    Raises:
        InputError: as ``read_top_activations``.
    """
    try:
        return json.loads(pq.read_schema(path).metadata[_METADATA_KEY])
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError) as error:
        raise _unreadable(path, error) from error


def read_top_activations(path: str | Path, columns: Sequence[str] | None = None) -> tuple[pd.DataFrame, dict]:
    """Read what ``write_top_activations`` wrote: the table (or some columns of it) and its notes.

    Raises:
        InputError: the file is missing, is not Parquet, or was not written by this project.
    """
    try:
        table = pq.read_table(path, columns=None if columns is None else list(columns))
        notes = json.loads(table.schema.metadata[_METADATA_KEY])
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError) as error:
        raise _unreadable(path, error) from error
    return table.to_pandas(), notes


def _unreadable(path: str | Path, error: Exception) -> InputError:
    return InputError(
        "Cannot read the top activations",
        where=path,
        got=error,
        expected="top_activations.parquet, written by encode_activations.py",
        mend="run encode_activations.py again",
    )
