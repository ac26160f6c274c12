"""Fisher's test within strata: scipy for one stratum, every table counted out for several."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy.stats import hypergeom

from biosae.motifs import reference
from biosae.motifs.batched import DiscoverySettings, discover, discover_many
from biosae.motifs.exact_test import log10_p_in_strata, log10_p_of_tables
from unit.helpers_motifs import markov_windows


def of_tables(*tables: tuple[int, int, int, int]) -> float:
    return log10_p_of_tables(*np.array(tables).T)


@pytest.mark.parametrize(
    "table",
    [(5, 10, 3, 50), (0, 10, 3, 50), (10, 10, 0, 50), (7, 40, 40, 200), (3, 3, 5, 5), (90, 400, 100, 2000)],
)
def test_one_stratum_is_fishers_test(table):
    assert of_tables(table) == pytest.approx(reference.log10_fisher(*table), abs=1e-8)


def by_enumeration(tables) -> float:
    """Every combination of hits, one by one."""
    observed = sum(table[0] for table in tables)
    strata = []
    for hits, n, control_hits, m in tables:
        law = hypergeom(n + m, hits + control_hits, n)
        strata.append([(k, law.pmf(k)) for k in range(n + 1)])
    p = sum(
        math.prod(mass for _, mass in combination)
        for combination in itertools.product(*strata)
        if sum(k for k, _ in combination) >= observed
    )
    return math.log10(p)


@pytest.mark.parametrize("seed", range(8))
def test_several_strata_equal_every_table_counted_out(seed):
    rng = np.random.default_rng(seed)
    tables = []
    for _ in range(4):
        n, m = rng.integers(1, 9), rng.integers(1, 30)
        tables.append((rng.binomial(n, 0.6), n, rng.binomial(m, 0.3), m))
    assert of_tables(*tables) == pytest.approx(by_enumeration(tables), abs=1e-9)
    assert of_tables(*tables[::-1]) == pytest.approx(of_tables(*tables), abs=1e-12)


def test_what_a_double_cannot_hold_is_kept():
    assert of_tables((2000, 2000, 0, 10000)) == pytest.approx(
        of_tables((2000, 2000, 0, 10000), (0, 5, 0, 25))
    )
    one, many = of_tables((2000, 2000, 0, 10000)), of_tables(*[(500, 500, 0, 2500)] * 4)
    assert one < -1000
    assert many == pytest.approx(4 * of_tables((500, 500, 0, 2500)), rel=1e-12)
    assert of_tables(*[(300, 400, 60, 2000)] * 10) < -320


def test_strata_without_partners_have_no_weight():
    table = (8, 20, 10, 100)
    assert of_tables(table, (30, 30, 0, 0), (0, 0, 12, 80)) == of_tables(table)
    assert of_tables((30, 30, 0, 0)) == 0.0
    assert of_tables((0, 10, 0, 50)) == 0.0


def test_rows_are_counted_by_stratum():
    hit = np.array([True, True, False, True])
    control_hit = np.array([False, True, False, False, False, False])
    stratum, control_stratum = np.array([3, 3, 3, 7]), np.array([3, 3, 3, 7, 7, 7])
    expected = of_tables((2, 3, 1, 3), (1, 1, 0, 3))
    assert log10_p_in_strata(hit, stratum, control_hit, control_stratum) == pytest.approx(expected)
    assert log10_p_in_strata(hit[:0], stratum[:0], control_hit, control_stratum) == 0.0


def test_seqlets_that_no_control_is_like_are_counted_and_said(caplog):
    rng = np.random.default_rng(4)
    windows = markov_windows(30, 4000, rng, 0.5)
    rich = [window for window in windows if sum(base in "AT" for base in window) >= 21][:100]
    background = [window for window in windows if sum(base in "AT" for base in window) < 20]
    found = discover(rich, background, DiscoverySettings(), 0)
    assert found.n_without_control == 40
    assert all(motif.log10_p == 0.0 for motif in found)
    assert "40 of 40 held-out seqlets have no control of their GC and repeat share" in caplog.text


def test_a_background_without_soft_mask_is_matched_by_gc_alone():
    rng = np.random.default_rng(5)
    windows = [w.lower() for w in markov_windows(30, 100, rng, 0.5)]
    background = markov_windows(30, 3000, rng, 0.5)
    for pool in (background, [text.lower() for text in background]):
        assert discover(windows, pool, DiscoverySettings(), 0).n_without_control <= 2
        assert discover([w.upper() for w in windows], pool, DiscoverySettings(), 0).n_without_control <= 2


def test_composition_alone_is_no_motif():
    """Seqlets far richer in A and T than the background, which cannot give controls for most of them."""
    rng = np.random.default_rng(4)
    windows = markov_windows(30, 40_000, rng, 0.5)
    share = np.array([sum(base in "AT" for base in window) for window in windows])
    rich = [window for window, n in zip(windows, share, strict=True) if n >= 18]
    background = [window for window, n in zip(windows[:3000], share, strict=False) if n < 20]
    nodes = [(f"n{i}", [rich[k] for k in rng.choice(len(rich), 250, replace=False)]) for i in range(120)]
    settings = DiscoverySettings(motifs_per_node=1, seeds=4, refined=1)
    found = discover_many(nodes, background, settings, 0)
    significant = sum(any(motif.log10_p < math.log10(0.05) for motif in found[name]) for name, _ in nodes)
    assert significant <= 12  # 120 sets: 6 expected at most
