"""Seeds: counts once a sequence, strands folded, similar words dropped, planted words first."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest

from biosae.motifs import background, packing, reference, seeds
from unit.helpers_motifs import markov_windows, uniform


def pack(sequences: list[str], order: int = 2) -> packing.Packed:
    codes, offsets = packing.encode(sequences)
    return packing.pack(codes, offsets, background.fit(codes, offsets, order, False), order)


def number(word: str) -> int:
    return int("".join(str("ACGT".index(c)) for c in word), 4)


@pytest.mark.parametrize("both", [False, True])
def test_counts_equal_a_slow_reference(both):
    rng = np.random.default_rng(0)
    sequences = [*uniform(6, 25, rng), "ACGTACGTACGTACGTACGT", "ACGNNACGTACGTTNACGTACG", "ACG", ""]
    counts, places = seeds.count_words(pack(sequences), both)
    slow_counts, slow_places = reference.count_words(pack(sequences), both)
    assert (counts == slow_counts).all()
    assert places == pytest.approx(slow_places)
    assert counts[: seeds.DYADS].max() >= 2


@pytest.mark.parametrize("both", [False, True])
def test_a_word_and_its_reverse_complement_are_one_word(both):
    counts, _ = seeds.count_words(pack(["TTTGACGTCC", "GGACGTCAAA"]), both)
    expected = {"TTTGAC": 2 if both else 1, "GTCAAA": 2 if both else 1}
    found = {w: counts[number(min(w, packing.reverse_complement(w)) if both else w)] for w in expected}
    assert found == expected


def test_expected_share_is_close_to_what_random_sequences_show():
    sequences = markov_windows(42, 3000, np.random.default_rng(1))
    packed = pack(sequences)
    tables = background.fit(packed.codes, packed.offsets, 2, False)
    counts, places = seeds.count_words(packed, False)
    likely = seeds.word_probabilities(tables, 2, False)
    for words, span in ((slice(0, 4096), 6), (slice(seeds.DYADS, None), 8)):
        expected = -np.expm1(-likely[words] * places[span])
        assert (counts[words] / 3000).mean() == pytest.approx(expected.mean(), rel=0.05)
        assert np.corrcoef(counts[words] / 3000, expected)[0, 1] > 0.9
    turned = seeds.word_probabilities(tables, 2, True)
    word, other = number("AACGTC"), number("GACGTT")
    assert turned[word] == turned[other] == pytest.approx(likely[word] + likely[other])


def test_scores_are_the_likelihood_ratio_of_the_share():
    counts, control_counts, likely = (np.zeros(seeds.WORDS, kind) for kind in (np.int32, np.int32, float))
    places = np.arange(seeds.MAX_GAP + 9, dtype=float)[::-1].copy()
    octamer, dyad = seeds.DYADS + 77, 3 * 4096 + 5
    counts[[octamer, dyad, 9]], control_counts[[octamer, dyad, 9]], likely[:] = (
        [40, 100, 1],
        [50, 10, 0],
        1e-4,
    )
    scores = seeds._scores(counts, 100, control_counts, 500, likely, places)
    q = (50 + 500 * -math.expm1(-1e-4 * places[8])) / 1000
    want = 100 * (0.4 * math.log(0.4 / q) + 0.6 * math.log(0.6 / (1 - q)))
    assert scores[octamer] == pytest.approx(want)
    q = (10 + 500 * -math.expm1(-1e-4 * places[9])) / 1000
    assert scores[dyad] == pytest.approx(100 * math.log(1 / q))
    assert np.flatnonzero(scores).tolist() == sorted([octamer, dyad])  # one sequence is no evidence


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("word", ["TGACGTCC", "CTG....GAC"])
def test_planted_word_is_the_first_seed(both, word):
    rng = np.random.default_rng(2)
    sequences, controls = uniform(300, 42, rng), uniform(900, 42, rng)
    for i in range(0, 300, 3):
        text = "".join(c if c != "." else "ACGT"[rng.integers(4)] for c in word)
        if both and i % 2:
            text = packing.reverse_complement(text)
        sequences[i] = sequences[i][:9] + text + sequences[i][9 + len(text) :]
    packed = pack(sequences)
    tables = background.fit(*packing.encode(controls), 2, both)
    likely = seeds.word_probabilities(tables, 2, both)
    found = seeds.find_seeds(packed, pack(controls), likely, both, 8)
    first = "".join("ACGT."[c] for c in found[0]).rstrip(".")
    forms = (first, packing.reverse_complement(first)) if both else (first,)
    assert any(re.search(form, word) for form in forms), first
    assert 1 <= len(found) <= 8


def test_a_word_repeated_inside_one_sequence_is_no_seed():
    rng = np.random.default_rng(3)
    sequences = [*uniform(100, 42, rng)[1:], "TGACGT" * 7]
    packed = pack(sequences)
    counts, _ = seeds.count_words(packed, False)
    assert counts[number("TGACGT")] <= 3


def test_similar_words_are_dropped_on_either_strand():
    rows = ["ACGTGAC", "CGTGACT", "ACGTGTC", "GTCACGT", "TTTTTTT"]
    patterns = np.full((5, 6 + seeds.MAX_GAP), packing.N, np.uint8)
    for row, text in zip(patterns, rows, strict=True):
        row[:7] = ["ACGT".index(c) for c in text]
    assert seeds._distinct(patterns, 10, False).tolist() == [0, 3, 4]  # shifted; one mismatch
    assert seeds._distinct(patterns, 10, True).tolist() == [0, 4]  # GTCACGT is the other strand of ACGTGAC
    assert seeds._distinct(patterns, 1, False).tolist() == [0]


def test_seed_matrix_rows_sum_to_one_and_gaps_are_background():
    pattern = np.full(6 + seeds.MAX_GAP, packing.N, np.uint8)
    pattern[[0, 1, 2, 5, 6, 7]] = [0, 1, 2, 3, 0, 1]
    composition = np.array([0.3, 0.2, 0.2, 0.3])
    matrix = seeds.seed_matrix(pattern, composition)
    assert matrix.shape == (8, 4)
    assert matrix.sum(axis=1) == pytest.approx(1.0)
    assert matrix[3] == pytest.approx(composition)
    assert matrix.argmax(axis=1)[[0, 1, 2, 5, 6, 7]].tolist() == [0, 1, 2, 3, 0, 1]
