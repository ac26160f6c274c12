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
    both = real.merge(ours, on=["query", "target"])
    assert len(real) == 6248
    assert len(both) >= 6245  # pairs near p = 0.05 whose best alignment is narrower than min_overlap
    clear = both[both["p-value"] < 1e-3]
    difference = np.abs(np.log10(clear["p_value"] / clear["p-value"]))
    assert len(clear) == 1081
    assert difference.max() < 0.06
    assert difference.median() < 1e-4
    assert (clear["offset"] == clear["Optimal_offset"]).mean() > 0.99
    assert (clear["overlap"] == clear["Overlap"]).all()
    assert (clear["orientation"] == clear["Orientation"]).all()
    np.testing.assert_allclose(clear["e_value"], clear["p_value"] * 1019, rtol=1e-12)


def test_best_matches_are_those_of_the_real_tomtom(ours, real):
    """Ties (several targets at the best p of one query) count as agreement, to either side."""
    agree = 0
    for query, theirs in real.groupby("query"):
        mine = ours[ours["query"] == query]
        best = set(mine.loc[mine["p_value"] <= mine["p_value"].min() * (1 + 1e-9), "target"])
        agree += bool(best & set(theirs.loc[theirs["p-value"] == theirs["p-value"].min(), "target"]))
    assert agree >= 99


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
    np.testing.assert_allclose(np.log10(top["p_value"]), np.log10([1.22471e-06, 1.22075e-10]), atol=0.01)
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
    """Fails with memelite's own Euclidean distance, which calls every nearly flat motif significant."""
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


def test_short_overlaps_are_dropped_and_counted(queries, jaspar, ours):
    wide = match(queries, jaspar, settings=MatchSettings(report_q=1.0, min_overlap=9))
    dropped = wide.attrs["counts"]["dropped_min_overlap"] - ours.attrs["counts"]["dropped_min_overlap"]
    assert dropped == len(ours) - len(wide) > 0
    width = wide["query_consensus"].str.len().clip(upper=wide["target_consensus"].str.len()).clip(upper=9)
    assert (wide["overlap"] >= width).all()


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
    with pytest.raises(ConfigError, match="memelite or tomtom"):
        match(queries, queries, engine="homer")
    with pytest.raises(ConfigError, match="do not fit"):
        MatchSettings(report_q=0.0)
