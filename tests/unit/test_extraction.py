"""Extraction: what lies in the store is what the model gives, wherever windows are cut and files begin."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers_extraction import INTERVALS, LENGTH, expected, extract, made_world, rows
from helpers_hosts import LAYERS, TINY, asked, write_bed, write_genome
from hypothesis import given, settings
from hypothesis import strategies as st

from biosae import artefacts, extraction
from biosae.errors import InputError
from biosae.extraction import extract_files
from biosae.extraction_chunks import Halo, pieces
from biosae.extraction_store import plan_store
from biosae.genome import Genome
from biosae.hosts.loading import load_host
from biosae.hosts.onehot import encode


@pytest.fixture
def world(tmp_path):
    """A genome and a BED of five windows."""
    return made_world(tmp_path)


@settings(max_examples=200, deadline=None)
@given(
    st.integers(1, 60),
    st.integers(1, 300),
    st.sampled_from([(4, 11, 15), (2, 7, 9), (2, 0, 6), (1, 3, 4), (8, -2, 9)]),
)
def test_pieces_hold_each_position_once_and_all_that_it_reads(positions, piece_bp, shape):
    halo = Halo(*shape)
    length, stride = positions * halo.stride_bp, halo.stride_bp
    found = list(pieces(length, piece_bp, halo))
    assert [p for piece in found for p in range(piece.first, piece.end)] == list(range(positions))
    for piece in found:
        assert 0 <= piece.begin_bp < piece.end_bp <= length
        assert piece.begin_bp % stride == 0 and piece.end_bp % stride == 0
        assert piece.skip == piece.first - piece.begin_bp // stride >= 0
        assert piece.begin_bp <= max(0, stride * piece.first - halo.left_bp)
        assert piece.end_bp >= min(length, stride * (piece.end - 1) + halo.right_bp)
        assert piece.end_bp >= stride * piece.end


def test_a_layer_that_reads_everything_is_never_cut():
    assert [(p.begin_bp, p.end_bp) for p in pieces(640, 16, Halo(4, 0, 4, whole=True))] == [(0, 640)]


def test_the_store_holds_what_the_model_gives(world, tmp_path):
    store = extract(world, tmp_path / "s")
    assert (store.n_sequences, store.positions, store.channels) == (5, LENGTH // 4, 6)
    for number, place in enumerate(INTERVALS):
        assert np.array_equal(rows(store)[number], expected(world, place))
        interval = store.intervals.iloc[number]
        assert (interval["chrom"], interval["start"], interval["end"]) == place


@pytest.mark.parametrize("path", LAYERS)
@pytest.mark.parametrize("piece_bp", [1, 4, 7, 64, 100, 333, 636, 640, 1300])
def test_pieces_equal_the_whole(world, tmp_path, path, piece_bp):
    spec = replace(TINY, layer=LAYERS[path])
    whole = rows(extract(world, tmp_path / "whole", spec=spec))
    cut = rows(extract(world, tmp_path / "cut", piece_bp=piece_bp, spec=spec))
    assert np.abs(whole - cut).max() <= 1e-6


def test_a_halo_that_is_too_small_would_be_seen(world, tmp_path, monkeypatch):
    """The test above can fail: with half of the receptive field as halo it does."""
    real = extraction.Halo
    monkeypatch.setattr(
        extraction, "Halo", lambda stride, left, right, whole: real(stride, left // 2, right // 2, whole)
    )
    whole = rows(extract(world, tmp_path / "whole"))
    cut = rows(extract(world, tmp_path / "cut", piece_bp=64))
    assert np.abs(whole - cut).max() > 1e-3


def test_the_number_of_files_changes_no_number(world, tmp_path):
    one = extract(world, tmp_path / "one", piece_bp=2000)
    three = extract(world, tmp_path / "three", asked(files=3), piece_bp=2000)
    assert three.intervals["file"].tolist() == [0, 1, 1, 2, 2]
    assert np.abs(rows(one) - rows(three)).max() <= 1e-6
    columns = ["chrom", "start", "end"]
    assert one.intervals[columns].equals(three.intervals[columns])


def test_the_other_strand_stands_in_forward_order(world, tmp_path):
    store = extract(world, tmp_path / "s", asked(strand="reverse"), piece_bp=100)
    assert store.intervals["strand"].tolist() == ["-"] * 5
    for number, place in enumerate(INTERVALS):
        assert np.abs(rows(store)[number] - expected(world, place, reverse=True)).max() <= 1e-6


def test_a_position_of_the_other_strand_covers_its_own_bases(tmp_path):
    """A changed letter moves only positions whose window holds it, on both strands."""
    genome = write_genome(tmp_path)
    world = (genome, write_bed(tmp_path, ("chr1", 200, 840)))
    before = rows(extract(world, tmp_path / "a", asked(strand="both")))
    lines = genome.read_text().splitlines()
    base, line = 520, 1 + 520 // 60
    old = lines[line][base % 60]
    lines[line] = (
        lines[line][: base % 60] + ("A" if old.upper() != "A" else "C") + lines[line][base % 60 + 1 :]
    )
    genome.write_text("\n".join(lines) + "\n")
    (tmp_path / "genome.fa.fai").unlink()
    moved = np.abs(rows(extract(world, tmp_path / "b", asked(strand="both"))) - before).max(2) > 1e-7
    for row, (left, right) in enumerate([(11, 15), (15 - 4, 11 + 4)]):
        start = 200 + 4 * np.arange(160)
        reads = (start - left <= base) & (base < start + right)
        assert moved[row].any() and not (moved[row] & ~reads).any()


def test_both_strands_are_two_rows_of_an_interval(world, tmp_path):
    store = extract(world, tmp_path / "s", asked(strand="both", files=2))
    assert store.intervals["strand"].tolist() == ["+", "-"] * 5
    assert store.intervals["file"].tolist() == [0] * 4 + [1] * 6
    found = rows(store)
    assert np.array_equal(found[::2], rows(extract(world, tmp_path / "f")))
    assert np.array_equal(found[1::2], rows(extract(world, tmp_path / "r", asked(strand="reverse"))))


def test_the_core_is_the_inside_of_the_window(tmp_path):
    genome = write_genome(tmp_path)
    padded = extract((genome, write_bed(tmp_path, ("chr1", 160, 880))), tmp_path / "p")
    inner = (genome, write_bed(tmp_path, ("chr1", 200, 840)))
    core = extract(inner, tmp_path / "c", asked(context_bp=40), piece_bp=128)
    assert core.positions == 160 and core.intervals["start"].tolist() == [200]
    assert np.abs(rows(core)[0] - rows(padded)[0, 10:-10]).max() <= 1e-6
    window = extract(inner, tmp_path / "w", asked(context_bp=40, keep="window"))
    assert np.array_equal(rows(window), rows(padded))
    assert window.intervals["start"].tolist() == [160]


def test_intervals_of_any_length_are_taken_about_their_middle(tmp_path):
    world = write_genome(tmp_path), write_bed(tmp_path, ("chr1", 500, 501), ("chr1", 700, 1300))
    store = extract(world, tmp_path / "s", asked(length_bp=128))
    assert store.intervals[["start", "end"]].to_numpy().tolist() == [[436, 564], [936, 1064]]


def test_beyond_a_chromosome_the_model_sees_zeros(tmp_path, caplog):
    world = write_genome(tmp_path, (300,)), write_bed(tmp_path, ("chr1", 0, 128))
    store = extract(world, tmp_path / "s", asked(context_bp=64))
    letters = np.concatenate([np.full(64, ord("N"), np.uint8), Genome(world[0]).segment("chr1", 0, 192)])
    found = load_host(TINY).activations(torch.from_numpy(encode(letters)))[0, 16:48].numpy()
    assert np.array_equal(rows(store)[0], found)
    assert "1 of 1 windows reach beyond their chromosome" in caplog.text


@pytest.mark.parametrize("strand", ["forward", "both"])
def test_every_row_of_a_subsample_is_found_in_the_whole(world, tmp_path, strand):
    whole = extract(world, tmp_path / "whole", asked(strand=strand))
    wanted = asked(strand=strand, subsample_share=0.3, subsample_block=16, seed=3, files=2)
    some = extract(world, tmp_path / "some", wanted, piece_bp=100)
    n = 5 * 3 * (2 if strand == "both" else 1)  # 3 of 10 blocks a window and strand
    assert (some.n_sequences, some.positions) == (n, 16)
    every = rows(whole)
    strands = 2 if strand == "both" else 1
    for number, row in enumerate(some.intervals.itertuples()):
        window = number // (3 * strands)
        assert (row.chrom, row.end - row.start) == (INTERVALS[window][0], 64)
        at, rest = divmod(row.start - INTERVALS[window][1], 4)
        own = window * strands + (row.strand == "-")
        assert rest == 0 and at % 16 == 0
        assert np.abs(rows(some)[number] - every[own, at : at + 16]).max() <= 1e-6


def test_a_subsample_is_of_its_seed(world, tmp_path):
    def starts(seed, name):
        wanted = asked(subsample_share=0.5, subsample_block=8, seed=seed)
        plan_store(TINY, world[1], world[0], tmp_path / name, wanted)
        return artefacts.read_table(tmp_path / name / "intervals.tsv", "intervals")["start"].tolist()

    assert starts(0, "a") == starts(0, "b") != starts(1, "c")


def test_single_positions_are_a_pooled_store(world, tmp_path):
    store = extract(world, tmp_path / "s", asked(subsample_share=0.05, subsample_block=1))
    assert (store.positions, store.n_sequences) == (1, 5 * 8)
    assert store.locate(np.array([7]))[0] == 7


def test_a_number_beyond_float16_is_refused_and_leaves_no_file(world, tmp_path):
    genome, bed = world
    plan_store(TINY, bed, genome, tmp_path / "s", asked(dtype="float16"))
    host = load_host(TINY)
    real = host.activations
    host.activations = lambda x: real(x) * 1e8
    with pytest.raises(InputError, match=r"cannot be held as float16.*float32"):
        extract_files(host, Genome(genome), tmp_path / "s")
    assert not list((tmp_path / "s").glob("*.h5")) and not list((tmp_path / "s").glob(".*tmp"))


def test_float16_is_the_float32_rounded(world, tmp_path):
    half = extract(world, tmp_path / "half", asked(dtype="float16"))
    assert half.dtype == "float16"
    assert np.array_equal(
        rows(half), rows(extract(world, tmp_path / "f")).astype(np.float16).astype(np.float32)
    )
