"""Numbers too small for a double, as motif tools write them: E-values of 1e-400 and below."""

from __future__ import annotations

import math
import re

_NUMBER = re.compile(r"([0-9]*\.?[0-9]+|[0-9]+\.)(?:[eE]([+-]?[0-9]+))?")
_LARGEST_EXPONENT = 308.0  # 10 to this fits a double
_EXACT_ABOVE = -300.0  # from here up a double holds the value to full precision


def power_of_ten(exponent: float) -> float:
    """``10 ** exponent``: 0.0 where it underflows, 1e308 where it overflows."""
    return 10.0 ** min(exponent, _LARGEST_EXPONENT)


def parse_scientific(text: str) -> tuple[float, float | None]:
    """Value and log10 of a non-negative number; the log10 holds where the value underflows, None for 0.

    Raises:
        ValueError: the text is no such number.
    """
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise ValueError(f"not a non-negative number: {text!r}")
    mantissa, exponent = float(match[1]), int(match[2] or 0)
    if mantissa == 0:
        return 0.0, None
    log10 = math.log10(mantissa) + exponent
    return (float(text) if log10 < _LARGEST_EXPONENT else power_of_ten(log10)), log10


def format_scientific(value: float, log10: float | None) -> str:
    """The text that ``parse_scientific`` reads back: exact digits, or 12 of them below 1e-300."""
    if log10 is None or log10 > _EXACT_ABOVE:
        return repr(float(value))
    exponent = math.floor(log10)
    mantissa = f"{10.0 ** (log10 - exponent):.12g}"
    return f"{mantissa}e{exponent}" if mantissa != "10" else f"1e{exponent + 1}"
