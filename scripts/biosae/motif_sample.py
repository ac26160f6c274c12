"""Motifs in a sample of the stream: their hits, who fires on them, what chance gives, and AUROC.

Blocks and which positions hold a hit: ``stream_sample``. Scores and thresholds: ``motif_scan``.
"""

from __future__ import annotations

import numpy as np

from biosae.backgrounds import GC_BINS
from biosae.letter_codes import OTHER
from biosae.motif_scan import ScanMotif, best_in_windows, composition, scan
from biosae.specificity_kernels import (
    auroc_within,
    count_covered,
    count_fired,
    count_holding,
    count_places,
    find_hits,
)
from biosae.stream_sample import Blocks, Firing


class MotifSample:
    """A sample's blocks with what is needed of them again and again.

    Attributes:
        blocks: the blocks.
        background: (4,) shares of A, C, G, T among their bases, strands alike.
        stratum: (n_positions,) GC bin of each position's window; -1 where it holds another letter.
    """

    def __init__(self, blocks: Blocks) -> None:
        self.blocks = blocks
        self.background = composition(blocks.codes)
        windows = blocks.windows()
        gc = ((windows == 1) | (windows == 2)).sum(axis=2)
        stratum = np.minimum(gc * GC_BINS // blocks.window_bp, GC_BINS - 1)
        self.stratum = np.where((windows == OTHER).any(axis=2), -1, stratum).ravel()

    def scores(self, motif: ScanMotif) -> np.ndarray:
        """Score of every place, (n_blocks, places) int32."""
        codes = self.blocks.codes
        scores = np.empty((len(codes), codes.shape[1] - motif.width + 1), dtype=np.int32)
        scan(codes, motif.weights, scores)
        return scores

    def hits(self, motif: ScanMotif) -> np.ndarray:
        """(n, 2) int32: numbers of the first and the last position that hold each hit."""
        return find_hits(self.scores(motif), motif.threshold, *self._geometry(motif.width))

    def n_holding(self, hits: list[np.ndarray]) -> int:
        """Positions that hold at least one hit of any of these."""
        return count_holding(np.concatenate(hits), self.blocks.n_positions)

    def chance(self, width: int, firing: Firing) -> np.ndarray:
        """Share of the places for a motif of this width on which each kept node fires, (n_nodes,)."""
        geometry = self._geometry(width)
        places = count_places(*geometry, self.blocks.codes.shape[1] - width + 1)
        covered = [count_covered(firing.of_node(node), *geometry) for node in range(firing.n_nodes)]
        return np.array(covered, dtype=np.float64) / max(places, 1)

    def auroc(self, motifs: list[ScanMotif], fired: np.ndarray) -> tuple[float, int]:
        """AUROC of the best score of a window, on any of the strands given, and the positions it is over.

        Args:
            motifs: one motif, or it and its reverse complement.
            fired: positions that are told from the others of their GC.
        """
        blocks = self.blocks
        best = np.full((len(blocks.codes), blocks.positions), np.iinfo(np.int32).min, dtype=np.int32)
        own = np.empty_like(best)
        for motif in motifs:
            places = blocks.window_bp - motif.width + 1
            best_in_windows(self.scores(motif), blocks.stride_bp, places, own)
            np.maximum(best, own, out=best)
        fires = np.zeros(blocks.n_positions, dtype=bool)
        fires[fired] = True
        return auroc_within(best.ravel(), self.stratum, fires, GC_BINS)

    def _geometry(self, width: int) -> tuple:
        blocks = self.blocks
        return width, blocks.stride_bp, blocks.window_bp, blocks.positions, blocks.opens, blocks.closes


def fired_on(hits: np.ndarray, firing: Firing) -> np.ndarray:
    """On how many of the hits (n, 2) each kept node fires, (n_nodes,) int64."""
    counts = np.zeros(firing.n_nodes, dtype=np.int64)
    count_fired(hits, firing.by_position, firing.position_edges, counts)
    return counts
