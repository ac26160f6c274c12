"""What the tests of formats, matching and programs share: recorded data, stand-ins for the MEME Suite."""

from __future__ import annotations

import runpy
import stat
import sys
from pathlib import Path

import pytest

DATA = Path(__file__).resolve().parents[1] / "data" / "meme_suite_5.5.8"
SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
MEME_TEXT = DATA / "meme" / "3_n127" / "meme.txt"
STREME_TEXT = DATA / "streme" / "3_n127" / "streme.txt"
DATABASE = DATA / "database_30.meme"


def stand_in(folder: Path, name: str, body: str, version: str = "5.5.8") -> Path:
    """An executable Python script ``name``; ``body`` sees ``args`` and ``out``, and writes what it would."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(
        f"#!{sys.executable}\nimport json, pathlib, sys\nargs = sys.argv[1:]\n"
        f"if args and args[0].endswith('-version'):\n    print({version!r})\n    sys.exit()\n"
        f"calls = pathlib.Path({str(folder / name)!r} + '.calls')\n"
        "with calls.open('a') as handle:\n    handle.write(json.dumps(args) + '\\n')\n"
        f"recorded = pathlib.Path({str(DATA)!r})\n"
        "out = pathlib.Path(args[[a.lstrip('-') for a in args].index('oc') + 1])\nout.mkdir()\n" + body
    )
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def run_program(monkeypatch: pytest.MonkeyPatch, name: str, *arguments: object) -> None:
    """Run ``scripts/{name}.py`` in this process with ``arguments``."""
    monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
    runpy.run_path(str(SCRIPTS / f"{name}.py"))["main"]()


def files_of(folder: Path) -> dict[str, bytes]:
    """Name and content of every file under ``folder``."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
