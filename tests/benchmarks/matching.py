"""Agreement of ``comparison`` with the MEME Suite's tomtom, and its CPU time. From the repository's root:

    PYTHONPATH=scripts OMP_NUM_THREADS=1 python tests/benchmarks/matching.py

Compares the 100 recorded queries with JASPAR 2026 CORE vertebrates (1,019 matrices; the files are in
tests/data) and prints, against what ``tomtom -dist pearson -min-overlap 5`` of MEME Suite 5.5.8 wrote for the
pairs with p < 0.05: |d log10 p|, sets and alignments; CPU-seconds on one thread, beside the 42.6 that tomtom
took; CPU-seconds of a new process, without and with compiled kernels.
"""

from __future__ import annotations

import gzip
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from biosae import cli
from biosae.motifs.comparison import DISTANCES, Comparison, compare, prepare_targets, warm_up
from biosae.motifs.formats import Motif, read_meme

DATA = Path(__file__).parents[1] / "data" / "meme_suite_5.5.8"
TOMTOM_CPU_S = 42.6  # recorded with the data
MIN_OVERLAP_BP = 5  # of the recorded run
CLEAR_P = 1e-3  # agreement is stated for pairs below this
SIGNIFICANT_E = 0.05


def main() -> None:
    """Print both tables."""
    parser = cli.program(__doc__)
    parser.add_argument("--repeats", type=int, default=3, help="timings are the least of this many")
    arguments = parser.parse_args()
    queries, targets = read_meme(DATA / "queries_100.meme"), read_jaspar()
    warm_up()
    print(f"{len(queries)} queries x {len(targets)} targets\n")
    print_agreement(
        compare(queries, targets, min_overlap=MIN_OVERLAP_BP), recorded(queries, targets), len(targets)
    )
    print("\n| CPU-seconds | | against tomtom's 42.6 |\n|---|---|---|")
    for distance in DISTANCES:
        seconds = min(timed(queries, targets, distance) for _ in range(arguments.repeats))
        print(f"| compare, {distance}, one thread | {seconds:.3f} | {TOMTOM_CPU_S / seconds:.0f} x |")
    with tempfile.TemporaryDirectory() as cache:
        for text in (
            "new process, empty cache (compiles)",
            "new process, compiled kernels",
        ):
            print(f"| {text} | {new_process(cache):.2f} | |")


def read_jaspar() -> list[Motif]:
    """The packed database."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "jaspar.meme"
        path.write_bytes(gzip.decompress((DATA / "JASPAR2026_CORE_vertebrates.meme.gz").read_bytes()))
        return read_meme(path)


def recorded(queries: list[Motif], targets: list[Motif]) -> pd.DataFrame:
    """What tomtom wrote, with the indices of query and target in columns i and j."""
    table = pd.read_csv(DATA / "tomtom_queries_100_vs_jaspar2026.tsv.gz", sep="\t", comment="#")
    for column, name, motifs in (("i", "Query_ID", queries), ("j", "Target_ID", targets)):
        table[column] = table[name].map({motif.id: at for at, motif in enumerate(motifs)})
    return table


def print_agreement(ours: Comparison, table: pd.DataFrame, n_targets: int) -> None:
    """One line per figure."""
    at = (table["i"].to_numpy(), table["j"].to_numpy())
    table = table.assign(
        difference=np.abs(ours.log10_p[at] - np.log10(table["p-value"])),
        offset=ours.offset[at] == table["Optimal_offset"],
        overlap=ours.overlap[at] == table["Overlap"],
        strand=np.where(ours.reverse[at], "-", "+") == table["Orientation"],
    )
    print("| pairs | number | abs. d log10 p, max | 95 % | offset equal | overlap equal | strand equal |")
    print("|---|---|---|---|---|---|---|")
    for text, part in (("p < 0.001", table[table["p-value"] < CLEAR_P]), ("p < 0.05", table)):
        spread = f"{part['difference'].max():.1e} | {part['difference'].quantile(0.95):.1e}"
        equal = " | ".join(str(part[name].sum()) for name in ("offset", "overlap", "strand"))
        print(f"| {text} | {len(part)} | {spread} | {equal} |")
    mine = set(zip(*np.nonzero(10**ours.log10_p * n_targets < SIGNIFICANT_E), strict=True))
    significant = table[table["E-value"] < SIGNIFICANT_E]
    theirs = set(zip(significant["i"], significant["j"], strict=True))
    print(
        f"\npairs at E < {SIGNIFICANT_E}: ours {len(mine)}, tomtom {len(theirs)}, both {len(mine & theirs)}"
    )
    best = [
        set(part.loc[part["p-value"] == part["p-value"].min(), "j"])
        == set(np.flatnonzero(np.isclose(ours.log10_p[i], ours.log10_p[i].min(), rtol=0, atol=1e-9)))
        for i, part in table.groupby("i")
    ]
    print(f"queries with the same best match (ties as sets): {sum(best)} of {len(best)}")


def timed(queries: list[Motif], targets: list[Motif], distance: str) -> float:
    """CPU-seconds of preparing the targets and comparing all queries."""
    start = time.process_time()
    compare(queries, prepare_targets(targets, distance), distance, min_overlap=MIN_OVERLAP_BP)
    return time.process_time() - start


def new_process(cache: str) -> float:
    """CPU-seconds of a Python that imports ``comparison`` and warms it up."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    code = "from biosae.motifs.comparison import warm_up; warm_up()"
    subprocess.run([sys.executable, "-c", code], env={**os.environ, "NUMBA_CACHE_DIR": cache}, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
