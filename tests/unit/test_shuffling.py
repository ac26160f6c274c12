"""Shuffled batches: every row once, resumable anywhere, a function of seed and epoch alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from biosae.activations import ActivationStore, shuffled_batches
from biosae.errors import ConfigError
from unit.helpers_store import random_arrays, write_store


@pytest.fixture
def arrays() -> list[np.ndarray]:
    return random_arrays([2, 1, 3], positions=50, channels=6)


def rows_of(arrays: list[np.ndarray]) -> np.ndarray:
    """The stream that a store of ``arrays`` must give, by the obvious way."""
    return np.concatenate([array.reshape(-1, array.shape[2]) for array in arrays]).astype(np.float32)


@settings(max_examples=25, deadline=None)
@given(
    batch=st.integers(1, 120),
    block=st.integers(1, 60),
    pool=st.integers(1, 9),
    start=st.integers(0, 12),
)
def test_batches_hold_every_row_once_and_resume_anywhere(tmp_path_factory, batch, block, pool, start):
    folder = Path(tmp_path_factory.getbasetemp()) / "numbered"
    arrays = [
        np.arange(150, dtype=np.float32).reshape(3, 50, 1),
        np.arange(150, 250, dtype=np.float32).reshape(2, 50, 1),
    ]
    if not folder.exists():
        write_store(folder, arrays)
    store = ActivationStore.open(folder)
    batches = list(shuffled_batches(store, batch, seed=3, epoch=1, block_rows=block, pool_blocks=pool))
    assert [len(part) for part in batches] == [batch] * (250 // batch) + [250 % batch] * (250 % batch > 0)
    assert sorted(np.concatenate(batches)[:, 0].tolist()) == list(range(250))
    resumed = shuffled_batches(store, batch, 3, 1, block, pool, start_batch=start)
    for left, right in zip(batches[start:], resumed, strict=True):
        np.testing.assert_array_equal(left, right)


def test_batches_depend_on_seed_and_epoch_and_mix_within_a_pool(tmp_path):
    store = ActivationStore.open(
        write_store(tmp_path / "s", [np.arange(400, dtype=np.float32).reshape(4, 100, 1)])
    )

    def order(**key) -> list[float]:
        return np.concatenate(list(shuffled_batches(store, 32, **key, block_rows=10, pool_blocks=8)))[
            :, 0
        ].tolist()

    assert order(seed=0) == order(seed=0)
    assert order(seed=0) != order(seed=1) and order(seed=0) != order(seed=0, epoch=1)
    first_batch = order(seed=0)[:32]
    assert len({row // 10 for row in first_batch}) == 8  # rows of all blocks of the pool, not of four of them


def test_batches_do_not_depend_on_how_the_file_is_chunked(tmp_path):
    arrays = random_arrays([2], dtype=np.float16)
    plain = ActivationStore.open(write_store(tmp_path / "a", arrays))
    chunked = ActivationStore.open(write_store(tmp_path / "b", arrays, chunks=(1, 7, 2), compression="gzip"))
    for left, right in zip(
        shuffled_batches(plain, 13, 0, 0, 5, 4), shuffled_batches(chunked, 13, 0, 0, 5, 4), strict=True
    ):
        np.testing.assert_array_equal(left, right)


def test_without_shuffling_batches_are_the_stream(tmp_path, arrays):
    store = ActivationStore.open(write_store(tmp_path / "s", arrays))
    batches = list(shuffled_batches(store, 64, 0, 0, 16, 3, shuffle=False))
    np.testing.assert_array_equal(np.concatenate(batches), rows_of(arrays))


def test_resuming_reads_only_what_is_needed(tmp_path, monkeypatch):
    store = ActivationStore.open(write_store(tmp_path / "s", random_arrays([4], positions=100)))
    read = []
    original = ActivationStore.read_into
    monkeypatch.setattr(
        ActivationStore,
        "read_into",
        lambda self, s, p, raw: read.append(len(raw)) or original(self, s, p, raw),
    )
    list(shuffled_batches(store, 50, 0, 0, block_rows=10, pool_blocks=10, start_batch=6))
    assert sum(read) == 100  # of 400: the fourth pool of a hundred rows


def test_impossible_batches_are_refused(tmp_path, arrays):
    store = ActivationStore.open(write_store(tmp_path / "s", arrays))
    with pytest.raises(ConfigError, match="batch_rows"):
        next(shuffled_batches(store, 0, 0))
