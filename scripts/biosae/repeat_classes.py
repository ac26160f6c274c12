"""Which classes of a RepeatMasker annotation are repeat families, and which are low complexity."""

from __future__ import annotations

SOFT_MASKED = "soft_masked"  # lower case in the genome, whatever the class
_LOW_COMPLEXITY = ("low_complexity", "simple_repeat")  # RepeatMasker's classes that are no repeat family


def kind_of(label: str) -> str:
    """``low_complexity`` for such classes as RepeatMasker names them, in any case, else ``repeat``.

    Also for its names of single ones, ``(CA)n`` and ``A-rich``: a column of names makes no family of them.
    """
    family = label.split("/")[0].rstrip("?").lower().replace("-", "_").replace(" ", "_")
    simple = family in _LOW_COMPLEXITY or family.startswith("(") or family.endswith("_rich")
    return "low_complexity" if simple else "repeat"
