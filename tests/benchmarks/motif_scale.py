"""Time and memory of discovery for a whole run. From the root of the repository:

    python tests/benchmarks/motif_scale.py --nodes 2000 --threads 2

Writes a run's seqlets folder (one planted motif a node, 42 bp windows of an order-2 chain with 20,000 windows
of background; each seqlet a locus of its own) into a temporary folder, runs ``scripts/discover_motifs.py`` on
all nodes as a process, and prints a markdown row: wall seconds, CPU seconds of the process and its children,
CPU a node, peak resident memory (of the largest process, if it should start others), and the share of nodes
with a motif at E < 0.05, which must be near 1. Kernels are compiled beforehand by a run on three nodes,
unless ``--cold``. Options of discover_motifs go behind ``--``: ``-- --strand both``.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "tests" / "benchmarks")]

import simulate_motifs as simulated  # noqa: E402  (the path comes first)

from biosae.artefacts import load_schema, read_table, write_table  # noqa: E402

POOL = 200_000  # windows that nodes draw from
BACKGROUND = 20_000
RATE = 0.4  # share of seqlets with a site
HEADINGS = (
    "nodes | seqlets | length | threads | wall s | CPU s | CPU s a node | peak MB | nodes with E < 0.05"
)


def main() -> None:
    """Write the seqlets, run, print."""
    arguments = parse()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        base = Path(folder)
        environment = {"NUMBA_CACHE_DIR": str(base / "numba"), **os.environ}
        write_run(base / "seqlets", arguments.nodes, arguments)
        if not arguments.cold:
            write_run(base / "few", 3, arguments)
            run(base / "few", arguments, environment)
        wall_s, cpu_s, peak_mb = run(base / "seqlets", arguments, environment)
        found = read_table(base / "seqlets.motifs" / "chunk_0.tsv", "motif_chunk")
    share = found.loc[found["log10_e"] < np.log10(0.05), "node"].nunique() / arguments.nodes
    print(f"| {HEADINGS} |\n|{'---|' * len(HEADINGS.split('|'))}")
    cell = f"{arguments.nodes:,} | {arguments.seqlets:,} | {arguments.length} | {arguments.threads}"
    cpu = f"{cpu_s:.1f} | {cpu_s / arguments.nodes:.4f}"
    print(f"| {cell} | {wall_s:.1f} | {cpu} | {peak_mb:.0f} | {share:.3f} |")


def parse() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--nodes", type=int, default=2000)
    add("--seqlets", type=int, default=1000, help="of a node")
    add("--length", type=int, default=42, help="of the windows, bp")
    add("--threads", type=int, default=2, help="of discover_motifs")
    add("--seed", type=int, default=0)
    add("--folder", type=Path, help="where the temporary folder is made (20,000 nodes: 2.5 GB)")
    add("--cold", action="store_true", help="no run on three nodes before")
    add("options", nargs="*", help="more options for discover_motifs, behind --")
    return parser.parse_args()


def write_run(folder: Path, n_nodes: int, arguments) -> None:
    """FASTA of each node, background.fa and manifest.tsv."""
    folder.mkdir()
    rng = np.random.default_rng(arguments.seed)
    pool = simulated.markov_codes(arguments.length, POOL + BACKGROUND, rng).astype(np.uint8)
    low, high = simulated.BITS["medium"]
    matrices = [
        matrix
        for matrix in simulated.read_matrices(simulated.DATABASE)
        if low <= simulated.information(matrix) < high and len(matrix) <= arguments.length
    ]
    for rank in range(1, n_nodes + 1):
        rows = rng.choice(POOL, arguments.seqlets, replace=False)
        matrix = matrices[int(rng.integers(len(matrices)))]
        codes = plant_codes(pool[rows], matrix, rng)
        write_fasta(folder / f"{rank}_n{rank}.fa", rows, codes, f"node={rank} rank={rank} act=1")
    write_fasta(folder / "background.fa", np.arange(POOL, POOL + BACKGROUND), pool[POOL:], "background")
    write_manifest(folder, n_nodes, arguments.seqlets)


def plant_codes(codes: np.ndarray, matrix: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Codes (n, length) with a site, on the strand as written, in RATE of the rows."""
    chosen = np.flatnonzero(rng.random(len(codes)) < RATE)
    draws = rng.random((len(chosen), len(matrix), 1))
    sites = np.minimum((draws > matrix.cumsum(axis=1)).sum(axis=2), 3)
    starts = rng.integers(codes.shape[1] - len(matrix) + 1, size=len(chosen))
    out = codes.copy()
    out[chosen[:, None], starts[:, None] + np.arange(len(matrix))] = sites
    return out


def write_fasta(path: Path, rows: np.ndarray, codes: np.ndarray, tail: str) -> None:
    """Records of windows that lie 100 bp or more apart."""
    length = codes.shape[1]
    step = length + 100
    texts = np.frombuffer(b"ACGT", np.uint8)[codes].tobytes().decode()
    records = [
        f">chr1:{row * step}-{row * step + length}(+) {tail}\n{texts[i * length : (i + 1) * length]}\n"
        for i, row in enumerate(rows.tolist())
    ]
    path.write_text("".join(records))


def write_manifest(folder: Path, n_nodes: int, seqlets: int) -> None:
    """manifest.tsv as write_seqlets writes it, nothing dropped."""
    import pandas as pd

    ranks = np.arange(1, n_nodes + 1)
    table = pd.DataFrame(
        {
            "rank": ranks,
            "node": ranks,
            "file": [f"{rank}_n{rank}.fa" for rank in ranks],
            "n_seqlets": seqlets,
            "n_top": seqlets,
            "gc_share": 0.5,
            "repeat_share": 0.0,
        }
    )
    columns = list(load_schema("seqlet_manifest")["properties"])
    write_table(table.reindex(columns=columns, fill_value=0), folder / "manifest.tsv", "seqlet_manifest")


def run(seqlets: Path, arguments, environment: dict[str, str]) -> tuple[float, float, float]:
    """(wall seconds, CPU seconds, peak resident MB) of discover_motifs on a folder, as one chunk."""
    command = [sys.executable, str(ROOT / "scripts" / "discover_motifs.py"), "--fasta", str(seqlets)]
    command += ["--manifest", str(seqlets / "manifest.tsv"), "--chunk", "0", "--chunks", "1"]
    command += ["--background", str(seqlets / "background.fa"), "--output", f"{seqlets}.motifs"]
    command += ["--threads", str(arguments.threads), "--seed", str(arguments.seed), *arguments.options]
    log = Path(f"{seqlets}.log")
    start = time.perf_counter()
    with log.open("w") as handle:
        process = subprocess.Popen(command, stdout=handle, stderr=handle, env=environment)
        _, status, usage = os.wait4(process.pid, 0)  # of this process and its children alone
    wall_s = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"discover_motifs failed:\n{log.read_text()[-3000:]}")
    return wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024  # kilobytes on Linux


if __name__ == "__main__":
    main()
