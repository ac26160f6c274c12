"""Published trap (d): motifs of low-complexity sequence dominate when nothing like it is among the controls.

A node whose seqlets are ordinary windows of soft-masked CA tracts has no feature but "repeat". Against
controls of like GC and repeat share its motif must not be significant; against plain background, as a program
without matched controls would take it, it is.
"""

import numpy as np
import pytest
from scipy import stats

from biosae.motifs.batched import DiscoverySettings, discover_many

WINDOW_BP, NODES, SEQLETS = 42, 12, 120


def random_windows(n: int, rng: np.random.Generator) -> list[str]:
    return ["".join(rng.choice(list("ACGT"), WINDOW_BP)) for _ in range(n)]


def tract_windows(n: int, rng: np.random.Generator) -> list[str]:
    """Windows of CA repeats with one base in eight mutated, lower case."""
    windows = []
    for _ in range(n):
        bases = np.resize(list("ca"), WINDOW_BP + 1)[rng.integers(2) :][:WINDOW_BP]
        hit = rng.random(WINDOW_BP) < 1 / 8
        windows.append("".join(np.where(hit, rng.choice(list("acgt"), WINDOW_BP), bases)))
    return windows


@pytest.fixture(scope="module")
def nodes():
    rng = np.random.default_rng(1)
    background = random_windows(3000, rng) + tract_windows(3000, rng)
    return [(f"{i + 1}_n{i}", tract_windows(SEQLETS, rng)) for i in range(NODES)], background


def significant(found: dict) -> int:
    return sum(any(motif.p_value < 0.05 for motif in motifs) for motifs in found.values())


def test_tracts_are_not_significant_against_matched_controls(nodes):
    windows, background = nodes
    found = discover_many(windows, background, DiscoverySettings(motifs_per_node=1), 0, 1)
    assert len(found) == NODES
    assert significant(found) <= stats.binom.isf(1e-3, NODES, 0.05)


def test_the_same_tracts_are_significant_where_no_control_is_like_them(nodes):
    windows, _ = nodes
    plain = random_windows(3000, np.random.default_rng(2))
    found = discover_many(windows, plain, DiscoverySettings(motifs_per_node=1), 0, 1)
    assert significant(found) == NODES
