"""The held-out test: parts, loci and threshold (its p: test_motifs_exact_test)."""

from __future__ import annotations

import math

import numpy as np
import pytest

from biosae.motifs import heldout, reference
from unit.helpers_motifs import uniform


def test_loci_are_overlapping_windows():
    headers = [
        "chr1:100-142(+) node=3 rank=1",
        ">chr1:130-172(-)",
        "chr1:172-214(+)",
        "chr2:100-142",
        "odd name",
    ]
    first, second, third, fourth, fifth = heldout.loci_of(headers)
    assert first == second
    assert len({first, third, fourth, fifth}) == 4
    joined = heldout.loci_of(headers, merge_bp=10)
    assert joined[0] == joined[2] != joined[3]


def test_split_keeps_loci_and_copies_together_and_counts_each_once():
    rng = np.random.default_rng(0)
    sequences = uniform(50, 30, rng) * 2
    groups = [f"locus {i % 25}" for i in range(100)]
    held_out, counted = heldout.split(sequences, groups, 0.4, 1)
    parts = {}
    for sequence, group, part in zip(sequences, groups, held_out, strict=True):
        assert parts.setdefault(group, part) == part
        assert parts.setdefault(sequence, part) == part
    assert counted.sum() == 25
    assert 0.3 <= held_out.mean() <= 0.4


def test_split_depends_on_content_and_seed_not_on_order():
    sequences = uniform(80, 30, np.random.default_rng(1))
    chosen = {s for s, out in zip(sequences, heldout.split(sequences, None, 0.4, 7)[0], strict=True) if out}
    turned = sequences[::-1]
    again = {s for s, out in zip(turned, heldout.split(turned, None, 0.4, 7)[0], strict=True) if out}
    other = {s for s, out in zip(turned, heldout.split(turned, None, 0.4, 8)[0], strict=True) if out}
    assert chosen == again != other
    assert len(chosen) == 32


@pytest.mark.parametrize("seed", range(5))
def test_threshold_equals_trying_every_value(seed):
    rng = np.random.default_rng(seed)
    odds = rng.integers(0, 12, 30).astype(float) + (rng.random(30) < 0.3) * 6
    control_odds = rng.integers(0, 12, 90).astype(float)
    threshold, gain = heldout.choose_threshold(odds, control_odds)
    slow_threshold, slow_gain = reference.choose_threshold(odds, control_odds)
    assert (threshold, gain) == (pytest.approx(slow_threshold), pytest.approx(slow_gain))
    assert gain > 0


def test_no_threshold_where_controls_score_higher_or_nothing_scores():
    assert heldout.choose_threshold(np.zeros(5), np.zeros(9)) == (math.inf, 0.0)
    assert heldout.choose_threshold(np.array([1.0, 1.0]), np.array([5.0, 6.0, 7.0])) == (math.inf, 0.0)


def test_table_gain_is_the_likelihood_ratio():
    hits, n, control_hits, n_controls = 30.0, 100, 20.0, 400

    def log_likelihood(k, size, p):
        return k * math.log(p) + (size - k) * math.log(1 - p)

    want = log_likelihood(30, 100, 0.3) + log_likelihood(20, 400, 0.05)
    want -= log_likelihood(30, 100, 0.1) + log_likelihood(20, 400, 0.1)
    assert heldout.table_gain(hits, n, control_hits, n_controls) == pytest.approx(want)
    assert heldout.table_gain(1.0, 100, 20.0, 400) == 0.0
