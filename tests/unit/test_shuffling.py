"""Shuffled batches: every row once, resumable anywhere, a function of seed and epoch alone."""

from __future__ import annotations

import re
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from biosae import pool_reading
from biosae.activations import ActivationStore, shuffled_batches
from biosae.errors import ConfigError, InputError
from unit.helpers_store import as_float32, random_arrays, rows_of, write_store


@pytest.fixture
def arrays() -> list[np.ndarray]:
    return random_arrays([2, 1, 3], positions=50, channels=6)


def all_batches(*arguments, **options) -> list[np.ndarray]:
    """Copies of all batches in float32: a batch is valid until the next one is asked for."""
    return [batch.float().numpy().copy() for batch in shuffled_batches(*arguments, **options)]


def numbered_store(folder: Path) -> ActivationStore:
    """250 rows of one channel, whose value is the number of the row, in two files."""
    if not folder.exists():
        numbers = np.arange(250, dtype=np.float32).reshape(5, 50, 1)
        write_store(folder, [numbers[:3], numbers[3:]])
    return ActivationStore.open(folder)


def slow_order(positions: list[int], seed: int, epoch: int, block_rows: int, pool_blocks: int) -> list[int]:
    """The order of rows by plain loops: shuffled blocks, shuffled rows in each pool of blocks."""
    blocks, first = [], 0
    for length in positions:
        rows = list(range(first, first + length))
        blocks += [rows[i : i + block_rows] for i in range(0, length, block_rows)]
        first += length
    shuffled = np.random.Generator(np.random.PCG64([seed, epoch])).permutation(len(blocks))
    order = []
    for number, low in enumerate(range(0, len(blocks), pool_blocks)):
        pool = [row for i in shuffled[low : low + pool_blocks] for row in blocks[i]]
        rng = np.random.Generator(np.random.PCG64([seed, epoch, number]))
        order += [pool[i] for i in rng.permutation(len(pool))]
    return order


@settings(max_examples=25, deadline=None)
@given(
    batch=st.integers(1, 120),
    block=st.integers(1, 60),
    pool=st.integers(1, 9),
    start=st.integers(0, 12),
    prefetch=st.integers(0, 3),
    readers=st.integers(1, 3),
)
def test_batches_hold_every_row_once_and_resume_anywhere(
    tmp_path_factory, batch, block, pool, start, prefetch, readers
):
    store = numbered_store(Path(tmp_path_factory.getbasetemp()) / "numbered")
    batches = all_batches(store, batch, seed=3, epoch=1, block_rows=block, pool_blocks=pool, prefetch_pools=0)
    assert [len(part) for part in batches] == [batch] * (250 // batch) + [250 % batch] * (250 % batch > 0)
    assert np.concatenate(batches)[:, 0].tolist() == slow_order([50] * 5, 3, 1, block, pool)
    resumed = all_batches(
        store, batch, 3, 1, block, pool, start_batch=start, prefetch_pools=prefetch, readers=readers
    )
    for left, right in zip(batches[start:], resumed, strict=True):
        np.testing.assert_array_equal(left, right)


def test_batches_depend_on_seed_and_epoch_and_mix_within_a_pool(tmp_path):
    store = ActivationStore.open(
        write_store(tmp_path / "s", [np.arange(400, dtype=np.float32).reshape(4, 100, 1)])
    )

    def order(**key) -> list[float]:
        batches = all_batches(store, 32, **key, block_rows=10, pool_blocks=8)
        return np.concatenate(batches)[:, 0].tolist()

    assert order(seed=0) == order(seed=0)
    assert order(seed=0) != order(seed=1) and order(seed=0) != order(seed=0, epoch=1)
    first_batch = order(seed=0)[:32]
    assert len({row // 10 for row in first_batch}) == 8  # rows of all blocks of the pool, not of four of them


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 6])  # rows of 2 to 12 bytes: every width of the gather
@pytest.mark.parametrize("dtype", [np.float16, np.uint16, np.float64])
def test_batches_are_in_the_stored_type(tmp_path, dtype, channels):
    arrays = random_arrays([3], channels=channels, dtype=dtype)
    store = ActivationStore.open(write_store(tmp_path / "s", arrays))
    batch = next(shuffled_batches(store, 1000, 0, 0, 7, 9))
    assert batch.dtype == {np.uint16: torch.bfloat16}.get(dtype, torch.from_numpy(np.zeros(1, dtype)).dtype)
    expected = np.concatenate([as_float32(array).reshape(-1, channels) for array in arrays])
    order = slow_order([50] * 3, 0, 0, 7, 9)
    batches = all_batches(store, 1000, 0, 0, 7, 9)
    np.testing.assert_array_equal(np.concatenate(batches), expected[order])


def test_batches_do_not_depend_on_how_the_file_is_chunked(tmp_path):
    arrays = random_arrays([2], dtype=np.float16)
    plain = ActivationStore.open(write_store(tmp_path / "a", arrays))
    chunked = ActivationStore.open(write_store(tmp_path / "b", arrays, chunks=(1, 7, 2), compression="gzip"))
    expected = all_batches(plain, 13, 0, 0, 5, 4)
    for left, right in zip(expected, all_batches(chunked, 13, 0, 0, 5, 4), strict=True):
        np.testing.assert_array_equal(left, right)


@pytest.mark.parametrize("prefetch", [0, 2])
def test_without_shuffling_batches_are_the_stream(tmp_path, arrays, prefetch):
    store = ActivationStore.open(write_store(tmp_path / "s", arrays))
    batches = all_batches(store, 64, 0, 0, 16, 3, shuffle=False, prefetch_pools=prefetch)
    np.testing.assert_array_equal(np.concatenate(batches), rows_of(arrays))


@pytest.mark.parametrize("world", [2, 3, 70])
def test_shares_of_a_batch_together_are_the_batch(tmp_path, arrays, world):
    store = ActivationStore.open(write_store(tmp_path / "s", arrays))
    whole = all_batches(store, 64, 5, 1, 16, 3)
    shares = [all_batches(store, 64, 5, 1, 16, 3, share=(rank, world)) for rank in range(world)]
    for number, batch in enumerate(whole):
        for rank in range(world):
            np.testing.assert_array_equal(shares[rank][number], batch[rank::world])


def test_resuming_reads_only_what_is_needed(tmp_path, monkeypatch):
    store = ActivationStore.open(write_store(tmp_path / "s", random_arrays([4], positions=100)))
    read = []
    original = ActivationStore.read_into
    monkeypatch.setattr(
        ActivationStore,
        "read_into",
        lambda self, s, p, raw: read.append(len(raw)) or original(self, s, p, raw),
    )
    all_batches(store, 50, 0, 0, block_rows=10, pool_blocks=10, start_batch=6)
    assert sum(read) == 100  # of 400: the fourth pool of a hundred rows


def test_no_more_than_the_pools_ahead_are_read_and_held(tmp_path, monkeypatch):
    store = ActivationStore.open(write_store(tmp_path / "s", random_arrays([8], positions=100)))
    read, buffers = [], []
    original, empty = ActivationStore.read_into, np.empty
    monkeypatch.setattr(
        ActivationStore,
        "read_into",
        lambda self, s, p, raw: read.append(len(raw)) or original(self, s, p, raw),
    )
    monkeypatch.setattr(pool_reading.np, "empty", lambda *a, **b: buffers.append(a[0]) or empty(*a, **b))
    batches = shuffled_batches(store, 50, 0, 0, block_rows=10, pool_blocks=10, prefetch_pools=1)
    next(batches)
    batches.close()  # waits for the background thread
    assert 100 <= sum(read) <= 200
    assert [shape for shape in buffers if shape == (100, 6)] == 2 * [(100, 6)]


def test_closing_ends_the_threads(tmp_path):
    before = set(threading.enumerate())
    store = ActivationStore.open(write_store(tmp_path / "s", random_arrays([8], positions=100)))
    batches = shuffled_batches(store, 5, 0, 0, block_rows=10, pool_blocks=10, prefetch_pools=2)
    next(batches)
    assert set(threading.enumerate()) - before
    batches.close()
    assert not set(threading.enumerate()) - before
    without = shuffled_batches(store, 5, 0, 0, 10, 10, prefetch_pools=0, readers=1)
    next(without)
    assert not set(threading.enumerate()) - before
    without.close()


@pytest.mark.parametrize("prefetch", [0, 1, 3])
@pytest.mark.parametrize("readers", [1, 4])
def test_file_truncated_in_mid_epoch_is_named_when_its_rows_are_due(tmp_path, prefetch, readers):
    store = ActivationStore.open(write_store(tmp_path / "s", random_arrays([10, 10], positions=100)))
    batches = shuffled_batches(
        store, 100, 0, 0, 10, 10, shuffle=False, prefetch_pools=prefetch, readers=readers
    )
    assert len(next(batches)) == 100
    path = store.files[1]
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(InputError, match=r"truncated.*activations_1\.h5, dataset '/x', row \d"):
        for _ in batches:
            pass
    assert not [thread for thread in threading.enumerate() if thread.name.startswith(("next-pool", "reader"))]


def test_fault_stands_where_it_would_without_reading_ahead(tmp_path):
    arrays = random_arrays([10], positions=100)
    arrays[0][7, 50, 2] = np.nan
    store = ActivationStore.open(write_store(tmp_path / "s", arrays))
    for prefetch in (0, 1, 5):
        seen = 0
        with pytest.raises(InputError, match="row 7, position 50, channel 2"):
            for batch in shuffled_batches(store, 50, 0, 0, 10, 10, shuffle=False, prefetch_pools=prefetch):
                seen += len(batch)
        assert seen == 700


@pytest.mark.parametrize(
    "fault",
    [
        {"batch_rows": 0},
        {"readers": 0},
        {"share": (2, 2)},
        {"prefetch_pools": -1},
        {"seed": -1},
        {"epoch": -1},
    ],
)
@pytest.mark.parametrize("shuffle", [True, False])
def test_impossible_batches_are_refused(tmp_path, arrays, fault, shuffle):
    store = ActivationStore.open(write_store(tmp_path / "s", arrays))
    (name, value), *_ = fault.items()
    with pytest.raises(ConfigError, match=rf"{name}.*Got:.*'{name}': {re.escape(str(value))}"):
        next(shuffled_batches(store, **{"batch_rows": 5, "seed": 0, "shuffle": shuffle, **fault}))
