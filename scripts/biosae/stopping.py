"""A polite end: SIGTERM and SIGINT ask a loop to save what it has and stop.

SLURM sends SIGTERM when the time limit is reached and SIGKILL some seconds later (``KillWait``).
"""

from __future__ import annotations

import signal
import threading
from types import FrameType

_ASKED_BY = (signal.SIGTERM, signal.SIGINT)


class StopRequest:
    """A context in which the first signal is noted in ``name``; a second one ends the process as ever.

    Attributes:
        name: of the signal that came, None before; poll it.
    """

    def __init__(self) -> None:
        self.name: str | None = None
        self._before: dict = {}

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():  # only there may handlers be set
            self._before = {number: signal.signal(number, self._note) for number in _ASKED_BY}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self.name = signal.Signals(number).name
        self.__exit__()
