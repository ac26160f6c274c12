"""The Parquet of top activations, and the program that writes it."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from biosae import artefacts
from biosae.activations import ActivationStore
from biosae.checkpoint import save_checkpoint
from biosae.encoding import encode_store
from biosae.errors import InputError
from biosae.geometry import Layer
from biosae.model import RawChannels
from biosae.top_activations import read_top_activations, write_top_activations
from unit.helpers_store import (
    RectifiedChannels,
    random_arrays,
    slow_top,
    write_published_store,
)

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
LAYER = Layer("tiny", "", 3, stride_bp=4, left_bp=19, right_bp=23)


def written(tmp_path, arrays, name="top.parquet"):
    folder = write_published_store(tmp_path / "p", arrays, pad_bp=20)
    store = ActivationStore.open(folder, pad_bp=20, stride_bp=4)
    encoded = encode_store(RectifiedChannels(3, [0, 1, 2]), store, 3, 4)
    notes = {"n_nodes": 3, "top_per_part": 3, "parts_per_sequence": 4, "provenance": {"program": "test"}}
    write_top_activations(tmp_path / name, encoded.top, store, LAYER, notes)
    return store, encoded.top


def test_parquet_holds_windows_and_notes(tmp_path):
    store, top = written(tmp_path, random_arrays([2, 1], positions=50, channels=3))
    table, notes = read_top_activations(tmp_path / "top.parquet")
    assert list(table) == [
        "node",
        "rank",
        "activation",
        "file",
        "row",
        "position",
        "chrom",
        "start",
        "end",
        "strand",
    ]
    types = {field.name: str(field.type) for field in pq.read_schema(tmp_path / "top.parquet")}
    assert types["node"] == types["rank"] == types["file"] == "int32" and types["activation"] == "float"
    assert types["start"] == "int64" and types["chrom"] == types["strand"] == "string"
    np.testing.assert_array_equal(table["activation"], top["activation"])
    where = store.intervals.iloc[top["sequence"].to_numpy()]
    np.testing.assert_array_equal(table["start"], where["start"].to_numpy() + 4 * top["position"] - 19)
    np.testing.assert_array_equal(table["end"] - table["start"], 42)
    np.testing.assert_array_equal(table["file"], where["file"])
    np.testing.assert_array_equal(table["row"], where["row"])
    assert set(table["chrom"]) == {"chr1"} and set(table["strand"]) == {"+"}
    assert notes["layer"] == LAYER.as_dict() and notes["sequences"] == 3 and notes["rows"] == 150
    assert notes["intervals"][0] == ["chr1", 1000, 1200, 1020, 1180] and notes["positions"] == 50
    assert notes["top_per_part"] == 3 and notes["provenance"] == {"program": "test"}


def test_parquet_same_bytes_columns_and_row_groups(tmp_path, monkeypatch):
    arrays = random_arrays([2, 1], positions=50, channels=3)
    written(tmp_path, arrays, "a.parquet")
    written(tmp_path, arrays, "b.parquet")
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    monkeypatch.setattr("biosae.top_activations._GROUP_ROWS", 10)
    written(tmp_path, arrays, "c.parquet")
    assert pq.ParquetFile(tmp_path / "c.parquet").num_row_groups > 5
    left, right = (
        read_top_activations(tmp_path / name, ["node", "start"])[0] for name in ("a.parquet", "c.parquet")
    )
    pd.testing.assert_frame_equal(left, right)
    assert list(left) == ["node", "start"]


def test_parquet_same_bytes_in_however_many_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr("biosae.top_activations._GROUP_ROWS", 10)
    store, top = written(tmp_path, random_arrays([2, 1], positions=50, channels=3), "whole.parquet")
    assert len(top) == 107
    notes = {"n_nodes": 3, "top_per_part": 3, "parts_per_sequence": 4, "provenance": {"program": "test"}}
    for borders in ([0, 1, 1, 25, 26, 107], [0, 10, 20, 107], range(108)):
        pieces = (top.iloc[low:high] for low, high in itertools.pairwise(borders))
        write_top_activations(tmp_path / "pieces.parquet", pieces, store, LAYER, notes)
        assert (tmp_path / "pieces.parquet").read_bytes() == (tmp_path / "whole.parquet").read_bytes()


def test_model_that_is_silent_gives_a_valid_empty_file(tmp_path):
    written(tmp_path, [np.full((1, 50, 3), -1, np.float32)])
    table, notes = read_top_activations(tmp_path / "top.parquet")
    assert len(table) == 0 and "chrom" in table and notes["n_nodes"] == 3


def test_file_that_is_no_top_activations(tmp_path):
    with pytest.raises(InputError, match=r"encode_activations\.py"):
        read_top_activations(tmp_path / "nowhere.parquet")
    (tmp_path / "text.parquet").write_text("text")
    with pytest.raises(InputError, match=r"text\.parquet"):
        read_top_activations(tmp_path / "text.parquet")
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "foreign.parquet")
    with pytest.raises(InputError, match=r"foreign\.parquet"):
        read_top_activations(tmp_path / "foreign.parquet")


def test_notes_are_plain_json(tmp_path):
    written(tmp_path, random_arrays([1], channels=3))
    assert json.loads(pq.read_schema(tmp_path / "top.parquet").metadata[b"biosae"])["sequences"] == 1


# --- the program ---------------------------------------------------------------------------------


def run_script(*arguments: object) -> subprocess.CompletedProcess:
    command = [sys.executable, SCRIPTS / "encode_activations.py", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_program_encodes_with_a_checkpoint_and_refuses_another_layer(tmp_path):
    arrays = random_arrays([2, 1], positions=50, channels=3, dtype=np.float16)
    folder = write_published_store(tmp_path / "it's a store", arrays, pad_bp=20)
    run = tmp_path / "a run"
    save_checkpoint(RawChannels(3), run / "checkpoint", {"layer": LAYER.as_dict()})
    common = ["--checkpoint", run / "checkpoint", "--activations", folder, "--pad-bp", 20]
    for output in (run, tmp_path / "again"):
        done = run_script(*common, "--top-per-part", 2, "--output", output)
        assert done.returncode == 0, done.stderr
    top, notes = read_top_activations(run / "top_activations.parquet")
    signed = [np.concatenate([array, -array], axis=2) for array in arrays]  # both signs are nodes
    expected = [(n, r, a, p) for n, r, a, _, p in slow_top(signed, list(range(6)), 2, 4)]
    columns = ["node", "rank", "activation", "position"]
    assert list(top[columns].itertuples(index=False, name=None)) == expected
    assert notes["n_nodes"] == 6 and notes["layer"]["name"] == "tiny" and notes["parts_per_sequence"] == 4
    assert len(artefacts.read_table(run / "node_stats.tsv", "node_stats")) == 6
    for name in ("top_activations.parquet", "node_stats.tsv", "node_stats.tsv.json"):
        content = (run / name).read_bytes()
        assert content == (tmp_path / "again" / name).read_bytes() and str(tmp_path).encode() not in content

    (folder / "store.json").write_text(json.dumps({"layer": "conv1d_2", "channels": 3}))
    refused = run_script(*common, "--output", tmp_path / "other")
    assert refused.returncode == 2 and "'tiny'" in refused.stderr and "Traceback" not in refused.stderr
    assert not (tmp_path / "other").exists()
