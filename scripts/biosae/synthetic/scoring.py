"""Score a run against the planted truth. Every figure is computed over the kept nodes of the run.

Scored are all detectors but distractors: of motifs, repeats, low complexity and pairs.

motif_recall
    Share of planted matrices that at least one significant motif of a kept node *names*. A motif names at
    most one truth motif: that of lowest TomTom p among the truth motifs, provided its q is below TOMTOM_Q.
    TomTom's targets are the whole embedded database plus the repeat windows and low-complexity motifs that
    detectors read, because p-values from a dozen targets mean nothing.
motif_precision
    Share of the significant motifs of kept nodes that name a truth motif (planted matrix, repeat window,
    low-complexity motif or pair: each has a detector). None where there is no significant motif.
assignment_f1
    Mean over the scored detectors of F1 under the one-to-one assignment of kept nodes to detectors that
    maximises it (Hungarian algorithm). F1 compares "node at or above its threshold" with "detector fires"
    (activation > 0) at the same output position of the scored store, no tolerance; the threshold is the best
    one of all the node's activations, per detector. A detector without a node counts 0.
detectors_found, detectors_found_best
    Share of the scored detectors with F1 of at least FOUND_F1: by the one-to-one assignment, and by the best
    node of each detector whatever else that node serves.
splitting, merging, absorption
    One detector on several nodes, several detectors on one node, and firings of a detector that other nodes
    have taken over: see ``biosae.synthetic.sharing``.
position_error_bp
    Median over the scored detectors of the median, over the TOP_SEQLETS strongest seqlets of the assigned
    node, of |seqlet centre - centre of the nearest site on which the detector fires| in bp. Capped at the
    length of a sequence; a detector without a node, or whose node has no seqlet, counts as the cap.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_matrix

from biosae.synthetic.found import FOUND_F1
from biosae.synthetic.node_f1 import best_f1, by_node
from biosae.synthetic.planted import Truth, load_truth, truth_matrix
from biosae.synthetic.sharing import split_and_merged

__all__ = [
    "FOUND_F1",
    "TOMTOM_Q",
    "TOP_SEQLETS",
    "Truth",
    "assign",
    "assignment_table",
    "best_f1",
    "by_node",
    "found_shares",
    "load_truth",
    "locus_counts",
    "motif_figures",
    "name_motifs",
    "position_errors",
    "site_distance",
    "split_and_merged",
    "truth_matrix",
]

TOMTOM_Q = 0.05
TOP_SEQLETS = 100
PLANTED = "motif"  # the kind of detectors of planted matrices


def assign(f1: np.ndarray) -> np.ndarray:
    """Row of ``f1`` (n_nodes, n_detectors) per detector, -1 where none: one-to-one, highest sum of F1."""
    chosen = np.full(f1.shape[1], -1)
    nodes, detectors = linear_sum_assignment(f1, maximize=True)
    useful = f1[nodes, detectors] > 0  # a pair that shares no position is no assignment
    chosen[detectors[useful]] = nodes[useful]
    return chosen


def site_distance(seqlets: pd.DataFrame, sites: pd.DataFrame, cap_bp: int) -> np.ndarray:
    """Distance of each seqlet's centre to the centre of the nearest site of the same chromosome, in bp.

    Args:
        seqlets: chrom, start, end (0-based half-open).
        sites: chrom, centre.
        cap_bp: largest value returned; also where a chromosome holds no site.
    """
    distance = np.full(len(seqlets), float(cap_bp))
    centre = (seqlets["start"] + seqlets["end"]).to_numpy() / 2
    chroms = seqlets["chrom"].to_numpy()
    for chrom, own in sites.groupby("chrom"):
        known = np.sort(own["centre"].to_numpy())
        mask = chroms == chrom
        right = np.searchsorted(known, centre[mask])
        before, after = known[(right - 1).clip(min=0)], known[right.clip(max=len(known) - 1)]
        gap = np.minimum(np.abs(centre[mask] - before), np.abs(centre[mask] - after))
        distance[mask] = np.minimum(gap, cap_bp)
    return distance


def position_errors(truth: Truth, seqlets: pd.DataFrame, node_of_detector: np.ndarray) -> np.ndarray:
    """Median distance in bp per scored detector, (n_detectors,); see the module's text.

    Args:
        truth: the truth.
        seqlets: chrom, start, end, node, seqlet_rank (1 = strongest).
        node_of_detector: (n_detectors,) node number, -1 where none.
    """
    errors = np.full(len(truth.detectors), float(truth.cap_bp))
    width = truth.detectors["width"].to_numpy(dtype=np.int64)
    detections = truth.detections
    centre = detections["site_start"].to_numpy() + width[detections["detector"].to_numpy()] / 2
    sites = detections[["detector", "chrom"]].assign(centre=centre)
    top = dict(list(seqlets[seqlets["seqlet_rank"] <= TOP_SEQLETS].groupby("node")))
    of_detector = dict(list(sites.groupby("detector")))
    for detector, node in enumerate(node_of_detector.tolist()):
        if node in top:
            own = of_detector.get(detector, sites.iloc[:0])
            errors[detector] = np.median(site_distance(top[node], own, truth.cap_bp))
    return errors


def name_motifs(matches: pd.DataFrame, truth_motifs: dict[str, str]) -> dict[str, str]:
    """Which truth motif each query names: lowest p among the truth motifs, if its q is below TOMTOM_Q.

    Args:
        matches: query, target, p_value, q_value (TomTom's, over all targets of one query).
        truth_motifs: ids of the truth motifs (keys).
    """
    own = matches[matches["target"].isin(list(truth_motifs)) & (matches["q_value"] < TOMTOM_Q)]
    own = own.sort_values(["query", "p_value", "target"]).drop_duplicates("query")
    return dict(zip(own["query"], own["target"], strict=True))


def motif_figures(significant: list[str], named: dict[str, str], truth_motifs: dict[str, str]) -> dict:
    """Recall and precision.

    Args:
        significant: ids of the significant motifs of kept nodes.
        named: query -> truth motif, from ``name_motifs``.
        truth_motifs: truth motif id -> kind.
    """
    planted = [name for name, kind in truth_motifs.items() if kind == PLANTED]
    hits = [named[name] for name in significant if name in named]
    found = sorted(set(hits) & set(planted))
    return {
        "motif_recall": len(found) / len(planted),
        "motif_precision": len(hits) / len(significant) if significant else None,
        "n_planted_motifs": len(planted),
        "n_significant_motifs": len(significant),
        "n_named_motifs": len(hits),
        "planted_motifs_found": found,
        "planted_motifs_missed": sorted(set(planted) - set(found)),
        "other_truth_found": sorted(set(hits) - set(planted)),
    }


def assignment_table(
    truth: Truth, kept: np.ndarray, f1: np.ndarray, threshold: np.ndarray, chosen: np.ndarray
) -> pd.DataFrame:
    """One row per scored detector: its node, F1 and threshold, and the best F1 without one-to-one."""
    detector = np.arange(f1.shape[1])
    if len(kept) == 0:
        free, own, node, at, best_node = (
            np.full(len(detector), value) for value in (0.0, 0.0, -1, np.inf, -1)
        )
    else:
        has = chosen >= 0
        own = np.where(has, f1[chosen, detector], 0.0)
        at = np.where(has, threshold[chosen, detector], np.inf)
        node = np.where(has, kept[chosen], -1)
        free, best_node = f1.max(axis=0), np.where(f1.max(axis=0) > 0, kept[f1.argmax(axis=0)], -1)
    table = truth.detectors[["detector", "name", "kind", "motif", "strand"]].copy()
    return table.assign(node=node, f1=own, threshold=at, best_node=best_node, best_f1=free)


def found_shares(table: pd.DataFrame) -> dict[str, float]:
    """``detectors_found`` and ``detectors_found_best`` of an assignment table."""
    return {
        "detectors_found": float((table["f1"] >= FOUND_F1).mean()),
        "detectors_found_best": float((table["best_f1"] >= FOUND_F1).mean()),
    }


def locus_counts(
    rows: np.ndarray, nodes: np.ndarray, values: np.ndarray, table: pd.DataFrame, truth: csr_matrix,
    positions: int,
) -> pd.DataFrame:  # fmt: skip
    """What an assignment gets right and wrong, per detector and sequence (for intervals over sequences).

    Args:
        rows, nodes, values: (m,) non-zero activations of a whole store.
        table: of ``assignment_table``: ``node`` (-1: none) and ``threshold`` per detector.
        truth: (rows, n_detectors) bool.
        positions: output positions per sequence.

    Returns:
        detector, sequence (its number in the store), true_positive, false_positive, false_negative, in
        positions; sequences where all three are 0 are left out.
    """
    n_sequences = truth.shape[0] // positions
    by_detector = truth.tocsc()
    parts = []
    for detector, (node, threshold) in enumerate(zip(table["node"], table["threshold"], strict=True)):
        fires = by_detector.indices[by_detector.indptr[detector] : by_detector.indptr[detector + 1]]
        active = rows[(nodes == node) & (values >= threshold)]
        hit = np.isin(active, fires, assume_unique=True)
        counts = [
            np.bincount(own // positions, minlength=n_sequences)
            for own in (active[hit], active[~hit], np.setdiff1d(fires, active))
        ]
        some = np.flatnonzero(np.sum(counts, axis=0))
        parts.append(np.stack([np.full(len(some), detector), some, *(count[some] for count in counts)]))
    names = ["detector", "sequence", "true_positive", "false_positive", "false_negative"]
    return pd.DataFrame(np.concatenate(parts, axis=1).T, columns=names)
