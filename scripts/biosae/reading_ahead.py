"""Read the next items in a thread while this one is used."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")
_POLL_SECONDS = 0.05  # how soon the thread sees that nobody listens any more


class _End:
    """The last thing in the queue: how the reading ended."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


def read_ahead(items: Iterable[Item], ahead: int = 2) -> Iterator[Item]:
    """Yield ``items`` in order; a thread makes them, at most ``ahead`` of them wait.

    An error of ``items`` is raised here after the items before it. Closing this generator ends the
    thread. Each item must stay valid when the next is made (no reused buffer).
    """
    waiting: queue.Queue = queue.Queue(maxsize=ahead)
    stop = threading.Event()
    thread = threading.Thread(target=_fill, args=(items, waiting, stop), daemon=True, name="read-ahead")
    thread.start()
    try:
        while not isinstance(item := waiting.get(), _End):
            yield item
        if item.error is not None:
            raise item.error
    finally:
        stop.set()
        thread.join()


def _fill(items: Iterable, waiting: queue.Queue, stop: threading.Event) -> None:
    error = None
    try:
        for item in items:
            if not _put(waiting, item, stop):
                return
    except BaseException as raised:
        error = raised
    _put(waiting, _End(error), stop)


def _put(waiting: queue.Queue, item: object, stop: threading.Event) -> bool:
    while not stop.is_set():
        try:
            waiting.put(item, timeout=_POLL_SECONDS)
            return True
        except queue.Full:
            continue
    return False
