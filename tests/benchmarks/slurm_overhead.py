"""What SLURM costs: one job a node against nodes in chunks, on the throw-away cluster of tests/slurm.

    PYTHONPATH=scripts python tests/benchmarks/slurm_overhead.py [--nodes 30] [--repeats 5] [--jobs 40]

Finishes the tiny run of the tests first (a minute). Then, in turn: the motifs of some nodes as one job a
node, and the motifs of all nodes in the run's chunks; and jobs of no work at all, for the bare cost of a job.
Wall seconds of a driver from start to end, CPU seconds of the machine meanwhile (driver, servers and jobs).
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "slurm"))

from cluster import Cluster
from project import Project, finished_project
from stages import RUN

TRIVIAL = """
rule all:
    input:
        expand("made/{{number}}.txt", number=range({jobs})),


rule make_one:
    output:
        "made/{{number}}.txt",
    resources:
        mem_mb=500,
        runtime=5,
    shell:
        "touch {{output:q}}"
"""


def cpu_seconds() -> float:
    """CPU seconds of all processes since the machine's start."""
    ticks = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
    user, nice, system, _, _, irq, softirq, steal = map(int, ticks)
    return (user + nice + system + irq + softirq + steal) / 100


def timed(project: Project, *words: str) -> tuple[float, float, int]:
    """Wall seconds, CPU seconds and SLURM jobs of one driver."""
    before, busy, start = len(project.cluster.finished()), cpu_seconds(), time.monotonic()
    done = project.snakemake(*words)
    if done.returncode:
        raise RuntimeError(done.stderr[-4000:])
    wall, cpu = time.monotonic() - start, cpu_seconds() - busy
    project.wait_for_queue()
    return wall, cpu, len(project.cluster.finished()) - before


def measure(project: Project, nodes: int) -> dict[str, tuple[float, float, int]]:
    """One job a node, and chunks, each from a state in which no motif was made."""
    project.restore()
    names = sorted(path.parent.name for path in (project.results / RUN / "meme").glob("*/meme.txt"))[:nodes]
    if len(names) < nodes:
        raise ValueError(f"the tiny run keeps {len(names)} nodes, fewer than {nodes}")
    single = [f"{RUN}/meme/{name}/meme.txt" for name in names]
    chunks = [f"{RUN}/motifs/chunk_{i}.tsv" for i in range(project.config["motifs"]["chunks"])]
    project.remove(*single)
    found = {"one job a node": timed(project, *(f"results/{name}" for name in single))}
    project.restore()
    project.remove(f"{RUN}/motifs/*")
    found["chunks"] = timed(project, *(f"results/{name}" for name in chunks))
    return found


def trivial(project: Project, jobs: int) -> tuple[float, float, int]:
    """Jobs of no work in a workflow of their own: what Snakemake and SLURM cost, without our parsing."""
    folder = project.folder / "trivial"
    (folder / "profiles").mkdir(parents=True, exist_ok=True)
    (folder / "workflow").mkdir(exist_ok=True)
    (folder / "profiles" / "slurm").symlink_to(project.folder / "profiles" / "slurm")
    (folder / "workflow" / "Snakefile").write_text(TRIVIAL.format(jobs=jobs))
    return timed(Project(folder, project.pristine, {}, project.cluster))


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--nodes", type=int, default=30, help="nodes whose motifs are made")
    parser.add_argument("--repeats", type=int, default=5, help="times that both are done, in turn")
    parser.add_argument("--jobs", type=int, default=40, help="jobs of no work")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        cluster = Cluster(Path(name) / "cluster").start()
        try:
            project = finished_project(Path(name) / "world", cluster)
            rounds = [measure(project, args.nodes) for _ in range(args.repeats)]
            bare = trivial(project, args.jobs)
        finally:
            cluster.stop()
    print("| what | SLURM jobs | wall s, median | least | most | CPU s, median |\n|---|---|---|---|---|---|")
    for what in rounds[0]:
        wall, cpu, jobs = zip(*(one[what] for one in rounds), strict=True)
        print(
            f"| {args.nodes} nodes, {what} | {jobs[0]} | {statistics.median(wall):.1f} | {min(wall):.1f} "
            f"| {max(wall):.1f} | {statistics.median(cpu):.1f} |"
        )
    wall, cpu, jobs = bare
    print(f"| jobs of no work | {jobs} | {wall:.1f} | | | {cpu:.1f} ({cpu / jobs:.2f} a job) |")
    ratios = [one["chunks"][0] / one["one job a node"][0] for one in rounds]
    print(f"\nchunks / one job a node, wall: median {statistics.median(ratios):.2f}")


if __name__ == "__main__":
    main()
