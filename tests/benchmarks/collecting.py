"""Time and memory of collect_motifs for many nodes. From the root of the repository:

    python tests/benchmarks/collecting.py --nodes 2944 20000

Writes the chunks of a run as discover_motifs leaves them, with made-up motifs (2 a node, 400 held-out
seqlets each, a folder a node), runs ``scripts/collect_motifs.py`` on them as a process, and prints a markdown
row: wall and CPU seconds and peak resident memory. As many folders of an earlier selection lie beside, which
it removes.
"""

from __future__ import annotations

import argparse
import gzip
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "scripts")]

from biosae.artefacts import conform, load_schema, write_table  # noqa: E402  (the path comes first)
from biosae.motifs.formats import Motif, write_meme  # noqa: E402

MOTIFS = 2  # a node
HELD_OUT = 400  # seqlets a motif
CHROMOSOMES = [f"chr{number}" for number in range(1, 23)]


def main() -> None:
    """Write, collect, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--nodes", type=int, nargs="+", default=[2944], help="nodes of a run")
    parser.add_argument("--chunks", type=int, default=8, help="chunks that they are dealt to")
    given = parser.parse_args()
    print("| nodes | chunks | wall s | CPU s | peak MB |\n|---|---|---|---|---|", flush=True)
    for nodes in given.nodes:
        with tempfile.TemporaryDirectory(prefix="biosae_") as name:
            write_run(Path(name), nodes, given.chunks)
            wall_s, cpu_s, peak_mb = collect(Path(name), given.chunks)
        print(f"| {nodes:,} | {given.chunks} | {wall_s:.1f} | {cpu_s:.1f} | {peak_mb:.0f} |", flush=True)


def write_run(run: Path, nodes: int, chunks: int) -> None:
    """manifest.tsv, the files of each chunk, and in meme/ a folder of each node and as many stale ones."""
    ranks = np.arange(1, nodes + 1)
    names = [f"{rank}_n{rank}" for rank in ranks]
    manifest = pd.DataFrame({"rank": ranks, "node": ranks, "file": [f"{name}.fa" for name in names]})
    columns = list(load_schema("seqlet_manifest")["properties"])
    write_table(manifest.reindex(columns=columns, fill_value=0), run / "manifest.tsv", "seqlet_manifest", {})
    for name in [*names, *(f"{rank}_n{nodes + rank}" for rank in ranks)]:
        (run / "meme" / name).mkdir(parents=True)
        (run / "meme" / name / "meme.txt").touch()
    for chunk in range(chunks):
        write_chunk(run, chunk, ranks[chunk::chunks])


def write_chunk(run: Path, chunk: int, ranks: np.ndarray) -> None:
    """The four files of one chunk."""
    rng = np.random.default_rng(chunk)
    pairs = [(rank, motif) for rank in ranks.tolist() for motif in range(1, MOTIFS + 1)]
    ids = [f"{rank}_n{rank}_m{motif}" for rank, motif in pairs]
    rows = dict.fromkeys(load_schema("motif_chunk")["properties"])
    rows |= {"motif_id": ids, "rank": [rank for rank, _ in pairs], "node": [rank for rank, _ in pairs]}
    rows |= {"motif": [motif for _, motif in pairs], "consensus": "ACGTACGT", "width": 8, "n_sites": 200}
    rows |= {"n_seqlets": 1000, "log10_p": -rng.exponential(3, len(ids)), "engine": "batched"}
    rows |= {"p_value": 0.001, "e_value": 0.002, "log10_e": -2.7, "information_bits": 9.0}
    write_table(conform(pd.DataFrame(rows), "motif_chunk"), run / f"chunk_{chunk}.tsv", "motif_chunk", {})
    matrices = rng.dirichlet(np.ones(4), (len(ids), 8))
    write_meme(
        run / f"chunk_{chunk}.meme", [Motif(i, "A", m, 200.0) for i, m in zip(ids, matrices, strict=True)]
    )
    status = {
        "rank": ranks,
        "node": ranks,
        "status": "ok",
        "n_seqlets": 1000,
        "n_motifs": MOTIFS,
        "message": None,
    }
    write_table(
        conform(pd.DataFrame(status), "motif_status"), run / f"status_{chunk}.tsv", "motif_status", {}
    )
    write_evidence(run / f"held_out_{chunk}.tsv.gz", ids, rng)


def write_evidence(path: Path, ids: list[str], rng: np.random.Generator) -> None:
    """HELD_OUT seqlets and one row of controls for each motif, as held_out holds them."""
    with gzip.open(path, "wt", compresslevel=1) as handle:
        handle.write("\t".join(load_schema("held_out")["properties"]) + "\n")
        for motif_id in ids:
            chrom = rng.choice(CHROMOSOMES, HELD_OUT)
            start, hit = rng.integers(0, 10**8, HELD_OUT), rng.integers(0, 2, HELD_OUT)
            rows = zip(chrom, start, hit, strict=True)
            handle.writelines(f"{motif_id}\tseqlets\t{c}\t{s}\t0\t1\t{h}\n" for c, s, h in rows)
            handle.write(f"{motif_id}\tcontrols\t\t\t0\t2000\t30\n")


def collect(run: Path, chunks: int) -> tuple[float, float, float]:
    """(wall seconds, CPU seconds, peak resident MB) of collect_motifs."""
    command = [sys.executable, str(ROOT / "scripts/collect_motifs.py"), "--manifest", "manifest.tsv"]
    kinds = {"chunks": "chunk_{}.tsv", "memes": "chunk_{}.meme", "statuses": "status_{}.tsv"}
    for option, name in {**kinds, "held-out": "held_out_{}.tsv.gz"}.items():
        command += [f"--{option}", *(name.format(chunk) for chunk in range(chunks))]
    command += ["--meme-dir", "meme", "--output-table", "motifs.tsv", "--output-meme", "motifs.meme"]
    start = time.perf_counter()
    with (run / "log").open("w") as log:
        process = subprocess.Popen(
            [*command, "--output-held-out", "held_out.tsv.gz"], cwd=run, stdout=log, stderr=log
        )
        _, status, usage = os.wait4(process.pid, 0)
    wall_s = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"collect_motifs failed:\n{(run / 'log').read_text()[-3000:]}")
    return wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


if __name__ == "__main__":
    main()
