"""Compare training recipes on planted truth: which finds the true directions at an equal budget.

    python tests/benchmarks/compare_recipes.py [--only NAME ...] [--positions 600000] [--seeds 0 1]

Activations are sums of a few of 192 known directions in 64 channels: each direction is present with its
own frequency (log-uniform from 0.004 to 0.1, about 5.7 present at a position) and a log-normal strength,
neighbouring positions share some, channels have unequal scales and means that are not zero. All recipes
see the same number of positions and have the same k and nodes. Printed, mean over seeds:

    FVU     fvu_channel_mean of biosae.evaluation, on held-out sequences: unaffected by the normaliser
    dead    share of nodes active at no held-out position
    found   share of true directions with a decoder column at cosine > 0.9, channels scaled to variance 1
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "tests" / "unit")]

import torch  # noqa: E402  (the path comes first)
from helpers_store import write_store  # noqa: E402

from biosae.activations import ActivationStore  # noqa: E402
from biosae.evaluation import evaluate  # noqa: E402
from biosae.recipes import recipe_of  # noqa: E402
from biosae.statistics import compute_statistics, normaliser_vectors  # noqa: E402
from biosae.training import new_model, train  # noqa: E402

CHANNELS, DIRECTIONS, K, EXPANSION, POSITIONS = 64, 192, 8, 4, 8192

_TIED = {"tied_initialisation": True}
_STANDARD = {"normaliser": "standard", "layer_norm": False}
_FAST = {"learning_rate": 2e-3, "batch_rows": 1024, "block_rows": 1024, "pool_blocks": 64}
# the budget is the same for all: no early stop, one validation pass at the end
_EQUAL = {"evaluations": 1, "epochs": 1000}


def recipes() -> dict[str, tuple[str, dict]]:
    """Name -> (preset, changes)."""
    return {
        "published, lr 1e-5": ("published", {}),
        "published, lr 2e-3, batch 1,024": ("published", _FAST),
        "  + tied initialisation": ("published", {**_FAST, **_TIED}),
        "  + standard normaliser, no LayerNorm, untied": ("published", {**_FAST, **_STANDARD}),
        "  + both": ("published", {**_FAST, **_STANDARD, **_TIED}),
        "  + both, lr 1e-5": ("published", {**_FAST, **_STANDARD, **_TIED, "learning_rate": 1e-5}),
        "default": ("default", {}),
        "default, lr 5e-4": ("default", {"learning_rate": 5e-4}),
        "default, lr 1e-3": ("default", {"learning_rate": 1e-3}),
        "default, lr 4e-3": ("default", {"learning_rate": 4e-3}),
        "default, batch 4,096": ("default", {"batch_rows": 4096}),
        "default, untied": ("default", {"tied_initialisation": False}),
        "default, no warm-up, no decay": ("default", {"warmup_share": 0.0, "decay_share": 0.0}),
        "default + LayerNorm": ("default", {"layer_norm": True}),
        "default + unit-norm decoder": ("default", {"unit_norm_decoder": True}),
        "default + AuxK 1/32": ("default", {"auxk_coefficient": 1 / 32, "dead_after_positions": 40_000}),
        "default, not shuffled": ("default", {"shuffle": False}),
    }


def planted(rng: np.random.Generator, directions: np.ndarray, scale: np.ndarray, n: int) -> np.ndarray:
    """float16 (n, POSITIONS, CHANNELS)."""
    frequency = np.geomspace(0.004, 0.1, DIRECTIONS)
    rows = n * POSITIONS
    fresh = rng.random((rows, DIRECTIONS), dtype=np.float32) < frequency
    # a present direction lasts 1 to 3 positions, so that neighbours resemble one another
    present = fresh | (np.roll(fresh, 1, 0) & (rng.random((rows, DIRECTIONS), dtype=np.float32) < 0.3))
    strength = np.exp(0.5 * rng.standard_normal((rows, DIRECTIONS), dtype=np.float32)) * present
    noise = 0.05 * rng.standard_normal((rows, CHANNELS), dtype=np.float32)
    data = (strength @ directions + noise) * scale + 0.7 * scale * np.cos(np.arange(CHANNELS))
    return data.astype(np.float16).reshape(n, POSITIONS, CHANNELS)


def found_share(model, std: np.ndarray, directions: np.ndarray, scale: np.ndarray) -> float:
    """Share of true directions that a decoder column matches at cosine > 0.9."""
    learned = model.decoder_directions() * model.scale.numpy() / std
    true = directions * scale / std
    learned /= np.maximum(np.linalg.norm(learned, axis=1, keepdims=True), 1e-12)
    true /= np.linalg.norm(true, axis=1, keepdims=True)
    return float(((true @ learned.T).max(1) > 0.9).mean())


def score(name: str, positions: int, seed: int, folder: Path) -> tuple[float, float, float, float]:
    """(FVU, dead, found, positions a second) of one recipe and seed."""
    rng = np.random.default_rng(seed)
    directions = rng.standard_normal((DIRECTIONS, CHANNELS)).astype(np.float32)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    scale = np.exp(0.5 * rng.standard_normal(CHANNELS)).astype(np.float32)
    for split, n in (("train", 24), ("validation", 4)):
        if not (folder / f"{split}{seed}").exists():
            write_store(folder / f"{split}{seed}", [planted(rng, directions, scale, n)])
    store, validation = (ActivationStore.open(folder / f"{split}{seed}") for split in ("train", "validation"))
    stats = compute_statistics(store, [0.5])
    preset, changes = recipes()[name]
    shared = {"k": K, "k_of": "absolute", "expansion": EXPANSION, "max_positions": positions, "seed": seed}
    recipe = recipe_of(preset, {**_EQUAL, **shared, **changes})
    recipe = replace(recipe, patience=None)
    model = new_model(recipe, CHANNELS, *normaliser_vectors(stats, recipe.normaliser)[:2])
    started = time.perf_counter()
    train(model, store, lambda m: evaluate(m, validation, 4096), recipe, folder, checkpoint_seconds=1e9)
    speed = positions / (time.perf_counter() - started)
    figures = evaluate(model, validation, 10**9)
    found = found_share(model, np.sqrt(stats.variance), directions, scale)
    return figures["fvu_channel_mean"], figures["dead_fraction"], found, speed


def main() -> None:
    """Train all recipes and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", help="names of recipes")
    parser.add_argument("--positions", type=int, default=600_000, help="training positions of each run")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    logging.getLogger().setLevel(logging.ERROR)
    print(f"| recipe ({arguments.positions:,} positions, seeds {arguments.seeds}) | FVU | dead | found |")
    print("|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.only or recipes():
            runs = [score(name, arguments.positions, seed, Path(folder)) for seed in arguments.seeds]
            fvu, dead, found, speed = np.mean(runs, axis=0)
            print(f"| {name} | {fvu:.3f} | {dead:.0%} | {found:.0%} |", flush=True)
            print(f"{name}: {speed:,.0f} positions/s", file=sys.stderr)


if __name__ == "__main__":
    main()
