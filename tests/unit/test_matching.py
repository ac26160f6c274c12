"""Matching: equal to the real TomTom, blind to the other queries, silent on nulls."""

from __future__ import annotations

import gzip
import logging

import numpy as np
import pandas as pd
import pytest
from helpers_meme_suite import DATA, DATABASE, MEME_TEXT

from biosae.artefacts import check_table, read_table, write_table
from biosae.errors import ConfigError, InputError
from biosae.motifs.formats import Motif, read_meme
from biosae.motifs.matching import MatchSettings, match

EVERYTHING = MatchSettings(report_q=1.0)


@pytest.fixture(scope="module")
def queries():
    return read_meme(DATA / "queries_100.meme")


@pytest.fixture(scope="module")
def jaspar(tmp_path_factory):
    path = tmp_path_factory.mktemp("jaspar") / "jaspar.meme"
    path.write_bytes(gzip.decompress((DATA / "JASPAR2026_CORE_vertebrates.meme.gz").read_bytes()))
    return read_meme(path)


@pytest.fixture(scope="module")
def real():
    """Every pair with p < 0.05 of the real tomtom, 100 queries x 1,019 targets."""
    path = DATA / "tomtom_queries_100_vs_jaspar2026.tsv.gz"
    return pd.read_csv(path, sep="\t", comment="#").rename(
        columns={"Query_ID": "query", "Target_ID": "target"}
    )


@pytest.fixture(scope="module")
def ours(queries, jaspar):
    return match(queries, jaspar, settings=EVERYTHING)


def test_equals_the_real_tomtom(ours, real):
    """All 6,248 pairs, ties included: p to the digits that it writes, and the whole alignment."""
    both = real.merge(ours, on=["query", "target"])
    assert len(both) == len(real) == 6248
    np.testing.assert_allclose(both["log10_p"], np.log10(both["p-value"]), atol=5e-6)
    assert (both["offset"] == both["Optimal_offset"]).all()
    assert (both["overlap"] == both["Overlap"]).all()
    assert (both["orientation"] == both["Orientation"]).all()
    np.testing.assert_allclose(both["e_value"], both["p_value"] * 1019, rtol=1e-12)
    np.testing.assert_allclose(both["p_value"], 10 ** both["log10_p"], rtol=1e-12)
    assert ((both["e_value"] < 0.05) == (both["E-value"] < 0.05)).all()
    assert (ours["e_value"] < 0.05).sum() == (real["E-value"] < 0.05).sum() > 100


def test_best_matches_are_those_of_the_real_tomtom(ours, real):
    """Ties (several targets at the best p of one query) as sets."""
    for query, theirs in real.groupby("query"):
        mine = ours[ours["query"] == query]
        best = set(mine.loc[mine["p_value"] <= mine["p_value"].min() * (1 + 1e-9), "target"])
        assert best == set(theirs.loc[theirs["p-value"] == theirs["p-value"].min(), "target"])


def test_q_is_that_of_the_real_tomtom_up_to_its_share_of_nulls(ours, real):
    both = real.merge(ours, on=["query", "target"])
    log_ratio = np.log10(both["q_value"] / both["q-value"])
    assert log_ratio.min() > -0.03  # never clearly below the real one
    assert log_ratio.max() < 0.06  # pi0 = 1 costs at most 15 %


def test_consensus_is_as_the_real_tomtom_writes_it(ours, real):
    both = real.merge(ours, on=["query", "target"])
    assert (both["query_consensus"] == both["Query_consensus"]).mean() > 0.99  # ties of letters differ
    assert (both["target_consensus"] == both["Target_consensus"]).mean() > 0.99


def test_recorded_single_node_comparison(caplog):
    with caplog.at_level(logging.WARNING):
        table = match(read_meme(MEME_TEXT), read_meme(DATABASE))
    assert "24 motifs; below 25" in caplog.text
    top = table.groupby("query", sort=False).first()
    assert top["target"].to_dict() == {"CTAATCT": "MA0035.5", "CCMCDCCC": "MA0493.3"}
    assert top["orientation"].to_list() == ["+", "-"]
    np.testing.assert_allclose(np.log10(top["p_value"]), np.log10([1.22471e-06, 1.22075e-10]), atol=1e-5)
    np.testing.assert_allclose(np.log10(top["q_value"]), np.log10([5.87862e-05, 5.85959e-09]), atol=0.01)


def test_large_databases_are_not_warned_about(queries, jaspar, caplog):
    match(queries[:1], jaspar)
    assert not caplog.records


def test_a_query_does_not_feel_the_others(queries, jaspar):
    columns = ["query", "target", "p_value", "e_value", "q_value", "offset", "overlap", "orientation"]
    together = match(queries[:12], jaspar)
    alone = pd.concat([match([query], jaspar) for query in queries[:12]])
    backwards = match(queries[11::-1], jaspar, threads=2)
    for other in (alone, backwards):
        for query in together["query"].unique():
            pd.testing.assert_frame_equal(
                together.loc[together["query"] == query, columns].reset_index(drop=True),
                other.loc[other["query"] == query, columns].reset_index(drop=True),
                check_exact=True,
            )


def test_euclidean_distance_calls_flat_motifs_alike(jaspar):
    """Why pearson is the default."""
    rng = np.random.default_rng(0)
    flat = [Motif(f"f{i}", "", 0.25 + 0.08 * (rng.dirichlet([1] * 4, 10) - 0.25), 100) for i in range(20)]
    euclidean = match(flat, jaspar, settings=MatchSettings(distance="ed"))
    assert euclidean["significant"].sum() > 10 * max(match(flat, jaspar)["significant"].sum(), 1)
    assert set(euclidean["query_flag"]) == {"low_information"}


def test_batches_of_queries_change_nothing(queries, jaspar, monkeypatch):
    whole = match(queries[:10], jaspar)
    monkeypatch.setattr("biosae.motifs.matching._QUERIES_AT_A_TIME", 3)
    pd.testing.assert_frame_equal(match(queries[:10], jaspar), whole, check_exact=True)


def test_reverse_complement_turns_only_the_orientation(queries, jaspar):
    forward = match(queries[:20], jaspar).groupby("query").first()
    turned = match([query.reverse_complement() for query in queries[:20]], jaspar).groupby("query").first()
    np.testing.assert_allclose(np.log10(turned["p_value"]), np.log10(forward["p_value"]), atol=0.05)
    palindrome = forward["query_consensus"] == turned["query_consensus"]
    same_target = (forward["target"] == turned["target"]) & ~palindrome
    assert same_target.sum() >= 10
    assert (forward["orientation"] != turned["orientation"])[same_target].mean() > 0.9


def test_run_wide_q_counts_every_pair(ours, queries, jaspar):
    """Benjamini-Hochberg over 101,900 pairs, said again the slow way for the smallest p-values."""
    assert ours.attrs["counts"]["pairs_tested"] == len(queries) * len(jaspar) == 101_900
    p = np.sort(ours["p_value"].to_numpy())[:50]
    slow = [min(p[j] * 101_900 / (j + 1) for j in range(i, 50)) for i in range(20)]
    np.testing.assert_allclose(np.sort(ours["q_value_run"].to_numpy())[:20], slow, rtol=1e-6)


def test_flat_and_random_motifs_match_nothing(jaspar):
    rng = np.random.default_rng(0)
    flat = [Motif(f"f{i}", "", 0.25 + 0.08 * (rng.dirichlet([1] * 4, 10) - 0.25), 100) for i in range(60)]
    random = [Motif(f"r{i}", "", rng.dirichlet([0.3] * 4, 10), 100) for i in range(60)]
    even = [Motif("even", "", np.full((10, 4), 0.25), 100)]
    table = match(flat + random + even, jaspar)
    hit = set(table.loc[table["significant"], "query"])
    assert len(hit) <= 12  # 121 queries at q < 0.05
    assert "even" not in hit


def test_planted_motif_is_found_among_ids_that_repeat_and_ids_with_odd_characters(jaspar):
    odd = "AC/../x:1,[2]'q\""
    gata = next(motif for motif in jaspar if motif.id == "MA0035.5")
    database = [Motif("same", "other", m.matrix) for m in jaspar[:30]] + [
        Motif("same", "GATA", gata.matrix),
        Motif(odd, "GATA", gata.matrix),
    ]
    table = match([Motif(odd, "", gata.matrix)], database)
    first, second = list(table.itertuples(index=False))[:2]
    assert (first.target, first.target_name, second.target) == (
        "same",
        "GATA",
        odd,
    )  # by their order in the file
    assert first.query == odd
    assert first.significant


def test_report_and_significance_thresholds(queries, jaspar, ours):
    strict = match(queries, jaspar, settings=MatchSettings(significance=1e-3, report_q=0.01))
    assert strict["q_value"].max() <= 0.01
    assert (strict["significant"] == (strict["q_value"] < 1e-3)).all()
    assert 0 < strict["significant"].sum() < len(strict)
    assert len(strict) == (ours["q_value"] <= 0.01).sum()


def test_min_overlap_is_kept(queries, jaspar):
    wide = match(queries[:20], jaspar, settings=MatchSettings(report_q=1.0, min_overlap=9))
    width = wide["query_consensus"].str.len().clip(upper=wide["target_consensus"].str.len()).clip(upper=9)
    assert len(wide) == 20 * len(jaspar)
    assert (wide["overlap"] >= width).all()


def test_queries_are_flagged_and_what_calibration_fills_is_missing(jaspar):
    letters = np.eye(4)
    queries = [
        Motif("1_n5_m1", "", letters[[0] * 8]),
        Motif("1_n5_m2", "", 0.2 + 0.2 * letters[[0, 1, 2, 3, 0]]),
        Motif("1_n5_m3", "", letters[[2, 0, 3, 0, 0, 2]]),
    ]
    table = match(queries, jaspar, settings=EVERYTHING)
    flags = table.drop_duplicates("query").set_index("query")["query_flag"]
    assert flags[["1_n5_m1", "1_n5_m2"]].tolist() == ["low_complexity", "low_information"]
    assert flags.isna()["1_n5_m3"]
    assert table[["p_null", "q_null", "target_promiscuous"]].isna().all(axis=None)
    check_table(table, "matches")
    strict = match(queries, jaspar, settings=MatchSettings(min_information_bits=13.0))
    assert strict["query_flag"].eq("low_information").sum() == strict["query"].ne("1_n5_m1").sum()


@pytest.mark.parametrize("n", [1, 24, 25])
def test_small_databases_are_warned_about(queries, jaspar, caplog, n):
    with caplog.at_level(logging.WARNING):
        table = match(queries[:3], jaspar[:n], settings=EVERYTHING)
    assert len(table) == 3 * n
    said = [record.getMessage() for record in caplog.records]
    assert bool(said) == (n < 25)
    assert all(f"has {n} motifs; below 25 the p-values of TomTom are unreliable" in text for text in said)


def test_no_motifs_give_an_empty_valid_table(tmp_path, jaspar):
    table = match([], jaspar, database_name="db.meme")
    assert table.empty
    write_table(table, tmp_path / "matches.tsv", "matches")
    assert read_table(tmp_path / "matches.tsv", "matches").empty
    assert table.attrs["counts"]["pairs_tested"] == 0


def test_ids_of_a_run_fill_rank_node_and_motif(jaspar):
    motifs = read_meme(MEME_TEXT)
    table = match([Motif("3_n127_m2", "", motifs[1].matrix), Motif("mine", "", motifs[0].matrix)], jaspar)
    check_table(table, "matches")
    of_run, own = table[table["query"] == "3_n127_m2"], table[table["query"] == "mine"]
    assert of_run[["rank", "node", "motif"]].drop_duplicates().to_numpy().tolist() == [[3, 127, 2]]
    assert own[["rank", "node", "motif"]].isna().all(axis=None)


def test_faults(queries):
    with pytest.raises(InputError, match="holds no motif"):
        match(queries, [])
    with pytest.raises(ConfigError, match="batched or tomtom"):
        match(queries, queries, engine="homer")
    with pytest.raises(ConfigError, match="do not fit"):
        MatchSettings(report_q=0.0)
    with pytest.raises(ConfigError, match=r"No such distance.*allr.*pearson or ed"):
        MatchSettings(distance="allr")
