"""Background windows for each node of a run, matched to its own seqlets in GC and in nothing else.

One pool of random windows is drawn for the run and ordered by GC bin. The background of a node is the
first so many windows of each bin, so that its GC bins have the shares that they have among the node's
seqlets: how many of them lie in a class is read off running sums, for all nodes at once. Backgrounds
of two nodes share windows.

Coordinates are 0-based, half-open. Floor: the genome is read once; two searches a window and class.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
import pandas as pd

from biosae.backgrounds import GC_BINS, REPEAT_BINS, apportion, candidate_strata, candidate_windows
from biosae.errors import ContractError
from biosae.genome import Genome
from biosae.landscape.loci import seqlet_width

log = logging.getLogger(__name__)

_HALF_MASKED = 2  # repeat bins of a stratum from here on: at least half of the bases are lower case


def covered_bases(start: np.ndarray, width: int, first: np.ndarray, last: np.ndarray) -> np.ndarray:
    """Bases of the windows [start, start + width) in the union of the intervals [first, last), (n,) int64."""
    if not len(first):
        return np.zeros(len(start), np.int64)
    order = np.argsort(first, kind="stable")
    first, last = first[order], np.maximum.accumulate(last[order])
    opens = np.flatnonzero(np.append(True, first[1:] > last[:-1]))
    begin, end = first[opens], last[np.append(opens[1:], len(first)) - 1]
    before = np.append(0, np.cumsum(end - begin))

    def up_to(place: np.ndarray) -> np.ndarray:
        entered = np.searchsorted(begin, place, side="right")
        beyond = np.where(entered > 0, end[entered - 1] - place, 0)  # of the last one, what is not reached
        return before[entered] - np.maximum(beyond, 0)

    return up_to(start + width) - up_to(start)


def windows_wanted(seqlets: np.ndarray, pool: np.ndarray, n_windows: int) -> np.ndarray:
    """Background windows to take from each GC bin for each node, (nodes, bins) int64.

    Args:
        seqlets: seqlets of each node by GC bin, (nodes, bins).
        pool: windows that there are of each bin, (bins,).
        n_windows: windows a node at most. A node gets as many as its scarcest bin allows in proportion
            (bins without any window left aside), but no fewer than it has seqlets: then the scarce bins
            stay short.
    """
    wanted = np.zeros(seqlets.shape, np.int64)
    for row in np.flatnonzero(seqlets.sum(axis=1)):
        total = int(seqlets[row].sum())
        there = (seqlets[row] > 0) & (pool > 0)
        most = int((pool[there] * total / seqlets[row][there]).min()) if there.any() else 0
        asked = apportion(seqlets[row].astype(np.float64), min(n_windows, max(most, total)))
        wanted[row] = np.minimum(asked, pool)
    return wanted


@dataclass(frozen=True)
class Windows:
    """Seqlets of the nodes and the pool of random windows, made ready for one class after the other.

    Attributes:
        table: chrom, start of all: seqlets first, then the pool in order of GC bin.
        width: bp of each.
        node: row of the node of each seqlet, (n_seqlets,).
        masked: whether at least half of the bases are lower case, (n,) bool.
        wanted: windows of each GC bin that are the background of each node, (nodes, bins).
        offset: where each GC bin begins in the pool, (bins,).
        gc_distance: (nodes,), half the summed difference of the shares of GC bins; 0 = matched exactly.
    """

    table: pd.DataFrame
    width: int
    node: np.ndarray
    masked: np.ndarray
    wanted: np.ndarray
    offset: np.ndarray
    gc_distance: np.ndarray

    def counts(self, inside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Seqlets, and background windows, of each node that are ``inside`` (n,) bool; two (nodes,) int64."""
        n_seqlets = len(self.node)
        seqlets = np.bincount(self.node[inside[:n_seqlets]], minlength=len(self.wanted))
        upto = np.append(0, np.cumsum(inside[n_seqlets:]))
        background = upto[self.offset + self.wanted] - upto[self.offset]
        return seqlets.astype(np.int64), background.sum(axis=1)

    def inside(self, features: pd.DataFrame) -> np.ndarray:
        """Windows at least half of whose bases lie in the features (chrom, start, end), (n,) bool."""
        covered = np.zeros(len(self.table), np.int64)
        start = self.table["start"].to_numpy("int64")
        places = features.groupby("chrom")
        for chrom, rows in self.table.groupby("chrom").indices.items():
            if chrom in places.groups:
                here = places.get_group(chrom)
                first, last = here["start"].to_numpy("int64"), here["end"].to_numpy("int64")
                covered[rows] = covered_bases(start[rows], self.width, first, last)
        return 2 * covered >= self.width


def match_windows(
    seqlets: pd.DataFrame,
    n_nodes: int,
    intervals: pd.DataFrame,
    genome: Genome,
    pool_windows: int,
    background_windows: int,
    seed: int,
) -> Windows:
    """Draw the pool and take each node's background from it.

    Args:
        seqlets: chrom, start, end, row (of the nodes); at least one.
        intervals: chrom, core_start, core_end of the store's sequences.
        pool_windows: random windows to draw.
        background_windows: of these, background of one node at most.
        seed: of the draw.

    Raises:
        ContractError: a seqlet holds a letter other than A, C, G, T: it is of another genome.
    """
    width = seqlet_width(seqlets)
    own = _own_strata(seqlets, width, genome)
    pool = candidate_windows(intervals, width, pool_windows, np.random.default_rng(seed))
    stratum = candidate_strata(pool, width, genome)
    order = _known_by_gc(stratum)
    log.info("pool of %d windows, %d of them with another letter", len(pool), len(pool) - len(order))
    n_pool = np.bincount(stratum[order] // REPEAT_BINS, minlength=GC_BINS)
    node = seqlets["row"].to_numpy("int64")
    counts = _counts_by_gc(node, own // REPEAT_BINS, n_nodes)
    wanted = windows_wanted(counts, n_pool, background_windows)
    return Windows(
        pd.concat([seqlets[["chrom", "start"]], pool.iloc[order][["chrom", "start"]]], ignore_index=True),
        width,
        node,
        np.concatenate([own, stratum[order]]) % REPEAT_BINS >= _HALF_MASKED,
        wanted,
        np.cumsum(n_pool) - n_pool,
        _distance(counts, wanted),
    )


def _known_by_gc(stratum: np.ndarray) -> np.ndarray:
    """Windows without another letter (stratum >= 0), by GC bin."""
    order = np.argsort(stratum // REPEAT_BINS, kind="stable")
    return order[stratum[order] >= 0]


def _counts_by_gc(node: np.ndarray, gc_bin: np.ndarray, n_nodes: int) -> np.ndarray:
    """Seqlets of each node in each GC bin, (n_nodes, GC_BINS)."""
    return np.bincount(node * GC_BINS + gc_bin, minlength=n_nodes * GC_BINS).reshape(n_nodes, GC_BINS)


def _own_strata(seqlets: pd.DataFrame, width: int, genome: Genome) -> np.ndarray:
    strata = candidate_strata(seqlets, width, genome)
    if (strata < 0).any():
        raise ContractError(
            f"{int((strata < 0).sum())} of {len(strata)} seqlets hold a letter other than A, C, G, T",
            where=genome.path,
            mend="give the genome that the seqlets were cut from",
        )
    return strata


def _distance(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    shares = [counts / np.maximum(counts.sum(axis=1, keepdims=True), 1) for counts in (first, second)]
    return np.abs(shares[0] - shares[1]).sum(axis=1) / 2
