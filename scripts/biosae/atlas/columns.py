"""Tables for the atlas: whole columns as arrays, and rows of a node as records of JSON."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd

from biosae.artefacts import load_schema
from biosae.atlas.payload import Arrays

MISSING_INTEGER = -(2**31)
MISSING_BOOLEAN = 255
DIGITS = 4  # significant, in records: what a reader looks at
_LEAST_F4, _MOST_F4 = 1e-37, 3e38  # beyond, a float32 has few digits or none


def column_payload(name: str, values: pd.Series, rule: dict, arrays: Arrays) -> dict:
    """One column of the index (``docs/atlas_format.md``).

    Args:
        values: in the type that its schema gives it (``artefacts.conform``).
        rule: what the schema says of the column.
    """
    kinds = rule["type"] if isinstance(rule["type"], list) else [rule["type"]]
    kind = next(kind for kind in kinds if kind != "null")
    head = {"name": name, "text": str(rule.get("description", "")), "unit": rule.get("x-unit")}
    encoders = {"integer": _integers, "number": _numbers, "boolean": _booleans, "string": _strings}
    return {**head, "type": kind, **encoders[kind](values, arrays)}


def _integers(values: pd.Series, arrays: Arrays) -> dict:
    whole = values.astype("Int64").fillna(MISSING_INTEGER)
    return {"values": arrays.add(whole.to_numpy(np.int64), "i4")}


def _numbers(values: pd.Series, arrays: Arrays) -> dict:
    numbers = values.to_numpy(np.float64, na_value=np.nan)
    size = np.abs(numbers[np.isfinite(numbers) & (numbers != 0)])
    lost = ((size < _LEAST_F4) | (size > _MOST_F4)).any()
    return {"values": arrays.add(numbers, "f8" if lost else "f4")}


def _booleans(values: pd.Series, arrays: Arrays) -> dict:
    codes = values.astype("boolean").astype("Int64").fillna(MISSING_BOOLEAN)
    return {"values": arrays.add(codes.to_numpy(np.int64), "u1")}


def _strings(values: pd.Series, arrays: Arrays) -> dict:
    """Sorted words, so that rows sort by their numbers."""
    texts = values.astype("string")
    words = sorted(texts.dropna().unique().tolist())
    kind, missing = ("u2", 2**16 - 1) if len(words) < 2**16 - 1 else ("u4", 2**32 - 1)
    number = {word: at for at, word in enumerate(words)}
    codes = texts.map(number).astype("Int64").fillna(missing)
    return {"words": words, "values": arrays.add(codes.to_numpy(np.int64), kind)}


def descriptions(schema: str) -> dict[str, dict]:
    """What the schema of a table says of each of its columns."""
    return load_schema(schema)["properties"]


def rounded(value: float) -> float:
    """``value`` to ``DIGITS`` significant digits."""
    return float(f"{value:.{DIGITS}g}")


def records(table: pd.DataFrame) -> list[dict]:
    """Rows as plain values, ``None`` where one is missing."""
    return [
        dict(zip(table.columns, row, strict=True)) for row in zip(*map(_plain, table.items()), strict=True)
    ]


def _plain(column: tuple[str, pd.Series]) -> list:
    values = column[1].astype(object)
    return values.where(column[1].notna(), None).tolist()


class RowsOfNodes:
    """Rows of a table by the node that they belong to.

    Args:
        table: any table; its fractional numbers are rounded in the records, the others are as they are.
        row: row of the index of each row of the table, (n,) int; order within a node is kept.
        n_nodes: rows of the index.
    """

    def __init__(self, table: pd.DataFrame, row: np.ndarray, n_nodes: int) -> None:
        order = np.argsort(row, kind="stable")
        self._edges = np.searchsorted(row[order], np.arange(n_nodes + 1))
        # numpy's arrays: thousands of slices of a table would take longer than all the rest
        self._columns = {name: _as_arrays(table[name], order) for name in table.columns}

    def slice(self, first: int, last: int) -> list[list[dict]]:
        """Records of each of the nodes [first, last)."""
        low, high = int(self._edges[first]), int(self._edges[last])
        columns = [_listed(values[low:high], missing[low:high]) for values, missing in self._columns.values()]
        rows = [dict(zip(self._columns, row, strict=True)) for row in zip(*columns, strict=True)]
        return [rows[a:b] for a, b in pairwise(self._edges[first : last + 1] - low)]


def _as_arrays(column: pd.Series, order: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values and which are missing, in the order given."""
    missing = column.isna().to_numpy(bool)[order]
    if pd.api.types.is_bool_dtype(column.dtype):
        return column.to_numpy(bool, na_value=False)[order], missing
    if pd.api.types.is_integer_dtype(column.dtype):
        return column.to_numpy(np.int64, na_value=0)[order], missing
    if pd.api.types.is_float_dtype(column.dtype):
        return column.to_numpy(np.float64, na_value=np.nan)[order], missing
    return column.to_numpy(object)[order], missing


def _listed(values: np.ndarray, missing: np.ndarray) -> list:
    listed = values.tolist()
    if values.dtype.kind == "f":
        listed = [rounded(value) for value in listed]
    if missing.any():
        listed = [None if gone else value for value, gone in zip(listed, missing.tolist(), strict=True)]
    return listed
