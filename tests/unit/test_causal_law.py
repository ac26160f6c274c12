"""The null of the ablation: calibrated where nothing stands out, not blind where controls matter."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from biosae.causal import law
from biosae.causal.windows import bootstrap_weights, within_window_p


def squares(rng, n, k, tracks):
    """Mean squares over tracks of Gaussian effects, at places of very different sensitivity."""
    place = np.exp(rng.normal(0, 1, (n, 1)))
    return place * np.square(rng.standard_normal((n, k + 1, tracks))).mean(axis=2)


def test_the_lower_median_is_one_of_the_values():
    assert law.lower_median(np.array([[4.0, 1.0, 3.0, 2.0], [5.0, 5.0, 1.0, 1.0]])).tolist() == [2.0, 1.0]
    assert law.lower_median(np.array([3.0, 1.0, 2.0])).tolist() == 2.0


def test_a_control_is_compared_with_the_other_controls():
    ratios = law.control_ratios(np.array([[2.0, 4.0, 8.0]]))
    assert ratios.tolist() == [[2 / 4, 4 / 2, 8 / 2]]


def test_over_one_control_the_law_is_fishers_f():
    ratio = np.array([0.3, 1.0, 2.0, 7.0, 40.0])
    assert law.survival(ratio, 5.0, 1) == pytest.approx(stats.f.sf(ratio, 5, 5), rel=0.01)


@pytest.mark.parametrize("tracks", [1, 12])
@pytest.mark.parametrize("k", [4, 8])
def test_nodes_like_their_controls_have_uniform_p(tracks, k):
    rng = np.random.default_rng(tracks * 10 + k)
    p = np.concatenate([one_run(rng, 400, k, tracks) for _ in range(6)])
    for level in (0.5, 0.05, 0.01):
        # three standard errors of a share of 2,400
        assert abs((p < level).mean() - level) < 3 * np.sqrt(level / 2400) + 0.1 * level


def one_run(rng, n, k, tracks):
    found = squares(rng, n, k, tracks)
    return law.p_values(found[:, 0], found[:, 1:], found[:, 1:].size, tracks)[0]


def test_the_degrees_of_freedom_are_found():
    rng = np.random.default_rng(0)
    found = squares(rng, 2000, 9, 6)
    assert law.fit_degrees(law.control_ratios(found[:, 1:]), 8, 99) == pytest.approx(6, rel=0.15)
    assert law.fit_degrees(law.control_ratios(found[:, 1:]), 8, 2) == 2


def test_controls_that_matter_do_not_hide_a_node():
    """One control in ten drives the tracks wherever it is put: counting would give every node p of 0.1."""
    rng = np.random.default_rng(1)
    found = squares(rng, 300, 8, 1)
    found[:, 1:] *= np.where(rng.random((300, 8)) < 0.1, 1e4, 1.0)
    found[:10, 0] *= 1e4
    p, _ = law.p_values(found[:, 0], found[:, 1:], 2400, 1)
    assert np.median(p[:10]) < 0.003
    assert (p[10:] < 0.05).mean() < 0.06  # controls that matter make the law wider, never narrower


def test_p_is_never_below_what_controls_could_show():
    controls = np.ones((5, 4)) * np.linspace(0.9, 1.1, 4)
    p, _ = law.p_values(np.full(5, 1e9), controls, 20, 1)
    assert p == pytest.approx(np.full(5, 1 / 21))


def test_effects_of_exactly_nothing():
    controls = np.zeros((3, 4))
    p, _ = law.p_values(np.array([0.0, 1.0, 0.0]), controls, 12, 1)
    assert p == pytest.approx([1.0, 1 / 13, 1.0])


def test_without_controls_there_is_no_p():
    p, degrees = law.p_values(np.ones(3), np.ones((3, 1)), 3, 1)
    assert np.isnan(p).all() and np.isnan(degrees)


def test_windows_that_agree():
    rng = np.random.default_rng(2)
    sizes = rng.uniform(0.9, 1.1, (8, 9))
    sizes[:, 0] *= 2
    assert within_window_p(sizes, 999, rng) == 1 / 1000
    alone = rng.uniform(0.9, 1.1, (8, 9))
    alone[3] *= 1000  # a window in which everything is large is one window
    alone[3, 0] *= 2
    assert within_window_p(alone, 999, rng) > 0.005
    assert within_window_p(np.zeros((4, 5)), 99, rng) == 1.0


def test_labels_given_at_random_have_uniform_p():
    rng = np.random.default_rng(3)
    p = np.array([within_window_p(rng.exponential(size=(6, 5)), 199, rng) for _ in range(400)])
    assert abs((p <= 0.05).mean() - 0.05) < 0.035
    assert abs((p <= 0.5).mean() - 0.5) < 0.08


def test_windows_are_drawn_as_wholes():
    weights = bootstrap_weights(5, 300, np.random.default_rng(4))
    assert weights.sum(axis=1) == pytest.approx(1)
    assert np.allclose(weights * 5, np.round(weights * 5))
    assert weights.mean(axis=0) == pytest.approx(0.2, abs=0.03)
