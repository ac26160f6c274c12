"""The figures of one run, as observed and in every replicate, at any number of nodes.

Row 0 of every array is the run as its tables have it: the same counts as in summary.tsv. The other rows are
replicates of the ``bootstrap``, each node counted as often as it was drawn. In a replicate a motif's p and E
are new, and so are its q over the run, whether it is significant, which motif of its node is the best,
whether it stands out from the null sets, and what names the node. A motif's matches, its cluster and the null
sets are as observed: a motif that is significant in a replicate alone has no cluster.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from biosae.artefacts import read_table
from biosae.motifs.evidence import load_evidence
from biosae.motifs.naming import log10_e
from biosae.scoreboard.bootstrap import rarefied_classes, step_up_log10_rows, step_up_rows

COUNTS = ("nodes_with_motif", "nodes_motif_calibrated", "nodes_named", "nodes_named_calibrated")
CLASSES = tuple(f"distinct_{what}{end}" for what in ("targets", "clusters") for end in ("", "_calibrated"))


@dataclass(frozen=True)
class RunTables:
    """What the figures of a run are made of.

    Attributes:
        nodes: (n,) int64, kept nodes.
        motifs: schema ``motifs``, by node (in the order of ``nodes``), then more sites first, then by number.
        matches: schema ``matches``.
        clusters: motif id -> cluster.
        null_log10_e: (sets,) sorted best log10 E of the sets of each kind of null; inf: no motif.
        evidence: schema ``held_out``.
    """

    nodes: np.ndarray
    motifs: pd.DataFrame
    matches: pd.DataFrame
    clusters: dict[str, int]
    null_log10_e: list[np.ndarray]
    evidence: pd.DataFrame

    @property
    def tested(self) -> bool:
        """Whether its motifs were tested on held-out seqlets; a run without motifs counts as tested."""
        return bool(self.motifs["log10_p"].notna().all())


def load_tables(run: Path, kinds: list[str]) -> RunTables:
    """Read a run folder with the null sets of these kinds.

    Raises:
        InputError, ContractError: a table is missing or does not fit its schema.
    """
    manifest = read_table(run / "seqlets" / "manifest.tsv", "seqlet_manifest")
    nodes = manifest.sort_values("rank")["node"].to_numpy("int64")
    nulls = []
    for kind in kinds:
        folder = run / "nulls" / kind
        status, motifs = (read_table(folder / f"{n}.tsv", s) for n, s in _NULL_TABLES.items())
        best = log10_e(motifs).groupby(motifs["node"]).min().reindex(status["node"])
        nulls.append(np.sort(best.fillna(np.inf).to_numpy("float64")))
    clusters = read_table(run / "motif_clusters.tsv", "motif_clusters")
    motifs = read_table(run / "motifs.tsv", "motifs")
    return RunTables(
        nodes,
        sorted_motifs(motifs, nodes),
        read_table(run / "matches.tsv", "matches"),
        dict(zip(clusters["motif_id"], clusters["cluster"].tolist(), strict=True)),
        nulls,
        load_evidence(run, motifs),
    )


_NULL_TABLES = {"status": "motif_status", "motifs": "motifs"}


def sorted_motifs(motifs: pd.DataFrame, nodes: np.ndarray) -> pd.DataFrame:
    """The motifs by node, then as ties of E are broken in nodes.tsv; a column ``place`` of their node."""
    place = motifs["node"].map(pd.Series(range(len(nodes)), index=nodes)).astype("int64")
    order = motifs.assign(place=place).sort_values(
        ["place", "n_sites", "motif"], ascending=[True, False, True]
    )
    return order.reset_index(drop=True)


@dataclass
class RunFigures:
    """Figures of a run, row 0 observed.

    Attributes:
        nodes: number of kept nodes.
        times: (rows, nodes) how often each node counts in a row.
        counts: figure -> (rows,) nodes that have it.
        classes: figure -> (rows, classes) nodes of each class, and the same with each as often as it counts.
    """

    nodes: int
    times: np.ndarray
    counts: dict[str, np.ndarray] = field(default_factory=dict)
    classes: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)

    def count(self, figure: str, flags: np.ndarray) -> None:
        """Keep how many nodes it holds of; flags (rows, nodes)."""
        self.counts[figure] = (flags * self.times).sum(1)

    def classify(self, figure: str, codes: np.ndarray) -> None:
        """Keep how many nodes there are of each class; codes (rows, nodes), -1 is none."""
        size = int(codes.max(initial=-1)) + 1
        there = codes >= 0
        flat = (codes + np.arange(len(codes))[:, None] * size)[there]
        counts, weighted = (
            np.bincount(flat, weights=weights, minlength=len(codes) * size).reshape(len(codes), size)
            for weights in (None, self.times[there])
        )
        self.classes[figure] = counts, weighted

    def at(self, figure: str, drawn: int) -> np.ndarray:
        """(rows,) the figure expected of ``drawn`` of the nodes, taken without replacement."""
        if figure in self.classes:
            return rarefied_classes(*self.classes[figure], self.nodes, drawn)
        counts = self.counts[figure]
        return counts * (drawn / self.nodes) if self.nodes else counts * 0.0

    def has(self, figure: str) -> bool:
        """False for a calibrated figure of a run without null sets."""
        return figure in self.counts or figure in self.classes


def run_figures(
    tables: RunTables, log10_p: np.ndarray, significance: float, drawn: np.ndarray | None = None
) -> RunFigures:
    """Figures of a run.

    Args:
        tables: of the run.
        log10_p: (replicates, motifs) in the order of ``tables.motifs``; without rows: observed figures only.
        significance: q below which a motif is significant, or a node calibrated.
        drawn: (replicates, nodes) how often each node counts; None for once.
    """
    motifs, n_nodes = tables.motifs, len(tables.nodes)
    observed = motifs["significant"].to_numpy(bool)[None]
    significant = np.concatenate([observed, step_up_log10_rows(log10_p) < np.log10(significance)])
    per_node = np.bincount(motifs["place"], minlength=n_nodes)
    shift = np.log10(np.maximum(per_node, 1))[motifs["place"]]
    e_values = np.concatenate([log10_e(motifs).fillna(np.inf).to_numpy()[None], log10_p + shift])
    groups = _Groups(motifs["place"].to_numpy("int64"), n_nodes)
    times = np.ones((1 + len(log10_p), n_nodes))
    if drawn is not None:
        times[1:] = drawn
    found = RunFigures(n_nodes, times)
    with_motif = groups.any(significant)
    found.count("nodes_with_motif", with_motif)
    first = groups.first_lowest(e_values)
    own = _add_clusters(found, tables, significant, first)
    if tables.null_log10_e:
        stands_out = _stands_out(_taken(e_values, first, np.inf), tables.null_log10_e) < significance
        found.count("nodes_motif_calibrated", stands_out & with_motif)
        found.classify("distinct_clusters_calibrated", np.where(stands_out, own, -1))
    _add_names(found, tables, significant, significance)
    return found


class _Groups:
    """Columns that belong to nodes, in their order: what holds of any, the first of the lowest."""

    def __init__(self, place: np.ndarray, n_nodes: int) -> None:
        self.n_nodes = n_nodes
        self.who, self.starts = np.unique(place, return_index=True)
        self.group = np.searchsorted(self.who, place)

    def any(self, flags: np.ndarray) -> np.ndarray:
        """(rows, nodes) whether any column of the node holds."""
        out = np.zeros((len(flags), self.n_nodes), bool)
        if len(self.who):
            out[:, self.who] = np.logical_or.reduceat(flags, self.starts, axis=1)
        return out

    def first_lowest(self, values: np.ndarray) -> np.ndarray:
        """(rows, nodes) the first column with the node's lowest value; -1 for a node without columns."""
        out = np.full((len(values), self.n_nodes), -1, dtype=np.int64)
        if len(self.who):
            lowest = np.minimum.reduceat(values, self.starts, axis=1)[:, self.group]
            column = np.where(values == lowest, np.arange(values.shape[1]), values.shape[1])
            out[:, self.who] = np.minimum.reduceat(column, self.starts, axis=1)
        return out


def _taken(values: np.ndarray, first: np.ndarray, missing: float) -> np.ndarray:
    """values[row, first[row, node]]; ``missing`` where first is -1."""
    if values.shape[1] == 0:
        return np.full(first.shape, missing)
    return np.where(first >= 0, np.take_along_axis(values, np.maximum(first, 0), 1), missing)


def _add_clusters(found, tables, significant, first) -> np.ndarray:
    """Clusters of the best motifs; (rows, nodes), -1 where a node's best has none."""
    cluster = tables.motifs["motif_id"].map(tables.clusters).fillna(-1).to_numpy("int64")
    own = np.where(significant, cluster, -1)
    best = _taken(own, first, -1).astype(np.int64)
    found.classify("distinct_clusters", best)
    return best


def _stands_out(best: np.ndarray, nulls: list[np.ndarray]) -> np.ndarray:
    """q of each node's best E against the null sets, row by row, as ``motifs.calibration`` has it."""
    p_values = np.zeros(best.shape)
    for null in nulls:
        p = (1 + np.searchsorted(null, best, side="right")) / (1 + len(null))
        p_values = np.maximum(p_values, np.where(np.isinf(best), 1.0, p))
    return step_up_rows(p_values)


def _add_names(found, tables, significant, significance) -> None:
    """Nodes that a match names, and what it names; the calibrated ones by that match's own q."""
    matches, motifs = tables.matches, tables.motifs
    column = matches["query"].map(pd.Series(range(len(motifs)), index=motifs["motif_id"])).astype("int64")
    table = matches.assign(column=column, place=motifs["place"].to_numpy("int64")[column])
    table = table[table["significant"].astype(bool) & table["query_flag"].isna()]
    table = table.sort_values(["place", "p_value", "target", "query"])
    names = significant[:, table["column"].to_numpy("int64")]
    groups = _Groups(table["place"].to_numpy("int64"), found.nodes)
    named = groups.any(names)
    first = groups.first_lowest(np.where(names, 0, 1))
    target = np.broadcast_to(pd.factorize(table["target"], sort=True)[0], names.shape)
    target = np.where(named, _taken(target, first, -1), -1).astype(np.int64)
    found.count("nodes_named", named)
    found.classify("distinct_targets", target)
    if tables.null_log10_e:
        q_null = np.broadcast_to(table["q_null"].astype("float64").fillna(1.0).to_numpy(), names.shape)
        calibrated = named & (_taken(q_null, first, 1.0) < significance)
        found.count("nodes_named_calibrated", calibrated)
        found.classify("distinct_targets_calibrated", np.where(calibrated, target, -1))
