"""The README's commands by hand, run in their order as they stand there, on a tiny conv1d_2 store."""

import re
import shlex
import shutil
import sys
from pathlib import Path

import helpers
import numpy as np
import pytest

from unit.helpers_store import random_arrays, write_published_store

pytestmark = pytest.mark.workflow

POSITIONS, CHANNELS, STRIDE_BP = 256, 736, 4
PLACES = {"RUN_DIR": "run", "OUT_DIR": "out", "DIR": "train"}
# what makes the commands quick on a tiny input; everything else is the README's
QUICK = {
    "train_sae.py": ["--epochs", "1", "--max-positions", "512", "--batch-rows", "128"],
    "select_nodes.py": ["--min-nonzero", "6", "--min-above-half", "2", "--max-nodes", "4"],
    "write_seqlets.py": ["--background-windows", "300"],
}


def readme_commands() -> list[list[str]]:
    """The words of each command of the README's section 'By hand'."""
    text = (helpers.ROOT / "README.md").read_text()
    block = re.search(r"### By hand.*?```\n(.*?)```", text, re.S)[1].replace("\\\n", " ")
    return [shlex.split(line) for line in block.strip().splitlines()]


def in_place(word: str, before: str) -> str:
    """A word of a command with the README's placeholders replaced."""
    if before == "--validation":
        return "validation"
    for placeholder, folder in PLACES.items():
        word = re.sub(rf"^{placeholder}\b", folder, word)
    return word


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("by hand")
    shutil.copytree(helpers.ROOT / "scripts", folder / "scripts")
    shutil.copytree(helpers.ROOT / "workflow", folder / "workflow")
    for name, seed in (("train", 0), ("validation", 1)):
        arrays = random_arrays([2, 1], POSITIONS, CHANNELS, seed, np.float16)
        write_published_store(folder / name, arrays, stride_bp=STRIDE_BP)
    bases = np.random.default_rng(0).choice(list("ACGT"), 10_000)
    (folder / "genome.fa").write_text(">chr1\n" + "".join(bases) + "\n")
    shutil.copy(helpers.ROOT / "config/motifs/jaspar2026_vertebrates_256.meme", folder / "db.meme")
    return folder


def test_the_commands_run_one_after_the_other(folder):
    commands = readme_commands()
    assert [Path(words[1]).name for words in commands] == [
        "compute_statistics.py",
        "train_sae.py",
        "encode_activations.py",
        "select_nodes.py",
        "write_seqlets.py",
        "discover_motifs.py",
        "match_motifs.py",
    ]
    for words in commands:
        placed = [in_place(word, before) for before, word in zip(["", *words], words, strict=False)]
        extra = QUICK.get(Path(words[1]).name, [])
        result = helpers.run([sys.executable, *placed[1:], *extra], folder)
        assert result.returncode == 0, f"{shlex.join(placed)}\n{result.stderr}"
    tables = ("run/seqlets/manifest.tsv", "out/motifs.tsv", "matches.tsv")
    for name in ("statistics.h5", "run/evaluation.json", *tables):
        assert (folder / name).stat().st_size > 0, name
    assert len(list((folder / "run/seqlets").glob("*_n*.fa"))) == 4


@pytest.mark.parametrize("program", sorted(p.name for p in (helpers.ROOT / "scripts").glob("*.py")))
def test_every_program_has_help_that_shows_defaults(program):
    result = helpers.run([sys.executable, f"scripts/{program}", "--help"], helpers.ROOT)
    assert result.returncode == 0, result.stderr
    assert "usage:" in result.stdout
