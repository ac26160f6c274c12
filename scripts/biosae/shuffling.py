"""Shuffled batches of rows out of an activation store, at the speed of block reads.

A pass (epoch) over a store is planned as blocks of neighbouring rows in random order. A pool of
blocks is read, its rows are shuffled, and batches are cut from the stream of pools, so that rows
of one batch come from many places while the disk sees block reads only. The whole stream is a
function of (seed, epoch): a run that was killed resumes at any batch and sees the same rows.

Floor: each row is read once and copied twice (block -> pool in the stored type, pool -> batch).
Memory: pool_blocks x block_rows x channels in the stored type, plus one batch in float32.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from biosae.errors import ConfigError
from biosae.store_files import to_float32

if TYPE_CHECKING:
    from biosae.activations import ActivationStore


def shuffled_batches(
    store: ActivationStore,
    batch_rows: int,
    seed: int,
    epoch: int = 0,
    block_rows: int = 1024,
    pool_blocks: int = 64,
    start_batch: int = 0,
    shuffle: bool = True,
) -> Iterator[np.ndarray]:
    """Iterate over all rows of a store once, in batches.

    Args:
        store: the activations.
        batch_rows: rows a batch; only the last batch may have fewer.
        seed, epoch: fix the order of blocks and of rows within each pool.
        block_rows: rows read at once, neighbours in one sequence (shorter at a sequence's end).
        pool_blocks: blocks that are mixed with one another.
        start_batch: number of batches to leave out; what follows is the same as after running them.
            Pools that are not needed are not read.
        shuffle: False gives the rows in stream order, for validation.

    Yields:
        float32 (batch_rows, channels), a new array each time.
    """
    if min(batch_rows, block_rows, pool_blocks) < 1 or start_batch < 0:
        raise ConfigError(
            "Batches need batch_rows, block_rows, pool_blocks >= 1 and start_batch >= 0",
            got={"batch_rows": batch_rows, "block_rows": block_rows, "pool_blocks": pool_blocks},
        )
    plan = plan_blocks(store.n_sequences, store.positions, block_rows)
    if shuffle:
        plan = plan[np.random.Generator(np.random.PCG64([seed, epoch])).permutation(len(plan))]
    pools = _pools(store, plan, pool_blocks, (seed, epoch) if shuffle else None, start_batch * batch_rows)
    yield from _cut(pools, batch_rows, store.n_rows - start_batch * batch_rows, store.channels)


def plan_blocks(n_sequences: int, positions: int, block_rows: int) -> np.ndarray:
    """All blocks of a store in stream order: int64 (n, 3) of sequence, first position, rows."""
    first = np.arange(0, positions, block_rows)
    rows = np.minimum(block_rows, positions - first)
    sequence = np.repeat(np.arange(n_sequences), len(first))
    return np.column_stack([sequence, np.tile(first, n_sequences), np.tile(rows, n_sequences)])


def _pools(
    store: ActivationStore, plan: np.ndarray, pool_blocks: int, key: tuple[int, int] | None, skip_rows: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield (pool, order): rows in the stored type and the order to take them in, ``skip_rows`` left out."""
    buffer = None
    for number, low in enumerate(range(0, len(plan), pool_blocks)):
        blocks = plan[low : low + pool_blocks]
        n_rows = int(blocks[:, 2].sum())
        if skip_rows >= n_rows:
            skip_rows -= n_rows
            continue
        if buffer is None:
            largest = max(int(plan[i : i + pool_blocks, 2].sum()) for i in range(low, len(plan), pool_blocks))
            buffer = np.empty((largest, store.channels), store.dtype)
        ends = np.cumsum(blocks[:, 2])
        # blocks keep their place in the pool but are read in the order in which they lie on disk
        for i in np.lexsort((blocks[:, 1], blocks[:, 0])):
            sequence, position, rows = (int(value) for value in blocks[i])
            store.read_into(sequence, position, buffer[ends[i] - rows : ends[i]])
        order = np.arange(n_rows)
        if key is not None:
            # a pool's order depends on its number alone, so skipped pools need no random draws
            order = np.random.Generator(np.random.PCG64([*key, number])).permutation(n_rows)
        yield buffer[:n_rows], order[skip_rows:]
        skip_rows = 0


def _cut(
    pools: Iterator[tuple[np.ndarray, np.ndarray]], batch_rows: int, rows_left: int, channels: int
) -> Iterator[np.ndarray]:
    """Cut the stream of pools into batches; a batch may begin in one pool and end in the next."""
    batch, filled = None, 0
    for pool, order in pools:
        while len(order):
            if batch is None:
                batch = np.empty((min(batch_rows, rows_left), channels), np.float32)
                filled, rows_left = 0, rows_left - len(batch)
            taken = order[: len(batch) - filled]
            order = order[len(taken) :]
            to_float32(pool[taken], out=batch[filled : filled + len(taken)])
            filled += len(taken)
            if filled == len(batch):
                yield batch
                batch = None
