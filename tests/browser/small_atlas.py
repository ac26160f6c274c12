"""A small atlas by docs/atlas_format.md, written without the builder: quick, and with everything odd in it.

130 nodes in three shards; two chromosomes, one with quotes and markup in its name; matches whose target and
database are markup; one node without motif, one with one seqlet, one without examples; missing values.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from small_nodes import (
    BANDS,
    CHROMS,
    MARKUP,
    MARKUP_NODE,
    ONE_SEQLET,
    SHARD,
    WINDOW,
    WITHOUT_MOTIF,
    N,
    Payload,
    letters,
    motif_matrix,
    node,
    node_number,
    targets,
)

from biosae.atlas.page import page_files

ATLAS = "0123456789abcdef"


FACTORS = ["GATA1::TAL1", "CTCF", "SP1", "REST"]


def only(there: list[bool], values: list) -> list:
    """The values where they are there, else None."""
    return [x if t else None for t, x in zip(there, values, strict=True)]


def motif_columns(has: list[bool], named: list[bool]) -> dict[str, list]:
    """Columns of nodes.tsv of best motif and best match."""
    rows = range(N)
    return {
        "best_motif_id": only(has, [f"{row + 1}_n{node_number(row)}_m1" for row in rows]),
        "consensus": only(has, [letters(motif_matrix(row)) for row in rows]),
        "motif_significant": only(has, [row % 5 != 4 for row in rows]),
        "best_match": only(named, [f"MA{row % 4:04d}.1" for row in rows]),
        "target_name": only(named, [FACTORS[row % 4] for row in rows]),
        "match_motif_id": only(named, [f"{row + 1}_n{node_number(row)}_m1" for row in rows]),
        "match_significant": only(named, [True] * N),
        "match_q_value": only(named, [float(f"{3 * 10.0 ** -(row % 50):.3g}") for row in rows]),
        "match_q_null": only(named, [0.01] * N),
        "named_calibrated": only(named, [row % 2 == 0 for row in rows]),
        "motif_q_null": only(has, [0.5] * N),
        "motif_calibrated": only(has, [False] * N),
    }


def table() -> dict[str, list]:
    """Columns of nodes.tsv and umap.tsv, as Python values with None where one is missing."""
    rng = np.random.default_rng(0)
    rows = range(N)
    has = [row != WITHOUT_MOTIF for row in rows]
    named = [has[row] and row % 3 != 2 for row in rows]
    explained = [
        f"factor: {FACTORS[r % 4]}" if named[r] else "repeat: Alu" if r % 2 else "motif without a name"
        for r in rows
    ]
    explained[WITHOUT_MOTIF] = "nothing"
    columns = {
        "rank": [row + 1 for row in rows],
        "node": [node_number(row) for row in rows],
        "mean_act": [float(np.float32(9.5 - 0.05 * row)) for row in rows],
        "max_act": [float(np.float32(20 - 0.07 * row)) for row in rows],
        "density": [float(np.float32(x)) for x in 10 ** rng.uniform(-5, -1, N)],
        "n_seqlets": [1 if row == ONE_SEQLET else 100 + row for row in rows],
        "gc_share": [float(np.float32(x)) for x in rng.uniform(0.2, 0.8, N)],
        "repeat_share": [None if row == ONE_SEQLET else float(np.float32(row / N)) for row in rows],
        **motif_columns(has, named),
        "named": named,
        "explained_by": explained,
        "repeat_class_share": [0.9] * N,
        "repeat_q": [1e-9] * N,
        "seqlets_with_motif": only(has, [float(np.float32(x)) for x in rng.uniform(0, 1, N)]),
        "hits_fired": only(has, [float(np.float32(x)) for x in rng.uniform(0, 1, N)]),
        "stability": [None] * N,
        "umap1": [float(np.float32(x)) for x in rng.normal(size=N)],
        "umap2": [float(np.float32(x)) for x in rng.normal(size=N)],
        "cluster": [row % 9 for row in rows],
    }
    columns["target_name"][MARKUP_NODE] = MARKUP
    return columns


def encode_column(payload: Payload, name: str, values: list) -> dict:
    column = {"name": name, "text": f"what {name} means", "unit": "bp" if name == "n_seqlets" else None}
    there = [x for x in values if x is not None]
    if any(isinstance(x, str) for x in there):
        words = sorted(set(there))
        codes = [65535 if x is None else words.index(x) for x in values]
        return column | {"type": "string", "words": words, "values": payload.put(codes, "u2")}
    if any(isinstance(x, bool) for x in there):
        return column | {
            "type": "boolean",
            "values": payload.put([255 if x is None else x for x in values], "u1"),
        }
    if there and all(isinstance(x, int) for x in there):
        missing = [-2147483648 if x is None else x for x in values]
        return column | {"type": "integer", "values": payload.put(missing, "i4")}
    code = "f8" if any(0 < abs(x) < 1e-37 for x in there) else "f4"
    return column | {
        "type": "number",
        "values": payload.put([np.nan if x is None else x for x in values], code),
    }


def index_head(payload: Payload, sums: dict[str, str], n: int, changes: dict) -> dict:
    columns = [encode_column(payload, name, values[:n]) for name, values in table().items()]
    widths = [0 if row == WITHOUT_MOTIF else 8 for row in range(n)]
    matrices = np.concatenate([np.zeros((0, 4)), *(motif_matrix(row) for row in range(n) if widths[row])])
    names = [f"nodes_{i:04d}" for i in range(-(-n // SHARD))]
    logos = {"widths": payload.put(widths, "u1"), "matrices": payload.put(np.rint(matrices * 255), "u1")}
    head = {"format": 1, "atlas": ATLAS, "name": "index", "n_nodes": n, "shard_nodes": SHARD, "shards": names}
    head |= {"columns": columns, "logos": logos, "sha256": sums, "chroms": CHROMS, "bands": BANDS}
    return head | said_of_the_run() | changes


def said_of_the_run() -> dict:
    """What the index holds beside the nodes."""
    curve = [
        {"step": i, "positions": 1000 * i, "epoch": i / 10, "validation_fvu": 1.1 / (1 + i)}
        | {"train_fvu": 1 / (1 + i) if i else None}
        for i in range(10)
    ]
    board = {"layer": "synthetic", "run": "topk", "figure": "nodes_named", "value": 37, "best_null": "ica"}
    board |= {"null_value": 23, "matched_nodes": 48, "difference": 1.67, "ci_low": -7.89, "ci_high": 9.95}
    null = {"filter": "motif", "null": "genome", "nodes": N, "nodes_passing": 60, "null_expected": 0.3}
    said = {
        "layer": "synthetic",
        "run": "topk-x3-k3",
        "window_bp": WINDOW,
        "stride_bp": 4,
        "assembly": "hg38",
    }
    said |= {"curve": curve, "scoreboard": [board], "nulls": [null], "counts": {"nodes without seqlets": 2}}
    said |= {"evaluation": {"fvu": 0.322, "nested": {"dead": 0}}, "recovery": {"mean_f1": 0.555}}
    said |= {
        "settings": {"kind": "topk", "k": 3},
        "made_by": {"biosae": "0.1.0"},
        "enrichment_sets": ["truth"],
    }
    said |= {"limits": [f"A limit in plain text {MARKUP}.", "A second."], "has_genes": True}
    said |= {"loci": {"shards": ["loci_0000"], "first": [[0, 0]]}}
    said |= {"downloads": [{"path": "files/nodes.tsv", "text": "one row a node", "bytes": 1234567}]}
    return said | {"band_text": [f"What {band} means." for band in BANDS]}


def loci() -> list[tuple[int, int, int]]:
    """(chromosome, start, row) of the one window of each row that the search by place knows."""
    return sorted((row % 2, 5000 * row, row) for row in range(N))


def write_shards(data: Path) -> dict[str, str]:
    """Node, locus and gene shards. Returns the sha256 of each, first 16 digits, of its base64 text."""
    texts = {}
    for number, first in enumerate(range(0, N, SHARD)):
        payload = Payload()
        head = {"atlas": ATLAS, "name": f"nodes_{number:04d}", "first": first}
        head["nodes"] = [node(payload, row) for row in range(first, min(N, first + SHARD))]
        texts[head["name"]] = payload.text(head)
    payload = Payload()
    chrom, start, row = zip(*loci(), strict=True)
    head = {
        "atlas": ATLAS,
        "name": "loci_0000",
        "chrom": payload.put(chrom, "u2"),
        "start": payload.put(start, "i4"),
        "row": payload.put(row, "u2"),
        "n": N,
    }
    texts["loci_0000"] = payload.text(head)
    payload = Payload()
    texts["targets"] = payload.text({"atlas": ATLAS, "name": "targets", "targets": targets(payload)})
    payload = Payload()
    head = {"atlas": ATLAS, "name": "genes", "genes": ["CTCF", "TP53"], "chrom": payload.put([0, 1], "u2"),
            "start": payload.put([9990, 5000], "i4"), "end": payload.put([20010, 5100], "i4")}  # fmt: skip
    texts["genes"] = payload.text(head)
    for name, text in texts.items():
        write_script(data, name, text)
    return {name: hashlib.sha256(text.encode()).hexdigest()[:16] for name, text in texts.items()}


def write_script(data: Path, name: str, text: str) -> None:
    (data / f"{name}.js").write_text(f'atlas("{name}", "{text}")\n')


def write_atlas(folder: Path, n: int = N, **changes) -> Path:
    """Write the atlas into a new folder, its first `n` nodes in the index; `changes` replace keys of that.

    Returns:
        path of index.html
    """
    data = folder / "data"
    data.mkdir(parents=True)
    for name, content in page_files().items():
        (folder / name).write_bytes(content)
    (folder / "files").mkdir()
    (folder / "files" / "nodes.tsv").write_text("rank\tnode\n")
    sums = write_shards(data)
    payload = Payload()
    write_script(data, "index", payload.text(index_head(payload, sums, n, changes)))
    return folder / "index.html"
