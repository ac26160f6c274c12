"""Row-wise work spread over threads, with results that do not depend on how many threads there are.

Work is cut into chunks of rows whose size depends on the work alone; every chunk is done by one
thread, and what chunks return comes back in their order. So the same chunk is the same arithmetic
whether one thread does all or eight share them. What runs must release the interpreter lock most of
the time, as PyTorch's operators and the project's compiled kernels do.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

import torch

T = TypeVar("T")


@cache
def _executor(threads: int) -> ThreadPoolExecutor:
    """A pool of ``threads`` workers, each of which runs PyTorch's operators on one thread."""
    started = threading.Barrier(threads + 1)

    def begin() -> None:
        torch.get_num_threads()  # a thread's first look sets its own number, and must come before ours
        torch.set_num_threads(1)
        started.wait()

    pool = ThreadPoolExecutor(threads, thread_name_prefix="rows")
    for _ in range(threads):
        pool.submit(begin)
    started.wait()
    torch.set_num_threads(threads)  # this thread keeps its number: the call above was seen by all
    return pool


def chunks(n_rows: int, chunk_rows: int) -> list[tuple[int, int]]:
    """Half-open row ranges of at most ``chunk_rows`` that cover ``n_rows``."""
    return [(low, min(low + chunk_rows, n_rows)) for low in range(0, n_rows, chunk_rows)]


def run_chunks(function: Callable[[int, int], T], ranges: Sequence[tuple[int, int]]) -> list[T]:
    """``function(low, high)`` of every range, on as many threads as PyTorch is set to; in order.

    The first exception that a range raises is raised here, after all ranges have ended.
    """
    threads = torch.get_num_threads()
    if threads == 1 or len(ranges) < 2:
        torch.set_num_threads(1)  # as in a worker: a product on two threads has other last bits
        try:
            return [function(low, high) for low, high in ranges]
        finally:
            torch.set_num_threads(threads)
    jobs = [_executor(threads).submit(function, low, high) for low, high in ranges]
    for job in jobs:
        job.exception()  # wait for all: none may go on writing into buffers that the caller reuses
    return [job.result() for job in jobs]
