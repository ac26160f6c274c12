"""P(p < 0.05) of the held-out test on nulls, independent and dependent: never above 5 %.

Three hundred small sets a case, discovery cut down for speed (the test part is what is looked at). Each bound
is the 99.9 % point of a true 5 %.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from biosae.motifs.batched import DiscoverySettings, discover_many, loci_of

SETS = 300
SEQLETS = 40
LENGTH = 36
LETTERS = np.array(list("ACGT"))


def chain(n: int, length: int, rng: np.random.Generator) -> list[str]:
    """Sequences of one AT-rich chain of order 1: a shuffle that keeps dinucleotides keeps all of it."""
    rows = np.random.default_rng(1).dirichlet(np.array([0.3, 0.2, 0.2, 0.3]) * 40, size=4).cumsum(axis=1)
    codes = rng.integers(4, size=(n, length + 1))
    draws = rng.random((n, length))
    for i in range(length):
        codes[:, i + 1] = np.minimum((draws[:, i, None] > rows[codes[:, i]]).sum(axis=1), 3)
    return ["".join(row) for row in LETTERS[codes[:, 1:]]]


def with_repeats(sequences: list[str], rng: np.random.Generator) -> list[str]:
    """Two in five sequences become pieces of one of ten repeat families, each base changed in one of ten."""
    families = np.random.default_rng(2).integers(4, size=(10, 200))
    out = []
    for text in sequences:
        if rng.random() < 0.4:
            at = int(rng.integers(200 - len(text)))
            piece = families[rng.integers(10), at : at + len(text)].copy()
            changed = rng.random(len(piece)) < 0.1
            piece[changed] = rng.integers(4, size=int(changed.sum()))
            text = "".join(LETTERS[piece]).lower()
        out.append(text)
    return out


def neighbours(rng: np.random.Generator) -> tuple[list[str], list[str]]:
    """One to three windows, 4 bp apart, of each locus, and the locus of each."""
    sequences, headers = [], []
    for i, text in enumerate(chain(SEQLETS, LENGTH + 8, rng)):
        for shift in range(0, 4 * int(rng.integers(1, 4)), 4):
            sequences.append(text[shift : shift + LENGTH])
            headers.append(f"chr1:{1000 * i + shift}-{1000 * i + shift + LENGTH}(+)")
    return sequences, loci_of(headers)


def sets(kind: str, rng: np.random.Generator) -> tuple[list[list[str]], dict[str, list[str]], list[str]]:
    """Null sets, loci by name, and background windows of the same source."""
    background = chain(2500, LENGTH, rng)
    if kind == "neighbours":
        pairs = [neighbours(rng) for _ in range(SETS)]
        groups = {str(i): loci for i, (_, loci) in enumerate(pairs)}
        return [sequences for sequences, _ in pairs], groups, background
    chunks = [chain(SEQLETS, LENGTH, rng) for _ in range(SETS)]
    if kind == "repeats":
        return [with_repeats(chunk, rng) for chunk in chunks], {}, with_repeats(background, rng)
    return chunks, {}, background


@pytest.mark.parametrize("controls", ["background", "shuffled"])
@pytest.mark.parametrize("kind", ["independent", "neighbours", "repeats"])
def test_p_values_of_nulls_are_not_too_small(kind, controls):
    chunks, groups, background = sets(kind, np.random.default_rng(3))
    settings = DiscoverySettings(
        strand="both" if kind == "independent" else "given", seeds=4, refined=1, max_width=10
    )
    found = discover_many(
        [(str(i), chunk) for i, chunk in enumerate(chunks)],
        background if controls == "background" else [],
        settings,
        0,
        groups=groups,
    )
    motifs = [motif for each in found.values() for motif in each]
    assert {motif.controls for motif in motifs} == {controls} and len(motifs) > SETS
    for level in (0.05, 0.01):
        below = sum(motif.p_value < level for motif in motifs)
        assert below <= binom.ppf(0.999, len(motifs), level)
    assert sum(motif.p_value < 0.5 for motif in motifs) > 0.1 * len(motifs)  # nor is the test blind
