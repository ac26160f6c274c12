"""From p-values of all sizes to q-values over one family.

The family of a motif is every motif of every node of a run; the family of a match is every query x target
pair of a run. All of it works on log10 p: a motif found in 1,000 seqlets has a p far below what a double
holds.
"""

from __future__ import annotations

import numpy as np

from biosae.errors import ContractError
from biosae.motifs.numbers import power_of_ten

SMALLEST_LOG10 = -320.0  # where a linear p-value ends; 0 in a table means below it


def log10_of(p_values: np.ndarray) -> np.ndarray:
    """log10 of p-values in [0, 1]; a p-value that underflowed to 0 becomes 1e-320, its upper bound."""
    p_values = np.asarray(p_values, dtype=np.float64)
    with np.errstate(divide="ignore"):
        return np.maximum(np.log10(p_values), SMALLEST_LOG10)


def benjamini_hochberg(log10_p: np.ndarray, n_tests: int | None = None) -> np.ndarray:
    """log10 of Benjamini-Hochberg's adjusted p-values (J. R. Stat. Soc. B 57:289, 1995, section 3.1).

    The same as ``scipy.stats.false_discovery_control`` on 10**log10_p, without its underflow.

    Args:
        log10_p: (n,) log10 of p-values, in any order; above 0 counts as 0.
        n_tests: size of the family where ``log10_p`` holds only its smallest members; the others
            are taken to be larger than all that are given, which can only raise a q-value.

    Returns:
        (n,) log10 q, in the order given, never above 0.

    Raises:
        ContractError: a p-value is missing, or the family is smaller than what is given.
    """
    log10_p = np.minimum(np.asarray(log10_p, dtype=np.float64), 0.0)
    n_tests = len(log10_p) if n_tests is None else n_tests
    if n_tests < len(log10_p):
        raise ContractError(
            "A family has fewer tests than p-values", got=n_tests, expected=f">= {len(log10_p)}"
        )
    if np.isnan(log10_p).any():
        raise ContractError("A p-value is missing", got=f"{int(np.isnan(log10_p).sum())} of {len(log10_p)}")
    order = np.argsort(log10_p, kind="stable")
    ranks = np.arange(1, len(order) + 1)
    raw = log10_p[order] + np.log10(n_tests / ranks)
    adjusted = np.empty_like(log10_p)
    adjusted[order] = np.minimum(np.minimum.accumulate(raw[::-1])[::-1], 0.0)
    return adjusted


def q_values(log10_p: np.ndarray, n_tests: int | None = None) -> np.ndarray:
    """``benjamini_hochberg`` as plain numbers in [0, 1]; 0.0 where a double underflows."""
    log10_q = benjamini_hochberg(log10_p, n_tests)
    return np.array([power_of_ten(value) for value in log10_q], dtype=np.float64)
