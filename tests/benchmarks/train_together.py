"""Several dictionaries on one stream: what they cost together, against the sum of their steps and one read.

    PYTHONPATH=scripts python tests/benchmarks/train_together.py [--k 30 64] [--seeds 0 1 2] [--nodes 2432]

One dictionary for each k and seed (six by default) trains on the same store of synthetic activations:

    read        one pass of the shuffled reader, nothing done with the batches
    steps       ``Trainer.train_step`` of each dictionary by itself, on batches that are in memory: the sum
    together    ``training.train_many`` on all of them
    one by one  ``training.train`` on each: as many reads as dictionaries

each over the same positions, in turn within a round, medians over the rounds; no validation within.
Wanted: together at most 1.1 x (read + steps).
"""

from __future__ import annotations

import argparse
import contextlib
import io
import logging
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "tests" / "benchmarks")]

from planted_activations import PlantedActivations, write_planted_store  # noqa: E402  (the paths come first)

SEQUENCE = 8192


def arguments_of(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--channels", type=int, default=608)
    add("--nodes", type=int, default=2432)
    add("--k", type=int, nargs="+", default=[30, 64])
    add("--seeds", type=int, nargs="+", default=[0, 1, 2])
    add("--positions", type=int, default=65536, help="of the store, passed over once (default 65,536)")
    add("--batch-rows", type=int, default=1024)
    add("--rounds", type=int, default=5)
    add("--threads", type=int, default=1)
    return parser.parse_args(argv)


class Bench:
    """The store, the dictionaries' recipes, and the four things that are timed."""

    def __init__(self, arguments: argparse.Namespace, folder: Path) -> None:
        from biosae.activations import ActivationStore
        from biosae.evaluation import evaluate
        from biosae.recipes import recipe_of
        from biosae.statistics import compute_statistics, normaliser_vectors

        planted = PlantedActivations(arguments.channels, 2 * arguments.channels)
        numbers = range(max(1, arguments.positions // SEQUENCE))
        self.store = ActivationStore.open(write_planted_store(folder / "store", planted, numbers, SEQUENCE))
        shared = {"expansion": arguments.nodes / arguments.channels, "k_of": "absolute"}
        shared |= {"batch_rows": arguments.batch_rows, "evaluations": 1, "shuffle_seed": 0, "epochs": 1}
        self.recipes = [
            recipe_of("default", {**shared, "k": k, "seed": seed})
            for k in arguments.k
            for seed in arguments.seeds
        ]
        self.vectors = normaliser_vectors(compute_statistics(self.store, [0.5]), "standard")[:2]
        self.folder = folder
        self.figures = evaluate(self.models()[0], self.store, 1024)  # what "validation" answers, at no cost
        self.batches = [batch.clone() for batch in self.stream()]

    def models(self) -> list:
        """Fresh dictionaries."""
        from biosae.training import new_model

        return [new_model(recipe, self.store.channels, *self.vectors) for recipe in self.recipes]

    def stream(self):
        """One shuffled pass."""
        from biosae.activations import shuffled_batches

        one = self.recipes[0]
        sizes = {"block_rows": one.block_rows, "pool_blocks": one.pool_blocks}
        return shuffled_batches(self.store, one.batch_rows, 0, **sizes)

    def read(self) -> Callable[[], object]:
        """One pass of the reader."""
        return lambda: deque(self.stream(), maxlen=0)

    def steps(self) -> Callable[[], None]:
        """The steps alone, dictionary by dictionary."""
        from biosae.recipes import Schedule
        from biosae.trainer import Trainer

        trainers = [
            Trainer(model, Schedule(recipe, self.store.n_rows))
            for model, recipe in zip(self.models(), self.recipes, strict=True)
        ]

        def run() -> None:
            for trainer in trainers:
                for batch in self.batches:
                    trainer.train_step(batch)

        return run

    def together(self) -> Callable[[], object]:
        """All on one stream."""
        from biosae.training import train_many

        models, validates = self.models(), [lambda model: self.figures] * len(self.recipes)
        outputs = [self.folder / f"run{i}" for i in range(len(models))]
        options = {"resume": False, "checkpoint_seconds": 1e9}
        return lambda: train_many(models, self.store, validates, self.recipes, outputs, **options)

    def one_by_one(self) -> Callable[[], None]:
        """Each with a read of its own."""
        from biosae.training import train

        models, options = self.models(), {"resume": False, "checkpoint_seconds": 1e9}

        def run() -> None:
            for model, recipe in zip(models, self.recipes, strict=True):
                train(model, self.store, lambda model: self.figures, recipe, self.folder, **options)

        return run


def measure(bench: Bench, rounds: int) -> tuple[dict[str, float], dict[str, float]]:
    """Median CPU and wall seconds; the first round is not counted."""
    kinds = {"read": bench.read, "steps": bench.steps, "together": bench.together}
    kinds["one by one"] = bench.one_by_one
    cpu: dict[str, list[float]] = {name: [] for name in kinds}
    wall: dict[str, list[float]] = {name: [] for name in kinds}
    for turn in range(rounds + 1):
        for name, prepare in kinds.items():
            job = prepare()
            with contextlib.redirect_stderr(io.StringIO()):  # progress bars
                started = time.process_time(), time.perf_counter()
                job()
                ended = time.process_time(), time.perf_counter()
            if turn:
                cpu[name].append(ended[0] - started[0])
                wall[name].append(ended[1] - started[1])
    middle = rounds // 2
    return tuple({name: sorted(v)[middle] for name, v in values.items()} for values in (cpu, wall))


def main() -> None:
    """Measure and print."""
    arguments = arguments_of()
    from contenders import set_threads

    set_threads(arguments.threads)
    logging.getLogger().setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as scratch:
        bench = Bench(arguments, Path(scratch))
        cpu, wall = measure(bench, arguments.rounds)
    count, positions = len(bench.recipes), bench.store.n_rows
    print(f"{count} dictionaries of {arguments.nodes} nodes, {positions:,} positions, ", end="")
    print(f"{arguments.threads} threads, {arguments.rounds} rounds\n")
    print("| | CPU s | wall s | CPU / (read + steps) | wall / (read + steps) |\n|---|---|---|---|---|")
    for name in cpu:
        shares = [f"{values[name] / (values['read'] + values['steps']):.2f}" for values in (cpu, wall)]
        print(f"| {name} | {cpu[name]:.2f} | {wall[name]:.2f} | {' | '.join(shares)} |")


if __name__ == "__main__":
    main()
