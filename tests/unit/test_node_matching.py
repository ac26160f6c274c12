"""One-to-one matching: the best assignment there is, or the greedy one within a bound on memory."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from biosae.errors import ConfigError, InputError
from biosae.node_matching import best_partners, match_nodes, unit_rows


def directions(seed: int, n: int, channels: int = 20) -> np.ndarray:
    return unit_rows(np.random.default_rng(seed).normal(size=(n, channels)))


@pytest.mark.parametrize(("n", "m"), [(5, 5), (4, 6), (6, 4)])
@pytest.mark.parametrize("seed", range(3))
def test_the_assignment_has_the_largest_sum_of_all(n, m, seed):
    first, second = directions(seed, n, 3), directions(seed + 100, m, 3)
    cosines = first.astype(float) @ second.T.astype(float)
    small, large = (cosines, m) if n <= m else (cosines.T, n)
    best = max(
        small[range(min(n, m)), order].sum() for order in itertools.permutations(range(large), min(n, m))
    )
    partner, cosine = match_nodes(first, second, 100)
    taken = partner[partner >= 0]
    assert len(set(taken.tolist())) == len(taken) == min(n, m)
    assert np.nansum(cosine) == pytest.approx(best, abs=1e-6)
    assert np.isnan(cosine).sum() == (partner < 0).sum() == max(0, n - m)
    found = partner >= 0
    assert cosine[found] == pytest.approx(cosines[np.flatnonzero(found), partner[found]], abs=1e-6)


def greedy(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Pairs by falling cosine, each node once: the slow reference."""
    cosines = first @ second.T
    partner = np.full(len(first), -1)
    for i, j in zip(*np.unravel_index(np.argsort(-cosines, axis=None), cosines.shape), strict=True):
        if partner[i] < 0 and j not in partner:
            partner[i] = j
    return partner


@pytest.mark.parametrize(("n", "m"), [(40, 40), (30, 45), (45, 30)])
def test_above_the_bound_mutual_best_pairs_are_the_greedy_ones(n, m):
    first, second = directions(1, n), directions(2, m)
    partner, _ = match_nodes(first, second, 1)  # the last pair alone is assigned
    assert partner.tolist() == greedy(first, second).tolist()


@pytest.mark.parametrize("max_dense", [1, 7, 59, 60])
def test_planted_partners_are_found_within_any_bound(max_dense):
    truth, rng = directions(0, 60), np.random.default_rng(1)
    order = rng.permutation(60)
    noisy = unit_rows(truth[order] + 0.2 * rng.normal(size=truth.shape) / np.sqrt(20))
    partner, cosine = match_nodes(noisy, truth, max_dense)
    assert partner.tolist() == order.tolist()
    assert cosine.min() > 0.9


def test_ties_end_and_give_each_node_one_partner():
    same = np.repeat(directions(0, 1), 30, axis=0)
    partner, cosine = match_nodes(same, same, 2)
    assert sorted(partner.tolist()) == list(range(30))
    assert cosine == pytest.approx(np.ones(30))


def test_best_partners_are_those_of_the_whole_matrix_whatever_the_blocks(monkeypatch):
    first, second = directions(3, 50), directions(4, 33)
    cosines = first @ second.T
    monkeypatch.setattr("biosae.node_matching._BLOCK_ROWS", 7)
    best, back, value = best_partners(first, second)
    assert best.tolist() == cosines.argmax(1).tolist()
    assert back.tolist() == cosines.argmax(0).tolist()
    assert value == pytest.approx(cosines.max(1), abs=1e-6)


def test_nothing_above_the_bound_is_ever_dense(monkeypatch):
    sizes = []

    def assign(first, second):
        sizes.append(len(first) * len(second))
        pairs = np.arange(min(len(first), len(second)))
        return pairs, pairs

    monkeypatch.setattr("biosae.node_matching._assign", assign)
    match_nodes(directions(5, 200), directions(6, 150), 20)
    assert len(sizes) == 1
    assert 0 < sizes[0] <= 400


def test_a_zero_direction_stays_zero_and_no_room_is_refused():
    rows = unit_rows(np.array([[3.0, 4.0], [0.0, 0.0]]))
    assert rows.tolist() == [[pytest.approx(0.6), pytest.approx(0.8)], [0.0, 0.0]]
    with pytest.raises(ConfigError, match="room for at least one node"):
        match_nodes(rows, rows, 0)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("side", [0, 1])
def test_directions_that_are_not_finite_are_refused(value, side):
    """With NaN no pair need be each other's best: the rounds would never end."""
    sets = [directions(0, 9), directions(1, 9)]
    sets[side][4, 2] = value
    with pytest.raises(InputError, match=r"NaN or infinity.*1 of 18 nodes"):
        match_nodes(*sets, 2)
