"""Neighbours of nodes, against all pairs computed one by one."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from biosae.atlas import neighbours
from biosae.atlas.neighbours import decoder_neighbours, locus_neighbours
from biosae.landscape.jaccard import jaccard_pairs


def slow(similarity: np.ndarray, most: int = 10) -> list[list[list]]:
    """The largest positive values of each row, ties to the lower column, by sorting all."""
    found = []
    for row, values in enumerate(similarity):
        pairs = [
            (-round(float(v), 5), c) for c, v in enumerate(values) if c != row and round(float(v), 5) > 0
        ]
        found.append([[c, -v] for v, c in sorted(pairs)[:most]])
    return found


def same(found, expected) -> None:
    assert [[column for column, _ in row] for row in found] == [
        [column for column, _ in row] for row in expected
    ]
    flat = [np.concatenate([[value for _, value in row] for row in rows]) for rows in (found, expected)]
    assert np.allclose(*flat, atol=1.1e-5)


@pytest.fixture(params=[2**23, 40])
def block(request, monkeypatch):
    """All rows at once, and one or two at a time."""
    monkeypatch.setattr(neighbours, "_BLOCK_VALUES", request.param)


def test_decoder_neighbours(block):
    rng = np.random.default_rng(0)
    directions = rng.normal(size=(37, 6))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    directions[5] = 0
    found = decoder_neighbours(directions.astype(np.float32))
    same(found, slow(directions @ directions.T))
    assert found[5] == []
    assert all(row != column for row, near in enumerate(found) for column, _ in near)


def test_locus_neighbours_are_cosine_and_the_jaccard_of_the_table(block):
    rng = np.random.default_rng(1)
    dense = (rng.random((30, 80)) < 0.2).astype(np.int32)
    dense[4] = 0
    coactivation, jaccard = locus_neighbours(sparse.csr_array(dense))
    shared = (dense @ dense.T).astype(float)
    size = dense.sum(axis=1)
    same(coactivation, slow(shared / np.maximum(np.sqrt(np.outer(size, size)), 1)))
    table, _ = jaccard_pairs(sparse.csr_array(dense), np.arange(30))
    of_table = np.zeros((30, 30))
    of_table[table["node_a"], table["node_b"]] = of_table[table["node_b"], table["node_a"]] = table["jaccard"]
    same(jaccard, slow(of_table))
    assert coactivation[4] == jaccard[4] == []


def test_equal_values_go_by_rank_and_no_more_than_ten():
    directions = np.tile(np.float32([1, 0]), (14, 1))
    found = decoder_neighbours(directions)
    assert [column for column, _ in found[3]] == [0, 1, 2, *range(4, 11)]
    assert [column for column, _ in found[13]] == list(range(10))
    almost = directions * (1 - np.float32(1e-7) * np.arange(14, dtype=np.float32)[:, None])
    assert decoder_neighbours(almost) == found, "the last bits of a product decide nothing"
    same_loci = sparse.csr_array(np.ones((14, 3), np.int32))
    for kind in locus_neighbours(same_loci):
        assert [[column for column, _ in near] for near in kind] == [[c for c, _ in near] for near in found]


@pytest.mark.parametrize("n", [0, 1])
def test_too_few_nodes_have_no_neighbours(n):
    assert decoder_neighbours(np.ones((n, 3), np.float32)) == [[]] * n
    assert locus_neighbours(sparse.csr_array((n, 5), dtype=np.int32)) == ([[]] * n, [[]] * n)


@pytest.mark.parametrize("n", [1, 3, 100, 4000])
def test_a_block_of_rows_has_room_whatever_the_number_of_nodes(n, monkeypatch):
    monkeypatch.setattr(neighbours, "_BLOCK_VALUES", 400)
    blocks = list(neighbours._blocks(n, "rows"))
    assert [row for block in blocks for row in range(n)[block]] == list(range(n))
    assert all(len(range(n)[block]) * n <= max(400, n) for block in blocks)
