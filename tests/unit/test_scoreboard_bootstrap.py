"""The resampled test, the rows of q, rarefaction and the draws, each beside a slow reference."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from helpers_scoreboard import evidence_of, log10_p_of
from hypothesis import given, settings
from hypothesis import strategies as st

from biosae.motifs.calibration import step_up_q
from biosae.motifs.exact_test import log10_p_of_tables
from biosae.motifs.significance import benjamini_hochberg
from biosae.scoreboard import bootstrap
from biosae.scoreboard.replicates import _convolved, log10_p_of_replicates

QUICK = settings(max_examples=40, deadline=None)


def counts(rng: np.random.Generator, strata: int, most: int) -> tuple[np.ndarray, ...]:
    """Hits and sizes of seqlets (7 replicates) and of controls; some strata have none of either."""
    n, n_controls = rng.integers(0, most, (7, strata)), rng.integers(0, 3 * most, strata)
    return rng.binomial(n, 0.6), n, rng.binomial(n_controls, 0.2), n_controls


@QUICK
@given(st.integers(0, 2**32), st.integers(1, 6), st.sampled_from([2, 12, 60]))
def test_replicates_have_the_p_of_the_exact_test(seed, strata, most):
    hits, n, control_hits, n_controls = counts(np.random.default_rng(seed), strata, most)
    fast = log10_p_of_replicates(hits, n, control_hits, n_controls, (hits[0], n[0]))
    slow = [log10_p_of_tables(*row, control_hits, n_controls) for row in zip(hits, n, strict=True)]
    np.testing.assert_allclose(fast, slow, rtol=1e-9, atol=1e-10)


@QUICK
@given(st.integers(0, 2**32), st.integers(1, 9), st.integers(1, 9))
def test_rows_are_convolved_each_to_the_end_of_its_support(seed, first, second):
    rng = np.random.default_rng(seed)
    rows = [rng.random((5, width)) for width in (first, second)]
    for one in rows:
        one[np.arange(one.shape[1]) >= rng.integers(1, one.shape[1] + 1, 5)[:, None]] = 0
    slow = [np.convolve(*pair) for pair in zip(*rows, strict=True)]
    np.testing.assert_allclose(_convolved(*rows), slow, rtol=1e-12)


def test_a_replicate_far_from_what_was_observed_is_exact_too():
    """The observed counts tilt by far too much, or not at all, for the other rows."""
    n, control_hits, n_controls = np.full((3, 4), 300), np.full(4, 2), np.full(4, 1500)
    hits = np.array([[300] * 4, [1] * 4, [0] * 4])
    for observed in hits:
        fast = log10_p_of_replicates(hits, n, control_hits, n_controls, (observed, n[0]))
        slow = [log10_p_of_tables(row, n[0], control_hits, n_controls) for row in hits]
        np.testing.assert_allclose(fast, slow, rtol=1e-9, atol=1e-12)
    assert slow[0] < -700
    assert slow[2] == 0.0


def test_drawn_loci_give_the_p_of_a_table_with_these_loci():
    """Beside a reference that repeats each sequence as often as its block was drawn."""
    rng, locus_bp = np.random.default_rng(3), 500_000
    parts = [evidence_of(f"1_n5_m{i}", rate, rng) for i, rate in ((1, 0.6), (2, 0.15))]
    evidence = pd.concat(parts[::-1], ignore_index=True)  # any order of rows
    every = bootstrap.all_loci([evidence], locus_bp)
    loci, n_loci = bootstrap.locus_codes(evidence, every, locus_bp), len(every)
    assert n_loci == 8
    weights = bootstrap.draw_weights(n_loci, 12, (1,))
    fast = bootstrap.replicate_p(evidence, loci, ["1_n5_m1", "1_n5_m2"], weights)
    for column, part in enumerate(parts):
        slow = [log10_p_of(part, dict(enumerate(map(int, drawn))), locus_bp) for drawn in weights.T]
        np.testing.assert_allclose(fast[:, column], slow, rtol=1e-9, atol=1e-10)
    assert fast[:, 0].std() > 0
    once = bootstrap.replicate_p(evidence, loci, ["1_n5_m1", "1_n5_m2"], np.ones((n_loci, 1), np.float32))
    np.testing.assert_allclose(once[0], [log10_p_of(part) for part in parts], rtol=1e-9)


def test_loci_are_blocks_that_all_runs_share_and_controls_have_none():
    rows = [("chr1", 99_999), ("chr1", 100_000), ("chr2", 0), (None, None), ("seq7", None), ("chr1", 5)]
    table = pd.DataFrame(rows, columns=["chrom", "start"]).astype({"chrom": "string", "start": "Int64"})
    other = table.iloc[[1, 3]]
    every = bootstrap.all_loci(iter([table, other]), 100_000)
    first, second = (bootstrap.locus_codes(own, every, 100_000) for own in (table, other))
    assert len(every) == 4
    assert first[0] == first[5] != first[1]
    assert len({first[0], first[1], first[2], first[4]}) == 4
    assert first[3] == second[1] == -1
    assert second[0] == first[1]
    as_categories = table.astype({"chrom": "category"})
    assert bootstrap.locus_codes(as_categories, every, 100_000).tolist() == first.tolist()
    assert len(bootstrap.all_loci([], 10)) == 0
    assert len(bootstrap.all_loci([table.iloc[:0]], 10)) == 0
    assert bootstrap.locus_codes(table.iloc[:0], every, 10).tolist() == []


def test_a_draw_has_as_many_loci_as_there_are_and_follows_from_its_seed_alone():
    weights = bootstrap.draw_weights(30, 50, (4, 2))
    assert (weights.sum(0) == 30).all()
    assert weights.std() > 0.8  # some twice, some never
    np.testing.assert_array_equal(weights, bootstrap.draw_weights(30, 50, (4, 2)))
    assert (weights != bootstrap.draw_weights(30, 50, (4, 3))).any()
    assert bootstrap.draw_weights(0, 50, (4,)).shape == (0, 50)
    assert bootstrap.named_seed(0, "a") != bootstrap.named_seed(0, "b") != bootstrap.named_seed(1, "b")


@QUICK
@given(st.integers(0, 2**32), st.integers(0, 9))
def test_rows_of_q_are_those_of_one_family_each(seed, n):
    rng = np.random.default_rng(seed)
    p = rng.integers(1, 8, (4, n)) / 8  # with ties
    log10_p = np.where(p < 0.2, -400.0, np.log10(p))
    slow = [step_up_q(row, row) for row in p]
    np.testing.assert_allclose(bootstrap.step_up_rows(p), np.reshape(slow, p.shape), rtol=1e-12)
    slow = [benjamini_hochberg(row) for row in log10_p]
    np.testing.assert_allclose(bootstrap.step_up_log10_rows(log10_p), np.reshape(slow, p.shape), atol=1e-12)


@pytest.mark.parametrize("drawn", [0, 1, 3, 5, 6])
def test_rarefied_classes_are_the_mean_over_all_choices_of_nodes(drawn):
    codes = [0, 0, 0, 1, 2, None]  # the last node has no class
    chosen = [{codes[i] for i in nodes} - {None} for nodes in combinations(range(6), drawn)]
    expected = np.mean([len(classes) for classes in chosen])
    counts = np.array([[3, 1, 1], [0, 0, 0]])
    found = bootstrap.rarefied_classes(counts, counts, 6, drawn)
    np.testing.assert_allclose(found, [expected, 0.0], atol=1e-12)


@pytest.mark.parametrize("drawn", [2, 4, 6])
def test_what_a_node_adds_is_what_is_lost_without_it(drawn):
    """Variance over many draws of nodes is the jackknife's, from every node left out in turn."""
    codes, n = np.array([0, 0, 0, 1, 2, 2, 3, -1]), 8

    def classes(chosen):
        return np.bincount(chosen[chosen >= 0], minlength=4)[None]

    def rarefied(chosen, nodes):
        counts = classes(chosen)
        return bootstrap.rarefied_classes(counts, counts, nodes, drawn)[0]

    left_out = np.array([rarefied(np.delete(codes, i), n - 1) for i in range(n)])
    weights = bootstrap.draw_weights(n, 20_000, (1,)).T
    weighted = np.stack([weights[:, codes == code].sum(1) for code in range(4)], axis=1)
    counts = np.repeat(classes(codes), len(weights), axis=0)
    found = bootstrap.rarefied_classes(counts, weighted, n, drawn)
    assert found.var() == pytest.approx(((left_out - left_out.mean()) ** 2).sum(), rel=0.05)
    assert found.mean() == pytest.approx(rarefied(codes, n), abs=0.03)


def test_the_interval_is_that_of_the_draws_about_their_mean():
    draws = np.arange(1001.0)
    low, high = bootstrap.interval(7.0, draws)
    assert (low, high) == pytest.approx((7 - 475, 7 + 475))
    assert bootstrap.interval(7.0, draws, centred=False) == pytest.approx((25, 975))
