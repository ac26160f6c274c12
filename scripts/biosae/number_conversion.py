"""Converting raw numbers of an activation store to another type, with an account of what is lost."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from biosae.store_types import raw_dtype, to_float32, torch_view

# largest number of each type; one beyond it is refused, although the next few would round down to it
LARGEST = {
    "float16": 65504.0,
    "bfloat16": float(np.uint32(0x7F7F0000).view(np.float32)),
    "float32": float(np.finfo(np.float32).max),
}


@dataclass
class Loss:
    """What rounding did to the numbers converted so far.

    Attributes:
        largest: largest |number - rounded number|.
        at: a number with that error.
        vanished: numbers other than 0 that became 0.
    """

    largest: float = 0.0
    at: float = 0.0
    vanished: int = 0

    def add(self, before: np.ndarray, after: np.ndarray) -> None:
        """Account for a block, given before and after rounding in a type that holds both."""
        errors = np.abs(before - after)
        place = int(errors.argmax())
        if errors.flat[place] > self.largest:
            self.largest, self.at = float(errors.flat[place]), float(before.flat[place])
        self.vanished += int(((after == 0) & (before != 0)).sum())


def exact(source: str, target: str) -> bool:
    """Whether every number of type ``source`` is one of type ``target``."""
    wider = {"float16": ("float32", "float64"), "bfloat16": ("float32", "float64"), "float32": ("float64",)}
    return source == target or target in wider.get(source, ())


def too_large(raw: np.ndarray, target: str) -> np.ndarray:
    """Mask of the finite raw numbers that ``target`` cannot hold."""
    numbers = to_float32(raw) if raw.dtype.itemsize == 2 else raw
    return np.abs(numbers) > LARGEST[target]


def convert(raw: np.ndarray, source: str, target: str, loss: Loss | None = None) -> np.ndarray:
    """Raw numbers of type ``source`` as raw numbers of type ``target``, rounded to the nearest (even).

    Numbers are rounded once, except from float64 to bfloat16: these go through float32.

    Args:
        raw: finite, none of them ``too_large``.
        source, target: of ``store_types.KINDS``; target is not float64 unless source is.
        loss: gets the account of this block.
    """
    if source == target:
        return raw
    made = raw.astype(target) if (source, target) == ("float64", "float16") else _by_torch(raw, target)
    if loss is not None and not exact(source, target):
        before = to_float32(raw) if raw.dtype.itemsize == 2 else raw
        loss.add(before, to_float32(made).astype(before.dtype))
    return made


def _by_torch(raw: np.ndarray, target: str) -> np.ndarray:
    """Several times faster than numpy; but float64 goes through float32, so it may be rounded twice."""
    import torch

    narrow = torch_view(np.ascontiguousarray(raw)).to(getattr(torch, target))
    if target == "bfloat16":
        narrow = narrow.view(torch.int16)
    return narrow.numpy().view(raw_dtype(target))
