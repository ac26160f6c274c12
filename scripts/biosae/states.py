"""``state.pt``: what a training run goes on from, written whole or not at all and never unpickled."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from biosae.artefacts import atomic_path
from biosae.errors import BiosaeError, InputError

STATE = "state.pt"
_RESTART = f"delete {STATE} (or use --no-resume) to train from the start"


class TrainingError(BiosaeError):
    """Training went out of bounds, or could not go on."""


def write_state(path: Path, content: dict, identity: dict) -> None:
    """Write ``content`` (plain values and tensors) atomically; the file before stays until then.

    Raises:
        TrainingError: it cannot be written, such as on a full disk.
    """
    try:
        with atomic_path(path) as temporary, temporary.open("wb") as handle:
            torch.save({**content, "identity": json.dumps(identity, sort_keys=True)}, handle)
            handle.flush()
            os.fsync(handle.fileno())  # a quota on a network filesystem may show only here
    except (OSError, RuntimeError) as error:  # torch reports some failed writes as RuntimeError
        kept = "the state before it is whole" if path.exists() else "there is none before it"
        raise TrainingError(
            f"Cannot write a training state; {kept}",
            where=path,
            got=f"{error} ({_cause(error)})" if _cause(error) else error,
            mend="make space and give the same command again: it goes on from the last whole state",
        ) from error


def _cause(error: BaseException) -> str:
    """The system's own words for an error that torch wrapped."""
    while error := error.__cause__ or error.__context__:
        if isinstance(error, OSError):
            return str(error)
    return ""


def read_state(path: Path, identity: dict, device: torch.device) -> dict:
    """What ``write_state`` wrote; InputError if it is damaged or of another run."""
    try:
        state = torch.load(path, map_location=device, weights_only=True)
        saved = json.loads(state["identity"])
    except Exception as error:  # torch reports damage as many kinds of error
        raise InputError("Cannot read a training state", got=error, where=path, mend=_RESTART) from error
    expected = json.loads(json.dumps(identity))
    if saved != expected:
        keys = [key for key in sorted({*saved, *expected}) if saved.get(key) != expected.get(key)]
        raise InputError(
            f"A training state was left here by another run: it differs in {', '.join(keys)}",
            where=path,
            got={key: _brief(saved.get(key), expected.get(key)) for key in keys},
            expected={key: _brief(expected.get(key), saved.get(key)) for key in keys},
            mend=_RESTART,
        )
    return state


def remove_state(output: Path) -> None:
    """Delete the training state, and what a killed process left half written."""
    for path in (Path(output) / STATE, *Path(output).glob(f".{STATE}.*.tmp")):
        path.unlink(missing_ok=True)


def all_finite(values: object) -> bool:
    """Whether every floating-point tensor in nested dicts and lists is finite."""
    found = [torch.isfinite(tensor).all() for tensor in _tensors(values) if tensor.is_floating_point()]
    return not found or bool(torch.stack([flag.cpu() for flag in found]).all())


def _tensors(values: object) -> Iterator[Tensor]:
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, dict | list | tuple):
        for item in values.values() if isinstance(values, dict) else values:
            yield from _tensors(item)


def _brief(value: object, other: object) -> object:
    """``value`` without what it shares with ``other``, short enough to read."""
    if isinstance(value, dict) and isinstance(other, dict):
        value = {key: item for key, item in value.items() if other.get(key) != item}
    text = str(value)
    return text if len(text) <= 300 else text[:300] + "..."
