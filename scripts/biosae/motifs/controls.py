"""Controls: for each seqlet, other sequences of the same length, GC and repeat share."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
from numba import njit

from biosae.motifs import shuffle
from biosae.motifs.packing import PAD, N, encode

GC_BINS = 20  # strata of GC share, 0.05 wide: two bases of a 42-bp window
REPEAT_SHARE = 0.5  # a sequence counts as repeat when more of its bases are lower case
_LONGEST_REACH = 3  # an empty stratum borrows from strata up to 0.15 GC away


def strata(codes: np.ndarray, offsets: np.ndarray, lower: np.ndarray) -> np.ndarray:
    """Stratum (n,) int64 of each sequence: GC bin * 2 + repeat; ``lower`` (total,) marks lower-case bases."""
    if len(offsets) < 2:
        return np.zeros(0, np.int64)
    body = codes[: offsets[-1]]
    sums = np.zeros((3, len(body) + 1), np.int64)
    for row, flags in zip(sums, ((body == 1) | (body == 2), body < N, lower), strict=True):
        np.cumsum(flags, out=row[1:])
    gc, known, low = sums[:, offsets[1:]] - sums[:, offsets[:-1]]
    gc_bin = np.minimum(gc * GC_BINS // np.maximum(known, 1), GC_BINS - 1)
    return gc_bin * 2 + (low > REPEAT_SHARE * np.diff(offsets))


def lower_case(sequences: Sequence[str]) -> np.ndarray:
    """(total,) bool: the base is lower case."""
    return np.frombuffer("".join(sequences).encode("ascii", errors="replace"), dtype=np.uint8) >= ord("a")


class ControlPool:
    """The background of a run, ready to be drawn from; exact copies are dropped, order does not matter."""

    def __init__(self, background: Sequence[str]) -> None:
        unique = sorted(set(background))
        self.n_copies_dropped = len(background) - len(unique)
        self._codes, self._offsets = encode(unique)
        self._lower = lower_case(unique).astype(np.uint8)
        if not self.masked:
            self._lower[:] = 0
        self._by_length: dict[int, tuple[np.ndarray, np.ndarray, np.ndarray]] = {}
        self._lock = threading.Lock()

    @property
    def masked(self) -> bool:
        """Whether some bases are lower case and some are not; else GC alone can be matched."""
        return bool(self._lower.any() and not self._lower.all())

    @property
    def n(self) -> int:
        """Number of distinct sequences."""
        return len(self._offsets) - 1

    def _windows(self, length: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Starts and lengths of the middle ``length`` bp of each sequence (or all), and their strata."""
        with self._lock:
            if length not in self._by_length:
                full = np.diff(self._offsets)
                lengths = np.minimum(full, length)
                starts = self._offsets[:-1] + (full - lengths) // 2
                self._by_length[length] = starts, lengths, self._pieces(starts, lengths)[2]
            return self._by_length[length]

    def _pieces(self, starts: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Codes, offsets and strata of some pieces."""
        codes, offsets = _cut(self._codes, starts, lengths, PAD)
        lower, _ = _cut(self._lower, starts, lengths, 0)
        return codes, offsets, strata(codes, offsets, lower)

    def draw(
        self, parts: list[tuple[np.ndarray, np.ndarray]], copies: int, rng: np.random.Generator
    ) -> tuple[list[tuple[np.ndarray, np.ndarray, np.ndarray]], int]:
        """Draw controls without replacement, disjoint between parts.

        Args:
            parts: for each part the strata (n,) and lengths (n,) of its seqlets.
            copies: controls for each seqlet.
            rng: decides.

        Returns:
            Codes, offsets and strata of the controls per part, and how many were wanted but not there.
        """
        longest = max(int(lengths.max()) for _, lengths in parts)
        starts, lengths, pool_strata = self._windows(longest)
        chosen = rng.permutation(self.n)
        sizes = np.array([len(part) for part, _ in parts])
        ends = np.round(np.cumsum(sizes) / sizes.sum() * self.n).astype(int)
        out, short = [], 0
        for (wanted_strata, wanted_lengths), share in zip(parts, np.split(chosen, ends[:-1]), strict=True):
            rows, seqlets = _match(pool_strata[share], wanted_strata, copies)
            rows = share[rows]
            fits = np.flatnonzero(lengths[rows] >= wanted_lengths[seqlets])
            fits = rng.permutation(fits)  # the first of them are a sample of all
            rows, cut = rows[fits], wanted_lengths[seqlets[fits]]
            out.append(self._pieces(starts[rows] + (lengths[rows] - cut) // 2, cut))
            short += copies * len(wanted_strata) - len(rows)
        return out, short


def shuffled(
    parts: list[tuple[np.ndarray, np.ndarray]], copies: int, rng: np.random.Generator
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Dinucleotide-preserving shuffles of the codes and offsets of each part, ``copies`` a sequence."""
    return [
        shuffle.shuffle_dinucleotides(codes, offsets, copies, int(rng.integers(2**62)))
        for codes, offsets in parts
    ]


def _match(pool: np.ndarray, wanted: np.ndarray, copies: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the pool for the wanted strata and the seqlet each stands for; an empty stratum borrows."""
    by_stratum = np.argsort(pool, kind="stable")
    edges = np.searchsorted(pool[by_stratum], np.arange(2 * GC_BINS + 1))
    free = {s: by_stratum[edges[s] : edges[s + 1]] for s in range(2 * GC_BINS)}
    open_seqlets = {s: np.repeat(np.flatnonzero(wanted == s), copies) for s in np.unique(wanted).tolist()}
    rows, seqlets = [], []
    steps = (
        [(0, 0)]
        + [(d, 0) for d in range(1, _LONGEST_REACH + 1)]
        + [(d, 1) for d in range(_LONGEST_REACH + 1)]
    )
    for distance, change_repeat in steps:
        for stratum, waiting in open_seqlets.items():
            for gc_bin in sorted({stratum // 2 - distance, stratum // 2 + distance}):
                source = 2 * gc_bin + ((stratum & 1) ^ change_repeat)
                if not 0 <= gc_bin < GC_BINS or len(waiting) == 0:
                    continue
                take = min(len(waiting), len(free[source]))
                rows.append(free[source][:take])
                seqlets.append(waiting[:take])
                free[source], waiting = free[source][take:], waiting[take:]
            open_seqlets[stratum] = waiting
    if not rows:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    return np.concatenate(rows), np.concatenate(seqlets)


@njit(cache=True, nogil=True)
def _cut(codes, starts, lengths, pad):
    """Pieces of codes as codes and offsets of their own."""
    offsets = np.zeros(len(starts) + 1, np.int64)
    for i in range(len(starts)):
        offsets[i + 1] = offsets[i] + lengths[i]
    out = np.full(offsets[-1] + pad, np.uint8(4))
    for i in range(len(starts)):
        for j in range(lengths[i]):
            out[offsets[i] + j] = codes[starts[i] + j]
    return out, offsets
