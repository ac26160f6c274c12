"""A hash of the code that one program uses, so that a change re-runs exactly what it touches.

Snakemake does not see what a script imports. The hash goes into a rule's ``params``: when the
script, or any biosae module that it imports (directly or not), changes, the rule runs again.
"""

from __future__ import annotations

import ast
import hashlib
from functools import cache
from pathlib import Path

from biosae.errors import ConfigError

_PACKAGE = "biosae"


@cache
def _imports(path: Path, scripts: Path) -> frozenset[Path]:
    """The files of biosae that one file imports anywhere, also inside functions."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    files = set()
    for name in (name for name in names if name.split(".")[0] == _PACKAGE):
        target = scripts.joinpath(*name.split("."))
        files |= {file for file in (target.with_suffix(".py"), target / "__init__.py") if file.is_file()}
    return frozenset(files)


def _assets(path: Path) -> list[Path]:
    """Files that are not Python beside a module, such as the parts of a page."""
    return [file for file in path.parent.iterdir() if file.suffix in (".html", ".css", ".js")]


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
            found |= set(_assets(path))
        waiting |= _imports(path, scripts) - found
    return sorted(found)


def code_hash(program: str, scripts: Path) -> str:
    """First 12 hexadecimal digits of the sha256 over the names and bytes of ``used_files``."""
    digest = hashlib.sha256()
    for path in used_files(program, scripts):
        digest.update(path.relative_to(scripts).as_posix().encode() + b"\0")
        digest.update(path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]
