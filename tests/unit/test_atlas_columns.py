"""Columns of tables as arrays of the index, and rows as records of the shards."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from biosae.atlas.columns import RowsOfNodes, column_payload, records
from biosae.atlas.payload import Arrays, decode, encode, script


def back(values, kind, **rule) -> dict:
    arrays = Arrays()
    dtype = {"integer": "Int64", "number": "float64", "string": "string", "boolean": "boolean"}[kind]
    series = pd.Series(values, dtype=dtype)
    content = column_payload("x", series, {"type": [kind, "null"], **rule}, arrays)
    return decode(script("index", encode(content, arrays)))


def test_every_type_of_column_and_its_missing_value():
    found = back([3, None, -7], "integer", description="a count", **{"x-unit": "bp"})
    assert (found["name"], found["text"], found["unit"], found["type"]) == ("x", "a count", "bp", "integer")
    assert found["values"].tolist() == [3, -(2**31), -7]
    assert found["values"].dtype == np.int32
    found = back([True, None, False], "boolean")
    assert found["values"].tolist() == [1, 255, 0]
    found = back(["b", None, "a", "b"], "string")
    assert found["words"] == ["a", "b"]
    assert found["values"].tolist() == [1, 65535, 0, 1]
    found = back([0.25, None, 1e-30, 0.0], "number")
    assert found["values"].dtype == np.float32
    assert np.isnan(found["values"][1])
    assert found["values"][[0, 3]].tolist() == [0.25, 0.0]


@pytest.mark.parametrize("tiny", [1e-40, 1e-300, 1e39])
def test_numbers_that_a_float32_loses_are_stored_as_doubles(tiny):
    found = back([0.5, tiny, None], "number")
    assert found["values"].dtype == np.float64
    assert found["values"][1] == tiny


def test_more_words_than_two_bytes_count_take_four():
    words = [f"w{number:05}" for number in range(65_535)]
    assert back(words[:-1], "string")["values"].dtype == np.uint16
    found = back([*words, None], "string")
    assert found["values"].dtype == np.uint32
    assert found["values"][-1] == 2**32 - 1
    assert found["words"][int(found["values"][65_534])] == "w65534"


def test_the_empty_column_of_every_type():
    for kind in ("integer", "number", "string", "boolean"):
        assert len(back([], kind)["values"]) == 0


def test_records_are_plain_values_with_none_for_missing():
    table = pd.DataFrame(
        {"a": pd.array([1, None], "Int64"), "b": [np.nan, 0.123456], "c": pd.array(["x", None], "string")}
    )
    found = records(table)
    assert found == [{"a": 1, "b": None, "c": "x"}, {"a": None, "b": 0.123456, "c": None}]
    assert [type(value) for value in found[0].values()] == [int, type(None), str]


def test_rows_by_node_keep_their_order_and_nodes_without_any():
    table = pd.DataFrame({"value": ["c", "a", "d", "b"]})
    rows = RowsOfNodes(table, np.array([2, 0, 2, 0]), 4)
    values = [[row["value"] for row in node] for node in rows.slice(0, 4)]
    assert values == [["a", "b"], [], ["c", "d"], []]
    assert [len(node) for node in rows.slice(1, 3)] == [0, 2]


def test_records_of_a_node_are_plain_rounded_and_none_where_missing():
    table = pd.DataFrame({"a": pd.array([1, None], "Int64"), "b": [np.nan, 1.23456e-200]})
    table = table.assign(c=pd.array(["x", None], "string"), d=pd.array([None, True], "boolean"))
    (found,) = RowsOfNodes(table, np.array([0, 0]), 1).slice(0, 1)
    assert found == [
        {"a": 1, "b": None, "c": "x", "d": None},
        {"a": None, "b": 1.235e-200, "c": None, "d": True},
    ]
    assert [type(value) for value in found[1].values()] == [type(None), float, type(None), bool]
