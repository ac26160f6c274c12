"""nodes.tsv and summary.tsv: the choice of the best motif and match, and that nothing is lost on the way."""

from __future__ import annotations

import json
import sys

import pandas as pd
import pytest
from helpers_page import (
    calibration_rows,
    cluster_rows,
    fill,
    make_run,
    manifest,
    match_rows,
    motif_rows,
    nodes_from,
    selected,
)
from helpers_scoreboard import write_empty_scoreboard

import summarise_nodes
import summarise_runs
from biosae.artefacts import read_table, write_json
from biosae.errors import ContractError, InputError
from biosae.summary import build_summary, count_nodes, load_role

NONE = ([], [])
MOTIFS = [  # rank, node, motif, log10_e, n_sites, significant
    (1, 40, 1, -3.0, 90, True),
    (1, 40, 2, -3.0, 120, True),  # same E, more sites: the best
    (2, 7, 1, -400.0, 50, True),  # below the range of a double
    (2, 7, 2, 2.0, 300, False),
    (3, 12, 1, 1.0, 20, False),
]
MATCHES = [  # query, target, name, p, q
    ("1_n40_m1", "MA1", "A", 1e-4, 0.01),
    ("1_n40_m2", "MA2", "B", 1e-5, 0.20),  # lower p, but not significant for its own query
    ("1_n40_m1", "MA3", "C", 2e-4, 0.02),
    ("2_n7_m2", "MA4", "D", 1e-9, 1e-6),  # of a motif that is not significant
    ("3_n12_m1", "MA5", "E", 1e-3, 0.04),
]


def nodes_of(motifs=MOTIFS, matches=MATCHES, nodes=(40, 7, 12, 99)) -> pd.DataFrame:
    nodes, motifs = list(nodes), motif_rows(motifs)
    return nodes_from(
        selected(nodes),
        manifest(nodes),
        motifs,
        match_rows(matches),
        calibration_rows(nodes),
        cluster_rows(motifs),
    )


def row(table: pd.DataFrame, node: int) -> dict:
    return table.set_index("node").loc[node].to_dict()


def test_one_row_per_kept_node_by_rank_also_without_any_motif():
    table = nodes_of()
    assert table["node"].tolist() == [40, 7, 12, 99]
    assert table["rank"].tolist() == [1, 2, 3, 4]
    bare = row(table, 99)
    assert (bare["n_motifs"], bare["n_significant_motifs"], bare["n_naming_matches"]) == (0, 0, 0)
    assert bare["named"] is False
    assert pd.isna(bare["best_motif_id"])
    assert pd.isna(bare["best_match"])
    assert (bare["n_seqlets"], bare["gc_share"], bare["num_nonzero"]) == (400, 0.41, 1004)


def test_the_best_motif_has_the_lowest_e_and_at_a_tie_more_sites():
    table = nodes_of()
    first = row(table, 40)
    assert (first["best_motif_id"], first["motif_sites"]) == ("1_n40_m2", 120)
    assert (first["n_motifs"], first["n_significant_motifs"]) == (2, 2)
    second = row(table, 7)
    assert (second["best_motif_id"], second["motif_log10_e"], second["motif_e_value"]) == (
        "2_n7_m1",
        -400.0,
        0.0,
    )


def test_a_motif_without_e_value_is_never_the_best():
    table = nodes_of([(1, 5, 1, None, 500, False), (1, 5, 2, 3.0, 2, False)], [], [5])
    assert table["best_motif_id"].tolist() == ["1_n5_m2"]


def test_a_named_node_shows_a_match_that_names_it():
    first = row(nodes_of(), 40)
    assert first["named"] is True
    assert (first["best_match"], first["target_name"], first["match_motif_id"]) == ("MA1", "A", "1_n40_m1")
    assert first["match_of_significant_motif"] is True
    assert first["match_significant"] is True
    assert first["n_naming_matches"] == 2  # MA1 and MA3; MA2 is above q 0.05


def test_a_match_of_a_motif_that_is_not_significant_is_shown_but_names_nothing():
    table = nodes_of()
    for node, target in ((7, "MA4"), (12, "MA5")):
        about = row(table, node)
        assert about["best_match"] == target
        assert about["match_significant"] is True
        assert about["match_of_significant_motif"] is False
        assert (about["named"], about["n_naming_matches"]) == (False, 0)


def test_a_flagged_motif_names_nothing_and_gives_way_to_one_that_does():
    motifs = motif_rows([(1, 40, 1, -90.0, 90, True), (1, 40, 2, -5.0, 90, True)])
    matches = match_rows([("1_n40_m1", "MA1", "A", 1e-9, 1e-7), ("1_n40_m2", "MA2", "B", 1e-4, 0.01)])
    matches["query_flag"] = pd.array(["low_complexity", None], dtype="string")
    tables = [selected([40]), manifest([40]), motifs, matches, calibration_rows([40]), cluster_rows(motifs)]
    first = row(nodes_from(*tables), 40)
    assert (first["best_match"], first["named"], first["n_naming_matches"]) == ("MA2", True, 1)
    tables[3] = matches.iloc[:1]
    only = row(nodes_from(*tables), 40)
    assert (only["best_match"], only["named"], only["named_calibrated"]) == ("MA1", False, False)


def test_a_named_node_is_calibrated_by_the_match_that_names_it():
    motifs, nodes = motif_rows(MOTIFS), [40, 7, 12]
    matches = match_rows(MATCHES)
    tables = [selected(nodes), manifest(nodes), motifs, matches]
    for q_null, expected in ((0.001, True), (0.9, False)):
        # the match of lowest p is of another motif and names nothing: what it has does not count
        matches["q_null"] = [q_null, 1e-6, q_null, 1e-6, 1e-6]
        about = row(nodes_from(*tables, calibration_rows(nodes), cluster_rows(motifs)), 40)
        assert about["named"] is True
        assert (about["match_q_null"], about["named_calibrated"]) == (q_null, expected)
    with pytest.raises(ContractError, match=r"1 selected nodes were not calibrated.*\[12\]"):
        nodes_from(*tables, calibration_rows(nodes[:2]), cluster_rows(motifs))


def test_without_nulls_nothing_is_said_to_be_calibrated():
    nodes, motifs = [40], motif_rows(MOTIFS[:2])
    bare = fill(pd.DataFrame({"node": nodes}), "calibration")
    tables = [selected(nodes), manifest(nodes), motifs, match_rows(MATCHES[:1]), bare, cluster_rows(motifs)]
    table = nodes_from(*tables)
    assert table["named"].tolist() == [True]
    assert table["named_calibrated"].isna().all()
    assert count_nodes(table)["nodes_named_calibrated"] is None
    # of no nodes only the caller knows whether there were null sets
    names = [name for name in count_nodes(table) if name.endswith("_calibrated")]
    assert len(names) == 4
    assert [count_nodes(table.iloc[:0], null_sets=False)[name] for name in names] == [None] * 4
    assert [count_nodes(table.iloc[:0])[name] for name in names] == [0] * 4


def test_ties_of_p_go_by_target_whatever_the_order_of_rows():
    matches = [("1_n40_m1", "MB", "b", 1e-5, 0.01), ("1_n40_m1", "MA", "a", 1e-5, 0.01)]
    for rows in (matches, matches[::-1]):
        assert row(nodes_of(matches=rows), 40)["best_match"] == "MA"


def test_the_order_of_rows_does_not_matter():
    shuffled = nodes_of(MOTIFS[::-1], MATCHES[::-1])
    pd.testing.assert_frame_equal(shuffled, nodes_of())


def test_an_empty_selection_gives_an_empty_valid_table():
    table = nodes_of([], [], [])
    assert table.empty
    assert "named" in table


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ((selected([1, 2]), manifest([1])), r"1 selected nodes have no row in the seqlet manifest.*\[2\]"),
        (
            (selected([1, 2]), manifest([1, 2, 3, 4])),
            r"2 nodes of the seqlet manifest were not selected.*\[3, 4\]",
        ),
        ((selected([1, 2]), manifest([2, 1])), r"2 nodes have another rank in the seqlet manifest"),
    ],
)
def test_nodes_that_are_lost_or_ranked_anew_between_stages_are_refused(tables, message):
    none = motif_rows([])
    with pytest.raises(ContractError, match=message):
        nodes_from(*tables, none, match_rows([]), calibration_rows([1, 2]), cluster_rows(none))


def test_motifs_and_matches_without_a_partner_are_refused():
    with pytest.raises(ContractError, match=r"1 nodes with motifs were not selected.*\[8\].*re-run"):
        nodes_of([(1, 8, 1, -1.0, 10, True)], [], [40])
    with pytest.raises(ContractError, match=r"1 queries of the matches are not in the motif table.*3_n9_m1"):
        nodes_of(MOTIFS, [("3_n9_m1", "MA1", "A", 0.1, 0.1)])


# --- programs -------------------------------------------------------------------------------------


def call(monkeypatch, program, *arguments) -> None:
    monkeypatch.setattr(sys, "argv", [program.__name__, *map(str, arguments)])
    program.main()


def summarised(monkeypatch, folder, **options):
    run = make_run(folder, **options)
    call(monkeypatch, summarise_nodes, "--run", run, "--output", run / "nodes.tsv")
    return run


def test_the_program_writes_the_table_with_provenance_twice_the_same(tmp_path, monkeypatch):
    run = summarised(monkeypatch, tmp_path / 'it\'s a "run"', n_nodes=12)
    table = read_table(run / "nodes.tsv", "nodes")
    assert len(table) == 12
    made_by = json.loads((run / "nodes.tsv.json").read_text())
    assert [entry["name"] for entry in made_by["inputs"]] == [
        "selected_nodes.tsv", "manifest.tsv", "motifs.tsv", "matches.tsv", "calibration.tsv",
        "motif_clusters.tsv", "repeats.tsv", "specificity.tsv",
    ]  # fmt: skip
    other = summarised(monkeypatch, tmp_path / "elsewhere", n_nodes=12)
    for name in ("nodes.tsv", "nodes.tsv.json"):
        assert (run / name).read_bytes() == (other / name).read_bytes()


def test_a_summary_row_counts_the_nodes_and_carries_the_figures(tmp_path, monkeypatch):
    run = summarised(monkeypatch, tmp_path, n_nodes=12)
    scoreboard = write_empty_scoreboard(tmp_path)
    call(monkeypatch, summarise_runs, "--runs", run, "--scoreboard", scoreboard, "--output", tmp_path)
    about = read_table(tmp_path / "summary.tsv", "summary").iloc[0].to_dict()
    assert (about["layer"], about["run"], about["kind"]) == ("conv1d_2", "topk-x4-k36", "topk")
    assert (about["fvu"], about["l0"], about["dead_fraction"]) == (0.0831, 35.2, 0.041)
    assert (about["fvu_without_layer_norm"], about["fvu_channel_mean"]) == (0.11, 0.09)
    # ranks 5 and 10 have no motif, 3, 6, 9 and 12 no significant one, 7 and 11 no match
    assert (about["kept_nodes"], about["nodes_with_significant_motif"]) == (12, 6)
    assert (about["nodes_named"], about["distinct_targets"]) == (4, 4)
    assert (about["nodes_motif_calibrated"], about["nodes_named_calibrated"]) == (6, 4)  # of those counted
    assert (about["null_with_significant_motif"], about["null_named"]) == (0.6, 0.24)  # 5 and 2 of 100 sets
    assert about["distinct_clusters"] == 1
    assert (about["distinct_targets_calibrated"], about["distinct_clusters_calibrated"]) == (4, 1)
    assert (about["motif_recall"], about["n_detectors"], about["detectors_found"]) == (0.83, 40, 0.65)
    assert (about["role"], about["density"]) == ("sae", 0.012)


def test_the_role_of_a_run_is_what_its_checkpoint_says(tmp_path):
    for config, role in (
        ({"kind": "topk", "role": "random"}, "random"),
        ({"kind": "raw"}, "raw"),
        ({}, "sae"),
    ):
        write_json(tmp_path / "checkpoint" / "config.json", config)
        assert load_role(tmp_path) == role


def test_runs_without_truth_or_without_nodes_have_their_row_too(tmp_path, monkeypatch):
    first = summarised(monkeypatch, tmp_path / "a", n_nodes=3)
    empty = summarised(monkeypatch, tmp_path / "b", n_nodes=0, recovery=False)
    table = build_summary([first, empty])
    assert table["kept_nodes"].tolist() == [3, 0]
    assert table["nodes_named"].tolist()[1] == 0
    assert table["motif_recall"].isna().tolist() == [False, True]


def test_missing_figures_and_files_are_named(tmp_path, monkeypatch):
    run = summarised(monkeypatch, tmp_path, n_nodes=3)
    (run / "evaluation.json").write_text('{"kind": "topk"}')
    with pytest.raises(ContractError, match=r"lacks keys.*dead_fraction"):
        build_summary([run])
    (run / "evaluation.json").write_text('{"kind": ')
    with pytest.raises(InputError, match=r"Cannot read a JSON file.*evaluation\.json"):
        build_summary([run])
    (run / "evaluation.json").unlink()
    with pytest.raises(InputError, match=r"evaluation\.json.*re-run"):
        build_summary([run])
