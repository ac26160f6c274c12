"""Stability across seeds: is a node found again by runs that differ in the seed alone?

Two nodes are compared by the cosine of their decoder directions. A run's directions are in its own
normalised channels; times the normaliser's scale they are in raw channels, and divided by the standard
deviation of each channel (``statistics.h5``) in the one space used here, where every channel has
variance 1 and runs with any normaliser can be compared. Siblings share the normaliser; with normaliser
``standard`` the two factors cancel and the directions are compared as they are. Constant channels are
left out.

Nodes are matched one to one (``biosae.node_matching``) with the nodes of each sibling. A node that is
active at no position of the encoded stream (``node_stats.tsv``) is dead, and takes no part on either
side. A node is found again where the cosine with its partner is above a threshold, 0.7 by default: what
Paulo and Belrose (arXiv 2501.16615, who match by the Hungarian algorithm too) are reported to use, of
encoder and decoder together; asking it of the decoder alone is our choice.

The null: the same matching against random directions, as many as the sibling has, of two kinds.
``permuted``: each channel of the sibling's directions permuted over its nodes (keeps how sparse and how
large a channel is). ``gaussian``: draws with the mean and covariance of its directions (keeps how
channels go together). The larger of the two is given.

Floor: three matchings a sibling. Measured, one core, half of the nodes shared: 0.6 s a matching of
2,432 nodes and 608 channels; 33 s and 0.9 GB of 33,792 nodes and 1,056 channels, never dense.
"""

from __future__ import annotations

import json
import logging
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from biosae.artefacts import conform, read_table
from biosae.cli import progress
from biosae.errors import ConfigError, ContractError, InputError
from biosae.node_matching import best_partners, match_nodes, unit_rows
from biosae.statistics import load_statistics

_log = logging.getLogger(__name__)

NULLS = ("permuted", "gaussian")
RUN_INPUTS = ("checkpoint/model.safetensors", "checkpoint/config.json", "node_stats.tsv")
_SAME = ("kind", "n_nodes", "channels", "k", "layer_norm", "normaliser", "layer", "recipe")
_SEEDS = ("seed", "shuffle_seed")  # of a recipe: what siblings may differ in


@dataclass(frozen=True)
class NodeDirections:
    """Live nodes of one run.

    Attributes:
        run: name of the run.
        n_nodes: all nodes of the dictionary, dead ones included.
        live: int64 (n,), the nodes that are not dead, ascending.
        unit: float32 (n, channels), their directions in standardised channels, of norm 1 (or 0).
    """

    run: str
    n_nodes: int
    live: np.ndarray
    unit: np.ndarray


def standardised(directions: np.ndarray, scale: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Directions (n, channels) of normalised channels, in channels of variance 1; constant channels are 0."""
    varied = variance > 0
    factor = np.where(varied, scale / np.sqrt(np.where(varied, variance, 1.0)), 0.0)
    return directions * factor.astype(np.float32)


def _read_weights(run: Path) -> tuple[dict, dict]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    folder = run / "checkpoint"
    try:
        config = json.loads((folder / "config.json").read_text())
        tensors = load_file(folder / "model.safetensors")
        kept = {name: tensors[name] for name in ("decoder.weight", "scale")}
    except (OSError, KeyError, ValueError, SafetensorError) as error:
        raise InputError(
            "Cannot read a checkpoint", got=error, where=folder, mend="run train_sae.py again"
        ) from error
    for name, tensor in kept.items():
        if not np.isfinite(tensor).all():
            raise InputError(
                "A checkpoint holds NaN or infinity",
                where=f"{folder / 'model.safetensors'}, {name}",
                got=f"{int((~np.isfinite(tensor)).sum())} such values of {tensor.size}",
                mend="train this run again with a lower learning rate, or leave it out",
            )
    return config, kept


def _check_alike(configs: dict[str, dict]) -> None:
    """ConfigError unless the runs differ in the seed alone."""

    def about(config: dict) -> dict:
        kept = {name: config.get(name) for name in _SAME}
        recipe = kept["recipe"] or {}
        return kept | {"recipe": {name: value for name, value in recipe.items() if name not in _SEEDS}}

    (first, own), *others = ((name, about(config)) for name, config in configs.items())
    for name, other in others:
        differ = sorted(key for key in own if own[key] != other[key])
        if differ:
            raise ConfigError(
                f"Runs '{first}' and '{name}' differ in more than the seed: in {', '.join(differ)}",
                got={key: other[key] for key in differ},
                expected={key: own[key] for key in differ},
                mend="compare runs of one grid that differ in the seed alone",
            )


def read_runs(runs: list[Path], statistics: Path) -> list[NodeDirections]:
    """Live directions of runs that differ in the seed alone.

    Raises:
        InputError, ContractError: a file is missing, damaged or of another run.
        ConfigError: the runs differ in more than the seed, or two have the same name.
    """
    names = [run.resolve().name for run in runs]
    if len(set(names)) < len(names):
        raise ConfigError("A run is given twice", got=names)
    read = {name: _read_weights(run) for name, run in zip(names, runs, strict=True)}
    _check_alike({name: config for name, (config, _) in read.items()})
    variance = load_statistics(statistics).variance
    found = []
    for run, (name, (_, tensors)) in zip(runs, read.items(), strict=True):
        decoder, scale = tensors["decoder.weight"], tensors["scale"]
        stats = read_table(run / "node_stats.tsv", "node_stats")
        if decoder.shape != (len(variance), len(stats)):
            raise ContractError(
                "Decoder, statistics and node table are of different dictionaries",
                got={"decoder": decoder.shape, "channels": len(variance), "nodes": len(stats)},
                where=run,
                mend="re-run the rules from compute_statistics on",
            )
        live = np.sort(stats.loc[stats["stream_count"] > 0, "node_id"].to_numpy(np.int64))
        unit = unit_rows(standardised(decoder.T[live], scale, variance))
        found.append(NodeDirections(name, len(stats), live, unit))
    return found


def null_directions(unit: np.ndarray, kind: str, rng: np.random.Generator) -> np.ndarray:
    """Random directions like ``unit`` (n, channels), see the module's docstring; float32, norm 1."""
    if kind == "permuted" or not len(unit):
        return unit_rows(rng.permuted(unit, axis=0))
    mean = unit.mean(0, dtype=np.float64)
    centred = unit - mean
    values, vectors = np.linalg.eigh(centred.T @ centred / max(len(unit), 1))
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    return unit_rows(mean + rng.standard_normal(unit.shape) @ root.T)


def compare_with(own: NodeDirections, other: NodeDirections, max_dense: int, seed: int) -> pd.DataFrame:
    """Rows of ``stability_pairs``: every live node of ``own`` and its partner in ``other``."""
    partner, cosine = match_nodes(own.unit, other.unit, max_dense)
    matched = pd.array(np.append(other.live, -1)[partner], dtype="Int64")
    matched[partner < 0] = pd.NA
    best = best_partners(own.unit, other.unit)[2] if len(other.live) else np.full(len(own.live), np.nan)
    columns = {"node": own.live, "sibling": other.run, "matched_node": matched, "cosine": cosine}
    columns["best_cosine"] = np.clip(best.astype(np.float64), -1, 1)
    for number, kind in enumerate(NULLS):
        # of its own stream: neither other runs nor their order change what is drawn
        rng = np.random.default_rng(
            [seed, number, zlib.crc32(own.run.encode()), zlib.crc32(other.run.encode())]
        )
        columns[f"{kind}_cosine"] = match_nodes(own.unit, null_directions(other.unit, kind, rng), max_dense)[
            1
        ]
    return pd.DataFrame(columns)


def stability_tables(
    runs: list[NodeDirections], found_again_cosine: float, max_dense: int, seed: int = 0
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Stability of the nodes of ``runs[0]`` over its siblings, the other runs.

    Args:
        found_again_cosine: a node is found again where the cosine with its partner is above this.
        max_dense: see ``node_matching.match_nodes``.
        seed: of the null directions.

    Returns:
        (rows of schema ``stability``, one a node; rows of ``stability_pairs``, one a live node and sibling).
    """
    own, siblings = runs[0], sorted(runs[1:], key=lambda run: run.run)
    if not siblings or not -1 <= found_again_cosine < 1:
        raise ConfigError(
            "Stability needs a sibling run and a cosine below 1",
            got={"siblings": len(siblings), "found_again_cosine": found_again_cosine},
        )
    parts = [compare_with(own, other, max_dense, seed) for other in progress(siblings, what="siblings")]
    pairs = conform(pd.concat(parts).sort_values(["node", "sibling"], ignore_index=True), "stability_pairs")
    nodes = pd.DataFrame({"node": np.arange(own.n_nodes)})
    nodes["dead"] = ~nodes["node"].isin(own.live)
    nodes["siblings"] = len(siblings)
    by_node = pairs.groupby("node")
    nulls = [f"{kind}_cosine" for kind in NULLS]
    again = (pairs[["cosine", *nulls]] > found_again_cosine).groupby(pairs["node"]).mean()
    figures = {
        "stability": by_node["cosine"].mean(),
        "best_cosine": by_node["best_cosine"].mean(),
        "found_again": again["cosine"],
        "null_stability": by_node[nulls].mean().max(axis=1),
        "null_found_again": again[nulls].max(axis=1),
    }
    for name, values in figures.items():
        nodes[name] = nodes["node"].map(values)
    dead = int(nodes["dead"].sum())
    _log.info("%d siblings, %d live nodes, %d dead", len(siblings), own.n_nodes - dead, dead)
    return conform(nodes, "stability"), pairs
