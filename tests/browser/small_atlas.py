"""A small atlas by docs/atlas_format.md, written without the builder: quick, and with everything odd that a page must bear.

130 nodes in three shards; two chromosomes, one with quotes and markup in its name; matches whose target and database are markup;
one node without motif, one with one seqlet, one without examples; a column with missing values.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from pathlib import Path

import numpy as np

from biosae.atlas.page import page_files

ATLAS = "0123456789abcdef"
N, SHARD, WINDOW = 130, 64, 22
CHROMS = ["chr1", "chr\"2'><img src=x onerror=alert(1)>"]
MARKUP = "<img src=x onerror=alert(1)>"
BANDS = ["top", "band 1", "band 2", "band 3", "random positive", "near miss"]
PER_BAND = [100, 4, 4, 4, 4, 3]
WITHOUT_MOTIF, ONE_SEQLET, WITHOUT_EXAMPLES, MARKUP_NODE = 7, 9, 11, 3  # rows
CODES = {"f4": "<f4", "f8": "<f8", "u1": "u1", "i1": "i1", "u2": "<u2", "i2": "<i2", "u4": "<u4", "i4": "<i4"}


class Payload:
    """Collects arrays and gives references to them."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.size = 0

    def put(self, values, code: str) -> dict:
        array = np.ascontiguousarray(values, dtype=CODES[code])
        raw = array.tobytes()
        at = self.size
        raw += b"\0" * (-len(raw) % 8)
        self.parts.append(raw)
        self.size += len(raw)
        return {"at": at, "type": code, "shape": list(array.shape)}

    def text(self, head: dict) -> str:
        body = json.dumps(head, allow_nan=False).encode()
        body += b" " * (-(4 + len(body)) % 8)
        raw = len(body).to_bytes(4, "little") + body + b"".join(self.parts)
        return base64.b64encode(gzip.compress(raw, mtime=0)).decode()


def node_number(row: int) -> int:
    """Hidden unit of a row: not its rank, so that the two cannot be taken for each other."""
    return 1000 - 7 * row


def motif_matrix(row: int, width: int = 8) -> np.ndarray:
    """(w, 4) probabilities of the best motif of a row."""
    rng = np.random.default_rng(row)
    best = rng.integers(0, 4, width)
    strength = rng.uniform(0.5, 0.97, width)
    matrix = np.repeat((1 - strength)[:, None] / 3, 4, axis=1)
    matrix[np.arange(width), best] = strength
    return matrix.astype(np.float32)


def letters(matrix: np.ndarray) -> str:
    return "".join("ACGT"[i] for i in matrix.argmax(1))


def table() -> dict[str, list]:
    """Columns of nodes.tsv and umap.tsv, as Python values with None where one is missing."""
    rng = np.random.default_rng(0)
    rows = range(N)
    has = [row != WITHOUT_MOTIF for row in rows]
    named = [has[row] and row % 3 != 2 for row in rows]
    names = ["GATA1::TAL1", "CTCF", "SP1", "REST"]
    explained = [
        f"factor: {names[r % 4]}" if named[r] else "repeat: Alu" if r % 2 else "motif without a name"
        for r in rows
    ]
    explained[WITHOUT_MOTIF] = "nothing"

    def if_(there, values):
        return [x if t else None for t, x in zip(there, values, strict=True)]

    columns = {
        "rank": [row + 1 for row in rows],
        "node": [node_number(row) for row in rows],
        "mean_act": [float(np.float32(9.5 - 0.05 * row)) for row in rows],
        "max_act": [float(np.float32(20 - 0.07 * row)) for row in rows],
        "density": [float(np.float32(x)) for x in 10 ** rng.uniform(-5, -1, N)],
        "n_seqlets": [1 if row == ONE_SEQLET else 100 + row for row in rows],
        "gc_share": [float(np.float32(x)) for x in rng.uniform(0.2, 0.8, N)],
        "repeat_share": [None if row == ONE_SEQLET else float(np.float32(row / N)) for row in rows],
        "best_motif_id": if_(has, [f"{row + 1}_n{node_number(row)}_m1" for row in rows]),
        "consensus": if_(has, [letters(motif_matrix(row)) for row in rows]),
        "motif_significant": if_(has, [row % 5 != 4 for row in rows]),
        "best_match": if_(named, [f"MA{row % 4:04d}.1" for row in rows]),
        "target_name": if_(named, [names[row % 4] for row in rows]),
        "match_q_value": if_(named, [float(f"{3 * 10.0 ** -(row % 50):.3g}") for row in rows]),
        "match_q_null": if_(named, [0.01] * N),
        "named": named,
        "named_calibrated": if_(named, [row % 2 == 0 for row in rows]),
        "motif_q_null": if_(has, [0.5] * N),
        "motif_calibrated": if_(has, [False] * N),
        "explained_by": explained,
        "repeat_class_share": [0.9] * N,
        "repeat_q": [1e-9] * N,
        "seqlets_with_motif": if_(has, [float(np.float32(x)) for x in rng.uniform(0, 1, N)]),
        "hits_fired": if_(has, [float(np.float32(x)) for x in rng.uniform(0, 1, N)]),
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


def examples(payload: Payload, row: int) -> dict | None:
    if row == WITHOUT_EXAMPLES:
        return None
    rng = np.random.default_rng(1000 + row)
    counts = [1, 0, 0, 0, 0, 0] if row == ONE_SEQLET else PER_BAND
    n = sum(counts)
    band = np.repeat(np.arange(6), counts)
    codes = rng.integers(0, 4, (n, WINDOW))
    strand = rng.integers(0, 2, n)
    motif_strand = rng.integers(0, 2, n)
    at = rng.integers(0, WINDOW - 8 + 1, n)
    best = motif_matrix(row).argmax(1)
    for i in range(n):
        codes[i, at[i] : at[i] + 8] = (3 - best)[::-1] if motif_strand[i] else best
    if row == WITHOUT_MOTIF:
        at[:] = -32768
    other = np.zeros((n, WINDOW), bool)
    other[0, 2] = True  # an N in the first example
    activation = np.repeat(rng.integers(0, 256, (n, 6)), 4, axis=1)[:, :WINDOW]
    packed = np.zeros((n, 6), np.uint8)
    bits = np.zeros((n, 3), np.uint8)
    for j in range(WINDOW):
        packed[:, j // 4] |= (codes[:, j] << 2 * (j % 4)).astype(np.uint8)
        bits[:, j // 8] |= (other[:, j] << (j % 8)).astype(np.uint8)
    peak = np.concatenate([np.sort(rng.uniform(1, 20, c))[::-1] for c in counts])
    put = payload.put
    return {
        "n": n, "scale": 20.0, "band": put(band, "u1"), "chrom": put(np.arange(n) % 2, "u2"),
        "start": put(1000 * row + 31 * rng.permutation(n), "i4"), "strand": put(strand, "u1"), "peak": put(peak, "f4"),
        "sequence": put(packed, "u1"), "other": put(bits, "u1"), "activation": put(activation.T, "u1"),
        "motif_at": put(at, "i2"), "motif_strand": put(motif_strand, "u1"),
        "motif_score_share": put(rng.uniform(0.5, 1, n), "f4"),
    }  # fmt: skip


def matches(row: int) -> list[dict]:
    """Two: the first significant on the plus strand, the second not, on the minus strand, starting before the target."""
    common = {"log10_p": -9.0, "e_value": 1e-6, "q_value_run": 1e-5, "q_null": 0.01, "promiscuous": False}
    first = {
        "target": 0,
        "p_value": 1e-9,
        "q_value": 3e-9,
        "offset": 2,
        "overlap": 8,
        "orientation": "+",
        "significant": True,
    }
    second = {
        "target": 1,
        "p_value": 0.01,
        "q_value": 0.3,
        "offset": -3,
        "overlap": 5,
        "orientation": "-",
        "significant": False,
    }
    return [common | first, common | second]


def motifs(payload: Payload, row: int) -> list[dict]:
    if row == WITHOUT_MOTIF:
        return []
    matrix = motif_matrix(row)
    return [{
        "id": f"{row + 1}_n{node_number(row)}_m1", "consensus": letters(matrix), "matrix": payload.put(matrix, "f4"),
        "n_sites": 80, "n_seqlets": 100, "share_forward": 0.5, "log10_e": -400.25, "e_value": 0.0, "tool_log10_e": None,
        "q_value": 1e-12, "significant": row % 5 != 4, "information_bits": 9.5, "flag": None, "engine": "batched",
        "matches": matches(row), "n_matches": 12,
    }]  # fmt: skip


def targets(payload: Payload) -> list[dict]:
    long, short = motif_matrix(500, 12), motif_matrix(501, 6)
    return [
        {
            "id": "MA0140.1",
            "name": "GATA1::TAL1",
            "database": "jaspar.meme",
            "matrix": payload.put(long, "f4"),
        },
        {"id": "T2", "name": None, "database": f"{MARKUP}.meme", "matrix": payload.put(short, "f4")},
    ]


def node(payload: Payload, row: int) -> dict:
    near = [[(row + step) % N, 0.9 - 0.05 * step] for step in range(1, 11)]
    overlap = {
        "n_seqlets": 100,
        "n_background": 1000,
        "odds_ratio": 4.0,
        "ci_low": 2.0,
        "ci_high": 8.0,
        "p_value": 1e-4,
    }
    rows = [
        overlap
        | {
            "annotation": "truth",
            "class": "CTCF site",
            "n_overlap": 40,
            "n_background_overlap": 100,
            "q_value": 1e-3,
        },
        overlap
        | {
            "annotation": "truth",
            "class": MARKUP,
            "n_overlap": 4,
            "n_background_overlap": 100,
            "q_value": 0.4,
        },
    ]
    return {
        "rank": row + 1, "node": node_number(row), "motifs": motifs(payload, row), "examples": examples(payload, row),
        "n_top_with_motif": None if row == WITHOUT_MOTIF else [82, 100],
        "histogram": {"edges": [0, 5, 10, 15, 20], "counts": [100000, 1000, 0, 10]},
        "background": {"gc_share": 0.41, "repeat_share": 0.5}, "overlaps": rows, "repeats": [],
        "neighbours": {"decoder": near, "coactivation": near[:3], "jaccard": []},
    }  # fmt: skip


def index_head(payload: Payload, sums: dict[str, str], n: int, changes: dict) -> dict:
    columns = [encode_column(payload, name, values[:n]) for name, values in table().items()]
    widths = [0 if row == WITHOUT_MOTIF else 8 for row in range(n)]
    matrices = np.concatenate([np.zeros((0, 4)), *(motif_matrix(row) for row in range(n) if widths[row])])
    curve = [
        {
            "step": s,
            "positions": 1000 * s,
            "epoch": s / 10,
            "train_fvu": 1 / (1 + s) if s else None,
            "validation_fvu": 1.1 / (1 + s),
        }
        for s in range(10)
    ]
    board = {"layer": "synthetic", "run": "topk", "nulls": "raw,ica", "figure": "nodes_named", "value": 37, "best_null": "ica",
             "null_value": 23, "matched_nodes": 48, "value_matched": 24.7, "null_value_matched": 23.0, "difference": 1.67,
             "ci_low": -7.89, "ci_high": 9.95, "replicates": 200, "note": None}  # fmt: skip
    names = [f"nodes_{i:04d}" for i in range(-(-n // SHARD))]
    return {
        "format": 1, "atlas": ATLAS, "name": "index", "layer": "synthetic", "run": "topk-x3-k3", "window_bp": WINDOW,
        "stride_bp": 4, "assembly": "hg38", "n_nodes": n, "shard_nodes": SHARD, "shards": names, "chroms": CHROMS,
        "columns": columns, "logos": {"widths": payload.put(widths, "u1"), "matrices": payload.put(np.rint(matrices * 255), "u1")},
        "curve": curve, "evaluation": {"fvu": 0.322, "l0": 3.0, "nested": {"dead": 0}}, "recovery": {"mean_f1": 0.555},
        "settings": {"kind": "topk", "k": 3}, "counts": {"nodes without seqlets": 2},
        "nulls": [{"filter": "motif", "null": "genome", "nodes": N, "nodes_passing": 60, "sets": 400, "sets_passing": 1, "null_expected": 0.3}],
        "scoreboard": [board], "limits": [f"A limit in plain text {MARKUP}.", "A second."], "enrichment_sets": ["truth"],
        "bands": BANDS, "band_text": [f"What {band} means." for band in BANDS],
        "downloads": [{"path": "files/nodes.tsv", "text": "one row a node", "bytes": 1234567}], "sha256": sums,
        "loci": {"shards": ["loci_0000"], "first": [[0, 0]]}, "has_genes": True, "made_by": {"biosae": "0.1.0"},
    } | changes  # fmt: skip


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
    """Write the atlas, the first `n` nodes in its index, into a new folder; `changes` replace keys of the index.

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
