"""The code hash moves with what a program uses, and with nothing else."""

import ast
from pathlib import Path

import pytest

from biosae import codehash
from biosae.codehash import code_hash, used_files
from biosae.errors import ConfigError

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


def forget() -> None:
    """Drop what was read of files: within one parse they do not change."""
    for name in ("_content", "_imports", "_files", "_assets", "code_hash"):
        getattr(codehash, name).cache_clear()


@pytest.fixture
def scripts(tmp_path):
    package = tmp_path / "biosae"
    (package / "motifs").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "motifs" / "__init__.py").write_text("")
    (package / "motifs" / "em.py").write_text("from biosae.errors import X\n")
    (package / "errors.py").write_text("X = 1\n")
    (package / "model.py").write_text("import torch\n")
    (tmp_path / "find_motifs.py").write_text(
        "def main():\n    import numpy\n    from biosae.motifs import em\n"
    )
    (tmp_path / "train.py").write_text("import biosae.model\n")
    return tmp_path


def test_direct_and_indirect_imports_are_used(scripts):
    names = [path.relative_to(scripts).as_posix() for path in used_files("find_motifs", scripts)]
    assert names == ["biosae/errors.py", "biosae/motifs/__init__.py", "biosae/motifs/em.py", "find_motifs.py"]


@pytest.mark.parametrize(
    ("changed", "motifs_move", "train_moves"),
    [
        ("biosae/motifs/em.py", True, False),
        ("biosae/errors.py", True, False),
        ("biosae/model.py", False, True),
        ("find_motifs.py", True, False),
    ],
)
def test_only_users_of_a_changed_file_move(scripts, changed, motifs_move, train_moves):
    before = code_hash("find_motifs", scripts), code_hash("train", scripts)
    (scripts / changed).write_text((scripts / changed).read_text() + "# changed\n")
    forget()
    after = code_hash("find_motifs", scripts), code_hash("train", scripts)
    assert (before[0] != after[0], before[1] != after[1]) == (motifs_move, train_moves)


def test_a_missing_program_is_named(scripts):
    with pytest.raises(ConfigError, match=r"nothing\.py"):
        code_hash("nothing", scripts)


def names_by_syntax(path: Path) -> set[str]:
    """The dotted names that a file's syntax tree imports of biosae."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in names if name.split(".")[0] == "biosae"}


@pytest.mark.parametrize("program", sorted(path.stem for path in SCRIPTS.glob("*.py")))
def test_imports_found_by_lines_are_those_of_the_syntax_tree(program):
    waiting, found = {SCRIPTS / f"{program}.py"}, set()
    while waiting:
        path = waiting.pop()
        found.add(path)
        targets = [SCRIPTS.joinpath(*name.split(".")) for name in names_by_syntax(path)]
        files = {file for at in targets for file in (at.with_suffix(".py"), at / "__init__.py")}
        waiting |= {file for file in files if file.is_file()} - found
    assert found == {path for path in used_files(program, SCRIPTS) if path.suffix == ".py"}


@pytest.mark.parametrize(
    "text",
    [
        "from biosae import a as x, b",
        "from biosae import (\n    a,  # the first\n    b,\n)",
        "def main():\n    if True:\n        from biosae import a, \\\n            b",
        "import os, biosae.a as a\nimport biosae.b",
        "from biosae.a import (X)\nfrom   biosae.b   import Y",
    ],
)
def test_every_way_to_write_an_import_is_seen(tmp_path, text):
    (tmp_path / "biosae").mkdir()
    for name in ("a", "b", "c"):
        (tmp_path / "biosae" / f"{name}.py").write_text("")
    (tmp_path / "run.py").write_text(f"from biosaemore import c\n{text}\nX = 'c'\n")
    assert [path.name for path in used_files("run", tmp_path)] == ["a.py", "b.py", "run.py"]
