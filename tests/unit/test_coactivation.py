"""Nodes of other runs at the same places: the same run is found whole, a shuffled one at chance."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.optimize import linear_sum_assignment

from biosae.artefacts import check_table, read_table
from biosae.coactivation import (
    FiringPlaces,
    coactivation_table,
    inside,
    jaccard,
    match_similar,
    shuffled,
)
from biosae.errors import ConfigError, InputError
from biosae.geometry import Layer
from unit.helpers_seqlets import TINY, write_run, write_seqlet_folder

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "compare_layers.py"
N_BP = 40_000


def run_of(name: str, starts: list, width: int = 20, stored=((0, N_BP),), layer: str = "a") -> FiringPlaces:
    """A run whose node 10 i + 1 fires at ``starts[i]``."""
    nodes = pd.DataFrame(
        {"rank": range(1, len(starts) + 1), "node": [10 * i + 1 for i in range(len(starts))]}
    )
    rows = [("chr1", int(s), int(s) + width, row) for row, places in enumerate(starts) for s in places]
    seqlets = pd.DataFrame(rows, columns=["chrom", "start", "end", "row"])
    intervals = pd.DataFrame([("chr1", *span) for span in stored], columns=["chrom", "start", "end"])
    return FiringPlaces(f"{layer}/{name}", layer, nodes.astype("int64"), seqlets, intervals)


def random_starts(n_nodes: int, n_each: int, seed: int, width: int = 20) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.permutation(N_BP // width)[:n_each] * width for _ in range(n_nodes)]


def table_of(*runs, permutations=5, max_dense=100, seed=0) -> pd.DataFrame:
    table = coactivation_table(list(runs), permutations, max_dense, seed)
    check_table(table, "coactivation")
    return table


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 1000))
def test_jaccard_equals_that_of_sets(n, m, seed):
    rng = np.random.default_rng(seed)
    first, second = rng.random((n, 12)) < 0.3, rng.random((m, 12)) < 0.3
    found = jaccard(sparse.csr_array(first.astype(np.int32)), sparse.csr_array(second.astype(np.int32)))
    for i, j in np.ndindex(n, m):
        either = (first[i] | second[j]).sum()
        expected = (first[i] & second[j]).sum() / either if either else 0.0
        assert found.toarray()[i, j] == pytest.approx(expected)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 1000), st.sampled_from([1, 2, 100]))
def test_a_matching_is_one_to_one_and_the_best_where_it_is_dense(n, m, seed, max_dense):
    rng = np.random.default_rng(seed)
    values = rng.random((n, m)) * (rng.random((n, m)) < 0.5)
    partner = match_similar(sparse.csr_array(values), max_dense)
    rows = np.flatnonzero(partner >= 0)
    assert len(set(partner[rows])) == len(rows)
    assert (values[rows, partner[rows]] > 0).all()
    total, best = (
        values[rows, partner[rows]].sum(),
        values[linear_sum_assignment(values, maximize=True)].sum(),
    )
    if max_dense == 100:
        assert total == pytest.approx(best)
    else:  # pairs that are each other's best: at least half of the best sum
        assert total >= best / 2 - 1e-12
        if max_dense == 1 and values.any():  # the largest of all is always such a pair
            i, j = np.unravel_index(values.argmax(), values.shape)
            assert partner[i] == j


def test_shuffling_keeps_the_sizes_of_nodes_and_loci():
    rng = np.random.default_rng(0)
    places = sparse.csr_array((rng.random((6, 400)) < 0.05).astype(np.int32))
    null = shuffled(places, rng)
    assert null.shape == places.shape
    lost = places.sum() - null.sum()  # loci that a node was given twice
    assert 0 <= lost < 0.1 * places.sum()
    assert (places.sum(axis=0) - null.sum(axis=0) >= 0).all()
    assert (places.sum(axis=1) - null.sum(axis=1) >= 0).all()
    assert (null != places).nnz > places.sum()


def test_the_same_places_are_found_whole_under_other_numbers():
    starts = random_starts(8, 60, 0)
    table = table_of(run_of("s0", starts), run_of("s1", starts[::-1]))
    assert table["matched_node"].tolist() == [10 * i + 1 for i in range(8)][::-1]
    assert table["jaccard"].tolist() == [1.0] * 8
    assert (table["null_jaccard"] < 0.2).all()
    assert table["p_value"].tolist() == [1 / (1 + 5 * 8)] * 8
    assert (table["q_value"] < 0.05).all()


def test_a_partner_whose_places_are_random_gives_chance():
    table = table_of(
        run_of("s0", random_starts(30, 80, 0)), run_of("s1", random_starts(30, 80, 1)), permutations=10
    )
    assert table["jaccard"].mean() == pytest.approx(table["null_jaccard"].mean(), rel=0.15)
    assert (table["q_value"] < 0.05).sum() <= 1
    assert 0.3 < table["p_value"].mean() < 0.7


def test_busy_loci_that_all_nodes_share_are_chance():
    def busy(seed):
        rng = np.random.default_rng(seed)
        return [rng.permutation(60)[:30] * 20 for _ in range(20)]

    table = table_of(run_of("s0", busy(0)), run_of("s1", busy(1)), permutations=10)
    assert table["jaccard"].mean() > 0.3  # half of the same 60 loci
    assert (table["q_value"] < 0.05).sum() <= 1


def test_layers_with_windows_of_different_width_share_bins_of_the_wider():
    starts = random_starts(6, 50, 0, width=40)
    narrow = run_of("s0", [places + 8 for places in starts], width=24, layer="early")
    wide = run_of("s0", starts[::-1], width=40, layer="late")
    for first, second in ((narrow, wide), (wide, narrow)):
        table = table_of(first, second)
        assert table["bin_bp"].unique().tolist() == [40]
        assert table["matched_node"].tolist() == [10 * i + 1 for i in range(6)][::-1]
        assert table["jaccard"].tolist() == [1.0] * 6
    assert table_of(narrow, wide)["other_run"].unique().tolist() == ["late/s0"]


def test_only_what_both_runs_saw_is_compared():
    starts = random_starts(5, 60, 0)
    half = [places[places + 10 < N_BP // 2] for places in starts]
    table = table_of(
        run_of("s0", starts), run_of("s1", half, stored=((0, N_BP // 4), (N_BP // 4, N_BP // 2)))
    )
    assert table["jaccard"].tolist() == [1.0] * 5
    assert table["n_loci"].tolist() == [len(places) for places in half]


def test_a_centre_on_the_border_belongs_to_the_interval_that_begins_there():
    seqlets = pd.DataFrame({"chrom": ["c", "c", "c", "d"], "start": [0, 10, 20, 10]}).assign(
        end=lambda t: t.start + 20
    )
    stored = pd.DataFrame({"chrom": ["c", "c"], "start": [0, 20], "end": [10, 30]})
    assert inside(seqlets, stored).tolist() == [False, True, False, False]


def test_nodes_without_a_partner_or_a_locus_say_so():
    starts = random_starts(4, 40, 0)
    table = table_of(run_of("s0", [*starts, []]), run_of("s1", starts[:2]))
    assert table["jaccard"].tolist()[:2] == [1.0, 1.0]
    assert table["matched_node"].isna().tolist() == [False, False, True, True, True]
    assert table["jaccard"].tolist()[2:4] == [0.0, 0.0]
    assert table.loc[4, ["jaccard", "p_value", "q_value"]].isna().all()
    empty = table_of(run_of("s0", starts), run_of("s1", []))
    assert (empty["jaccard"] == 0).all()
    assert (empty["p_value"] == 1).all()
    assert table_of(run_of("s0", []), run_of("s1", starts)).empty


def test_a_null_does_not_depend_on_the_other_runs():
    own, one, two = (run_of(f"s{seed}", random_starts(6, 40, seed)) for seed in range(3))
    alone = table_of(own, two).drop(columns="q_value")
    beside = table_of(own, two, one)
    beside = beside[beside["other_run"] == "a/s2"].reset_index(drop=True).drop(columns="q_value")
    pd.testing.assert_frame_equal(alone, beside)


def test_bad_comparisons_are_refused():
    run = run_of("s0", random_starts(3, 10, 0))
    with pytest.raises(ConfigError, match=r"same layer and name.*a/s0.*other_runs"):
        table_of(run, run)
    with pytest.raises(ConfigError, match=r"needs another run, a permutation"):
        table_of(run, run_of("s1", []), permutations=0)
    with pytest.raises(ConfigError, match=r"needs another run"):
        table_of(run)
    foreign = run_of("s1", random_starts(3, 10, 0))
    foreign = FiringPlaces("b/s1", "b", foreign.nodes, foreign.seqlets, foreign.stored.assign(chrom="1"))
    with pytest.raises(InputError, match=r"no chromosome in common.*\['1'\].*\['chr1'\].*same assembly"):
        table_of(run, foreign)


# ---- the program ----


def call(monkeypatch, *words) -> None:
    monkeypatch.setattr(sys, "argv", ["compare_layers.py", *map(str, words)])
    runpy.run_path(str(SCRIPT), run_name="__main__")


def folder_of(path: Path, starts: list[np.ndarray], layer: Layer = TINY) -> Path:
    """A finished run as far as it is read; its sequences reach 200 bp beyond the listed interval."""
    write_run(path, [], [], [["chr1", 0, N_BP, 200, N_BP - 200]], layer)
    sites = {node: [("chr1", int(s)) for s in places] for node, places in enumerate(starts)}
    return write_seqlet_folder(path, sites, layer.window_bp)


def test_the_program_compares_layers_and_writes_the_same_bytes_twice(tmp_path, monkeypatch):
    starts = random_starts(4, 30, 0)
    wide = Layer("wide", "", 2, 8, 3, 17)
    own = folder_of(tmp_path / "tiny" / "s0", [places + 5 for places in starts])
    other = folder_of(tmp_path / "wide" / "s0", starts, wide)
    texts = []
    for _ in range(2):
        call(monkeypatch, "--run", own, "--others", other, "--output", own / "coactivation.tsv")
        texts.append([(own / name).read_text() for name in ("coactivation.tsv", "coactivation.tsv.json")])
    assert texts[0] == texts[1]
    table = read_table(own / "coactivation.tsv", "coactivation")
    assert table["matched_node"].tolist() == [0, 1, 2, 3]
    assert table["jaccard"].tolist() == [1.0] * 4  # also of what lies in the pads
    assert json.loads(texts[0][1])["settings"]["runs"] == ["tiny/s0", "wide/s0"]


def test_runs_without_any_kept_node_pass(tmp_path, monkeypatch):
    full = folder_of(tmp_path / "tiny" / "s0", random_starts(3, 20, 0))
    empty = folder_of(tmp_path / "tiny" / "s1", [])
    for own, other, rows in ((full, empty, 3), (empty, full, 0)):
        call(monkeypatch, "--run", own, "--others", other, "--output", own / "coactivation.tsv")
        assert len(read_table(own / "coactivation.tsv", "coactivation")) == rows


def test_a_folder_that_is_no_run_exits_with_its_reason(tmp_path, monkeypatch, capsys):
    own = folder_of(tmp_path / "tiny" / "s0", random_starts(3, 20, 0))
    (tmp_path / "none").mkdir()
    with pytest.raises(SystemExit) as stop:
        call(monkeypatch, "--run", own, "--others", tmp_path / "none", "--output", own / "coactivation.tsv")
    assert stop.value.code == 2
    assert "top_activations.parquet" in capsys.readouterr().err
