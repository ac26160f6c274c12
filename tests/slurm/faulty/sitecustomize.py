"""What a laid fault does to the program that takes it, once. Python reads this module as it starts.

A fault is a file ``$FAULTS/{program}`` that holds one of

    hold N          say so in ``{program}.held``, and wait before the N-th file is given its final name
    allocate MB     take so much memory, and keep it for a minute
    sleep SECONDS   do nothing for so long before the program starts
    late SECONDS    the program runs; what it wrote is seen only later, as on a slow shared file system
"""

import atexit
import os
import subprocess
import sys
import time


def _name() -> str:
    return os.path.splitext(os.path.basename(sys.orig_argv[1]))[0]


def _taken() -> tuple[str, float] | None:
    """The fault laid for this program, taken away so that it happens once."""
    path = os.path.join(os.environ["FAULTS"], _name())
    try:
        os.rename(path, f"{path}.taken")
    except FileNotFoundError:
        return None  # another process of the same program was first
    with open(f"{path}.taken") as lines:
        kind, number = lines.read().split()
    return kind, float(number)


def _held(stop_before: int, path: str) -> None:
    """Before the ``stop_before``-th rename write this process's number to ``path``, and wait to be killed."""
    rename, seen = os.replace, []

    def replace(source, target, **words):
        seen.append(target)
        if len(seen) == stop_before:
            with open(f"{path}.part", "w") as mark:
                mark.write(f"{os.getpid()}\n")
            rename(f"{path}.part", path)
            while not os.path.exists(f"{path[: -len('.held')]}.go"):
                time.sleep(0.05)
        rename(source, target, **words)

    os.replace = replace


def _late(seconds: float) -> None:
    """Hide what is renamed into place when the program ends, and bring it back later."""
    rename, written = os.replace, []

    def replace(source, target, **words):
        rename(source, target, **words)
        written.append(os.path.abspath(target))

    def hide():
        names = [name for name in dict.fromkeys(written) if os.path.exists(name)]
        for name in names:
            rename(name, f"{name}.unseen")
        command = 'sleep "$1"; shift; for name; do mv "$name.unseen" "$name"; done'
        subprocess.Popen(["sh", "-c", command, "sh", str(seconds), *names], start_new_session=True)

    os.replace = replace
    atexit.register(hide)


def _do(kind: str, number: float) -> None:
    if kind == "hold":
        _held(int(number), os.path.join(os.environ["FAULTS"], _name() + ".held"))
    elif kind == "late":
        _late(number)
    elif kind == "sleep":
        time.sleep(number)
    elif kind == "allocate":
        block = bytearray(int(number) << 20)
        block[:: 1 << 12] = b"x" * len(block[:: 1 << 12])  # touched, or it would not count
        time.sleep(60)
    else:
        raise ValueError(f"no such fault: {kind}")


if fault := _taken():
    _do(*fault)
