"""The scorer on tables small enough to check by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from biosae.synthetic import scoring

PLANTED_AND_REPEAT = {"A": "motif", "B": "motif", "R": "repeat"}


def truth_of(firing: list[list[int]], rows: int) -> csr_matrix:
    """(rows, detectors) bool from the rows on which each detector fires."""
    dense = np.zeros((rows, len(firing)), dtype=bool)
    for detector, own in enumerate(firing):
        dense[own, detector] = True
    return csr_matrix(dense)


def codes_of(nodes: dict[int, dict[int, float]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(rows, nodes, values) from node -> row -> activation."""
    flat = [(row, node, value) for node, own in nodes.items() for row, value in own.items()]
    rows, numbers, values = zip(*flat, strict=True)
    return np.array(rows), np.array(numbers), np.array(values, dtype=np.float32)


def slow_f1(active: set[int], fires: set[int]) -> float:
    return 2 * len(active & fires) / (len(active) + len(fires)) if active or fires else 0.0


def test_perfect_nodes_score_one_whatever_their_order() -> None:
    truth = truth_of([[1, 5], [2, 9], [7]], 12)
    codes = codes_of({8: {2: 1.0, 9: 3.0}, 3: {7: 0.5}, 5: {5: 2.0, 1: 1.0}})
    f1, threshold = scoring.best_f1(*scoring.by_node(*codes), np.array([3, 5, 8]), truth)
    chosen = scoring.assign(f1)
    assert chosen.tolist() == [1, 2, 0]  # detector 0 by node 5, detector 1 by node 8, detector 2 by node 3
    assert f1[chosen, [0, 1, 2]].tolist() == [1.0, 1.0, 1.0]
    assert threshold[chosen, [0, 1, 2]].tolist() == [1.0, 1.0, 0.5]


def test_threshold_cuts_off_what_is_weak() -> None:
    """The two strongest of node 0's four rows are the detector's: F1 is 1 at 3, 2/3 without threshold."""
    codes = codes_of({0: {0: 4.0, 1: 3.0, 2: 2.0, 3: 1.0}})
    f1, threshold = scoring.best_f1(*scoring.by_node(*codes), np.array([0]), truth_of([[0, 1], [3]], 4))
    assert f1[0].tolist() == [1.0, pytest.approx(2 / 5)]
    assert threshold[0].tolist() == [3.0, 1.0]


def test_equal_activations_go_together() -> None:
    """A threshold cannot part rows of one value: the single hit among four equal ones gives 2 / (4 + 1)."""
    codes = codes_of({0: {0: 1.0, 1: 1.0, 2: 1.0, 3: 1.0}})
    f1, _ = scoring.best_f1(*scoring.by_node(*codes), np.array([0]), truth_of([[0]], 4))
    assert f1[0, 0] == pytest.approx(2 / 5)


def test_one_to_one_counts_a_node_once() -> None:
    """One node serves two detectors best; one-to-one leaves the second the next best, or nothing."""
    f1 = np.array([[0.9, 0.8], [0.4, 0.0]])
    chosen = scoring.assign(f1)
    assert chosen.tolist() == [1, 0]  # 0.4 + 0.8 beats 0.9 + 0.0
    assert scoring.assign(np.array([[0.9, 0.8]])).tolist() == [0, -1]
    assert scoring.assign(np.array([[0.9, 0.0], [0.0, 0.0]])).tolist() == [0, -1]  # no overlap, no assignment
    assert scoring.assign(np.empty((0, 2))).tolist() == [-1, -1]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_best_f1_and_assignment_equal_slow_references(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows, detectors, n_nodes = 20, 3, 4
    truth = rng.random((rows, detectors)) < 0.3
    values = np.round(rng.random((rows, n_nodes)) * 4) * (rng.random((rows, n_nodes)) < 0.7)
    row, node = np.nonzero(values)
    order = rng.permutation(len(row))
    row, node = row[order], node[order]
    kept = np.array([0, 2, 3])
    f1, threshold = scoring.best_f1(*scoring.by_node(row, node, values[row, node]), kept, csr_matrix(truth))
    for i, d in itertools.product(range(len(kept)), range(detectors)):
        fires = set(np.flatnonzero(truth[:, d]))
        levels = sorted(set(values[:, kept[i]]) - {0})
        tried = {level: slow_f1(set(np.flatnonzero(values[:, kept[i]] >= level)), fires) for level in levels}
        assert f1[i, d] == pytest.approx(max(tried.values(), default=0))
        if max(tried.values(), default=0):
            assert tried[threshold[i, d]] == pytest.approx(f1[i, d])
    chosen = scoring.assign(f1)
    total = sum(f1[node, d] for d, node in enumerate(chosen) if node >= 0)
    best = max(sum(f1[p[d], d] for d in range(detectors)) for p in itertools.permutations(range(len(kept))))
    assert total == pytest.approx(best)


def test_site_distance() -> None:
    seqlets = pd.DataFrame({"chrom": ["a", "a", "a", "b", "c"], "start": [0, 95, 900, 0, 0]})
    seqlets["end"] = seqlets["start"] + 10
    sites = pd.DataFrame({"chrom": ["a", "a", "b"], "centre": [104.0, 8.0, 5.0]})
    distance = scoring.site_distance(seqlets, sites, cap_bp=500)
    assert distance.tolist() == [3.0, 4.0, 500.0, 0.0, 500.0]  # 905 - 104 is capped; c has no site


def test_position_errors_take_the_strongest_seqlets_of_the_assigned_node() -> None:
    detectors = pd.DataFrame({"width": [10, 6], "motif": ["A", "R"], "kind": ["motif", "repeat"]})
    detections = pd.DataFrame(
        {
            "detector": [0, 0, 1],
            "chrom": "a",
            "site_start": [100, 300, 50],
            "sequence_start": 0,
            "position": 0,
        }
    )
    sequences = pd.DataFrame({"chrom": ["a"], "start": [0], "end": [1000], "split": ["train"]})
    truth = scoring.Truth(detectors, detections, sequences)
    # detector 0 has sites centred on 105 and 305; node 4's three seqlets are centred on 106, 308 and 700
    seqlets = pd.DataFrame({"chrom": "a", "start": [96, 298, 690], "end": [116, 318, 710], "node": 4})
    seqlets["seqlet_rank"] = [1, 2, 3]
    assert scoring.position_errors(truth, seqlets, np.array([4, -1])).tolist() == [3.0, 1000.0]
    late = seqlets.assign(seqlet_rank=[1, 2, scoring.TOP_SEQLETS + 1])
    assert scoring.position_errors(truth, late, np.array([4, 9])).tolist() == [2.0, 1000.0]


def matches_of(*rows: tuple[str, str, float, float]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["query", "target", "p_value", "q_value"])


def test_a_motif_names_the_truth_motif_of_lowest_p() -> None:
    matches = matches_of(
        ("1_n0_m1", "database", 1e-9, 1e-7),  # not a truth motif: says nothing
        ("1_n0_m1", "B", 1e-5, 1e-3),
        ("1_n0_m1", "A", 1e-8, 1e-6),
        ("2_n1_m1", "B", 1e-3, 0.05),  # q must be below 0.05
        ("3_n2_m1", "R", 1e-6, 1e-4),
    )
    assert scoring.name_motifs(matches, PLANTED_AND_REPEAT) == {"1_n0_m1": "A", "3_n2_m1": "R"}


def test_motif_recall_counts_planted_and_precision_counts_every_truth() -> None:
    named = {"x": "A", "y": "A", "z": "R", "not significant": "B"}
    figures = scoring.motif_figures(["x", "y", "z", "w"], named, PLANTED_AND_REPEAT)
    assert figures["motif_recall"] == 1 / 2
    assert figures["motif_precision"] == 3 / 4
    assert figures["n_planted_motifs"] == 2
    assert figures["planted_motifs_missed"] == ["B"]
    assert figures["other_truth_found"] == ["R"]


def test_no_significant_motif_is_recall_zero_and_no_precision() -> None:
    figures = scoring.motif_figures([], {}, PLANTED_AND_REPEAT)
    assert figures["motif_recall"] == 0
    assert figures["motif_precision"] is None
