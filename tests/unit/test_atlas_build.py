"""The folder of an atlas: its bytes, its hashes, and its limits."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import subprocess

import h5py
import numpy as np
import pytest
from helpers_atlas import (
    Limits,
    build,
    command_of,
    files_of,
    index_of,
    made_run,
    nodes_of,
    read,
    sources_of,
)

from biosae.atlas import plan, writer
from biosae.atlas.builder import build_id
from biosae.atlas.payload import short_hash
from biosae.atlas.run_data import load_run
from biosae.errors import ConfigError


@pytest.fixture
def run(tmp_path):
    return made_run(tmp_path / "a b'c")


def test_a_rebuild_is_identical_elsewhere_and_with_another_hash_seed(run, tmp_path):
    atlas = build(run)
    outputs = [tmp_path / "one", tmp_path / "deeper" / "two"]
    for seed, output in enumerate(outputs):
        environment = {**os.environ, "PYTHONHASHSEED": str(seed)}
        subprocess.run(command_of(run, output), env=environment, check=True, capture_output=True)
    assert files_of(outputs[0]) == files_of(outputs[1]) == files_of(atlas)
    assert str(tmp_path) not in "".join(content.decode("latin1") for content in files_of(atlas).values())


def test_schema_and_index_hold_the_hashes_of_every_file(run):
    atlas = build(run)
    schema, index = json.loads((atlas / "data/schema.json").read_text()), index_of(atlas)
    data = {path.name: path.read_bytes() for path in (atlas / "data").glob("*.js")}
    assert {entry["name"] for entry in schema["files"]} == set(data)
    for entry in schema["files"]:
        assert entry["bytes"] == len(data[entry["name"]])
        assert entry["sha256"] == hashlib.sha256(data[entry["name"]]).hexdigest()
    assert {f"{name}.js" for name in index["sha256"]} == set(data) - {"index.js"}
    for name, digest in index["sha256"].items():
        text = data[f"{name}.js"].decode().split('"')[3]
        assert digest == short_hash(text) == hashlib.sha256(text.encode()).hexdigest()[:16]
        content = read(atlas, name)
        assert (content["atlas"], content["name"]) == (index["atlas"], name)
    assert schema["atlas"] == index["atlas"]
    assert {entry["name"]: entry["rows"] for entry in schema["files"]}["nodes_0000.js"] == 12
    assert "nodes.tsv" in [entry["name"] for entry in schema["made_by"]["inputs"]]
    names = {path.name for path in (atlas / "files").iterdir()}
    assert {entry["path"] for entry in index["downloads"]} == {f"files/{name}" for name in names}
    assert (atlas / "files/nodes.tsv").read_bytes() == (run / "nodes.tsv").read_bytes()


def test_the_id_changes_with_every_input_and_setting(run):
    def id_of(**changes):
        sources = sources_of(run, **changes)
        return build_id(sources, load_run(run, sources.database))

    first = id_of()
    assert id_of() == first
    assert len({first, id_of(assembly=None), id_of(genes=None), id_of(limits=Limits(32))}) == 4
    with h5py.File(run / "examples.h5", "a") as handle:
        handle["peak"][3] += 1
    assert id_of() != first


def test_a_large_table_is_copied_compressed_and_one_without_room_is_named(run, monkeypatch):
    monkeypatch.setattr("biosae.atlas.downloads._PACKED_FROM", 2000)
    atlas = build(run)
    assert gzip.decompress((atlas / "files/nodes.tsv.gz").read_bytes()) == (run / "nodes.tsv").read_bytes()
    assert (
        "gzip"
        in {entry["path"]: entry["text"] for entry in index_of(atlas)["downloads"]}["files/nodes.tsv.gz"]
    )
    monkeypatch.setattr(writer, "THEN", ())
    monkeypatch.setattr(plan, "FIRST_SHARE", 0)
    monkeypatch.setattr(writer, "FIRST_SHARE", 0)
    index = index_of(build(run))
    assert index["downloads"] == []
    assert index["counts"]["files of the run too large to copy"] == 4
    assert "nodes.tsv, training_curve.tsv, evaluation.json, null_counts.tsv" in index["limits"][0]


# --- limits ---------------------------------------------------------------------------------------


def test_examples_that_do_not_fit_are_left_out_of_every_node_and_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(writer, "THEN", ())  # what is copied where there is room
    run = made_run(tmp_path, 64, examples=400)
    whole, files = build(run), files_of(run / "atlas")
    size = sum(map(len, files.values()))
    all_of = sum(node["examples"]["n"] for node in nodes_of(whole))
    asked = (size - 250_000 + writer._REST) / 1e6
    atlas = build(run, limits=Limits(64, asked))
    index, nodes = index_of(atlas), nodes_of(atlas)
    assert sum(map(len, files_of(atlas).values())) <= asked * 1e6
    shown = [node["examples"]["n"] for node in nodes]
    assert index["counts"]["examples beyond the size of the folder"] == all_of - sum(shown) > 0
    assert len(set(shown)) == 1
    assert shown[0] > 100, "as many as there is room for"
    for node in nodes:
        assert np.unique(node["examples"]["band"]).tolist() == [0, 1, 2, 3, 4, 5]
        assert node["n_top_with_motif"] is None or node["n_top_with_motif"][1] == 200
    assert any("% are shown: the folder keeps to" in text for text in index["limits"])
    (loci,) = index["loci"]["shards"]
    assert read(atlas, loci)["n"] == sum(int((node["examples"]["band"] == 0).sum()) for node in nodes)


def test_even_a_folder_that_is_too_small_shows_one_example_of_each_band(run, caplog):
    index = index_of(build(run, limits=Limits(64, 0.001)))
    assert "larger than asked for even with the fewest examples" in caplog.text
    assert index["counts"]["examples beyond the size of the folder"] == 12 * (20 - 6)


@pytest.mark.parametrize(("n_nodes", "asked", "expected"), [
    (0, 64, 64), (51_200, 64, 64), (51_201, 64, 128), (10**5, 64, 128), (10**5, 1, 128), (10**6, 64, 2048),
])  # fmt: skip
def test_there_are_never_more_shards_than_files_are_allowed(n_nodes, asked, expected):
    found = plan.nodes_a_shard(n_nodes, asked)
    assert found == expected
    ranges = plan.shard_ranges(n_nodes, found)
    assert len(ranges) <= 800
    assert [high for _, high in ranges[:-1]] == [low for low, _ in ranges[1:]]
    assert sum(high - low for low, high in ranges) == n_nodes


def test_more_shards_than_allowed_are_joined_and_the_atlas_says_so(run, monkeypatch):
    monkeypatch.setattr(plan, "MOST_NODE_SHARDS", 3)
    atlas = build(run, limits=Limits(1))
    index = index_of(atlas)
    assert (index["shard_nodes"], len(index["shards"])) == (4, 3)
    assert any(text.startswith("A file of data holds 4 nodes in place of 1") for text in index["limits"])
    assert [node["rank"] for node in nodes_of(atlas)] == list(range(1, 13))


def test_too_many_files_are_refused_and_nothing_is_left(run, monkeypatch):
    monkeypatch.setattr("biosae.atlas.builder.MOST_FILES", 5)
    with pytest.raises(ConfigError, match="too many files"):
        build(run)
    assert not list(run.glob("*atlas*"))


@pytest.mark.parametrize("limits", [(0, 120), (64, 0), (64, float("nan"))])
def test_limits_must_be_above_0(limits):
    with pytest.raises(ConfigError, match="above 0"):
        Limits(*limits)
