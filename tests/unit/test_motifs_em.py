"""EM and widths: the fast kernels against a plain reference written from the model."""

from __future__ import annotations

import math

import numpy as np
import pytest

from biosae.motifs import background, em, packing, width
from unit.helpers_motifs import MEDIUM, STRONG, aligned_correlation, plant, uniform

SEQUENCES = [
    "ACGTACGTTTGACCATGACTCATGG",
    "ACNNGTACCAGTTGACTCAGGNATTACCAGG",
    "ttacgTGACTCAcgttgcaACGT",
    "ACGT",
    "NN",
]


def pack(sequences: list[str], order: int = 2, both: bool = False) -> tuple[packing.Packed, np.ndarray]:
    codes, offsets = packing.encode(sequences)
    tables = background.fit(codes, offsets, order, both)
    return packing.pack(codes, offsets, tables, order), background.composition(tables)


def slow_places(packed: packing.Packed, matrix: np.ndarray, both: bool):
    """Per sequence a list of (start, forward, odds, bases on the motif's strand)."""
    w = len(matrix)
    for s in range(packed.n):
        places = []
        for start in range(packed.offsets[s], packed.offsets[s + 1] - w + 1):
            bases = packed.codes[start : start + w].astype(int)
            if (bases > 3).any():
                continue
            bg = np.prod(1.0 / packed.inverse[start : start + w])
            for forward in (True, False) if both else (True,):
                read = bases if forward else 3 - bases[::-1]
                places.append((start, forward, np.prod(matrix[np.arange(w), read]) / bg, read))
        yield places


def slow_step(packed: packing.Packed, matrix: np.ndarray, rate: float, composition: np.ndarray, both: bool):
    """One EM step from the definition: new matrix, new rate, log likelihood ratio."""
    counts, llr, sites = np.zeros(matrix.shape), 0.0, 0.0
    for s, places in enumerate(slow_places(packed, matrix, both)):
        without = (1 - rate) * packed.rival[s]
        total = without + sum(rate * odds / len(places) for _, _, odds, _ in places)
        llr += math.log(total)
        for _, _, odds, read in places:
            z = rate * odds / len(places) / total
            sites += z
            counts[np.arange(len(matrix)), read] += z
    counts += em.PSEUDOCOUNT * composition
    rate = min(max(sites / packed.n, 1 / (packed.n + 1)), em.MAX_RATE)
    return counts / counts.sum(axis=1, keepdims=True), rate, llr


@pytest.mark.parametrize("order", [0, 2, 3])
@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("columns", [3, 5, 8, 9])
def test_one_em_step_equals_the_reference(order, both, columns):
    packed, composition = pack(SEQUENCES, order, both)
    packed.rival[:] = [1.0, 2.5, 0.7, 1.0, 1.0]
    start = STRONG[:columns]
    state = em.fit(packed, start, 0.4, composition, both, rounds=1)
    matrix, rate, llr = slow_step(packed, start, 0.4, composition, both)
    assert state.llr == pytest.approx(llr, abs=1e-9)
    assert state.rate == pytest.approx(rate, abs=1e-7)
    assert state.matrix == pytest.approx(matrix, abs=1e-7)  # SKIP leaves out places below 1e-9
    assert (start == STRONG[:columns]).all()


@pytest.mark.parametrize("both", [False, True])
def test_several_em_steps_equal_the_reference(both):
    rng = np.random.default_rng(0)
    packed, composition = pack(plant(uniform(30, 30, rng), STRONG, 0.7, both, rng), 2, both)
    matrix, rate = STRONG[1:8], 0.3
    state = em.fit(packed, matrix, rate, composition, both, rounds=3)
    history = []
    for _ in range(3):
        matrix, rate, llr = slow_step(packed, matrix, rate, composition, both)
        history.append(llr)
    assert state.llr == pytest.approx(history[-1], abs=1e-6)
    assert state.matrix == pytest.approx(matrix, abs=1e-6)
    assert (np.diff(history) > -0.05).all()  # EM climbs, but for the pseudocount


@pytest.mark.parametrize("both", [False, True])
def test_best_sites_equal_the_reference(both):
    packed, _ = pack(SEQUENCES, 1, both)
    packed.rival[:] = [1.0, 3.0, 1.0, 1.0, 1.0]
    state = em.Fit(STRONG, 0.4, 0.0)
    sites = em.best_sites(packed, state, both)
    for s, places in enumerate(slow_places(packed, STRONG, both)):
        if not places:
            assert (sites.odds[s], sites.starts[s], sites.posterior[s]) == (0.0, -1, 0.0)
            continue
        start, forward, odds, _ = max(places, key=lambda place: place[2])
        assert (sites.starts[s], sites.forward[s]) == (start, forward)
        assert sites.odds[s] == pytest.approx(odds)
        ratio = np.mean([place[2] for place in places])
        assert sites.ratio[s] == pytest.approx(ratio)
        want = 0.4 * ratio / (0.6 * packed.rival[s] + 0.4 * ratio)
        assert sites.posterior[s] == pytest.approx(want)


def test_erased_sites_are_never_used_again():
    packed, _ = pack(["GG" + "ATGACTCAT" + "ACCA" + "ATGACTCAT" + "GG", "ACGTACGTACGATCTAGC"], 0)
    state = em.Fit(STRONG, 0.5, 0.0)
    threshold = em.best_sites(packed, state, False).odds[0] * 0.9
    em.erase_sites(packed, state, False, threshold)
    text = "".join("ACGTN"[c] for c in packed.codes[: packed.offsets[1]])
    assert text == "GG" + "N" * 9 + "ACCA" + "N" * 9 + "GG"
    assert em.best_sites(packed, state, False).starts[0] == -1
    assert (packed.codes[packed.offsets[1] : packed.offsets[2]] < 4).all()


def test_choose_columns_takes_the_best_range_and_minds_lost_sites():
    gains = np.array([-1.0, 2.0, -0.5, 5.0, -3.0, 1.0])
    none = np.zeros(6)
    assert width.choose_columns(gains, none, (1, 6)) == (1, 4)
    assert width.choose_columns(gains, none, (5, 6)) == (1, 6)
    assert width.choose_columns(gains, none, (1, 2)) in [(3, 4)]
    lost = np.array([9.0, 4.0, 0.0, 0.0, 0.0, 0.0])
    assert width.choose_columns(gains, lost, (1, 6)) == (3, 4)


def test_trim_ends_stops_at_the_minimum_width():
    flat, sharp = [0.25] * 4, [0.97, 0.01, 0.01, 0.01]
    matrix = np.array([flat, sharp, flat, sharp, flat, flat])
    composition = np.full(4, 0.25)
    assert width.trim_ends(matrix, composition, 2, 0.1) == (1, 4)
    assert width.trim_ends(matrix, composition, 5, 0.1) in [(0, 5), (1, 6)]
    assert width.trim_ends(matrix, composition, 2, 0.0) == (0, 6)


@pytest.mark.parametrize("part", [slice(0, 6), slice(2, 8), slice(3, 10)])
def test_width_grows_from_a_part_to_the_planted_motif(part):
    rng = np.random.default_rng(4)
    packed, composition = pack(plant(uniform(400, 42, rng), MEDIUM, 0.6, False, rng), 0)
    start = em.Fit(MEDIUM[part], 0.3, 0.0)
    state = width.refine(packed, start, composition, False, (5, 30))
    assert abs(len(state.matrix) - len(MEDIUM)) <= 1
    assert aligned_correlation(state.matrix, MEDIUM, False) > 0.97


def test_width_keeps_its_bounds():
    rng = np.random.default_rng(5)
    packed, composition = pack(plant(uniform(300, 42, rng), MEDIUM, 0.8, False, rng), 0)
    for bounds in ((6, 7), (14, 16)):
        state = width.refine(packed, em.Fit(MEDIUM, 0.3, 0.0), composition, False, bounds)
        assert bounds[0] <= len(state.matrix) <= bounds[1]


def test_bic_charges_three_parameters_a_column():
    narrow, wide = em.Fit(np.full((6, 4), 0.25), 0.5, 100.0), em.Fit(np.full((7, 4), 0.25), 0.5, 100.0)
    assert narrow.bic(200) - wide.bic(200) == pytest.approx(1.5 * math.log(200))
