"""Reading ahead: order, errors, an end without a thread left behind, and no more than it may hold."""

from __future__ import annotations

import threading
import time

import pytest

from biosae.reading_ahead import read_ahead


def reading_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "read-ahead"]


@pytest.mark.parametrize("ahead", [1, 2, 50])
def test_all_items_in_order(ahead):
    assert list(read_ahead(range(20), ahead)) == list(range(20))
    assert list(read_ahead([], ahead)) == [] and not reading_threads()


def test_an_error_comes_after_the_items_before_it():
    def items():
        yield 1
        yield 2
        raise OSError("disk gone")

    got = []
    with pytest.raises(OSError, match="disk gone"):
        got.extend(read_ahead(items()))
    assert not reading_threads()

    source, seen = read_ahead(items(), 5), []
    with pytest.raises(OSError, match="disk gone"):
        for item in source:
            seen.append(item)
    assert seen == [1, 2]


def test_at_most_ahead_items_wait():
    made = []

    def items():
        for i in range(100):
            made.append(i)
            yield i

    source = read_ahead(items(), ahead=3)
    assert next(source) == 0
    deadline = time.monotonic() + 5
    while len(made) < 5 and time.monotonic() < deadline:
        time.sleep(0.01)  # until it has made what it may: one in use, three waiting, one in hand
    time.sleep(0.1)
    assert len(made) == 5
    source.close()
    assert not reading_threads() and len(made) == 5
