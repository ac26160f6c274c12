"""Node selection: both documented rules, ranks, counts of what was dropped, the empty selection."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from biosae import artefacts
from biosae.errors import ConfigError
from biosae.nodes import select_nodes

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


def table_of(rows: list[tuple]) -> pd.DataFrame:
    """Statistics with (num_nonzero, mean, above half of mean, above half of max) given per node."""
    stats = pd.DataFrame(
        rows, columns=["num_nonzero", "mean_act", "acts_above_node_half", "acts_above_node_half_max"]
    )
    stats["node_id"] = range(len(stats))
    for name in artefacts.load_schema("node_stats")["properties"]:
        if name not in stats:
            stats[name] = 0
    stats["histogram"] = ",".join(["0"] * 32)
    return stats[list(artefacts.load_schema("node_stats")["properties"])]


STATS = table_of(
    [
        (1000, 1.0, 900, 200),  # 0: on both borders
        (999, 9.0, 900, 900),  # 1: one too few
        (2000, 3.0, 199, 100),  # 2: too few strong ones
        (2000, 5.0, 800, 150),  # 3
        (2000, 5.0, 800, 300),  # 4: a tie with 3
        (0, 0.0, 0, 0),  # 5: dead
    ]
)


def test_both_rules_and_ranks_by_mean():
    selection = select_nodes(STATS, 1000, 200, "mean")
    assert selection.table["node"].tolist() == [3, 4, 0]
    assert selection.table["rank"].tolist() == [1, 2, 3]
    assert selection.counts == {
        "nodes": 6, "never_active": 1, "dropped_by_min_nonzero": 2, "dropped_by_min_above_half": 1,
        "dropped_by_max_nodes": 0, "selected": 3,
    }  # fmt: skip


def test_half_of_the_maximum_is_the_other_rule():
    assert select_nodes(STATS, 1000, 200, "max").table["node"].tolist() == [4, 0]


def test_second_rule_is_not_left_out():
    """Published trap: the code has the second rule commented out; node 2 would pass."""
    assert 2 not in select_nodes(STATS).table["node"].tolist()
    assert 2 in select_nodes(STATS, min_above_half=0).table["node"].tolist()


def test_ceiling_keeps_the_strongest_and_counts_the_others():
    selection = select_nodes(STATS, 1000, 200, "mean", max_nodes=1)
    assert selection.table["node"].tolist() == [3]
    assert selection.counts["dropped_by_max_nodes"] == 2 and selection.counts["selected"] == 1


def test_dead_nodes_never_pass():
    assert 5 not in select_nodes(STATS, 0, 0).table["node"].tolist()


def test_order_of_rows_does_not_matter():
    shuffled = STATS.sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(select_nodes(shuffled).table, select_nodes(STATS).table)


def test_empty_selection_is_a_valid_table_and_a_warning_with_counts(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        selection = select_nodes(STATS, min_nonzero=5000)
    artefacts.write_table(selection.table, tmp_path / "selected_nodes.tsv", "selected_nodes")
    read = artefacts.read_table(tmp_path / "selected_nodes.tsv", "selected_nodes")
    assert len(read) == 0 and list(read)[:3] == ["rank", "node", "num_nonzero"]
    assert "no node passes" in caplog.text and "'dropped_by_min_nonzero': 6" in caplog.text
    assert "highest num_nonzero is 2000" in caplog.text


def test_nonsense_is_refused():
    with pytest.raises(ConfigError, match="median"):
        select_nodes(STATS, above_half_of="median")
    with pytest.raises(ConfigError, match="-1"):
        select_nodes(STATS, min_nonzero=-1)


def test_program_writes_table_and_counts(tmp_path):
    artefacts.write_table(STATS, tmp_path / "node_stats.tsv", "node_stats")
    command = [sys.executable, SCRIPTS / "select_nodes.py", "--node-stats", tmp_path / "node_stats.tsv"]
    done = subprocess.run(
        [*command, "--output", tmp_path / "out.tsv", "--max-nodes", "2"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert artefacts.read_table(tmp_path / "out.tsv", "selected_nodes")["node"].tolist() == [3, 4]
    made_by = json.loads((tmp_path / "out.tsv.json").read_text())
    assert made_by["counts"]["dropped_by_max_nodes"] == 1 and made_by["settings"]["min_nonzero"] == 1000
    assert str(tmp_path) not in json.dumps(made_by)
    empty = subprocess.run(
        [*command, "--output", tmp_path / "none.tsv", "--min-nonzero", "9999"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert empty.returncode == 0 and "no node passes" in empty.stderr
    assert (tmp_path / "none.tsv").read_text().startswith("rank\tnode\t")
