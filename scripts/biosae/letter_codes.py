"""Letters as small numbers: what scans of sequence and their compiled loops work on.

A module of its own, which needs NumPy alone: environments without HDF5 compile the loops too.
"""

from __future__ import annotations

import numpy as np

OTHER = 4  # code of a letter that is not A, C, G, T, and of what lies off the chromosome
_LETTERS = np.full(256, OTHER, dtype=np.uint8)
for _code, _pair in enumerate(("Aa", "Cc", "Gg", "Tt")):
    _LETTERS[[ord(letter) for letter in _pair]] = _code


def letter_codes(letters: np.ndarray) -> np.ndarray:
    """Codes of ASCII letters of either case, uint8 of the same shape: 0 to 3 for A, C, G, T, else OTHER."""
    return _LETTERS[letters]
