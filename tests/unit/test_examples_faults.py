"""Examples: planted detectors, samples of a part of the store, what cannot be shown, and bad input."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from biosae.activations import ActivationStore
from biosae.artefacts import read_table, write_table
from biosae.errors import BiosaeError, ConfigError, ContractError, InputError
from biosae.examples import BAND_TEXT, BANDS, MAX_WINDOW_BP, Settings
from biosae.examples_kernels import GROUPS, UNUSED, draw, mix, pick_apart
from biosae.examples_rows import Asked, needed_rows, read_blocks
from biosae.examples_sample import NEAR_MISS
from biosae.examples_top import PLACE
from biosae.geometry import Layer
from biosae.model import RawChannels
from unit.helpers_examples import Collected, SmallRun, motif_table, slow_mix
from unit.helpers_seqlets import random_dna, selected_table
from unit.helpers_specificity import ONE_STRAND, PAIR, planted_world, reverse_complement, sharp_motif
from unit.helpers_store import random_arrays, write_store
from unit.test_examples import toy

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "collect_examples.py"


def planted_run(folder: Path, turned: bool = False, strand: str = "given") -> SmallRun:
    """Detectors of planted words; ``turned``: their motifs are written on the other strand."""
    world = planted_world(bases=4096, chromosomes=2, sites=20)
    motifs = [sharp_motif("", word) for word in world.words]
    if turned:
        motifs = [motif.reverse_complement() for motif in motifs]
    names = [f"chr{i + 1}" for i in range(2)]
    return SmallRun(
        folder,
        RawChannels(len(world.words)),
        world.layer,
        [world.activations()],
        [(name, 0, 4096) for name in names],
        dict(zip(names, world.chromosomes, strict=True)),
        kept=[3, 0, 1, 2],
        motifs=[motifs[node] for node in (3, 0, 1, 2)],
        strand=strand,
    ).write()


@pytest.mark.parametrize("turned", [False, True])
def test_a_planted_word_is_found_at_its_place_and_strand(tmp_path, turned):
    made = planted_run(tmp_path, turned)
    found = made.collect()
    for row, word in enumerate([ONE_STRAND, PAIR, reverse_complement(PAIR)]):
        top = found.of(row, 0)
        texts = ["".join("ACGTN"[code] for code in codes) for codes in top["sequence"]]
        perfect = [text.find(word) for text in texts]
        assert len(perfect) > 20 and min(perfect[:20]) >= 0
        assert top["motif_at"][:20].tolist() == perfect[:20]
        assert (top["motif_strand"] == turned).all() and (top["has_motif"][:20] == 1).all()
        best = found.arrays["motif_best_score"][row]
        assert (top["motif_score"][:20] == best).all() and (top["peak"][:20] == 2).all()


def test_with_both_strands_a_site_of_either_is_found(tmp_path):
    made = planted_run(tmp_path, strand="both")
    found = made.collect(top_examples=5)
    # PAIR's node fires on its own strand only; hits of the other strand are its near misses
    misses = found.of(1, NEAR_MISS)
    assert len(misses["peak"]) == 20 and (misses["motif_strand"] == 1).all()
    other = reverse_complement(PAIR)
    texts = ["".join("ACGTN"[code] for code in codes) for codes in misses["sequence"]]
    assert [text.find(other) for text in texts] == misses["motif_at"].tolist()
    assert (found.of(1, 0)["motif_strand"] == 0).all() and len(found.of(1, 0)["peak"]) == 5


def test_near_misses_really_do_not_fire(tmp_path):
    """A node that misses half of the sites of its word: exactly those are near misses."""
    made = planted_run(tmp_path)
    before = made.collect(band_examples=100).of(1, NEAR_MISS)
    dense, rng = made.arrays[0], np.random.default_rng(0)
    fires = np.argwhere(dense[0, :, 0] == 2).ravel()
    sites = np.split(fires, np.flatnonzero(np.diff(fires) > 1) + 1)
    silent = [site for site in sites if rng.random() < 0.5]
    for site in silent:
        dense[0, site[0] - 1 : site[-1] + 2, 0] = 0
    made.write()
    found = made.collect(band_examples=100).of(1, NEAR_MISS)
    assert 5 < len(silent) <= len(found["peak"]) <= len(silent) + len(before["peak"])
    starts = [at for name, at in zip(found["chrom"], found["start"].tolist(), strict=True) if name == "chr1"]
    for site in silent:
        centre = 4 * site[len(site) // 2] - 7
        assert any(abs(start - centre) < 18 for start in starts), "a site that is silent is a near miss"
    for row, node in enumerate(made.kept):
        misses = made.collect().of(row, NEAR_MISS)
        assert (misses["peak"] < 2).all() and (misses["has_motif"] == 1).all(), node


@pytest.mark.parametrize("sample", [300, 1500])
def test_a_sample_of_a_part_is_drawn_from_alone(tmp_path, sample):
    made = planted_run(tmp_path)
    table = made.measure(sample)
    found = made.collect(sample_positions=sample)
    assert table["n_positions"][0] == 512 * -(-sample // 512)
    number = (2 * np.arange(-(-sample // 512)) + 1) * 4 // (2 * -(-sample // 512))
    chosen = {(f"chr{n // 2 + 1}", n % 2) for n in number.tolist()}
    for row in range(4):
        for band in range(1, len(BANDS)):
            own = found.of(row, band)
            halves = ((own["start"] + 7) // 4 // 512).tolist()
            assert set(zip(own["chrom"], halves, strict=True)) <= chosen
        assert len(found.of(row, 0)["peak"]) > 20, "the strongest are those of the whole store"


def test_a_sample_other_than_that_of_specificity_is_refused(tmp_path):
    made = planted_run(tmp_path)
    with pytest.raises(ContractError, match=r"counted other hits .* measure_specificity"):
        made.collect(sample_positions=600)
    with pytest.raises(ContractError, match="counted other hits"):
        made.collect(site_share=0.2)
    table = read_table(made.run / "specificity.tsv", "specificity")
    write_table(table.iloc[1:], made.run / "specificity.tsv", "specificity")
    with pytest.raises(ContractError, match=r"specificity\.tsv is of other nodes"):
        made.collect()


def test_other_kept_nodes_change_no_draw(tmp_path):
    made = toy(tmp_path, "topk")
    whole = made.collect()
    alone = replace(made, kept=made.kept[1:2], motifs=made.motifs[1:2])
    alone.write_tables()
    alone.measure()
    found = alone.collect()
    for band in range(len(BANDS)):
        for name, own in whole.of(1, band).items():
            np.testing.assert_array_equal(own, found.of(0, band)[name])


def test_what_was_left_out_is_counted(tmp_path):
    made = toy(tmp_path, "raw")
    found = made.collect()
    dense = made.dense()[:, :, made.kept] > 0
    start = np.array([at for _, at, _ in made.intervals])[:, None] + 4 * np.arange(60) - 7
    length = np.array([len(made.chromosomes[name]) for name, _, _ in made.intervals])[:, None]
    outside = (start < 0) | (start + 18 > length)
    assert (
        found.counts["activations left out: window over an end of its chromosome"] == dense[outside].sum() > 0
    )
    assert found.counts["nodes without a motif"] == 1
    assert found.counts["positions passed over: overlap an example of the same node and band"] > 0
    assert found.counts["windows whose own activation is not that of the first encoding"] == 0


def test_attributes_say_what_the_file_is(tmp_path):
    made = toy(tmp_path, "raw")
    attributes = made.collect().attributes
    assert (attributes["window_bp"], attributes["stride_bp"]) == (18, 4)
    assert (list(attributes["bands"]), list(attributes["band_text"])) == (list(BANDS), list(BAND_TEXT))
    assert len(BANDS) == len(BAND_TEXT) and json.loads(attributes["provenance"])["program"] == "test"
    assert "reason" not in attributes


def test_no_band_but_the_top(tmp_path):
    found = toy(tmp_path, "topk").collect(band_examples=0, top_examples=3)
    assert set(found.arrays["band"]) == {0} and np.diff(found.arrays["edges"]).max() == 3


def test_a_motif_longer_than_the_window_fits_nowhere(tmp_path):
    made = toy(tmp_path, "raw")
    long = replace(made, motifs=[sharp_motif("", "ACGTACGTACGTACGTACGT"), *made.motifs[1:]])
    long.write_tables()
    found = long.collect()
    top = found.of(0, 0)
    assert len(top["peak"]) and (top["motif_at"] == -(2**15)).all() and (top["has_motif"] == 0).all()


def no_examples(found: Collected, reason: str, nodes: int) -> None:
    assert reason in found.attributes["reason"]
    assert found.arrays["edges"].tolist() == [0] * (nodes + 1)
    assert len(found.arrays["node"]) == nodes and len(found.arrays["sequence"]) == 0


def test_no_kept_node(tmp_path):
    made = replace(toy(tmp_path, "raw"), kept=[], motifs=[])
    write_table(selected_table([]), made.run / "selected_nodes.tsv", "selected_nodes")
    shutil.rmtree(made.run / "seqlets")
    made.write_tables()
    made.measure()
    no_examples(made.collect(), "no node was kept", 0)


def test_a_pooled_store(tmp_path):
    layer = Layer("pooled", "", 3, 40, 0, 40)
    arrays = random_arrays([30], positions=1, channels=3)
    intervals = [("chr1", 40 * i, 40 * i + 40) for i in range(30)]
    letters = {"chr1": random_dna(1200, 0)}
    made = SmallRun(tmp_path, RawChannels(3), layer, arrays, intervals, letters, [0, 4], [None, None])
    no_examples(made.write().collect(), "pooled", 2)


def test_windows_too_wide_to_show(tmp_path, monkeypatch):
    made = toy(tmp_path, "raw")
    assert np.iinfo(np.int16).max == MAX_WINDOW_BP
    monkeypatch.setattr("biosae.examples_run.MAX_WINDOW_BP", 17)
    no_examples(made.collect(), "18 bp are too wide", 4)


def cut_file(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def set_nan(made: SmallRun) -> None:
    with h5py.File(made.folder / "store/activations_0.h5", "a") as file:
        file["x"][1, 30, 2] = np.nan


def move_seqlet(made: SmallRun) -> None:
    path = made.run / "seqlets/seqlets.bed.gz"
    lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    words = lines[0].split("\t")
    words[1], words[2] = str(int(words[1]) + 1), str(int(words[2]) + 1)
    path.write_bytes(gzip.compress("\n".join(["\t".join(words), *lines[1:]]).encode()))


def drop_seqlet(made: SmallRun) -> None:
    path = made.run / "seqlets/seqlets.bed.gz"
    lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    path.write_bytes(gzip.compress("\n".join(lines[1:]).encode()))


def other_store(made: SmallRun) -> None:
    shutil.rmtree(made.folder / "store")
    write_store(made.folder / "store", [-array for array in made.arrays], made.intervals)


def moved_store(made: SmallRun) -> None:
    shutil.rmtree(made.folder / "store")
    moved = [(name, start + 4, end + 4) for name, start, end in made.intervals[:2]]
    write_store(made.folder / "store", made.arrays, [*moved, *made.intervals[2:]])


FAULTS = {
    "a store file that is cut": (
        lambda made: cut_file(made.folder / "store/activations_1.h5"),
        InputError,
        "activations_1",
    ),
    "NaN in the store": (set_nan, InputError, r"NaN.*row 1, position 30, channel 2"),
    "a cut BED": (
        lambda made: cut_file(made.run / "seqlets/seqlets.bed.gz"),
        InputError,
        "Cannot read the seqlets",
    ),
    "a seqlet that lies elsewhere": (move_seqlet, ContractError, "no top activations of their nodes"),
    "a seqlet that is missing": (drop_seqlet, ContractError, "lacks seqlets that the manifest counts"),
    "cut top activations": (
        lambda made: cut_file(made.run / "top_activations.parquet"),
        InputError,
        "Cannot read the top activations",
    ),
    "a store of other numbers": (other_store, InputError, "are not those of top_activations"),
    "a store of other places": (moved_store, InputError, "of another store"),
    "a genome without a chromosome": (
        lambda made: (made.folder / "genome.fa").write_text(f">chr1\n{made.chromosomes['chr1']}\n"),
        InputError,
        "Chromosome 'chr2'",
    ),
    "other motifs": (
        lambda made: write_table(motif_table([]), made.run / "motifs.tsv", "motifs"),
        ContractError,
        "of other nodes, or of other best motifs",
    ),
    "no checkpoint": (lambda made: shutil.rmtree(made.run / "checkpoint"), InputError, "checkpoint"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_bad_input_is_named_and_nothing_is_left_behind(tmp_path, fault):
    made = toy(tmp_path, "raw")
    spoil, kind, words = FAULTS[fault]
    spoil(made)
    with pytest.raises(kind, match=words) as raised:
        made.collect()
    assert isinstance(raised.value, BiosaeError)
    assert not [path for path in made.run.iterdir() if "examples" in path.name]


@pytest.mark.parametrize("wrong", [{"top_examples": 0}, {"band_examples": -1}])
def test_settings_that_make_no_sense(wrong):
    with pytest.raises(ConfigError, match="Examples cannot be collected"):
        Settings(**wrong)


def test_the_program_gives_the_same_bytes_each_time(tmp_path):
    made = toy(tmp_path / "a 'b", "topk")
    command = [sys.executable, SCRIPT, "--run", made.run, "--activations", made.folder / "store"]
    command += ["--genome", made.folder / "genome.fa", "--sample-positions", 10**6, "--device", "cpu"]
    files = []
    for name in ("a.h5", "b.h5"):
        words = [str(word) for word in [*command, "--output", tmp_path / name]]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        files.append((tmp_path / name).read_bytes())
    assert files[0] == files[1] and str(tmp_path).encode() not in files[0]
    made_by = json.loads(Collected.read(tmp_path / "a.h5").attributes["provenance"])
    assert made_by["settings"]["top_examples"] == 100
    assert "top_activations.parquet" in [entry["name"] for entry in made_by["inputs"]]
    (made.run / "specificity.tsv").unlink()
    done = subprocess.run(
        [str(word) for word in command] + ["--output", str(tmp_path / "c.h5")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2 and done.stderr.splitlines()[-1].startswith("error: ")


def test_the_keys_of_a_draw_are_those_of_plain_integers():
    for value in (0, 1, 12345, 2**63 + 5, 2**64 - 1):
        assert int(mix(np.uint64(value))) == slow_mix(value)


def test_draws_are_even():
    """Of 1,000 active positions each is drawn as often as any other, over 400 nodes."""
    n, nodes, slots = 1000, 400, 50
    keys, held = np.full((nodes, GROUPS, slots), UNUSED), np.zeros((nodes, GROUPS, slots), np.int32)
    kept = keys, held, np.zeros(held.shape, np.float32), np.zeros((nodes, GROUPS), np.int64)
    salts = np.array([mix(np.uint64(node)) for node in range(nodes)], np.uint64)
    positions, places = (part.ravel().astype(np.int32) for part in np.mgrid[:n, :nodes])
    values = np.full(len(places), 0.1, np.float32)
    draw(positions, places, values, np.arange(n), np.ones(n, bool), salts, np.ones(nodes), *kept)
    counts = np.bincount(held[:, GROUPS - 1].ravel(), minlength=n)
    assert counts.sum() == nodes * slots and (kept[3][:, [2, 3]] == n).all() and (kept[3][:, :2] == 0).all()
    # 20 a position are expected; chi-square of 999 degrees of freedom, five standard deviations
    expected = nodes * slots / n
    assert abs(((counts - expected) ** 2 / (expected * (1 - slots / n))).sum() - (n - 1)) < 5 * np.sqrt(2 * n)


def test_windows_that_touch_do_not_overlap():
    picked = np.empty(3, np.int64)
    chrom, start = np.array([0, 0, 1, 0, 0]), np.array([10, 13, 13, 14, 6])
    assert pick_apart(chrom, start, 4, 3, picked) == (3, 1)
    assert picked.tolist() == [0, 2, 3]


def test_each_needed_row_is_read_once_and_none_beside(tmp_path):
    layer = Layer("toy", "", 2, 4, 7, 11)
    store = ActivationStore.open(write_store(tmp_path, random_arrays([3, 2], positions=40, channels=2)))
    places = np.zeros(5, PLACE)
    places["sequence"], places["position"] = [1, 0, 0, 4, 1], [39, 0, 39, 20, 38]
    asked = Asked.of(places, layer, 40, 18)
    # position p asks for those whose strides meet bases [4p - 7, 4p + 11)
    assert asked.first.tolist() == [37, 0, 37, 18, 36] and asked.count.tolist() == [3, 3, 3, 5, 4]
    pieces = needed_rows(asked, 40)
    rows = np.concatenate([np.arange(r, r + n) for r, n in zip(pieces.row, pieces.length, strict=True)])
    assert rows.tolist() == [0, 1, 2, 37, 38, 39, 76, 77, 78, 79, 178, 179, 180, 181, 182]
    assert pieces.ordinals.tolist() == [7, 0, 3, 10, 6] and pieces.n_rows == 15
    blocks = np.concatenate(list(read_blocks(store, pieces)))
    np.testing.assert_array_equal(blocks, np.concatenate([store.read(int(row), 1) for row in rows]))
