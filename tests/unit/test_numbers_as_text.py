"""Numbers as short text for readers."""

from __future__ import annotations

import pandas as pd
import pytest
from helpers_page import DASH

from biosae.scoreboard.numbers import format_number


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (12345, "12,345"), (0.083149, "0.0831"), (1e-6, "1e-6"), (2.5e-12, "2.5e-12"), (None, DASH),
     (float("nan"), DASH), (1e30, "1e+30"), (pd.NA, DASH)],
)  # fmt: skip
def test_format_number(value, text):
    assert format_number(value) == text
