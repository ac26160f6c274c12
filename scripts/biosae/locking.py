"""One process a folder: a lock that goes with the process that holds it.

The lock is ``flock`` on FOLDER/.lock: the kernel drops it when its process ends, however that
happens, so that ``kill -9`` leaves a file but no lock. On NFS it holds between machines where the
server runs a lock daemon (Linux takes flock for a byte-range lock there); mounted with ``nolock``,
or on a filesystem without locks, it cannot: a warning says so, and nothing guards the folder.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from biosae.errors import InputError

LOCK = ".lock"
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
_log = logging.getLogger(__name__)


@contextmanager
def locked(folder: str | Path) -> Iterator[None]:
    """Hold ``folder`` (made if missing) for this process.

    Raises:
        InputError: another process holds it (names the folder and that process), or it cannot be written.
    """
    path = Path(folder) / LOCK
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = _take(path)
    except OSError as error:
        raise InputError(
            "Cannot write an output folder", where=folder, got=error, mend="give a folder that you may write"
        ) from error
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        handle.close()


def _take(path: Path) -> IO[str]:
    while True:
        handle = path.open("a+")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.seek(0)
            holder = handle.read().strip() or "a process that has not said who it is"
            handle.close()
            raise InputError(
                "Another process is writing this folder",
                where=path.parent,
                got=holder,
                mend="wait until it has ended, or end it; a lock never outlives its process",
            ) from None
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            _log.warning("%s: this filesystem has no locks; do not write it from two processes", path.parent)
        if _is_there(path, handle):
            break
        handle.close()  # its last holder deleted the file between our open and our lock
    handle.truncate(0)
    handle.write(f"process {os.getpid()} on {socket.gethostname()}")
    handle.flush()
    return handle


def _is_there(path: Path, handle: IO[str]) -> bool:
    """Whether ``handle`` is still the file that ``path`` names."""
    try:
        return os.path.samestat(path.stat(), os.fstat(handle.fileno()))
    except FileNotFoundError:
        return False


def is_running(process: int) -> bool:
    """Whether a process of this number runs on this machine."""
    try:
        os.kill(process, 0)  # signal 0 only asks
    except ProcessLookupError:
        return False
    except OSError:
        return True  # of another user
    return True
