"""What the nodes of the small atlas are: motifs, matches, examples. small_atlas.py writes them."""

from __future__ import annotations

import base64
import gzip
import json

import numpy as np

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
        "start": put(1000 * row + 31 * rng.permutation(n), "i4"), "strand": put(strand, "u1"),
        "peak": put(peak, "f4"),
        "sequence": put(packed, "u1"), "other": put(bits, "u1"), "activation": put(activation.T, "u1"),
        "motif_at": put(at, "i2"), "motif_strand": put(motif_strand, "u1"),
        "motif_score_share": put(rng.uniform(0.5, 1, n), "f4"),
    }  # fmt: skip


def matches(row: int) -> list[dict]:
    """The first significant, on the plus strand; the second not, on the minus, starting before the target."""
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
        "id": f"{row + 1}_n{node_number(row)}_m1", "consensus": letters(matrix),
        "matrix": payload.put(matrix, "f4"), "n_sites": 80, "n_seqlets": 100, "share_forward": 0.5,
        "log10_e": -400.25, "e_value": 0.0, "tool_log10_e": None, "q_value": 1e-12,
        "significant": row % 5 != 4,
        "information_bits": 9.5, "flag": None, "engine": "batched", "matches": matches(row), "n_matches": 12,
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
        "rank": row + 1, "node": node_number(row),
        "motifs": motifs(payload, row), "examples": examples(payload, row),
        "n_top_with_motif": None if row == WITHOUT_MOTIF else [82, 100],
        "histogram": {"edges": [0, 5, 10, 15, 20], "counts": [100000, 1000, 0, 10]},
        "background": {"gc_share": 0.41, "repeat_share": 0.5}, "overlaps": rows, "repeats": [],
        "neighbours": {"decoder": near, "coactivation": near[:3], "jaccard": []},
    }  # fmt: skip
