"""Stability across seeds on its way into nodes.tsv and summary.tsv."""

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
from biosae.artefacts import read_table, write_table
from biosae.errors import ContractError, InputError
from biosae.scoreboard.labels import stability_text
from biosae.summary import build_summary


def call(monkeypatch, program, *arguments) -> None:
    monkeypatch.setattr(sys, "argv", [program.__name__, *map(str, arguments)])
    program.main()


def stability_rows(nodes: list[int], **columns) -> pd.DataFrame:
    """Rows of stability.tsv over two siblings."""
    table = pd.DataFrame({"node": nodes, "dead": False, "siblings": 2}).assign(**columns)
    return fill(table, "stability")


def test_stability_is_joined_by_node_and_missing_with_one_seed():
    nodes, motifs = [40, 7], motif_rows([])
    tables = [selected(nodes), manifest(nodes), motifs, match_rows([]), calibration_rows(nodes)]
    tables.append(cluster_rows(motifs))
    rows = stability_rows([3, 7, 40], stability=[0.1, 0.2, 0.9], found_again=[0, 0.5, 1])
    table = nodes_from(*tables, stability=rows)
    assert table["stability"].tolist() == [0.9, 0.2]
    assert table["found_again"].tolist() == [1.0, 0.5]
    alone = nodes_from(*tables)
    assert alone["stability"].isna().all()
    assert alone["found_again"].isna().all()
    with pytest.raises(ContractError, match=r"1 selected nodes are not in the stability table.*\[40\]"):
        nodes_from(*tables, stability=rows[:2])


def test_stability_goes_through_both_programs(tmp_path, monkeypatch):
    run = make_run(tmp_path, n_nodes=3)
    nodes = read_table(run / "selected_nodes.tsv", "selected_nodes")["node"].tolist()
    rows = stability_rows(list(range(12)), stability=0.8, found_again=0.75, null_stability=0.3)
    rows.loc[rows["node"] == nodes[0], "stability"] = 0.4
    write_table(rows, run / "stability.tsv", "stability")
    given = ["--stability", run / "stability.tsv"]
    call(monkeypatch, summarise_nodes, "--run", run, *given, "--output", run / "nodes.tsv")
    assert read_table(run / "nodes.tsv", "nodes")["stability"].tolist() == [0.4, 0.8, 0.8]
    assert json.loads((run / "nodes.tsv.json").read_text())["settings"]["stability"] == "stability.tsv"
    alone = make_run(tmp_path / "b", n_nodes=3)
    call(monkeypatch, summarise_nodes, "--run", alone, "--output", alone / "nodes.tsv")
    assert json.loads((alone / "nodes.tsv.json").read_text())["settings"]["stability"] == "one seed"
    summaries = []
    for folder, more in ((run, given), (alone, [])):
        scoreboard = write_empty_scoreboard(folder)
        words = ("--runs", folder, *more, "--scoreboard", scoreboard, "--output", folder)
        call(monkeypatch, summarise_runs, *words)
        summaries.append(read_table(folder / "summary.tsv", "summary"))
    names = ["siblings", "stability", "found_again", "null_stability"]
    assert summaries[0][names].iloc[0].tolist() == [2, 0.8, 0.75, 0.3]
    assert summaries[1][names].iloc[0].isna().all()
    words = [stability_text(summary.iloc[0]) for summary in summaries]
    assert words == ["0.80 (chance 0.30)", "one seed"]
    with pytest.raises(InputError, match=r"lies in none of the run folders"):
        build_summary([alone], [run / "stability.tsv"])
