"""How the motifs of a node are ranked, and what names it: a significant motif worth a name, and a match."""

from __future__ import annotations

import numpy as np
import pandas as pd


def log10_e(motifs: pd.DataFrame) -> pd.Series:
    """log10 E of motifs: of the held-out test, or the tool's own where nothing was held out."""
    return motifs["log10_e"].astype("float64").fillna(motifs["tool_log10_e"].astype("float64"))


def naming_pairs(motifs: pd.DataFrame, matches: pd.DataFrame) -> np.ndarray:
    """Which matches name their node.

    Both the motif (q over the run) and the match (q of its query) are significant, and the motif is not
    flagged as low in information or in complexity: such a motif resembles database entries by accident.

    Args:
        motifs: schema ``motifs``.
        matches: schema ``matches``.

    Returns:
        (len(matches),) bool.
    """
    significant = motifs.set_index("motif_id")["significant"].astype(bool)
    of_significant = matches["query"].map(significant).fillna(False).astype(bool)
    return (of_significant & matches["significant"].astype(bool) & matches["query_flag"].isna()).to_numpy()
