"""Weights of a host: a local file, or random from a seed. Never a hub name: nothing is ever fetched."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from biosae.errors import ConfigError, InputError

_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")
_SHOWN = 3  # names of tensors in a message


def random_seed(weights: str) -> int | None:
    """The seed of ``random:<seed>``; None for a path.

    Raises:
        ConfigError: neither ``random:<seed>`` nor a path that is there; says so of a hub name.
    """
    if weights.startswith("random:"):
        text = weights.removeprefix("random:")
        if not text.isdecimal():
            raise ConfigError("Random weights need a seed", got=weights, expected="random:0, random:1, ...")
        return int(text)
    if not Path(weights).exists():
        hub = _HUB_NAME.fullmatch(weights) is not None
        raise ConfigError(
            "The weights are not there" + ("; the name of a model on a hub is not taken" if hub else ""),
            got=weights,
            expected="a local file or folder, or random:<seed>",
            mend="fetch the weights yourself and give the path of model.safetensors"
            if hub
            else "check the path, which is relative to the folder where you run this",
        )
    return None


def weights_file(weights: str) -> Path:
    """The file of weights that a path names: itself, or ``model.safetensors`` of a folder."""
    path = Path(weights)
    found = path / "model.safetensors" if path.is_dir() else path
    if not found.is_file():
        raise InputError(
            "A folder of weights holds no model.safetensors", where=path, mend="name the file of weights"
        )
    return found


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a file, by name: safetensors, or PyTorch's own read as weights only (no code runs).

    Raises:
        InputError: it cannot be read, or holds something else than tensors by name.
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, SafetensorError, RuntimeError, ValueError, EOFError) as error:
        raise _unreadable(path, error) from error
    except Exception as error:  # pickle.UnpicklingError and what a damaged pickle raises
        if type(error).__name__ != "UnpicklingError":
            raise
        raise _unreadable(path, error) from error
    for key in ("state_dict", "model_state_dict"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict) or not all(isinstance(one, torch.Tensor) for one in content.values()):
        raise _unreadable(path, f"a {type(content).__name__}, not tensors by name")
    return content


def _unreadable(path: Path, error: object) -> InputError:
    return InputError(
        "Cannot read the weights",
        where=path,
        got=str(error).splitlines()[0] if str(error) else type(error).__name__,
        expected="safetensors, or a state dictionary that torch.load(weights_only=True) reads",
        mend="convert them: safetensors.torch.save_file(model.state_dict(), 'model.safetensors')",
    )


def load_weights(network: nn.Module, path: Path) -> None:
    """Fill a network from a file; every tensor must be there and fit.

    Raises:
        InputError: counts and names the tensors that are missing, unknown or of another shape.
    """
    given, own = read_weights(path), network.state_dict()
    faults = {
        "missing in the file": sorted(set(own) - set(given)),
        "not in the model": sorted(set(given) - set(own)),
        "of another shape": [
            f"{name} {tuple(given[name].shape)}, the model's {tuple(own[name].shape)}"
            for name in sorted(set(own) & set(given))
            if given[name].shape != own[name].shape
        ],
    }
    if any(faults.values()):
        raise InputError(
            "The weights do not fit the model that the config describes",
            where=path,
            got="; ".join(
                f"{len(names)} tensors {what}: {', '.join(names[:_SHOWN])}"
                for what, names in faults.items()
                if names
            ),
            expected=f"the {len(own)} tensors of {type(network).__name__}{_beside(path)}",
            mend="set model.arguments to what the weights were trained with",
        )
    network.load_state_dict(given)


def _beside(path: Path) -> str:
    """What the ``config.json`` beside the weights says of the model, for a message."""
    try:
        told = json.loads((path.parent / "config.json").read_text())
    except (OSError, ValueError):
        return ""
    keys = ("dim", "depth", "heads", "enable_human_head", "enable_mouse_head", "flashed", "bins_to_return")
    found = {key: told[key] for key in keys if key in told} if isinstance(told, dict) else {}
    return f" (the config.json beside them: {found})" if found else ""


def weights_hash(network: nn.Module) -> str:
    """sha256 over names, shapes, types and bytes of all tensors: the same for every file that holds them."""
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        kept = tensor.detach().cpu().contiguous()
        digest.update(f"{name} {tuple(kept.shape)} {kept.dtype}\0".encode())
        digest.update(kept.reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()
