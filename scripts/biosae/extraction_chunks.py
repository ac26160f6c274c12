"""Long windows in pieces that fit in memory: each piece is given a halo of the receptive field.

What a network computes at a position depends on the bases of its receptive field alone, and on the padding
at the two ends of the window. So a piece that begins and ends a receptive field further out, or at the ends
of the window, has the same numbers as the whole (to the last bits of a product: another length is summed in
another order). Pieces begin at a multiple of the stride, so that pools pair the same bases.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Piece:
    """A piece of a window.

    Attributes:
        first, end: output positions of the window that are taken from it.
        begin_bp, end_bp: bases of the window that the model is given.
        skip: positions of the piece before ``first``.
    """

    first: int
    end: int
    begin_bp: int
    end_bp: int
    skip: int


@dataclass(frozen=True)
class Halo:
    """Bases beside a piece that its positions read.

    Args:
        stride_bp, left_bp, right_bp: as of ``geometry.Layer``.
        whole: the layer reads the whole window: there are no pieces.
    """

    stride_bp: int
    left_bp: int
    right_bp: int
    whole: bool = False


def pieces(length_bp: int, piece_bp: int | None, halo: Halo) -> Iterator[Piece]:
    """The pieces of a window, in order; their positions are those of the window, each once.

    Args:
        length_bp: bases of the window, a multiple of the stride.
        piece_bp: bases of a piece without its halo, rounded down to the stride; None: the whole window.
    """
    stride = halo.stride_bp
    positions = length_bp // stride
    size = positions if piece_bp is None or halo.whole else max(1, piece_bp // stride)
    for first in range(0, positions, size):
        end = min(first + size, positions)
        begin = max(0, (stride * first - halo.left_bp) // stride * stride)
        stop = min(length_bp, -(-(stride * (end - 1) + halo.right_bp) // stride) * stride)
        begin, stop = (0, length_bp) if size >= positions else (begin, max(stop, stride * end))
        yield Piece(first, end, begin, stop, first - begin // stride)
