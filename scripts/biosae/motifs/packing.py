"""Sequences as flat arrays of codes, and the odds of windows: what every kernel of the engine reads.

A set of n sequences with ``total`` bases is one ``codes`` array (total + PAD bytes; A, C, G, T = 0..3,
anything else N = 4; lower case is its base) and ``offsets`` (n + 1). Positions are 0-based, windows
half-open. Reading a window needs no bounds check because of the padding: 4-mers may run past the end of a
sequence, where look-up tables hold 1.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numba import njit

PAD = 256  # bytes after the last base: more than the widest motif (200) that settings allow
N = 4

_CODE = np.full(256, N, dtype=np.uint8)
for _letters, _value in (("Aa", 0), ("Cc", 1), ("Gg", 2), ("Tt", 3)):
    for _letter in _letters:
        _CODE[ord(_letter)] = _value

_NOT_ACGT = re.compile("[^ACGTacgt]+")
_COMPLEMENT = str.maketrans("ACGTacgt", "TGCAtgca")


def reverse_complement(sequence: str) -> str:
    """The other strand, 5' to 3'; letters that are not A, C, G, T stay what they are."""
    return sequence.translate(_COMPLEMENT)[::-1]


@dataclass
class Packed:
    """Sequences ready for the kernels.

    Attributes:
        codes: (total + PAD,) uint8; erased positions and N are 4.
        offsets: (n + 1,) int64 starts of the sequences.
        inverse: (total + PAD,) float64, 1 / P(base | bases before it) under the background; 1 at N.
        log_inverse: (total + PAD,) float64, its log.
        tetramers: (total + PAD,) uint8 index of the 4-mer starting at each position (N read as A).
        rival: (n,) likelihood ratio of each sequence without a site of the motif in hand: 1, or more where
            another motif explains it (search.rival_ratio).
    """

    codes: np.ndarray
    offsets: np.ndarray
    inverse: np.ndarray
    log_inverse: np.ndarray
    tetramers: np.ndarray
    rival: np.ndarray
    _windows: dict = field(default_factory=dict, repr=False)

    @property
    def n(self) -> int:
        """Number of sequences."""
        return len(self.offsets) - 1

    def windows(self, width: int) -> tuple[np.ndarray, np.ndarray]:
        """1 / P(window | background) at each start (0: not allowed), and the count of allowed starts (n,)."""
        if width not in self._windows:
            self._windows[width] = _window_odds(self.codes, self.inverse, self.offsets, width)
        return self._windows[width]

    def forget_windows(self) -> None:
        """To be called after ``codes`` changed in place."""
        self._windows.clear()


def encode(sequences: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Codes (total + PAD,) uint8 and offsets (n + 1,) int64 of sequences."""
    lengths = np.fromiter((len(s) for s in sequences), dtype=np.int64, count=len(sequences))
    offsets = np.zeros(len(sequences) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    codes = np.full(offsets[-1] + PAD, N, dtype=np.uint8)
    text = "".join(sequences).encode("ascii", errors="replace")
    codes[: offsets[-1]] = _CODE[np.frombuffer(text, dtype=np.uint8)]
    return codes, offsets


def pack(codes: np.ndarray, offsets: np.ndarray, background: np.ndarray, order: int) -> Packed:
    """Attach the background (flat tables of ``background.fit``) to encoded sequences; codes are copied."""
    codes = codes.copy()
    return Packed(
        codes,
        offsets,
        *_inverse(codes, offsets, background, order),
        _tetramers(codes),
        np.ones(len(offsets) - 1),
    )


def prefix(packed: Packed, n: int) -> Packed:
    """The first n sequences as views: what is erased in one is erased in the other."""
    stop = packed.offsets[n] + PAD
    return Packed(
        packed.codes[:stop],
        packed.offsets[: n + 1],
        packed.inverse[:stop],
        packed.log_inverse[:stop],
        packed.tetramers[:stop],
        packed.rival[:n],
    )


def longest_clean(sequence: str) -> int:
    """Length of the longest stretch of A, C, G, T in either case."""
    if _NOT_ACGT.search(sequence) is None:
        return len(sequence)
    return max(len(piece) for piece in _NOT_ACGT.split(sequence))


@njit(cache=True, nogil=True)
def turn_canonical(codes, offsets):
    """Turn each sequence into its reverse complement, in place, where that is the smaller by its codes."""
    for s in range(len(offsets) - 1):
        first, last = offsets[s], offsets[s + 1] - 1
        turned = False
        for i in range(last - first + 1):
            a, b = codes[first + i], codes[last - i]
            b = 3 - b if b < 4 else b
            if a != b:
                turned = b < a
                break
        if turned:
            for i in range((last - first) // 2 + 1):
                a, b = codes[first + i], codes[last - i]
                codes[first + i] = 3 - b if b < 4 else b
                codes[last - i] = 3 - a if a < 4 else a


@njit(cache=True, nogil=True)
def _tetramers(codes):
    n = len(codes)
    out = np.zeros(n, np.uint8)
    word = 0
    for i in range(n):
        word = ((word << 2) | (codes[i] & 3)) & 255
        if i >= 3:
            out[i - 3] = word
    return out


@njit(cache=True, nogil=True)
def _inverse(codes, offsets, tables, order):
    """A base is given the known bases before it, ``order`` at most; none after a start or an N."""
    out = np.ones(len(codes), np.float64)
    log_out = np.zeros(len(codes), np.float64)
    inverse = 1.0 / tables
    log_inverse = np.log(inverse)
    for s in range(len(offsets) - 1):
        context = 0
        known = 0
        for i in range(offsets[s], offsets[s + 1]):
            if codes[i] > 3:
                known = 0
                context = 0
                continue
            size = 1 << (2 * min(known, order))
            first = 4 * (size - 1) // 3  # 4 + 16 + ... : where the table of this order starts
            entry = first + 4 * (context & (size - 1)) + codes[i]
            out[i] = inverse[entry]
            log_out[i] = log_inverse[entry]
            context = ((context << 2) | codes[i]) & 4095
            known += 1
    return out, log_out


@njit(cache=True, nogil=True)
def _window_odds(codes, inverse, offsets, width):
    odds = np.zeros(len(codes), np.float64)
    allowed = np.zeros(len(offsets) - 1, np.int64)
    for s in range(len(offsets) - 1):
        clean = 0
        value = 1.0
        for end in range(offsets[s], offsets[s + 1]):
            if codes[end] > 3:
                clean = 0
                value = 1.0
                continue
            clean += 1
            value *= inverse[end]
            if clean > width:
                value /= inverse[end - width]
            if clean >= width:
                odds[end - width + 1] = value
                allowed[s] += 1
    return odds, allowed
