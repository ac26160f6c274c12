"""Which classes of a RepeatMasker annotation are repeat families, and which are low complexity."""

from __future__ import annotations

SOFT_MASKED = "soft_masked"  # lower case in the genome, whatever the class
_LOW_COMPLEXITY = ("low_complexity", "simple_repeat")  # RepeatMasker's classes that are no repeat family


def kind_of(label: str) -> str:
    """``low_complexity`` for such classes as RepeatMasker names them, in any case, else ``repeat``."""
    family = label.split("/")[0].rstrip("?").lower().replace("-", "_").replace(" ", "_")
    return "low_complexity" if family in _LOW_COMPLEXITY else "repeat"
