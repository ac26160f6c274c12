"""The compiled part of ``statistics``: extremes and moments of a stretch of rows, on the stored bits.

Extremes: of the bits of floating numbers, the largest as signed integers is the largest positive number,
the largest as unsigned ones the most negative number, the smallest as unsigned ones the number nearest
to zero of the positive ones if there are any, else of the negative ones. Three integer maxima, which the
processor does 16 or 32 at a time, hold minimum, maximum, and whether all were finite.

Moments: blocks of ``BLOCK_ROWS`` rows, in cache, about a shift that is the mean of eight rows spread over
the block; blocks are merged in float64 (Chan, Golub and LeVeque 1979, "Updating formulae and a pairwise
algorithm for computing sample variances", equation 2.1). Within a block sums of numbers minus shift
are taken in the type of the buffers in ``State``: float64, or for float16 float32 over groups of
``_GROUP_ROWS`` rows and float64 over groups. The eight rows are of the block, so its mean is within
sqrt(31) of its standard deviations of the shift, whatever the rows.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from biosae.store_types import raw_dtype

BLOCK_ROWS = 256  # 256 x 736 of float16 is 0.38 MB and stays in the cache of a core
_GROUP_ROWS = 32  # rows summed up before they are added to float64
_SHIFT_ROWS = 8
_TILE_ROWS = 128
_SIGN = np.uint16(0x8000)


@intrinsic
def _as_float(typing_context, stored):
    """A stored number as float: uint16 are the bits of float16, int16 those of bfloat16, float32 is itself.

    One instruction of the processor for eight or sixteen numbers, where numpy's float16 takes one a number.
    """

    def half(context, builder, signature, arguments):
        return builder.fpext(builder.bitcast(arguments[0], ir.HalfType()), ir.FloatType())

    def brain(context, builder, signature, arguments):
        bits = builder.shl(builder.zext(arguments[0], ir.IntType(32)), ir.Constant(ir.IntType(32), 16))
        return builder.bitcast(bits, ir.FloatType())

    def same(context, builder, signature, arguments):
        return arguments[0]

    made = {types.uint16: half, types.int16: brain, types.float32: same}.get(stored)
    return None if made is None else (types.float32(stored), made)


class State:
    """Extremes and moments of the rows added so far, one number a channel.

    Attributes:
        count: rows.
        positive, negative, nearest: extremes of the bits, see the module.
        mean, squares: float64; squares are the sum of squared deviations from the mean.
    """

    def __init__(self, channels: int, kind: str) -> None:
        bits = raw_dtype(kind).itemsize
        self.kind, self.count = kind, 0
        self.positive = np.full(channels, np.iinfo(f"i{bits}").min, f"i{bits}")
        self.negative = np.zeros(channels, f"u{bits}")
        self.nearest = np.full(channels, np.iinfo(f"u{bits}").max, f"u{bits}")
        self.mean, self.squares = np.zeros(channels), np.zeros(channels)
        self._sums = np.zeros((2, channels))
        # float16 neither over- nor underflows when squared in float32; the others may
        self._buffers = np.zeros((3, channels), np.float32 if kind == "float16" else np.float64)

    def add(self, raw: np.ndarray) -> None:
        """Add rows (n, channels) in the stored type, contiguous. Blocks begin at the first of them."""
        width = raw.dtype.itemsize
        signed, unsigned = raw.view(f"i{width}"), raw.view(f"u{width}")
        numbers = {"float16": unsigned, "bfloat16": signed}.get(self.kind, raw)
        bits = (signed, unsigned, self.positive, self.negative, self.nearest)
        self.count = _add_blocks(
            numbers, self._buffers, self._sums, self.mean, self.squares, self.count, *bits
        )

    def merge(self, other: State) -> None:
        """Add the rows of ``other``, which came after those of this one."""
        np.maximum(self.positive, other.positive, out=self.positive)
        np.maximum(self.negative, other.negative, out=self.negative)
        np.minimum(self.nearest, other.nearest, out=self.nearest)
        total = self.count + other.count
        delta = other.mean - self.mean
        self.mean += delta * (other.count / total)
        self.squares += other.squares + delta**2 * (self.count * other.count / total)
        self.count = total

    def finite(self) -> bool:
        """Whether no NaN and no infinity was among the rows."""
        infinity = {"float16": 0x7C00, "bfloat16": 0x7F80}.get(self.kind, 0x7F800000)
        sign = 1 << (8 * self.positive.dtype.itemsize - 1)
        return bool((self.positive < infinity).all() and (self.negative < infinity + sign).all())

    def extremes(self) -> tuple[np.ndarray, np.ndarray]:
        """(least, largest) in the stored type, raw."""
        sign = 1 << (8 * self.positive.dtype.itemsize - 1)
        unsigned = self.nearest.dtype
        least = np.where(self.negative >= sign, self.negative, self.nearest)
        largest = np.where(self.positive >= 0, self.positive.view(unsigned), self.nearest)
        stored = raw_dtype(self.kind)
        return least.astype(unsigned).view(stored), largest.astype(unsigned).view(stored)


@njit(cache=True, nogil=True)
def _add_blocks(numbers, buffers, sums, mean, squares, count, signed, unsigned, positive, negative, nearest):
    """Add rows (n, channels), given three times, block by block; returns the rows added so far."""
    for low in range(0, len(numbers), BLOCK_ROWS):
        high = min(low + BLOCK_ROWS, len(numbers))
        _extremes(signed[low:high], unsigned[low:high], positive, negative, nearest)
        _moments(numbers[low:high], buffers, sums, mean, squares, count)
        count += high - low
    return count


@njit(cache=True, nogil=True)
def _extremes(signed, unsigned, positive, negative, nearest):
    """Widen the extremes (channels,) by the rows of a block (n, channels), given twice."""
    n, channels = signed.shape
    whole = n - n % 8
    for r in range(0, whole, 8):  # eight rows at a time: the extremes are loaded and stored once for all
        for c in range(channels):
            s0, s1, s2, s3 = signed[r, c], signed[r + 1, c], signed[r + 2, c], signed[r + 3, c]
            s4, s5, s6, s7 = signed[r + 4, c], signed[r + 5, c], signed[r + 6, c], signed[r + 7, c]
            u0, u1, u2, u3 = unsigned[r, c], unsigned[r + 1, c], unsigned[r + 2, c], unsigned[r + 3, c]
            u4, u5, u6, u7 = unsigned[r + 4, c], unsigned[r + 5, c], unsigned[r + 6, c], unsigned[r + 7, c]
            s = max(max(max(s0, s1), max(s2, s3)), max(max(s4, s5), max(s6, s7)))
            most = max(max(max(u0, u1), max(u2, u3)), max(max(u4, u5), max(u6, u7)))
            least = min(min(min(u0, u1), min(u2, u3)), min(min(u4, u5), min(u6, u7)))
            positive[c] = max(positive[c], s)
            negative[c] = max(negative[c], most)
            nearest[c] = min(nearest[c], least)
    for r in range(whole, n):
        for c in range(channels):
            positive[c] = max(positive[c], signed[r, c])
            negative[c] = max(negative[c], unsigned[r, c])
            nearest[c] = min(nearest[c], unsigned[r, c])


@njit(cache=True, nogil=True)
def _moments(numbers, buffers, sums, mean, squares, count):
    """Merge a block (n, channels) into mean and squares (channels,) of ``count`` rows before it."""
    n, channels = numbers.shape
    shift, part, part_squares = buffers[0], buffers[1], buffers[2]
    step = max(n // _SHIFT_ROWS, 1)
    _shifts(numbers, step, shift)
    sums[:] = 0.0
    for first in range(0, n, _GROUP_ROWS):
        part[:] = 0.0
        part_squares[:] = 0.0
        last = min(first + _GROUP_ROWS, n)
        whole = first + (last - first) // 8 * 8
        for r in range(first, whole, 8):
            _add_eight(numbers[r : r + 8], shift, part, part_squares)
        for r in range(whole, last):
            for c in range(channels):
                x = _as_float(numbers[r, c]) - shift[c]
                part[c] += x
                part_squares[c] += x * x
        for c in range(channels):
            sums[0, c] += part[c]
            sums[1, c] += part_squares[c]
    share = n / (count + n)
    for c in range(channels):
        beyond = sums[0, c] / n  # the block's mean, from the shift on
        delta = (np.float64(shift[c]) - mean[c]) + beyond
        mean[c] += delta * share
        # rounding may leave a little less than nothing
        squares[c] += max(sums[1, c] - sums[0, c] * beyond, 0.0) + delta * delta * (count * share)


@njit(cache=True, nogil=True)
def _shifts(numbers, step, shift):
    """Mean of (up to) eight rows, ``step`` apart, of a block; equal numbers give exactly themselves."""
    n, channels = numbers.shape
    shift[:] = 0.0
    rows = min(n, _SHIFT_ROWS)
    if rows < _SHIFT_ROWS:
        rows = 1  # a mean of seven equal numbers may not be that number
    for i in range(rows):
        for c in range(channels):
            shift[c] += _as_float(numbers[i * step, c])
    for c in range(channels):
        shift[c] /= rows


@njit(cache=True, nogil=True)
def _add_eight(numbers, shift, part, part_squares):
    """Add eight rows, minus shift, and their squares; pairwise, so that rounding grows slowly."""
    for c in range(numbers.shape[1]):
        m = shift[c]
        x0, x1 = _as_float(numbers[0, c]) - m, _as_float(numbers[1, c]) - m
        x2, x3 = _as_float(numbers[2, c]) - m, _as_float(numbers[3, c]) - m
        x4, x5 = _as_float(numbers[4, c]) - m, _as_float(numbers[5, c]) - m
        x6, x7 = _as_float(numbers[6, c]) - m, _as_float(numbers[7, c]) - m
        part[c] += ((x0 + x1) + (x2 + x3)) + ((x4 + x5) + (x6 + x7))
        part_squares[c] += ((x0 * x0 + x1 * x1) + (x2 * x2 + x3 * x3)) + (
            (x4 * x4 + x5 * x5) + (x6 * x6 + x7 * x7)
        )


@njit(cache=True, nogil=True)
def ordered_keys(bits, keys):
    """Transpose bits (n, channels) of floating numbers of 16 bits into integers of the same order.

    ``keys`` (channels, n) uint16 is filled; ``bits_of_keys`` turns them back.
    """
    n, channels = bits.shape
    for first in range(0, n, _TILE_ROWS):  # a tile stays in the cache while it is turned
        last = min(first + _TILE_ROWS, n)
        for c in range(channels):
            for r in range(first, last):
                code = bits[r, c]
                keys[c, r] = ~code if code & _SIGN else code | _SIGN


def bits_of_keys(keys: np.ndarray) -> np.ndarray:
    """The bits that ``ordered_keys`` made keys of."""
    return np.where(keys & _SIGN, keys ^ _SIGN, ~keys)


def warm_up() -> None:
    """Compile every kernel for float16, the usual stored type; the job that meets another compiles it."""
    State(8, "float16").add(np.zeros((9, 8), raw_dtype("float16")))
    ordered_keys(np.zeros((2, 8), np.uint16)[:, 1:3], np.zeros((2, 2), np.uint16))
