"""Do the nodes of another run fire at the same places? For runs of any layer, by where seqlets lie.

Decoder directions can be compared within one layer only (``stability``); places can be compared wherever
both runs read the same genome. A locus is a bin as wide as the wider seqlet of the two runs, a seqlet
belongs to the bin of its centre, and seqlets whose centre is not in a stored interval of both runs are
left out. Two nodes are as similar as the Jaccard index of their loci. Kept nodes are matched one to one
with the largest sum there is (the Hungarian problem), pairs that share no locus are no pairs.

Only the strongest windows of a node are seqlets: two runs that rank the places of one feature differently
share few of them, so that a low value does not prove that the node is another one.

The null: the same matching after each seqlet of the other run was given to a node at random, each node
keeping its number and each locus its number of seqlets; so what nodes share because all fire at the same
busy places is in the null. p compares with the null values of all nodes and permutations of the pair of
runs together, (1 + count) / (1 + n) (Phipson and Smyth 2010, Stat. Appl. Genet. Mol. Biol. 9:39); q is
Benjamini and Hochberg's over all rows of the run.

Floor: 1 + permutations matchings a run; beyond ``max_dense`` nodes a side mutual best pairs go first.
"""

from __future__ import annotations

import logging
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse, stats
from scipy.optimize import linear_sum_assignment

from biosae.artefacts import conform
from biosae.backgrounds import merge_intervals
from biosae.cli import progress
from biosae.errors import ConfigError, InputError
from biosae.landscape.loci import incidence, read_nodes, read_seqlets, seqlet_width
from biosae.top_activations import read_notes

log = logging.getLogger(__name__)

RUN_INPUTS = ("top_activations.parquet", "seqlets/manifest.tsv", "seqlets/seqlets.bed.gz")


@dataclass(frozen=True)
class FiringPlaces:
    """Where the kept nodes of one run fire.

    Attributes:
        name: layer/run.
        layer: name of the layer.
        nodes: rank, node.
        seqlets: chrom, start, end, row (of ``nodes``).
        stored: chrom, start, end: sorted, disjoint intervals of the encoded store.
    """

    name: str
    layer: str
    nodes: pd.DataFrame
    seqlets: pd.DataFrame
    stored: pd.DataFrame


def read_places(run: Path) -> FiringPlaces:
    """Read ``RUN_INPUTS`` of a run.

    Raises:
        InputError, ContractError: a file is missing, damaged or of another run.
    """
    notes = read_notes(run / RUN_INPUTS[0])
    columns = ["chrom", "start", "end", "core_start", "core_end"]
    table = pd.DataFrame(notes["intervals"], columns=columns)
    nodes = read_nodes(run)
    layer = notes["layer"]["name"]
    # the whole sequences, listed intervals with their pads: nodes are read from all of it
    stored = merge_intervals(table["chrom"], table["start"], table["end"])
    return FiringPlaces(f"{layer}/{run.resolve().name}", layer, nodes, read_seqlets(run, nodes), stored)


def inside(seqlets: pd.DataFrame, stored: pd.DataFrame) -> np.ndarray:
    """Seqlets whose centre lies in the intervals (sorted, disjoint chrom, start, end), (n,) bool."""
    found = np.zeros(len(seqlets), bool)
    centre = ((seqlets["start"] + seqlets["end"]) // 2).to_numpy("int64")
    for chrom, rows in seqlets.groupby("chrom").indices.items():
        here = stored[stored["chrom"] == chrom]
        start, end = here["start"].to_numpy("int64"), here["end"].to_numpy("int64")
        block = np.searchsorted(start, centre[rows], side="right") - 1
        found[rows] = (block >= 0) & (centre[rows] < np.append(end, 0)[block])
    return found


def jaccard(first: sparse.csr_array, second: sparse.csr_array) -> sparse.csr_array:
    """Jaccard index of the rows of two matrices of zeros and ones over the same loci, (n, m)."""
    shared = sparse.coo_array(first @ second.T).astype(np.float64)
    sizes = first.sum(axis=1), second.sum(axis=1)
    union = sizes[0][shared.row] + sizes[1][shared.col] - shared.data
    return sparse.csr_array((shared.data / union, (shared.row, shared.col)), shape=shared.shape)


def match_similar(similarity: sparse.csr_array, max_dense: int) -> np.ndarray:
    """One-to-one matching with the largest sum of similarities.

    Args:
        similarity: (n, m), 0 or more.
        max_dense: up to max_dense^2 entries the matching is the best there is; of more, pairs that are
            each other's best are taken first, round after round.

    Returns:
        partner of each row, (n,) int64; -1 where it has none that is similar at all.
    """
    partner = np.full(similarity.shape[0], -1, np.int64)
    rows, columns = (np.flatnonzero(np.diff(part.indptr)) for part in (similarity, similarity.tocsc()))
    while len(rows) * len(columns) > max_dense**2:
        left = similarity[rows][:, columns].tocoo()
        if not left.nnz:
            return partner
        best, back = _best(left.row, left.col, left.data), _best(left.col, left.row, left.data)
        mutual = np.array([a for a, b in best.items() if back[b] == a])
        taken = np.array([best[a] for a in mutual])
        partner[rows[mutual]] = columns[taken]
        rows, columns = np.delete(rows, mutual), np.delete(columns, taken)
    if len(rows) and len(columns):
        dense = similarity[rows][:, columns].toarray()
        chosen, to = linear_sum_assignment(dense, maximize=True)
        similar = dense[chosen, to] > 0
        partner[rows[chosen[similar]]] = columns[to[similar]]
    return partner


def _best(row: np.ndarray, column: np.ndarray, value: np.ndarray) -> dict[int, int]:
    """The column of the largest value of each row that has any; of equal ones the lowest."""
    order = np.lexsort((column, -value, row))
    firsts = order[np.flatnonzero(np.diff(row[order], prepend=-1))]
    return dict(zip(row[firsts].tolist(), column[firsts].tolist(), strict=True))


def shuffled(places: sparse.csr_array, rng: np.random.Generator) -> sparse.csr_array:
    """The same numbers of seqlets of each node and at each locus, which node fires where at random.

    A node that is given one locus twice counts it once.
    """
    found = places.tocoo()
    pairs = np.unique(np.stack([rng.permutation(found.row), found.col]), axis=1)
    return sparse.csr_array((np.ones(pairs.shape[1], np.int32), (pairs[0], pairs[1])), shape=places.shape)


def compare_places(
    own: FiringPlaces, other: FiringPlaces, permutations: int, max_dense: int, seed: int
) -> pd.DataFrame:
    """Rows of ``coactivation`` without q: each kept node of ``own`` and its partner in ``other``."""
    first, second, bin_bp = _on_common_bins(own, other)
    similarity = jaccard(first, second)
    partner, value = _matched(similarity, max_dense)
    # of its own stream: neither other runs nor their order change what is drawn
    rng = np.random.default_rng([seed, zlib.crc32(own.name.encode()), zlib.crc32(other.name.encode())])
    null = [_matched(jaccard(first, shuffled(second, rng)), max_dense)[1] for _ in range(permutations)]
    null = np.stack(null) if null else np.zeros((0, len(value)))
    n_loci = first.sum(axis=1)
    tested = n_loci > 0
    order = np.sort(null[:, tested], axis=None)
    above = len(order) - np.searchsorted(order, value, side="left")
    matched = pd.array(np.append(other.nodes["node"].to_numpy("int64"), -1)[partner], dtype="Int64")
    matched[partner < 0] = pd.NA
    best = similarity.max(axis=1).toarray() if similarity.shape[1] else np.zeros(len(value))
    columns = {"other_run": other.name, "bin_bp": bin_bp, "n_loci": n_loci, "matched_node": matched}
    columns["matched_loci"] = pd.array(np.append(second.sum(axis=1), 0)[partner], dtype="Int64")
    columns |= {"jaccard": value, "best_jaccard": best, "null_jaccard": _mean(null, len(value))}
    columns["p_value"] = (1 + above) / (1 + len(order))
    table = own.nodes[["rank", "node"]].assign(**columns)
    table.loc[partner < 0, "matched_loci"] = pd.NA
    table.loc[~tested, ["jaccard", "best_jaccard", "null_jaccard", "p_value"]] = np.nan
    return table


def _mean(null: np.ndarray, n_nodes: int) -> np.ndarray:
    return null.mean(axis=0) if len(null) else np.full(n_nodes, np.nan)


def _matched(similarity: sparse.csr_array, max_dense: int) -> tuple[np.ndarray, np.ndarray]:
    """Partner and similarity of each row; -1 and 0 for those without."""
    partner = match_similar(similarity, max_dense)
    value = np.zeros(len(partner))
    rows = np.flatnonzero(partner >= 0)
    if len(rows):
        value[rows] = similarity[rows, partner[rows]]
    return partner, value


def _on_common_bins(own: FiringPlaces, other: FiringPlaces) -> tuple[sparse.csr_array, sparse.csr_array, int]:
    if not set(own.stored["chrom"]) & set(other.stored["chrom"]):
        raise InputError(
            f"Runs '{own.name}' and '{other.name}' have no chromosome in common",
            got=sorted(set(other.stored["chrom"]))[:5],
            expected=sorted(set(own.stored["chrom"]))[:5],
            mend="compare runs on the same assembly, or take the run out of stability.other_runs",
        )
    parts = []
    for run in (own, other):
        common = inside(run.seqlets, own.stored) & inside(run.seqlets, other.stored)
        parts.append(run.seqlets[common])
        log.info("%s: %d of %d seqlets lie where both runs look", run.name, common.sum(), len(common))
    bin_bp = max(seqlet_width(run.seqlets) or 1 for run in (own, other))
    n_own = len(own.nodes)
    both = pd.concat([parts[0], parts[1].assign(row=parts[1]["row"] + n_own)], ignore_index=True)
    places = incidence(both, n_own + len(other.nodes), bin_bp)
    return places[:n_own], places[n_own:], bin_bp


def coactivation_table(
    runs: list[FiringPlaces], permutations: int, max_dense: int, seed: int = 0
) -> pd.DataFrame:
    """The nodes of ``runs[0]`` in each of the other runs (schema ``coactivation``), by rank, then run.

    Raises:
        ConfigError: no other run, no permutation, or two runs of the same layer and name.
    """
    own, others = runs[0], sorted(runs[1:], key=lambda run: run.name)
    names = [run.name for run in runs]
    if len(set(names)) < len(names):
        raise ConfigError(
            "A run is given twice, or two runs have the same layer and name",
            got=sorted(names),
            mend="name each run once, and leave the run itself out of stability.other_runs",
        )
    if not others or permutations < 1 or max_dense < 1:
        raise ConfigError(
            "Co-activation needs another run, a permutation and room for a node",
            got={"other runs": len(others), "permutations": permutations, "max_dense_nodes": max_dense},
        )
    parts = [
        compare_places(own, other, permutations, max_dense, seed) for other in progress(others, what="runs")
    ]
    table = pd.concat(parts, ignore_index=True)
    tested = table["p_value"].notna()
    table["q_value"] = np.nan
    if tested.any():
        table.loc[tested, "q_value"] = stats.false_discovery_control(table.loc[tested, "p_value"])
    return conform(table.sort_values(["rank", "other_run"], ignore_index=True), "coactivation")
