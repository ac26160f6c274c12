"""Rates and memory of reading, statistics and shuffled batches, beside the published ways. From the root:

    PYTHONPATH=scripts:tests OMP_NUM_THREADS=1 python tests/benchmarks/streaming.py --folder /tmp/streaming

Writes synthetic stores (float16, 608 channels) into the folder and removes them at the end; prints Markdown.
What is compared is run in turn, several times, in one process; figures are medians. GB are those of the
stored numbers. Warm: the files lie in the page cache, and stand several times in the store (links), so that
the disk need not hold what is read. Cold: the files' pages are dropped from the cache before every run.

The published ways, written anew: the maximum reads a whole file, converts it to float32 and takes np.max;
the input side reads a whole sequence as float32 and gives a quarter of it to PyTorch.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

import h5py
import numpy as np

from biosae import cli

CHANNELS = 608
LAYOUTS = {
    "contiguous": {},
    "chunks of 1,024 rows": {"chunks": (1, 1024, CHANNELS)},
    "chunks of 1,024 rows, lz4": {"chunks": (1, 1024, CHANNELS), "compression": 32004},
    "h5py's automatic chunks": {"chunks": True},
    "chunks of 1,024 rows, gzip": {"chunks": (1, 1024, CHANNELS), "compression": "gzip"},
}


def main() -> None:
    """Write the stores, measure, print, remove."""
    parser = cli.program(__doc__)
    parser.add_argument(
        "--folder", type=Path, required=True, help="folder for the stores; removed at the end"
    )
    parser.add_argument("--megabytes", type=int, default=640, help="size of the warm store on disk, MB")
    parser.add_argument("--cold-megabytes", type=int, default=1200, help="size of the cold store, MB")
    parser.add_argument("--links", type=int, default=8, help="times that the warm store holds each file")
    parser.add_argument("--positions", type=int, default=65536, help="positions a sequence")
    parser.add_argument("--repeats", type=int, default=5, help="runs behind each median")
    parser.add_argument("--readers", type=int, default=8, help="threads that read the cold store")
    parser.add_argument("--only", choices=("warm", "layouts", "memory", "cold"), help="one part")
    parser.add_argument(
        "--worker", choices=("statistics", "batches"), help="print the peak memory of one run"
    )
    arguments = parser.parse_args()
    if arguments.worker:
        work(arguments.worker, arguments.folder)
        return
    try:
        for part in (warm, layouts, memory, cold):
            if arguments.only in (None, part.__name__):
                part(arguments)
    finally:
        shutil.rmtree(arguments.folder, ignore_errors=True)


def write_store(folder: Path, files: int, sequences: int, positions: int, links: int = 1, **options) -> Path:
    """A store of ``files`` x ``links`` files of ``sequences`` sequences each; links share their bytes."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    base = rng.standard_normal((positions, CHANNELS), np.float32) * rng.uniform(0.1, 2, CHANNELS)
    block = (base + rng.standard_normal(CHANNELS)).astype(np.float16)
    for number in range(files):
        with h5py.File(folder / f"activations_{number}.h5", "w") as handle:
            shape = (sequences, positions, CHANNELS)
            data = handle.create_dataset("x", shape, np.float16, **options)
            for row in range(sequences):
                data[row] = np.roll(block, 97 * (number * sequences + row), axis=0)
        with (folder / f"activations_{number}.h5").open("rb") as handle:
            os.fsync(handle.fileno())
    for number in range(files, files * links):
        (folder / f"activations_{number}.h5").symlink_to(folder / f"activations_{number % files}.h5")
    lines = [
        f"chr1\t{i}\t{i + 1}\t{i // sequences}\t{i % sequences}" for i in range(files * links * sequences)
    ]
    (folder / "intervals.tsv").write_text("\n".join(["chrom\tstart\tend\tfile\trow", *lines]) + "\n")
    return folder


def timed(cases: dict[str, Callable[[], int]], repeats: int) -> dict[str, tuple[float, float]]:
    """Run all cases in turn, ``repeats`` times: name -> median (units a CPU second, units a second)."""
    rates: dict[str, list[tuple[float, float]]] = {name: [] for name in cases}
    for _ in range(repeats):
        for name, case in cases.items():
            cpu, wall = time.process_time(), time.perf_counter()
            units = case()
            rates[name].append((units / (time.process_time() - cpu), units / (time.perf_counter() - wall)))
    return {name: tuple(median(part) for part in zip(*runs, strict=True)) for name, runs in rates.items()}


def read_slabs(store: object, rows: int = 512) -> int:
    """Read a store into one buffer, in order; rows read."""
    raw = np.empty((rows, store.channels), store.raw_dtype)
    for sequence in range(store.n_sequences):
        for position in range(0, store.positions, rows):
            store.read_into(sequence, position, raw[: store.positions - position], check=False)
    return store.n_rows


def batches(store: object, prefetch: int, convert: bool = False) -> int:
    """Go through one epoch in batches of 4,096 rows; rows given."""
    from biosae.activations import shuffled_batches

    rows = 0
    for batch in shuffled_batches(store, 4096, 0, prefetch_pools=prefetch):
        rows += len(batch.float() if convert else batch)
    return rows


def published_maximum(files: list[Path]) -> int:
    """Whole files in float32, np.max; rows read."""
    rows, largest = 0, np.full(CHANNELS, -np.inf, np.float32)
    for path in files:
        with h5py.File(path) as handle:
            data = handle["x"][:].astype(np.float32)
        largest = np.maximum(largest, np.max(data, axis=(0, 1)))
        rows += data.shape[0] * data.shape[1]
    return rows


def published_input(files: list[Path]) -> int:
    """Whole sequences in float32, a quarter of each to PyTorch; rows given."""
    import torch

    rows, rng = 0, np.random.default_rng(0)
    for path in files:
        with h5py.File(path) as handle:
            for row in range(len(handle["x"])):
                data = handle["x"][row].astype(np.float32)
                quarter = len(data) // 4
                first = quarter * int(rng.integers(4))
                rows += len(torch.tensor(data[first : first + quarter]))
    return rows


def warm(arguments: object) -> None:
    """Reading, statistics and batches out of the page cache."""
    from biosae.activations import ActivationStore
    from biosae.statistics import compute_statistics
    from biosae.statistics_kernels import warm_up

    sequences = max(arguments.megabytes * 10**6 // (2 * CHANNELS * arguments.positions * 2), 1)
    folder = write_store(arguments.folder / "warm", 2, sequences, arguments.positions, arguments.links)
    store, own = ActivationStore.open(folder), [folder / f"activations_{i}.h5" for i in range(2)]
    warm_up()
    cases = {
        "reading alone (read_into, 512 rows)": lambda: read_slabs(store),
        "statistics, 1 thread": lambda: compute_statistics(store, [0.01, 0.5, 0.999]).count[0],
        "statistics, 2 threads": lambda: compute_statistics(store, [0.5], threads=2).count[0],
        "published maximum": lambda: published_maximum(own),
        "shuffled batches": lambda: batches(store, 1),
        "shuffled batches, no reading ahead": lambda: batches(store, 0),
        "shuffled batches, to float32": lambda: batches(store, 1, True),
        "published input side": lambda: published_input(own),
    }
    rates = timed(cases, arguments.repeats)
    bases = {"statistics": "published maximum", "shuffled": "published input side"}
    print(f"\nWarm, {store.n_rows:,} rows of {arguments.positions:,} positions a sequence\n")
    print("| | GB a CPU s | M rows a CPU s | M rows a s | of reading alone | of the published way |")
    print("|---|---|---|---|---|---|")
    alone = rates["reading alone (read_into, 512 rows)"][0]
    for name, (cpu, wall) in rates.items():
        base = bases.get(name.split(",")[0].split(" ")[0])
        ratio = f"{cpu / rates[base][0]:.1f} x" if base else ""
        figures = f"{cpu * CHANNELS * 2 / 1e9:.2f} | {cpu / 1e6:.2f} | {wall / 1e6:.2f}"
        print(f"| {name} | {figures} | {cpu / alone:.2f} | {ratio} |")


def layouts(arguments: object) -> None:
    """Reading in order and in shuffled batches, out of the page cache, by layout; and a bfloat16 store."""
    from biosae.activations import ActivationStore
    from biosae.repacking import Target, repack_store

    try:
        import hdf5plugin  # noqa: F401  registers lz4
    except ImportError:
        LAYOUTS.pop("chunks of 1,024 rows, lz4")
    folder, stores = arguments.folder / "layouts", {}
    for number, (name, options) in enumerate(LAYOUTS.items()):
        stores[name] = ActivationStore.open(write_store(folder / str(number), 1, 4, 16384, **options))
    repack_store(folder / "0", folder / "bfloat16", Target(dtype="bfloat16"))
    stores["contiguous, bfloat16"] = ActivationStore.open(folder / "bfloat16")
    cases = {f"{name} | in order": lambda s=store: read_slabs(s, 1024) for name, store in stores.items()}
    cases |= {f"{name} | shuffled": lambda s=store: batches(s, 1) for name, store in stores.items()}
    print("\n| layout | | GB a CPU s |\n|---|---|---|")
    for name, (cpu, _) in timed(cases, arguments.repeats).items():
        print(f"| {name} | {cpu * CHANNELS * 2 / 1e9:.2f} |")
    shutil.rmtree(folder)


def work(what: str, folder: Path) -> None:
    """One run in a process of its own; prints its peak memory in MB."""
    from biosae.activations import ActivationStore
    from biosae.statistics import compute_statistics

    store = ActivationStore.open(folder)
    if what == "statistics":
        compute_statistics(store, [0.5])
    else:
        batches(store, 1)
    # not getrusage: its peak is inherited from the process that started this one
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line]
    print(f"{int(line.split()[1]) / 1024:.0f}")


def memory(arguments: object) -> None:
    """Peak memory for few and many files, short and long sequences."""
    print("\n| peak memory, MB | rows | statistics | shuffled batches |\n|---|---|---|---|")
    shapes = {"1 file, short": (1, 8, 8192), "8 files, short": (8, 8, 8192), "1 file, long": (1, 1, 262144)}
    for name, (files, sequences, positions) in shapes.items():
        folder = write_store(arguments.folder / "memory", 1, sequences, positions, files)
        peaks = [peak(what, folder) for what in ("statistics", "batches")]
        print(f"| {name} | {files * sequences * positions:,} | {peaks[0]} | {peaks[1]} |")
        shutil.rmtree(folder)


def peak(what: str, folder: Path) -> str:
    """What ``work`` prints in a new process."""
    command = [sys.executable, __file__, "--folder", str(folder), "--worker", what]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def drop(files: list[Path]) -> None:
    """Drop the files' pages from the cache."""
    for path in files:
        with path.open("rb") as handle:
            os.posix_fadvise(handle.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def read_together(store: object, threads: int, piece_rows: int = 4096) -> int:
    """Read a store in order by several threads, each taking the next piece."""
    pieces = [(s, p) for s in range(store.n_sequences) for p in range(0, store.positions, piece_rows)]

    def read(piece: tuple[int, int]) -> None:
        rows = min(piece_rows, store.positions - piece[1])
        store.read_into(*piece, np.empty((rows, store.channels), store.raw_dtype), check=False)

    with ThreadPoolExecutor(threads) as executor:
        list(executor.map(read, pieces))
    return store.n_rows


def cold(arguments: object) -> None:
    """Random blocks against reading in order, from the disk."""
    from biosae.activations import ActivationStore, shuffled_batches
    from biosae.pool_reading import read_pools
    from biosae.shuffling import plan_blocks, plan_pools

    shutil.rmtree(arguments.folder / "warm", ignore_errors=True)
    sequences = max(arguments.cold_megabytes * 10**6 // (4 * CHANNELS * 32768 * 2), 1)
    store = ActivationStore.open(write_store(arguments.folder / "cold", 4, sequences, 32768))

    def cold_batches() -> int:
        drop(store.files)
        return sum(map(len, shuffled_batches(store, 4096, 0, readers=arguments.readers)))

    def cold_pools() -> int:
        drop(store.files)
        plan = plan_blocks(store.n_sequences, store.positions, 1024)
        pools = plan_pools(np.random.default_rng(0).permutation(plan), 64, None, 0)
        return sum(len(rows) for rows, _ in read_pools(store, pools, 1, arguments.readers))

    def in_order(threads: int) -> int:
        drop(store.files)
        return read_together(store, threads)

    cases = {
        "in order, 1 thread": lambda: in_order(1),
        f"in order, {arguments.readers} threads": lambda: in_order(arguments.readers),
        f"pools of random blocks, {arguments.readers} readers": cold_pools,
        f"shuffled batches, {arguments.readers} readers": cold_batches,
    }
    rates = timed(cases, arguments.repeats)
    print("\n| cold | GB a s | of parallel reading in order |\n|---|---|---|")
    best = list(rates.values())[1][1]
    for name, (_, wall) in rates.items():
        print(f"| {name} | {wall * CHANNELS * 2 / 1e9:.2f} | {wall / best:.2f} |")


if __name__ == "__main__":
    cli.run(main)
