"""What the page is made of: numbers as text, logos and plots as SVG."""

from __future__ import annotations

import re
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from helpers_page import DASH, EVIL

from biosae.atlas.logos import COLUMN_WIDTH, HEIGHT, LETTERS, letter_heights, logo_svg, stack_letters
from biosae.atlas.numbers import format_log10, format_number, format_share
from biosae.atlas.plots import Point, line_svg, nice_ticks, scatter_svg

# --- numbers as text ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (12345, "12,345"), (0.083149, "0.0831"), (1e-6, "1e-6"), (2.5e-12, "2.5e-12"), (None, DASH),
     (float("nan"), DASH), (1e30, "1e+30"), (pd.NA, DASH)],
)  # fmt: skip
def test_format_number(value, text):
    assert format_number(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(-400.3, "5.0e-401"), (-5, "1.0e-5"), (0, "1"), (2, "100"), (-4.0000001, "1.0e-4"), (6, "1.0e+6"),
     (None, DASH), (-10.00001, "1.0e-10")],
)  # fmt: skip
def test_format_log10(value, text):
    assert format_log10(value) == text


def test_format_share():
    assert [format_share(v) for v in (0.43, 0.00123, 1.0, None)] == ["43 %", "0.12 %", "100 %", DASH]


# --- logos ----------------------------------------------------------------------------------------


def boxes(svg: str) -> dict[tuple[str, int], tuple[float, float]]:
    """(letter, column) -> (top, bottom) of the drawn outlines: the picture read back into numbers."""
    found: dict[tuple[str, int], tuple[float, float]] = {}
    for letter, path in re.findall(r'<path class="l(\w)" d="([^"]*)"/>', svg):
        for part in path.split("z")[:-1]:
            steps = np.array([int(n) for n in re.findall(r"-?\d+", part)]).reshape(-1, 2)
            points = steps.cumsum(axis=0)
            column = int(points[:, 0].mean() // COLUMN_WIDTH)
            assert column * COLUMN_WIDTH < points[:, 0].min()
            assert points[:, 0].max() < (column + 1) * COLUMN_WIDTH
            top, bottom = found.get((letter.upper(), column), (np.inf, -np.inf))
            found[letter.upper(), column] = (min(top, points[:, 1].min()), max(bottom, points[:, 1].max()))
    return found


def test_letter_heights_are_probability_times_information():
    matrix = np.array([[1, 0, 0, 0], [0.25, 0.25, 0.25, 0.25], [0.5, 0.5, 0, 0], [0.7, 0.1, 0.1, 0.1]])
    heights = letter_heights(matrix)
    # 2 bits, none, one bit shared, and 2 - H(0.7, 0.1, 0.1, 0.1) = 2 - 1.35678 by hand
    assert heights.sum(axis=1) == pytest.approx([2, 0, 1, 0.64322], abs=1e-5)
    assert heights[2].tolist() == [0.5, 0.5, 0, 0]
    assert heights[3] == pytest.approx([0.450254, 0.064322, 0.064322, 0.064322], abs=1e-5)


def test_the_drawing_has_the_heights_of_the_matrix():
    matrix = np.array(
        [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [0.5, 0.5, 0, 0], [0, 0.2, 0.8, 0]]
    )
    drawn = boxes(logo_svg(matrix, ""))
    assert {key for key in drawn if key[1] < 4} == {("A", 0), ("C", 1), ("G", 2), ("T", 3)}
    for column in range(4):
        top, bottom = drawn[LETTERS[column], column]
        assert abs(top) <= 6  # the bowls of C and G are polygons: a little inside the box
        assert abs(bottom - HEIGHT) <= 6
    assert drawn["A", 4] == (HEIGHT * 3 / 4, HEIGHT)  # one bit in two equal halves, A below C
    assert drawn["C", 4][1] <= HEIGHT * 3 / 4 + 1
    assert drawn["G", 5][1] <= drawn["C", 5][0] + 1  # the likelier letter is on top


def test_stacked_letters_never_overlap_and_low_ones_are_left_out():
    matrix = np.random.default_rng(0).dirichlet([0.3] * 4, 30)
    heights = letter_heights(matrix) * HEIGHT / 2
    placed = stack_letters(matrix)
    assert len(placed) == (heights >= 4).sum()
    for column in range(30):
        stack = [(top, height) for _, c, top, height in placed if c == column]
        for (low_top, _), (high_top, high) in pairwise(stack):
            assert high_top + high <= low_top + 1e-9
        total = heights[column].sum()
        assert not stack or min(top for top, _ in stack) == pytest.approx(HEIGHT - total)


def test_a_logo_is_as_wide_as_its_matrix_and_escapes_its_title():
    svg = logo_svg(np.full((7, 4), 0.25), EVIL)
    assert f'viewBox="0 0 {7 * COLUMN_WIDTH} {HEIGHT}"' in svg
    assert "<path" not in svg  # no information, no letter
    assert "<img" not in svg


# --- plots ----------------------------------------------------------------------------------------


def test_scatter_keeps_the_order_of_both_axes_and_escapes():
    points = [
        Point(0, 0, "named", EVIL, "n1"),
        Point(10, 5, "plain", "b", "n2"),
        Point(5, 10, "motif", "c", "n3"),
    ]
    svg = scatter_svg(points, 'a "label"')
    assert "<img" not in svg
    assert 'aria-label="a &quot;label&quot;"' in svg
    place = [tuple(map(float, found)) for found in re.findall(r'cx="([\d.]+)" cy="([\d.]+)"', svg)]
    assert place[0][0] < place[2][0] < place[1][0]
    assert place[0][1] > place[1][1] > place[2][1]  # y grows upwards
    assert re.findall(r'href="#(n\d)"><circle class="(\w+)"', svg) == [
        ("n1", "named"), ("n2", "plain"), ("n3", "motif")
    ]  # fmt: skip


def test_a_single_point_stands_in_the_middle():
    assert 'cx="210.0" cy="170.0"' in scatter_svg([Point(3, 4, "plain", "", "n1")], "")


@pytest.mark.parametrize(
    ("low", "high", "about", "ticks"),
    [(0, 1, 4, [0, 0.5, 1]), (0, 1, 5, [0, 0.2, 0.4, 0.6, 0.8, 1]), (0, 9750, 3, [0, 5000]), (3, 3, 4, [3]),
     (-1, 1, 4, [-1, -0.5, 0, 0.5, 1])],
)  # fmt: skip
def test_nice_ticks(low, high, about, ticks):
    assert nice_ticks(low, high, about) == ticks


def test_a_line_leaves_out_what_is_missing_and_says_what_is_too_high():
    svg = line_svg([0, 1, 2, 3], [9.0, 0.5, np.nan, 0.25], "FVU", ceiling=1.25)
    assert "FVU (1 above 1.25 not shown)" in svg
    assert len(re.search(r'class="line" d="M([^"]*)"', svg)[1].split("L")) == 2
    assert "last value 0.25" in svg
    assert line_svg([0], [np.nan], "x") == ""
    assert line_svg([], [], "x") == ""
