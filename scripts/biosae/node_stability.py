"""The figures of a run's stability table (schema ``stability``) that summaries show."""

from __future__ import annotations

import pandas as pd


def summarise_stability(nodes: pd.DataFrame) -> dict[str, float | int | None]:
    """Columns of ``summary`` out of the rows of a run's stability.tsv: over live nodes.

    Medians are over the nodes that have a partner; the shares over all live nodes.
    """
    live = nodes[~nodes["dead"].astype(bool)]
    figures = {
        "siblings": int(nodes["siblings"].max()) if len(nodes) else None,
        "stability": float(live["stability"].median()),
        "null_stability": float(live["null_stability"].median()),
        "found_again": float(live["found_again"].mean()),
        "null_found_again": float(live["null_found_again"].mean()),
    }
    return {name: None if pd.isna(value) else value for name, value in figures.items()}
