"""The simulator of the motif benchmarks plants what it says; its nulls hold no more than the background."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import simulate_motifs as simulated
from benchmarks.simulate_motifs import FAMILIES, NULLS, RATES, simulate

MATRICES = simulated.read_matrices(simulated.DATABASE)
ELEMENTS = simulated.repeat_elements(np.random.default_rng(7))


def node(family: str, n: int = 400, length: int = 42, seed: int = 1, both: bool = True):
    rng = np.random.default_rng(seed)
    windows = simulated.markov_windows(length, n, rng)
    return windows, simulate(family, "x", windows, MATRICES, both, rng, ELEMENTS)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("length", [24, 150])
def test_every_family_fits_every_length(family, length):
    windows, made = node(family, 60, length)
    assert len(made.sequences) == 60
    assert {len(text) for text in made.sequences} == {length}
    assert set("".join(made.sequences)) <= set("ACGTacgt")
    assert len(made.planted) == len(made.sites) == {"dual": 2}.get(family, family not in NULLS)
    assert all(len(matrix) <= length for matrix in made.planted)
    assert (made.sequences == windows) == (family == "null")


@pytest.mark.parametrize("family", ["strong", "medium", "weak"])
def test_sites_are_planted_at_the_stated_rate_and_information(family):
    windows, made = node(family, 2000)
    changed = np.mean([a != b for a, b in zip(windows, made.sequences, strict=True)])
    assert RATES[family][0] - 0.05 < changed < RATES[family][1] + 0.05
    low, high = simulated.BITS[family]
    assert low <= simulated.information(made.planted[0]) < high
    assert np.corrcoef(made.sites[0].ravel(), made.planted[0].ravel())[0, 1] > 0.98


def test_one_strand_only_where_asked_for():
    sure = np.eye(4)[[0, 0, 2, 1, 3, 0, 1, 1]]  # AAGCTACC
    windows = ["T" * 30] * 200
    forward = simulated.plant(windows, sure, 1.0, False, np.random.default_rng(0))
    assert all("AAGCTACC" in text for text in forward)
    mixed = simulated.plant(windows, sure, 1.0, True, np.random.default_rng(0))
    assert 60 < sum("AAGCTACC" in text for text in mixed) < 140
    assert all("AAGCTACC" in text or "GGTAGCTT" in text for text in mixed)


def test_a_window_too_short_for_a_matrix_is_left_alone():
    texts, sites = simulated.plant_sites(
        ["ACGTACGT"], np.full((9, 4), 0.25), 1.0, False, np.random.default_rng(0)
    )
    assert texts == ["ACGTACGT"]
    assert (sites == 0.25).all()
    with pytest.raises(ValueError, match="at most 4 bp"):
        simulated.draw_matrix(MATRICES, "strong", 4, np.random.default_rng(0))


def lower_share(texts) -> float:
    return float(np.mean([text.islower() for text in texts]))


def test_repeats_are_enriched_in_their_family_and_not_in_its_null():
    rng = np.random.default_rng(3)
    windows = simulated.markov_windows(42, 4000, rng)
    background = simulated.population("repeat", windows, ELEMENTS, rng)
    null = simulate("repeat_null", "x", windows, MATRICES, True, rng, ELEMENTS).sequences
    made = simulate("repeat", "x", windows, MATRICES, True, rng, ELEMENTS).sequences
    assert abs(lower_share(background) - 0.1) < 0.03
    assert abs(lower_share(null) - 0.1) < 0.03
    assert np.mean([any(base.islower() for base in text) for text in made]) > 0.3


def run_share(texts) -> float:
    return float(np.mean(["A" * 8 in text or "CACACACA" in text for text in texts]))


def test_runs_are_enriched_in_their_family_and_not_in_its_null():
    rng = np.random.default_rng(4)
    windows = simulated.markov_windows(42, 4000, rng)
    background = simulated.population("lowcomplexity", windows, (), rng)
    null = simulate("lowcomplexity_null", "x", windows, MATRICES, True, rng).sequences
    made = simulate("lowcomplexity", "x", windows, MATRICES, True, rng).sequences
    assert abs(run_share(background) - 0.2) < 0.05
    assert abs(run_share(null) - run_share(background)) < 0.04
    assert run_share(made) > run_share(background) + 0.12


def test_the_chain_has_the_stated_order():
    rng = np.random.default_rng(5)
    codes = simulated.markov_codes(20000, 5, rng, order=1)
    triples = np.zeros((4, 4, 4))
    np.add.at(triples, (codes[:, :-2].ravel(), codes[:, 1:-1].ravel(), codes[:, 2:].ravel()), 1)
    shares = triples / triples.sum(axis=2, keepdims=True)
    assert np.ptp(shares, axis=0).max() < 0.03  # the letter two back says nothing
    assert np.ptp(shares, axis=1).max() > 0.05  # the letter before does


def test_the_same_seed_gives_the_same_node():
    assert node("repeat", seed=2)[1].sequences == node("repeat", seed=2)[1].sequences
    assert node("repeat", seed=2)[1].sequences != node("repeat", seed=3)[1].sequences


def test_correlation_finds_the_offset_and_the_strand_and_charges_missing_columns():
    matrix = MATRICES[0]
    shifted = np.vstack([np.full((2, 4), 0.25), matrix])
    assert simulated.aligned_correlation(shifted[::-1, ::-1], matrix) > 0.9999
    assert simulated.aligned_correlation(matrix[:-3], matrix) < 0.98
