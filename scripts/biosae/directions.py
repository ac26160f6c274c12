"""Decoder directions of nodes, from a checkpoint. Needs no PyTorch."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from biosae.errors import InputError

log = logging.getLogger(__name__)


def read_directions(checkpoint: Path, nodes: np.ndarray) -> np.ndarray:
    """Decoder directions of ``nodes`` as unit vectors, (n, channels) float32; a zero vector stays zero.

    Raises:
        InputError: the checkpoint is missing, has no decoder of the shape it states, or lacks a node.
    """
    try:
        config = json.loads((checkpoint / "config.json").read_text())
        kind, n_nodes, channels = config["kind"], int(config["n_nodes"]), int(config["channels"])
        weights = load_file(checkpoint / "model.safetensors")["decoder.weight"]
    except (OSError, KeyError, ValueError, SafetensorError) as error:
        raise InputError(
            "Cannot read the decoder of the run", got=error, where=checkpoint, mend="run train_sae.py again"
        ) from error
    if weights.shape != (channels, n_nodes):
        raise InputError(
            "The decoder does not have the shape that its config states",
            got=weights.shape,
            expected=(channels, n_nodes),
            where=checkpoint,
        )
    if len(nodes) and (beyond := int(np.max(nodes))) >= n_nodes:
        raise InputError(
            f"Node {beyond} is not in the checkpoint", expected=f"nodes 0 to {n_nodes - 1}", where=checkpoint
        )
    if kind == "raw":
        log.warning(
            "The nodes of a raw run are single channels, all at right angles: its map shows no structure"
        )
    directions = weights.T[nodes].astype(np.float32)
    norm = np.linalg.norm(directions, axis=1, keepdims=True)
    return np.divide(directions, norm, out=np.zeros_like(directions), where=norm > 0)
