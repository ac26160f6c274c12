"""The held-out test: which sequences are held out, where the threshold lies, what the p is.

Part A finds the motif and its threshold, part B is looked at once. A locus (and an exact copy of a sequence)
is in one part only and counts once in the test: windows of one site entered as independent sequences turn
random DNA into significant motifs.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Sequence

import numpy as np

_HEADER = re.compile(r"^>?(\S+?):(\d+)-(\d+)(?:\(([+-])\))?(?:\s|$)")


def loci_of(headers: Sequence[str], merge_bp: int = 0) -> list[str]:
    """Locus of each FASTA header ``chrom:start-end(strand) ...`` (0-based, half-open).

    Windows that overlap, or lie less than ``merge_bp`` apart, are one locus. A header of another form is its
    own.
    """
    loci = [f"record {i}" for i in range(len(headers))]
    found: list[tuple[str, int, int, int]] = []
    for i, header in enumerate(headers):
        match = _HEADER.match(header)
        if match:
            found.append((match[1], int(match[2]), int(match[3]), i))
    chrom, stop, name = "", -1, ""
    for at, start, end, i in sorted(found):
        if at != chrom or start >= stop + max(merge_bp, 0):
            chrom, stop, name = at, end, f"{at}:{start}"
        stop = max(stop, end)
        loci[i] = name
    return loci


def place_of(header: str) -> tuple[str, int] | None:
    """Chromosome and start of a FASTA header ``chrom:start-end(strand) ...``; None for another form."""
    match = _HEADER.match(header)
    return (match[1], int(match[2])) if match else None


def split(
    sequences: Sequence[str], groups: Sequence[str] | None, share: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Choose the held-out part by content, so that the order of sequences does not matter.

    Args:
        sequences: (n,) texts; equal ones stay together.
        groups: locus of each, or None; equal ones stay together.
        share: share of the sequences to hold out.
        seed: changes the choice.

    Returns:
        held_out (n,) bool, and counted (n,) bool: the one sequence of each locus that the test counts.
    """
    members = _components(sequences, groups)
    key = seed.to_bytes(16, "little", signed=True)
    ordered = []
    for rows in members:
        first = min(rows, key=lambda i: sequences[i])
        digest = hashlib.blake2b(sequences[first].encode(), key=key, digest_size=16).digest()
        ordered.append((digest, first, rows))
    ordered.sort(key=lambda item: item[0])
    held_out = np.zeros(len(sequences), bool)
    counted = np.zeros(len(sequences), bool)
    taken, target = 0, round(share * len(sequences))
    for _, first, rows in ordered:
        counted[first] = True
        if taken + len(rows) <= target:
            held_out[rows] = True
            taken += len(rows)
    return held_out, counted


def _components(sequences: Sequence[str], groups: Sequence[str] | None) -> list[list[int]]:
    """Rows joined by an equal sequence or an equal group."""
    parent = list(range(len(sequences)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for keys in (sequences, groups):
        first: dict[str, int] = {}
        for i, key in enumerate(keys or ()):
            parent[root(i)] = root(first.setdefault(key, i))
    members: dict[int, list[int]] = {}
    for i in range(len(sequences)):
        members.setdefault(root(i), []).append(i)
    return list(members.values())


def choose_threshold(odds: np.ndarray, control_odds: np.ndarray) -> tuple[float, float]:
    """The threshold on the best odds that tells sequences from controls best, on part A.

    Returns:
        Threshold (a site has odds >= threshold; inf where no threshold favours the sequences) and the log
        likelihood ratio (nats) of the 2x2 table there.
    """
    scores = np.concatenate([odds, control_odds])
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    ours = np.cumsum(order < len(odds))
    last_of_value = np.append(ranked[1:] != ranked[:-1], True) & (ranked > 0)
    at = np.flatnonzero(last_of_value)
    if len(at) == 0 or len(control_odds) == 0:
        return math.inf, 0.0
    hits = ours[at].astype(float)
    control_hits = at + 1 - hits
    gain = table_gain(hits, len(odds), control_hits, len(control_odds))
    best = int(np.argmax(gain))
    if gain[best] <= 0:
        return math.inf, 0.0
    value = ranked[at[best]]
    below = ranked[at[best] + 1] if at[best] + 1 < len(ranked) else 0.0
    return (math.sqrt(value * below) if below > 0 else value), float(gain[best])


def table_gain(hits: np.ndarray, n: int, control_hits: np.ndarray, n_controls: int) -> np.ndarray:
    """Log likelihood ratio (nats) of two shares against one; 0 where the sequences' is not the larger."""
    shared = (hits + control_hits) / (n + n_controls)

    def likelihood(k, size, p):
        return _xlogy(k, p) + _xlogy(size - k, 1 - p)

    ratio = (
        likelihood(hits, n, hits / n)
        + likelihood(control_hits, n_controls, control_hits / n_controls)
        - likelihood(hits + control_hits, n + n_controls, shared)
    )
    return np.where(hits / n > control_hits / n_controls, ratio, 0.0)


def _xlogy(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """x log y with 0 log 0 = 0."""
    return x * np.log(np.where(x > 0, y, 1.0))
