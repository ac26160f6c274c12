"""Time and memory of collect_examples, over its floor. From the root of the repository:

    python tests/benchmarks/example_windows.py --kept 200 2000
    python tests/benchmarks/example_windows.py --channels 32 --nodes 20000 --k 32 --sequences 300 --kept 20000

Makes a store of normal numbers (no locality: the worst case for reading), an untrained TopK dictionary, its
top activations and seqlets, and made-up motifs; then runs ``scripts/collect_examples.py`` as a process and
prints a markdown row: rows that were encoded (sample and windows) and their share of the store, wall and CPU
seconds, peak resident memory, size of the file. Floor: CPU seconds of a process that reads as many rows, in
one stretch, and encodes them, 4,096 at a time; starting Python and loading PyTorch is in both.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "scripts")]

from biosae.activations import ActivationStore  # noqa: E402  (the path comes first)
from biosae.artefacts import conform, load_schema, read_table, write_table, write_text  # noqa: E402
from biosae.checkpoint import load_checkpoint, save_checkpoint  # noqa: E402
from biosae.encoding import encode_part, encoding_notes, write_encoded  # noqa: E402
from biosae.examples_rows import ENCODE_ROWS, Asked, needed_rows  # noqa: E402
from biosae.examples_top import PLACE  # noqa: E402
from biosae.genome import Genome  # noqa: E402
from biosae.geometry import Layer  # noqa: E402
from biosae.model import build  # noqa: E402
from biosae.motif_sample import MotifSample  # noqa: E402
from biosae.motif_scan import prepare  # noqa: E402
from biosae.motifs.formats import Motif, write_meme  # noqa: E402
from biosae.seqlets import TOP_COLUMNS, collect_seqlets, write_seqlets  # noqa: E402
from biosae.stream_sample import cut_blocks  # noqa: E402
from biosae.top_activations import read_top_activations  # noqa: E402

POSITIONS, STRIDE, LEFT, RIGHT = 1536, 4, 19, 23  # those of conv1d_2, sequences of 6,144 bp
TOP = {"top_per_part": 8, "parts_per_sequence": 4}


def main() -> None:
    """Make the store, encode it, then collect for each number of kept nodes."""
    given = parse()
    with tempfile.TemporaryDirectory(prefix="biosae_", dir=given.folder) as name:
        if given.floor:
            encode_rows(given.floor, given.rows)
            return
        folder = Path(name)
        layer = Layer("made_up", "", given.channels, STRIDE, LEFT, RIGHT)
        apart(write_store, folder, layer, given)
        names = "kept nodes", "examples", "rows encoded", "of the store", "wall s", "CPU s", "floor, CPU s"
        print(f"{given.channels} channels, {given.nodes} nodes, k {given.k}, ", end="")
        print(f"{given.sequences * POSITIONS} positions\n")
        print("|", " | ".join((*names, "over floor", "peak MB", "file MB")), "|")
        print("|" + "---|" * 10, flush=True)
        for kept in given.kept:
            apart(write_run, folder, layer, kept, given)
            print(measure(folder, layer, given), flush=True)


def parse() -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    add = parser.add_argument
    add("--channels", type=int, default=256, help="channels of the store")
    add("--nodes", type=int, default=4096, help="nodes of the dictionary")
    add("--k", type=int, default=32, help="nodes active at a position")
    add("--sequences", type=int, default=400, help=f"sequences of {POSITIONS} positions")
    add("--sample-positions", type=int, default=50_000, help="positions of the sample")
    add("--per-node", type=int, default=1000, help="seqlets of a node at most")
    add("--kept", type=int, nargs="+", default=[200], help="kept nodes")
    add("--folder", type=Path, help="where to put the store for the time being")
    add("--floor", type=Path, help=argparse.SUPPRESS)
    add("--rows", type=int, help=argparse.SUPPRESS)
    return parser.parse_args()


def apart(function: Callable, *arguments: object) -> None:
    """Call a function in a process of its own: a child's peak memory is that of this process at least."""
    process = multiprocessing.get_context("spawn").Process(target=function, args=arguments)
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(f"{function.__name__} failed")


def write_store(folder: Path, layer: Layer, given: argparse.Namespace) -> None:
    """Store, genome (a chromosome a sequence) and the encoded run."""
    length, margin = POSITIONS * STRIDE, LEFT + RIGHT
    rng = np.random.default_rng(0)
    (folder / "store").mkdir()
    with h5py.File(folder / "store/activations_0.h5", "w") as file:
        data = file.create_dataset("x", (given.sequences, POSITIONS, given.channels), np.float16)
        for sequence in range(given.sequences):
            data[sequence] = rng.standard_normal((POSITIONS, given.channels), np.float32)
    rows = [f"chr{i}\t{margin}\t{margin + length}\t0\t{i}\n" for i in range(given.sequences)]
    write_text(folder / "store/intervals.tsv", "chrom\tstart\tend\tfile\trow\n" + "".join(rows))
    with (folder / "genome.fa").open("w") as fasta:
        for sequence in range(given.sequences):
            letters = rng.choice(np.frombuffer(b"ACGT", np.uint8), length + 2 * margin)
            fasta.write(f">chr{sequence}\n{letters.tobytes().decode()}\n")
    model = build("topk", given.channels, given.nodes, given.k, False, seed=0)
    save_checkpoint(model, folder / "run/checkpoint", {"layer": layer.as_dict()})
    store = ActivationStore.open(folder / "store")
    notes = encoding_notes(folder / "run/checkpoint", store, layer, TOP, "cpu")
    encode_part(model, store, folder / "part.h5", **TOP, notes=notes)
    write_encoded([folder / "part.h5"], folder / "run")


def write_run(folder: Path, layer: Layer, kept: int, given: argparse.Namespace) -> None:
    """Selection, seqlets, made-up motifs and the hits that specificity.tsv would count."""
    run, genome = folder / "run", Genome(folder / "genome.fa")
    stats = read_table(run / "node_stats.tsv", "node_stats").sort_values("mean_act", ascending=False)
    selected = stats.head(kept).rename(columns={"node_id": "node"})
    selected["rank"] = np.arange(1, len(selected) + 1)
    selected = conform(selected, "selected_nodes")
    write_table(selected, run / "selected_nodes.tsv", "selected_nodes")
    top = read_top_activations(run / "top_activations.parquet", TOP_COLUMNS)[0]
    write_seqlets(collect_seqlets(top, selected, layer, genome, per_node=given.per_node), run / "seqlets", {})
    rng = np.random.default_rng(1)
    pairs = list(zip(selected["rank"].tolist(), selected["node"].tolist(), strict=True))
    motifs = [
        Motif(f"{rank}_n{node}_m1", "x", rng.dirichlet(np.full(4, 0.15), 10), 200.0) for rank, node in pairs
    ]
    write_meme(run / "motifs.meme", motifs)
    ids = [motif.id for motif in motifs]
    known = {"motif_id": ids, "node": selected["node"], "rank": selected["rank"], "motif": 1, "log10_e": -9.0}
    write_table(filled("motifs", len(ids), known), run / "motifs.tsv", "motifs")
    store = ActivationStore.open(folder / "store")
    sample = MotifSample(cut_blocks(store, layer, genome, given.sample_positions)[0])
    hits = [len(sample.hits(prepare(motif, sample.background, 1e-4, 0.9))) for motif in motifs]
    known = {"motif_id": ids, "node": selected["node"], "motif_strand": "+", "n_hits": hits}
    write_table(filled("specificity", len(ids), known), run / "specificity.tsv", "specificity")


def filled(schema: str, n: int, known: dict) -> pd.DataFrame:
    """A valid table of ``n`` rows; what is not known is missing, or 1, or a word that is allowed."""
    plain = {"integer": 1, "number": 1.0, "string": "A", "boolean": True}
    columns = {}
    for name, rule in load_schema(schema)["properties"].items():
        kinds = rule["type"] if isinstance(rule["type"], list) else [rule["type"]]
        default = None if "null" in kinds else rule.get("enum", [plain[kinds[0]]])[0]
        columns[name] = np.asarray(known[name]) if name in known else [default] * n
    return pd.DataFrame(columns, index=range(n))


def measure(folder: Path, layer: Layer, given: argparse.Namespace) -> str:
    """One row of the table."""
    run, output = folder / "run", folder / "run/examples.h5"
    command = [str(ROOT / "scripts/collect_examples.py"), "--run", str(run), "--output", str(output)]
    command += ["--activations", str(folder / "store"), "--genome", str(folder / "genome.fa")]
    command += ["--sample-positions", str(given.sample_positions), "--device", "cpu"]
    for group in ("sae", "motifs"):
        words = [str(ROOT / "scripts/compile_kernels.py"), "--group", group, "--output", str(folder / group)]
        process(words, folder)
    wall_s, cpu_s, peak_mb = process(command, folder)
    rows = min(given.sample_positions, given.sequences * POSITIONS) + rows_of(output, layer)
    words = ["--floor", str(folder), "--rows", str(rows)]
    floor_s = process([str(Path(__file__).resolve()), *words], folder)[1]
    with h5py.File(output) as file:
        kept, n = len(file["node"]), len(file["band"])
    share = f"{rows / (given.sequences * POSITIONS):.0%}"
    figures = f"{wall_s:.1f} | {cpu_s:.1f} | {floor_s:.1f} | {cpu_s / floor_s:.2f} | {peak_mb:.0f}"
    return f"| {kept:,} | {n:,} | {rows:,} | {share} | {figures} | {output.stat().st_size / 1e6:.1f} |"


def rows_of(output: Path, layer: Layer) -> int:
    """Rows that the windows of a file need, each once."""
    with h5py.File(output) as file:
        names = [int(name.decode().removeprefix("chr")) for name in file["chroms"][()]]
        places = np.zeros(len(file["band"]), PLACE)
        places["sequence"] = np.array(names)[file["chrom"][()]]
        places["position"] = (file["start"][()] - (LEFT + RIGHT) + LEFT) // STRIDE
    return needed_rows(Asked.of(places, layer, POSITIONS, layer.window_bp), POSITIONS).n_rows


def encode_rows(folder: Path, rows: int) -> None:
    """The floor: read so many rows in one stretch (again from the start where there are more), and encode."""
    model, store = load_checkpoint(folder / "run/checkpoint"), ActivationStore.open(folder / "store")
    block = np.empty((ENCODE_ROWS, store.channels), np.float32)
    done = filled_rows = 0
    while done < rows:
        for _, slab in store.slabs(ENCODE_ROWS):
            take = min(len(slab), ENCODE_ROWS - filled_rows, rows - done)
            block[filled_rows : filled_rows + take] = slab[:take]
            filled_rows, done = filled_rows + take, done + take
            if filled_rows == ENCODE_ROWS or done == rows:
                model.encode_block(block[:filled_rows])
                filled_rows = 0
            if done == rows:
                break


def process(command: list[str], folder: Path) -> tuple[float, float, float]:
    """(wall seconds, CPU seconds, peak resident MB) of a program, on one thread."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(folder / "numba"), "OMP_NUM_THREADS": "1"}
    start = time.perf_counter()
    with (folder / "log").open("w") as log:
        started = subprocess.Popen([sys.executable, *command], stdout=log, stderr=log, env=environment)
        _, status, usage = os.wait4(started.pid, 0)
    wall_s = time.perf_counter() - start
    started.returncode = os.waitstatus_to_exitcode(status)
    if started.returncode:
        raise SystemExit(f"{command[0]} failed:\n{(folder / 'log').read_text()[-3000:]}")
    return wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


if __name__ == "__main__":
    main()
