"""The folder of an atlas: its bytes, its limits, what is wrong with inputs, and faults while it is written."""

from __future__ import annotations

import errno
import gzip
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from helpers_atlas import Limits, build, files_of, index_of, made_run, nodes_of, read, rewrite, sources_of

import build_atlas as program
from biosae.artefacts import read_table, write_table
from biosae.atlas import plan, writer
from biosae.atlas.builder import build_id
from biosae.atlas.payload import short_hash
from biosae.atlas.run_data import load_run
from biosae.errors import ConfigError, ContractError, InputError
from biosae.motifs.formats import read_meme, write_meme

SCRIPTS = Path(program.__file__).parent


@pytest.fixture
def run(tmp_path):
    return made_run(tmp_path / "a b'c")


def words(run: Path, output: Path, *more: object) -> list[str]:
    folder = run.parents[1]
    given = ["--run", run, "--database", folder / "database.meme", "--genes", folder / "genes.bed"]
    given += ["--scoreboard", folder / "scoreboard.tsv", "--assembly", "hg38", *more, "--output", output]
    return [str(word) for word in given]


def test_a_rebuild_is_identical_elsewhere_and_with_another_hash_seed(run, tmp_path):
    atlas = build(run)
    outputs = [tmp_path / "one", tmp_path / "deeper" / "two"]
    for seed, output in enumerate(outputs):
        environment = {**os.environ, "PYTHONHASHSEED": str(seed)}
        command = [sys.executable, program.__file__, *words(run, output)]
        subprocess.run(command, env=environment, check=True, capture_output=True)
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


def test_examples_that_do_not_fit_are_left_out_of_every_node_and_counted(tmp_path):
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
    (0, 64, 64), (51_200, 64, 64), (51_201, 64, 128), (100_000, 64, 128), (100_000, 1, 128), (10**6, 64, 2048),
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


# --- runs that are poor ----------------------------------------------------------------------------


def test_a_run_without_kept_nodes_says_so(tmp_path):
    run = made_run(tmp_path, 0)
    atlas = build(run)
    index = index_of(atlas)
    assert (index["n_nodes"], index["shards"], index["loci"]) == (0, [], None)
    assert index["limits"][0].startswith("No node of this run passed the selection")
    assert all(len(column["values"]) == 0 for column in index["columns"])
    assert read(atlas, "targets")["targets"] == []


def test_a_run_without_any_motif(run):
    for name in ("motifs", "matches"):
        write_table(read_table(run / f"{name}.tsv", name).iloc[:0], run / f"{name}.tsv", name)
    write_meme(run / "motifs.meme", [])
    nodes = read_table(run / "nodes.tsv", "nodes").assign(best_motif_id=None, best_match=None)
    write_table(nodes, run / "nodes.tsv", "nodes")
    with h5py.File(run / "examples.h5", "a") as handle:
        handle["has_motif"][:], handle["motif_at"][:], handle["motif_best_score"][:] = 255, -(2**15), 0
    atlas = build(run)
    for node in nodes_of(atlas):
        assert node["motifs"] == []
        assert node["n_top_with_motif"] is None
        assert np.isnan(node["examples"]["motif_score_share"]).all()
    assert not index_of(atlas)["logos"]["widths"].any()


def test_a_node_with_one_seqlet_and_one_example(tmp_path):
    run = made_run(tmp_path, 1, examples=1, seqlets=1)
    with h5py.File(run / "examples.h5", "a") as handle:
        assert handle["edges"][:].tolist() == [0, 6]
    (node,) = nodes_of(build(run))
    assert node["examples"]["n"] == 6
    assert node["neighbours"] == {"decoder": [], "coactivation": [], "jaccard": []}


def test_a_store_without_coordinates_gives_an_atlas_without_examples(run):
    with h5py.File(run / "examples.h5", "a") as handle:
        for name in ("band", "chrom", "start", "peak", "sequence", "activation", "motif_at", "motif_strand",
                     "motif_score", "has_motif"):  # fmt: skip
            values = handle[name][:0]
            del handle[name]
            handle[name] = values
        handle["edges"][:] = 0
        handle.attrs["reason"] = "the store is pooled, it has one position a sequence"
    atlas = build(run)
    assert all(node["examples"] is None for node in nodes_of(atlas))
    index = index_of(atlas)
    assert index["limits"][0] == "There are no examples: the store is pooled, it has one position a sequence."
    assert index["loci"] is None


def test_a_column_without_any_value_and_other_bases_in_an_example(run):
    rewrite(run / "nodes.tsv", "nodes", gc_share=np.nan, motif_auroc=np.nan)
    with h5py.File(run / "examples.h5", "a") as handle:
        handle["sequence"][0, :3] = [4, 1, 4]
    atlas = build(run)
    columns = {column["name"]: column["values"] for column in index_of(atlas)["columns"]}
    assert np.isnan(columns["gc_share"]).all()
    first, second = (node["examples"] for node in nodes_of(atlas)[:2])
    assert first["other"].shape == (20, 3)
    assert first["other"][0].tolist() == [0b101, 0, 0]
    assert not first["other"][1:].any()
    assert second["other"] is None


def test_names_with_markup_stay_text(run):
    evil = '<img src=x onerror=alert(1)></script>"\\'
    rewrite(run / "matches.tsv", "matches", database=evil)
    rewrite(run / "overlaps.tsv", "overlaps", annotation=evil)
    rewrite(run / "nodes.tsv", "nodes", target_name=evil)
    genes = run.parents[1] / "genes.bed"
    genes.write_text(f"{evil}\t5\t9\t{evil}\n")
    atlas = build(run)
    assert {target["database"] for target in read(atlas, "targets")["targets"]} == {evil}
    assert read(atlas, "genes")["genes"] == [evil]
    assert index_of(atlas)["chroms"][-1] == evil
    for path in (atlas / "data").glob("*.js"):
        assert b"<" not in path.read_bytes()


def test_a_database_that_repeats_an_id_is_told_apart_by_name_and_letters(run):
    folder = run.parents[1]
    database = read_meme(folder / "database.meme")
    matches = read_table(run / "matches.tsv", "matches")
    first = matches["target"].iloc[0]
    own = next(motif for motif in database if motif.id == first)
    same_name = type(own)(own.id, own.name, own.matrix[::-1])
    write_meme(folder / "database.meme", [same_name, type(own)(own.id, "other", own.matrix), *database])
    atlas = build(run)
    targets = {target["id"]: target for target in read(atlas, "targets")["targets"]}
    assert np.array_equal(targets[first]["matrix"], own.matrix.astype(np.float32))
    assert targets[first]["name"] == own.name


def test_no_genes_no_scoreboard_no_assembly(run):
    atlas = build(run, genes=None, scoreboard=None, assembly=None)
    index = index_of(atlas)
    assert (index["has_genes"], index["scoreboard"], index["assembly"]) == (False, [], None)
    assert not (atlas / "data/genes.js").exists()


# --- inputs at fault ------------------------------------------------------------------------------


def test_missing_files_are_all_named(run):
    for name in ("umap.tsv", "seqlets/background.fa", "examples.h5"):
        (run / name).unlink()
    with pytest.raises(InputError, match=r"'umap\.tsv', 'seqlets/background\.fa', 'examples\.h5'"):
        build(run)


def test_examples_of_other_nodes_are_refused(run):
    with h5py.File(run / "examples.h5", "a") as handle:
        handle["node"][:] = handle["node"][:][::-1]
    with pytest.raises(ContractError, match="examples are of other nodes.*12 nodes.*collect_examples"):
        build(run)


def test_a_file_of_examples_that_is_none_or_lacks_something(run):
    with h5py.File(run / "examples.h5", "a") as handle:
        del handle["motif_at"]
    with pytest.raises(ContractError, match="incomplete.*motif_at"):
        build(run)
    (run / "examples.h5").write_text("no HDF5")
    with pytest.raises(InputError, match=r"Cannot read the examples.*examples\.h5"):
        build(run)


@pytest.mark.parametrize("name", ["motifs", "matches", "overlaps", "repeats"])
def test_tables_of_other_nodes_are_refused(run, name):
    rewrite(run / f"{name}.tsv", name, node=99_999)
    with pytest.raises(ContractError, match=rf"{name}\.tsv holds nodes that nodes\.tsv does not.*99999"):
        build(run)


def test_what_does_not_belong_together_is_refused(run):
    folder = run.parents[1]
    with pytest.raises(ContractError, match="targets that the motif database does not hold"):
        write_meme(folder / "other.meme", read_meme(folder / "database.meme")[:1])
        build(run, database=folder / "other.meme")
    manifest = read_table(run / "seqlets/manifest.tsv", "seqlet_manifest")
    write_table(manifest.iloc[:-1], run / "seqlets/manifest.tsv", "seqlet_manifest")
    with pytest.raises(ContractError, match=r"seqlets are of other nodes.*manifest\.tsv"):
        build(run)
    umap = read_table(run / "umap.tsv", "umap")
    write_table(umap.iloc[1:], run / "umap.tsv", "umap")
    with pytest.raises(ContractError, match=r"different nodes.*umap\.tsv.*11 nodes.*12 nodes"):
        build(run)
    write_meme(run / "motifs.meme", read_meme(run / "motifs.meme")[1:])
    write_table(umap, run / "umap.tsv", "umap")
    with pytest.raises(ContractError, match=r"motifs \(motif_id\) are not in the motif file.*_m1"):
        build(run)
    rewrite(run / "nodes.tsv", "nodes", rank=pd.array(range(2, 14), "Int64"))
    with pytest.raises(ContractError, match="do not count from 1"):
        build(run)


@pytest.mark.parametrize(
    "line", ["chr1\t5\t9\n", "chr1\t9\t5\tX\n", "chr1\ta\t5\tX\n", "chr1 5 9 X\n", "chr1\t5\t9\t\n"]
)
def test_a_gene_without_place_or_name_names_its_line(run, line):
    genes = run.parents[1] / "genes.bed"
    genes.write_text(f"# a comment\ntrack name=x\nchr1\t5\t9\tX\n{line}")
    with pytest.raises(InputError, match=r"no place or no name.*genes\.bed:4"):
        build(run)


def test_repeated_genes_are_one_and_order_is_by_name(run):
    genes = run.parents[1] / "genes.bed"
    genes.write_text("chr2\t5\t9\tB\nchr1\t7\t9\tA\nchr2\t5\t9\tB\t0\t+\nchr1\t5\t9\tA\n")
    found = read(build(run), "genes")
    assert (found["genes"], found["start"].tolist()) == (["A", "A", "B"], [5, 7, 5])


# --- faults while it is written -------------------------------------------------------------------


def test_a_full_disk_leaves_the_old_atlas_and_nothing_else(run, monkeypatch):
    before = files_of(build(run))
    written = []

    def full(self, data):
        if "nodes_0000" in self.name:
            raise OSError(errno.ENOSPC, "No space left on device", str(self))
        written.append(self.name)
        return original(self, data)

    original = Path.write_bytes
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        build(run)
    assert "targets.js" in written, "the disk was full in the middle"
    assert files_of(run / "atlas") == before
    assert [path.name for path in run.iterdir() if "atlas" in path.name] == ["atlas"]


def test_the_program_says_that_the_disk_is_full(run, tmp_path):
    stand_in = tmp_path / "site"
    stand_in.mkdir()
    (stand_in / "sitecustomize.py").write_text(
        "import errno, pathlib\n"
        "def full(self, data):\n"
        "    raise OSError(errno.ENOSPC, 'No space left on device', str(self))\n"
        "pathlib.Path.write_bytes = full\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(stand_in)}
    command = [sys.executable, program.__file__, *words(run, run / "atlas")]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "The disk is full" in ended.stderr
    assert not [path for path in run.iterdir() if "atlas" in path.name]


def test_a_kill_leaves_nothing_that_passes_for_an_atlas_and_the_next_build_cleans_up(run, tmp_path):
    stand_in = tmp_path / "site"
    stand_in.mkdir()
    mark = tmp_path / "reached"
    (stand_in / "sitecustomize.py").write_text(
        "import pathlib, time\n"
        "write = pathlib.Path.write_bytes\n"
        "def slow(self, data):\n"
        "    done = write(self, data)\n"
        "    if self.name == 'nodes_0000.js':\n"
        f"        pathlib.Path({str(mark)!r}).touch()\n"
        "        time.sleep(600)\n"
        "    return done\n"
        "pathlib.Path.write_bytes = slow\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(stand_in)}
    command = [sys.executable, program.__file__, *words(run, run / "atlas")]
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
        while not mark.exists() and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    assert mark.exists()
    left = [path.name for path in run.iterdir() if "atlas" in path.name]
    assert len(left) == 1
    assert left[0].startswith(".atlas.")
    build(run)
    assert [path.name for path in run.iterdir() if "atlas" in path.name] == ["atlas"]


def test_the_program_needs_a_run(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(
        sys, "argv", ["build_atlas.py", "--run", str(tmp_path / "none"), "--database", "x", "--output", "y"]
    )
    with pytest.raises(SystemExit) as ended:
        program.main()
    assert ended.value.code == 2
    assert "no such file or folder" in capsys.readouterr().err
