"""Atomic writes and provenance: what every stage relies on."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from biosae import artefacts
from biosae.errors import InputError

SCRIPTS = Path(artefacts.__file__).parents[1]

# --- atomic files ---------------------------------------------------------------------------------


def test_atomic_path_makes_parents_and_leaves_only_the_file(tmp_path):
    path = tmp_path / "a b" / "it's.txt"
    with artefacts.atomic_path(path) as part:
        part.write_text("whole")
        assert not path.exists()
        assert part.parent == path.parent  # a rename is atomic within one file system only
    assert path.read_text() == "whole"
    assert list(path.parent.iterdir()) == [path]


def test_a_writer_that_raises_leaves_the_old_file_and_no_litter(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError, match="disk full"), artefacts.atomic_path(path) as part:
        part.write_text("ha")
        raise RuntimeError("disk full")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def killed(code: str) -> int:
    program = f"import os, signal\nfrom biosae import artefacts\n{code}"
    environment = {**os.environ, "PYTHONPATH": str(SCRIPTS)}
    return subprocess.run([sys.executable, "-c", program], env=environment, check=False).returncode


def test_a_writer_killed_half_way_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    code = f"""
with artefacts.atomic_path({str(path)!r}) as part:
    part.write_text("ha")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    assert killed(code) == -signal.SIGKILL
    assert path.read_text() == "old"
    artefacts.write_text(path, "new")
    assert path.read_text() == "new"


def test_a_folder_killed_half_way_does_not_exist(tmp_path):
    path = tmp_path / "folder"
    code = f"""
with artefacts.atomic_directory({str(path)!r}) as part:
    (part / "1.txt").write_text("one")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    assert killed(code) == -signal.SIGKILL
    assert not path.exists()
    (left,) = tmp_path.iterdir()
    assert [part.name for part in left.iterdir()] == ["1.txt"]
    elsewhere = left.with_name(left.name.replace(socket.gethostname(), "another-machine"))
    shutil.copytree(left, elsewhere)
    with artefacts.atomic_directory(path):
        assert not left.exists()  # what the dead process left
        with artefacts.atomic_directory(path):  # a second writer leaves the first one's alone
            assert len([part for part in tmp_path.iterdir() if part.name != elsewhere.name]) == 2
    assert sorted(tmp_path.iterdir()) == sorted([path, elsewhere])


@pytest.mark.parametrize("at", [1, 2])
def test_killed_while_it_replaces_no_half_folder_stands(tmp_path, at):
    """A folder that is half removed could pass for a whole one, where another file says what it is."""
    path = tmp_path / "folder"
    path.mkdir()
    (path / "old.txt").touch()
    code = f"""
calls, original = [], os.replace
def replace(*names):
    calls.append(names)
    if len(calls) == {at}:
        os.kill(os.getpid(), signal.SIGKILL)
    original(*names)
os.replace = replace
with artefacts.atomic_directory({str(path)!r}) as part:
    (part / "new.txt").touch()
"""
    assert killed(code) == -signal.SIGKILL
    assert ([p.name for p in path.iterdir()] == ["old.txt"]) if at == 1 else not path.exists()
    with artefacts.atomic_directory(path) as part:
        (part / "new.txt").touch()
    assert [p.name for p in path.iterdir()] == ["new.txt"]
    assert list(tmp_path.iterdir()) == [path]


def test_atomic_directory_replaces_the_old_folder_whole(tmp_path):
    path = tmp_path / "folder"
    for name in ("old.txt", "new.txt"):
        with artefacts.atomic_directory(path) as part:
            (part / name).write_text(name)
    assert [p.name for p in path.iterdir()] == ["new.txt"]
    assert list(tmp_path.iterdir()) == [path]


def test_atomic_directory_that_raises_keeps_the_old_folder(tmp_path):
    path = tmp_path / "folder"
    with artefacts.atomic_directory(path) as part:
        (part / "old.txt").touch()
    with pytest.raises(ValueError, match="stop"), artefacts.atomic_directory(path) as part:
        (part / "new.txt").touch()
        raise ValueError("stop")
    assert [p.name for p in path.iterdir()] == ["old.txt"]
    assert list(tmp_path.iterdir()) == [path]


def test_atomic_directory_is_readable_by_others(tmp_path):
    with artefacts.atomic_directory(tmp_path / "folder"):
        pass
    assert (tmp_path / "folder").stat().st_mode & 0o777 == 0o755


def test_gzip_holds_no_time_stamp_and_no_name(tmp_path):
    artefacts.write_text(tmp_path / "a.bed.gz", "chr1\t0\t5\n")
    artefacts.write_text(tmp_path / "b.bed.gz", "chr1\t0\t5\n")
    first, second = ((tmp_path / name).read_bytes() for name in ("a.bed.gz", "b.bed.gz"))
    assert first == second
    assert first[4:8] == b"\0\0\0\0"
    assert gzip.decompress(first) == b"chr1\t0\t5\n"


def test_json_is_sorted_plain_and_refuses_nan(tmp_path):
    path = tmp_path / "a.json"
    artefacts.write_json(
        path, {"b": np.float64(0.5), "a": np.arange(2), "c": Path("x/y"), "d": np.bool_(True)}
    )
    assert path.read_text().index('"a"') < path.read_text().index('"b"')
    assert json.loads(path.read_text()) == {"a": [0, 1], "b": 0.5, "c": "x/y", "d": True}
    with pytest.raises(ValueError, match="JSON compliant"):
        artefacts.write_json(path, {"a": float("nan")})
    assert json.loads(path.read_text())["b"] == 0.5  # the refused write left the old file


# --- provenance -----------------------------------------------------------------------------------


def test_provenance_holds_no_path_and_no_time_and_is_the_same_twice(tmp_path):
    source = tmp_path / "in.txt"
    source.write_text("abc")
    first = artefacts.provenance("do.py", {"n": np.int64(3), "path": Path("a")}, [source], seed=1)
    os.utime(source, (1, 1))
    assert first == artefacts.provenance("do.py", {"n": np.int64(3), "path": Path("a")}, [source], seed=1)
    assert str(tmp_path) not in json.dumps(first)
    assert first["settings"] == {"n": 3, "path": "a"}
    assert first["inputs"] == [
        {
            "name": "in.txt",
            "bytes": 3,
            "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        }
    ]


def test_a_large_file_is_fingerprinted_by_size_and_both_ends(tmp_path, monkeypatch):
    monkeypatch.setattr(artefacts, "_WHOLE_FILE_BYTES", 8)
    monkeypatch.setattr(artefacts, "_END_BYTES", 2)
    path = tmp_path / "big"

    def digest(content: bytes) -> dict:
        path.write_bytes(content)
        return artefacts.fingerprint(path)

    whole = digest(b"ab......yz")
    assert whole["bytes"] == 10
    assert digest(b"ab..XX..yz") == whole  # the middle is not read: this is what the docstring promises
    assert digest(b"aX......yz") != whole
    assert digest(b"ab......yX") != whole
    assert digest(b"ab.....yz") != whole


def test_a_missing_input_is_named(tmp_path):
    with pytest.raises(InputError, match=r"A file is missing.*gone\.h5"):
        artefacts.fingerprint(tmp_path / "gone.h5")
