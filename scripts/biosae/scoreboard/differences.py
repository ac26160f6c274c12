"""The differences of scoreboard.tsv as columns of summary.tsv, one row per run."""

from __future__ import annotations

import pandas as pd

from biosae.artefacts import load_schema
from biosae.scoreboard.labels import SUMMARY_COLUMN

KEY = ["layer", "run"]
MARK = "_minus_best_null"  # what the columns of a difference are named after: {figure}_minus_best_null
BOUNDS = {"difference": "", "ci_low": "_low", "ci_high": "_high"}  # column of scoreboard.tsv -> what is added


def with_differences(summary: pd.DataFrame, scoreboard: pd.DataFrame) -> pd.DataFrame:
    """``summary`` (schema summary) with what is left of each SAE; missing for baselines.

    Args:
        scoreboard: rows of scoreboard.tsv of the same runs.
    """
    wide = scoreboard.pivot(index=KEY, columns="figure", values=list(BOUNDS))
    wide.columns = [
        f"{SUMMARY_COLUMN.get(figure, figure)}{MARK}{BOUNDS[value]}" for value, figure in wide.columns
    ]
    own = summary[[name for name in summary.columns if MARK not in name]]
    joined = own.merge(wide.reset_index(), on=KEY, how="left", validate="one_to_one")
    return joined.reindex(columns=list(load_schema("summary")["properties"]))
