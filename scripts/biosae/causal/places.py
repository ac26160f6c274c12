"""Where the kept nodes' seqlets lie in the network's input: windows to feed, positions to change in them.

A seqlet is a top activation of its node (``biosae.seqlets``), so it has an output position in a sequence of
the store. The window fed to the network is centred on that sequence where the network takes more than it,
and else is one of half-overlapping pieces of it, the one in whose middle the position lies best. All
coordinates are 0-based, half-open, on the forward strand; a window may reach beyond its chromosome, where
the network sees zeros.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from biosae.artefacts import read_table
from biosae.errors import ContractError, InputError
from biosae.geometry import Layer
from biosae.landscape.loci import read_nodes, read_seqlets
from biosae.top_activations import read_top_activations

RUN_INPUTS = (
    "selected_nodes.tsv",
    "top_activations.parquet",
    "seqlets/manifest.tsv",
    "seqlets/seqlets.bed.gz",
)
PLACE_COLUMNS = ["rank", "node", "chrom", "window_start", "position", "activation", "start", "end"]


def read_places(run: Path, length_bp: int) -> tuple[pd.DataFrame, Layer]:
    """Every seqlet of the kept nodes, strongest first within its node, and the layer.

    Args:
        run: folder of the run.
        length_bp: bases that the network takes.

    Returns:
        DataFrame ``PLACE_COLUMNS``: start and end are the seqlet's, window_start is where the network's input
        begins, position counts the layer's positions from there, activation is the one of the store.

    Raises:
        InputError: no kept node has a seqlet.
        ContractError: a seqlet is no top activation of its node.
    """
    nodes = read_nodes(run)
    seqlets = read_seqlets(run, nodes)
    top, notes = read_top_activations(run / "top_activations.parquet")
    layer = Layer.from_dict(notes["layer"])
    if seqlets.empty:
        raise InputError(
            "No kept node of the run has a seqlet: there is nothing to change in the network",
            where=run,
            mend="lower select.min_nonzero and select.min_above_half, or give more data",
        )
    top = top[top["node"].isin(nodes["node"])].reset_index(drop=True)
    width = int((seqlets["end"] - seqlets["start"]).iloc[0])
    origin = top["start"].to_numpy("int64") + layer.left_bp
    top["seqlet_start"] = layer.window(origin, np.int64(0), None if width == layer.window_bp else width)[0]
    top = top.drop_duplicates(["node", "chrom", "seqlet_start"])
    found = seqlets.assign(
        node=nodes["node"].to_numpy()[seqlets["row"]], rank=nodes["rank"].to_numpy()[seqlets["row"]]
    )
    keys = {"left_on": ["node", "chrom", "start"], "right_on": ["node", "chrom", "seqlet_start"]}
    found = found.merge(top, how="left", suffixes=("", "_top"), validate="one_to_one", **keys)
    _check_found(found, run)
    return _in_windows(found, layer, notes["positions"], length_bp), layer


def _check_found(found: pd.DataFrame, run: Path) -> None:
    if (lost := found["activation"].isna()).any():
        raise ContractError(
            f"{int(lost.sum())} of {len(found)} seqlets are no top activations of their node",
            got=found.loc[lost, ["chrom", "start", "end", "node"]].iloc[0].tolist(),
            where=run,
            mend="re-run write_seqlets",
        )


def _in_windows(found: pd.DataFrame, layer: Layer, positions: int, length_bp: int) -> pd.DataFrame:
    stride = layer.stride_bp
    offset = found["position"].to_numpy("int64") * stride
    sequence_start = found["start_top"].to_numpy("int64") + layer.left_bp - offset
    shift = window_shift(offset, positions * stride, length_bp, stride)
    table = found.assign(window_start=sequence_start + shift, position=(offset - shift) // stride)
    table = table.sort_values(["rank", "activation", "chrom", "start"], ascending=[True, False, True, True])
    return table[PLACE_COLUMNS].reset_index(drop=True)


def window_shift(offset_bp: np.ndarray, sequence_bp: int, length_bp: int, stride_bp: int) -> np.ndarray:
    """Where the input window begins, relative to the sequence's start, (n,) int64, a multiple of the stride.

    Args:
        offset_bp: where each place begins in its sequence, (n,).
        sequence_bp, length_bp: bases of a sequence of the store, and of the network's input.
    """
    if length_bp >= sequence_bp:
        margin = (length_bp - sequence_bp) // 2 // stride_bp * stride_bp
        return np.full(len(offset_bp), -margin, dtype=np.int64)
    step = max(length_bp // 2 // stride_bp, 1) * stride_bp
    last = (sequence_bp - length_bp) // stride_bp * stride_bp
    piece = np.floor((offset_bp - length_bp / 2) / step + 0.5).astype(np.int64)
    return np.clip(piece * step, 0, last)


def choose_nodes(run: Path, wanted: list[int] | None) -> pd.DataFrame:
    """Rows of selected_nodes.tsv, by rank; of all kept nodes, or of those ``wanted``.

    Raises:
        InputError: a node that is wanted was not kept.
    """
    selected = read_table(run / "selected_nodes.tsv", "selected_nodes").sort_values("rank")
    if wanted is None:
        return selected.reset_index(drop=True)
    lost = sorted(set(wanted) - set(selected["node"].tolist()))
    if lost:
        raise InputError(
            f"{len(lost)} of the nodes asked for were not kept",
            got=lost[:10],
            expected=f"nodes of selected_nodes.tsv, {len(selected)} in number",
            where=run / "selected_nodes.tsv",
            mend="take nodes out of the list, or keep more with select",
        )
    return selected[selected["node"].isin(wanted)].reset_index(drop=True)


def node_windows(places: pd.DataFrame, windows: int) -> list[pd.DataFrame]:
    """One node's places by window, for the ``windows`` windows that hold its strongest ones.

    Args:
        places: rows of ``read_places`` of one node, strongest first.
    """
    grouped = places.groupby(["chrom", "window_start"], sort=False)
    return [rows for _, rows in grouped][:windows]
