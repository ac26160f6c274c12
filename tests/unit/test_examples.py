"""Examples of nodes: a literal store, a slow twin for every dictionary, planted truth, bad input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from biosae.artefacts import read_table
from biosae.examples import BANDS
from biosae.examples_sample import NEAR_MISS, SPARE
from biosae.geometry import Layer
from biosae.letter_codes import letter_codes
from biosae.linear import PrincipalComponents
from biosae.model import RawChannels, build
from biosae.top_activations import read_top_activations
from unit.helpers_examples import SlowExamples, SmallRun
from unit.helpers_seqlets import random_dna
from unit.helpers_specificity import sharp_motif

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "collect_examples.py"
TOP, POSITIVE = 0, 4
# output j reads [2j - 3, 2j + 5): 8 bp
LITERAL = Layer("literal", "", 1, 2, 3, 5)
LETTERS = "ACGTTGACCTNAGGATTACAGGCTTGACCAGTACGATGCCATACGGT"[:45]


@pytest.fixture(scope="module")
def literal(tmp_path_factory):
    """One sequence of 16 positions at bases 6 to 38 of a chromosome of 45; one channel, two nodes."""
    values = np.zeros((1, 16, 1), np.float32)
    values[0, [0, 2, 5, 9, 10, 15], 0] = [6, 2, 3, 8, 4, 1]
    values[0, 12, 0] = -5
    made = SmallRun(
        tmp_path_factory.mktemp("literal"),
        RawChannels(1),
        LITERAL,
        [values],
        [("chr'\"1", 6, 38)],
        {"chr'\"1": LETTERS},
        kept=[0, 1],
        motifs=[sharp_motif("", "TTGAC"), None],
    )
    return made.write()


def test_the_top_of_a_literal_store(literal):
    found = literal.collect()
    top = found.of(0, TOP)
    # position 0 is [3, 11) with an N; position 10 overlaps position 9, position 2 position 5
    assert top["start"].tolist() == [6 + 2 * 9 - 3, 6 + 2 * 5 - 3, 6 + 2 * 15 - 3]
    assert top["peak"].tolist() == [8, 3, 1] and top["chrom"] == ["chr'\"1"] * 3
    texts = ["".join("ACGT"[code] for code in row) for row in top["sequence"]]
    assert texts == [LETTERS[start : start + 8] for start in (21, 13, 33)]
    # bases 21 to 29 of the chromosome are 15 to 23 of the sequence: positions 7, 8, 8, 9, 9, 10, 10, 11
    assert top["activation"].tolist() == [
        [0, 0, 0, 8, 8, 4, 4, 0],
        [0, 0, 0, 3, 3, 0, 0, 0],
        # bases 27 to 35 of the sequence, whose last is 31
        [0, 0, 0, 1, 1, 0, 0, 0],
    ]
    assert found.of(1, TOP)["peak"].tolist() == [5] and found.of(1, TOP)["activation"].shape == (1, 8)
    assert found.of(1, TOP)["has_motif"].tolist() == [255]


def test_the_bands_of_a_literal_store(literal):
    found = literal.collect()
    # of 8: 6 is 75 %, which is still band 1; 3 and 4 are above 25 %, 2 is 25 %
    assert [found.of(0, band)["peak"].tolist() for band in (1, 2, 3)] == [[6], [4, 3], [2, 1]]
    first = found.of(0, 1)
    codes = letter_codes(np.frombuffer(LETTERS[3:11].encode(), np.uint8))
    assert first["start"].tolist() == [3] and first["sequence"].tolist() == [codes.tolist()]
    assert 4 in first["sequence"]
    # bases -3 to 5 of the sequence: the first three are not in it, 0 and 1 are position 0, 4 is position 2
    assert first["activation"].tolist() == [[0, 0, 0, 6, 6, 0, 0, 2]]
    assert found.of(1, POSITIVE)["peak"].tolist() == [5] and not len(found.of(1, 1)["peak"])


def test_the_motif_of_a_literal_store(literal):
    found = literal.collect()
    top = found.of(0, TOP)
    # TTGAC lies at base 23 of the chromosome, base 2 of the first window
    assert LETTERS.find("TTGAC") == 3 and LETTERS.rfind("TTGAC") == 23 and top["start"][0] == 21
    assert top["motif_at"][0] == 2 and top["has_motif"].tolist() == [1, 0, 0]
    best = found.arrays["motif_best_score"]
    assert top["motif_score"][0] == best[0] > 0 == best[1]
    assert (top["motif_strand"] == 0).all() and (found.of(1, TOP)["motif_at"] == -(2**15)).all()
    # the only hits are those two, and the node fires on both: no near miss
    assert not len(found.of(0, NEAR_MISS)["peak"])


SHAPE = Layer("toy", "", 6, 4, 7, 11)
WORD = "GATTAC"


def toy_world(seed: int = 0) -> tuple[list[np.ndarray], list[tuple], dict[str, str]]:
    """Two files, four sequences: two that overlap, one over each end of a chromosome; an N; planted words."""
    rng = np.random.default_rng(seed)
    arrays = [rng.standard_normal((n, 60, 6)).astype(np.float16) for n in (3, 1)]
    intervals = [("chr1", 0, 240), ("chr1", 200, 440), ("chr2", 6, 246), ("chr1", 600, 840)]
    chromosomes = {}
    for name, length in (("chr1", 1000), ("chr2", 250)):
        letters = list(random_dna(length, seed + length))
        for at in range(20, length - 20, 50):
            word = WORD if rng.random() < 0.7 else "GTAATC"
            letters[at : at + 6] = word
        letters[100] = "N"
        chromosomes[name] = "".join(letters)
    return arrays, intervals, chromosomes


def dictionary(kind: str):
    rng = np.random.default_rng(1)
    if kind == "raw":
        return RawChannels(6, rng.normal(size=6), rng.uniform(0.5, 2, 6))
    if kind == "pca":
        axes = np.linalg.qr(rng.normal(size=(6, 6)))[0][:4]
        return PrincipalComponents(axes, axes, rng.normal(size=6))
    return build(kind, 6, 20, 3, kind == "topk", seed=1).eval()


def toy(folder: Path, kind: str, **options) -> SmallRun:
    model = dictionary(kind)
    kept = [node for node in (5, 0, 3, 7) if node < model.n_nodes]
    motifs = [sharp_motif("", WORD, 0.9), sharp_motif("", "GTAATC", 0.9), None, sharp_motif("", "CCA", 0.7)]
    return SmallRun(folder, model, SHAPE, *toy_world(), kept, motifs, **options).write()


CASES = [
    ("raw", {}),
    ("pca", {"strand": "both"}),
    ("topk", {"window_bp": 13}),
    ("batchtopk", {"strand": "both", "window_bp": 31}),
    ("relu", {}),
]


@pytest.fixture(scope="module", params=CASES, ids=[kind for kind, _ in CASES])
def case(request, tmp_path_factory):
    kind, options = request.param
    made = toy(tmp_path_factory.mktemp(kind), kind, **options)
    return made, made.collect(band_examples=5), SlowExamples(made, most=5)


def same_places(made, slow, found, expected, node):
    """Windows, activations and letters of examples against a list of (sequence, position)."""
    windows = [slow.window(*place) for place in expected]
    assert list(zip(found["chrom"], found["start"].tolist(), strict=True)) == windows
    peaks = [slow.dense[(*place, node)] for place in expected]
    np.testing.assert_allclose(found["peak"], peaks, rtol=1e-5, atol=1e-7)
    bases = np.array([slow.bases(node, *place) for place in expected]).reshape(-1, slow.width)
    np.testing.assert_allclose(found["activation"], bases, rtol=1e-5, atol=1e-7)
    letters = ["".join("ACGTN"[code] for code in row) for row in found["sequence"]]
    assert letters == [slow.letters(chrom, start, slow.width) for chrom, start in windows]


def by_strength(slow, places, node):
    return sorted(places, key=lambda place: -slow.dense[(*place, node)])


def test_the_strongest_seqlets_are_those_of_loops(case):
    made, found, slow = case
    for row, node in enumerate(made.kept):
        slow.most = 100
        active = [tuple(map(int, place)) for place in np.argwhere(slow.dense[:, :, node] > 0)]
        whole = [
            p for p in active if slow.inside(*p) and "N" not in slow.letters(*slow.window(*p), slow.width)
        ]
        expected = slow.apart(by_strength(slow, whole, node))
        same_places(made, slow, found.of(row, TOP), expected, node)
        slow.most = 5
    assert (found.arrays["node"].tolist(), found.arrays["rank"].tolist()) == (made.kept, [1, 2, 3, 4])


def test_positions_are_drawn_as_by_loops(case):
    made, found, slow = case
    shares = {1: (0.5, 0.75), 2: (0.25, 0.5), 3: (0, 0.25), POSITIVE: (0, np.inf)}
    drawn = 0
    for row, node in enumerate(made.kept):
        for band, (low, high) in shares.items():
            expected = by_strength(slow, slow.drawn(node, low, high, SPARE), node)
            same_places(made, slow, found.of(row, band), expected, node)
            drawn += len(expected)
    assert drawn > 30


def test_near_misses_are_those_of_loops(case):
    made, found, slow = case
    strands = read_table(made.run / "specificity.tsv", "specificity")["motif_strand"]
    missed = 0
    for row, (node, motif) in enumerate(zip(made.kept, made.motifs, strict=True)):
        expected = [] if motif is None else slow.near_misses(node, motif, strands[row] == "-")
        own = found.of(row, NEAR_MISS)
        scores = own["motif_score"].tolist()
        assert scores == sorted(scores, reverse=True) and (own["has_motif"] == 1).all()
        same_places(made, slow, own, expected, node)
        missed += len(expected)
    assert missed > 5


def test_the_motif_lies_where_loops_find_it(case):
    made, found, slow = case
    strands = read_table(made.run / "specificity.tsv", "specificity")["motif_strand"]
    assert made.strand != "given" or set(strands.dropna()) == {"+", "-"} or made.model.kind != "raw"
    for row, motif in enumerate(made.motifs):
        for band in range(len(BANDS)):
            own = found.of(row, band)
            if motif is None:
                assert (own["has_motif"] == 255).all() and (own["motif_at"] == -(2**15)).all()
                continue
            turned = strands[row] == "-"
            threshold = slow.strands(motif, turned)[0].threshold
            for i, (chrom, start) in enumerate(zip(own["chrom"], own["start"].tolist(), strict=True)):
                score, at, strand = slow.best_of(motif, turned, chrom, start)
                found_there = [int(own[name][i]) for name in ("motif_score", "motif_at", "motif_strand")]
                assert found_there == [score, at, strand]
                assert own["has_motif"][i] == (at >= 0 and score >= threshold)


def test_peaks_of_the_top_are_those_of_top_activations(case):
    made, found, _ = case
    top, _ = read_top_activations(made.run / "top_activations.parquet")
    top["start"] = made.layer.window(top["start"] + made.layer.left_bp, 0, made.window_bp)[0]
    strongest = top.groupby(["node", "chrom", "start"])["activation"].max()
    for row, node in enumerate(made.kept):
        own = found.of(row, TOP)
        expected = [strongest[node, *place] for place in zip(own["chrom"], own["start"], strict=True)]
        assert own["peak"].tolist() == expected


@pytest.mark.parametrize(
    ("module", "name", "value"),
    [
        ("examples_rows", "GAP_BYTES", 0),
        ("examples_rows", "SPAN_ROWS", 7),
        ("examples_top", "_BED_LINES", 3),
        ("examples", "WRITE_ROWS", 5),
        ("stream_sample", "PRUNE_CODES", 4),
    ],
)
def test_how_things_are_read_changes_no_byte(tmp_path, monkeypatch, module, name, value):
    made = toy(tmp_path, "topk")
    before = made.collect()
    monkeypatch.setattr(f"biosae.{module}.{name}", value)
    after = made.collect("again.h5")
    for array, own in before.arrays.items():
        np.testing.assert_array_equal(own, after.arrays[array], err_msg=array)
    if name != "WRITE_ROWS":  # which is a chunk of the file, too
        assert (made.run / "examples.h5").read_bytes() == (made.run / "again.h5").read_bytes()


def test_a_window_that_two_sequences_hold_is_the_stronger_one_in_any_row_groups(tmp_path, monkeypatch):
    whole = toy(tmp_path / "whole", "raw").collect()
    monkeypatch.setattr("biosae.top_activations._GROUP_ROWS", 7)
    made = toy(tmp_path / "small", "raw")
    assert pq.ParquetFile(made.run / "top_activations.parquet").num_row_groups > 50
    for array, own in made.collect().arrays.items():
        np.testing.assert_array_equal(own, whole.arrays[array], err_msg=array)


def test_rows_encoded_at_once_change_last_bits_at_most(tmp_path, monkeypatch):
    for kind in ("raw", "topk"):
        made = toy(tmp_path / kind, kind)
        before = made.collect()
        monkeypatch.setattr("biosae.examples_rows.ENCODE_ROWS", 9)
        after = made.collect("again.h5")
        monkeypatch.undo()
        for name, own in before.arrays.items():
            if own.dtype == np.float32 and kind == "topk":
                np.testing.assert_allclose(after.arrays[name], own, rtol=1e-5)
            else:
                np.testing.assert_array_equal(after.arrays[name], own)
