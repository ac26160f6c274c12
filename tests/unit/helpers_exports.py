"""A small finished run with planted sites: what the exports of a run are made from."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from safetensors.numpy import save_file

import summarise_nodes
from biosae.artefacts import read_table, write_json, write_table, write_text
from biosae.motifs.formats import read_meme
from biosae.seqlets import bed_text
from unit.helpers_page import make_run, manifest
from unit.helpers_seqlets import random_dna, write_genome

WINDOW_BP, CHANNELS = 24, 8
COMPLEMENT = str.maketrans("ACGT", "TGCA")


def finished_run(
    folder: Path, monkeypatch, n_nodes: int = 6, counts: list[int] | None = None, **options
) -> tuple[Path, Path, pd.DataFrame]:
    """A run with seqlets that carry the first motif of their node, its genome, and where the motif lies.

    Args:
        counts: seqlets of each node, by rank; by default 5, 6, 7, ...
        options: of ``make_run``.

    Returns:
        Run folder, genome, and one row a seqlet that holds a planted motif (motif_id, seqlet_rank, chrom,
        start, offset, reverse): its first base lies ``offset`` after the window's start.
    """
    run = make_run(folder, n_nodes=n_nodes, **options)
    nodes = read_table(run / "selected_nodes.tsv", "selected_nodes")["node"].tolist()
    counts = list(range(5, 5 + n_nodes)) if counts is None else counts
    rng = np.random.default_rng(7)
    genome = {"chr1": list(random_dna(4000, 1)), "chr\"2'": list(random_dna(3000, 2))}
    rows, planted = [], []
    matrices = {motif.id: motif for motif in read_meme(run / "motifs.meme")}
    for number, (rank, own, n) in enumerate(zip(range(1, n_nodes + 1), nodes, counts, strict=True)):
        for i in range(n):
            chrom = list(genome)[int(rng.integers(2))]
            start = 100 + 40 * (number * 10 + i)
            rows.append((rank, own, i + 1, float(n - i), chrom, start, start + WINDOW_BP))
            motif = matrices.get(f"{rank}_n{own}_m1")
            if motif is not None:
                planted.append(_plant(genome[chrom], motif, chrom, start, i, rng))
    table = pd.DataFrame(rows, columns=["rank", "node", "seqlet_rank", "activation", "chrom", "start", "end"])
    texts = {chrom: "".join(letters) for chrom, letters in genome.items()}
    fasta = write_genome(folder / "genome of the run.fa", texts)
    _write_seqlets(run, nodes, counts, table, texts)
    _write_checkpoint(run, 4 * max(n_nodes, 1), rng)
    monkeypatch.setattr(
        sys, "argv", ["summarise_nodes", "--run", str(run), "--output", str(run / "nodes.tsv")]
    )
    summarise_nodes.main()
    columns = ["motif_id", "seqlet_rank", "chrom", "start", "offset", "reverse"]
    return run, fasta, pd.DataFrame(planted, columns=columns)


def _write_checkpoint(run: Path, n_nodes: int, rng: np.random.Generator) -> None:
    directions = rng.normal(size=(CHANNELS, n_nodes)).astype(np.float32)
    save_file({"decoder.weight": directions}, run / "checkpoint" / "model.safetensors")
    structure = {"kind": "topk", "n_nodes": n_nodes, "channels": CHANNELS, "k": 4}
    write_json(run / "checkpoint" / "config.json", {**structure, "role": "sae"})


def _plant(letters: list[str], motif, chrom: str, start: int, i: int, rng) -> tuple:
    """Write the motif's best word into the window, every other time on the other strand."""
    word, reverse = motif.likeliest_letters, bool(i % 2)
    offset = int(rng.integers(WINDOW_BP - len(word) + 1))
    text = word[::-1].translate(COMPLEMENT) if reverse else word
    letters[start + offset : start + offset + len(word)] = text
    return motif.id, i + 1, chrom, start, offset, reverse


def _write_seqlets(run: Path, nodes, counts, table: pd.DataFrame, texts: dict[str, str]) -> None:
    folder = run / "seqlets"
    write_table(manifest(nodes).assign(n_seqlets=counts), folder / "manifest.tsv", "seqlet_manifest")
    for rank, node in enumerate(nodes, 1):
        own = table[table["node"] == node]
        records = [
            f">{r.chrom}:{r.start}-{r.end}(+) node={node} rank={r.seqlet_rank} act={r.activation:.4g}\n"
            f"{texts[r.chrom][r.start : r.end]}\n"
            for r in own.itertuples()
        ]
        write_text(folder / f"{rank}_n{node}.fa", "".join(records))
    write_text(folder / "seqlets.bed.gz", bed_text(table))
    background = (f">b{i}\n{random_dna(WINDOW_BP, 100 + i)}\n" for i in range(200))
    write_text(folder / "background.fa", "".join(background))


def exports_of(run: Path) -> pd.DataFrame:
    """Rows of exports.tsv by file."""
    return read_table(run / "exports" / "exports.tsv", "exports").set_index("file")


def windows_of(run: Path) -> pd.DataFrame:
    """Rows of seqlets.bed.gz."""
    names = ["chrom", "start", "end", "name", "score", "strand", "activation", "seqlet_rank"]
    return pd.read_csv(run / "seqlets/seqlets.bed.gz", sep="\t", header=None, names=names, quoting=3)
