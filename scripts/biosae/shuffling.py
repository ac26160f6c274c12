"""Shuffled batches of rows out of an activation store, at the speed of block reads.

A pass (epoch) over a store is planned as blocks of neighbouring rows in random order. A pool of
blocks is read, its rows are shuffled, and batches are cut from the stream of pools, so that rows
of one batch come from many places while the disk sees block reads only. The whole stream is a
function of (seed, epoch): a run that was killed resumes at any batch and sees the same rows. A
background thread reads the next pool while this one is used (``biosae.pool_reading``); neither the pools
read ahead nor the threads that read (several where files are contiguous) change what is given.

A batch's memory is used again: it is valid until the next batch is asked for; with ``pin_memory``
(page-locked memory, if there is a GPU) until two more were asked for.

Floor: each row is read once and copied twice (file -> pool -> batch), in the stored type; its only
conversion to float32 is the consumer's. Rows are gathered as 64-bit integers where their length
allows: that is three times faster than indexing numbers of 16 bits. Memory: (1 + prefetch_pools) x
pool_blocks x block_rows rows, plus one batch (three when pinned).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np

from biosae.errors import ConfigError
from biosae.pool_reading import Pool, read_pools

if TYPE_CHECKING:
    import torch

    from biosae.activations import ActivationStore

_PINNED_BATCHES = 3  # the one just given and two before it, whose copies to a GPU may still run


def shuffled_batches(
    store: ActivationStore,
    batch_rows: int,
    seed: int,
    epoch: int = 0,
    block_rows: int = 1024,
    pool_blocks: int = 64,
    start_batch: int = 0,
    shuffle: bool = True,
    *,
    prefetch_pools: int = 1,
    readers: int = 4,
    pin_memory: bool = False,
    share: tuple[int, int] = (0, 1),
) -> Iterator[torch.Tensor]:
    """Yield all rows of a store once: tensors (rows, channels) in the stored type, see the module.

    Args:
        batch_rows: rows a batch; only the last one may have fewer.
        block_rows, pool_blocks: neighbouring rows read at once; blocks mixed with one another.
        start_batch: batches to leave out, unread; what follows is the same. Without shuffle: stream order.
        prefetch_pools, readers: pools read ahead by a thread (0: none); threads that read a pool.
        share: (rank, world): give rows rank, rank + world, ... of every batch only, which may be none.

    Raises:
        InputError: a file cannot be read or holds NaN or infinity; when the batch is due that needs it.
        ConfigError: a number out of range.
    """
    rows = {"batch_rows": batch_rows, "block_rows": block_rows, "pool_blocks": pool_blocks}
    at_least_zero = {
        "seed": seed,
        "epoch": epoch,
        "start_batch": start_batch,
        "prefetch_pools": prefetch_pools,
    }
    _check(rows | {"readers": readers}, at_least_zero, share)
    key, skipped = (seed, epoch) if shuffle else None, start_batch * batch_rows
    pools = plan_pools(_ordered_blocks(store, block_rows, key), pool_blocks, key, skipped)
    with closing(read_pools(store, pools, prefetch_pools, readers)) as reading:
        yield from _cut(reading, store, batch_rows, skipped, share, pin_memory)


def _check(at_least_one: dict, at_least_zero: dict, share: tuple[int, int]) -> None:
    if min(at_least_one.values()) < 1 or min(at_least_zero.values()) < 0 or not 0 <= share[0] < share[1]:
        raise ConfigError(
            f"Batches need {', '.join(at_least_one)} >= 1, {', '.join(at_least_zero)} >= 0 and a share "
            "(rank, world) with 0 <= rank < world",
            got=at_least_one | at_least_zero | {"share": share},
        )


def _ordered_blocks(store: ActivationStore, block_rows: int, key: tuple[int, int] | None) -> np.ndarray:
    """``plan_blocks`` in random order; in stream order if ``key`` is None."""
    plan = plan_blocks(store.n_sequences, store.positions, block_rows)
    if key is None:
        return plan
    return plan[np.random.Generator(np.random.PCG64(list(key))).permutation(len(plan))]


def plan_blocks(n_sequences: int, positions: int, block_rows: int) -> np.ndarray:
    """All blocks of a store in stream order: int64 (n, 3) of sequence, first position, rows."""
    first = np.arange(0, positions, block_rows)
    rows = np.minimum(block_rows, positions - first)
    sequence = np.repeat(np.arange(n_sequences), len(first))
    return np.column_stack([sequence, np.tile(first, n_sequences), np.tile(rows, n_sequences)])


def plan_pools(plan: np.ndarray, pool_blocks: int, key: tuple[int, int] | None, skip_rows: int) -> list[Pool]:
    """The pools of a plan in order, without those whose rows are all among the ``skip_rows`` first."""
    pools = []
    for number, low in enumerate(range(0, len(plan), pool_blocks)):
        blocks = plan[low : low + pool_blocks]
        n_rows = int(blocks[:, 2].sum())
        if skip_rows < n_rows:
            # a pool's order depends on its number alone, so skipped pools need no random draws
            pools.append(Pool(blocks, None if key is None else (*key, number), skip_rows))
        skip_rows = max(skip_rows - n_rows, 0)
    return pools


def gather_view(rows: torch.Tensor) -> torch.Tensor:
    """``rows`` (n, bytes) of uint8 as the widest integers that fill a row: (n, fewer) of int64, 32, 16."""
    import torch

    widths = {8: torch.int64, 4: torch.int32, 2: torch.int16}
    return rows.view(next(kind for width, kind in widths.items() if rows.shape[1] % width == 0))


class _Batches:
    """Buffers of batches, used in turn, filled by gathering rows of pools."""

    def __init__(
        self, batch_rows: int, store: ActivationStore, share: tuple[int, int], pin_memory: bool
    ) -> None:
        import torch

        self._rank, self._world = share
        pin = pin_memory and torch.cuda.is_available()
        shape = (-(-batch_rows // self._world), store.row_bytes)
        buffers = [
            torch.empty(shape, dtype=torch.uint8, pin_memory=pin)
            for _ in range(_PINNED_BATCHES if pin else 1)
        ]
        self._given = [buffer.view(getattr(torch, store.dtype)) for buffer in buffers]
        self._gathered = [gather_view(buffer) for buffer in buffers]
        self._turn = -1
        self.filled = 0

    def begin(self) -> None:
        """Turn to the next buffer."""
        self._turn = (self._turn + 1) % len(self._given)
        self.filled = self._own = 0

    def add(self, pool: torch.Tensor, order: np.ndarray) -> None:
        """Add this process's share of the rows ``order`` of ``pool`` (a ``gather_view``) to the batch."""
        import torch

        mine = torch.from_numpy(order[(self._rank - self.filled) % self._world :: self._world])
        out = self._gathered[self._turn][self._own : self._own + len(mine)]
        torch.index_select(pool, 0, mine.contiguous(), out=out)
        self.filled += len(order)
        self._own += len(mine)

    def finished(self) -> torch.Tensor:
        """The batch."""
        return self._given[self._turn][: self._own]


def _cut(
    pools: Iterator[tuple[np.ndarray, np.ndarray]],
    store: ActivationStore,
    batch_rows: int,
    skipped: int,
    share: tuple[int, int],
    pin_memory: bool,
) -> Iterator[torch.Tensor]:
    """Cut the stream of pools into batches; a batch may begin in one pool and end in the next."""
    import torch

    rows_left = max(store.n_rows - skipped, 0)
    batches = _Batches(min(batch_rows, rows_left), store, share, pin_memory)
    size = 0
    for raw, order in pools:
        pool = gather_view(torch.from_numpy(raw.view(np.uint8)))
        while len(order):
            if not size:
                size = min(batch_rows, rows_left)
                batches.begin()
            taken = order[: size - batches.filled]
            order = order[len(taken) :]
            batches.add(pool, taken)
            if batches.filled == size:
                rows_left -= size
                size = 0
                yield batches.finished()
