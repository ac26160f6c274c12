"""Flags of matrices: what carries no information, what is a repeat, and what real factors look like."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
from helpers_meme_suite import DATA
from hypothesis import given, settings
from hypothesis import strategies as st

from biosae.motifs.formats import read_meme
from biosae.motifs.quality import (
    MIN_INFORMATION_BITS,
    column_information,
    flag,
    information_bits,
    is_low_complexity,
)

_IUPAC = {"N": "ACGT", "R": "AG", "Y": "CT", "S": "CG", "W": "AT", "M": "AC", "K": "GT"}


def matrix(letters: str, sharpness: float = 1.0) -> np.ndarray:
    """A column per IUPAC letter; the rest of the probability is spread evenly."""
    rows = [[letter in _IUPAC.get(code, code) for letter in "ACGT"] for code in letters]
    shares = np.array(rows, float) / np.sum(rows, axis=1, keepdims=True)
    return sharpness * shares + (1 - sharpness) / 4


def test_information_of_known_columns():
    columns = np.array([[1, 0, 0, 0], [0.5, 0.5, 0, 0], [0.25] * 4, [0.5, 0.25, 0.125, 0.125]])
    np.testing.assert_allclose(column_information(columns), [2, 1, 0, 0.25], atol=1e-12)
    assert information_bits(columns) == pytest.approx(3.25)
    assert information_bits(columns * 40) == pytest.approx(3.25)  # counts do as well


@pytest.mark.parametrize(
    "letters",
    [
        *("AAAAAAAA", "CCCCCC", "CACACACA", "GAGAGAGAGA", "TGTGTGT", "AAAAAANAAA", "NNAAAAAAANN"),
        *("RRRRRRRR", "CACANACACAC", "TATATATA", "AAAAAAAAAAAAACAAAAA", "CACACACAAACACACACA"),
    ],
)
@pytest.mark.parametrize("sharpness", [1.0, 0.8])
def test_homopolymers_and_dinucleotide_repeats_are_flagged(letters, sharpness):
    assert is_low_complexity(matrix(letters, sharpness))
    assert is_low_complexity(matrix(letters, sharpness)[::-1, ::-1])
    assert flag(matrix(letters)) == "low_complexity"


@pytest.mark.parametrize(
    "letters",
    [
        *("GATAA", "TGACTCA", "GGGGCGGGG", "CACGTG", "CCCCTCCC", "TATAAAW", "TAATTA", "GGAAGGAAGGAA"),
        *("CCACACCC", "AATAAA", "GCGTG", "TTGCGCAA", "ACACGTGT", "CAGCAGCAGCAG"),
    ],
)
def test_other_motifs_are_not(letters):
    assert not is_low_complexity(matrix(letters))
    assert not is_low_complexity(matrix(letters, 0.8))


def test_matrices_without_information():
    flat = np.full((12, 4), 0.25)
    assert information_bits(flat) == 0
    assert not is_low_complexity(flat)
    assert flag(flat) == "low_information"
    assert flag(matrix("GATAAG", 0.5)) == "low_information"
    assert flag(matrix("GATAAG")) is None
    assert flag(matrix("GATAAG"), min_information_bits=12.5) == "low_information"
    assert flag(matrix("AAAAAAAA"), min_information_bits=17) == "low_information"  # the first that holds


@given(seed=st.integers(0, 2**32 - 1), width=st.integers(1, 20))
@settings(max_examples=40, deadline=None)
def test_flags_do_not_depend_on_strand_or_scale(seed, width):
    random = np.random.default_rng(seed).dirichlet([0.2] * 4, width)
    assert 0 <= information_bits(random) <= 2 * width
    assert flag(random) == flag(random[::-1, ::-1]) == flag(64 * random)


def test_four_matrices_of_jaspar_are_flagged(tmp_path):
    """Of 1,019: three true homopolymers, and one of four columns. The bound is below all but one of them."""
    (tmp_path / "j.meme").write_bytes(
        gzip.decompress((DATA / "JASPAR2026_CORE_vertebrates.meme.gz").read_bytes())
    )
    motifs = read_meme(tmp_path / "j.meme")
    flags = {motif.name: flag(motif.matrix) for motif in motifs}
    assert {name: why for name, why in flags.items() if why} == {
        "VEZF1": "low_complexity",
        "ZNF384": "low_complexity",
        "ZNF362": "low_complexity",
        "ZGLP1": "low_information",
    }
    bits = np.array([information_bits(motif.matrix) for motif in motifs])
    assert np.sort(bits)[1] > MIN_INFORMATION_BITS
    assert np.quantile(bits, 0.01) == pytest.approx(6.92, abs=0.01)
