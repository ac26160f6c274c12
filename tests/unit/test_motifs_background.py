"""Packing, Markov background, shuffles and matched controls against slow plain references."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import numpy as np
import pytest
from scipy.stats import chisquare

from biosae.motifs import background, controls, packing, reference, shuffle
from biosae.motifs.parts import prepare
from biosae.motifs.settings import DiscoverySettings, NodeMotifs
from unit.helpers_motifs import markov_windows, uniform

SEQUENCES = ["ACGTACGTTTGA", "ACNNGTACCA", "ttacgRACGT", "A", ""]


def decode(codes: np.ndarray, offsets: np.ndarray) -> list[str]:
    return ["".join("ACGTN"[c] for c in codes[a:b]) for a, b in itertools.pairwise(offsets)]


def test_encode_reads_case_and_turns_other_letters_into_n():
    codes, offsets = packing.encode(["acGT", "NRyA"])
    assert codes[: offsets[-1]].tolist() == [0, 1, 2, 3, 4, 4, 4, 0]
    assert offsets.tolist() == [0, 4, 8]
    assert (codes[8:] == packing.N).all() and len(codes) == 8 + packing.PAD


def test_longest_clean_stretch():
    assert [packing.longest_clean(s) for s in ("ACGTNacg", "NNN", "", "RACGTA")] == [4, 0, 0, 5]


@pytest.mark.parametrize("order", [0, 1, 2, 3])
@pytest.mark.parametrize("both", [False, True])
def test_markov_tables_equal_slow_counts(order, both):
    codes, offsets = packing.encode(SEQUENCES)
    tables = background.fit(codes, offsets, order, both)
    slow = reference.markov_tables(SEQUENCES, order, both)
    for o in range(order + 1):
        table = tables[background.table_start(o) : background.table_start(o + 1)]
        words = ["".join(w) for w in itertools.product("ACGT", repeat=o + 1)]
        assert table == pytest.approx([slow[w] for w in words], abs=1e-12)
        assert table.reshape(-1, 4).sum(axis=1) == pytest.approx(1.0)


@pytest.mark.parametrize("order", [0, 2, 5])
def test_inverse_probabilities_use_the_known_context(order):
    codes, offsets = packing.encode(SEQUENCES)
    packed = packing.pack(codes, offsets, background.fit(codes, offsets, order, False), order)
    slow = reference.markov_tables(SEQUENCES, order, False)
    expected = []
    for text in SEQUENCES:
        known = ""
        for base in text.upper():
            if base not in "ACGT":
                expected.append(1.0)
                known = ""
                continue
            known = (known[-order:] if order else "") + base
            expected.append(1.0 / slow[known])
    assert packed.inverse[: offsets[-1]] == pytest.approx(expected, rel=1e-12)
    assert np.exp(packed.log_inverse) == pytest.approx(packed.inverse, rel=1e-12)


def test_window_odds_and_places():
    codes, offsets = packing.encode(SEQUENCES)
    packed = packing.pack(codes, offsets, background.fit(codes, offsets, 1, False), 1)
    odds, allowed = packed.windows(4)
    assert allowed.tolist() == [9, 3, 3, 0, 0]
    for s, text in enumerate(SEQUENCES):
        for j in range(len(text)):
            word = text[j : j + 4].upper()
            at = offsets[s] + j
            want = (
                math.prod(packed.inverse[at : at + 4]) if len(word) == 4 and set(word) <= set("ACGT") else 0
            )
            assert odds[at] == pytest.approx(want)


def test_tetramers_of_clean_sequences():
    codes, offsets = packing.encode(["ACGTACGTTT"])
    packed = packing.pack(codes, offsets, background.fit(codes, offsets, 0, False), 0)
    for j in range(7):
        a, b, c, d = codes[j : j + 4].tolist()
        assert packed.tetramers[j] == a * 64 + b * 16 + c * 4 + d


@pytest.mark.parametrize("order", [0, 1, 3])
def test_dyads_are_marginals_of_longer_words(order):
    codes, offsets = packing.encode(markov_windows(40, 50, np.random.default_rng(0)))
    tables = background.fit(codes, offsets, order, False)
    dyads = background.dyad_probabilities(tables, order, 2)
    assert dyads.sum(axis=(1, 2)) == pytest.approx(1.0)
    for gap in range(3):
        words = background.word_probabilities(tables, order, 6 + gap).reshape(64, 4**gap, 64)
        assert dyads[gap] == pytest.approx(words.sum(axis=1), rel=1e-9)


def test_shuffle_keeps_dinucleotides_and_ends():
    rng = np.random.default_rng(1)
    sequences = [*uniform(30, 42, rng), "ACNNNACGTNA", "AAAAAAA", "AC", "G", "", "ACGTTGCATNNGGCA"]
    codes, offsets = packing.encode(sequences)
    new, new_offsets = shuffle.shuffle_dinucleotides(codes, offsets, 3, seed=5)
    texts = decode(new, new_offsets)
    changed = 0
    for i, text in enumerate(texts):
        source = "".join(c if c in "ACGT" else "N" for c in sequences[i // 3])
        assert Counter(itertools.pairwise(text)) == Counter(itertools.pairwise(source))
        assert (text[:1], text[-1:]) == (source[:1], source[-1:])
        changed += text != source
    assert changed > 80
    again, _ = shuffle.shuffle_dinucleotides(codes, offsets, 3, seed=5)
    assert (again == new).all()


def test_shuffle_is_uniform_on_a_small_case():
    source = "ACAGACCA"
    counts = Counter(itertools.pairwise(source))
    every = {
        "".join(p) for p in set(itertools.permutations(source)) if Counter(itertools.pairwise(p)) == counts
    }
    every = {p for p in every if p[0] == source[0] and p[-1] == source[-1]}
    codes, offsets = packing.encode([source])
    seen = Counter(decode(*shuffle.shuffle_dinucleotides(codes, offsets, 12000, seed=3)))
    assert set(seen) == every and len(every) >= 6
    assert chisquare([seen[s] for s in sorted(every)]).pvalue > 1e-3


def background_windows(rng: np.random.Generator) -> list[str]:
    windows = [w for at in (0.3, 0.5, 0.7) for w in markov_windows(42, 900, rng, at)]
    return [w.lower() if i % 3 == 0 else w for i, w in enumerate(windows)]


def test_controls_match_gc_repeat_share_and_length_and_do_not_overlap():
    rng = np.random.default_rng(2)
    windows = background_windows(rng)
    seqlets = [w[:36] for w in markov_windows(42, 60, rng, 0.7)]
    seqlets = [s.lower() if i % 2 else s for i, s in enumerate(seqlets)]
    codes, offsets = packing.encode(seqlets)
    strata = controls.strata(codes, offsets, controls.lower_case(seqlets))
    lengths = np.diff(offsets)
    parts = [(strata[:40], lengths[:40]), (strata[40:], lengths[40:])]
    (a, b), short = controls.ControlPool(windows).draw(parts, 5, np.random.default_rng(0))
    assert short == 0
    texts_a, texts_b = decode(*a[:2]), decode(*b[:2])
    assert (a[2].shape, b[2].shape) == ((200,), (100,))
    assert np.array_equal(np.unique(a[2]), np.unique(strata[:40]))
    assert (len(texts_a), len(texts_b)) == (200, 100)
    assert {len(t) for t in texts_a + texts_b} == {36}
    assert not set(texts_a) & set(texts_b)

    def gc(texts):
        return np.mean([sum(c in "CG" for c in t.upper()) / len(t) for t in texts])

    assert abs(gc(texts_a) - gc(seqlets[:40])) < 0.03
    assert abs(gc(windows) - gc(seqlets)) > 0.1
    middles = {w[3:39].upper(): w for w in windows}
    repeats = np.mean([middles[t][0].islower() for t in texts_a])
    assert abs(repeats - np.mean([s.islower() for s in seqlets[:40]])) < 0.1


def test_controls_do_not_depend_on_order_or_copies_of_the_background():
    windows = background_windows(np.random.default_rng(3))
    strata, lengths = np.full(20, 2 * 10), np.full(20, 42)
    drawn = []
    for pool in (windows, windows[::-1], windows + windows[:50]):
        (part,), _ = controls.ControlPool(pool).draw([(strata, lengths)], 3, np.random.default_rng(1))
        drawn.append(decode(*part[:2]))
    assert drawn[0] == drawn[1] == drawn[2]
    assert controls.ControlPool(windows + windows[:50]).n_copies_dropped == 50


def test_controls_that_the_background_cannot_give_are_counted():
    windows = ["ACGT" * 10, *markov_windows(40, 30, np.random.default_rng(0), 0.5)]
    strata = np.full(20, 2 * 10)
    (part,), short = controls.ControlPool(windows).draw(
        [(strata, np.full(20, 40))], 5, np.random.default_rng(0)
    )
    assert len(part[1]) - 1 + short == 100 and short >= 69
    (part,), short = controls.ControlPool(windows).draw(
        [(strata, np.full(20, 50))], 5, np.random.default_rng(0)
    )
    assert (len(part[1]) - 1, short) == (0, 100)  # shorter than the seqlets: never used


def test_with_both_strands_seqlets_and_controls_are_turned_by_one_rule():
    """Decoys on one strand only would else tell seqlets from controls, and make nulls significant."""
    rng = np.random.default_rng(7)
    windows = [w[:10] + "CACACACACACA" + w[22:] for w in markov_windows(30, 600, rng, 0.5)]
    settings = DiscoverySettings(strand="both")
    for pool in (controls.ControlPool(windows[100:]), None):
        parts = prepare("n1", windows[:100], None, pool, settings, 0, NodeMotifs())
        for packed in (parts.seqlets, parts.controls):
            texts = decode(packed.codes, packed.offsets)
            assert all(text <= packing.reverse_complement(text) for text in texts)
    given = prepare(
        "n1", windows[:100], None, controls.ControlPool(windows[100:]), DiscoverySettings(), 0, NodeMotifs()
    )
    texts = decode(given.controls.codes, given.controls.offsets)
    assert any(text > packing.reverse_complement(text) for text in texts)


def test_turning_equals_the_plain_rule_and_is_its_own_fixed_point():
    rng = np.random.default_rng(8)
    texts = ["".join(rng.choice(list("ACGT"), n)) for n in (1, 2, 5, 8, 9) for _ in range(30)]
    codes, offsets = packing.encode([*texts, "ACGT", "ANT", ""])
    packing.turn_canonical(codes, offsets)
    turned = decode(codes, offsets)
    expected = [min(text, packing.reverse_complement(text)) for text in texts]
    assert turned == [*expected, "ACGT", "ANT", ""]
    packing.turn_canonical(codes, offsets)
    assert decode(codes, offsets) == turned
