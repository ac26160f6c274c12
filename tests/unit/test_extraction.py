"""Extraction: what lies in the store is what the model gives, wherever windows are cut and files begin."""

import json
from dataclasses import replace

import h5py
import numpy as np
import pytest
import torch
from helpers_hosts import LAYERS, TINY, Attending, Unpadded, asked, tiny_host, write_bed, write_genome
from helpers_store import write_files
from hypothesis import given, settings
from hypothesis import strategies as st

from biosae import artefacts, extraction
from biosae.activations import ActivationStore
from biosae.encoding import encode_store
from biosae.errors import ConfigError, ContractError, InputError
from biosae.extraction import extract_files
from biosae.extraction_chunks import Halo, pieces
from biosae.extraction_store import plan_store
from biosae.genome import Genome
from biosae.geometry import Layer
from biosae.hosts.host import Host
from biosae.hosts.loading import load_host
from biosae.hosts.onehot import encode, reverse_complement

LENGTH = 640
INTERVALS = (
    ("chr1", 200, 840),
    ("chr2", 100, 740),
    ("chr1", 1500, 2140),
    ("chr1", 300, 940),
    ("chr2", 0, 640),
)


@pytest.fixture
def world(tmp_path):
    """A genome and a BED of five windows that touch no end but one."""
    return write_genome(tmp_path), write_bed(tmp_path, *INTERVALS)


def extract(world, folder, wanted=None, piece_bp=None, spec=TINY, numbers=None):
    genome, bed = world
    plan_store(spec, bed, genome, folder, wanted or asked())
    extract_files(load_host(spec), Genome(genome), folder, numbers, piece_bp)
    return ActivationStore.open(folder, 0, spec.layer.channels, spec.layer.stride_bp, spec.layer.name)


def rows(store):
    return np.stack([store.read(i * store.positions, store.positions) for i in range(store.n_sequences)])


def expected(world, place, reverse=False, spec=TINY):
    """Activations of one window, from the model itself, in forward order."""
    onehot = encode(Genome(world[0]).segment(*place))
    onehot = reverse_complement(onehot) if reverse else onehot
    found = load_host(spec).activations(torch.from_numpy(onehot))[0].numpy()
    return found[::-1] if reverse else found


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


def test_what_is_finished_is_kept_and_a_half_file_is_none(world, tmp_path):
    genome, bed = world
    folder = tmp_path / "s"
    plan_store(TINY, bed, genome, folder, asked(files=3))
    host, calls = load_host(TINY), []
    real = host.activations

    def fails_in_the_second_file(onehot):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(onehot)

    host.activations = fails_in_the_second_file
    with pytest.raises(KeyboardInterrupt):
        extract_files(host, Genome(genome), folder)
    assert [path.name for path in folder.glob("*.h5")] == ["activations_0.h5"]
    kept = (folder / "activations_0.h5").stat().st_mtime_ns
    calls.clear()
    extract_files(host := load_host(TINY), Genome(genome), folder)
    assert (folder / "activations_0.h5").stat().st_mtime_ns == kept
    whole = extract(world, tmp_path / "whole")
    assert np.abs(rows(ActivationStore.open(folder)) - rows(whole)).max() <= 1e-6


def test_what_a_killed_job_left_goes_and_what_others_write_stays(world, tmp_path):
    folder = tmp_path / "s"
    plan_store(TINY, world[1], world[0], folder, asked(files=2))
    dead = 2**22 + 1  # above the largest process number of Linux
    for name in (f".activations_0.h5.{dead}.tmp", f".activations_1.h5.{dead}.tmp"):
        (folder / name).touch()
    extract_files(load_host(TINY), Genome(world[0]), folder, [0])
    assert [path.name for path in folder.glob(".*.tmp")] == [f".activations_1.h5.{dead}.tmp"]


def test_one_file_is_written_alone(world, tmp_path):
    genome, bed = world
    plan_store(TINY, bed, genome, tmp_path / "s", asked(files=3))
    extract_files(load_host(TINY), Genome(genome), tmp_path / "s", [1])
    assert [path.name for path in (tmp_path / "s").glob("*.h5")] == ["activations_1.h5"]
    with pytest.raises(InputError, match="no such file"):
        extract_files(load_host(TINY), Genome(genome), tmp_path / "s", [3])


def test_a_file_of_another_plan_is_refused(world, tmp_path):
    extract(world, tmp_path / "s", asked(files=2))
    with pytest.raises(InputError, match="made by another plan"):
        extract(world, tmp_path / "s", asked(files=2, context_bp=4))


def test_files_that_a_smaller_plan_has_not_are_refused(world, tmp_path):
    extract(world, tmp_path / "s", asked(files=3))
    with pytest.raises(InputError, match=r"activations_2\.h5"):
        plan_store(TINY, world[1], world[0], tmp_path / "s", asked(files=2))


@pytest.mark.parametrize("change", [{"weights": "random:2"}, {"precision": "bfloat16"}])
def test_another_model_than_the_planned_one_is_refused(world, tmp_path, change):
    plan_store(TINY, world[1], world[0], tmp_path / "s", asked())
    with pytest.raises(ContractError, match="not the one that this store was planned with"):
        extract_files(load_host(replace(TINY, **change)), Genome(world[0]), tmp_path / "s")


def test_a_folder_without_a_plan_is_refused(world, tmp_path):
    with pytest.raises(InputError, match="has no plan"):
        extract_files(tiny_host(), Genome(world[0]), tmp_path)


def test_the_description_says_what_made_the_store(world, tmp_path):
    extract(world, tmp_path / "s", asked(context_bp=8, assembly="toy", files=2))
    told = json.loads((tmp_path / "s" / "store.json").read_text())
    assert told["weights"]["source"] == "random:1" and len(told["weights"]["sha256"]) == 64
    assert told["layer"] == {**LAYERS["tower.3"].as_dict()}
    assert told["geometry"] == {
        "claimed": {"stride_bp": 4, "left_bp": 11, "right_bp": 15},
        "measured": {"stride_bp": 4, "left_bp": 11, "right_bp": 15, "whole_window": False},
    }
    assert told["window"] == {
        "input_bp": 656, "core_bp": 640, "context_bp": 8, "keep": "core", "positions": 160,
    }  # fmt: skip
    assert (told["assembly"], told["dtype"], told["files"], told["module"]) == (
        "toy",
        "float32",
        2,
        "tower.3",
    )
    assert told["counts"]["beyond"] == 1 and told["counts"]["beyond_bases"] == 8
    assert str(tmp_path) not in json.dumps(told)
    with pytest.raises(InputError, match=r"store\.json contradicts"):
        ActivationStore.open(tmp_path / "s", layer="conv1d_2")


def test_a_wrong_geometry_is_refused_before_anything_is_written(world, tmp_path):
    wrong = replace(TINY, layer=Layer("tower.3", "tower.3", 6, 4, 10, 15))
    with pytest.raises(InputError, match="not what its gradient shows"):
        plan_store(wrong, world[1], world[0], tmp_path / "s", asked())
    assert not (tmp_path / "s").exists()


def test_a_network_without_padding_needs_context(world, tmp_path):
    torch.manual_seed(0)
    host = Host(Unpadded(), Layer("only", "only", 3, 2, 0, 6))
    spec = replace(TINY, layer=host.layer)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("biosae.extraction_store.load_host", lambda _: host)
        for name, context in (("none", 0), ("some", 6)):
            plan_store(spec, world[1], world[0], tmp_path / name, asked(context_bp=context))
    with pytest.raises(ContractError, match="fewer positions"):
        extract_files(host, Genome(world[0]), tmp_path / "none")
    extract_files(host, Genome(world[0]), tmp_path / "some", piece_bp=50)
    found = rows(ActivationStore.open(tmp_path / "some", stride_bp=2))[0]
    onehot = encode(Genome(world[0]).segment("chr1", 194, 846))
    whole = host.activations(torch.from_numpy(onehot))[0].numpy()
    assert np.abs(found - whole[3 : 3 + 320]).max() <= 1e-6


def test_a_layer_that_reads_everything_is_extracted_whole(world, tmp_path, caplog):
    torch.manual_seed(0)
    host = Host(Attending(), Layer("last", "last", 5, 4, 0, 4))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("biosae.extraction_store.load_host", lambda _: host)
        plan_store(replace(TINY, layer=host.layer), world[1], world[0], tmp_path / "s", asked())
    assert "reads the whole input" in caplog.text
    extract_files(host, Genome(world[0]), tmp_path / "s", piece_bp=16)
    onehot = torch.from_numpy(encode(Genome(world[0]).segment(*INTERVALS[0])))
    found = rows(ActivationStore.open(tmp_path / "s"))[0]
    assert np.abs(found - host.activations(onehot)[0].numpy()).max() <= 1e-6


def test_nodes_are_not_read_from_reverse_strands(tmp_path):
    class Model:
        n_nodes, channels = 2, 3

    write_files(tmp_path, [np.zeros((1, 8, 3), np.float32)])
    (tmp_path / "intervals.tsv").write_text("chrom\tstart\tend\tfile\trow\tstrand\nchr1\t0\t32\t0\t0\t-\n")
    store = ActivationStore.open(tmp_path)
    assert store.intervals["strand"].tolist() == ["-"]
    with pytest.raises(InputError, match="read from forward strands"):
        encode_store(Model(), store, 1, 1)


def test_a_store_without_strands_is_forward(tmp_path):
    write_files(tmp_path, [np.zeros((1, 8, 3), np.float32)])
    (tmp_path / "intervals.tsv").write_text("chrom\tstart\tend\tfile\trow\nchr1\t0\t32\t0\t0\n")
    assert ActivationStore.open(tmp_path).intervals["strand"].tolist() == ["+"]
    (tmp_path / "intervals.tsv").write_text("chrom\tstart\tend\tfile\trow\tstrand\nchr1\t0\t32\t0\t0\t?\n")
    with pytest.raises(InputError, match="neither"):
        ActivationStore.open(tmp_path)


def test_a_block_longer_than_an_interval_is_refused(world, tmp_path):
    with pytest.raises(ConfigError, match="longer than what is kept"):
        plan_store(TINY, world[1], world[0], tmp_path / "s", asked(subsample_share=0.5, subsample_block=161))


def test_files_lie_contiguous_and_little_endian(world, tmp_path):
    extract(world, tmp_path / "s", asked(dtype="float16"))
    with h5py.File(tmp_path / "s" / "activations_0.h5") as handle:
        data = handle["activations"]
        assert data.chunks is None and data.dtype == np.dtype("<f2")
