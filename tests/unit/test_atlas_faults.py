"""Poor runs, inputs at fault, and faults while an atlas is written."""

from __future__ import annotations

import errno
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
from helpers_atlas import build, command_of, files_of, index_of, made_run, nodes_of, read, rewrite

import build_atlas as program
from biosae.artefacts import read_table, write_table
from biosae.errors import ContractError, InputError
from biosae.motifs.formats import read_meme, write_meme


@pytest.fixture
def run(tmp_path):
    return made_run(tmp_path / "a b'c")


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
    with pytest.raises(ContractError, match=r"examples are of other nodes.*12 nodes.*collect_examples"):
        build(run)


def test_a_file_of_examples_that_is_none_or_lacks_something(run):
    with h5py.File(run / "examples.h5", "a") as handle:
        del handle["motif_at"]
    with pytest.raises(ContractError, match=r"incomplete.*motif_at"):
        build(run)
    (run / "examples.h5").write_text("no HDF5")
    with pytest.raises(InputError, match=r"Cannot read the examples.*examples\.h5"):
        build(run)


@pytest.mark.parametrize("name", ["motifs", "matches", "overlaps", "repeats"])
def test_tables_of_other_nodes_are_refused(run, name):
    nodes = read_table(run / f"{name}.tsv", name)["node"]
    rewrite(run / f"{name}.tsv", name, node=[*nodes[:-1], 99_999])
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
    command = command_of(run, run / "atlas")
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
    command = command_of(run, run / "atlas")
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
