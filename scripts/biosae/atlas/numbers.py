"""Numbers as short text for readers; the exact ones stand in the tables."""

from __future__ import annotations

import math
import re

import pandas as pd

MISSING = "\u2013"  # page.js knows it too: missing values sort last


def format_number(value: object, digits: int = 3) -> str:
    """At most `digits` significant digits, whole numbers whole; a missing value is a dash."""
    if value is None or pd.isna(value):
        return MISSING
    number = float(value)
    if number.is_integer() and abs(number) < 1e6:
        return f"{int(number):,}"
    return re.sub(r"e([+-])0*", r"e\1", f"{number:.{digits}g}")  # 1e-06 -> 1e-6


def format_share(value: object) -> str:
    """A share (0 to 1) in per cent: 43 %, 0.12 %."""
    return MISSING if value is None or pd.isna(value) else f"{format_number(100 * float(value), 2)} %"


def format_log10(value: object) -> str:
    """10**value in scientific notation, also far below the range of a double: -400.3 -> 5e-401."""
    if value is None or pd.isna(value):
        return MISSING
    if -3 <= value < 5:
        return format_number(10.0 ** float(value), 2)
    exponent = math.floor(value)
    mantissa = f"{10.0 ** (value - exponent):.1f}"
    return f"1.0e{exponent + 1:+d}" if mantissa == "10.0" else f"{mantissa}e{exponent:+d}"
