"""Numbers as short text for readers; the exact ones stand in the tables."""

from __future__ import annotations

import re

import pandas as pd

MISSING = "\u2013"


def format_number(value: object, digits: int = 3) -> str:
    """At most `digits` significant digits, whole numbers whole; a missing value is a dash."""
    if value is None or pd.isna(value):
        return MISSING
    number = float(value)
    if number.is_integer() and abs(number) < 1e6:
        return f"{int(number):,}"
    return re.sub(r"e([+-])0*", r"e\1", f"{number:.{digits}g}")  # 1e-06 -> 1e-6
