"""Jaccard similarity: symmetric, within [0, 1], equal to the definition over sets."""

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

import biosae.landscape.jaccard as module
from biosae.artefacts import check_table, read_table
from biosae.errors import ConfigError
from biosae.landscape.jaccard import jaccard_pairs
from biosae.landscape.loci import incidence
from unit.helpers_seqlets import write_seqlet_folder

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "compute_jaccard.py"


def matrix_of(sets: list[set[int]], n_loci: int = 12) -> sparse.csr_array:
    dense = np.array([[int(locus in s) for locus in range(n_loci)] for s in sets], dtype=np.int32)
    return sparse.csr_array(dense.reshape(len(sets), n_loci))


def slow_pairs(sets, nodes):
    rows = []
    for i, a in enumerate(sets):
        for j, b in enumerate(sets):
            if nodes[i] < nodes[j] and a & b:
                rows.append([nodes[i], nodes[j], len(a), len(b), len(a & b), len(a & b) / len(a | b)])
    return sorted(rows)


def test_literal():
    table, left_out = jaccard_pairs(matrix_of([{0, 1, 2}, {2, 3}, {5}, {0, 1, 2}]), np.array([9, 4, 1, 2]))
    assert table.to_numpy().tolist() == [[2, 4, 3, 2, 1, 0.25], [2, 9, 3, 3, 3, 1.0], [4, 9, 2, 3, 1, 0.25]]
    assert left_out == 0
    check_table(table, "jaccard")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sets(st.integers(0, 11), max_size=8), max_size=9), st.randoms(use_true_random=False))
def test_equals_slow_reference_in_any_order(sets, random):
    nodes = random.sample(range(50), len(sets))
    table, _ = jaccard_pairs(matrix_of(sets), np.array(nodes, dtype=np.int64))
    assert table.to_numpy().tolist() == slow_pairs(sets, nodes)
    assert table["jaccard"].between(0, 1).all()
    backwards, _ = jaccard_pairs(matrix_of(sets[::-1]), np.array(nodes[::-1], dtype=np.int64))
    pd.testing.assert_frame_equal(table, backwards)


def test_blocks_do_not_matter(monkeypatch):
    generator = np.random.default_rng(1)
    sets = [set(generator.integers(0, 12, 4).tolist()) for _ in range(30)]
    whole, _ = jaccard_pairs(matrix_of(sets), np.arange(30))
    monkeypatch.setattr(module, "_BLOCK", 7)
    blocks, _ = jaccard_pairs(matrix_of(sets), np.arange(30))
    pd.testing.assert_frame_equal(whole, blocks)


def test_records_are_never_counted_twice():
    """Trap: three windows of one node at one locus of another gave a Jaccard of 3.0."""
    rows = [("chr1", 100, 110, 0)] * 3 + [("chr1", 100, 110, 1)]
    seqlets = pd.DataFrame(rows, columns=["chrom", "start", "end", "row"])
    table, _ = jaccard_pairs(incidence(seqlets, 2), np.array([5, 6]))
    assert table[["n_a", "n_b", "n_shared", "jaccard"]].to_numpy().tolist() == [[1, 1, 1, 1.0]]


def test_threshold_counts_what_it_leaves_out():
    table, left_out = jaccard_pairs(matrix_of([{0, 1, 2}, {2, 3}, {0, 1, 2}]), np.arange(3), min_jaccard=0.5)
    assert (len(table), left_out) == (1, 2)


def test_nonsense_threshold():
    with pytest.raises(ConfigError, match="min_jaccard must lie between 0 and 1"):
        jaccard_pairs(matrix_of([{1}]), np.array([0]), min_jaccard=3.0)


@pytest.mark.parametrize("sites", [{}, {4: []}, {4: [("chr1", 5)]}])
def test_program_without_pairs(monkeypatch, tmp_path, sites):
    run = write_seqlet_folder(tmp_path / "run", sites)
    monkeypatch.setattr(sys, "argv", ["x", "--run", str(run), "--output", str(run / "jaccard.tsv")])
    runpy.run_path(str(SCRIPT), run_name="__main__")
    assert len(read_table(run / "jaccard.tsv", "jaccard")) == 0


def test_program(monkeypatch, tmp_path):
    sites = {4: [("chr1", 100), ("chr1", 200)], 9: [("chr1", 202), ("chr2", 200)], 2: [("chr2", 200)]}
    run = write_seqlet_folder(tmp_path / "run", sites)
    options = ["--run", str(run), "--output", str(run / "jaccard.tsv"), "--min-jaccard", "0.4"]
    monkeypatch.setattr(sys, "argv", ["x", *options])
    runpy.run_path(str(SCRIPT), run_name="__main__")
    table = read_table(run / "jaccard.tsv", "jaccard")
    assert table.to_numpy().tolist() == [[2, 9, 1, 2, 1, 0.5]]
    counts = json.loads((run / "jaccard.tsv.json").read_text())["counts"]
    assert counts == {"nodes": 3, "loci": 3, "pairs": 1, "pairs_left_out": 1}
