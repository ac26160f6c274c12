"""The number types of an activation store, and what is done to blocks of raw numbers.

A store says its type by name: float16, bfloat16, float32 or float64. Numpy has no bfloat16: its raw
bits travel as uint16 (no activation is ever an integer, so uint16 means bfloat16 everywhere), and
PyTorch sees them as ``torch.bfloat16``. In HDF5 bfloat16 is a floating type of 16 bits with the fields
described in the file, so that any HDF5 tool reads the right values.
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING

import h5py
import numpy as np

if TYPE_CHECKING:
    import torch

KINDS = ("float16", "bfloat16", "float32", "float64")
# sign bit, first bit and width of the exponent, first bit and width of the mantissa
_BFLOAT16_FIELDS = (15, 7, 8, 0, 7)
_BFLOAT16_BIAS = 127
_FLOAT32_MAX = np.finfo(np.float32).max


def raw_dtype(kind: str) -> np.dtype:
    """The numpy type in which numbers of ``kind`` are held; uint16 (their bits) for bfloat16."""
    return np.dtype(np.uint16 if kind == "bfloat16" else kind)


def is_bfloat16(type_id: h5py.h5t.TypeID) -> bool:
    """Whether an HDF5 type is bfloat16, of either byte order."""
    if not isinstance(type_id, h5py.h5t.TypeFloatID) or type_id.get_size() != 2:
        return False
    return type_id.get_fields() == _BFLOAT16_FIELDS and type_id.get_ebias() == _BFLOAT16_BIAS


def bfloat16_type(like: h5py.h5t.TypeID = h5py.h5t.IEEE_F32LE) -> h5py.h5t.TypeID:
    """The HDF5 type of bfloat16, in the byte order of ``like``, a type of 32 bits."""
    made = like.copy()
    made.set_fields(*_BFLOAT16_FIELDS)
    made.set_size(2)
    made.set_ebias(_BFLOAT16_BIAS)
    return made


def memory_type(kind: str) -> h5py.h5t.TypeID:
    """The HDF5 type of a buffer of ``raw_dtype(kind)``: a file of that type is read without conversion."""
    if kind == "bfloat16":
        return bfloat16_type(h5py.h5t.NATIVE_FLOAT)
    return h5py.h5t.py_create(raw_dtype(kind))


@cache
def _torch_installed() -> bool:
    return find_spec("torch") is not None


def torch_view(raw: np.ndarray) -> torch.Tensor:
    """A tensor over the memory of ``raw``; uint16 becomes torch.bfloat16."""
    import torch

    if raw.dtype == np.uint16:
        return torch.from_numpy(raw.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(raw)


def to_float32(source: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """Convert raw numbers to float32, into ``out`` if given. Exact for float16 and bfloat16."""
    if out is None:
        out = np.empty(source.shape, np.float32)
    # PyTorch, where installed, converts numbers of 16 bits about four times faster, to the same values
    if source.dtype.itemsize == 2 and _torch_installed():
        torch_view(out).copy_(torch_view(np.ascontiguousarray(source)))
    elif source.dtype == np.uint16:
        np.left_shift(source, np.uint32(16), out=out.view(np.uint32))
    else:
        np.copyto(out, source, casting="same_kind")
    return out


def all_finite(block: np.ndarray) -> bool:
    """Whether all raw numbers are finite, as float32 too (float64 may hold what float32 cannot).

    Two maxima over the bits, without a copy: as signed integers the largest is the largest positive
    number, as unsigned ones the most negative; infinity and NaN lie beyond all others.
    """
    if block.dtype.itemsize > 4:
        return bool((np.abs(block) <= _FLOAT32_MAX).all())
    bits = 8 * block.dtype.itemsize
    infinity = {np.dtype(np.float16): 0x7C00, np.dtype(np.uint16): 0x7F80}.get(block.dtype, 0x7F800000)
    positive = block.view(f"i{bits // 8}").max()
    negative = block.view(f"u{bits // 8}").max()
    return bool(positive < infinity and negative < infinity + (1 << (bits - 1)))


def not_finite(block: np.ndarray) -> np.ndarray:
    """Mask of the numbers that ``all_finite`` refuses; slow, for messages."""
    wide = (to_float32(block) if block.dtype == np.uint16 else block).astype(np.float64)
    return ~(np.abs(wide) <= _FLOAT32_MAX)
