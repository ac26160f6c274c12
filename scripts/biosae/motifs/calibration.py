"""What the null sets say of a run: p and q of its motifs and matches, and counts beside the nulls' own.

A node and a null set are compared by two figures: the lowest log10 E of their motifs, and the lowest log10 p
of the matches of their motifs that are not flagged. With m sets of a kind, c of them at least as good,
p = (1 + c) / (1 + m) (Phipson & Smyth 2010, Stat. Appl. Genet. Mol. Biol. 9:39, section 2). A node must stand
out from every kind: its p is the largest over the kinds; q is Benjamini-Hochberg over the nodes.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from biosae.artefacts import conform, load_schema
from biosae.errors import ConfigError
from biosae.motifs.naming import log10_e, naming_pairs

log = logging.getLogger(__name__)

KINDS = ("shuffled", "genome", "filter")

# of null motifs with a significant match; by chance 0.05 / database size is expected
PROMISCUOUS_SHARE = 0.01
PROMISCUOUS_MOTIFS = 3  # and at least this many: one match among few null motifs says nothing


@dataclass(frozen=True)
class Null:
    """Results of the null sets of one kind: schemas ``motifs`` and ``matches``; a set stands as a node."""

    kind: str
    sets: Sequence[int]
    motifs: pd.DataFrame
    matches: pd.DataFrame


def checked_kinds(kinds: list[str]) -> list[str]:
    """The kinds, each known and given once; ConfigError otherwise."""
    if len(set(kinds)) < len(kinds) or not set(kinds) <= set(KINDS):
        raise ConfigError(
            "Folders of nulls are not named after their kinds", got=kinds, expected=f"of {KINDS}"
        )
    return kinds


def best_figures(nodes: Sequence[int], motifs: pd.DataFrame, matches: pd.DataFrame) -> pd.DataFrame:
    """Columns motif (lowest log10 E) and match (lowest log10 p, unflagged motifs) by node; inf: none."""
    unflagged = matches[matches["query_flag"].isna()]
    figures = {
        "motif": log10_e(motifs).groupby(motifs["node"]).min(),
        "match": unflagged["log10_p"].astype("float64").groupby(unflagged["node"]).min(),
    }
    return pd.DataFrame(figures).reindex(pd.Index(nodes, name="node")).fillna(np.inf).astype("float64")


def null_p(values: np.ndarray, null_values: np.ndarray) -> np.ndarray:
    """(1 + null values at or below each value) / (1 + null values); 1 where the value is inf (nothing found).

    Args:
        values: (n,) lower is better.
        null_values: (m,) of one kind of null.
    """
    ordered = np.sort(null_values)
    p = (1 + np.searchsorted(ordered, values, side="right")) / (1 + len(ordered))
    return np.where(np.isinf(values), 1.0, p)


def step_up_q(p_values: np.ndarray, family: np.ndarray) -> np.ndarray:
    """Benjamini-Hochberg's q at each p, given the p-values of the family (n tests).

    q(p) = min over t >= p of n t / (tests with p <= t). For the family's own p-values this is their adjusted
    p-value; a p between them gets what a test there would have.
    """
    ordered = np.sort(family)
    n = len(ordered)
    if n == 0:
        return np.ones(len(p_values))
    steps = n * ordered / np.searchsorted(ordered, ordered, side="right")
    steps = np.append(np.minimum.accumulate(steps[::-1])[::-1], np.inf)
    own = n * p_values / np.maximum(np.searchsorted(ordered, p_values, side="right"), 1)
    return np.minimum(np.minimum(own, steps[np.searchsorted(ordered, p_values)]), 1.0)


def p_by_kind(values: np.ndarray, name: str, figures: dict[str, pd.DataFrame]) -> dict[str, np.ndarray]:
    """``null_p`` against each kind of null, and their largest under ``null``; empty without nulls."""
    found = {kind: null_p(values, theirs[name].to_numpy()) for kind, theirs in figures.items()}
    return {**found, "null": np.max(list(found.values()), axis=0)} if found else {}


def calibrate(
    nodes: Sequence[int],
    motifs: pd.DataFrame,
    matches: pd.DataFrame,
    nulls: Sequence[Null],
    significance: float,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Null-calibrated p and q of nodes and of matches; missing where there is no null.

    Args:
        nodes: kept nodes.
        motifs, matches: of the run.
        nulls: one for each kind.
        significance: a node counts as calibrated where its q is below this.

    Returns:
        Table of schema ``calibration``, and ``matches`` with p_null, q_null and target_promiscuous filled in.
    """
    table = pd.DataFrame({"node": list(nodes)}).reindex(columns=_columns("calibration"))
    matches = matches.copy()
    if not nulls:
        return conform(table, "calibration"), conform(matches, "matches")
    mine = best_figures(nodes, motifs, matches)
    theirs = {null.kind: best_figures(null.sets, null.motifs, null.matches) for null in nulls}
    for name in ("motif", "match"):
        for kind, p_values in p_by_kind(mine[name].to_numpy(), name, theirs).items():
            table[f"{name}_p_{kind}"] = p_values
        family = table[f"{name}_p_null"].to_numpy()
        table[f"{name}_q_null"] = step_up_q(family, family)
        table[f"{name}_calibrated"] = table[f"{name}_q_null"] < significance
    matches["p_null"] = p_by_kind(matches["log10_p"].to_numpy("float64"), "match", theirs)["null"]
    matches["q_null"] = step_up_q(matches["p_null"].to_numpy("float64"), table["match_p_null"].to_numpy())
    targets = null_targets(nulls)
    matches["target_promiscuous"] = matches["target"].isin(targets.loc[targets["promiscuous"], "target"])
    return conform(table, "calibration"), conform(matches, "matches")


def warn_of_resolution(n_nodes: int, nulls: Sequence[Null], significance: float) -> None:
    """Say how many nodes must stand out together before the least p there is gives a q that counts."""
    for null in nulls:
        needed = math.floor(n_nodes / ((1 + len(null.sets)) * significance)) + 1
        if needed > 1:
            log.warning(
                "%d sets of kind %s for %d nodes: fewer than %d nodes that stand out cannot have q < %g",
                *(len(null.sets), null.kind, n_nodes, needed, significance),
            )


def null_targets(nulls: Sequence[Null]) -> pd.DataFrame:
    """Database entries that null motifs match (schema ``null_targets``), the most often matched first."""
    n_motifs = sum(len(null.motifs) for null in nulls)
    hits = [null.matches[null.matches["significant"].astype(bool)] for null in nulls]
    pairs = [part[["target", "target_name"]].assign(q=i, query=part["query"]) for i, part in enumerate(hits)]
    merged = pd.concat(pairs) if pairs else pd.DataFrame(columns=["target", "target_name", "q", "query"])
    merged = merged.drop_duplicates(["target", "q", "query"])  # an id may repeat in a database
    counts = merged.groupby("target").agg(target_name=("target_name", "first"), null_motifs=("query", "size"))
    table = counts.reset_index().sort_values(["null_motifs", "target"], ascending=[False, True])
    share = table["null_motifs"].astype("float64") / max(n_motifs, 1)
    often = (share > PROMISCUOUS_SHARE) & (table["null_motifs"] >= PROMISCUOUS_MOTIFS)
    table = table.assign(null_share=share, promiscuous=often)
    return conform(table.reset_index(drop=True), "null_targets")


def count_filters(
    nodes: Sequence[int], motifs: pd.DataFrame, matches: pd.DataFrame, nulls: Sequence[Null]
) -> pd.DataFrame:
    """Nodes that pass each filter beside the null sets that do (schema ``null_counts``)."""
    run = _passing(motifs, matches)
    rows = []
    for null in nulls:
        for name, passing in _passing(null.motifs, null.matches).items():
            rows.append(
                {
                    "filter": name,
                    "null": null.kind,
                    "nodes": len(nodes),
                    "nodes_passing": len(run[name]),
                    "sets": len(null.sets),
                    "sets_passing": len(passing),
                    "null_expected": len(passing) / max(len(null.sets), 1) * len(nodes),
                }
            )
    return conform(pd.DataFrame(rows, columns=_columns("null_counts")), "null_counts")


def _passing(motifs: pd.DataFrame, matches: pd.DataFrame) -> dict[str, set[int]]:
    """Nodes (or sets) that pass each filter."""
    unflagged = matches["significant"].astype(bool) & matches["query_flag"].isna()
    return {
        "motif": set(motifs.loc[motifs["significant"].astype(bool), "node"]),
        "match": set(matches.loc[unflagged, "node"]),
        "named": set(matches.loc[naming_pairs(motifs, matches), "node"]),
    }


def _columns(schema: str) -> list[str]:
    return list(load_schema(schema)["properties"])
