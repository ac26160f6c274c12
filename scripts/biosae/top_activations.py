"""The Parquet file of top activations: written by the encoder, read by every stage after it.

One row per kept activation: node, rank (1 = strongest of its node), activation, file (number), row
(in the file), position, chrom, start, end (receptive field, 0-based half-open, not clipped to the
chromosome), strand ('+': a network reads the forward strand). Sorted by node and rank. The schema
metadata key ``biosae`` holds a JSON object: provenance, layer, sizes, settings and all intervals.
Reading needs no PyTorch.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from biosae import artefacts
from biosae.errors import InputError
from biosae.geometry import Layer

if TYPE_CHECKING:
    from biosae.activations import ActivationStore

_METADATA_KEY = b"biosae"
_GROUP_ROWS = 2**20  # rows a row group: bounds the memory that text columns take while writing
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


def write_top_activations(
    path: str | Path, top: pd.DataFrame, store: ActivationStore, layer: Layer, notes: dict
) -> None:
    """Write ``top`` (``EncodedNodes.top``) with genomic windows, atomically.

    Args:
        path: ``top_activations.parquet``.
        top: node, rank, activation, sequence, position; sorted by node and rank.
        store: where the sequences came from.
        layer: geometry of the windows.
        notes: provenance, n_nodes, top_per_part, parts_per_sequence; sizes and intervals are added.
    """
    places = ["chrom", "start", "end", "core_start", "core_end"]
    content = {
        **notes,
        "layer": layer.as_dict(),
        "sequences": store.n_sequences,
        "positions": store.positions,
        "rows": store.n_rows,
        "intervals": store.intervals[places].to_numpy(object).tolist(),
    }
    schema = _SCHEMA.with_metadata({_METADATA_KEY: json.dumps(content, sort_keys=True).encode()})
    with (
        artefacts.atomic_path(path) as temporary,
        pq.ParquetWriter(temporary, schema, compression="zstd") as writer,
    ):
        for low in range(0, len(top), _GROUP_ROWS):
            part = _with_places(top.iloc[low : low + _GROUP_ROWS], store.intervals, layer)
            writer.write_table(pa.Table.from_pydict(part, schema=schema), row_group_size=_GROUP_ROWS)


def _with_places(top: pd.DataFrame, intervals: pd.DataFrame, layer: Layer) -> dict[str, np.ndarray]:
    sequence, position = top["sequence"].to_numpy(), top["position"].to_numpy()
    start, end = layer.window(intervals["start"].to_numpy()[sequence], position)
    columns = {name: top[name].to_numpy() for name in ("node", "rank", "activation", "position")}
    for name in ("file", "row"):
        columns[name] = intervals[name].to_numpy(np.int32)[sequence]
    columns["chrom"] = intervals["chrom"].to_numpy(object)[sequence]
    return {**columns, "start": start, "end": end, "strand": np.full(len(top), "+", dtype=object)}


def read_top_activations(path: str | Path, columns: Sequence[str] | None = None) -> tuple[pd.DataFrame, dict]:
    """Read what ``write_top_activations`` wrote: the table (or some columns of it) and its notes.

    Raises:
        InputError: the file is missing, is not Parquet, or was not written by this project.
    """
    try:
        table = pq.read_table(path, columns=None if columns is None else list(columns))
        notes = json.loads(table.schema.metadata[_METADATA_KEY])
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError) as error:
        raise InputError(
            "Cannot read the top activations",
            where=path,
            got=error,
            expected="top_activations.parquet, written by encode_activations.py",
            mend="run encode_activations.py again",
        ) from error
    return table.to_pandas(), notes
