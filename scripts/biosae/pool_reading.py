"""Reading pools of blocks of an activation store ahead of their use, with bounded memory.

One background thread fills the buffer of the next pool while the last one is used; the blocks of a
pool are read by several threads, begun in the order in which they lie on disk (a cold disk answers
several requests at a time about twice as fast as one after the other).
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from biosae.activations import ActivationStore


@dataclass(frozen=True)
class Pool:
    """A plan of one pool.

    Attributes:
        blocks: int64 (n, 3): sequence, first position, rows. Blocks stand in the pool in this order.
        key: seed of the order in which the rows are used; None: as they stand.
        skip_rows: rows of that order to leave out.
    """

    blocks: np.ndarray
    key: tuple[int, ...] | None
    skip_rows: int

    @property
    def n_rows(self) -> int:
        """Rows of all blocks."""
        return int(self.blocks[:, 2].sum())

    def order(self) -> np.ndarray:
        """int64: rows of the pool in the order of their use."""
        if self.key is None:
            return np.arange(self.skip_rows, self.n_rows)
        return np.random.Generator(np.random.PCG64(list(self.key))).permutation(self.n_rows)[self.skip_rows :]


def read_pools(
    store: ActivationStore, pools: list[Pool], prefetch: int, readers: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield (rows in the stored type, order to use them in) of each pool, valid until the next.

    Args:
        store: the activations.
        pools: what to read.
        prefetch: pools read ahead in a background thread; 0: none.
        readers: threads a pool; only one where the HDF5 library reads, which serves one at a time.

    A fault is raised when its pool is due. Closing the iterator ends all threads.
    """
    if not pools:
        return
    shape = (max(pool.n_rows for pool in pools), store.channels)
    buffers = [np.empty(shape, store.raw_dtype) for _ in range(min(prefetch, len(pools) - 1) + 1)]
    ahead = len(buffers) - 1
    with ExitStack() as stack:
        loader = _Loader(store, readers if store.direct else 1, stack)
        background = stack.enter_context(ThreadPoolExecutor(1, "next-pool")) if ahead else None
        stack.callback(loader.stop)  # called first: whoever reads just now ends after its block
        waiting: deque[Future] = deque()
        for number in range(-ahead, len(pools)):
            # number is the pool that is due; the one ``ahead`` of it takes the buffer of the last
            if number + ahead < len(pools):
                job = (pools[number + ahead], buffers[(number + ahead) % len(buffers)])
                waiting.append(background.submit(loader.load, *job) if background else _done(loader, *job))
            if number >= 0:
                yield waiting.popleft().result()


class _Loader:
    """Fills buffers with pools; ends early once it is told to stop."""

    def __init__(self, store: ActivationStore, readers: int, stack: ExitStack) -> None:
        self._store, self._readers = store, readers
        self._threads = stack.enter_context(ThreadPoolExecutor(readers, "reader")) if readers > 1 else None
        self._stopped = threading.Event()

    def stop(self) -> None:
        """End every load that runs, after its present blocks."""
        self._stopped.set()

    def load(self, pool: Pool, buffer: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Read the blocks of ``pool`` into the first rows of ``buffer``."""
        ends = np.cumsum(pool.blocks[:, 2])
        # blocks keep their place in the pool but are read in the order in which they lie on disk
        disk_order = np.lexsort((pool.blocks[:, 1], pool.blocks[:, 0]))
        jobs = [(*map(int, pool.blocks[i]), int(ends[i])) for i in disk_order]
        if self._threads is None:
            self._read(iter(jobs), threading.Lock(), self._stopped, buffer)
        else:
            self._read_together(jobs, buffer)
        return buffer[: pool.n_rows], pool.order()

    def _read_together(self, jobs: list[tuple[int, int, int, int]], buffer: np.ndarray) -> None:
        waiting, lock = iter(jobs), threading.Lock()
        results = [
            self._threads.submit(self._read, waiting, lock, self._stopped, buffer)
            for _ in range(min(self._readers, len(jobs)))
        ]
        faults = [error for error in (result.exception() for result in results) if error is not None]
        if faults:
            raise faults[0]

    def _read(
        self, jobs: Iterator, lock: threading.Lock, stopped: threading.Event, buffer: np.ndarray
    ) -> None:
        while not stopped.is_set():
            with lock:
                job = next(jobs, None)
            if job is None:
                return
            sequence, position, rows, end = job
            self._store.read_into(sequence, position, buffer[end - rows : end])


def _done(loader: _Loader, pool: Pool, buffer: np.ndarray) -> Future:
    """A load without a background thread, in the form of one with it."""
    future: Future = Future()
    future.set_result(loader.load(pool, buffer))
    return future
