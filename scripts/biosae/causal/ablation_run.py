"""From a finished run and its network to the tables of one part of its nodes, and from all parts to the
results."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pandas as pd

from biosae.artefacts import load_schema, read_table
from biosae.causal import ablation
from biosae.causal.changes import Directions, matched_controls
from biosae.causal.law import MIN_CONTROLS, p_values
from biosae.causal.passes import Passes
from biosae.causal.places import choose_nodes
from biosae.causal.targets import Tracks
from biosae.cli import progress
from biosae.errors import ContractError, InputError
from biosae.motifs.significance import log10_of, q_values

log = logging.getLogger(__name__)

PART_TABLES = {"groups": "ablation_part", "doses": "ablation_doses", "tracks": "ablation_tracks"}
# activations of the store and of these passes differ by the store's float16, and near the ends of a window
_MOST_DIFFERENCE = 0.1


def measure_part(
    run: Path,
    passes: Passes,
    directions: Directions,
    places: pd.DataFrame,
    tracks: Tracks,
    scale: np.ndarray,
    settings: ablation.Settings,
    *,
    n_controls: int,
    nodes: list[int] | None = None,
    part: tuple[int, int] = (0, 1),
) -> dict[str, pd.DataFrame]:
    """Tables of one part of the nodes, by the names of ``PART_TABLES``; parts change no number.

    Args:
        places: what ``read_places`` returned; scale: (tracks,) ``Passes.track_scale``.
        n_controls: controls a node.
        nodes: nodes to take out; None takes all kept nodes. Controls are of all kept nodes.
        part: (i, n): every n-th node from the i-th.

    Raises:
        InputError: these passes do not have the activations of the run; a node that was not kept.
    """
    kept, wanted = choose_nodes(run, None), choose_nodes(run, nodes)
    controls = _controls(kept, directions, n_controls)
    by_node = dict(list(places.groupby("node", sort=False)))
    pairs = _with_seqlets(wanted.iloc[part[0] :: part[1]], by_node)
    found = {name: [] for name in PART_TABLES}
    differences: list[np.ndarray] = []
    for rank, node in progress(pairs, what="nodes", unit="node"):
        given = controls[node], by_node[node], scale, settings
        effects = ablation.node_effects(passes, directions, node, *given)
        differences.append(np.abs(effects.read - effects.stored) / effects.stored)
        if len(differences) == min(4, len(pairs)):
            _check_activations(differences, run)
        for name, rows in _node_rows({"rank": rank, "node": node}, effects, tracks, settings).items():
            found[name] += rows
    log.info("%d nodes, %d windows through the network", len(pairs), passes.count)
    return {name: _table(rows, PART_TABLES[name]) for name, rows in found.items()}


def _with_seqlets(nodes: pd.DataFrame, by_node: dict) -> list[tuple[int, int]]:
    """(rank, node) of those nodes that have a seqlet; the others are counted and said."""
    there = nodes[nodes["node"].isin(by_node)]
    if bare := len(nodes) - len(there):
        log.warning("%d of %d nodes have no seqlet: nothing to take out", bare, len(nodes))
    return list(zip(there["rank"].tolist(), there["node"].tolist(), strict=True))


def _node_rows(
    name: dict, effects: ablation.NodeEffects, tracks: Tracks, settings: ablation.Settings
) -> dict[str, list[dict]]:
    """Rows of one node for each table of ``PART_TABLES``."""
    about = {**name, "n_windows": len(effects.own), "n_positions": int(effects.positions.sum())}
    about["read_activation"] = float(effects.read.mean())
    return {
        "groups": ablation.group_rows(about, effects, tracks, settings),
        "doses": ablation.dose_rows(name, effects, tracks, settings),
        "tracks": ablation.track_rows(name, effects, tracks, settings),
    }


def _table(rows: list[dict], schema: str) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(load_schema(schema)["properties"]))


def _controls(kept: pd.DataFrame, directions: Directions, count: int) -> dict[int, np.ndarray]:
    """Nodes that are controls of each kept node: as many for each, ``count`` or as many as all have."""
    node = kept["node"].to_numpy()
    weights = directions.normalised[node].cpu().numpy()
    found = matched_controls(kept["mean_act"].to_numpy(), kept["density"].to_numpy(), weights, count)
    least = min((len(rows) for rows in found), default=0)
    if least < count:
        log.warning(
            "Kept nodes of other directions are %d for some node: %d controls, not %d", least, least, count
        )
    if least < MIN_CONTROLS:
        log.warning("Fewer than %d controls: effects are reported, and not tested", MIN_CONTROLS)
        least = 0
    return {int(n): node[rows[:least]] for n, rows in zip(node, found, strict=True)}


def _check_activations(differences: list[np.ndarray], run: Path) -> None:
    """Refuse another network than the one that was encoded."""
    median = float(np.median(np.concatenate(differences)))
    if median > _MOST_DIFFERENCE:
        raise InputError(
            "The nodes' activations in this network are not those of the run",
            got=f"they differ by {median:.0%} (median over windows)",
            expected=f"at most {_MOST_DIFFERENCE:.0%}",
            where=run,
            mend="give the weights, layer, assembly and input length (model.input_bp) they were made with",
        )


def join_parts(
    parts: list[dict[str, pd.DataFrame]], significance: float
) -> tuple[dict[str, pd.DataFrame], dict]:
    """All nodes' tables with p and q, and what the law was fitted to.

    Args:
        parts: tables by the names of ``PART_TABLES``.

    Returns:
        tables of schemas ablation, ablation_doses and ablation_tracks by name; and by group the degrees of
        freedom of the law and the number of nodes.

    Raises:
        ContractError: parts hold a node twice, or nodes with different numbers of controls.
    """
    whole = {name: pd.concat([part[name] for part in parts], ignore_index=True) for name in PART_TABLES}
    groups = whole["groups"].sort_values(["rank", "group"], kind="stable", ignore_index=True)
    if groups.duplicated(["node", "group"]).any():
        raise ContractError("Parts of the ablation hold a node twice", mend="re-run ablate_nodes")
    squares = [_numbers(text) for text in groups["control_squares"]]
    if len({len(row) for row in squares}) > 1:
        raise ContractError("Nodes have different numbers of controls", mend="re-run ablate_nodes")
    controls = np.array(squares, dtype=np.float64).reshape(len(groups), -1)
    groups["p_value"], about = np.nan, {}
    for name, rows in groups.groupby("group", sort=False).groups.items():
        own, n_tracks = groups.loc[rows, "square"].to_numpy(), int(groups.loc[rows, "n_tracks"].iloc[0])
        p, degrees = p_values(own, controls[rows], controls.size, n_tracks)
        groups.loc[rows, "p_value"] = p
        about[str(name)] = {"degrees_of_freedom": None if np.isnan(degrees) else degrees, "nodes": len(rows)}
    tested = groups["p_value"].notna()
    groups["q_value"] = np.nan
    groups.loc[tested, "q_value"] = q_values(log10_of(groups.loc[tested, "p_value"].to_numpy()))
    agree = groups["window_p"] < 0.05
    groups["causal"] = ((groups["q_value"] < significance) & agree).astype("boolean").where(tested)
    ordered = {
        "groups": groups[list(load_schema("ablation")["properties"])],
        "doses": whole["doses"].sort_values(["rank", "group", "dose"], kind="stable", ignore_index=True),
        "tracks": whole["tracks"].sort_values(["rank", "track_rank"], kind="stable", ignore_index=True),
    }
    return ordered, about


def _numbers(text: object) -> list[float]:
    return [] if pd.isna(text) else [float(word) for word in str(text).split(",") if word]


def read_part(folder: Path) -> dict[str, pd.DataFrame]:
    """The tables of one part from its folder."""
    return {name: read_table(folder / f"{name}.tsv", schema) for name, schema in PART_TABLES.items()}
