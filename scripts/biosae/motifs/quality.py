"""Is a matrix worth a name? Total information and low complexity.

Such motifs are reported and matched, but flagged: they resemble database entries by accident.
"""

from __future__ import annotations

import numpy as np

MIN_INFORMATION_BITS = 6.0
"""Default bound on the information of a motif.

A motif of b bits occurs by chance about once in 2**b places (Schneider et al., J. Mol. Biol. 188:415, 1986):
a 42 bp seqlet has 74 places for 6 bp on both strands, 6.2 bits. Of the 1,019 matrices of JASPAR 2026 CORE
vertebrates one lies below 6 bits (ZGLP1, 4 bp; 1 % lie below 6.9); of 80 motifs that the batched engine
finds in random sequence (300 x 42 bp) 94 % do, their median is 5.0.
"""

_COMPATIBLE = 0.5  # of the likeliest letter's probability: the rule of MEME's consensus
_AGREEMENT = 0.9  # share of the information in columns of a repeat; below it in most JASPAR GC boxes
_COLUMNS_PER_MISMATCH = 12  # JASPAR's GC boxes (GGGGCGGGG) are up to 11 wide and contradict a repeat once
_LETTERS = 4


def column_information(matrix: np.ndarray) -> np.ndarray:
    """(width,) bits of each column against uniform letters, 0 to 2; no small-sample correction.

    Args:
        matrix: (width, 4) probabilities or counts of A, C, G, T.
    """
    matrix = np.asarray(matrix, dtype=np.float64)
    shares = matrix / matrix.sum(axis=1, keepdims=True)
    bits = shares * np.log2(shares, out=np.zeros_like(shares), where=shares > 0)
    return np.maximum(np.log2(_LETTERS) + bits.sum(axis=1), 0.0)


def information_bits(matrix: np.ndarray) -> float:
    """Total information of a matrix (width, 4) against uniform letters, in bits."""
    return float(column_information(matrix).sum())


def is_low_complexity(matrix: np.ndarray) -> bool:
    """Whether a matrix (width, 4) is a homopolymer or a dinucleotide repeat, or mostly so.

    A column agrees with the repeat to the extent that the repeat's letter is as likely as the likeliest. The
    agreement, weighted by information, is 0.9 or more (AAAAAANAAA: an N carries none), and no column
    contradicts the repeat (its letter less than half as likely as the likeliest), or one in each full 12
    columns. A conserved substitution in a shorter motif (GGGGCGGGG) is information, not low complexity. A
    matrix without information is not of low complexity.
    """
    matrix = np.asarray(matrix, dtype=np.float64)
    width, information = len(matrix), column_information(matrix)
    if information.sum() <= 0:
        return False
    relative = matrix / matrix.max(axis=1, keepdims=True)
    for first in range(_LETTERS):
        for second in range(_LETTERS):
            agrees = relative[np.arange(width), np.resize([first, second], width)]
            contradictions = int((agrees < _COMPATIBLE).sum())
            share = (information * agrees).sum() / information.sum()
            if share >= _AGREEMENT and contradictions <= width // _COLUMNS_PER_MISMATCH:
                return True
    return False


def flag(matrix: np.ndarray, min_information_bits: float = MIN_INFORMATION_BITS) -> str | None:
    """``low_information``, ``low_complexity`` or None; the first that holds.

    Args:
        matrix: (width, 4) probabilities or counts.
        min_information_bits: a motif of less is of low information.
    """
    if information_bits(matrix) < min_information_bits:
        return "low_information"
    return "low_complexity" if is_low_complexity(matrix) else None
