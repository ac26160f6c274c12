"""Specificity and strands: planted truth, nulls, strand symmetry, a slow reference, bad input."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from biosae.artefacts import read_table, write_table
from biosae.errors import ConfigError, ContractError, InputError
from biosae.motifs.formats import write_meme
from biosae.specificity import Settings, counts_of
from biosae.specificity_run import measure_run, read_run
from biosae.strand import excess, palindrome_correlation, read_strands
from biosae.stream_sample import BLOCK_POSITIONS
from unit.helpers_specificity import (
    LEFT,
    PAIR,
    PALINDROME,
    RIGHT,
    planted_world,
    reverse_complement,
    sharp_motif,
    write_run_tables,
    write_world,
)

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "measure_specificity.py"
WINDOW = LEFT + RIGHT
ALL = 10**6  # positions: the whole of any store here


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("planted")
    world = planted_world()
    run = write_world(folder, world)
    return folder, world, run


def measured(folder: Path, run: Path, settings: Settings | None = None, **options) -> pd.DataFrame:
    options = {"sample_positions": ALL, **options}
    return measure_run(run, folder / "store", folder / "genome.fa", settings or Settings(), **options)[0]


def test_planted_detectors_are_specific_and_find_their_partner(planted):
    folder, _, run = planted
    table = measured(folder, run).set_index("node")
    assert (table["motif_f1"] > 0.9).all() and (table["seqlets_with_motif"] == 1).all()
    assert (table["hits_fired"] > 0.95).all() and (table["hits_fired_chance"] < 0.1).all()
    assert (table["motif_auroc"] > 0.95).all()
    assert table["strand_class"].tolist() == ["paired", "paired", "palindromic", "strand_specific"]
    assert table["partner_node"].tolist()[:3] == [1, 0, 2] and pd.isna(table["partner_node"][3])
    assert table["partner_mutual"].tolist()[:3] == [True, True, True]
    assert (table["partner_share"][:3] > 0.95).all() and pd.isna(table["partner_share"][3])
    assert (table["own_reverse_share"][[0, 1, 3]] < 0.1).all() and table["own_reverse_share"][2] > 0.95
    assert table["palindrome_correlation"][2] == pytest.approx(1)
    assert (table["motif_strand"] == "+").all() and (table["n_positions"] == 8192).all()
    # 60 sites a word and chromosome, and few by chance
    assert table["n_hits"].between(110, 150).all()


def test_threads_change_nothing(planted):
    folder, _, run = planted
    pd.testing.assert_frame_equal(measured(folder, run), measured(folder, run, threads=2))


def test_a_sample_is_a_part_of_the_whole(planted):
    folder, _, run = planted
    whole, part = measured(folder, run), measured(folder, run, sample_positions=4000)
    assert (part["n_positions"] == 8 * BLOCK_POSITIONS).all()
    assert (part["n_hits"] < whole["n_hits"]).all() and (part["motif_f1"] > 0.9).all()


FIGURES = ["n_fired", "n_hits", "n_reverse_hits", "seqlets_with_motif", "hits_fired", "hits_fired_chance",
           "motif_f1", "motif_auroc", "strand_class", "partner_share", "own_reverse_share"]  # fmt: skip


@pytest.mark.parametrize("sample", [ALL, 4096])
def test_reverse_complement_of_everything_changes_nothing(tmp_path, planted, sample):
    folder, world, run = planted
    turned = replace(world.turned(), words=[reverse_complement(word) for word in world.words])
    other = write_world(tmp_path, turned)
    mirror = measured(tmp_path, other, sample_positions=sample)
    own = measured(folder, run, sample_positions=sample)
    if sample == ALL:  # a sample of half the blocks holds the mirrored other half
        pd.testing.assert_frame_equal(mirror[FIGURES], own[FIGURES], rtol=1e-9)
    for name in ("strand_class", "partner_node", "partner_mutual"):
        assert mirror[name].tolist() == own[name].tolist() or mirror[name].equals(own[name])


def test_reverse_complement_of_the_genome_swaps_strands_and_partners(tmp_path, planted):
    folder, world, run = planted
    turned = measured(tmp_path, write_world(tmp_path, world.turned()))
    own = measured(folder, run)
    pair = own.iloc[[1, 0, 2]].reset_index(drop=True)
    pd.testing.assert_frame_equal(turned.iloc[:3][FIGURES], pair[FIGURES], rtol=1e-9)
    assert turned["n_hits"][3] == own["n_reverse_hits"][3] and turned["n_reverse_hits"][3] == own["n_hits"][3]


def test_a_motif_written_on_the_other_strand_is_turned(tmp_path, planted):
    folder, world, run = planted
    motifs = [sharp_motif("", word).reverse_complement() for word in world.words]
    write_world(tmp_path, world, motifs)
    turned, own = measured(tmp_path, tmp_path / "run"), measured(folder, run)
    assert turned["motif_strand"].tolist() == ["-", "-", "+", "-"]
    pd.testing.assert_frame_equal(turned[FIGURES], own[FIGURES], rtol=1e-9)


def test_with_both_strands_hits_of_either_count(planted):
    folder, _, run = planted
    table = measured(folder, run, Settings(strand="both"))
    one = measured(folder, run)
    share = one["n_hits"] / (one["n_hits"] + one["n_reverse_hits"])
    expected = share * one["hits_fired"] + (1 - share) * one["own_reverse_share"]
    # twice the hits, so that a node is asked to fire at twice the positions, some of them by chance
    assert (table["hits_fired"] - expected).between(-1e-9, 0.02).all()
    assert (table["n_fired"] >= one["n_fired"]).all() and table["n_fired"][3] > one["n_fired"][3]
    assert table["strand_class"].tolist() == one["strand_class"].tolist()


def test_a_node_without_a_motif_and_one_with_too_few_hits(tmp_path):
    world = planted_world(bases=8192, chromosomes=1, sites=40)
    rare = sharp_motif("", "ACGTTGCAACGGTTAC")
    run = write_world(tmp_path, world, [sharp_motif("", PAIR), None, sharp_motif("", PALINDROME), rare])
    settings = Settings()
    table = measured(tmp_path, run, settings).set_index("node")
    assert pd.isna(table["motif_id"][1]) and table["n_fired"][1] == 0 and pd.isna(table["fires_at"][1])
    assert table["n_hits"][3] < 20
    for node in (1, 3):
        assert table.loc[node, ["hits_fired", "motif_f1", "partner_node", "partner_share"]].isna().all()
        assert table["strand_class"][node] == "unknown"
    assert table["seqlets_with_motif"][3] == 0 and pd.isna(table["seqlets_with_motif"][1])
    assert table["hits_fired"][0] > 0.9
    # its partner has no motif, so it is not known to fire anywhere
    assert table["strand_class"][0] == "strand_specific"
    counts = counts_of(table.reset_index(), settings)
    assert (counts["nodes"], counts["without a motif"], counts["with fewer than 20 hits"]) == (4, 1, 1)


def test_no_kept_node_gives_an_empty_table(tmp_path):
    run = write_world(tmp_path, planted_world(bases=2048, chromosomes=1, sites=10))
    for name, schema in (("selected_nodes", "selected_nodes"), ("motifs", "motifs")):
        write_table(read_table(run / f"{name}.tsv", schema).iloc[:0], run / f"{name}.tsv", schema)
    write_meme(run / "motifs.meme", [])
    assert len(measured(tmp_path, run)) == 0


def test_a_partner_must_beat_chance():
    counts, chance = np.array([30, 30, 2, 12]), np.array([0.05, 0.9, 0.02, 0.25])
    found = excess(counts, 40, chance, 4)
    assert found[0] == pytest.approx((0.75 - 0.05) / 0.95)
    # a node that fires everywhere; too few; no more than chance
    assert found[1:].tolist() == [0, 0, 0]
    assert excess(np.array([40]), 40, np.array([1.0]), 1).tolist() == [0]
    own = np.array([0, 0, 0, 38]), 40
    read = read_strands(3, own, (counts, 40), chance, 20, 0.5)
    assert (read.strand_class, read.partner) == ("paired", 0)
    assert read_strands(3, own, (counts, 19), chance, 20, 0.5).strand_class == "unknown"
    assert read_strands(2, own, (counts, 40), chance, 20, 0.5).strand_class == "unknown"
    weak = np.array([10, 0, 0, 0]), 40
    assert read_strands(3, own, weak, chance, 20, 0.5).strand_class == "strand_specific"
    itself = np.array([30, 0, 0, 36]), 40
    assert read_strands(3, own, itself, chance, 20, 0.5) == read_strands(3, own, own, chance, 20, 0.5)


def test_palindromes():
    assert palindrome_correlation(sharp_motif("", PALINDROME).matrix) == pytest.approx(1)
    assert palindrome_correlation(sharp_motif("", PAIR).matrix) < 0.5
    assert palindrome_correlation(np.full((6, 4), 0.25)) is None


def test_a_motif_wider_than_the_window_is_refused(tmp_path, planted):
    folder, world, _ = planted
    wide = sharp_motif("", "ACGT" * 5)
    write_run_tables(tmp_path / "run", world, [wide, None, None, None])
    (tmp_path / "run" / "checkpoint").symlink_to(folder / "run" / "checkpoint")
    with pytest.raises(InputError, match=r"wider than the window.*1_n0_m1 of node 0, 20 bp.*at most 18 bp"):
        measured(folder, tmp_path / "run")


def test_a_store_of_another_layer_is_refused(tmp_path, planted):
    folder, world, run = planted
    other = replace(world, words=[*world.words, PAIR])
    write_world(tmp_path, other)
    with pytest.raises(InputError, match="channels"):
        measure_run(run, tmp_path / "store", folder / "genome.fa", Settings(), sample_positions=ALL)


def test_a_motif_without_a_matrix_and_seqlets_of_two_widths_are_refused(tmp_path, planted):
    _, world, _ = planted
    write_run_tables(tmp_path, world)
    write_meme(tmp_path / "motifs.meme", [replace(sharp_motif("", PAIR), id="1_n0_m1")])
    with pytest.raises(ContractError, match=r"3 motifs of motifs\.tsv have no matrix"):
        read_run(tmp_path)
    write_run_tables(tmp_path, world)
    (tmp_path / "seqlets" / "2_n1.fa").write_text(">chr1:0-4(+)\nACGT\n")
    with pytest.raises(InputError, match="differ in width"):
        read_run(tmp_path)
    (tmp_path / "seqlets" / "2_n1.fa").write_text(">chr1:0-4(+)\nACGT\n>chr1:9-12(+)\nACG\n")
    with pytest.raises(InputError, match="differ in length"):
        read_run(tmp_path)


@pytest.mark.parametrize("wrong", [{"hit_p": 0}, {"site_share": 1.1}, {"min_hits": 0}, {"strand": "-"}])
def test_settings_without_sense_are_refused(wrong):
    with pytest.raises(ConfigError, match="cannot be measured"):
        Settings(**wrong)


def run_program(folder: Path, run: Path, genome: Path, output: Path) -> subprocess.CompletedProcess:
    words = ["--run", run, "--activations", folder / "store", "--genome", genome, "--output", output]
    options = ["--device", "cpu", "--sample-positions", "5000"]
    command = [sys.executable, SCRIPT, *words, *options]
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)


def test_the_program_writes_the_table_and_refuses_another_genome(tmp_path, planted):
    folder, _, run = planted
    done = run_program(folder, run, folder / "genome.fa", tmp_path / "a" / "specificity.tsv")
    assert done.returncode == 0, done.stderr
    table = read_table(tmp_path / "a" / "specificity.tsv", "specificity")
    assert table["strand_class"].tolist() == ["paired", "paired", "palindromic", "strand_specific"]
    made_by = json.loads((tmp_path / "a" / "specificity.tsv.json").read_text())
    assert made_by["counts"]["strand paired"] == 2 and made_by["settings"]["sample_positions"] == 5000
    # a genome that lacks a chromosome: one paragraph, nothing written
    (tmp_path / "short.fa").write_text((folder / "genome.fa").read_text().split(">chr2")[0])
    done = run_program(folder, run, tmp_path / "short.fa", tmp_path / "c.tsv")
    assert done.returncode == 2 and "Chromosome 'chr2'" in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "c.tsv").exists()
