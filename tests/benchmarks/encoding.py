"""Encoding with top positions against the published inference. From the root of the repository:

    python tests/benchmarks/encoding.py --positions 65536 --rounds 5      # 262144: the published size

Published (stage 2, written by us from its description): a quarter sequence at a time, encoder as a dense
product, TopK without ReLU, codes scattered into a dense (positions, nodes) matrix, of which the strongest
positions of each node are taken; and the same with its dump of that matrix into an HDF5 file. It gets its
rows from our reader, and does not lose the last ones. Ours: ``encode_part``, reading and writing included,
which also gives statistics and sketches; "without the model" replays codes computed beforehand.

Synthetic activations with known sparse structure; encoder rows are their directions and random ones. All
interleaved, median of the rounds: CPU seconds of the process with one thread, then wall seconds with all.
Memory: peak of a process of its own for 2 and for 16 sequences of an eighth of the positions, each a file.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "tests" / "benchmarks")]

import torch  # noqa: E402  (the path comes first)
from planted_activations import PlantedActivations, mean_and_std, write_planted_store  # noqa: E402

from biosae.activations import ActivationStore  # noqa: E402
from biosae.encoding import BLOCK_ROWS, encode_part  # noqa: E402
from biosae.encoding_kernels import warm_up  # noqa: E402
from biosae.model import SAE, SparseCodes  # noqa: E402

QUARTERS = 4


def main() -> None:
    """Parse, make the store, measure, print."""
    arguments = parse()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        base = Path(folder)
        if arguments.child:
            encode_once(Path(arguments.child), base, arguments)
            print(peak_mb())
            return
        planted = PlantedActivations(arguments.channels, 2 * arguments.channels)
        numbers = range(arguments.sequences)
        store = ActivationStore.open(write_planted_store(base / "s", planted, numbers, arguments.positions))
        model = planted_model(planted, arguments)
        warm_up()
        print(f"{arguments.channels} channels, {arguments.nodes} nodes, k {arguments.k}, ", end="")
        print(f"top {arguments.top} of each quarter, {store.n_rows} positions, {arguments.rounds} rounds\n")
        print("| threads | way | positions/s | us a position | ratio to published |\n|---|---|---|---|---|")
        for threads, clock in ((1, time.process_time), (os.cpu_count(), time.perf_counter)):
            show(threads, clock, contenders(model, store, base, arguments.top), store, arguments.rounds)
        if arguments.memory:
            print_memory(base, planted, arguments)


def parse() -> argparse.Namespace:
    """Command line."""
    kind = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=kind)
    for name, value in (
        ("channels", 608),
        ("nodes", 2432),
        ("k", 30),
        ("top", 16),
        ("sequences", 1),
        ("positions", 65536),
        ("rounds", 5),
    ):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--folder", default=tempfile.gettempdir(), help="where the store is written")
    parser.add_argument("--no-memory", dest="memory", action="store_false")
    parser.add_argument("--child", help="encode this store, print the peak memory (used by itself)")
    return parser.parse_args()


def planted_model(planted: PlantedActivations, arguments: argparse.Namespace) -> SAE:
    """A dictionary whose first nodes are the planted directions."""
    mean, std = mean_and_std(planted.sequence(0, 4096))
    model = SAE(arguments.channels, arguments.nodes, arguments.k, True, mean, std)
    true = torch.from_numpy(planted.directions * planted.channel_scale / std)[: arguments.nodes]
    with torch.no_grad():
        model.encoder[: len(true)] = true / true.norm(dim=1, keepdim=True)
        model.encoder[len(true) :] = torch.nn.functional.normalize(model.encoder[len(true) :], dim=1)
    return model


class PublishedInference:
    """The published way, see the top; ``model`` gives the weights."""

    def __init__(self, model: SAE, top: int, dump: Path | None = None) -> None:
        self.model, self.top, self.dump = model, top, dump

    @torch.no_grad()
    def __call__(self, store: ActivationStore) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """(activation, position), each (top, nodes), of each quarter."""
        quarter, kept = store.positions // QUARTERS, []
        for number in range(store.n_sequences * QUARTERS):
            latents = self.latents(torch.from_numpy(store.read(number * quarter, quarter)))
            if self.dump is not None:
                with h5py.File(self.dump, "w") as file:
                    file["latents"] = latents.numpy()
            kept.append(tuple(latents.topk(min(self.top, quarter), dim=0)))
        return kept

    def latents(self, rows: torch.Tensor) -> torch.Tensor:
        """Dense codes (n, nodes)."""
        model = self.model
        u = (rows - model.shift) / model.scale
        inner = (u - u.mean(1, keepdim=True)) / (u.std(1, keepdim=True) + 1e-5)
        dense = torch.nn.functional.linear(inner - model.pre_bias, model.encoder) + model.latent_bias
        values, indices = dense.topk(model.k, dim=1)
        return torch.zeros_like(dense).scatter_(1, indices, values)


class Replayed:
    """A model that gives codes computed beforehand: what is left is encoding without the model."""

    def __init__(self, model: SAE, store: ActivationStore) -> None:
        self.n_nodes, self.channels = model.n_nodes, model.channels
        quarter = store.positions // QUARTERS
        self._codes = [
            model.encode_block(block)
            for low in range(0, store.n_rows, quarter)
            for _, block in store.slabs(BLOCK_ROWS, (low, low + quarter))
        ]
        self._next = 0

    def encode_block(self, x: np.ndarray) -> SparseCodes:
        """The codes of the next block."""
        codes = self._codes[self._next % len(self._codes)]
        self._next += 1
        return codes


def contenders(model: SAE, store: ActivationStore, base: Path, top: int) -> dict[str, Callable]:
    """What is measured, by name; each is called with the store."""
    replayed = Replayed(model, store)
    return {
        "published": PublishedInference(model, top),
        "published, with its dense dump": PublishedInference(model, top, base / "dump.h5"),
        "ours": lambda store: encode_part(model, store, base / "part.h5", top, QUARTERS),
        "ours, without the model": lambda store: encode_part(replayed, store, base / "r.h5", top, QUARTERS),
        "reading alone": lambda store: [len(block) for _, block in store.slabs(BLOCK_ROWS)],
    }


def show(
    threads: int, clock: Callable, ways: dict[str, Callable], store: ActivationStore, rounds: int
) -> None:
    """Measure all ways in turn, ``rounds`` times, and print a row each."""
    torch.set_num_threads(threads)
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds + 1):
        for name, way in ways.items():
            begin = clock()
            way(store)
            seconds[name].append(clock() - begin)
    median = {name: statistics.median(values[1:]) for name, values in seconds.items()}  # the first warms up
    what = "1, CPU time" if clock is time.process_time else f"{threads}, wall time"
    for name, value in median.items():
        rate, cost = store.n_rows / value, 1e6 * value / store.n_rows
        print(
            f"| {what} | {name} | {rate:,.0f} | {cost:.2f} | {median['published'] / value:.2f} |", flush=True
        )


def encode_once(folder: Path, base: Path, arguments: argparse.Namespace) -> None:
    """Encode a store as a process of its own."""
    torch.set_num_threads(1)
    model = SAE(arguments.channels, arguments.nodes, arguments.k)
    encode_part(model, ActivationStore.open(folder), base / "part.h5", arguments.top, QUARTERS)


def peak_mb() -> float:
    """Peak resident memory of this process; unlike ``ru_maxrss`` without that of the one that started it."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def print_memory(base: Path, planted: PlantedActivations, arguments: argparse.Namespace) -> None:
    """Peak memory of encoding few and many sequences."""
    print("\n| sequences, each a file | peak MB |\n|---|---|")
    given = [f"--{name}={getattr(arguments, name)}" for name in ("channels", "nodes", "k", "top")]
    for n in (2, 16):
        folder = write_planted_store(base / f"m{n}", planted, range(n), arguments.positions // 8)
        command = [sys.executable, __file__, f"--child={folder}", *given]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        print(f"| {n} | {float(done.stdout):,.0f} |", flush=True)


if __name__ == "__main__":
    main()
