"""What the tests of formats, matching and programs share: recorded data, stand-ins for the MEME Suite."""

from __future__ import annotations

import json
import runpy
import stat
import sys
from pathlib import Path

import pandas as pd
import pytest

from biosae.artefacts import write_table

DATA = Path(__file__).resolve().parents[1] / "data" / "meme_suite_5.5.8"
SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
MEME_TEXT = DATA / "meme" / "3_n127" / "meme.txt"
NULL_TEXT = DATA / "meme" / "9_n42_null" / "meme.txt"
STREME_TEXT = DATA / "streme" / "3_n127" / "streme.txt"
DATABASE = DATA / "database_30.meme"

# The bodies of stand-ins: they check that the FASTA is a relative name, and keep what they saw of it.
KEEP_SEEN = """
assert pathlib.Path(fasta).name == fasta and pathlib.Path(fasta).is_file(), "a relative name"
pathlib.Path(__file__).with_name(fasta).write_text(pathlib.Path(fasta).read_text())
"""
MEME_BODY = f"""
fasta = args[0]{KEEP_SEEN}
(out / "meme.txt").write_text((recorded / "meme/3_n127/meme.txt").read_text())
"""
STREME_BODY = f"""
assert args[0] == "--p"
fasta = args[1]{KEEP_SEEN}
(out / "streme.txt").write_text((recorded / "streme/3_n127/streme.txt").read_text())
"""


def calls(folder: Path, name: str) -> list[list[str]]:
    """The arguments of each call of a stand-in."""
    return [json.loads(line) for line in (folder / f"{name}.calls").read_text().splitlines()]


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


def write_seqlets(folder: Path, content: dict[str, str]) -> Path:
    """A seqlets folder with manifest: ``{rank}_n{node}.fa`` and its text for each node, no background."""
    folder.mkdir(parents=True)
    rows = []
    for name, text in content.items():
        (folder / name).write_text(text)
        rank, node = (int(part) for part in name.removesuffix(".fa").split("_n"))
        rows.append({"rank": rank, "node": node, "file": name, "n_seqlets": text.count(">")})
    table = pd.DataFrame(rows, columns=["rank", "node", "file", "n_seqlets"])
    drops = ["dropped_off_chromosome", "dropped_n", "dropped_overlap", "dropped_over_limit"]
    table = table.assign(n_top=table["n_seqlets"], gc_share=0.5, repeat_share=0.0, **dict.fromkeys(drops, 0))
    columns = ["rank", "node", "file", "n_seqlets", "n_top", *drops, "gc_share", "repeat_share"]
    write_table(table[columns], folder / "manifest.tsv", "seqlet_manifest")
    (folder / "background.fa").write_text("")
    return folder


def files_of(folder: Path) -> dict[str, bytes]:
    """Name and content of every file under ``folder``."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
