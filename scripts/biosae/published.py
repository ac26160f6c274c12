"""Reading the checkpoints of the published SAE on Borzoi (calico/sae-borzoi), without running their code.

``best_model.pt`` is a pickle of tensors and plain values; it is read with ``weights_only``, which
refuses anything that could run. Its ``model_state_dict`` holds encoder.weight (n_nodes, channels),
decoder.weight (channels, n_nodes), pre_bias, latent_bias and an unused temperature; neither k nor the
normaliser are in it. The normaliser is x / max with the signed maximum of each channel, from their
JSON ``{"0": max0, "1": max1, ...}``: a negative maximum flips a channel's sign, here as there.

Their inference leaves out the ReLU that their training has; ours always has it. Values > 0 are the
same; their negative ones, at positions where fewer than k nodes are positive, are 0 here.
"""

from __future__ import annotations

import json
import logging
import pickle
from pathlib import Path

import numpy as np
import torch

from biosae.checkpoint import build_model
from biosae.errors import InputError
from biosae.model import SAE
from biosae.recipes import resolve_k

_WEIGHTS = ("encoder.weight", "decoder.weight", "pre_bias", "latent_bias")
_UNUSED = ("temperature",)
_log = logging.getLogger(__name__)


def read_weights(path: str | Path) -> dict[str, torch.Tensor]:
    """The four weights of a published checkpoint, float32.

    Raises:
        InputError: unreadable, holds code, or has missing or unknown keys.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(
            "A published checkpoint holds more than tensors and plain values, so it could run code",
            got=str(error).strip().splitlines()[0],
            where=path,
            mend="take it from its source again, or save its model_state_dict alone",
        ) from error
    except Exception as error:  # a damaged archive raises many kinds
        raise InputError("Cannot read a published checkpoint", got=error, where=path) from error
    state = content.get("model_state_dict") if isinstance(content, dict) else None
    if not isinstance(state, dict):
        got = sorted(map(str, content)) if isinstance(content, dict) else type(content).__name__
        raise InputError("A published checkpoint lacks 'model_state_dict'", got=got, where=path)
    missing, unknown = set(_WEIGHTS) - set(state), set(state) - {*_WEIGHTS, *_UNUSED}
    if missing or unknown:
        raise InputError(
            "The weights of a published checkpoint have other names than expected",
            got=f"missing {sorted(missing)}, unknown {sorted(unknown)}",
            expected=f"{sorted(_WEIGHTS)}, and perhaps {list(_UNUSED)}",
            where=path,
        )
    return {name: state[name].float() for name in _WEIGHTS}


def read_maxima(path: str | Path, channels: int) -> np.ndarray:
    """Scale (channels,) float32 out of the published JSON of signed maxima.

    Raises:
        InputError: not such a JSON, another number of channels, or a maximum of 0 or not finite.
    """
    try:
        content = json.loads(Path(path).read_text())
        maxima = np.array([content[str(channel)] for channel in range(len(content))], dtype=np.float32)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            "Cannot read the published maxima",
            got=repr(error),
            expected='{"0": max0, "1": max1, ...}',
            where=path,
        ) from error
    if len(maxima) != channels:
        raise InputError("The maxima are of another layer", got=len(maxima), expected=channels, where=path)
    unusable = np.flatnonzero(~np.isfinite(maxima) | (maxima == 0))
    if len(unusable):
        raise InputError(
            "A channel cannot be divided by its maximum", got=f"channels {unusable[:5].tolist()}", where=path
        )
    if (maxima < 0).any():
        _log.warning("%d channels have a negative maximum: x / max flips their sign", int((maxima < 0).sum()))
    return maxima


def published_model(
    path: str | Path, shift, scale, channels: int, k: float, k_of: str, layer_norm: bool = True
) -> SAE:
    """A published checkpoint as our model, with the normaliser inside.

    Raises:
        InputError: see ``read_weights``; or shapes that do not fit ``channels``.
    """
    weights = read_weights(path)
    n_nodes = int(weights["latent_bias"].numel())
    structure = {"kind": SAE.kind, "n_nodes": n_nodes, "channels": channels, "layer_norm": layer_norm}
    structure["k"] = resolve_k(k, k_of, channels, n_nodes)
    vectors = {
        name: torch.as_tensor(np.asarray(v, np.float32)) for name, v in (("shift", shift), ("scale", scale))
    }
    return build_model(structure, {**weights, **vectors}, where=path)
