"""Best F1 counted only where detectors fire: the same as counted everywhere."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from biosae.synthetic.node_f1 import best_f1, by_node


def slow_best_f1(rows, nodes, values, kept, truth):
    """Best F1 and its threshold of each kept node and detector, true positives counted everywhere."""
    f1 = np.zeros((len(kept), truth.shape[1]))
    threshold = np.full(f1.shape, np.inf)
    dense = truth.toarray()
    for i, node in enumerate(kept):
        own = nodes == node
        for level in np.unique(values[own]):
            active = rows[own & (values >= level)]
            scores = 2 * dense[active].sum(axis=0) / (len(active) + dense.sum(axis=0))
            better = scores >= f1[i]
            f1[i, better], threshold[i, better] = scores[better], level
    return f1, threshold


@pytest.mark.parametrize("density", [0.02, 0.3, 0.9])
@pytest.mark.parametrize("seed", range(12))
def test_it_is_the_slow_one(seed, density):
    rng = np.random.default_rng([seed, int(100 * density)])
    n_rows, n_nodes = int(rng.integers(1, 50)), 5
    truth = csr_matrix(rng.random((n_rows, int(rng.integers(1, 6)))) < density)
    cells = rng.choice(n_rows * n_nodes, int(rng.integers(0, n_rows * n_nodes)), replace=False)
    rows, nodes = np.divmod(cells, n_nodes)
    values = rng.integers(1, 5, len(cells)) / 4  # many equal activations
    kept = np.array([0, 1, 3, 4])
    slow_f1, slow_threshold = slow_best_f1(rows, nodes, values, kept, truth)
    f1, threshold = best_f1(*by_node(rows, nodes, values), kept, truth)
    np.testing.assert_allclose(f1, slow_f1)
    some = slow_f1 > 0
    np.testing.assert_array_equal(threshold[some], slow_threshold[some])
    assert np.isinf(threshold[~some]).all()


def test_activations_are_sorted_by_node_falling_value_and_row():
    rng = np.random.default_rng(1)
    rows, nodes, values = rng.permutation(60), rng.integers(0, 5, 60), rng.integers(1, 4, 60) / 2
    order = np.lexsort((rows, -values, nodes))
    for found, given in zip(by_node(rows, nodes, values), (rows, nodes, values), strict=True):
        np.testing.assert_array_equal(found, given[order])


def test_equal_activations_go_together():
    # the node is equally active on a firing and on a silent position: no threshold parts them
    truth = csr_matrix(np.array([[True], [False], [False]]))
    f1, threshold = best_f1(np.array([0, 1]), np.zeros(2, int), np.ones(2), np.array([0]), truth)
    assert f1.tolist() == [[pytest.approx(2 / 3)]]
    assert threshold.tolist() == [[1.0]]


def test_no_node_and_no_activation():
    truth = csr_matrix(np.array([[True], [False]]))
    nothing = np.zeros(0, int)
    assert best_f1(nothing, nothing, np.zeros(0), nothing, truth)[0].shape == (0, 1)
    assert best_f1(nothing, nothing, np.zeros(0), np.array([2]), truth)[0].tolist() == [[0.0]]
