"""A folder is written by one process at a time; a lock that has ended stands in nobody's way."""

from __future__ import annotations

import errno
import fcntl
import os

import pytest

from biosae.errors import InputError
from biosae.locking import LOCK, locked


def test_a_held_folder_is_refused_and_a_released_one_is_not(tmp_path):
    run = tmp_path / "new" / "run"
    with locked(run):
        with (
            pytest.raises(InputError, match=rf"Where: {run}. Got: process {os.getpid()} on .*wait until"),
            locked(run),
        ):
            pass
        with locked(tmp_path / "other"):
            pass
        assert (run / LOCK).exists()
    assert list(run.iterdir()) == []
    with locked(run):
        pass


def test_a_left_over_file_is_no_lock(tmp_path):
    (tmp_path / LOCK).write_text("process 1 on elsewhere")
    with locked(tmp_path):
        assert (tmp_path / LOCK).read_text().startswith(f"process {os.getpid()} on ")


def test_the_file_may_go_between_opening_and_locking(tmp_path, monkeypatch):
    """The holder deletes the file when it ends: a lock on what is no longer there would guard nothing."""
    original, calls = fcntl.flock, []

    def late(handle, how):
        calls.append(how)
        if len(calls) == 1:
            (tmp_path / LOCK).unlink()
        original(handle, how)

    monkeypatch.setattr(fcntl, "flock", late)
    with locked(tmp_path):
        assert len(calls) == 2
        with pytest.raises(InputError, match="Another process"), locked(tmp_path):
            pass


def test_a_filesystem_without_locks_is_said(tmp_path, monkeypatch, caplog):
    def unsupported(_handle, _how):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    with locked(tmp_path):
        assert "this filesystem has no locks" in caplog.text


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "a file").write_text("")
    with (
        pytest.raises(InputError, match="Cannot write an output folder") as caught,
        locked(tmp_path / "a file"),
    ):
        pass
    assert "a file" in str(caught.value)
