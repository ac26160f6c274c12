"""Time and memory of `snakemake -n` for wide runs. From the root of the repository:

    python tests/benchmarks/planning.py --repeats 3

Plans need no data, so the inputs are the smallest that are valid: a store of one sequence, 100 bp of genome.
Prints a markdown row for each plan: its jobs, those of them that SLURM is given (the others run beside the
driver), nodes a job that SLURM is given, wall and CPU seconds and the peak resident memory of Snakemake (of
the cheapest of ``--repeats`` runs). The last rows are what every job pays again: Python and Snakemake alone,
and the parse of the workflow.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
import yaml

ROOT = Path(__file__).resolve().parents[2]
DATABASE = ROOT / "config" / "motifs" / "jaspar2026_vertebrates_256.meme"
GRID = {"expansion": [4, 8], "k": [36, 64], "learning_rate": [1.0e-3, 2.0e-3], "seed": [0, 1, 2]}
ONE = {"expansion": [4], "k": [36], "learning_rate": [2.0e-3], "seed": [0]}
RUN = "results/conv1d_2/topk-x4-k36-lr0.002-s0"
NODES = 2944  # that a run keeps
MEME = {"engine": "meme", "chunks": 24}
HEADINGS = "plan | jobs | to SLURM | nodes a job | wall s | CPU s | peak MB"


class Cost(NamedTuple):
    """Wall and CPU seconds, peak resident MB and printed text of one process."""

    wall_s: float
    cpu_s: float
    peak_mb: float
    text: str


def main() -> None:
    """Plan, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3, help="runs of each; the least is printed")
    repeats = parser.parse_args().repeats
    print("|", HEADINGS, "|\n|" + "---|" * len(HEADINGS.split("|")), flush=True)
    say("the demo", cheapest(ROOT, "config/demo.yaml", repeats, "-n"))
    with tempfile.TemporaryDirectory(prefix="biosae_") as name:
        folder = Path(name)
        write_inputs(folder)
        one, grid, wide = (folder / f"{what}.yaml" for what in ("one", "grid", "wide"))
        write_config(one, ONE, motifs=MEME, nulls={"sets": 20}, baselines=[])
        write_config(grid, GRID, motifs=MEME, nulls={"sets": 20})
        write_config(wide, {**ONE, "expansion": [32]}, motifs={"chunks": 8}, baselines=[])
        target = f"{RUN}/meme/3_n127/meme.txt"
        say("1 run, 2,944 nodes, meme in 24 chunks", cheapest(folder, one, repeats, "-n"), NODES)
        say("24 such runs and 6 baselines", cheapest(folder, grid, repeats, "-n"), 30 * NODES)
        say("one node of these runs, by name", cheapest(folder, grid, repeats, "-n", target))
        say("1 run, 20,000 nodes, batched in 8 chunks", cheapest(folder, wide, repeats, "-n"), 20_000)
        finish(folder, one)
        say("1 run, 2,944 nodes, finished", cheapest(folder, one, repeats, "-n"))
        say("Snakemake alone", cheapest(folder, grid, repeats, "--version"))
        say("parse of the workflow", cheapest(folder, grid, repeats, "--list"))


def write_inputs(folder: Path) -> None:
    """Two stores of one sequence and a genome."""
    for split in ("train", "valid"):
        store = folder / split
        store.mkdir()
        with h5py.File(store / "activations_0.h5", "w") as handle:
            handle["activations"] = np.zeros((1, 4, 736), np.float16)
        (store / f"{split}_seqs.bed").write_text("0\t1\t2\tchunk_ind\tinner_ind\nchr1\t20\t36\t0\t0\n")
    (folder / "genome.fa").write_text(">chr1\n" + "ACGTTGCATG" * 10 + "\n")


def write_config(path: Path, grid: dict, **sections: dict) -> None:
    """A config with this grid of runs and these sections."""
    config = {
        "layer": {"name": "conv1d_2"},
        "activations": {"train": "train", "validation": "valid"},
        "genome": "genome.fa",
        "sae": {"grid": grid},
        "matching": {"database": str(DATABASE)},
    }
    path.write_text(yaml.safe_dump({**config, **sections}))


def snakemake(folder: Path, config: str | Path, *words: str) -> Cost:
    """Run Snakemake in ``folder``; time and memory are those of this process and its children alone."""
    command = [sys.executable, "-m", "snakemake", "--profile", str(ROOT / "profiles/local")]
    command += ["--snakefile", str(ROOT / "workflow/Snakefile"), *words, "--configfile", str(config)]
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        start = time.perf_counter()
        process = subprocess.Popen(command, cwd=folder, stdout=output, stderr=errors)
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0), errors.seek(0)
        if process.returncode:
            raise SystemExit(f"Snakemake failed:\n{errors.read()[-3000:]}")
        return Cost(wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, output.read())


def cheapest(folder: Path, config: str | Path, repeats: int, *words: str) -> Cost:
    """The run with the least CPU seconds."""
    return min((snakemake(folder, config, *words) for _ in range(repeats)), key=lambda cost: cost.cpu_s)


def finish(folder: Path, config: Path) -> None:
    """Make every output as an empty file, and let Snakemake note that it is made."""
    for line in snakemake(folder, config, "--summary").text.splitlines()[1:]:
        path = folder / line.split("\t")[0]
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.name != "sets":  # a temporary folder
            path.touch()
    snakemake(folder, config, "--touch")


def counts(text: str) -> dict[str, int]:
    """Rules of a plan and how many jobs each has."""
    table = re.search(r"^job +count\n[- ]+\n(.*?)^total", text, re.M | re.S)
    rows = [line.split() for line in table[1].splitlines()] if table else []
    return {rule: int(count) for rule, count in rows}


def local_rules() -> set[str]:
    """The rules that run beside the driver: of a `localrules` list, or with `localrule: True`."""
    names: set[str] = set()
    for path in [ROOT / "workflow/Snakefile", *(ROOT / "workflow/rules").glob("*.smk")]:
        text = path.read_text()
        for block in re.split(r"^(?= *rule )", text, flags=re.M):
            if "localrule: True" in block:
                names |= set(re.findall(r"^ *rule (\w+):", block, re.M))
        for listed in re.findall(r"^localrules:\n((?: +.*\n)+)", text, re.M):
            names |= set(re.findall(r"\w+", listed))
    return names


def say(plan: str, cost: Cost, nodes: int = 0) -> None:
    """Print a row; ``nodes`` is how many the plan's runs keep together."""
    jobs = counts(cost.text)
    sent = sum(count for rule, count in jobs.items() if rule not in local_rules())
    cells = [plan, f"{sum(jobs.values()):,}", f"{sent:,}", f"{nodes / sent:.0f}" if nodes else "-"]
    cells += [f"{cost.wall_s:.1f}", f"{cost.cpu_s:.1f}", f"{cost.peak_mb:.0f}"]
    print("|", " | ".join(cells), "|", flush=True)


if __name__ == "__main__":
    main()
