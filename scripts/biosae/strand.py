"""Strands: does a node read the reverse complement of its motif too, or does another node, or none?

A layer that reads one strand has to learn a motif twice, once for each strand. So a motif's reverse
complement is scanned for as well, and all kept nodes are asked on which of those reverse hits they fire. A
node that fires often fires on many hits by chance, so shares are compared as excess over chance,
(share - chance) / (1 - chance), where chance is the share of all places of the sample, for motifs of this
width, on which the node fires. An excess counts where a binomial test says that as many hits at this chance
have p below SIGNIFICANCE / (number of kept nodes); hits of one repeat family are not independent, so this is
a guard against few hits, not evidence.

palindromic       the node itself fires on the reverse hits, with at least ``strand_ratio`` of its excess on
                  its own (the matrix need not be a palindrome: palindrome_correlation says whether it is)
paired            not so, but another kept node does; the one of largest excess is the partner
strand_specific   no kept node does
unknown           too few hits on a strand, or the node does not fire on its own hits beyond chance
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import bdtrc

SIGNIFICANCE = 0.01
PALINDROMIC, PAIRED, STRAND_SPECIFIC, UNKNOWN = "palindromic", "paired", "strand_specific", "unknown"


@dataclass(frozen=True)
class StrandRead:
    """What is known of a node's strands.

    Attributes:
        strand_class: see the module's text.
        partner: place of the partner among the kept nodes (its own where palindromic), or None.
    """

    strand_class: str
    partner: int | None


def excess(counts: np.ndarray, n: int, chance: np.ndarray, n_nodes: int) -> np.ndarray:
    """Excess over chance of ``counts`` of ``n`` hits, 0 where it may be chance; see the module's text."""
    if n == 0:
        return np.zeros(len(counts))
    unlikely = bdtrc(counts - 1, n, chance) < SIGNIFICANCE / n_nodes
    room = np.where(chance < 1, 1 - chance, 1)  # a node that fires everywhere has no excess
    return np.where(unlikely & (chance < 1), (counts / n - chance) / room, 0.0)


def read_strands(
    node: int,
    own: tuple[np.ndarray, int],
    reverse: tuple[np.ndarray, int],
    chance: np.ndarray,
    min_hits: int,
    strand_ratio: float,
) -> StrandRead:
    """Class and partner of a node.

    Args:
        node: its place among the kept nodes.
        own: of the hits of its motif: on how many each kept node fires (n_nodes,), and their number.
        reverse: likewise of the hits of the motif's reverse complement.
        chance: (n_nodes,) share of places on which each node fires.
        min_hits: fewest hits on each strand.
        strand_ratio: how large the excess on reverse hits must be, over that on its own hits.
    """
    n_nodes = len(chance)
    if min(own[1], reverse[1]) < max(min_hits, 1):
        return StrandRead(UNKNOWN, None)
    at_home = excess(own[0][[node]], own[1], chance[[node]], n_nodes)[0]
    if at_home <= 0:
        return StrandRead(UNKNOWN, None)
    abroad = excess(*reverse, chance, n_nodes)
    if abroad[node] >= strand_ratio * at_home:
        return StrandRead(PALINDROMIC, node)
    abroad[node] = -1.0
    best = int(abroad.argmax())
    if abroad[best] > 0 and abroad[best] >= strand_ratio * at_home:
        return StrandRead(PAIRED, best)
    return StrandRead(STRAND_SPECIFIC, None)


def palindrome_correlation(matrix: np.ndarray) -> float | None:
    """Pearson correlation of a matrix (width, 4) with its reverse complement; None where it is flat."""
    flat = matrix.ravel()
    if np.ptp(flat) < 1e-9:
        return None
    return float(np.corrcoef(flat, matrix[::-1, ::-1].ravel())[0, 1])
