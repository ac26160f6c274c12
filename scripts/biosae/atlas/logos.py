"""Sequence logos as small SVG: one path per letter, coordinates as integers, colours left to the page's CSS.

Letter heights are p * IC, IC = 2 + sum(p log2 p) bits a column (Schneider and Stephens 1990, uniform
background, no small-sample correction: it is 3 / (2 ln 2 sites), 0.02 bit at 100 sites).
"""

from __future__ import annotations

from html import escape

import numpy as np

LETTERS = "ACGT"
COLUMN_WIDTH = 100  # SVG units a column
HEIGHT = 300  # SVG units for 2 bits
MIN_LETTER_HEIGHT = 4.0  # SVG units; a lower letter could not be seen and only makes the page heavier
SHOWN_COLUMN_PX = 10  # size on the page before CSS
_GAP = 4  # SVG units left free on both sides of a letter
_ARC_POINTS = 9


def _arc(
    radius_x: float, radius_y: float, first_degree: float, last_degree: float
) -> list[tuple[float, float]]:
    """Points of an ellipse around (0.5, 0.5), y downwards, angles counted clockwise from the right."""
    angles = np.radians(np.linspace(first_degree, last_degree, _ARC_POINTS))
    return [(0.5 + radius_x * np.cos(a), 0.5 + radius_y * np.sin(a)) for a in angles]


def _glyphs() -> dict[str, list[list[tuple[float, float]]]]:
    """The four letters as polygons in the unit square, y downwards; A's hole runs the other way round."""
    bowl = _arc(0.5, 0.5, 322, 38)  # a C is open on the right, between 322 and 398 degrees
    hollow = _arc(0.3, 0.36, 45, 315)
    g_stem = [(1.0, 0.83), (1.0, 0.47), (0.55, 0.47), (0.55, 0.61), (0.8, 0.61), (0.8, 0.74)]
    return {
        "A": [
            [(0, 1), (0.39, 0), (0.61, 0), (1, 1), (0.79, 1), (0.71, 0.77), (0.29, 0.77), (0.21, 1)],
            [(0.345, 0.61), (0.655, 0.61), (0.5, 0.17)],
        ],
        "C": [bowl + hollow],
        "G": [_arc(0.5, 0.5, 322, 62) + g_stem + hollow[1:]],
        "T": [[(0, 0), (1, 0), (1, 0.16), (0.61, 0.16), (0.61, 1), (0.39, 1), (0.39, 0.16), (0, 0.16)]],
    }


_GLYPHS = _glyphs()


def letter_heights(matrix: np.ndarray) -> np.ndarray:
    """Height of each letter in bits.

    Args:
        matrix: probabilities (w, 4), columns A, C, G, T, rows sum to 1.

    Returns:
        (w, 4), each row sums to the information content of its position, 0 to 2 bits.
    """
    p = np.asarray(matrix, dtype=np.float64)
    logs = np.log2(p, out=np.zeros_like(p), where=p > 0)
    content = 2.0 + (p * logs).sum(axis=1, keepdims=True)
    return p * np.clip(content, 0.0, 2.0)


def stack_letters(matrix: np.ndarray) -> list[tuple[str, int, float, float]]:
    """Where the letters of a logo stand: (letter, column, top, height) in SVG units, y downwards.

    The tallest letter of a column is on top; letters below MIN_LETTER_HEIGHT are left out.
    """
    placed = []
    for column, heights in enumerate(letter_heights(matrix) * HEIGHT / 2.0):
        bottom = float(HEIGHT)
        for index in np.argsort(heights, kind="stable"):
            height = float(heights[index])
            if height >= MIN_LETTER_HEIGHT:
                placed.append((LETTERS[index], column, bottom - height, height))
            bottom -= height
    return placed


def _polygon(points: np.ndarray) -> str:
    """A closed SVG path through integer points (n, 2), relative steps: a third shorter than absolute ones."""
    steps = np.diff(points, axis=0, prepend=[[0, 0]])
    pairs = [f"{x} {y}" if y >= 0 else f"{x}{y}" for x, y in steps.tolist()]
    return f"M{pairs[0]}l{' '.join(pairs[1:]).replace(' -', '-')}z"


def _outline(letter: str, column: int, top: float, height: float) -> str:
    """The closed path of one letter, stretched to its box."""
    corner = (column * COLUMN_WIDTH + _GAP, top)
    size = (COLUMN_WIDTH - 2 * _GAP, height)
    polygons = (np.rint(np.array(polygon) * size + corner).astype(int) for polygon in _GLYPHS[letter])
    return "".join(map(_polygon, polygons))


def logo_svg(matrix: np.ndarray, title: str) -> str:
    """A logo as an inline SVG element; classes la, lc, lg, lt carry the colours.

    Args:
        matrix: probabilities (w, 4), columns A, C, G, T.
        title: tooltip and accessible name, escaped here.
    """
    outlines = dict.fromkeys(LETTERS, "")
    for letter, column, top, height in stack_letters(matrix):
        outlines[letter] += _outline(letter, column, top, height)
    paths = "".join(f'<path class="l{k.lower()}" d="{d}"/>' for k, d in outlines.items() if d)
    width, shown = len(matrix) * COLUMN_WIDTH, len(matrix) * SHOWN_COLUMN_PX
    return (
        f'<svg class="logo" role="img" viewBox="0 0 {width} {HEIGHT}" width="{shown}" '
        f'height="{HEIGHT * SHOWN_COLUMN_PX // COLUMN_WIDTH}"><title>{escape(title)}</title>{paths}</svg>'
    )
