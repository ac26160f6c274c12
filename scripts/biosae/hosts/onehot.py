"""Letters of DNA as the numbers that a sequence model reads: channels A, C, G, T.

Every other letter (N, and the codes of several bases) is zero in all four channels, as Borzoi was trained.
"""

from __future__ import annotations

import numpy as np

BASES = b"ACGT"
_COMPLEMENT = np.arange(256, dtype=np.uint8)
for _pair in (b"AT", b"CG", b"at", b"cg"):
    _COMPLEMENT[_pair[0]], _COMPLEMENT[_pair[1]] = _pair[1], _pair[0]
_UPPER = np.arange(256, dtype=np.uint8)
_UPPER[list(b"acgt")] = list(BASES)
_KNOWN = np.zeros(256, dtype=bool)
_KNOWN[list(b"ACGTacgt")] = True


def encode(letters: np.ndarray) -> np.ndarray:
    """One-hot numbers of letters, case ignored.

    Args:
        letters: ASCII codes, (length,) or (n, length) uint8.

    Returns:
        float32 (n, 4, length); n = 1 for one sequence.
    """
    codes = _UPPER[np.atleast_2d(letters)]
    found = np.empty((len(codes), 4, codes.shape[1]), np.float32)
    for channel, base in enumerate(BASES):
        np.equal(codes, base, out=found[:, channel], casting="unsafe")
    return found


def reverse_complement(onehot: np.ndarray) -> np.ndarray:
    """The other strand of one-hot sequences (n, 4, length), read from its own start; a copy."""
    return np.ascontiguousarray(onehot[:, ::-1, ::-1])


def reverse_complement_letters(letters: np.ndarray) -> np.ndarray:
    """The other strand of letters (..., length) uint8, case kept; letters without a complement stay."""
    return _COMPLEMENT[letters[..., ::-1]]


def unknown(letters: np.ndarray) -> np.ndarray:
    """Which letters are not A, C, G or T, bool of the shape of ``letters``."""
    return ~_KNOWN[letters]
