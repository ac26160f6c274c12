"""Tables and their contracts: what is written is read back, and what breaks a schema is refused."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from biosae import artefacts
from biosae.errors import ContractError, InputError

SCHEMA = """
type: object
additionalProperties: false
x-key: [node]
properties:
  node: {type: integer, minimum: 0}
  label: {type: [string, "null"]}
  share: {type: [number, "null"], minimum: 0, maximum: 1}
  width_bp: {type: [number, "null"], exclusiveMinimum: 0}
  strand: {type: string, enum: ["+", "-"]}
  file: {type: string, pattern: "[0-9]+_n[0-9]+"}
  kept: {type: [boolean, "null"]}
"""


@pytest.fixture(autouse=True)
def toy_schema(tmp_path_factory, monkeypatch):
    folder = tmp_path_factory.mktemp("schemas")
    (folder / "toy.schema.yaml").write_text(SCHEMA)
    monkeypatch.setattr(artefacts, "SCHEMA_FOLDER", folder)
    artefacts.load_schema.cache_clear()
    yield
    artefacts.load_schema.cache_clear()


def toy(**changes) -> pd.DataFrame:
    columns = {
        "node": [7, 2, 5],
        "label": ["NA", None, "None"],
        "share": [0.5, np.nan, 1.0],
        "width_bp": [42.0, 0.25, np.nan],
        "strand": ["+", "-", "+"],
        "file": ["1_n7", "2_n2", "3_n5"],
        "kept": [True, False, None],
    }
    return pd.DataFrame({**columns, **changes})


def test_round_trip_keeps_a_label_NA_and_missing_values(tmp_path):
    path = tmp_path / "toy.tsv"
    artefacts.write_table(toy(), path, "toy")
    back = artefacts.read_table(path, "toy")
    assert back["label"].iloc[0] == "NA"
    assert pd.isna(back["label"].iloc[1])
    assert back["label"].iloc[2] == "None"
    assert back["node"].tolist() == [7, 2, 5]
    assert back["kept"].tolist()[:2] == [True, False]
    assert pd.isna(back["kept"].iloc[2])
    assert back["share"].isna().tolist() == [False, True, False]
    artefacts.write_table(back, tmp_path / "again.tsv", "toy")
    assert (tmp_path / "again.tsv").read_bytes() == path.read_bytes()


def test_the_file_is_plain_tsv_in_the_order_of_the_schema(tmp_path):
    artefacts.write_table(toy(), tmp_path / "toy.tsv", "toy")
    lines = (tmp_path / "toy.tsv").read_text().split("\n")
    assert lines[0] == "node\tlabel\tshare\twidth_bp\tstrand\tfile\tkept"
    assert lines[1] == "7\tNA\t0.5\t42\t+\t1_n7\tTrue"
    assert lines[2] == "2\t\t\t0.25\t-\t2_n2\tFalse"
    assert lines[4:] == [""]


@pytest.mark.parametrize("labels", [["007", "1.10", "1e5"], ["True", "False", "True"], ["1", "2", "3"]])
def test_labels_that_look_like_numbers_or_booleans_stay_text(tmp_path, labels):
    artefacts.write_table(toy(label=labels), tmp_path / "toy.tsv", "toy")
    assert artefacts.read_table(tmp_path / "toy.tsv", "toy")["label"].tolist() == labels


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.text(
            st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=8
        ),
        min_size=3,
        max_size=3,
    )
)
def test_any_label_survives_a_round_trip(tmp_path_factory, labels):
    path = tmp_path_factory.mktemp("t") / "toy.tsv"
    artefacts.write_table(toy(label=labels), path, "toy")
    assert artefacts.read_table(path, "toy")["label"].tolist() == labels


def test_an_empty_table_round_trips_with_its_types(tmp_path):
    artefacts.write_table(toy().head(0), tmp_path / "toy.tsv", "toy")
    back = artefacts.read_table(tmp_path / "toy.tsv", "toy")
    assert back.empty
    types = ["Int64", "string", "float64", "float64", "string", "string", "boolean"]
    assert back.dtypes.astype(str).tolist() == types


def test_parts_of_a_table_are_the_bytes_of_tables_of_their_own(tmp_path):
    table = toy()
    rows = {"a": np.array([2, 0]), "b": np.array([1]), "none": np.zeros(0, int)}
    artefacts.write_parts(table, {tmp_path / "parts" / name: own for name, own in rows.items()}, "toy")
    for name, own in rows.items():
        artefacts.write_table(table.iloc[own], tmp_path / name, "toy")
        assert (tmp_path / "parts" / name).read_bytes() == (tmp_path / name).read_bytes()
    with pytest.raises(ContractError, match="column 'share': 1 of 3 rows at fault"):
        artefacts.write_parts(toy(share=[0.5, 2.0, 0.1]), {tmp_path / "late": np.array([0])}, "toy")
    assert not (tmp_path / "late").exists()


def test_all_missing_columns_keep_their_types(tmp_path):
    table = toy(label=[None] * 3, kept=[None] * 3, share=[np.nan] * 3)
    artefacts.write_table(table, tmp_path / "toy.tsv", "toy")
    back = artefacts.read_table(tmp_path / "toy.tsv", "toy")
    assert str(back["label"].dtype) == "string"
    assert str(back["kept"].dtype) == "boolean"
    assert back[["label", "kept", "share"]].isna().all(axis=None)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"node": [7, -2, -5]},
            r"column 'node': 2 of 3 rows at fault \(minimum 0\).*rows \[1, 2\].*\[-2, -5\]",
        ),
        ({"node": [7.5, 2, 5]}, r"column 'node': 1 of 3 rows at fault \(not an integer\)"),
        ({"node": ["7", "x", "5"]}, r"column 'node': 1 of 3 rows at fault \(not a number\)"),
        ({"node": [7, None, 5]}, r"column 'node': 1 of 3 rows at fault \(value missing\)"),
        ({"node": [7, 2, 7]}, r"1 of 3 rows repeat an earlier \['node'\]"),
        ({"share": [0.5, 1.5, 2.0]}, r"column 'share': 2 of 3 rows at fault \(maximum 1\)"),
        ({"share": [-0.1, 0.5, 0.0]}, r"column 'share': 1 of 3 rows at fault \(minimum 0\)"),
        ({"width_bp": [0.0, 1.0, 2.0]}, r"column 'width_bp': 1 of 3 rows at fault \(exclusiveMinimum 0\)"),
        ({"width_bp": [1.0, np.inf, 2.0]}, r"column 'width_bp': 1 of 3 rows at fault \(infinite\)"),
        ({"strand": ["+", "*", "."]}, r"column 'strand': 2 of 3 rows at fault \(not one of"),
        ({"strand": ["+", None, "-"]}, r"column 'strand': 1 of 3 rows at fault \(value missing\)"),
        ({"file": ["1_n7", "n2", "3_n5x"]}, r"column 'file': 2 of 3 rows at fault \(does not match"),
        ({"kept": [True, "yes", "no"]}, r"column 'kept': 2 of 3 rows at fault \(not a boolean\)"),
    ],
)
def test_a_broken_contract_counts_and_shows_the_offenders(tmp_path, changes, message):
    path = tmp_path / "toy.tsv"
    with pytest.raises(ContractError, match=message) as caught:
        artefacts.write_table(toy(**changes), path, "toy", made_by={"program": "x"})
    assert str(path) in str(caught.value)
    assert list(tmp_path.iterdir()) == []  # nothing was written, not even the provenance


def test_wrong_columns_are_named():
    with pytest.raises(ContractError, match=r"Table 'toy' has the wrong columns.*extra"):
        artefacts.check_table(toy().assign(extra=1), "toy")
    with pytest.raises(ContractError, match=r"lacks columns.*\['share'\]"):
        artefacts.conform(toy().drop(columns="share"), "toy")


def test_conform_orders_columns_and_drops_the_rest():
    table = artefacts.conform(toy()[::-1].assign(extra=1)[["kept", *toy().columns[:-1], "extra"]], "toy")
    assert list(table.columns) == list(toy().columns)
    assert str(table["node"].dtype) == "Int64"


def test_reading_checks_the_contract_and_names_the_file(tmp_path):
    path = tmp_path / "toy.tsv"
    artefacts.write_table(toy(), path, "toy")
    path.write_text(path.read_text().replace("0.5", "1.5"))
    with pytest.raises(ContractError, match=r"column 'share': 1 of 3.*toy\.tsv"):
        artefacts.read_table(path, "toy")


def test_a_missing_or_empty_table_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match=r"Cannot read table 'toy'.*none\.tsv.*re-run"):
        artefacts.read_table(tmp_path / "none.tsv", "toy")
    (tmp_path / "empty.tsv").touch()
    with pytest.raises(InputError, match=r"Cannot read table 'toy'.*empty\.tsv"):
        artefacts.read_table(tmp_path / "empty.tsv", "toy")


def test_a_missing_schema_is_named():
    with pytest.raises(ContractError, match=r"schema is missing.*nothing\.schema\.yaml"):
        artefacts.load_schema("nothing")


def test_provenance_stands_beside_the_table(tmp_path):
    made_by = artefacts.provenance("do.py", {})
    artefacts.write_table(toy(), tmp_path / "toy.tsv", "toy", made_by=made_by)
    assert json.loads((tmp_path / "toy.tsv.json").read_text()) == made_by
