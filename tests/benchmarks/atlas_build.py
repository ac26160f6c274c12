"""CPU time, memory, bytes and files of an atlas of made-up nodes. From the repository's root, on one thread:

    PYTHONPATH=scripts OMP_NUM_THREADS=1 python tests/benchmarks/atlas_build.py --nodes 20000 --folder DIR

writes the run of ``atlas_synthetic`` into DIR, unless it is there, builds its atlas in a process of its own
and prints one line of a table.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from atlas_synthetic import write_run
from atlas_synthetic_run import LAYER, RUN

from biosae import cli
from biosae.atlas.payload import decode

PROGRAM = Path(__file__).resolve().parents[2] / "scripts" / "build_atlas.py"


def main() -> None:
    """Write, build, print."""
    parser = cli.program(__doc__)
    add = parser.add_argument
    add("--nodes", type=int, default=20_000, help="kept nodes")
    add("--examples", type=int, default=100, help="examples a node")
    add("--seqlets", type=int, default=200, help="seqlets a node")
    add("--max-mb", type=float, default=120.0, help="size of the folder that is asked for")
    add("--folder", type=Path, required=True, help="where the run lies, or is written")
    arguments = parser.parse_args()
    folder, run = arguments.folder, arguments.folder / LAYER / RUN
    if not (run / "examples.h5").is_file():
        write_run(folder, arguments.nodes, arguments.examples, seqlets=arguments.seqlets)
    command = [sys.executable, PROGRAM, "--run", run, "--database", folder / "database.meme"]
    command += ["--genes", folder / "genes.bed", "--scoreboard", folder / "scoreboard.tsv"]
    command += ["--max-mb", arguments.max_mb, "--output", run / "atlas"]
    # wait4, not the usage of all children: those of this process are not of the build
    process = subprocess.Popen([str(word) for word in command])
    _, status, used = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"the build ended with status {status}")
    sizes = [file.stat().st_size for file in (run / "atlas").rglob("*") if file.is_file()]
    index = decode((run / "atlas" / "data" / "index.js").read_text())
    shown = sum(read_examples(run, name) for name in index["shards"])
    print("| nodes | examples shown | CPU-seconds | peak MB | folder MB | files | nodes a file |")
    print("|---|---|---|---|---|---|---|")
    cpu, peak = used.ru_utime + used.ru_stime, used.ru_maxrss / 1024
    row = [f"{index['n_nodes']:,}", f"{shown:,}", f"{cpu:.0f}", f"{peak:.0f}", f"{sum(sizes) / 1e6:.1f}"]
    print(f"| {' | '.join([*row, str(len(sizes)), str(index['shard_nodes'])])} |")


def read_examples(run: Path, name: str) -> int:
    """Examples of one shard."""
    nodes = decode((run / "atlas" / "data" / f"{name}.js").read_text())["nodes"]
    return sum(node["examples"]["n"] for node in nodes)


if __name__ == "__main__":
    cli.run(main)
