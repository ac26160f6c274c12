"""The matrices that the network's detectors read: planted motifs, repeat windows, low complexity, pairs."""

from __future__ import annotations

import numpy as np

from biosae.motifs.formats import Motif
from biosae.synthetic.elements import (
    LOW_COMPLEXITY,
    LOW_COMPLEXITY_ERROR,
    REPEAT_BP,
    REPEAT_DIVERGENCE,
    REPEAT_NAME,
    pair_name,
)

BACKGROUND = np.array([0.29, 0.21, 0.21, 0.29])  # mean base composition of the synthetic genome
PSEUDO = 0.01  # keeps log odds of absent letters finite (about -4.5 bits)
LEAST_FILTER_BP = 19  # width of repeat and low-complexity filters; the widest matrix decides when it is wider
REPEAT_WINDOWS_BP = (200, 236, 272)  # offsets in the consensus; every copy holds its last 110 bp
PALINDROME = (
    0.8  # Pearson correlation of a matrix with its reverse complement above which one detector serves
)


def one_hot_matrix(bases: np.ndarray, agreement: float) -> np.ndarray:
    """(width, 4) probabilities: ``agreement`` for the given base, the rest shared by the other three."""
    matrix = np.full((len(bases), 4), (1 - agreement) / 3)
    matrix[np.arange(len(bases)), bases] = agreement
    return matrix


def strengthened(matrix: np.ndarray, exponent: float) -> np.ndarray:
    """A matrix with its probabilities raised to ``exponent``; as it is where that is 1."""
    if exponent == 1:
        return matrix
    raised = ((matrix + PSEUDO) / (1 + 4 * PSEUDO)) ** exponent  # else an absent letter would stay absent
    return raised / raised.sum(axis=1, keepdims=True)


def truth_motifs(
    planted: list[Motif], consensus: np.ndarray, pairs: tuple[tuple[str, str, int], ...] = ()
) -> list[tuple[str, Motif]]:
    """Every motif that a scored detector reads, with its kind: planted, repeat, low complexity, pair."""
    motifs = [("motif", motif) for motif in planted]
    repeat_bp = _plain_width_bp(planted)  # pairs widen the frame of the filters, not what repeats are
    for at in REPEAT_WINDOWS_BP:
        matrix = one_hot_matrix(consensus[at : at + min(repeat_bp, REPEAT_BP - at)], 1 - REPEAT_DIVERGENCE)
        motifs.append(("repeat", Motif(f"{REPEAT_NAME}_{at}", f"{REPEAT_NAME}_{at}", matrix)))
    for name, (unit, _) in LOW_COMPLEXITY.items():
        matrix = one_hot_matrix(np.resize(np.array(unit), repeat_bp), 1 - LOW_COMPLEXITY_ERROR)
        motifs.append(("low_complexity", Motif(name, name, matrix)))
    by_id = {motif.id: motif.matrix for motif in planted}
    for first, second, spacing in pairs:
        name = pair_name(first, second, spacing)
        between = np.tile(BACKGROUND, (spacing, 1))
        motifs.append(("pair", Motif(name, name, np.concatenate([by_id[first], between, by_id[second]]))))
    return motifs


def _plain_width_bp(planted: list[Motif]) -> int:
    return max([LEAST_FILTER_BP, *(motif.width for motif in planted)])


def filter_width_bp(planted: list[Motif], pairs: tuple[tuple[str, str, int], ...] = ()) -> int:
    """Common filter width: the widest planted matrix, at least LEAST_FILTER_BP, and room for every pair.

    A pair's first motif is centred, and its second one may lie on either side of it.
    """
    width = {motif.id: motif.width for motif in planted}
    around = [width[first] + 2 * (spacing + width[second]) for first, second, spacing in pairs]
    return max([_plain_width_bp(planted), *around])


def is_palindrome(matrix: np.ndarray) -> bool:
    """Whether a matrix equals its reverse complement well enough for one detector to serve both strands."""
    return float(np.corrcoef(matrix.ravel(), matrix[::-1, ::-1].ravel())[0, 1]) > PALINDROME
