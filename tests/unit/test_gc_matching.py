"""Backgrounds matched in GC: each node's own, exact where there are enough windows, blind to repeats."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from biosae.backgrounds import GC_BINS
from biosae.errors import ContractError
from biosae.genome import Genome, letter_counts
from biosae.landscape.gc_matching import covered_bases, match_windows, windows_wanted
from unit.helpers_seqlets import LETTERS, write_genome

WIDTH = 20
N_BP = 60_000


def mixed_genome(folder, seed: int = 0) -> Genome:
    """One chromosome whose GC rises from 20 % to 80 %; the GC-rich third is lower case (repeats)."""
    rng = np.random.default_rng(seed)
    gc = np.linspace(0.2, 0.8, N_BP)
    strong = rng.random(N_BP) < gc
    codes = np.where(strong, rng.integers(1, 3, N_BP), 3 * rng.integers(0, 2, N_BP))
    text = LETTERS[codes].tobytes().decode()
    return Genome(
        write_genome(folder / "g.fa", {"chr1": text[: 2 * N_BP // 3] + text[2 * N_BP // 3 :].lower()})
    )


def seqlets_at(*starts) -> pd.DataFrame:
    """One node a list of starts."""
    rows = [("chr1", int(s), int(s) + WIDTH, row) for row, places in enumerate(starts) for s in places]
    return pd.DataFrame(rows, columns=["chrom", "start", "end", "row"])


def whole(n_bp: int = N_BP) -> pd.DataFrame:
    return pd.DataFrame({"chrom": ["chr1"], "core_start": [0], "core_end": [n_bp]})


def matched(genome, seqlets, n_nodes, pool=20_000, background=2_000, seed=0):
    return match_windows(
        seqlets, n_nodes, whole(), genome, pool_windows=pool, background_windows=background, seed=seed
    )


spans = st.lists(st.tuples(st.integers(0, 80), st.integers(1, 20)), max_size=8)


@settings(max_examples=60, deadline=None)
@given(spans, st.lists(st.integers(0, 90), max_size=8), st.integers(1, 12))
def test_covered_bases_equal_a_count_of_bases(features, starts, width):
    bases = {base for first, length in features for base in range(first, first + length)}
    first = np.array([f for f, _ in features], dtype=np.int64)
    last = first + np.array([n for _, n in features], dtype=np.int64)
    found = covered_bases(np.array(starts, dtype=np.int64), width, first, last)
    assert found.tolist() == [len(bases & set(range(s, s + width))) for s in starts]


def test_windows_are_wanted_in_proportion_and_a_scarce_bin_makes_fewer():
    seqlets = np.array([[3, 1, 0], [0, 0, 0], [0, 2, 2], [1, 0, 99]])
    wanted = windows_wanted(seqlets, np.array([1000, 60, 10]), 400)
    assert wanted[0].tolist() == [180, 60, 0]  # bin 1 holds 60, a quarter of 240
    assert wanted[1].tolist() == [0, 0, 0]
    assert wanted[2].tolist() == [0, 10, 10]
    assert wanted[3].tolist() == [1, 0, 10]  # as many as it has seqlets, as far as they go


def test_the_background_has_the_gc_of_the_node_and_not_its_repeats(tmp_path):
    genome = mixed_genome(tmp_path)
    masked_from = 2 * N_BP // 3
    low, high = np.arange(0, 6000, WIDTH), np.arange(masked_from - 3000, masked_from + 3000, WIDTH)
    seqlets = seqlets_at(low, high)
    windows = matched(genome, seqlets, 2)
    letters = genome.windows("chr1", windows.table["start"].to_numpy(), WIDTH)
    gc = np.minimum(letter_counts(letters)[0] * GC_BINS // WIDTH, GC_BINS - 1)
    assert (np.diff(gc[len(seqlets) :]) >= 0).all()  # the pool is in order of GC
    for node in range(2):
        own = np.bincount(gc[: len(seqlets)][windows.node == node], minlength=GC_BINS)
        shares = windows.wanted[node] / windows.wanted[node].sum()
        assert np.abs(shares - own / own.sum()).max() < 0.002
        assert windows.gc_distance[node] < 0.01
        # what is counted are windows of these bins, slowly recounted
        taken = np.concatenate(
            [len(seqlets) + windows.offset[b] + np.arange(n) for b, n in enumerate(windows.wanted[node])]
        )
        assert windows.counts(windows.masked)[1][node] == windows.masked[taken].sum()
        assert np.bincount(gc[taken], minlength=GC_BINS).tolist() == windows.wanted[node].tolist()
    share = windows.counts(windows.masked)[1] / windows.wanted.sum(axis=1)
    assert share[0] < 0.1 < 0.3 < share[1]  # GC-rich windows of this genome are repeats


def test_a_window_is_inside_with_half_of_its_bases(tmp_path):
    genome = mixed_genome(tmp_path)
    windows = matched(genome, seqlets_at([100, 200, 300]), 1)
    features = pd.DataFrame({"chrom": "chr1", "start": [110, 211, 0], "end": [130, 230, 3]})
    other = pd.DataFrame({"chrom": ["chr2"], "start": [0], "end": [N_BP]})
    inside = windows.inside(pd.concat([features, other], ignore_index=True))
    assert inside[:3].tolist() == [True, False, False]


def test_the_draw_depends_on_the_seed_alone(tmp_path):
    genome = mixed_genome(tmp_path)
    seqlets = seqlets_at(range(0, 3000, WIDTH))
    one, same, other = (matched(genome, seqlets, 1, seed=seed).table for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(one, same)
    assert not one.equals(other)


def test_seqlets_of_another_genome_are_refused(tmp_path):
    genome = Genome(write_genome(tmp_path / "g.fa", {"chr1": "N" * 100 + "ACGT" * 100}))
    with pytest.raises(ContractError, match=r"1 of 2 seqlets hold a letter other.*genome that the seqlets"):
        match_windows(
            seqlets_at([90, 200]), 1, whole(500), genome, pool_windows=10, background_windows=5, seed=0
        )
