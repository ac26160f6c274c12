"""What a dictionary finds of a world's truth, on the validation store, in memory.

F1, assignment, splitting, merging and absorption are those of ``biosae.synthetic.scoring``; a node takes part
if it is active on ``min_active`` validation positions. Position error is scoring's too, over the strongest
validation positions of a node in place of its seqlets, windows that overlap a stronger one left out.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix

from biosae.dictionary import Dictionary
from biosae.evaluation import evaluate
from biosae.ladder.world import World, windows_of
from biosae.seqlets import keep_strongest
from biosae.synthetic import scoring
from biosae.synthetic.recovery import encode_all

STRONGEST = scoring.TOP_SEQLETS // 5  # the validation store is a fifth of the genome


class Codes(NamedTuple):
    """Non-zero activations of a store in the order of ``scoring.by_node``, each (m,)."""

    rows: np.ndarray
    nodes: np.ndarray
    values: np.ndarray


class Scores(NamedTuple):
    """Figures of a run (columns of table ladder) and one row per scored detector."""

    figures: dict
    detectors: pd.DataFrame


def kept_nodes(codes: Codes, n_nodes: int, min_active: int) -> np.ndarray:
    """Nodes that are active on at least ``min_active`` positions, int64, increasing."""
    return np.flatnonzero(np.bincount(codes.nodes, minlength=n_nodes) >= min_active)


def encoded(model: Dictionary, world: World, data: str) -> Codes:
    """All activations of the validation store."""
    return Codes(*scoring.by_node(*encode_all(model, world.stores(data).validation)))


def score(model: Dictionary, codes: Codes, world: World, data: str, min_active: int) -> Scores:
    """Figures of a dictionary and its detectors' scores."""
    stores = world.stores(data)
    kept = kept_nodes(codes, model.n_nodes, min_active)
    figures, detectors = recovery(codes, kept, world, world.fires)
    seqlets = strongest_windows(codes, detectors["node"].to_numpy(), world, data)
    errors = scoring.position_errors(world.truth, seqlets, detectors["node"].to_numpy())
    quality = evaluate(model, stores.validation, stores.validation.n_rows)
    figures |= {
        "n_nodes": model.n_nodes,
        "position_error_bp": float(np.median(errors)),
        **{name: quality[name] for name in ("fvu", "l0", "dead_fraction")},
    }
    return Scores(figures, detectors)


def chance(codes: Codes, n_nodes: int, world: World, min_active: int) -> Scores:
    """The same scores of the same codes against a truth that was moved to other positions."""
    kept = kept_nodes(codes, n_nodes, min_active)
    figures, detectors = recovery(codes, kept, world, world.displaced_fires())
    return Scores({**figures, "n_nodes": n_nodes}, detectors)


def recovery(codes: Codes, kept: np.ndarray, world: World, fires: csr_matrix) -> tuple[dict, pd.DataFrame]:
    """Figures of F1 and assignment of the nodes ``kept``, and one row per detector."""
    f1, threshold = scoring.best_f1(*codes, kept, fires)
    table = scoring.assignment_table(world.truth, kept, f1, threshold, scoring.assign(f1))
    table["n_fires"] = np.asarray(fires.sum(axis=0)).ravel()
    figures = {
        "n_detectors": len(table),
        "n_kept_nodes": len(kept),
        **scoring.found_shares(table),
        "assignment_f1": float(table["f1"].mean()),
        "best_f1": float(table["best_f1"].mean()),
        **scoring.split_and_merged(*codes, kept, f1, threshold, fires)[0],
    }
    return figures, table


def strongest_windows(codes: Codes, nodes: np.ndarray, world: World, data: str) -> pd.DataFrame:
    """Windows of the strongest positions of ``nodes``: chrom, start, end, node, seqlet_rank (from 1)."""
    store, width = world.stores(data).validation, world.layer.window_bp
    # a window that is kept drops its neighbours on both sides: so many positions hold STRONGEST windows
    most = STRONGEST * 2 * -(-width // world.layer.stride_bp)
    tables = []
    for node in np.unique(nodes[nodes >= 0]):
        first, last = np.searchsorted(codes.nodes, [node, node + 1])
        chrom, start = windows_of(store, world.layer, codes.rows[first : min(last, first + most)])
        inside = start >= 0
        chrom, start = chrom[inside], start[inside]
        keep = np.flatnonzero(keep_strongest(pd.factorize(chrom)[0], start, width))[:STRONGEST]
        columns = {"chrom": chrom[keep], "start": start[keep], "end": start[keep] + width, "node": node}
        tables.append(pd.DataFrame(columns).assign(seqlet_rank=range(1, len(keep) + 1)))
    empty = pd.DataFrame(columns=["chrom", "start", "end", "node", "seqlet_rank"])
    return pd.concat(tables, ignore_index=True) if tables else empty
