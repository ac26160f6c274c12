"""Compiled loops of the examples, and which rows are read: against plain integers and by counting."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from biosae.activations import ActivationStore
from biosae.examples_kernels import GROUPS, UNUSED, best_place, draw, mix, pick_apart, serve, warm_up
from biosae.examples_rows import Asked, needed_rows, read_blocks
from biosae.examples_top import PLACE
from biosae.geometry import Layer
from unit.helpers_examples import slow_mix
from unit.helpers_store import random_arrays, write_store
from unit.test_examples import toy

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "collect_examples.py"


def test_the_keys_of_a_draw_are_those_of_plain_integers():
    for value in (0, 1, 12345, 2**63 + 5, 2**64 - 1):
        assert int(mix(np.uint64(value))) == slow_mix(value)


def test_draws_are_even():
    """Of 1,000 active positions each is drawn as often as any other, over 400 nodes."""
    n, nodes, slots = 1000, 400, 50
    keys, held = np.full((nodes, GROUPS, slots), UNUSED), np.zeros((nodes, GROUPS, slots), np.int32)
    kept = keys, held, np.zeros(held.shape, np.float32), np.zeros((nodes, GROUPS), np.int64)
    salts = np.array([mix(np.uint64(node)) for node in range(nodes)], np.uint64)
    positions, places = (part.ravel().astype(np.int32) for part in np.mgrid[:n, :nodes])
    values = np.full(len(places), 0.1, np.float32)
    draw(positions, places, values, np.arange(n), np.ones(n, bool), salts, np.ones(nodes), *kept)
    counts = np.bincount(held[:, GROUPS - 1].ravel(), minlength=n)
    assert counts.sum() == nodes * slots and (kept[3][:, [2, 3]] == n).all() and (kept[3][:, :2] == 0).all()
    # 20 a position are expected; chi-square of 999 degrees of freedom, five standard deviations
    expected = nodes * slots / n
    assert abs(((counts - expected) ** 2 / (expected * (1 - slots / n))).sum() - (n - 1)) < 5 * np.sqrt(2 * n)


def test_windows_that_touch_do_not_overlap():
    picked = np.empty(3, np.int64)
    chrom, start = np.array([0, 0, 1, 0, 0]), np.array([10, 13, 13, 14, 6])
    assert pick_apart(chrom, start, 4, 3, picked) == (3, 1)
    assert picked.tolist() == [0, 2, 3]


def test_each_needed_row_is_read_once_and_none_beside(tmp_path):
    layer = Layer("toy", "", 2, 4, 7, 11)
    store = ActivationStore.open(write_store(tmp_path, random_arrays([3, 2], positions=40, channels=2)))
    places = np.zeros(8, PLACE)
    # the last of sequence 1 and its neighbour; of sequence 3 two that share a row, and one that touches
    places["sequence"], places["position"] = [1, 0, 0, 4, 1, 3, 3, 3], [39, 0, 39, 20, 38, 10, 14, 19]
    asked = Asked.of(places, layer, 40, 18)
    # position p asks for those whose strides meet bases [4p - 7, 4p + 11)
    assert asked.first.tolist() == [37, 0, 37, 18, 36, 8, 12, 17]
    assert asked.count.tolist() == [3, 3, 3, 5, 4, 5, 5, 5]
    pieces = needed_rows(asked, 40)
    rows = np.concatenate([np.arange(r, r + n) for r, n in zip(pieces.row, pieces.length, strict=True)])
    third = list(range(128, 142))
    assert rows.tolist() == [0, 1, 2, 37, 38, 39, 76, 77, 78, 79, *third, 178, 179, 180, 181, 182]
    assert pieces.ordinals.tolist() == [7, 0, 3, 24, 6, 10, 14, 19] and pieces.n_rows == 29
    blocks = np.concatenate(list(read_blocks(store, pieces)))
    np.testing.assert_array_equal(blocks, np.concatenate([store.read(int(row), 1) for row in rows]))


def test_warm_up_compiles_all_that_a_run_needs(tmp_path):
    warm_up()
    kernels = [draw, mix, pick_apart, best_place, serve]
    known = [len(kernel.signatures) for kernel in kernels]
    toy(tmp_path, "topk").collect()
    assert [len(kernel.signatures) for kernel in kernels] == known
