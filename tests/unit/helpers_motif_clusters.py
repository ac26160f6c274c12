"""Shared by the tests of motif clusters: planted families, and their rows of motifs.tsv."""

from __future__ import annotations

import numpy as np
import pandas as pd

from biosae.motifs.formats import Motif

WORDS = (
    "TTATTTGCATAA",
    "GGCGGGGTCAC",
    "CAGATAAGGA",
    "ATGACTCATC",
    "TGGAATGTTCCA",
)  # the last is a palindrome
LETTERS = "ACGT"


def matrix_of(word: str, purity: float = 0.9) -> np.ndarray:
    """A matrix whose columns alternate between purity and a little less."""
    rows = np.full((len(word), 4), np.nan)
    for i, letter in enumerate(word):
        share = purity - 0.15 * (i % 3 == 0)
        rows[i] = (1 - share) / 3
        rows[i, LETTERS.index(letter)] = share
    return rows


def noisy(matrix: np.ndarray, n_sites: int, left: int, right: int, rng: np.random.Generator) -> np.ndarray:
    """Base shares of drawn sites; left and right: flat columns added (or columns cut) at an end."""
    flat = np.full((3, 4), 0.25)
    whole = np.vstack([flat, matrix, flat])
    whole = whole[3 - left : len(whole) - 3 + right]
    return np.array([rng.multinomial(n_sites, row) for row in whole]) / n_sites


def planted_motifs() -> tuple[list[Motif], list[float], np.ndarray]:
    """(motifs, log10_e, family): 8 copies of each of five matrices, half of them turned, and 4 singletons."""
    rng = np.random.default_rng(11)
    motifs, family = [], []
    for number, word in enumerate(WORDS):
        for copy in range(8):
            left, right = copy % 4 - 1, copy // 2 - 1  # a quarter lacks a column at either end
            values = noisy(matrix_of(word), int(rng.integers(60, 300)), left, right, rng)
            motifs.append(values[::-1, ::-1] if copy % 2 else values)
            family.append(number)
    for number, word in enumerate(("CCCTTCCAGC", "AGTACGCATTG", "CTGTCGAACTA", "GTTAACCGTGCG")):
        motifs.append(matrix_of(word))
        family.append(len(WORDS) + number)
    named = [Motif(f"{i + 1}_n{i}_m1", "", m, 100 + i) for i, m in enumerate(motifs)]
    return named, list(-rng.exponential(20, len(named)) - 2), np.array(family)


def table_of(motifs, log10_e, significant=None, flags=None) -> pd.DataFrame:
    """Rows of schema ``motifs``."""
    rows = []
    for i, motif in enumerate(motifs):
        rank, node, number = (int(part.lstrip("nm")) for part in motif.id.split("_"))
        rows.append(
            {
                "motif_id": motif.id,
                "rank": rank,
                "node": node,
                "motif": number,
                "consensus": motif.consensus,
                "width": motif.width,
                "n_sites": int(motif.n_sites),
                "n_seqlets": 500,
                "log10_e": log10_e[i],
                "q_value": 0.001,
                "significant": True if significant is None else bool(significant[i]),
                "engine": "batched",
                "information_bits": 10.0,
                "flag": None if flags is None else flags[i],
            }
        )
    return pd.DataFrame(rows, columns=None if rows else ["motif_id", "significant", "log10_e", "flag"])
