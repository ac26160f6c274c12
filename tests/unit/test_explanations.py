"""What explains a node: repeats before names, names before nothing; in nodes.tsv and on the page."""

from __future__ import annotations

import json
import sys

import numpy as np
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
    repeat_rows,
    selected,
    specificity_rows,
)

import summarise_nodes
from biosae.artefacts import conform, read_table, write_table
from biosae.errors import ContractError
from biosae.explanations import strongest_classes

NODES = [40, 7, 12, 99]
MOTIFS = [(1, 40, 1, -9.0, 90, True), (2, 7, 1, -8.0, 90, True), (3, 12, 1, -7.0, 90, True)]
MATCHES = [("1_n40_m1", "MA1", "CTCF", 1e-9, 1e-6), ("2_n7_m1", "MA2", "SP1", 1e-9, 1e-6)]


def six(matches=MATCHES, flags=(None, None, None), motifs=MOTIFS) -> list[pd.DataFrame]:
    motifs = motif_rows(motifs).assign(flag=pd.array(list(flags), dtype="string"))
    found = match_rows(matches)
    found["query_flag"] = found["query"].map(motifs.set_index("motif_id")["flag"])
    tables = [selected(NODES), manifest(NODES), motifs, conform(found, "matches")]
    return [*tables, calibration_rows(NODES), cluster_rows(motifs)]


def no_nulls(nodes: list[int]) -> pd.DataFrame:
    """Rows of calibration.tsv where no null set was asked for."""
    return fill(pd.DataFrame({"node": nodes}), "calibration")


def labels(table: pd.DataFrame) -> dict:
    return table.set_index("node")["explained_by"].to_dict()


def test_without_repeats_the_name_then_the_motif_then_nothing():
    expected = {40: "factor: CTCF", 7: "factor: SP1", 12: "motif without a name", 99: "nothing"}
    assert labels(nodes_from(*six())) == expected


def test_a_name_that_the_null_sets_reach_says_so_where_they_were_asked_for():
    tables = six()
    tables[3] = tables[3].assign(q_null=tables[3]["query"].map({"1_n40_m1": 0.2, "2_n7_m1": 0.01}))
    table = nodes_from(*tables)
    expected = {40: "factor: CTCF (not calibrated)", 7: "factor: SP1"}
    assert {node: labels(table)[node] for node in expected} == expected
    assert table["named_calibrated"].tolist() == [False, True, False, False]
    # no null set was asked for: every name stands, and nothing is said of calibration
    tables[3] = tables[3].assign(p_null=np.nan, q_null=np.nan)
    tables[4] = no_nulls(NODES)
    table = nodes_from(*tables)
    assert {node: labels(table)[node] for node in expected} == {40: "factor: CTCF", 7: "factor: SP1"}
    assert table["named_calibrated"].isna().all()


def test_nodes_without_a_row_of_repeats_have_no_figure_of_repeats():
    table = nodes_from(*six(), repeat_rows(NODES[1:])).set_index("node")
    assert table.loc[40, ["soft_masked_share", "repeat_class", "repeat_q"]].isna().all()
    assert table.loc[40, "explained_by"] == "factor: CTCF"


def test_a_node_with_a_factors_motif_inside_repeats_says_repeat_first():
    table = nodes_from(*six(), repeat_rows(NODES, "SINE/Alu", (40, 12)))
    assert labels(table)[40] == "repeat: SINE/Alu"
    assert labels(table)[12] == "repeat: SINE/Alu"
    assert labels(table)[7] == "factor: SP1"
    first = table.set_index("node").loc[40]
    assert (first["named"], first["target_name"]) == (True, "CTCF")  # what it resembles is not hidden
    assert first["repeat_class"] == "SINE/Alu"
    assert first[["soft_masked_share", "repeat_class_share", "repeat_odds_ratio", "repeat_q"]].tolist() == [
        0.1,
        0.9,
        81.0,
        1e-9,
    ]
    assert pd.isna(table.set_index("node").loc[7, "repeat_class"])


def test_low_complexity_by_the_annotation_and_by_the_motif():
    table = nodes_from(*six(), repeat_rows(NODES, "Simple_repeat", (40,)))
    assert labels(table)[40] == "low complexity"
    assert table.set_index("node").loc[40, "repeat_class"] == "Simple_repeat"
    flagged = nodes_from(*six(MATCHES[:1], flags=(None, "low_complexity", "low_information")))
    assert labels(flagged) == {
        40: "factor: CTCF",
        7: "low complexity",
        12: "motif without a name",
        99: "nothing",
    }


def test_a_best_motif_of_low_complexity_goes_before_the_name_of_a_lesser_one_and_before_the_mask():
    motifs = [(1, 40, 1, -9.0, 90, True), (1, 40, 2, -3.0, 90, True)]
    flags = ("low_complexity", None)
    named = [("1_n40_m2", "MA1", "CTCF", 1e-9, 1e-6)]
    tables = six(named, flags, motifs)
    table = nodes_from(*tables).set_index("node")
    assert (table.loc[40, "named"], table.loc[40, "explained_by"]) == (True, "low complexity")
    masked = repeat_rows(NODES)
    masked[["explains", "excess_share"]] = True, 0.8
    assert labels(nodes_from(*tables, masked)) == {
        40: "low complexity",
        7: "repeat: soft_masked",
        12: "repeat: soft_masked",
        99: "repeat: soft_masked",
    }
    assert labels(nodes_from(*tables, repeat_rows(NODES, "SINE/Alu", (40,))))[40] == "repeat: SINE/Alu"
    # the lesser motif alone is flagged: the name stands
    assert (
        labels(nodes_from(*six([("1_n40_m1", "MA1", "CTCF", 1e-9, 1e-6)], flags[::-1], motifs)))[40]
        == "factor: CTCF"
    )


def test_the_class_that_explains_then_the_annotation_then_the_largest_excess():
    def of(node, source, label, excess, explains):
        return (node, source, label, excess, 0.5 + excess / 2, explains)

    rows = [
        of(1, "genome", "soft_masked", 0.9, True),
        of(1, "bed", "SINE", 0.6, True),
        of(1, "bed", "LINE", 0.4, False),
        of(2, "genome", "soft_masked", 0.7, True),  # no class of the annotation explains it
        of(2, "bed", "LINE", 0.3, False),
        of(3, "genome", "soft_masked", 0.2, False),
        of(3, "bed", "LINE", 0.1, False),
        of(4, "genome", "soft_masked", 0.0, False),
        of(4, "bed", "LINE", 0.0, False),
    ]
    table = pd.DataFrame(rows, columns=["node", "source", "class", "excess_share", "share", "explains"])
    table = table.assign(kind="repeat", odds_ratio=2.0, q_value=0.01)
    for shuffle in range(3):
        found = strongest_classes(table.sample(frac=1, random_state=shuffle)).set_index("node")
        assert found["repeat_class"].fillna("-").to_dict() == {1: "SINE", 2: "soft_masked", 3: "LINE", 4: "-"}
        assert found["label"].fillna("-").to_dict() == {
            1: "repeat: SINE",
            2: "repeat: soft_masked",
            3: "-",
            4: "-",
        }
        assert found.loc[4, "soft_masked_share"] == 0.5


def test_one_seed_and_no_other_run_leave_their_columns_missing():
    alone = nodes_from(*six())
    for name in ("stability", "found_again", "coactivation_stability", "coactivation_null"):
        assert alone[name].isna().all()


def coactivation_rows(nodes: list[int], runs: dict[str, float]) -> pd.DataFrame:
    parts = [
        pd.DataFrame({"node": nodes}).assign(
            rank=range(1, len(nodes) + 1), other_run=run, bin_bp=20, jaccard=value, null_jaccard=value / 10
        )
        for run, value in runs.items()
    ]
    return fill(pd.concat(parts, ignore_index=True), "coactivation")


def test_coactivation_is_the_mean_over_the_other_runs():
    rows = coactivation_rows(NODES, {"a/s1": 0.6, "b/s0": 0.2})
    rows.loc[rows["node"] == 7, ["jaccard", "null_jaccard"]] = pd.NA
    table = nodes_from(*six(), coactivation=rows).set_index("node")
    assert table.loc[40, "coactivation_stability"] == pytest.approx(0.4)
    assert table.loc[40, "coactivation_null"] == pytest.approx(0.04)
    assert pd.isna(table.loc[7, "coactivation_stability"])
    with pytest.raises(ContractError, match=r"1 selected nodes are not in the coactivation table.*\[40\]"):
        nodes_from(*six(), coactivation=rows[rows["node"] != 40])


def test_specificity_is_joined_by_node():
    rows = specificity_rows(NODES[::-1], seqlets_with_motif=[0.1, 0.2, 0.3, 0.4], motif_f1=0.25)
    rows["strand_class"], rows["partner_node"] = "palindromic", rows["node"]
    rows["partner_mutual"], rows["hits_fired_chance"] = [True, False, True, True], [0.01, 0.02, 0.03, 0.04]
    table = nodes_from(*six(), repeat_rows(NODES), rows).set_index("node")
    assert table["seqlets_with_motif"].to_dict() == {99: 0.1, 12: 0.2, 7: 0.3, 40: 0.4}
    assert (table["partner_node"] == table.index).all()
    assert table["partner_mutual"].to_dict() == {99: True, 12: False, 7: True, 40: True}
    assert table["hits_fired_chance"].to_dict() == {99: 0.01, 12: 0.02, 7: 0.03, 40: 0.04}
    with pytest.raises(ContractError, match=r"1 selected nodes have no specificity.*\[40\]"):
        nodes_from(*six(), repeat_rows(NODES), rows[rows["node"] != 40])


def test_repeats_of_other_nodes_are_refused():
    with pytest.raises(ContractError, match=r"1 nodes of the repeats were not selected.*\[5\]"):
        nodes_from(*six(), repeat_rows([*NODES, 5]))


def call(monkeypatch, program, *words) -> None:
    monkeypatch.setattr(sys, "argv", [program.__name__, *map(str, words)])
    program.main()


def test_the_program_says_first_what_repeats_explain_and_what_it_compared_with(tmp_path, monkeypatch):
    run = make_run(tmp_path, n_nodes=8, recovery=False)
    nodes = read_table(run / "selected_nodes.tsv", "selected_nodes")["node"].tolist()
    write_table(repeat_rows(nodes, "SINE/Alu", (nodes[0],)), run / "repeats.tsv", "repeats")
    write_table(coactivation_rows(nodes, {"a/s1": 0.6}), run / "coactivation.tsv", "coactivation")
    given = ["--coactivation", run / "coactivation.tsv"]
    call(monkeypatch, summarise_nodes, "--run", run, *given, "--output", run / "nodes.tsv")
    settings = json.loads((run / "nodes.tsv.json").read_text())["settings"]
    assert (settings["stability"], settings["coactivation"]) == ("one seed", "coactivation.tsv")
    found = labels(read_table(run / "nodes.tsv", "nodes"))
    assert found[nodes[0]] == "repeat: SINE/Alu"
    assert found[nodes[1]].startswith("factor: ")


def test_a_run_without_any_kept_node_has_an_empty_table(tmp_path, monkeypatch):
    run = make_run(tmp_path, n_nodes=0, recovery=False)
    write_table(coactivation_rows([], {"a/s1": 0.6}), run / "coactivation.tsv", "coactivation")
    given = ["--coactivation", run / "coactivation.tsv"]
    call(monkeypatch, summarise_nodes, "--run", run, *given, "--output", run / "nodes.tsv")
    assert read_table(run / "nodes.tsv", "nodes").empty
