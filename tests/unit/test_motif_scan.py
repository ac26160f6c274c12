"""Scores, p-values and hits of motifs, against enumeration, plain loops and memelite's FIMO."""

from __future__ import annotations

import itertools

import memelite
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from biosae.motif_scan import (
    NEVER,
    best_in_windows,
    carriers,
    composition,
    prepare,
    scan,
    tail_probabilities,
)
from biosae.motifs.formats import Motif
from unit.helpers_specificity import sharp_motif

UNIFORM = np.full(4, 0.25)
SKEWED = np.array([0.3, 0.2, 0.2, 0.3])


def random_motif(rng: np.random.Generator, width: int, sharpness: float = 0.3) -> Motif:
    return Motif("m", "m", rng.dirichlet(np.full(4, sharpness), width), n_sites=1e6)


def scores_of(codes: np.ndarray, weights: np.ndarray) -> np.ndarray:
    scores = np.empty((len(codes), codes.shape[1] - len(weights) + 1), np.int32)
    scan(codes, weights, scores)
    return scores


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), width=st.integers(1, 5), background=st.sampled_from([UNIFORM, SKEWED]))
def test_p_values_are_those_of_all_words(seed, width, background):
    motif = prepare(random_motif(np.random.default_rng(seed), width), background, 0.05, 1.0)
    words = list(itertools.product(range(4), repeat=width))
    score = np.array([sum(motif.weights[i, letter] for i, letter in enumerate(word)) for word in words])
    chance = np.array([np.prod(background[list(word)]) for word in words])
    lowest, tail = tail_probabilities(motif.weights, np.tile(background, (width, 1)))
    for at in range(lowest, lowest + len(tail), 7):
        assert tail[at - lowest] == pytest.approx(chance[score >= at].sum(), abs=1e-12)
    assert chance[score >= motif.threshold].sum() == pytest.approx(motif.hit_p)
    one_lower = chance[score >= score[score < motif.threshold].max(initial=lowest)].sum()
    assert one_lower > 0.05 or motif.threshold == lowest or motif.hit_p > 0.05


def test_a_motif_too_short_for_the_p_has_its_best_word_as_hit():
    motif = prepare(sharp_motif("m", "ACGTAC"), UNIFORM, 1e-4, 0.9)
    assert motif.hit_p == pytest.approx(4**-6)
    assert motif.threshold == motif.weights[:, :4].max(axis=1).sum()
    assert prepare(sharp_motif("m", "ACGTACG"), UNIFORM, 1e-4, 0.9).hit_p == pytest.approx(4**-7)


def test_a_long_motif_has_hits_as_strict_as_its_sites():
    long = sharp_motif("m", "ACGTACGGTCATTGCAAGTC", 0.85)
    at_p, at_sites = (prepare(long, UNIFORM, 1e-4, share) for share in (1.0, 0.9))
    assert at_p.threshold < at_sites.threshold
    assert at_sites.hit_p < 1e-6 < at_p.hit_p <= 1e-4
    rng = np.random.default_rng(1)
    letters = [rng.choice(4, 4000, p=column) for column in long.matrix / long.matrix.sum(axis=1)[:, None]]
    reached = carriers(np.stack(letters, axis=1).astype(np.uint8), at_sites).mean()
    assert reached == pytest.approx(at_sites.site_share, abs=0.02)
    assert 0.8 < at_sites.site_share <= 0.9


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), width=st.integers(1, 8), length=st.integers(8, 40))
def test_scan_equals_plain_loops(seed, width, length):
    rng = np.random.default_rng(seed)
    motif = prepare(random_motif(rng, width), SKEWED, 0.01, 0.9)
    codes = rng.choice(5, (3, length), p=[0.24, 0.24, 0.24, 0.24, 0.04]).astype(np.uint8)
    scores = scores_of(codes, motif.weights)
    for row, start in np.ndindex(*scores.shape):
        word = codes[row, start : start + width]
        assert scores[row, start] == sum(motif.weights[i, letter] for i, letter in enumerate(word))
        if 4 in word:
            assert scores[row, start] < NEVER / 2
    assert carriers(codes, motif).tolist() == (scores >= motif.threshold).any(axis=1).tolist()
    window = width + 3
    best = np.empty((3, (length - window) // 2 + 1), np.int32) if length >= window else None
    if best is not None:
        best_in_windows(scores, 2, 4, best)
        slow = [[scores[row, 2 * p : 2 * p + 4].max() for p in range(best.shape[1])] for row in range(3)]
        assert best.tolist() == slow


def test_the_reverse_complement_scores_the_other_strand():
    rng = np.random.default_rng(5)
    codes = rng.integers(0, 4, (2, 200)).astype(np.uint8)
    background = composition(codes)
    assert background == pytest.approx(background[::-1])
    motif = prepare(random_motif(rng, 7), background, 1e-3, 0.9)
    turned = scores_of(np.ascontiguousarray(3 - codes[:, ::-1]), motif.weights)
    other = scores_of(codes, motif.reverse_complement().weights)
    assert other.tolist() == turned[:, ::-1].tolist()


def test_hits_are_those_of_fimo():
    rng = np.random.default_rng(7)
    codes = rng.integers(0, 4, (4, 50_000)).astype(np.uint8)
    hot = np.eye(4, dtype=np.int8)[codes].transpose(0, 2, 1)
    motifs = {f"m{width}": random_motif(rng, width) for width in (7, 10, 15)}
    tables = memelite.fimo(
        {name: m.matrix.T for name, m in motifs.items()}, hot, bin_size=0.02, threshold=1e-3
    )
    for (_, motif), table in zip(motifs.items(), tables, strict=True):
        # it adds 1e-4 to every probability
        ready = prepare(Motif("m", "m", motif.matrix + 1e-4, 1e6), UNIFORM, 1e-3, 1.0)
        for strand, own in (("+", ready), ("-", ready.reverse_complement())):
            scores = scores_of(codes, own.weights)
            ours = set(zip(*(axis.tolist() for axis in np.nonzero(scores >= own.threshold)), strict=True))
            rows = table[table["strand"] == strand]
            # where a fimo site lies on the reverse strand start and end are swapped or not by version
            first = rows[["start", "end"]].min(axis=1)
            theirs = set(zip(rows["sequence_name"].astype(int), first.astype(int), strict=True))
            assert len(ours) > 50
            near = {place for place in ours ^ theirs if abs(scores[place] - own.threshold) > own.width}
            assert not near
            assert len(ours ^ theirs) < 0.1 * len(ours)
