"""Run Snakemake on a copy of the project in a folder whose name has spaces and quotes."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

import warm_snakemake
from biosae import artefacts

ROOT = Path(__file__).resolve().parents[2]
SAE = "topk-x4-k4-lr0.003-s0"  # the run of the tiny config that is no baseline
PLANTED = ("MA0139.2", "MA0062.4", "MA0046.3", "MA0113.4", "MA0052.5")
PARTS = ("workflow", "scripts", "envs", "profiles", "config")


def copy_project(folder: Path) -> Path:
    """Copy what runs into ``folder`` and return it."""
    for part in PARTS:
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def environment() -> dict:
    """This process's environment with this interpreter's programs first on the path."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | {"PATH": path}


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess:
    """Run a command in ``folder``."""
    return subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, check=False)


def snakemake(folder: Path, config: dict, *arguments: str) -> subprocess.CompletedProcess:
    """Run Snakemake with ``config`` and the local profile."""
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    # targets come first: --configfile takes every word that follows it
    words = ["--profile", "profiles/local", *arguments, "--configfile", "config.yaml"]
    return warm_snakemake.run(words, folder, environment())


def planned(result: subprocess.CompletedProcess) -> dict[str, int]:
    """The rules of a dry run and how often each would run, without ``all``."""
    if result.returncode:
        raise RuntimeError(result.stdout + result.stderr)
    table = re.search(r"^job +count\n[- ]+\n(.*?)^total", result.stdout, re.M | re.S)
    if table is None:
        return {}
    counts = {line.split()[0]: int(line.split()[1]) for line in table[1].splitlines() if line.strip()}
    counts.pop("all", None)
    return counts


def simulate_command() -> list[str]:
    """The command that writes the tiny world into ``data/``."""
    return [
        sys.executable,
        "scripts/simulate_activations.py",
        *("--database", "config/motifs/jaspar2026_vertebrates_256.meme"),
        *("--genome-bp", "300000", "--chromosomes", "2", "--instances-per-motif", "120"),
        *("--repeat-copies", "60", "--low-complexity-tracts", "40"),
        *("--motif-ids", *PLANTED),
        *("--n-channels", "10", "--seed", "3", "--random-model", "--output", "data"),
    ]


def tiny_config(folder: Path) -> dict:
    """A config that runs in about a minute on the tiny world, taken as a user's own data."""
    layer = json.loads((folder / "data" / "network.json").read_text())["layer"]
    geometry = {key: layer[key] for key in ("channels", "stride_bp", "left_bp", "right_bp")}
    return {
        "layer": {"name": "tiny", **geometry},
        "activations": {
            "train": "data/activations/train",
            "validation": "data/activations/validation",
            "pad_bp": 1024,
        },
        "genome": "data/genome.fa",
        "sae": {
            "grid": {"expansion": [4], "k": [4], "learning_rate": [0.003]},
            "max_positions": 100_000,
            "epochs": 4,
            "batch_rows": 512,
        },
        "baselines": ["raw"],
        "encode": {"top_per_part": 16},
        "select": {"min_nonzero": 20, "min_above_half": 10},
        "seqlets": {"background_windows": 2000},
        "motifs": {"chunks": 2},
        "nulls": {"sets": 40, "pool_windows": 20_000},
        "matching": {"database": "config/motifs/jaspar2026_vertebrates_256.meme"},
        "landscape": {
            "n_clusters": 5,
            "annotations": [{"name": "truth", "path": "data/truth/annotations.bed"}],
        },
    }


def first_node(folder: Path, run: str) -> str:
    """``{rank}_n{node}`` of the first kept node of a run of the tiny config."""
    manifest = artefacts.read_table(folder / f"results/tiny/{run}/seqlets/manifest.tsv", "seqlet_manifest")
    return f"{manifest['rank'].iloc[0]}_n{manifest['node'].iloc[0]}"
