"""Loci: which node has a seqlet where."""

from __future__ import annotations

import gzip

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from biosae.errors import ContractError, InputError
from biosae.landscape.loci import incidence, read_nodes, read_seqlets
from unit.helpers_seqlets import write_seqlet_folder


def table(*rows: tuple[str, int, int], width: int = 10) -> pd.DataFrame:
    seqlets = pd.DataFrame(rows, columns=["chrom", "start", "row"])
    return seqlets.assign(end=seqlets["start"] + width)[["chrom", "start", "end", "row"]]


def test_incidence_literal():
    # centres at 105, 109, 110, 105 on chr2, 105: bins 10, 10, 11, chr2's 10, 10
    seqlets = table(("chr1", 100, 0), ("chr1", 104, 1), ("chr1", 105, 2), ("chr2", 100, 1), ("chr1", 100, 1))
    matrix = incidence(seqlets, 4)
    assert matrix.shape == (4, 3)
    assert matrix.toarray().tolist() == [[1, 0, 0], [1, 0, 1], [0, 1, 0], [0, 0, 0]]


def test_no_seqlets():
    assert incidence(table(), 3).shape == (3, 0)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 300)), min_size=1, max_size=40), st.integers(1, 40)
)
def test_seqlets_that_share_a_locus_overlap(places, width):
    seqlets = table(*[("chr1", start, row) for row, (_, start) in enumerate(places)], width=width)
    matrix = incidence(seqlets, len(places)).toarray()
    assert (matrix.sum(axis=1) == 1).all()
    start = seqlets["start"].to_numpy()
    shared = matrix @ matrix.T > 0
    assert (np.abs(start[:, None] - start[None])[shared] < width).all()
    assert shared[start[:, None] == start[None]].all()


def test_seqlets_of_one_node_that_do_not_overlap_have_a_locus_each():
    start = np.cumsum(np.random.default_rng(0).integers(7, 20, size=200))
    seqlets = table(*[("chr1", int(s), 0) for s in start], width=7)
    assert incidence(seqlets, 1).sum() == 200


def test_widths_must_agree():
    seqlets = pd.concat([table(("chr1", 5, 0)), table(("chr1", 50, 0), width=12)])
    with pytest.raises(ContractError, match=r"differ in width.*\[10, 12\]"):
        incidence(seqlets, 1)


def test_reads_a_run(tmp_path):
    run = write_seqlet_folder(tmp_path / "a run", {7: [("chr2", 5), ("chr1", 9)], 3: [("chr1", 9)], 5: []})
    nodes = read_nodes(run)
    assert nodes.to_numpy().tolist() == [[1, 7], [2, 3], [3, 5]]
    assert read_seqlets(run, nodes).to_numpy().tolist() == [
        ["chr1", 9, 19, 0],
        ["chr1", 9, 19, 1],
        ["chr2", 5, 15, 0],
    ]


def test_reads_a_run_without_nodes(tmp_path):
    run = write_seqlet_folder(tmp_path, {})
    nodes = read_nodes(run)
    assert len(nodes) == 0
    assert incidence(read_seqlets(run, nodes), 0).shape == (0, 0)


def test_bed_of_other_nodes_is_refused(tmp_path):
    run = write_seqlet_folder(tmp_path, {7: [("chr1", 9)]})
    nodes = read_nodes(run).assign(node=8)
    with pytest.raises(ContractError, match=r"other nodes than the manifest lists.*1_n7"):
        read_seqlets(run, nodes)


def test_missing_and_broken_bed(tmp_path):
    run = write_seqlet_folder(tmp_path, {7: [("chr1", 9)]})
    nodes = read_nodes(run)
    path = run / "seqlets" / "seqlets.bed.gz"
    path.write_bytes(gzip.compress(b"chr1\tnine\t19\t1_n7\n"))
    with pytest.raises(InputError, match=r"Cannot read the seqlets.*nine"):
        read_seqlets(run, nodes)
    path.unlink()
    with pytest.raises(InputError, match=r"Cannot read the seqlets.*seqlets\.bed\.gz"):
        read_seqlets(run, nodes)
