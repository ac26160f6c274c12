"""Motif clusters: planted families come back whole, aligned and averaged, whatever the order and strand."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from helpers_motif_clusters import WORDS, matrix_of, planted_motifs

from biosae.errors import ConfigError
from biosae.motifs import alignment, clusters
from biosae.motifs.clusters import cluster
from biosae.motifs.formats import Motif


@pytest.fixture(scope="module")
def planted():
    return planted_motifs()


def members_of(found) -> set[frozenset[int]]:
    return {frozenset(group.members.tolist()) for group in found}


def test_planted_families_are_recovered_exactly(planted):
    motifs, log10_e, family = planted
    found, counts = cluster(motifs, log10_e)
    assert members_of(found) == {
        frozenset(np.flatnonzero(family == number).tolist()) for number in set(family)
    }
    assert [len(group.members) for group in found] == [8] * 5 + [1] * 4
    assert counts["clusters"] == 9
    assert counts["clusters_of_one"] == 4


def test_averaged_matrices_equal_the_planted_ones(planted):
    motifs, log10_e, family = planted
    for group in cluster(motifs, log10_e)[0][:5]:
        truth = matrix_of(WORDS[family[group.members[0]]])
        r, offset, reverse = alignment.align(*(alignment.pack([m])[0] for m in (truth, group.pile.matrix)))
        assert r >= 0.99
        read = truth[::-1, ::-1] if reverse else truth
        inside = group.pile.matrix[offset : offset + len(truth)]
        assert np.abs(inside - read).max() < 0.05
        assert group.n_sites == sum(motifs[i].n_sites for i in group.members)


def test_members_lie_where_the_table_says(planted):
    motifs, log10_e, _ = planted
    for group in cluster(motifs, log10_e)[0]:
        pile = group.pile
        for i, offset, reverse, r in zip(
            group.members, pile.offsets, pile.reverse, pile.correlation, strict=True
        ):
            read = motifs[i].matrix[::-1, ::-1] if reverse else motifs[i].matrix
            low, high = min(0, offset), max(len(pile.matrix), offset + len(read))
            own, whole = np.full((high - low, 4), 0.25), np.full((high - low, 4), 0.25)
            own[offset - low : offset - low + len(read)] = read
            whole[-low : len(pile.matrix) - low] = pile.matrix
            assert r == pytest.approx(np.corrcoef(own.ravel(), whole.ravel())[0, 1], abs=1e-6)
            assert r > 0.9


def test_order_of_motifs_does_not_matter(planted):
    motifs, log10_e, _ = planted
    order = np.random.default_rng(0).permutation(len(motifs))
    found = cluster(motifs, log10_e)[0]
    again = cluster([motifs[i] for i in order], [log10_e[i] for i in order], threads=2)[0]
    for one, other in zip(found, again, strict=True):
        assert one.members.tolist() == order[other.members].tolist()
        assert_equal_piles(one.pile, other.pile)


def assert_equal_piles(one, other, turned: np.ndarray | None = None) -> None:
    assert (one.matrix == other.matrix).all()
    assert (one.offsets == other.offsets).all()
    assert (one.reverse == (other.reverse if turned is None else other.reverse ^ turned)).all()
    assert (one.correlation == other.correlation).all()


def test_strand_of_a_motif_does_not_matter(planted):
    motifs, log10_e, _ = planted
    turned = np.random.default_rng(1).random(len(motifs)) < 0.5
    other_strand = [
        motif.reverse_complement() if turn else motif for motif, turn in zip(motifs, turned, strict=True)
    ]
    found, again = cluster(motifs, log10_e)[0], cluster(other_strand, log10_e)[0]
    for one, other in zip(found, again, strict=True):
        assert one.members.tolist() == other.members.tolist()
        assert_equal_piles(one.pile, other.pile, turned[one.members])


def test_a_motif_and_its_reverse_complement_are_one_cluster():
    motif = Motif("1_n1_m1", "", matrix_of("CAGATAAGGA"), 50)
    found, _ = cluster([motif, motif.reverse_complement()], [-9.0, -8.0])
    assert len(found) == 1
    assert found[0].pile.offsets.tolist() == [0, 0]
    assert sorted(found[0].pile.reverse.tolist()) == [False, True]
    assert (found[0].pile.correlation > 0.999).all()


def test_a_chain_of_intermediate_motifs_is_not_one_cluster():
    """Steps of four columns: neighbours share most columns, the ends none; single linkage would unite all."""
    text = "TTATTTGCATAAGGCGGGGTCACTGGAATGCAGATACGTTC"
    motifs = [Motif(f"{i}", "", matrix_of(text[at : at + 14]), 100) for i, at in enumerate(range(0, 25, 3))]
    neighbours = [
        alignment.align(*(alignment.pack([m.matrix])[0] for m in pair))[0] for pair in pairwise(motifs)
    ]
    assert min(neighbours) > clusters.SIMILAR
    found, _ = cluster(motifs, [-5.0] * len(motifs))
    assert len(found) >= 3
    for group in found:
        assert np.ptp(group.members) <= 3


def test_random_motifs_stay_alone():
    rng = np.random.default_rng(5)
    motifs = [
        Motif(f"{i}", "", rng.dirichlet(np.full(4, 0.3), int(rng.integers(7, 14))), 100) for i in range(150)
    ]
    found, counts = cluster(motifs, [-3.0] * 150)
    assert counts["clusters_of_one"] >= 140
    assert max(len(group.members) for group in found) <= 2


def plain_groups(motifs, bound: float) -> set[frozenset[int]]:
    """Average linkage by its definition, all motifs at once: unite the most similar groups, and so on."""
    from biosae.motifs.comparison import compare

    n = len(motifs)
    log10_p = compare(motifs, motifs).log10_p
    similar = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            if i != j and max(log10_p[i, j], log10_p[j, i]) <= np.log10(bound):
                one, other = (alignment.pack([motifs[k].matrix])[0] for k in (i, j))
                similar[i, j] = alignment.align(one, other)[0]
    groups = [[i] for i in range(n)]
    while len(groups) > 1:
        mean, i, j = max(
            (similar[np.ix_(groups[i], groups[j])].mean(), i, j) for i in range(len(groups)) for j in range(i)
        )
        if mean < clusters.SIMILAR:
            break
        groups[j] += groups.pop(i)
    return {frozenset(group) for group in groups}


def related(n: int, seed: int) -> list[Motif]:
    """Motifs at all distances from one another: each a mixture of an earlier one and noise."""
    rng = np.random.default_rng(seed)
    motifs = [rng.dirichlet(np.full(4, 0.2), 10) for _ in range(3)]
    while len(motifs) < n:
        parent, share = motifs[int(rng.integers(len(motifs)))], rng.uniform(0.5, 0.9)
        motifs.append(share * parent + (1 - share) * rng.dirichlet(np.full(4, 0.2), 10))
    return [Motif(str(i), "", m, 100) for i, m in enumerate(motifs)]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_components_and_sparse_pairs_give_what_plain_average_linkage_gives(seed, monkeypatch):
    monkeypatch.setattr(clusters, "COPY", 1.1)  # no copies: all motifs are linked
    monkeypatch.setattr(clusters, "BLOCK_PAIRS", 100)
    motifs = related(40, seed)
    found, counts = cluster(motifs, [-5.0] * 40)
    assert counts["leaders"] == 40
    assert 3 < len(found) < 40
    assert members_of(found) == plain_groups(motifs, 0.01)


def test_a_component_that_is_too_large_is_parted(monkeypatch, caplog):
    monkeypatch.setattr(clusters, "COPY", 1.1)
    motifs = related(60, 4)
    whole = members_of(cluster(motifs, [-5.0] * 60)[0])
    monkeypatch.setattr(clusters, "LARGEST_COMPONENT", 4)
    found = cluster(motifs, [-5.0] * 60)[0]
    assert "are connected; they are parted at a similarity" in caplog.text
    assert max(len(group.members) for group in found) <= 4
    assert sorted(i for group in found for i in group.members) == list(range(60))
    assert len(found) > len(whole)


def test_columns_covered_by_less_than_half_of_the_weight_are_cut():
    core = "CAGATAAGGA"
    wide = matrix_of("TTC" + core)
    motifs = [Motif("1", "", wide, 10), Motif("2", "", matrix_of(core), 50), Motif("3", "", wide[:, :], 10)]
    found = cluster(motifs, [-9.0, -8.0, -7.0])[0]
    assert len(found) == 1
    assert len(found[0].pile.matrix) == len(core)
    heavy = [Motif(m.id, "", m.matrix, 80 if m.width > 10 else 50) for m in motifs]
    assert len(cluster(heavy, [-9.0, -8.0, -7.0])[0][0].pile.matrix) == len(core) + 3


def test_weights_are_sites():
    one, other = matrix_of("CAGATAAGGA", 0.95), matrix_of("CAGATAAGGA", 0.75)
    found = cluster([Motif("1", "", one, 300), Motif("2", "", other, 100)], [-9.0, -8.0])[0]
    expected = alignment.canonical(0.75 * one + 0.25 * other)[0]
    np.testing.assert_allclose(found[0].pile.matrix, expected, atol=1e-6)
    assert found[0].n_sites == 400


def test_a_flat_motif_and_one_of_a_single_column_are_alone():
    motifs = [
        Motif("1", "", np.full((6, 4), 0.25), 10),
        Motif("2", "", np.eye(4)[[0]], 10),
        Motif("3", "", matrix_of("CAGATAAGGA"), 10),
    ]
    found, _ = cluster(motifs, [None, float("nan"), -3.0])
    assert found[0].members.tolist() == [2]
    assert len(found) == 3
    assert all(np.isfinite(group.pile.correlation).all() for group in found)


def test_ties_of_size_go_to_the_best_e():
    motifs = [Motif(str(i), "", matrix_of(word), 10) for i, word in enumerate(WORDS)]
    found = cluster(motifs, [-3.0, -30.0, None, -4.0, -10.0])[0]
    assert [int(group.members[0]) for group in found] == [1, 4, 3, 0, 2]


def test_a_bound_out_of_range_is_refused():
    with pytest.raises(ConfigError, match=r"no p-value(.|\n)*0 < p <= 1"):
        cluster([], [], p_value=0.0)
