"""Loci and nodes drawn with replacement: what another genome, or another dictionary alike, might have said.

A locus is a block of ``locus_bp`` bases of a chromosome. The blocks of all runs are one population, and a
replicate draws as many as there are with replacement (Efron & Tibshirani, An Introduction to the Bootstrap,
1993, chapter 8): the same draw for every run, so that what two runs share cancels in their difference.
Matrices, their matches and their clusters stay as they are; what is counted anew is the held-out test of each
motif, and with it p, q and everything that hangs on significance. In the same replicate each run's kept nodes
are drawn with replacement, for itself: two dictionaries that differ in nothing but chance name different
numbers of nodes, and loci alone would make that a difference.

A locus drawn twice counts as two in the test, so that motifs near the threshold pass more often than they
would with new data. The interval is therefore that of the replicates about their own mean, laid about the
observed difference. Figures of the recovery have no such test: theirs is that of the replicates as they are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd
from scipy.special import gammaln

from biosae.scoreboard.replicates import log10_p_of_replicates

LEVEL = 0.95  # of every interval


def all_loci(evidence: Iterable[pd.DataFrame], locus_bp: int) -> pd.MultiIndex:
    """Every locus block of the runs' evidence once, (chrom, block), in order.

    Args:
        evidence: tables of schema ``held_out``; each is let go before the next is asked for.
        locus_bp: length of a block. A seqlet without a place is a block of its own, by name.
    """
    found = [pd.DataFrame({"chrom": pd.array([], "string"), "block": pd.array([], "Int64")})]
    found += [_blocks(table, locus_bp).drop_duplicates() for table in evidence]
    return pd.MultiIndex.from_frame(pd.concat(found).drop_duplicates().sort_values(["chrom", "block"]))


def _blocks(evidence: pd.DataFrame, locus_bp: int) -> pd.DataFrame:
    """chrom and block of the rows that have a place: controls have none."""
    own = evidence.loc[evidence["chrom"].notna(), ["chrom", "start"]]
    return pd.DataFrame({"chrom": own["chrom"], "block": (own["start"] // locus_bp).fillna(-1)})


def locus_codes(evidence: pd.DataFrame, loci: pd.MultiIndex, locus_bp: int) -> np.ndarray:
    """Number of each row's locus block among ``loci``, -1 for controls."""
    keys = _blocks(evidence, locus_bp)
    own = keys.groupby(["chrom", "block"], sort=False).ngroup().to_numpy("int64")
    codes = np.full(len(evidence), -1, dtype=np.int64)
    placed = evidence["chrom"].notna().to_numpy(bool)
    codes[placed] = loci.get_indexer(pd.MultiIndex.from_frame(keys.drop_duplicates()))[own]
    return codes


def draw_weights(n_loci: int, replicates: int, seed: Sequence[int]) -> np.ndarray:
    """How often each locus is drawn, (loci, replicates) float32: whole numbers, ``n_loci`` in each column."""
    rng = np.random.default_rng(list(seed))
    if n_loci == 0:
        return np.zeros((0, replicates), dtype=np.float32)
    drawn = rng.multinomial(n_loci, np.full(n_loci, 1.0 / n_loci), size=replicates)
    return np.ascontiguousarray(drawn.T, dtype=np.float32)


def named_seed(seed: int, *words: str | int) -> tuple[int, ...]:
    """A seed of a stream of its own, which does not depend on what else is drawn."""
    return (seed, *hashlib.blake2b(repr(words).encode(), digest_size=8).digest())


def replicate_p(
    evidence: pd.DataFrame, loci: np.ndarray, motif_ids: Sequence[str], weights: np.ndarray
) -> np.ndarray:
    """log10 p of every motif in every replicate.

    Args:
        evidence: schema ``held_out``, of these motifs.
        loci: (rows of evidence,) from ``locus_codes``.
        motif_ids: of the run.
        weights: from ``draw_weights``.

    Returns:
        (replicates, motifs) float64.
    """
    rank = pd.Series(range(len(motif_ids)), index=list(motif_ids))
    place = evidence["motif_id"].map(rank).to_numpy("int64")
    order = np.argsort(place, kind="stable")
    columns = [evidence[name].to_numpy("int64")[order] for name in ("stratum", "n", "n_hit")]
    columns.append(loci[order])
    bounds = np.searchsorted(place[order], np.arange(len(motif_ids) + 1))
    out = np.zeros((weights.shape[1], len(motif_ids)))
    for motif, (first, last) in enumerate(pairwise(bounds)):
        out[:, motif] = _motif_p(*(column[first:last] for column in columns), weights)
    return out


def _motif_p(stratum, n, n_hit, locus, weights) -> np.ndarray:
    """log10 p of one motif, (replicates,)."""
    own = locus >= 0
    size = int(stratum.max(initial=-1)) + 1
    control_hits, n_controls = (
        np.bincount(stratum[~own], weights=counts[~own], minlength=size).astype(np.int64)
        for counts in (n_hit, n)
    )
    tells = np.flatnonzero(n_controls)  # a stratum without controls says nothing
    used = np.flatnonzero(own & (n_controls[stratum] > 0))
    used = used[np.argsort(stratum[used], kind="stable")]
    place = np.searchsorted(tells, stratum[used])
    drawn = weights[locus[used]]
    hits, counts = (_sums(drawn * of[used, None].astype(np.float32), place, len(tells)) for of in (n_hit, n))
    observed = [np.bincount(place, of[used], len(tells)).astype(np.int64) for of in (n_hit, n)]
    return log10_p_of_replicates(hits.T, counts.T, control_hits[tells], n_controls[tells], observed)


def _sums(values: np.ndarray, place: np.ndarray, size: int) -> np.ndarray:
    """Sums of the rows (m, replicates) of each place, (size, replicates) int64; ``place`` (m,) rises."""
    out = np.zeros((size, values.shape[1]), dtype=np.int64)
    if len(place):
        first = np.flatnonzero(np.diff(place, prepend=-1))
        out[place[first]] = np.rint(np.add.reduceat(values, first, axis=0))
    return out


def step_up_rows(p_values: np.ndarray) -> np.ndarray:
    """Benjamini-Hochberg's adjusted p-values within each row, (rows, n); above 1 counts as 1."""
    n = p_values.shape[1]
    order = np.argsort(p_values, axis=1, kind="stable")
    raw = np.take_along_axis(p_values, order, 1) * n / np.arange(1, n + 1)
    adjusted = np.empty_like(raw)
    falling = np.minimum.accumulate(raw[:, ::-1], axis=1)[:, ::-1]
    np.put_along_axis(adjusted, order, np.minimum(falling, 1.0), 1)
    return adjusted


def step_up_log10_rows(log10_p: np.ndarray) -> np.ndarray:
    """The same on logarithms, as ``motifs.significance.benjamini_hochberg`` within each row."""
    n = log10_p.shape[1]
    order = np.argsort(log10_p, axis=1, kind="stable")
    raw = np.take_along_axis(log10_p, order, 1) + np.log10(n / np.arange(1, n + 1))
    adjusted = np.empty_like(raw)
    falling = np.minimum.accumulate(raw[:, ::-1], axis=1)[:, ::-1]
    np.put_along_axis(adjusted, order, np.minimum(falling, 0.0), 1)
    return adjusted


def rarefied_classes(counts: np.ndarray, weighted: np.ndarray, nodes: int, drawn: int) -> np.ndarray:
    """Expected number of classes among ``drawn`` of ``nodes`` nodes, taken without replacement.

    Hurlbert (1971, Ecology 52:577): sum over classes of 1 - C(nodes - count, drawn) / C(nodes, drawn). Nodes
    that count more or less than once enter by what each alone adds to that number, its jackknife influence
    (Efron & Tibshirani 1993, chapter 11): drawn nodes would hold ever fewer classes than there are, and vary
    too little.

    Args:
        counts: (replicates, classes) nodes of each class; a node has at most one class.
        weighted: the same, each node as often as it counts.
        nodes: all nodes, those without a class among them.
        drawn: 0 <= drawn <= nodes.

    Returns:
        (replicates,) float64.
    """
    there = _chance_to_be_there(nodes, drawn)
    without_one = _chance_to_be_there(nodes - 1, min(drawn, nodes - 1)) if nodes else there
    influence = np.diff(without_one, prepend=0.0)
    influence = np.append(influence, 0.0)[: len(there)]  # all nodes of one class: none adds anything
    return there[counts].sum(1) + ((weighted - counts) * influence[counts]).sum(1)


def _chance_to_be_there(nodes: int, drawn: int) -> np.ndarray:
    """(nodes + 1,) chance that at least one of so many nodes of a class is among the drawn."""
    size = np.arange(nodes + 1)
    log_missed = (
        gammaln(nodes - size + 1) - gammaln(np.maximum(nodes - size - drawn, 0) + 1)
        - gammaln(nodes + 1) + gammaln(nodes - drawn + 1)
    )  # fmt: skip
    return np.where(nodes - size < drawn, 1.0, -np.expm1(np.minimum(log_missed, 0.0)))


def interval(observed: float, draws: np.ndarray, centred: bool = True) -> tuple[float, float]:
    """The two percentiles of the draws that hold LEVEL between them.

    Args:
        observed: the figure itself.
        draws: (replicates,) what the replicates have.
        centred: take the draws about their mean and lay them about ``observed``: for figures of a test that
            loci drawn twice pass more often.
    """
    shift = observed - draws.mean() if centred else 0.0
    low, high = np.percentile(draws, [50 * (1 - LEVEL), 50 * (1 + LEVEL)])
    return float(low + shift), float(high + shift)
