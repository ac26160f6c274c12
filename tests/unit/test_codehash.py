"""The code hash moves with what a program uses, and with nothing else."""

import pytest

from biosae.codehash import code_hash, used_files
from biosae.errors import ConfigError


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
    from biosae import codehash

    before = code_hash("find_motifs", scripts), code_hash("train", scripts)
    (scripts / changed).write_text((scripts / changed).read_text() + "# changed\n")
    codehash._imports.cache_clear()
    after = code_hash("find_motifs", scripts), code_hash("train", scripts)
    assert (before[0] != after[0], before[1] != after[1]) == (motifs_move, train_moves)


def test_a_missing_program_is_named(scripts):
    with pytest.raises(ConfigError, match=r"nothing\.py"):
        code_hash("nothing", scripts)
