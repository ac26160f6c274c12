"""Small planted stores and the programs that train on them, for tests of training and of its faults."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import numpy as np
from helpers_store import write_store

from biosae.activations import ActivationStore
from biosae.artefacts import provenance
from biosae.recipes import recipe_of
from biosae.statistics import compute_statistics, write_statistics

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
LAYER = ["--layer", "toy", "--channels", "8", "--stride-bp", "4", "--left-bp", "19", "--right-bp", "23"]
CHANNELS, TRUE = 8, 12


def planted(n: int, seed: int, positions: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """(true directions, activations): a few of TRUE directions at a position, channel means not zero."""
    directions = np.random.default_rng(7).normal(size=(TRUE, CHANNELS))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    rng = np.random.default_rng(seed)
    present = rng.random((n, positions, TRUE)) < 0.12
    data = (rng.exponential(1, present.shape) * present) @ directions + 2
    return directions, data.astype(np.float32)


def make_recipe(preset: str = "default", **given):
    """A small recipe: 30 steps of 100 rows, 21 steps an epoch of the planted store of 2,100 rows."""
    small = {"expansion": 2, "k": 2, "learning_rate": 5e-3, "batch_rows": 100, "block_rows": 50}
    return recipe_of(preset, {**small, "pool_blocks": 4, "max_positions": 3000, "evaluations": 3, **given})


def write_inputs(folder: Path) -> Path:
    """Stores with awkward names, and their statistics, below ``folder``."""
    write_store(folder / "tr ain", [planted(4, 0)[1], planted(3, 1)[1]])
    write_store(folder / "va'lid", [planted(2, 2)[1]])
    stats = compute_statistics(ActivationStore.open(folder / "tr ain"), [0.5])
    write_statistics(stats, folder / "statistics.h5", provenance("test", {}))
    return folder


def options(folder: Path, output: str, *extra: str) -> list[str]:
    """Options of train_sae.py on ``write_inputs``' stores: 472 steps of 64 rows, 33 an epoch."""
    words = ["--output", str(folder / output), *LAYER, "--statistics", str(folder / "statistics.h5")]
    words += ["--activations", str(folder / "tr ain"), "--validation", str(folder / "va'lid")]
    words += ["--kind", "topk", "--expansion", "2", "--k", "2"]
    words += ["--learning-rate", "5e-3", "--seed", "0", "--batch-rows", "64", "--max-positions", "30000"]
    words += ["--block-rows", "50", "--pool-blocks", "4", "--epochs", "100", "--evaluations", "4"]
    return [*words, "--device", "cpu", *extra]


def run_here(program: str, words: list[str], monkeypatch, capsys) -> tuple[int, str]:
    """Run a program in this process, for a new one takes seconds to start: (exit code, standard error)."""
    monkeypatch.setattr(sys, "argv", [program, *words])
    try:
        runpy.run_path(str(SCRIPTS / program), run_name="__main__")
    except SystemExit as error:
        return int(error.code or 0), capsys.readouterr().err
    return 0, capsys.readouterr().err


def train_quietly(words: list[str]) -> None:
    """``train_sae.py`` in this process, which must succeed."""
    before, sys.argv = sys.argv, ["train_sae.py", *words]
    try:
        runpy.run_path(str(SCRIPTS / "train_sae.py"), run_name="__main__")
    finally:
        sys.argv = before


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below ``folder``: relative path and bytes."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
