"""Tables for the atlas: whole columns as arrays, and rows of a node as records of JSON."""

from __future__ import annotations

from collections.abc import Sequence
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


def rounded(table: pd.DataFrame) -> pd.DataFrame:
    """The table with its fractional numbers to ``DIGITS`` significant digits; the others as they are."""
    found = {}
    for name in table.select_dtypes("floating"):
        values = table[name].to_numpy(np.float64, na_value=np.nan)
        found[name] = [float(f"{value:.{DIGITS}g}") for value in values.tolist()]
    return table.assign(**found)


def records(table: pd.DataFrame, names: Sequence[str] | None = None) -> list[dict]:
    """Rows as plain values, ``None`` where one is missing."""
    names = list(table.columns) if names is None else list(names)
    columns = []
    for name in names:
        values = table[name].astype(object)
        columns.append(values.where(table[name].notna(), None).tolist())
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


class RowsOfNodes:
    """Rows of a table by the node that they belong to.

    Args:
        table: any table.
        row: row of the index of each row of the table, (n,) int; order within a node is kept.
        n_nodes: rows of the index.
    """

    def __init__(self, table: pd.DataFrame, row: np.ndarray, n_nodes: int) -> None:
        order = np.argsort(row, kind="stable")
        self._table = table.iloc[order].reset_index(drop=True)
        self._edges = np.searchsorted(row[order], np.arange(n_nodes + 1))

    def slice(self, first: int, last: int) -> list[list[dict]]:
        """Records of each of the nodes [first, last)."""
        low, high = self._edges[first], self._edges[last]
        rows = records(rounded(self._table.iloc[low:high]))
        edges = self._edges[first : last + 1] - low
        return [rows[a:b] for a, b in pairwise(edges)]
