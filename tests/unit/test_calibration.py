"""Calibrated p and q: literal small tables, and that a null among nulls is not significant."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from helpers_page import match_rows, motif_rows
from scipy.stats import false_discovery_control

from biosae.errors import ConfigError
from biosae.motifs import calibration
from biosae.motifs.calibration import Null, calibrate, count_filters, null_p, null_targets, step_up_q
from biosae.motifs.naming import naming_pairs


def matches_of(rows, flags=None) -> pd.DataFrame:
    """Rows of (query, target, p, q) as schema ``matches``, with log10 p."""
    table = match_rows([(query, target, target.lower(), p, q) for query, target, p, q in rows])
    table["p_null"] = table["q_null"] = pd.Series(dtype="float64")
    table["log10_p"] = np.log10(table["p_value"].astype("float64"))
    table["query_flag"] = pd.array(flags or [None] * len(table), dtype="string")
    return table


def null_of(log10_e, p_values, kind="genome") -> Null:
    """Sets 0, 1, ...: one motif each with this E, and one match with this p (None: no match)."""
    sets = range(len(log10_e))
    motifs = motif_rows([(i + 1, i, 1, e, 9, e < -2) for i, e in zip(sets, log10_e, strict=True)])
    rows = [(f"{i + 1}_n{i}_m1", "MA1", p, p * 50) for i, p in zip(sets, p_values, strict=True) if p]
    return Null(kind, sets, motifs, matches_of(rows))


def test_null_p_counts_the_nulls_at_or_below():
    p = null_p(np.array([-9.0, -3.0, -2.0, 5.0, np.inf]), np.array([-3.0, -2.0, -2.0, np.inf]))
    assert p.tolist() == [1 / 5, 2 / 5, 4 / 5, 4 / 5, 1.0]


def test_step_up_q_is_benjamini_hochberg_on_the_family_and_monotone_between():
    rng = np.random.default_rng(0)
    for family in (rng.random(40), np.round(rng.random(40), 1) + 0.01, np.array([0.2])):
        family = np.minimum(family, 1.0)
        np.testing.assert_allclose(step_up_q(family, family), false_discovery_control(family), rtol=1e-12)
    grid = np.linspace(0.001, 1, 200)
    q = step_up_q(grid, rng.random(40))
    assert (np.diff(q) >= -1e-12).all()
    assert step_up_q(np.array([0.1]), np.array([])).tolist() == [1.0]


def test_a_node_must_stand_out_from_every_kind_of_null():
    motifs = motif_rows([(1, 10, 1, -5.0, 9, True), (1, 10, 2, -8.0, 9, True), (2, 11, 1, -1.0, 9, False)])
    matches = matches_of([("1_n10_m1", "MA1", 1e-6, 1e-4), ("2_n11_m1", "MA2", 1e-2, 0.3)])
    weak = null_of([-1.0, 0.0, -2.0], [1e-3, None, 1e-4])
    strong = null_of([-9.0, -7.0, 0.0], [1e-5, 1e-7, 1e-3], "filter")
    table, calibrated = calibrate([10, 11, 12], motifs, matches, [weak, strong], 0.05)
    assert table["node"].tolist() == [10, 11, 12]
    # node 10, E 1e-8: weak 0 of 3 below, strong 1 of 3; node 11, E 0.1: 2 of 3 in both; node 12 has no motif
    assert table["motif_p_null"].tolist() == [2 / 4, 3 / 4, 1.0]
    # node 10, p 1e-6: strong has one at 1e-7; node 11, p 1e-2: 2 of 3 in weak, 3 of 3 in strong
    assert table["match_p_null"].tolist() == [2 / 4, 1.0, 1.0]
    np.testing.assert_allclose(table["motif_q_null"].astype(float), [1.0, 1.0, 1.0])
    assert not table["motif_calibrated"].any()
    assert calibrated["p_null"].tolist() == [2 / 4, 1.0]
    assert table["motif_p_genome"].tolist() == [1 / 4, 3 / 4, 1.0]
    assert table["motif_p_filter"].tolist() == [2 / 4, 3 / 4, 1.0]
    assert table["motif_p_shuffled"].isna().all()
    alone, _ = calibrate([10, 11, 12], motifs, matches, [weak], 0.05)
    assert alone["motif_p_null"].tolist() == [1 / 4, 3 / 4, 1.0]


def test_flagged_motifs_match_nothing_in_the_calibration():
    motifs = motif_rows([(1, 10, 1, -5.0, 9, True)])
    matches = matches_of([("1_n10_m1", "MA1", 1e-9, 1e-7)], ["low_complexity"])
    table, calibrated = calibrate([10], motifs, matches, [null_of([0.0], [1e-3])], 0.05)
    assert table["match_p_null"].tolist() == [1.0]
    assert calibrated["p_null"].tolist() == [0.5]  # the row itself is compared all the same
    assert naming_pairs(motifs, matches).tolist() == [False]
    assert naming_pairs(motifs, matches.assign(query_flag=pd.NA)).tolist() == [True]


def test_without_nulls_the_columns_are_missing_and_nothing_is_lost():
    motifs = motif_rows([(1, 10, 1, -5.0, 9, True)])
    matches = matches_of([("1_n10_m1", "MA1", 1e-9, 1e-7)])
    table, calibrated = calibrate([10], motifs, matches, [], 0.05)
    assert table.drop(columns="node").isna().all().all()
    assert calibrated["p_null"].isna().all()
    assert len(calibrated) == 1
    assert count_filters([10], motifs, matches, []).empty


def planted(rng, n, shift):
    """n nodes with normal log10 E around ``shift`` and log10 p of matches alike."""
    log10_e, log10_p = rng.normal(shift, 1, n), np.minimum(rng.normal(shift, 1, n), 0.0)
    motifs = motif_rows([(i + 1, i, 1, e, 9, True) for i, e in enumerate(log10_e)])
    return motifs, matches_of([(f"{i + 1}_n{i}_m1", "MA1", 10.0**p, 1e-3) for i, p in enumerate(log10_p)])


def test_nodes_that_are_nulls_are_not_significant_and_planted_ones_are():
    rng = np.random.default_rng(3)
    nulls = [
        null_of(rng.normal(-3, 1, 400), 10.0 ** rng.normal(-3, 1, 400).clip(max=0), kind)
        for kind in ("genome", "filter")
    ]
    hits = 0
    for _ in range(20):
        motifs, matches = planted(rng, 200, -3)
        table, _ = calibrate(range(200), motifs, matches, nulls, 0.05)
        hits += int(table["motif_calibrated"].sum() > 0) + int(table["match_calibrated"].sum() > 0)
    assert hits <= 5  # 40 families at FDR 0.05: 2 expected at most
    motifs, matches = planted(rng, 200, -9)
    table, calibrated = calibrate(range(200), motifs, matches, nulls, 0.05)
    assert table["motif_calibrated"].mean() > 0.95
    assert table["match_calibrated"].mean() > 0.95
    best = calibrated.groupby("node")["q_null"].min()
    np.testing.assert_allclose(best.to_numpy(float), table["match_q_null"].to_numpy(float))


def test_counts_stand_beside_the_nulls_own():
    motifs = motif_rows([(1, 10, 1, -5.0, 9, True), (2, 11, 1, -5.0, 9, True), (3, 12, 1, 1.0, 9, False)])
    matches = matches_of([("1_n10_m1", "MA1", 1e-6, 1e-4), ("3_n12_m1", "MA2", 1e-6, 1e-4)])
    null = null_of([-3.0, 0.0, 0.0, -4.0], [1e-5, 1e-5, None, None])
    counts = count_filters([10, 11, 12], motifs, matches, [null]).set_index("filter")
    assert counts["nodes_passing"].to_dict() == {"motif": 2, "match": 2, "named": 1}
    assert counts["sets_passing"].to_dict() == {"motif": 2, "match": 2, "named": 1}
    assert counts.loc["motif", ["nodes", "sets", "null_expected"]].tolist() == [3, 4, 1.5]


def test_targets_that_null_motifs_match_are_promiscuous_above_the_share(monkeypatch):
    null = null_of([0.0] * 150, [1e-5] * 3 + [None] * 147)
    table = null_targets([null])
    assert table[["target", "null_motifs", "promiscuous"]].to_numpy().tolist() == [["MA1", 3, True]]
    assert table["null_share"].tolist() == pytest.approx([3 / 150])
    assert not null_targets([null_of([0.0] * 350, [1e-5] * 3 + [None] * 347)])["promiscuous"].any()
    assert not null_targets([null_of([0.0] * 20, [1e-5] * 2 + [None] * 18)])["promiscuous"].any()
    twice = Null(null.kind, null.sets, null.motifs, pd.concat([null.matches, null.matches]))
    assert null_targets([twice])["null_motifs"].tolist() == [3]  # an id that repeats in the database
    motifs, matches = motif_rows([(1, 10, 1, -5.0, 9, True)]), matches_of([("1_n10_m1", "MA1", 1e-6, 1e-4)])
    _, calibrated = calibrate([10], motifs, matches, [null], 0.05)
    assert calibrated["target_promiscuous"].tolist() == [True]
    assert calibration.null_targets([]).empty


def test_too_few_sets_for_the_nodes_are_said(caplog):
    calibration.warn_of_resolution(200, [null_of([0.0] * 99, [None] * 99)], 0.05)
    assert "99 sets of kind genome for 200 nodes: fewer than 41 nodes" in caplog.text
    caplog.clear()
    calibration.warn_of_resolution(4, [null_of([0.0] * 99, [None] * 99)], 0.05)
    assert caplog.text == ""


def test_folders_of_nulls_are_named_after_their_kinds():
    assert calibration.checked_kinds(["filter", "genome"]) == ["filter", "genome"]
    for wrong in (["genome", "genome"], ["chance"]):
        with pytest.raises(ConfigError, match="not named after their kinds"):
            calibration.checked_kinds(wrong)
