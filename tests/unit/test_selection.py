"""The compiled choice of nodes equals sorting everything, ties and all."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from biosae import selection_kernels as kernels
from biosae.errors import ConfigError
from biosae.model import build
from biosae.selection import Entries, chunk_rows, select_above, select_top
from biosae.sparse import batch_top_nodes, nodes_above, top_nodes


def slow_top(row: np.ndarray, k: int) -> list[tuple[int, float]]:
    """(node, value) of the k largest positive values, lower nodes first among equals, by node."""
    order = sorted((i for i in range(len(row)) if row[i] > 0), key=lambda i: (-row[i], i))
    return sorted((i, float(row[i])) for i in order[:k])


BOTH_WAYS = [kernels.top_few_rows, kernels.top_many_rows]


def chosen(values: np.ndarray, k: int, top_rows=kernels.top_rows) -> list[list[tuple[int, float]]]:
    """What ``top_rows`` picks of float32 rows."""
    m = len(values)
    nodes, out, counts = np.full((m, k), -1, np.int32), np.zeros((m, k), np.int32), np.zeros(m, np.int64)
    given = np.array(values)
    top_rows(given.view(np.int32), k, nodes, out, counts)
    np.testing.assert_array_equal(given, values)
    floats = out.view(np.float32)
    return [
        [(int(n), float(v)) for n, v in zip(nodes[r, : counts[r]], floats[r, : counts[r]], strict=True)]
        for r in range(m)
    ]


def test_literal_table_with_ties():
    rows = np.array(
        [[1, 3, 3, 2, 3], [-1, 0, -2, -0.0, -5], [5, -1, 5, 0.5, -7], [0.1, 0.2, 0.3, 0.4, 0.5]], np.float32
    )
    assert chosen(rows, 2) == [
        [(1, 3.0), (2, 3.0)],
        [],
        [(0, 5.0), (2, 5.0)],
        [(3, float(np.float32(0.4))), (4, 0.5)],
    ]


@pytest.mark.parametrize("top_rows", BOTH_WAYS)
@settings(max_examples=60, deadline=None)
@given(st.integers(1, 200), st.integers(1, 40), st.integers(0, 10**6), st.sampled_from([3, 50, 10**6]))
def test_top_rows_equals_sorting(top_rows, n, k, seed, levels):
    """Few levels make many ties; sizes around the kernel's block of 32 and beyond its groups."""
    k = min(k, n)
    values = np.random.default_rng(seed).integers(-levels, levels + 1, (3, n)).astype(np.float32) / 7
    assert chosen(values, k, top_rows) == [slow_top(row, k) for row in values]


@pytest.mark.parametrize("top_rows", BOTH_WAYS)
@pytest.mark.parametrize("n, k", [(5000, 64), (20000, 3), (700, 699), (700, 700), (33, 1)])
def test_top_rows_equals_torch_on_wide_rows(top_rows, n, k):
    values = np.random.default_rng(n).standard_normal((4, n)).astype(np.float32)
    expected = np.sort(torch.from_numpy(values).topk(k, dim=1).values.relu().numpy(), axis=1)
    for row, wanted in zip(chosen(values, k, top_rows), expected, strict=True):
        np.testing.assert_array_equal(sorted(value for _, value in row), wanted[wanted > 0])


@pytest.mark.parametrize("top_rows", BOTH_WAYS)
def test_bfloat16_bits_sort_like_their_values(top_rows):
    rows = torch.randn(5, 300, generator=torch.Generator().manual_seed(0)).bfloat16()
    nodes, out, counts = np.zeros((5, 7), np.int32), np.zeros((5, 7), np.int16), np.zeros(5, np.int64)
    top_rows(rows.view(torch.int16).numpy(), 7, nodes, out, counts)
    floats = rows.float().numpy()
    for r in range(5):
        assert list(nodes[r, : counts[r]]) == [node for node, _ in slow_top(floats[r], 7)]


def dense(pair: tuple[torch.Tensor, torch.Tensor], n: int) -> torch.Tensor:
    return torch.zeros(len(pair[0]), n).scatter_add(1, pair[1], pair[0])


@pytest.mark.parametrize("threads", [1, 2])
def test_compiled_and_plain_choices_are_the_same(threads, monkeypatch):
    monkeypatch.setattr("biosae.selection.chunk_rows", lambda *sizes: 16)
    generator = torch.Generator().manual_seed(3)
    inner, encoder = torch.randn(70, 12, generator=generator), torch.randn(50, 12, generator=generator)
    bias, before = torch.randn(50, generator=generator), torch.get_num_threads()
    pre = torch.addmm(bias, inner, encoder.t())
    try:
        torch.set_num_threads(threads)
        top = select_top(inner, encoder, bias, 4).padded(4)
        above = select_above(inner, encoder, bias, 2.5).padded()
    finally:
        torch.set_num_threads(before)
    torch.testing.assert_close(dense(top, 50), dense(top_nodes(pre, 4), 50))
    torch.testing.assert_close(dense(above, 50), dense(nodes_above(pre, 2.5), 50))
    assert int((dense(above, 50) > 0).sum()) > 0


def test_batch_choice_of_the_plain_path():
    pre = torch.tensor([[5.0, 4.0, -1.0], [3.0, 0.5, 0.2]])
    assert dense(batch_top_nodes(pre, 1), 3).tolist() == [[5, 4, 0], [0, 0, 0]]
    assert dense(batch_top_nodes(pre, 2), 3).tolist() == [[5, 4, 0], [3, 0.5, 0]]
    assert dense(batch_top_nodes(-pre.abs(), 1), 3).tolist() == [[0, 0, 0], [0, 0, 0]]
    tied = torch.tensor([[2.0, 2.0], [2.0, 1.0]])  # the border is 2: all of them stay
    assert dense(batch_top_nodes(tied, 1), 2).tolist() == [[2, 2], [2, 0]]


def test_entries_as_padded_and_as_coordinates():
    entries = Entries(
        begin=np.array([0, 3, 3]),
        end=np.array([2, 3, 5]),
        nodes=np.array([1, 4, 99, 0, 2], np.int32),
        values=np.array([0.5, 2, 99, 1, 0], np.float32),
    )
    values, indices = entries.padded()
    assert values.tolist() == [[0.5, 2], [0, 0], [1, 0]]
    assert indices[0].tolist() == [1, 4]
    rows, nodes, kept = entries.coordinates()
    assert (rows.tolist(), nodes.tolist(), kept.tolist()) == ([0, 0, 2], [1, 4, 0], [0.5, 2, 1])


def test_chunks_depend_on_sizes_alone_and_cover_small_models_at_once():
    assert chunk_rows(1024, 608, 4864) == 128
    assert chunk_rows(4096, 608, 4864) == 512
    assert chunk_rows(1024, 24, 72) >= 1024


@pytest.mark.parametrize("kind", ["topk", "batchtopk", "matryoshka", "relu"])
def test_encoding_is_the_same_by_both_paths(kind):
    """``encode_block`` (compiled) against ``encode`` with gradients on (plain)."""
    model = build(kind, 16, 40, 3, True, seed=2)
    if hasattr(model, "threshold"):
        model.threshold.fill_(0.8)
    rows = torch.randn(90, 16, generator=torch.Generator().manual_seed(4))
    values, indices = (part.detach() for part in model.encode(rows))
    block = model.encode_block(rows)
    compiled = torch.zeros(90, 40)
    compiled[block.rows, block.nodes] = torch.from_numpy(block.values)
    torch.testing.assert_close(compiled, dense((values, indices), 40))
    assert np.all(np.diff(block.rows) >= 0)
    assert len(block.values) > 90


def test_unknown_kind_is_refused():
    with pytest.raises(ConfigError, match="Unknown kind") as caught:
        build("gated", 8, 16, 2, False)
    assert "batchtopk" in str(caught.value)
