"""Motifs of a run grouped by similarity: what a reader calls "the GATA nodes".

Three steps, on motifs read in a canonical orientation and sorted by significance, so that neither the order
of motifs nor the strand they were reported on matters:

1. Copies. A motif that correlates with a more significant one by ``COPY`` or more over all columns of both
   (``alignment``) goes with it. What is left are the leaders; the costly steps see only them.
2. Leaders against leaders with ``comparison.compare``. A pair is similar where TomTom's p is at most the
   bound whichever of the two is the query; its similarity is then the correlation, that of any other pair 0.
   p guards against alignments of few columns that fit by chance; the correlation says how alike two motifs
   are, which p does not: it grows with width.
3. Average linkage (Sokal & Michener, Univ. Kansas Sci. Bull. 38:1409, 1958): two groups become one while the
   mean similarity over all pairs between them is at least ``SIMILAR``. Single linkage would chain unlike
   motifs through intermediate ones; RSAT matrix-clustering (Castro-Mondragon et al., Nucleic Acids Res.
   45:e119, 2017) averages for the same reason. A union needs at least one pair that alike, so each connected
   component of such pairs is linked alone, with the same result as all at once.

Memory: p of a block of leaders (``BLOCK_PAIRS`` pairs at a time), a list of the similar pairs, and the
distances within a component, 8 bytes a pair. A component of more than ``LARGEST_COMPONENT`` leaders is first
parted at stricter similarities until its parts are small enough; parts are then not united again. Nothing
else grows with the square of the number of motifs.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from biosae.artefacts import conform, load_schema
from biosae.errors import ConfigError, ContractError
from biosae.motifs import alignment
from biosae.motifs.comparison import compare, prepare_targets
from biosae.motifs.formats import Motif

log = logging.getLogger(__name__)

# Noisy copies of JASPAR matrices (40 to 400 sites, cut or widened by up to 3 columns) correlate by 0.87 to 1
# with each other, 99 % of pairs of different matrices by less than 0.8, half of them by less than 0.3.
COPY = 0.95
SIMILAR = 0.75
BLOCK_PAIRS = 2_000_000  # about 100 MB while they are compared
LARGEST_COMPONENT = 8_000  # leaders; 256 MB of distances, twice that while they are linked
STRICTER = 0.02  # step by which a component that is too large is parted


@dataclass(frozen=True)
class Cluster:
    """Motifs that are alike.

    Attributes:
        members: (n,) indices of the motifs, most significant first; flagged ones last.
        pile: how they lie over one another; ``pile.reverse`` is relative to the motifs as given.
        n_sites: sum over the members.
    """

    members: np.ndarray
    pile: alignment.Pile
    n_sites: int


def cluster(
    motifs: Sequence[Motif],
    log10_e: Sequence[float | None],
    flagged: Sequence[bool] | None = None,
    p_value: float = 0.01,
    threads: int = 1,
) -> tuple[list[Cluster], dict[str, int]]:
    """Group motifs.

    Args:
        motifs: in any order, each on either strand.
        log10_e: significance of each; None or NaN counts as the worst.
        flagged: motifs that may be in a cluster but should not stand for it; None for no motif.
        p_value: bound of step 2, in (0, 1].
        threads: of the comparison; never changes a result.

    Returns:
        Clusters, largest first, ties by the best log10_e (of motifs without flag) and then by matrix; and
        counts: leaders, pairs_compared, pairs_similar, clusters, clusters_of_one.

    Raises:
        ConfigError: p_value out of range.
    """
    if not 0 < p_value <= 1:
        raise ConfigError("The bound of similarity is no p-value", got=p_value, expected="0 < p <= 1")
    counts = dict.fromkeys(("leaders", "pairs_compared", "pairs_similar", "clusters", "clusters_of_one"), 0)
    if not motifs:
        return [], counts
    flagged = np.zeros(len(motifs), bool) if flagged is None else np.asarray(flagged, bool)
    read = [alignment.canonical(motif.matrix) for motif in motifs]
    order = _order(motifs, [matrix for matrix, _ in read], log10_e, flagged)
    sorted_motifs = [Motif(motifs[i].id, "", read[i][0], motifs[i].n_sites) for i in order]
    labels = _labels(sorted_motifs, p_value, threads, counts)
    rows = np.argsort(labels, kind="stable")
    groups = np.split(rows, np.flatnonzero(np.diff(labels[rows])) + 1)
    # the most significant member comes first in its group: where groups are equally large, it decides
    groups.sort(key=lambda group: (-len(group), group[0]))
    flips = np.array([flip for _, flip in read])
    counts["clusters"], counts["clusters_of_one"] = len(groups), sum(len(group) == 1 for group in groups)
    return [_make(group, order, sorted_motifs, flips) for group in groups], counts


def _order(motifs, matrices, log10_e, flagged) -> np.ndarray:
    """Indices of the motifs, flagged ones last, by significance; ties by matrix, sites and id."""
    worst = np.array([np.inf if value is None or np.isnan(value) else value for value in log10_e])
    keys = [
        (bool(flagged[i]), worst[i], matrices[i].tobytes(), motifs[i].n_sites, motifs[i].id)
        for i in range(len(motifs))
    ]
    return np.array(sorted(range(len(motifs)), key=keys.__getitem__))


def _labels(motifs: list[Motif], p_value: float, threads: int, counts: dict[str, int]) -> np.ndarray:
    """(n,) cluster of each motif, as the index of a leader in it."""
    columns, starts = alignment.pack([motif.matrix for motif in motifs])
    leader = alignment.leaders(columns, starts, COPY)
    leaders = np.flatnonzero(leader == np.arange(len(motifs)))
    first, second = _similar_pairs([motifs[i] for i in leaders], p_value, threads)
    value = alignment.similarities(columns, starts, leaders[first], leaders[second])
    n = len(leaders)
    counts |= {"leaders": n, "pairs_compared": n * (n - 1) // 2, "pairs_similar": len(first)}
    parts = _components(n, first, second, value, SIMILAR)
    part_of, place, found = np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n, np.int64)
    for number, part in enumerate(parts):
        part_of[part], place[part] = number, np.arange(len(part))
    inside = np.flatnonzero(part_of[first] == part_of[second])
    inside = inside[np.argsort(part_of[first[inside]], kind="stable")]
    ends = np.searchsorted(part_of[first[inside]], np.arange(len(parts) + 1))
    for number, part in enumerate(parts):
        pairs = inside[ends[number] : ends[number + 1]]
        found[part] = part[_linked(len(part), place[first[pairs]], place[second[pairs]], value[pairs])]
    return leaders[found][np.searchsorted(leaders, leader)]


def _similar_pairs(motifs: list[Motif], p_value: float, threads: int) -> tuple[np.ndarray, np.ndarray]:
    """Pairs i < j with p at most the bound in both directions, in order."""
    n, bound, keys = len(motifs), np.log10(p_value), []
    targets = prepare_targets(motifs)
    block = max(1, BLOCK_PAIRS // n)
    for start in range(0, n, block):
        log10_p = compare(motifs[start : start + block], targets, threads=threads).log10_p
        query, target = np.nonzero(log10_p <= bound)
        query = query + start
        apart = query != target
        keys.append(np.minimum(query, target)[apart] * n + np.maximum(query, target)[apart])
    pair, times = np.unique(np.concatenate(keys), return_counts=True)
    return np.divmod(pair[times == 2], n)


def _components(n: int, first, second, value, least: float) -> list[np.ndarray]:
    """Leaders connected by pairs that correlate by ``least``, in parts of at most LARGEST_COMPONENT."""
    strong = value >= least
    graph = coo_array((np.ones(int(strong.sum()), np.int8), (first[strong], second[strong])), shape=(n, n))
    label = connected_components(graph, directed=False)[1]
    order = np.argsort(label, kind="stable")
    parts = []
    for part in np.split(order, np.flatnonzero(np.diff(label[order])) + 1):
        if len(part) <= LARGEST_COMPONENT:
            parts.append(part)
            continue
        log.warning("%d motifs are connected; they are parted at a similarity of %.2f", len(part), least)
        inside = np.isin(first, part) & np.isin(second, part)
        ends = np.searchsorted(part, first[inside]), np.searchsorted(part, second[inside])
        smaller = _components(len(part), *ends, value[inside], least + STRICTER)
        parts += [part[rows] for rows in smaller]
    return parts


def _linked(n: int, first: np.ndarray, second: np.ndarray, value: np.ndarray) -> np.ndarray:
    """(n,) for each leader of a component the first of its group; pairs first < second that are similar."""
    if n == 1:
        return np.zeros(1, np.int64)
    distance = np.ones(n * (n - 1) // 2)
    distance[n * first - first * (first + 1) // 2 + second - first - 1] = 1.0 - value
    label = fcluster(linkage(distance, "average"), 1.0 - SIMILAR, "distance")
    _, where, inverse = np.unique(label, return_index=True, return_inverse=True)
    return where[inverse]


def _make(group: np.ndarray, order: np.ndarray, motifs: list[Motif], flips: np.ndarray) -> Cluster:
    """The cluster of some rows of the sorted motifs."""
    weights = np.array([max(motifs[row].n_sites, 1.0) for row in group])
    pile = alignment.pile([motifs[row].matrix for row in group], weights)
    members = order[group]
    turned = alignment.Pile(pile.matrix, pile.offsets, pile.reverse ^ flips[members], pile.correlation)
    return Cluster(members, turned, round(sum(motifs[row].n_sites for row in group)))


def cluster_run(
    motifs: Sequence[Motif], table: pd.DataFrame, p_value: float, threads: int = 1
) -> tuple[pd.DataFrame, list[Motif], dict[str, int]]:
    """Clusters of a run's significant motifs.

    Args:
        motifs: of motifs.meme.
        table: schema ``motifs``; a column ``flag`` need not be there.
        p_value, threads: see ``cluster``.

    Returns:
        Table of schema ``motif_clusters``, an averaged motif per cluster (id ``cluster_{i}``, named by its
        consensus), and counts, those of ``cluster`` among them.

    Raises:
        ContractError: the two do not hold the same motifs.
    """
    by_id = {motif.id: motif for motif in motifs}
    if len(by_id) != len(motifs) or set(by_id) != set(table["motif_id"]):
        raise ContractError(
            "The motifs and their table do not belong together",
            got=sorted(set(by_id) ^ set(table["motif_id"]))[:3] or "a motif twice",
            mend="collect the motifs again",
        )
    kept = table[table["significant"].astype(bool)].reset_index(drop=True)
    kept = kept if "flag" in kept else kept.assign(flag=pd.Series(pd.NA, kept.index, dtype="string"))
    flagged = kept["flag"].notna().to_numpy(bool)
    known = "log10_e" if kept["log10_e"].notna().any() or "tool_log10_e" not in kept else "tool_log10_e"
    log10_e = kept[known].astype("float64").tolist()  # without a held-out part only the tools' own E is there
    chosen = [by_id[name] for name in kept["motif_id"]]
    clusters, counts = cluster(chosen, log10_e, flagged, p_value, threads)
    averaged = [_averaged(i, found) for i, found in enumerate(clusters, 1)]
    counts = {
        "motifs": len(table),
        "motifs_clustered": len(kept),
        "left_out_not_significant": len(table) - len(kept),
        "flagged_clustered": int(flagged.sum()),
        **counts,
    }
    return _table(clusters, averaged, kept), averaged, counts


def _averaged(number: int, found: Cluster) -> Motif:
    name = Motif("unnamed", "", found.pile.matrix).consensus
    return Motif(f"cluster_{number}", name, found.pile.matrix, found.n_sites)


def _table(clusters: list[Cluster], averaged: list[Motif], kept: pd.DataFrame) -> pd.DataFrame:
    rows = [
        kept.loc[found.members, ["motif_id", "rank", "node", "motif", "flag"]].assign(
            cluster=number,
            cluster_name=motif.name,
            cluster_size=len(found.members),
            offset=found.pile.offsets,
            orientation=np.where(found.pile.reverse, "-", "+"),
            correlation=found.pile.correlation,
            is_seed=np.arange(len(found.members)) == 0,
        )
        for number, (found, motif) in enumerate(zip(clusters, averaged, strict=True), 1)
    ]
    if not rows:
        return conform(
            pd.DataFrame(columns=list(load_schema("motif_clusters")["properties"])), "motif_clusters"
        )
    return conform(pd.concat(rows, ignore_index=True), "motif_clusters")
