"""Seqlets: which windows are cut, what is dropped and counted, and how they are written."""

from __future__ import annotations

import gzip
import hashlib
import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from biosae.artefacts import read_table
from biosae.errors import ConfigError, ContractError
from biosae.genome import Genome
from biosae.geometry import find_layer
from biosae.seqlets import FATES, bed_table, clear_folder, collect_seqlets, keep_strongest, write_seqlets
from unit.helpers_seqlets import TINY, random_dna, top_table, write_genome, write_run

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "write_seqlets.py"


@pytest.fixture(scope="module")
def genome(tmp_path_factory) -> Genome:
    folder = tmp_path_factory.mktemp("a genome's folder")
    text = random_dna(1000, seed=1)
    text = text[:200] + "N" * 20 + text[220:300] + text[300:400].lower() + text[400:500] + "R" + text[501:]
    return Genome(write_genome(folder / "genome.fa", {"chr1": text, "chr2": random_dna(300, seed=2)}))


def chosen(nodes: list[int]) -> pd.DataFrame:
    return pd.DataFrame({"rank": range(1, len(nodes) + 1), "node": nodes})


def keep_strongest_slow(chrom, start, window_bp):
    kept = []
    for i in range(len(start)):
        if all(chrom[i] != chrom[k] or abs(start[i] - start[k]) >= window_bp for k in kept):
            kept.append(i)
    return kept


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 120)), max_size=60),
    st.integers(1, 30),
)
def test_suppression_equals_slow_reference(windows, window_bp):
    chrom = np.array([w[0] for w in windows], dtype=np.int64)
    start = np.array([w[1] for w in windows], dtype=np.int64)
    fast = keep_strongest(chrom, start, window_bp)
    assert np.flatnonzero(fast).tolist() == keep_strongest_slow(chrom, start, window_bp)


def test_suppression_literal():
    # strongest first: 100 wins over 96 and 104; 110 touches 100-110 and stays; the other chromosome is free
    keep = keep_strongest(np.array([0, 0, 0, 1, 0]), np.array([100, 96, 104, 100, 110]), 10)
    assert keep.tolist() == [True, False, False, True, True]
    assert keep_strongest(np.array([], dtype=int), np.array([], dtype=int), 10).tolist() == []


def test_neighbouring_positions_of_one_site_are_one_seqlet(genome):
    """Trap: entered as independent sequences, shifted windows make random DNA 'significant'."""
    records = [(5, 1.0 + 0.1 * shift, "chr1", 600 + 4 * shift) for shift in (-1, 0, 1)]
    seqlets = collect_seqlets(top_table(records), chosen([5]), TINY, genome)
    assert seqlets.table["start"].tolist() == [604]  # the strongest of the three
    assert seqlets.manifest["dropped_overlap"].tolist() == [2]


def test_two_nodes_keep_the_same_locus(genome):
    records = [(5, 1.0, "chr1", 600), (6, 2.0, "chr1", 602)]
    seqlets = collect_seqlets(top_table(records), chosen([6, 5]), TINY, genome)
    assert seqlets.table[["rank", "node", "start"]].to_numpy().tolist() == [[1, 6, 602], [2, 5, 600]]


def test_window_is_the_receptive_field_not_the_published_18_bp(genome):
    layer = find_layer("conv1d_2")
    start = 1000 // 2 - layer.left_bp  # position j with stride * j = 500, in the middle of chr1
    top = top_table([(1, 1.0, "chr1", start + 100)], layer)
    seqlets = collect_seqlets(top, chosen([1]), layer, genome)
    assert (seqlets.table["end"] - seqlets.table["start"]).tolist() == [42]
    assert seqlets.letters.shape == (1, 42)
    narrow = collect_seqlets(top, chosen([1]), layer, genome, window_bp=18)
    # centred on stride * j + stride / 2 = 602
    assert narrow.table[["start", "end"]].to_numpy().tolist() == [[593, 611]]
    assert narrow.letters.tobytes() == seqlets.letters[:, 12:30].tobytes()


def test_node_that_lost_a_record_to_the_edge_keeps_the_others(genome):
    """Trap: such nodes became all zeros downstream."""
    records = [(3, 9.0, "chr1", -3), (3, 8.0, "chr2", 295), (3, 7.0, "chr2", 290), (3, 6.0, "chr1", 0)]
    seqlets = collect_seqlets(top_table(records), chosen([3]), TINY, genome)
    assert seqlets.table[["chrom", "start", "seqlet_rank"]].to_numpy().tolist() == [
        ["chr2", 290, 1],
        ["chr1", 0, 2],
    ]
    assert seqlets.table["activation"].tolist() == [7.0, 6.0]
    assert seqlets.manifest["dropped_off_chromosome"].tolist() == [2]


def test_windows_with_other_letters_are_dropped(genome):
    # N at 200-220, R at 500: windows of 10 bp touch them from start 191 and 491 on
    records = [(3, 1.0, "chr1", s) for s in (190, 191, 219, 220, 490, 491, 500, 501)]
    seqlets = collect_seqlets(top_table(records), chosen([3]), TINY, genome)
    assert sorted(seqlets.table["start"]) == [190, 220, 490, 501]
    assert seqlets.manifest["dropped_n"].tolist() == [4]


def test_dropped_window_shadows_nothing(genome):
    records = [(3, 9.0, "chr1", 191), (3, 1.0, "chr1", 190)]  # the stronger holds an N
    assert collect_seqlets(top_table(records), chosen([3]), TINY, genome).table["start"].tolist() == [190]


def test_limit_is_taken_after_suppression(genome):
    records = [(3, 9.0, "chr1", 600), (3, 8.0, "chr1", 604), (3, 7.0, "chr1", 620), (3, 6.0, "chr1", 640)]
    seqlets = collect_seqlets(top_table(records), chosen([3]), TINY, genome, per_node=2)
    assert seqlets.table["start"].tolist() == [600, 620]
    row = seqlets.manifest.iloc[0]
    assert [row[name] for name in ("n_top", *FATES)] == [4, 2, 0, 0, 1, 1]


def test_case_of_the_genome_is_kept(genome):
    seqlets = collect_seqlets(top_table([(3, 9.0, "chr1", 295)]), chosen([3]), TINY, genome)
    text = seqlets.letters.tobytes().decode()
    assert text == genome.letters("chr1")[295:305].tobytes().decode()
    assert text[:5].isupper() and text[5:].islower()
    assert seqlets.manifest["repeat_share"].tolist() == [0.5]
    gc_share = sum(letter in "CGcg" for letter in text) / 10
    assert seqlets.manifest["gc_share"].tolist() == [gc_share]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 3),
            st.floats(0.5, 9, width=32),
            st.sampled_from(["chr1", "chr2"]),
            st.integers(-20, 320),
        ),
        max_size=50,
    ),
    st.integers(1, 6),
)
def test_nothing_is_lost(genome, records, per_node):
    top = top_table(records)
    seqlets = collect_seqlets(top, chosen([2, 0, 1]), TINY, genome, per_node=per_node)
    manifest = seqlets.manifest
    assert (manifest[list(FATES)].sum(axis=1) == manifest["n_top"]).all()
    assert manifest["n_top"].tolist() == [int((top["node"] == node).sum()) for node in (2, 0, 1)]
    kept = seqlets.table
    assert manifest["n_seqlets"].tolist() == [int((kept["node"] == node).sum()) for node in (2, 0, 1)]
    for _, rows in kept.groupby("node"):
        assert rows["seqlet_rank"].tolist() == list(range(1, len(rows) + 1))
        assert rows["activation"].is_monotonic_decreasing
    for chrom, start, letters in zip(kept["chrom"], kept["start"], seqlets.letters, strict=True):
        assert letters.tobytes() == genome.letters(chrom)[start : start + 10].tobytes()
    again = collect_seqlets(
        top.sample(frac=1, random_state=1), chosen([2, 0, 1]), TINY, genome, per_node=per_node
    )
    pd.testing.assert_frame_equal(again.table, seqlets.table)  # the order of the records does not matter


def test_wrong_geometry_is_refused(genome):
    top = top_table([(3, 9.0, "chr1", 100)])
    with pytest.raises(ContractError, match=r"1 of 1 top activations do not fit layer 'conv1d_2'.*42 bp"):
        collect_seqlets(top, chosen([3]), find_layer("conv1d_2"), genome)
    with pytest.raises(ContractError, match=r"strand \+"):
        collect_seqlets(top.assign(strand="-"), chosen([3]), TINY, genome)


@pytest.mark.parametrize("option", [{"per_node": 0}, {"window_bp": 0}])
def test_nonsense_options_are_refused(genome, option):
    with pytest.raises(ConfigError, match=f"{next(iter(option))} must be 1 or more"):
        collect_seqlets(top_table([(3, 9.0, "chr1", 100)]), chosen([3]), TINY, genome, **option)


def test_bed_literal():
    table = pd.DataFrame(
        {
            "rank": [1, 1, 2],
            "node": [7, 7, 3],
            "seqlet_rank": [1, 2, 1],
            "activation": [4.0, 1.0, 2.5],
            "chrom": ["chr2", "chr1", "chr1"],
            "start": [5, 30, 30],
            "end": [15, 40, 40],
        }
    )
    assert bed_table(table).to_numpy().tolist() == [
        ["chr1", 30, 40, "1_n7", 250, "+", "1", 2],
        ["chr1", 30, 40, "2_n3", 1000, "+", "2.5", 1],
        ["chr2", 5, 15, "1_n7", 1000, "+", "4", 1],
    ]


def test_written_files(genome, tmp_path):
    records = [(7, 2.0, "chr2", 8), (7, 1.5, "chr2", 40), (4, 0.25, "chr1", 100)]
    folder = tmp_path / "seqlets"
    folder.mkdir()
    for name in ("3_n9.fa", "manifest.tsv", "notes.fa"):
        (folder / name).write_text("old")
    clear_folder(folder)
    assert [path.name for path in folder.iterdir()] == ["notes.fa"]  # what is not ours stays
    write_seqlets(collect_seqlets(top_table(records), chosen([7, 4, 2]), TINY, genome), folder, {})
    chr1, chr2 = (genome.letters(chrom).tobytes().decode() for chrom in ("chr1", "chr2"))
    assert (folder / "1_n7.fa").read_text() == (
        f">chr2:8-18(+) node=7 rank=1 act=2\n{chr2[8:18]}\n"
        f">chr2:40-50(+) node=7 rank=2 act=1.5\n{chr2[40:50]}\n"
    )
    assert (folder / "2_n4.fa").read_text() == f">chr1:100-110(+) node=4 rank=1 act=0.25\n{chr1[100:110]}\n"
    assert (folder / "3_n2.fa").read_text() == ""  # selected, but without a record
    manifest = read_table(folder / "manifest.tsv", "seqlet_manifest")
    assert manifest["n_seqlets"].tolist() == [2, 1, 0]
    assert manifest["gc_share"].isna().tolist() == [False, False, True]
    bed = gzip.decompress((folder / "seqlets.bed.gz").read_bytes()).decode()
    assert bed.splitlines()[0] == "chr1\t100\t110\t2_n4\t1000\t+\t0.25\t1"


# ---- the program ----


def run_program(monkeypatch, *options: str) -> None:
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), *options])
    runpy.run_path(str(SCRIPT), run_name="__main__")


def folder_hashes(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


@pytest.fixture
def run_folder(tmp_path, genome) -> Path:
    generator = np.random.default_rng(5)
    nodes, starts = generator.integers(0, 6, 200).tolist(), generator.integers(-9, 999, 200).tolist()
    activations = (generator.random(200) + 0.1).tolist()
    records = [(nodes[i], activations[i], "chr1", starts[i]) for i in range(200)]
    return write_run(tmp_path / "a 'run'", records, [4, 1], [["chr1", -100, 1100, 0, 1000]])


def test_program_same_seed_same_bytes(monkeypatch, run_folder, genome, tmp_path):
    options = ["--run", str(run_folder), "--genome", str(genome.path), "--background-windows", "50"]
    run_program(monkeypatch, *options)
    first = folder_hashes(run_folder / "seqlets")
    assert set(first) == {
        *("1_n4.fa", "2_n1.fa", "manifest.tsv", "manifest.tsv.json", "seqlets.bed.gz", "seqlets.bed.gz.json"),
        *("background.fa", "background.fa.json"),
    }
    run_program(monkeypatch, *options, "--output", str(tmp_path / "again"))
    assert folder_hashes(tmp_path / "again") == first
    run_program(monkeypatch, *options, "--output", str(tmp_path / "other"), "--seed", "1")
    other = folder_hashes(tmp_path / "other")
    assert {name for name in first if not name.endswith(".json") and first[name] != other[name]} == {
        "background.fa"
    }
    counts = json.loads((run_folder / "seqlets" / "background.fa.json").read_text())["counts"]
    assert counts["windows_asked_for"] == 50
    assert counts["windows"] + counts["windows_missing"] == 50


def test_program_with_an_empty_selection(monkeypatch, tmp_path, genome, caplog):
    run = write_run(tmp_path / "run", [(3, 1.0, "chr1", 100)], [], [["chr1", 0, 1000, 0, 1000]])
    (run / "seqlets").mkdir()
    (run / "seqlets" / "1_n3.fa").write_text(">old\nA\n")
    run_program(monkeypatch, "--run", str(run), "--genome", str(genome.path))
    assert len(read_table(run / "seqlets" / "manifest.tsv", "seqlet_manifest")) == 0
    assert gzip.decompress((run / "seqlets" / "seqlets.bed.gz").read_bytes()) == b""
    assert (run / "seqlets" / "background.fa").read_text() == ""
    assert not list((run / "seqlets").glob("*_n*.fa"))
    assert "No node was selected" in caplog.text


def test_program_reports_user_errors_in_one_paragraph(monkeypatch, tmp_path, genome, capsys):
    run = write_run(tmp_path / "run", [(3, 1.0, "chr1", 100)], [3], [["chrX", 0, 1000, 0, 1000]])
    with pytest.raises(SystemExit) as stop:
        run_program(monkeypatch, "--run", str(run), "--genome", str(genome.path))
    assert stop.value.code == 2
    assert "error: Chromosome 'chrX' of the activations is missing" in capsys.readouterr().err
    assert not (run / "seqlets").exists()  # refused before any work
