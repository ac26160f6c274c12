"""SAE against nulls: replicates beside the slow way, differences true and absent, runs without nodes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from helpers_scoreboard import KINDS, judged, log10_p_of, made_tables, node_table, run_tables, write_run

from biosae.errors import ConfigError, InputError
from biosae.motifs.calibration import calibrate
from biosae.scoreboard import bootstrap, recovery
from biosae.scoreboard import table as scoreboard_table
from biosae.scoreboard.run_figures import CLASSES, COUNTS, RunFigures, load_tables, run_figures
from biosae.scoreboard.table import (
    FIGURES,
    Score,
    Settings,
    build_scoreboard,
    checked_nulls,
    compare,
    score_runs,
)
from biosae.summary import count_nodes

SETTINGS = Settings(locus_bp=100_000, replicates=60, seed=0, significance=0.05)
LOCUS_BP = 250_000


def counted(tables: dict) -> dict[str, int]:
    """The figures as summary.tsv counts them, from nodes.tsv."""
    counts = count_nodes(node_table(tables))
    counts["nodes_with_motif"] = counts.pop("nodes_with_significant_motif")
    return {name: counts[name] for name in COUNTS + CLASSES}


def resampled(tables: dict, weight: dict[int, int]) -> dict:
    """The tables of a run whose seqlets are drawn so often: every stage that follows p, anew."""
    evidence = tables["evidence"].groupby("motif_id", sort=False)
    p = {name: log10_p_of(rows, weight, LOCUS_BP) for name, rows in evidence}
    motifs = judged(
        tables["motifs"].drop(columns=["q_value", "significant"]), list(tables["motifs"]["motif_id"].map(p))
    )
    significant = set(motifs.loc[motifs["significant"].astype(bool), "motif_id"])
    clusters = tables["clusters"][tables["clusters"]["motif_id"].isin(significant)]
    calibration, _ = calibrate(tables["nodes"], motifs, tables["matches"], tables["nulls"], 0.05)
    return {**tables, "motifs": motifs, "clusters": clusters, "calibration": calibration}


def test_replicates_count_what_all_stages_would_count_anew(tmp_path):
    tables = made_tables(14, 0.7, seed=2)
    run = write_run(tmp_path, "a", "sae", tables)
    own = load_tables(run, list(KINDS))
    every = bootstrap.all_loci([own.evidence], LOCUS_BP)
    loci = bootstrap.locus_codes(own.evidence, every, LOCUS_BP)
    weights = bootstrap.draw_weights(len(every), 8, (5,))
    log10_p = bootstrap.replicate_p(own.evidence, loci, own.motifs["motif_id"].tolist(), weights)
    figures = run_figures(own, log10_p, 0.05)
    draws = [dict(enumerate(map(int, drawn))) for drawn in weights.T]
    expected = [counted(tables), *(counted(resampled(tables, weight)) for weight in draws)]
    for figure in COUNTS + CLASSES:
        assert figures.at(figure, 14).tolist() == [row[figure] for row in expected], figure
    assert len({row["nodes_with_motif"] for row in expected}) > 1  # the draws do change something
    assert expected[0]["distinct_targets"] > 2


def test_a_node_counts_as_often_as_it_is_drawn():
    tables = made_tables(10, 0.6, seed=1)
    own = run_tables(tables)
    p = np.tile(own.motifs["log10_p"].to_numpy("float64"), (3, 1))
    once, last = np.ones(10), np.array([0] * 9 + [10])
    figures = run_figures(own, p, 0.05, np.array([once, last, 2 * once]))
    table = node_table(tables)
    named = table["named"].sum()
    assert figures.at("nodes_named", 10).tolist() == [named, named, 10 * table["named"].iloc[9], 2 * named]
    observed, alone = counted(tables), table["best_match"][table["named"]].value_counts()
    values = figures.at("distinct_targets", 10)
    assert values[0] == values[1] == observed["distinct_targets"]
    # a node drawn once more adds what it alone stands for
    assert values[3] == values[0] + (alone == 1).sum()


def scored(pair: dict) -> dict:
    loci = bootstrap.all_loci((own.evidence for own in pair.values()), SETTINGS.locus_bp)
    return scoreboard_table.scored(pair.items(), loci, SETTINGS)


def board(runs: dict, nulls: dict, settings: Settings = SETTINGS, kinds=KINDS) -> pd.DataFrame:
    rows = build_scoreboard("conv1d_2", score_runs(runs, list(kinds), settings), nulls)
    return rows.set_index(["run", "figure"])


def test_a_planted_difference_is_found_and_scaled_to_the_nodes_of_the_null(tmp_path):
    runs = {
        "sae": write_run(tmp_path, "sae", "sae", made_tables(40, 0.9, 0), f1=0.9),
        "raw": write_run(tmp_path, "raw", "raw", made_tables(20, 0.3, 1), f1=0.3),
        "pca": write_run(tmp_path, "pca", "pca", made_tables(10, 0.0, 2), f1=0.2),
    }
    table = board(runs, {"sae": ["pca", "raw"]}).loc["sae"]
    assert table.index.tolist() == list(FIGURES)
    for figure in ("nodes_with_motif", "nodes_named", "assignment_f1", "detectors_found", "motif_recall"):
        assert table.loc[figure, "ci_low"] > 0, figure
        assert table.loc[figure, "ci_low"] <= table.loc[figure, "difference"] <= table.loc[figure, "ci_high"]
    named = table.loc["nodes_named"]
    assert (named["best_null"], named["matched_nodes"], named["nulls"]) == ("raw", 20, "pca,raw")
    assert named["value_matched"] == pytest.approx(named["value"] / 2)
    assert named["null_value_matched"] == named["null_value"]
    assert named["difference"] == pytest.approx(named["value_matched"] - named["null_value"])
    assert pd.isna(table.loc["assignment_f1", "matched_nodes"])
    assert (table["replicates"] == 60).all()


def test_the_interval_of_two_equal_nulls_covers_zero(tmp_path):
    """Pairs of runs that differ in chance alone: of 400 intervals 95 to 97 % covered 0 for each figure."""
    names = ("nodes_with_motif", "nodes_named", "distinct_targets", "distinct_clusters")
    covered, widths = [], []
    for seed in range(0, 16, 2):
        pair = {str(i): run_tables(made_tables(16, 0.3, 100 + seed + i)) for i in (0, 1)}
        rows = build_scoreboard("a", scored(pair), {"0": ["1"]}).set_index("figure").loc[list(names)]
        covered += ((rows["ci_low"] <= 0) & (rows["ci_high"] >= 0)).tolist()
        widths += (rows["ci_high"] - rows["ci_low"]).tolist()
    assert np.mean(covered) >= 0.85
    # 16 nodes of which 0.3 have it vary by 4 sqrt(2 x 16 x 0.3 x 0.7) between two runs
    assert 3 < np.mean(widths) < 13
    twins = scored({"0": pair["0"], "1": pair["0"]})
    same = build_scoreboard("a", twins, {"0": ["1"]})
    assert (same["difference"] == 0).all()
    assert ((same["ci_low"] <= 0) & (same["ci_high"] >= 0)).all()


def named_of(nodes: int, named: int, rows: int = 61) -> Score:
    """A run of which only the number of named nodes is known."""
    return Score(
        RunFigures(nodes, np.ones((rows, nodes)), {"nodes_named": np.full(rows, float(named))}), True, {}
    )


def test_the_best_null_is_the_one_that_leaves_least_of_the_sae_at_matched_nodes():
    nulls = {"frozen": named_of(0, 0), "random": named_of(2944, 250), "raw": named_of(600, 200)}
    row = compare(named_of(2000, 500), nulls, "nodes_named")
    assert (row["best_null"], row["matched_nodes"], row["difference"]) == ("raw", 600, -50)
    # equal values: a null without nodes is the best only where there is no other
    empty = {"frozen": named_of(0, 0), "random": named_of(2944, 0)}
    row = compare(named_of(2000, 500), empty, "nodes_named")
    assert (row["best_null"], row["difference"]) == ("random", 500)
    assert compare(named_of(2000, 500), {"frozen": named_of(0, 0)}, "nodes_named")["best_null"] == "frozen"


def test_few_nodes_compared_have_a_difference_without_interval():
    few = compare(named_of(50, 20), {"raw": named_of(9, 0)}, "nodes_named")
    assert few["difference"] == pytest.approx(3.6)
    assert (few["ci_low"], few["replicates"]) == (None, 0)
    assert few["note"] == "no interval: fewer than 10 nodes compared"
    enough = compare(named_of(50, 20), {"raw": named_of(10, 0)}, "nodes_named")
    assert (enough["replicates"], enough["note"]) == (60, None)


@pytest.mark.parametrize("seed", range(6))
def test_two_motifs_more_than_the_null_are_not_told_from_it(seed):
    """12 of 12 beside 10 of 12: draws without either of the two are common, and none is below 0."""
    names = [f"MA{i}" for i in range(12)]
    found = {}
    for run, n in (("sae", 12), ("ica", 10)):
        details = {"planted_motifs_found": names[:n], "planted_motifs_missed": names[n:]}
        recall = np.append(n / 12, recovery.recall_draws(details, 500, seed))
        found[run] = Score(RunFigures(30, np.ones((501, 30))), True, {"motif_recall": recall})
    row = compare(found["sae"], {"ica": found["ica"]}, "motif_recall")
    assert row["difference"] == pytest.approx(1 / 6)
    assert row["ci_low"] == 0 < row["difference"] < row["ci_high"]


def test_a_run_without_kept_nodes_has_zeros_and_says_so(tmp_path):
    runs = {
        "dead": write_run(tmp_path, "dead", "sae", made_tables(0, 0.5, 0)),
        "raw": write_run(tmp_path, "raw", "raw", made_tables(8, 0.5, 1)),
    }
    table = board(runs, {"dead": ["raw"]}).loc["dead"]
    assert (table[["value", "matched_nodes"]] == 0).all(axis=None)
    assert table[["difference", "ci_low", "ci_high"]].isna().all(axis=None)
    assert (table["note"] == "no kept node").all()
    table = board(runs, {"raw": ["dead"]}).loc["raw"]
    assert table.loc["nodes_with_motif", "value"] > 0
    assert table["difference"].isna().all()  # at no nodes there is nothing to compare
    assert (table["note"] == "the best null has no kept node").all()


def test_without_baseline_or_null_sets_or_held_out_seqlets_less_is_said(tmp_path):
    tables = made_tables(6, 0.8, 0)
    runs = {
        "sae": write_run(tmp_path, "sae", "sae", tables),
        "untested": write_run(tmp_path, "untested", "raw", tables, held_out=False),
    }
    alone = board(runs, {"sae": []}).loc["sae"]
    assert alone["difference"].isna().all()
    assert (alone["note"] == "no baseline to compare with").all()
    bare = board(runs, {"sae": ["untested"]}, kinds=()).loc["sae"]
    assert [name for name in bare.index if name.endswith("_calibrated")] == []
    assert bare["difference"].notna().all()
    assert bare["ci_low"].isna().all()
    assert (bare["note"] == "no interval: motifs were not tested on held-out seqlets").all()


def test_the_order_of_runs_and_other_runs_change_no_figure(tmp_path):
    runs = {
        name: write_run(tmp_path, name, "sae", made_tables(11, 0.6, seed), f1=0.5)
        for seed, name in enumerate(("a", "b"))
    }
    one = board(runs, {"a": ["b"]})
    other = board(dict(reversed(runs.items())), {"a": ["b"]})
    pd.testing.assert_frame_equal(one, other)


def test_bad_input_is_refused_with_what_to_do(tmp_path):
    for wrong in ({"locus_bp": 0}, {"replicates": 3}, {"seed": -1}):
        with pytest.raises(ConfigError, match="replicates >= 20"):
            Settings(**{"locus_bp": 1, "replicates": 20, "seed": 0, "significance": 0.05, **wrong})
    with pytest.raises(InputError, match=r"not among the runs given.*random-x4"):
        checked_nulls({"sae": ["raw", "random-x4"]}, ["sae", "raw"])
    run = write_run(tmp_path, "a", "sae", made_tables(3, 0.5, 0), f1=0.5)
    (run / "recovery_loci.tsv").unlink()
    with pytest.raises(InputError, match=r"recovery_loci.*re-run"):
        score_runs({"a": run}, [], SETTINGS)
    (run / "held_out.tsv.gz").unlink()
    with pytest.raises(InputError, match=r"held_out.*re-run"):
        score_runs({"a": run}, [], SETTINGS)
