"""Splitting, merging and absorption on tables small enough to check by hand, and counts per sequence."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix

from biosae.synthetic import scoring

ROWS = 40


def shared(firing: list[list[int]], nodes: list[dict[int, float]]) -> tuple[dict, pd.DataFrame]:
    """Figures from the rows on which each detector fires and each node's activations by row."""
    dense = np.zeros((ROWS, len(firing)), dtype=bool)
    for detector, own in enumerate(firing):
        dense[own, detector] = True
    flat = [(row, node, value) for node, own in enumerate(nodes) for row, value in own.items()]
    rows, numbers, values = (np.array(column) for column in zip(*flat, strict=True))
    kept, truth = np.arange(len(nodes)), csr_matrix(dense)
    f1, threshold = scoring.best_f1(*scoring.by_node(rows, numbers, values), kept, truth)
    return scoring.split_and_merged(rows, numbers, values, kept, f1, threshold, truth)


def on(*rows: int) -> dict[int, float]:
    return dict.fromkeys(rows, 1.0)


def test_one_node_a_detector_is_neither_split_nor_merged_nor_absorbed() -> None:
    figures, table = shared([[0, 1, 2], [5, 6]], [on(0, 1, 2), on(5, 6)])
    assert figures == {"splitting": 0.0, "merging": 0.0, "absorption": 0.0}
    assert table["n_serving"].tolist() == [1, 1]
    assert table["absorbed"].tolist() == [0.0, 0.0]


def test_a_detector_on_two_nodes_is_split() -> None:
    """Halves of ten firings: each node has precision 1 and recall 0.5. The other detector has one node."""
    figures, table = shared([list(range(10)), [20, 21]], [on(*range(5)), on(*range(5, 10)), on(20, 21)])
    assert table["n_serving"].tolist() == [2, 1]
    assert figures["splitting"] == 0.5
    assert figures["absorption"] == 0.0  # the two stand for one detector: nothing was taken from it


def test_a_fragment_is_no_split() -> None:
    """One of 20 firings is less than a tenth; that row is silent in the main node, so it is absorbed."""
    figures, table = shared([list(range(20))], [on(*range(19)), on(19)])
    assert table["n_serving"].tolist() == [1]
    assert figures["splitting"] == 0.0
    assert figures["absorption"] == pytest.approx(1 / 20)


def test_two_detectors_on_one_node_are_merged() -> None:
    figures, _ = shared([[0, 1, 2, 3], [10, 11, 12], [30]], [on(0, 1, 2, 3, 10, 11, 12), on(30)])
    assert figures["merging"] == 0.5


def test_a_small_share_is_not_merged_and_a_threshold_parts_what_it_can() -> None:
    figures, _ = shared([list(range(9)), [20]], [on(*range(9), 20)])
    assert figures["merging"] == 0.0  # 1 of 10 active positions
    parted = {**on(0, 1, 2, 3), **dict.fromkeys((10, 11, 12), 0.2)}
    figures, _ = shared([[0, 1, 2, 3], [10, 11, 12]], [parted])
    assert figures["merging"] == 0.0


def test_detectors_that_fire_together_are_not_merged() -> None:
    """A pair fires on half of its first motif's positions: the node of that motif stands for it alone."""
    figures, _ = shared([list(range(10)), list(range(5))], [on(*range(10))])
    assert figures["merging"] == 0.0


def test_a_childs_node_absorbs_its_parent() -> None:
    """Detector 1 fires on 4 of detector 0's 10 rows; node 0 is silent there, and node 1 alone is active."""
    figures, table = shared([list(range(10)), [6, 7, 8, 9]], [on(*range(6)), on(6, 7, 8, 9)])
    assert table["n_serving"].tolist() == [1, 1]
    assert table["absorbed"].tolist() == [0.4, 0.0]
    assert figures["absorption"] == pytest.approx(0.2)
    whole, _ = shared([list(range(10)), [6, 7, 8, 9]], [on(*range(10)), on(6, 7, 8, 9)])
    assert whole["absorption"] == 0.0
    missed, _ = shared([list(range(10)), [20]], [on(*range(6)), on(20)])
    assert missed["absorption"] == 0.0  # silent, but nobody has taken it over


def test_a_node_of_something_else_that_happens_to_fire_absorbs_nothing() -> None:
    """Node 1 is active on 1 of detector 0's missed rows and on 4 others: it does not imply detector 0."""
    figures, _ = shared([list(range(10)), [20, 21, 22, 23]], [on(*range(9)), on(9, 20, 21, 22, 23)])
    assert figures["absorption"] == 0.0


def test_nodes_that_share_nothing_and_no_nodes_at_all() -> None:
    figures, table = shared([[0, 1]], [on(5, 6)])
    assert figures == {"splitting": 0.0, "merging": None, "absorption": None}
    assert table["absorbed"].isna().all()
    empty = np.empty(0, dtype=int)
    fires = csr_matrix(np.ones((4, 2), dtype=bool))
    none = scoring.split_and_merged(empty, empty, empty, empty, np.empty((0, 2)), np.empty((0, 2)), fires)
    assert none[0] == {"splitting": 0.0, "merging": None, "absorption": None}
    assert none[1]["n_serving"].tolist() == [0, 0]


def test_nodes_that_are_not_kept_do_not_count() -> None:
    """Node 3 would split detector 0, but is not kept; activations below a node's threshold are silent."""
    rows, nodes = np.array([0, 1, 2, 3, 9]), np.array([7, 7, 3, 3, 7])
    values = np.array([2.0, 2.0, 2.0, 2.0, 1.0])
    truth = np.zeros((10, 1), dtype=bool)
    truth[:4] = True
    kept = np.array([7])
    f1, threshold = scoring.best_f1(*scoring.by_node(rows, nodes, values), kept, csr_matrix(truth))
    _, table = scoring.split_and_merged(rows, nodes, values, kept, f1, threshold, csr_matrix(truth))
    assert table["n_serving"].tolist() == [1]


def test_found_shares() -> None:
    table = pd.DataFrame({"f1": [0.9, 0.7, 0.69, 0.0], "best_f1": [0.9, 0.7, 0.8, 0.1]})
    assert scoring.found_shares(table) == {"detectors_found": 0.5, "detectors_found_best": 0.75}


def test_counts_per_sequence_add_up_to_f1() -> None:
    rng = np.random.default_rng(0)
    truth = csr_matrix(rng.random((60, 3)) < 0.2)
    dense = np.round(rng.random((60, 4)) * 4) * (rng.random((60, 4)) < 0.4)
    rows, nodes = np.nonzero(dense)
    codes = (rows, nodes, dense[rows, nodes])
    kept = np.array([0, 2])
    f1, threshold = scoring.best_f1(*scoring.by_node(*codes), kept, truth)
    chosen = scoring.assign(f1)
    detectors = pd.DataFrame(
        {"detector": range(3), "name": "a", "kind": "motif", "motif": "A", "strand": "+"}
    )
    known = scoring.Truth(detectors, pd.DataFrame(), pd.DataFrame())
    table = scoring.assignment_table(known, kept, f1, threshold, chosen)
    loci = scoring.locus_counts(*codes, table, truth, positions=20)
    assert set(loci["sequence"]) <= {0, 1, 2}
    assert not loci.duplicated(["detector", "sequence"]).any()
    assert (loci[["true_positive", "false_positive", "false_negative"]].sum(axis=1) > 0).all()
    fires = truth.toarray()
    for detector, node, at, own in table[["detector", "node", "threshold", "f1"]].itertuples(index=False):
        counts = loci[loci["detector"] == detector]
        tp, fp, fn = counts[["true_positive", "false_positive", "false_negative"]].sum()
        assert tp + fn == fires[:, detector].sum()
        assert own == pytest.approx(2 * tp / (2 * tp + fp + fn))
        active = dense[:, node] >= at if node >= 0 else np.zeros(60, dtype=bool)
        for one in counts.itertuples():
            part = slice(20 * one.sequence, 20 * one.sequence + 20)
            assert one.true_positive == (active & fires[:, detector])[part].sum()
            assert one.false_positive == (active & ~fires[:, detector])[part].sum()
            assert one.false_negative == (~active & fires[:, detector])[part].sum()
    assert (table["node"] == -1).sum() == 1  # three detectors, two nodes: one row of the table is all misses
    unserved = loci[loci["detector"] == table.loc[table["node"] == -1, "detector"].iloc[0]]
    assert (unserved["true_positive"] + unserved["false_positive"] == 0).all()
