"""Seeds: counts once a sequence, strands folded, similar words dropped, planted words first."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest

from biosae.motifs import background, packing, seeds
from unit.helpers_motifs import markov_windows, uniform


def pack(sequences: list[str], order: int = 2) -> packing.Packed:
    codes, offsets = packing.encode(sequences)
    return packing.pack(codes, offsets, background.fit(codes, offsets, order, False), order)


def number(word: str) -> int:
    return int("".join(str("ACGT".index(c)) for c in word), 4)


def slow_holders(sequences: list[str], both: bool):
    """Sets of dyads (gap, word) and of octamers within one mismatch, a sequence at a time."""
    for text in sequences:
        strands = [text, packing.reverse_complement(text)] if both else [text]
        dyads, octamers = set(), set()
        for strand in strands:
            for i in range(len(strand)):
                for gap in range(seeds.MAX_GAP + 1):
                    window = strand[i : i + 6 + gap]
                    if len(window) == 6 + gap and set(window) <= set("ACGT"):
                        dyads.add((gap, number(window[:3] + window[-3:])))
                window = strand[i : i + 8]
                if len(window) == 8 and set(window) <= set("ACGT"):
                    octamers.add(number(window))
                    for k, base in itertools.product(range(8), "ACGT"):
                        octamers.add(number(window[:k] + base + window[k + 1 :]))
        yield dyads, octamers


@pytest.mark.parametrize("both", [False, True])
def test_counts_equal_a_slow_reference(both):
    rng = np.random.default_rng(0)
    sequences = [*uniform(6, 25, rng), "ACGTACGTACGTACGTACGT", "ACGNNACGTACGTTNACGTACG", "ACG", ""]
    dyads, octamers, places = seeds.count_words(pack(sequences), both)
    slow_dyads, slow_octamers = np.zeros_like(dyads), np.zeros_like(octamers)
    for held_dyads, held_octamers in slow_holders(sequences, both):
        for gap, word in held_dyads:
            slow_dyads[gap, word] += 1
        slow_octamers[list(held_octamers)] += 1
    assert (dyads == slow_dyads).all()
    assert (octamers == slow_octamers).all()
    clean = [
        sum(set(s[i : i + 8]) <= set("ACGT") and len(s[i : i + 8]) == 8 for i in range(len(s)))
        for s in sequences
    ]
    assert places[8] == pytest.approx(np.mean(clean))


def test_expected_share_is_close_to_what_random_sequences_show():
    sequences = markov_windows(42, 3000, np.random.default_rng(1))
    packed = pack(sequences)
    tables = background.fit(packed.codes, packed.offsets, 2, False)
    dyads, octamers, places = seeds.count_words(packed, False)
    expected_dyads, expected_octamers = seeds._expected(tables, 2, False, places)
    assert np.corrcoef(dyads[0] / 3000, expected_dyads[0])[0, 1] > 0.9
    assert (dyads / 3000).mean() == pytest.approx(expected_dyads.mean(), rel=0.05)
    assert (octamers / 3000).mean() == pytest.approx(expected_octamers.mean(), rel=0.05)


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
    found = seeds.find_seeds(packed, pack(controls), tables, 2, both, 8)
    first = "".join("ACGT."[c] for c in found[0]).rstrip(".")
    forms = (first, packing.reverse_complement(first)) if both else (first,)
    assert any(re.search(form, word) for form in forms), first
    assert 1 <= len(found) <= 8


def test_a_word_repeated_inside_one_sequence_is_no_seed():
    rng = np.random.default_rng(3)
    sequences = [*uniform(100, 42, rng)[1:], "TGACGT" * 7]
    packed = pack(sequences)
    dyads, _, _ = seeds.count_words(packed, False)
    assert dyads[0, number("TGACGT")] <= 3


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
