"""The engine as a whole: planted truth is found, nulls are not, and nothing but content decides."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom

from biosae.motifs.batched import (
    ControlPool,
    DiscoverySettings,
    discover,
    discover_many,
    loci_of,
    node_seed,
)
from biosae.motifs.packing import reverse_complement
from unit.helpers_motifs import MEDIUM, STRONG, WEAK, aligned_correlation, markov_windows, plant, same, sets

GIVEN = DiscoverySettings()
BOTH = DiscoverySettings(strand="both")


@pytest.mark.parametrize("settings", [GIVEN, BOTH], ids=["given", "both"])
@pytest.mark.parametrize(
    ("matrix", "rate", "least"),
    [(STRONG, 0.6, 0.97), (MEDIUM, 0.5, 0.95), (WEAK, 0.5, 0.85)],
    ids=["s", "m", "w"],
)
def test_planted_motif_is_found(settings, matrix, rate, least):
    both = settings.strand == "both"
    (windows,), background = sets(1, 1, 400)
    sequences = plant(windows, matrix, rate, both, np.random.default_rng(2))
    motif = discover(sequences, background, settings, 0)[0]
    assert aligned_correlation(motif.matrix, matrix, both) > least
    assert motif.log10_e < -3 and motif.controls == "background"
    assert abs(motif.n_sites / 400 - rate) < 0.2
    assert motif.matrix.sum(axis=1) == pytest.approx(1.0)
    assert motif.width == len(motif.matrix)
    if both:
        assert 0.5 <= motif.share_forward < 0.65
    else:
        assert motif.share_forward is None


def test_two_motifs_that_share_the_sequences_are_both_found_and_not_merged():
    (windows,), background = sets(3, 1, 300)
    rng = np.random.default_rng(4)
    sequences = plant(windows[:150], STRONG, 0.85, True, rng) + plant(windows[150:], MEDIUM, 0.85, True, rng)
    motifs = discover(sequences, background, BOTH, 0)
    assert len(motifs) == 2
    for matrix in (STRONG, MEDIUM):
        assert max(aligned_correlation(m.matrix, matrix) for m in motifs) > 0.95
    assert all(m.log10_e < -5 for m in motifs)
    assert motifs[0].e_value == pytest.approx(2 * motifs[0].p_value)
    assert motifs[0].log10_e == pytest.approx(motifs[0].log10_p + np.log10(2))


def test_strand_share_says_on_which_strand_the_sites_are():
    (windows,), background = sets(5, 1, 300)
    sequences = plant(windows, MEDIUM, 0.6, False, np.random.default_rng(0))
    motif = discover(sequences, background, BOTH, 0)[0]
    turned = discover([reverse_complement(s) for s in sequences], background, BOTH, 0)[0]
    assert motif.share_forward == turned.share_forward > 0.8  # some sites are chance, on either strand
    assert aligned_correlation(motif.matrix, MEDIUM, False) > 0.95  # written as its sites are
    assert turned.matrix == pytest.approx(motif.matrix[::-1, ::-1])


def shifted_windows(rng: np.random.Generator, loci: int) -> tuple[list[str], list[str]]:
    """Three windows of 42 bp, 4 bp apart, of each random locus, and their headers."""
    sequences, headers = [], []
    for i, text in enumerate(markov_windows(50, loci, rng)):
        for shift in (0, 4, 8):
            sequences.append(text[shift : shift + 42])
            start = 1000 * i + shift
            headers.append(f"chr1:{start}-{start + 42}(+) node=1 rank={len(headers) + 1} act=1")
    return sequences, headers


def test_shifted_windows_of_a_locus_are_not_evidence():
    rng = np.random.default_rng(7)
    nodes, groups = [], {}
    for i in range(20):
        sequences, headers = shifted_windows(rng, 60)
        nodes.append((str(i), sequences))
        groups[str(i)] = loci_of(headers)
    honest = discover_many(nodes, [], GIVEN, 0, groups=groups)
    naive = discover_many(nodes, [], GIVEN, 0)

    def significant(found):
        return sum(m.p_value < 0.05 for motifs in found.values() for m in motifs)

    tested = sum(len(motifs) for motifs in honest.values())
    assert significant(honest) <= binom.ppf(0.999, tested, 0.05)
    assert significant(naive) > 2 * significant(honest) + 10  # what groups are for
    assert all(m.held_out[1] <= 24 for motifs in honest.values() for m in motifs)  # 40 % of 60 loci


@pytest.mark.parametrize("settings", [GIVEN, BOTH], ids=["given", "both"])
def test_order_shards_threads_and_company_do_not_matter(settings):
    chunks, background = sets(8, 4, 80, 1500)
    rng = np.random.default_rng(1)
    nodes = [(f"{i}_n{i}", plant(chunk, MEDIUM, 0.5, True, rng)) for i, chunk in enumerate(chunks)]
    whole = discover_many(nodes, background, settings, 3)
    again = discover_many(nodes[::-1], background[::-1], settings, 3, threads=2)
    for name, sequences in nodes:
        shuffled = [sequences[i] for i in rng.permutation(len(sequences))]
        alone = discover(shuffled, background, settings, node_seed(3, name))
        assert same(whole[name], again[name])
        assert same(whole[name], alone)
    assert list(again) == [name for name, _ in nodes[::-1]]


def test_seed_and_name_change_the_held_out_part():
    (windows,), background = sets(9, 1, 200, 1500)
    sequences = plant(windows, MEDIUM, 0.5, False, np.random.default_rng(1))
    found = discover_many([("a", sequences), ("b", sequences)], background, GIVEN, 0)
    assert found["a"][0].held_out != found["b"][0].held_out


@pytest.mark.parametrize("kind", ["background", "shuffles"])
def test_reverse_complemented_sequences_give_the_same_motifs_on_both_strands(kind):
    (windows,), background = sets(10, 1, 150, 2000)
    sequences = plant(windows, STRONG, 0.5, True, np.random.default_rng(3))
    sequences[0] = sequences[0].lower()
    pool = background if kind == "background" else None
    first = discover(sequences, pool, BOTH, 0)
    second = discover([reverse_complement(s) for s in sequences], pool, BOTH, 0)
    assert len(first) == len(second) >= 1
    for a, b in zip(first, second, strict=True):
        assert a.held_out == b.held_out and a.n_sites == b.n_sites
        turned = b.matrix[::-1, ::-1]
        assert np.array_equal(a.matrix, b.matrix) or np.array_equal(a.matrix, turned)


def test_sequences_of_different_lengths():
    (windows,), background = sets(14, 1, 300)
    sequences = plant(windows, STRONG, 0.6, False, np.random.default_rng(3))
    cut = [s[: 20 + i % 23] for i, s in enumerate(sequences)] + ["ACG", ""]
    motifs = discover(cut, background, GIVEN, 0)
    assert (motifs.n_sequences, motifs.n_used) == (302, 300)
    assert aligned_correlation(motifs[0].matrix, STRONG, False) > 0.95


def test_widths_and_number_of_motifs_are_kept():
    (windows,), background = sets(15, 1, 200)
    sequences = plant(windows, STRONG, 0.6, False, np.random.default_rng(3))
    for settings in (
        replace(GIVEN, min_width=5, max_width=7),
        replace(GIVEN, motifs_per_node=3, min_width=10),
    ):
        motifs = discover(sequences, background, settings, 0)
        assert 1 <= len(motifs) <= settings.motifs_per_node
        assert all(settings.min_width <= m.width <= (settings.max_width or 30) for m in motifs)


def test_background_too_small_falls_back_to_shuffles_and_says_so(caplog):
    (windows,), background = sets(16, 1, 100)
    motifs = discover_many([("7_n9", windows)], background[:50], GIVEN, 0)["7_n9"]
    assert "7_n9" in caplog.text and "too few windows" in caplog.text
    assert all(m.controls == "shuffled" for m in motifs)


def test_a_pool_made_before_serves_shards_alike():
    chunks, background = sets(18, 3, 60, 1500)
    nodes = [(str(i), chunk) for i, chunk in enumerate(chunks)]
    whole = discover_many(nodes, background, GIVEN, 1)
    pool = ControlPool(background)
    shards = {}
    for node in nodes:
        shards |= discover_many((node for node in [node]), pool, GIVEN, 1)  # a generator will do
    assert list(shards) == list(whole)
    assert all(same(shards[name], whole[name]) for name in whole)


@pytest.mark.parametrize("columns", [5, 45])
def test_narrow_and_wide_motifs(columns):
    """A 5-bp word and an element wider than the default's 30 bp."""
    rng = np.random.default_rng(20)
    windows = markov_windows(60, 3300, rng)
    matrix = np.full((columns, 4), 0.01)
    matrix[np.arange(columns), rng.integers(4, size=columns) if columns > 5 else [2, 1, 2, 1, 0]] = 0.97
    sequences = plant(windows[:300], matrix, 0.9 if columns == 5 else 0.5, False, rng)
    settings = replace(GIVEN, min_width=5, max_width=60, motifs_per_node=1)
    motif = discover(sequences, windows[300:], settings, 0)[0]
    assert columns <= motif.width <= columns + 3
    assert aligned_correlation(motif.matrix, matrix, False) > 0.95
    assert motif.log10_p < -5
