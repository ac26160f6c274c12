"""q-values: the textbook, scipy, and p-values that no double holds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import false_discovery_control

from biosae.errors import ContractError
from biosae.motifs.significance import benjamini_hochberg, log10_of, q_values


def test_literal_table():
    # p * n / rank from the largest down, running minimum: 0.04*4/4, 0.03*4/3, 0.01*4/2, 0.005*4/1
    p = np.array([0.01, 0.04, 0.03, 0.005])
    np.testing.assert_allclose(q_values(np.log10(p)), [0.02, 0.04, 0.04, 0.02])


@given(st.lists(st.floats(1e-300, 1.0), min_size=1, max_size=60))
@settings(max_examples=60, deadline=None)
def test_equals_scipy(p):
    np.testing.assert_allclose(q_values(np.log10(p)), false_discovery_control(p), rtol=1e-9)


def test_order_survives_where_a_double_underflows():
    log10_q = benjamini_hochberg(np.array([-400.0, -500.0, -0.1, -400.0]))
    np.testing.assert_allclose(
        log10_q, [-400 + np.log10(4 / 3), -500 + np.log10(4), -0.1, -400 + np.log10(4 / 3)]
    )
    assert q_values(np.array([-400.0]))[0] == 0.0


def test_a_truncated_family_only_raises_q():
    p = np.sort(np.random.default_rng(0).uniform(size=100) ** 3)
    whole = q_values(np.log10(p))
    part = q_values(np.log10(p[:30]), n_tests=100)
    assert (part >= whole[:30] - 1e-12).all()
    np.testing.assert_allclose(part[whole[:30] == whole[29]].max(), p[29] * 100 / 30)


def test_nulls_are_rarely_significant():
    rng = np.random.default_rng(1)
    found = sum(q_values(np.log10(rng.uniform(size=50))).min() < 0.05 for _ in range(400))
    assert 5 <= found <= 36  # 20 expected; binomial, 4 standard deviations to either side


def test_edges():
    assert q_values(np.array([])).shape == (0,)
    assert q_values(np.array([0.7]))[0] == 1.0  # log10 E above 0
    np.testing.assert_array_equal(log10_of(np.array([0.0, 1.0])), [-320.0, 0.0])
    with pytest.raises(ContractError, match="missing"):
        benjamini_hochberg(np.array([np.nan, -1.0]))
    with pytest.raises(ContractError, match="fewer tests"):
        benjamini_hochberg(np.array([-1.0, -2.0]), n_tests=1)
