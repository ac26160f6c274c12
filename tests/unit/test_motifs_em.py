"""EM and widths: the fast kernels against a plain reference written from the model."""

from __future__ import annotations

import math

import numpy as np
import pytest

from biosae.motifs import background, em, packing, reference, width
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


@pytest.mark.parametrize("order", [0, 2, 3])
@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("columns", [3, 5, 8, 9])
def test_one_em_step_equals_the_reference(order, both, columns):
    packed, composition = pack(SEQUENCES, order, both)
    packed.rival[:] = [1.0, 2.5, 0.7, 1.0, 1.0]
    start = STRONG[:columns]
    state = em.fit(packed, start, 0.4, composition, both, rounds=1)
    slow = reference.fit(packed, start, 0.4, composition, both, rounds=1)
    assert state.llr == pytest.approx(slow.llr, abs=1e-9)
    assert state.rate == pytest.approx(slow.rate, abs=1e-9)
    assert state.matrix == pytest.approx(slow.matrix, abs=1e-9)
    assert (start == STRONG[:columns]).all()


def test_one_em_step_by_hand():
    """Uniform background, one place in each of two sequences: the posterior is a division."""
    packed, _ = pack(["ACGT", "ACGA"], 0)
    packed.inverse[:] = 4.0
    packed.forget_windows()
    matrix = np.array([[0.7, 0.1, 0.1, 0.1]] * 3 + [[0.1, 0.1, 0.1, 0.7]])
    odds = [0.7 * 0.1 * 0.1 * 0.7 * 256, 0.7 * 0.1 * 0.1 * 0.1 * 256]
    z = [0.4 * x / (0.6 + 0.4 * x) for x in odds]
    quarter = np.full(4, 0.25)
    for engine in (em, reference):
        state = engine.fit(packed, matrix, 0.4, quarter, False, 1)
        assert state.llr == pytest.approx(sum(math.log(0.6 + 0.4 * x) for x in odds), abs=1e-9)
        assert state.rate == pytest.approx(max(sum(z) / 2, 1 / 3))  # never below 1 / (n + 1)
        total = sum(z) + em.PSEUDOCOUNT
        assert state.matrix[3] == pytest.approx(
            [(z[1] + 0.125) / total, 0.125 / total, 0.125 / total, (z[0] + 0.125) / total]
        )


@pytest.mark.parametrize("both", [False, True])
def test_several_em_steps_equal_the_reference(both, monkeypatch):
    rng = np.random.default_rng(0)
    packed, composition = pack(plant(uniform(30, 30, rng), STRONG, 0.7, both, rng), 2, both)
    state = em.fit(packed, STRONG[1:8], 0.3, composition, both, rounds=4)
    slow = reference.fit(packed, STRONG[1:8], 0.3, composition, both, rounds=4)
    assert state.llr == pytest.approx(slow.llr, abs=1e-8)
    assert state.rate == pytest.approx(slow.rate, abs=1e-9)
    assert state.matrix == pytest.approx(slow.matrix, abs=1e-9)
    history = [em.fit(packed, STRONG[1:8], 0.3, composition, both, rounds).llr for rounds in (1, 2, 3, 4)]
    assert (np.diff(history) > -0.05).all()  # EM climbs, but for the pseudocount and SKIP
    monkeypatch.setattr(em, "SKIP", 0.0)  # read by the reference; it is compiled into the kernel
    unskipped = reference.fit(packed, STRONG[1:8], 0.3, composition, both, rounds=4)
    assert state.matrix == pytest.approx(unskipped.matrix, abs=0.02)


def test_tiles_do_not_show(monkeypatch):
    rng = np.random.default_rng(4)
    sequences = (
        uniform(3, 3000, rng) + uniform(40, 30, rng) + ["", "ACG"]
    )  # longer than a tile, and many in one
    packed, composition = pack(plant(sequences, STRONG, 1.0, False, rng), 1)
    state = em.fit(packed, STRONG, 0.4, composition, False, rounds=1)
    slow = reference.fit(packed, STRONG, 0.4, composition, False, rounds=1)
    assert state.llr == pytest.approx(slow.llr, abs=1e-8)
    assert state.matrix == pytest.approx(slow.matrix, abs=1e-9)
    sites, slow_sites = (engine.best_sites(packed, state, False) for engine in (em, reference))
    assert (sites.starts == slow_sites.starts).all()


@pytest.mark.parametrize("both", [False, True])
def test_best_sites_equal_the_reference(both):
    packed, _ = pack(SEQUENCES, 1, both)
    packed.rival[:] = [1.0, 3.0, 1.0, 1.0, 1.0]
    state = em.Fit(STRONG, 0.4, 0.0)
    sites, slow = em.best_sites(packed, state, both), reference.best_sites(packed, state, both)
    assert (sites.starts == slow.starts).all()
    assert (sites.forward == slow.forward).all()
    for name in ("odds", "ratio", "posterior"):
        assert getattr(sites, name) == pytest.approx(getattr(slow, name), rel=1e-9)
    assert sites.starts[3] == sites.starts[4] == -1
    assert sites.odds[:3].min() > 0


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("threshold", [1e-3, 10.0, math.inf])
def test_erased_sites_equal_the_reference(both, threshold):
    fast, slow = pack(SEQUENCES, 1, both)[0], pack(SEQUENCES, 1, both)[0]
    state = em.Fit(STRONG, 0.2, 0.0)
    em.erase_sites(fast, state, both, threshold)
    reference.erase_sites(slow, state, both, threshold)
    assert (fast.codes == slow.codes).all()
    assert (fast.codes != pack(SEQUENCES, 1, both)[0].codes).any()


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("columns", [5, 9])
def test_column_gains_equal_the_reference(both, columns):
    rng = np.random.default_rng(1)
    sequences = [*SEQUENCES, *plant(uniform(20, 26, rng), STRONG, 0.7, both, rng)]
    packed, _ = pack(sequences, 2, both)
    packed.rival[:] = rng.random(len(sequences)) + 0.5
    state = em.Fit(STRONG[:columns], 0.5, 0.0)
    fast, slow = width.column_gains(packed, state, both), reference.column_gains(packed, state, both)
    for ours, theirs in zip(fast, slow, strict=True):
        assert ours == pytest.approx(theirs, abs=1e-9)
    assert fast[2][0] > 0  # sites too near an end


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
