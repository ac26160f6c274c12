"""The comparison kernel: equal to a plain version of itself, to the real tomtom and to memelite."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from helpers_meme_suite import DATA, DATABASE
from hypothesis import given, settings
from hypothesis import strategies as st

from biosae.errors import ConfigError, ContractError, InputError
from biosae.motifs import comparison
from biosae.motifs.comparison import compare, prepare_targets, warm_up, with_pseudocount
from biosae.motifs.comparison_kernels import compare_query
from biosae.motifs.formats import Motif, read_meme

MEMELITE = DATA.parent / "memelite_0.5.0"  # recorded: it compiles itself for a minute
FIELDS = ("log10_p", "log10_p_other", "offset", "overlap", "reverse")


def plain_scores(query: np.ndarray, target: np.ndarray, distance: str) -> np.ndarray:
    """(query width, target width), one pair of columns at a time."""
    scores = np.zeros((len(query), len(target)))
    for i, q in enumerate(query):
        for j, t in enumerate(target):
            q0, t0 = q - q.mean(), t - t.mean()
            if distance == "ed":
                scores[i, j] = -np.sqrt(((q - t) ** 2).sum())
            elif min(np.linalg.norm(q0), np.linalg.norm(t0)) > 1e-9:
                scores[i, j] = q0 @ t0 / (np.linalg.norm(q0) * np.linalg.norm(t0))
    return scores


def at_least(steps: np.ndarray, zero: int, first: int, last: int) -> np.ndarray:
    """P(complete score >= 0, 1, ...) of query columns first..last aligned, the others at the median."""
    null = np.ones(1)
    for i in range(first, last + 1):
        null = np.convolve(null, np.bincount(steps[i]) / steps.shape[1])
    whole = np.zeros(len(steps) * steps.max() + 1)
    rest = (len(steps) - (last - first + 1)) * zero
    whole[rest : rest + len(null)] = null
    return np.minimum(whole[::-1].cumsum()[::-1], 1.0)


def plain_query(query: Motif, targets: list[Motif], distance: str, min_overlap: int) -> list[tuple]:
    """(log10 p, log10 p of the other strand, offset, overlap, reverse) per target, by full tables."""
    width = query.width
    columns = with_pseudocount(query)
    strands = [(with_pseudocount(t), with_pseudocount(t.reverse_complement())) for t in targets]
    scores = [[plain_scores(columns, t, distance) for t in pair] for pair in strands]
    every = np.hstack([s for pair in scores for s in pair])
    median = np.sort(every, axis=1)[:, every.shape[1] // 2 - 1 : every.shape[1] // 2]
    start, high = np.floor((every - median).min() + 1e-9), (every - median).max()
    start -= start == high
    scale = np.floor(100 / (high - start) - 1e-9)
    zero = int(-start * scale)
    steps = np.rint((every - median - start) * scale).astype(int)
    rows = []
    for pair in scores:
        found = []
        target_width = pair[0].shape[1]
        spans = [(o, max(0, -o), min(width, target_width - o) - 1) for o in range(1 - width, target_width)]
        for reverse, matrix in enumerate(pair):
            whole = np.rint((matrix - median - start) * scale).astype(int) - zero
            found.append(
                max(
                    (sum(whole[i, i + o] for i in range(a, b + 1)) + width * zero, b - a + 1, -reverse, -o)
                    for o, a, b in spans
                    if b - a + 1 >= min(min_overlap, width, target_width)
                )
            )
        with np.errstate(divide="ignore"):
            no_larger = sum(2 * np.log1p(-at_least(steps, zero, a, b)) for _, a, b in spans)
        better, other = sorted(found, reverse=True)
        p = [np.log10(max(-np.expm1(no_larger[score[0]]), 1e-320)) for score in (better, other)]
        rows.append((*p, -better[3], better[1], better[2] == -1))
    return rows


def random_motifs(rng: np.random.Generator, widths: list[int]) -> list[Motif]:
    """Sharp, soft, rounded and flat columns, as databases hold them."""
    motifs = []
    for i, width in enumerate(widths):
        matrix = rng.dirichlet([rng.choice([0.05, 0.3, 2.0])] * 4, width).round(2)
        matrix[rng.random(width) < 0.1] = 0.25
        matrix[:, 0] += 1 - matrix.sum(axis=1)
        motifs.append(Motif(f"m{i}", "", np.abs(matrix), float(rng.choice([5, 20, 1000]))))
    return motifs


@given(
    seed=st.integers(0, 2**32 - 1),
    distance=st.sampled_from(comparison.DISTANCES),
    min_overlap=st.sampled_from([1, 4]),
    query_width=st.integers(1, 14),
)
@settings(max_examples=25, deadline=None)
def test_equals_the_plain_version(seed, distance, min_overlap, query_width):
    rng = np.random.default_rng(seed)
    targets = random_motifs(rng, list(rng.integers(1, 13, 12)))
    (query,) = random_motifs(rng, [query_width])
    fast = compare([query], targets, distance, min_overlap=min_overlap)
    slow = plain_query(query, targets, distance, min_overlap)
    for name, values in zip(FIELDS, zip(*slow, strict=True), strict=True):
        np.testing.assert_allclose(
            np.asarray(getattr(fast, name)[0], float), np.array(values, float), rtol=1e-9, atol=1e-12
        )


def test_pseudocount_is_a_tenth_of_a_site():
    """Which a correlation does not see: it matters for the Euclidean distance."""
    motif = Motif("x", "", [[1, 0, 0, 0], [0.2, 0.3, 0.4, 0.1]], 20)
    expected = np.array([[20.025, 0.025, 0.025, 0.025], [4.025, 6.025, 8.025, 2.025]]) / 20.1
    np.testing.assert_allclose(with_pseudocount(motif), expected, rtol=1e-12)


def test_equals_memelite():
    """Its own distance is Euclidean; it rounds to other steps, so p is close, not equal."""
    theirs = pd.read_csv(MEMELITE / "tomtom.tsv", sep="\t", dtype={"query": str})
    queries, targets = read_meme(DATA / "queries_100.meme")[:3], read_meme(DATABASE)
    pairs = [(query.id, target.id) for query in queries for target in targets]
    assert pairs == list(theirs[["query", "target"]].itertuples(index=False, name=None))
    ours = compare(queries, targets, "ed")
    np.testing.assert_allclose(ours.log10_p.ravel(), np.log10(theirs["p_value"]), atol=0.01)
    assert (ours.offset.ravel() == theirs["offset"]).mean() > 0.95  # ties, which rounding makes
    assert (ours.overlap.ravel() == theirs["overlap"]).mean() > 0.95


@pytest.fixture(scope="module")
def queries():
    return read_meme(DATA / "queries_100.meme")


@pytest.fixture(scope="module")
def targets():
    return read_meme(DATABASE)


def same_bytes(one, other):
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_threads_blocks_and_neighbours_change_no_byte(queries, targets):
    whole = compare(queries[:20], targets)
    same_bytes(compare(queries[:20], prepare_targets(targets), threads=4), whole)
    for i in (0, 7, 19):
        alone = compare(queries[i : i + 1], targets)
        for name in FIELDS:
            np.testing.assert_array_equal(getattr(alone, name)[0], getattr(whole, name)[i])


def test_reverse_complement_of_the_query_turns_the_alignment(queries, targets):
    turned = compare([query.reverse_complement() for query in queries[:20]], targets)
    straight = compare(queries[:20], targets)
    np.testing.assert_allclose(turned.log10_p, straight.log10_p, atol=1e-9)
    np.testing.assert_array_equal(turned.overlap, straight.overlap)
    widths = np.array([t.width for t in targets]) - np.array([[q.width] for q in queries[:20]])
    clear = straight.log10_p < straight.log10_p_other - 1e-9  # no tie of the strands
    assert clear.mean() > 0.8
    assert (turned.reverse != straight.reverse)[clear].all()
    assert (turned.offset == widths - straight.offset)[clear].mean() > 0.99  # ties of offsets


def test_a_motif_is_most_like_itself_and_found_within_a_wider_one(targets):
    compared = compare(targets, targets)
    assert (compared.log10_p.argmin(axis=1) == np.arange(len(targets))).all()
    own = np.diag_indices(len(targets))
    assert not compared.offset[own].any()
    assert (compared.overlap[own] == [motif.width for motif in targets]).all()
    inner = [Motif("part", "", motif.matrix[2:]) for motif in targets if motif.width >= 9]
    wider = [i for i, motif in enumerate(targets) if motif.width >= 9]
    parts = compare(inner, targets)
    assert (parts.offset[np.arange(len(wider)), wider] == 2).all()
    turned = [motif.reverse_complement() for motif in targets]
    assert (compare(turned, targets).log10_p[own] < -5).sum() >= 20


def test_columns_of_the_database_in_random_order_match_nothing(targets):
    """The null of the paper: p-values of shuffled columns are uniform, or larger."""
    rng = np.random.default_rng(3)
    columns = np.vstack([motif.matrix for motif in targets])
    shuffled = [Motif("s", "", rng.permutation(columns)[:10]) for _ in range(150)]
    p = 10 ** compare(shuffled, targets).log10_p
    for level in (0.2, 0.05, 0.01):
        assert (p < level).mean() < 1.3 * level


def test_flat_motifs_are_like_nothing(targets):
    flat = Motif("flat", "", np.full((8, 4), 0.25))
    for pair in (([flat], targets), (targets[:3], [*targets, flat])):
        compared = compare(*pair)
        assert np.isfinite(compared.log10_p).all()
        assert (compared.log10_p <= 0).all()
    assert (compare([flat], targets).log10_p == 0).all()
    assert compare(targets[:3], [*targets, flat]).log10_p[:, -1].min() > -2


def test_wide_motifs_have_p_values_down_to_where_a_double_ends():
    rng = np.random.default_rng(0)
    wide = [Motif(f"t{i}", "", rng.dirichlet([0.05] * 4, 150)) for i in range(25)]
    compared = compare([wide[0], Motif("part", "", wide[1].matrix[:40])], wide)
    assert -200 < compared.log10_p[0, 0] < -150
    assert -60 < compared.log10_p[1, 1] < -30
    assert compared.log10_p[:, 2:].min() > -4
    huge = Motif("huge", "", np.vstack([motif.matrix for motif in wide[:3]]))
    assert compare([huge], [huge, Motif("other", "", huge.matrix[:, [1, 0, 3, 2]])]).log10_p[0, 0] == -320


def test_min_overlap_is_the_fewest_aligned_columns(queries, targets):
    free, wide = compare(queries[:20], targets), compare(queries[:20], targets, min_overlap=7)
    narrower = np.minimum.outer([q.width for q in queries[:20]], [t.width for t in targets])
    assert (free.overlap < np.minimum(narrower, 7)).any()
    assert (wide.overlap >= np.minimum(narrower, 7)).all()
    assert (wide.log10_p >= free.log10_p).all()
    enough = free.overlap >= np.minimum(narrower, 7)
    np.testing.assert_array_equal(wide.log10_p[enough], free.log10_p[enough])


def test_warm_up_compiles_all_that_a_run_needs(queries, targets):
    warm_up()
    known = len(compare_query.signatures)
    compare(queries[:2], targets, "ed", threads=2, min_overlap=5)
    compare(queries[:1], prepare_targets(targets[:1]), "pearson")
    assert len(compare_query.signatures) == known == 1


def test_faults(queries, targets):
    with pytest.raises(ConfigError, match=r"No such distance.*allr.*pearson or ed"):
        compare(queries, targets, "allr")
    with pytest.raises(InputError, match="no motif to compare with"):
        compare(queries, [])
    with pytest.raises(ConfigError, match="prepared for another distance"):
        compare(queries, prepare_targets(targets, "ed"))
    with pytest.raises(ContractError, match=r"no distribution.*motif x"):
        compare([Motif("x", "", np.zeros((3, 4)))], targets)
    assert compare([], targets).log10_p.shape == (0, len(targets))
