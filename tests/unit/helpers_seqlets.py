"""Small genomes, top activations and run folders for the tests of seqlets and landscape."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from biosae.artefacts import load_schema, write_table, write_text
from biosae.geometry import Layer
from biosae.seqlets import TOP_COLUMNS

TINY = Layer("tiny", "", 2, 4, 3, 7)  # output j reads [4j - 3, 4j + 7): 10 bp
LETTERS = np.frombuffer(b"ACGT", dtype=np.uint8)


def random_dna(n_bases: int, seed: int) -> str:
    return LETTERS[np.random.default_rng(seed).integers(4, size=n_bases)].tobytes().decode()


def write_genome(path: Path, chromosomes: dict[str, str], width: int = 50) -> Path:
    lines = []
    for name, text in chromosomes.items():
        lines += [f">{name}", *(text[i : i + width] for i in range(0, len(text), width))]
    path.write_text("\n".join(lines) + "\n")
    return path


def top_table(records: list[tuple], layer: Layer = TINY) -> pd.DataFrame:
    """Top activations from (node, activation, chrom, start), ranked within their node."""
    top = pd.DataFrame(records, columns=["node", "activation", "chrom", "start"])
    top = top.sort_values(["node", "activation"], ascending=[True, False], kind="stable", ignore_index=True)
    top["rank"] = top.groupby("node").cumcount() + 1
    top["end"] = top["start"] + layer.window_bp
    top["strand"] = "+"
    types = {"node": "int32", "rank": "int32", "activation": "float32", "start": "int64", "end": "int64"}
    return top[TOP_COLUMNS].astype(types)


def selected_table(nodes: list[int]) -> pd.DataFrame:
    """`nodes` as a valid selection, rank 1 first; statistics are placeholders."""
    table = {}
    for name, rule in load_schema("selected_nodes")["properties"].items():
        is_text = "string" in rule["type"]
        table[name] = [",".join("0" * 32) if is_text else rule.get("minimum", 0)] * len(nodes)
    table["rank"], table["node"] = list(range(1, len(nodes) + 1)), nodes
    return pd.DataFrame(table).astype({"rank": "int64", "node": "int64"})


def write_run(
    folder: Path,
    records: list[tuple],
    nodes: list[int],
    intervals: list[list],
    layer: Layer = TINY,
    n_nodes: int = 8,
) -> Path:
    """A run folder with top_activations.parquet and selected_nodes.tsv."""
    folder.mkdir(parents=True, exist_ok=True)
    top = top_table(records, layer).assign(file=np.int32(0), row=np.int32(0), position=np.int32(0))
    metadata = {
        "provenance": {},
        "layer": layer.as_dict(),
        "n_nodes": n_nodes,
        "sequences": len(intervals),
        "positions": 100,
        "rows": 100 * len(intervals),
        "top_per_part": 8,
        "parts_per_sequence": 4,
        "intervals": intervals,
    }
    order = ["node", "rank", "activation", "file", "row", "position", "chrom", "start", "end", "strand"]
    table = pa.Table.from_pandas(top[order], preserve_index=False)
    table = table.replace_schema_metadata({b"biosae": json.dumps(metadata).encode()})
    pq.write_table(table, folder / "top_activations.parquet")
    write_table(selected_table(nodes), folder / "selected_nodes.tsv", "selected_nodes")
    return folder


def write_seqlet_folder(
    run: Path, sites: dict[int, list[tuple[str, int]]], window_bp: int = 10, background: list[tuple] = ()
) -> Path:
    """RUN/seqlets as the landscape reads it: manifest, BED and background from (chrom, start) per node."""
    folder = run / "seqlets"
    folder.mkdir(parents=True, exist_ok=True)
    rows, lines = [], []
    for rank, (node, places) in enumerate(sites.items(), start=1):
        drops = dict.fromkeys(
            ("dropped_off_chromosome", "dropped_n", "dropped_overlap", "dropped_over_limit"), 0
        )
        rows.append(
            {"rank": rank, "node": node, "file": f"{rank}_n{node}.fa", "n_seqlets": len(places)}
            | {"n_top": len(places), **drops, "gc_share": 0.5, "repeat_share": 0.0}
        )
        for i, (chrom, start) in enumerate(places, start=1):
            lines.append((chrom, start, start + window_bp, rank, node, i))
    lines.sort()
    bed = "".join(f"{c}\t{s}\t{e}\t{r}_n{n}\t1000\t+\t1\t{i}\n" for c, s, e, r, n, i in lines)
    (folder / "seqlets.bed.gz").write_bytes(gzip.compress(bed.encode(), mtime=0))
    columns = list(load_schema("seqlet_manifest")["properties"])
    write_table(pd.DataFrame(rows, columns=columns), folder / "manifest.tsv", "seqlet_manifest")
    fasta = "".join(f">{c}:{s}-{s + window_bp}(+) background\n{'A' * window_bp}\n" for c, s in background)
    write_text(folder / "background.fa", fasta)
    return run
