"""Tallies of nodes against plain Python: exact sums, sketches, quantiles, and merging in any order."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from biosae.encoding import RunningTally
from biosae.encoding_kernels import SKETCH_BINS
from biosae.errors import InputError
from biosae.node_tallies import NodeTallies
from unit.helpers_store import Codes

UNIT = Fraction(1, 2**64)


def tallied(codes: list[tuple[int, int, int, float]], n_nodes: int = 3, top: int = 4) -> RunningTally:
    """Of (sequence, position, node, activation), one block a code."""
    running = RunningTally(n_nodes, top)
    for sequence, position, node, value in codes:
        one = Codes(np.array([0]), np.array([node]), np.array([value], np.float32))
        running.add(one, position, sequence)
    return running


def exact_total(tallies: NodeTallies, node: int) -> Fraction:
    return (int(tallies.total_high[node]) * 2**64 + int(tallies.total_low[node])) * UNIT


def slow_bin(value: float) -> int:
    """The sketch bin of an activation, by its definition."""
    exponent = math.floor(math.log2(value))
    step = math.floor((value / 2.0**exponent - 1) * 16)
    return min(max((exponent + 16) * 16 + step, 0), SKETCH_BINS - 1)


positive = st.floats(2.0**-40, 2.0**40, width=32)
codes = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 99), st.integers(0, 2), positive), max_size=40)


@settings(max_examples=60, deadline=None)
@given(codes=codes)
def test_equal_to_plain_python(codes):
    codes.sort(key=lambda code: code[0])  # a stream goes from sequence to sequence
    running = tallied(codes)
    tallies = running.tallies
    for node in range(3):
        mine = [code for code in codes if code[2] == node]
        assert exact_total(tallies, node) == sum(Fraction(code[3]) for code in mine)
        bins = np.bincount([slow_bin(code[3]) for code in mine], minlength=SKETCH_BINS)
        assert tallies.histogram[node].tolist() == bins.tolist()
        assert tallies.n_sequences[node] == len({code[0] for code in mine})
        best = sorted((-code[3], code[1]) for code in mine)[:4]
        kept = [int(key) for key in running.best[node] if key]
        values = np.array([key >> 32 for key in kept], np.uint32).view(np.float32)
        positions = [2**32 - 1 - (key & 0xFFFFFFFF) for key in kept]
        assert list(zip((-values).tolist(), positions, strict=True)) == best
        if mine:
            mean = sum(Fraction(code[3]) for code in mine) / len(mine)
            assert tallies.mean()[node] == float(mean)


def test_sums_of_tiny_subnormal_and_huge_activations():
    values = [2.0**61, 2.0**-64, 2.0**-149, 1.5, float(np.nextafter(np.float32(2.0**-126), np.float32(0)))]
    total = exact_total(tallied([(0, i, 1, value) for i, value in enumerate(values)]).tallies, 1)
    assert total == Fraction(2) ** 61 + UNIT + Fraction(3, 2)  # below 2^-64 nothing is left
    with pytest.raises(InputError, match="sum below 2"):
        tallied([(0, i, 0, 2.0**61) for i in range(4)])


@settings(max_examples=40, deadline=None)
@given(data=st.data(), codes=codes)
def test_merging_is_associative_and_commutative(data, codes):
    """One pass equals any grouping of the sequences, in any order."""
    codes.sort(key=lambda code: code[0])
    groups = [tallied([c for c in codes if c[0] == s]).tallies for s in range(4)]
    order = data.draw(st.permutations(range(4)))
    cut = data.draw(st.integers(0, 4))
    left, right = NodeTallies.empty(3), NodeTallies.empty(3)
    for i, group in enumerate(order):
        (left if i < cut else right).add(groups[group])
    left.add(right)
    whole = tallied(codes).tallies
    for name in vars(whole):
        np.testing.assert_array_equal(getattr(left, name), getattr(whole, name))


def test_carry_passes_when_low_words_overflow():
    one = tallied([(0, 0, 0, 1 - 2.0**-24), (1, 0, 1, 0.5)]).tallies
    two = tallied([(2, 0, 0, 2.0**-24), (3, 0, 1, 0.75)]).tallies
    one.add(two)
    assert exact_total(one, 0) == 1 and exact_total(one, 1) == Fraction(5, 4)
    assert one.total_high[0] == 1 and one.total_low[0] == 0


def test_merging_sums_that_are_too_large_is_refused():
    big = tallied([(0, i, 0, 2.0**61) for i in range(3)]).tallies
    with pytest.raises(InputError, match="too large to add up"):
        big.add(tallied([(1, i, 0, 2.0**61) for i in range(3)]).tallies)


@settings(max_examples=40, deadline=None)
@given(
    values=st.lists(st.floats(2.0**-16, 60000, width=32), min_size=1, max_size=60),
    share=st.sampled_from([0.0, 0.25, 0.5, 0.9, 0.99, 1.0]),
)
def test_quantiles_are_within_their_error(values, share):
    tallies = tallied([(0, i, 1, value) for i, value in enumerate(values)]).tallies
    true = sorted(values)[max(math.ceil(share * len(values)), 1) - 1]
    got = tallies.quantile(share)
    assert abs(got[1] - true) <= true / 32
    assert got[0] == got[2] == 0


def test_octaves_sum_the_bins():
    tallies = tallied([(0, i, 0, v) for i, v in enumerate([0.5, 0.6, 0.99, 1.0, 2.0**-30, 2.0**50])]).tallies
    counts = {i: n for i, n in enumerate(tallies.octaves()[0].tolist()) if n}
    assert counts == {0: 1, 15: 3, 16: 1, 31: 1}
