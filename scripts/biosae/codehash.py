"""A hash of the code that one program uses, so that a change re-runs exactly what it touches.

Snakemake does not see what a script imports. The hash goes into a rule's ``params``: when the
script, or any biosae module that it imports (directly or not), changes, the rule runs again.

Every job parses the workflow anew, on SLURM twice: so each file is read once, and its imports are found by
their lines (all programs: 0.05 s; by syntax trees 0.6 s).
"""

from __future__ import annotations

import hashlib
import re
from functools import cache
from pathlib import Path

from biosae.errors import ConfigError

_PACKAGE = "biosae"
_LINE = r"(?:[^\n\\]|\\\n)*"  # to the end of a line, and on after a backslash
# import statements, each on lines of its own as ruff demands. A text that reads like one costs at most a
# file too many in a hash.
_FROM = re.compile(
    rf"^[ \t]*from[ \t]+({_PACKAGE}\b[\w.]*)[ \t]+import\b[ \t]*(\([^)]*\)|{_LINE})", re.MULTILINE
)
_PLAIN = re.compile(rf"^[ \t]*import\b{_LINE}", re.MULTILINE)


@cache
def _content(path: Path) -> bytes:
    return path.read_bytes()


@cache
def _imports(path: Path, scripts: Path) -> frozenset[Path]:
    """The files of biosae that one file imports anywhere, also inside functions."""
    text = _content(path).decode()
    names = {name for line in _PLAIN.findall(text) for name in re.findall(rf"\b{_PACKAGE}\b[\w.]*", line)}
    for module, imported in _FROM.findall(text):
        names |= {module} | {f"{module}.{word}" for word in re.findall(r"\w+", imported)}
    return frozenset(file for name in names for file in _files(name, scripts))


@cache
def _files(name: str, scripts: Path) -> tuple[Path, ...]:
    """The file of a dotted name, if it is a module or a package."""
    target = scripts.joinpath(*name.split("."))
    return tuple(file for file in (target.with_suffix(".py"), target / "__init__.py") if file.is_file())


@cache
def _assets(folder: Path) -> frozenset[Path]:
    """Files that are not Python beside a module, such as the parts of a page."""
    return frozenset(file for file in folder.iterdir() if file.suffix in (".html", ".css", ".js"))


def used_files(program: str, scripts: Path) -> list[Path]:
    """The script ``<program>.py`` and every biosae file that it imports, sorted.

    Args:
        program: name of the program, without ``.py``.
        scripts: the folder ``scripts``.
    """
    start = scripts / f"{program}.py"
    if not start.is_file():
        raise ConfigError("A program of the workflow is missing", where=start)
    found: set[Path] = set()
    waiting = {start}
    while waiting:
        path = waiting.pop()
        found.add(path)
        if path.parent != scripts and path.parent.name != _PACKAGE:
            found |= _assets(path.parent)
        waiting |= _imports(path, scripts) - found
    return sorted(found)


@cache
def code_hash(program: str, scripts: Path) -> str:
    """First 12 hexadecimal digits of the sha256 over the names and bytes of ``used_files``."""
    digest = hashlib.sha256()
    for path in used_files(program, scripts):
        digest.update(path.relative_to(scripts).as_posix().encode() + b"\0")
        digest.update(_content(path) + b"\0")
    return digest.hexdigest()[:12]
