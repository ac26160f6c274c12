"""What the figures of a scoreboard are called, and which belong side by side."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from biosae.errors import ContractError
from biosae.scoreboard.numbers import format_number

ONE_SEED = "one seed"
SUMMARY_COLUMN = {"nodes_with_motif": "nodes_with_significant_motif"}  # figure -> its column of summary.tsv
LABELS = {
    "nodes_with_motif": "nodes with a motif",
    "nodes_motif_calibrated": "  calibrated by nulls",
    "nodes_named": "named nodes",
    "nodes_named_calibrated": "  calibrated by nulls",
    "distinct_targets": "distinct database motifs",
    "distinct_targets_calibrated": "  calibrated by nulls",
    "distinct_clusters": "distinct motif clusters",
    "distinct_clusters_calibrated": "  calibrated by nulls",
    "motif_recall": "planted motifs found",
    "motif_precision": "motifs that were planted",
    "assignment_f1": "mean F1 of detectors",
    "detectors_found": "detectors found (F1 >= 0.7)",
}
OF_RUN = {  # column of summary.tsv -> label
    "fvu": "FVU",
    "l0": "L0",
    "dead_fraction": "dead",
    "density": "density",
    "kept_nodes": "kept nodes",
}


@dataclass(frozen=True)
class Block:
    """One SAE beside its nulls.

    Attributes:
        sae: its row of summary.tsv.
        nulls: rows of its baselines.
        scores: figure -> its row of scoreboard.tsv.
    """

    sae: pd.Series
    nulls: list[pd.Series]
    scores: dict[str, pd.Series]

    def runs(self) -> list[pd.Series]:
        """The SAE, then its nulls."""
        return [self.sae, *self.nulls]

    def null_names(self) -> list[str]:
        """The role of each null; its whole name where two have one role."""
        roles = [null["role"] for null in self.nulls]
        return [null["run"] if roles.count(null["role"]) > 1 else null["role"] for null in self.nulls]

    def best_null(self, figure: str) -> str | None:
        """The name, as in ``null_names``, of the null that a figure is compared with."""
        names = dict(zip((null["run"] for null in self.nulls), self.null_names(), strict=True))
        best = self.scores[figure]["best_null"]
        return None if pd.isna(best) else names[best]


def blocks(summary: pd.DataFrame, scoreboard: pd.DataFrame) -> list[Block]:
    """One block for each SAE of the scoreboard, in its order; a null may stand in several.

    Raises:
        ContractError: a run of the scoreboard has no row in the summary.
    """
    rows = {(row["layer"], row["run"]): row for _, row in summary.iterrows()}
    found = []
    for (layer, sae), own in scoreboard.groupby(["layer", "run"], sort=False):
        names = own["nulls"].iloc[0]
        runs = [(layer, name) for name in (sae, *([] if pd.isna(names) else names.split(",")))]
        if missing := ["/".join(run) for run in runs if run not in rows]:
            raise ContractError(
                "Runs of the scoreboard have no row in the summary",
                got=missing[:5],
                expected=f"rows of {len(runs)} runs",
                mend="re-run score_runs, then summarise_runs",
            )
        first, *nulls = (rows[run] for run in runs)
        found.append(Block(first, nulls, {row["figure"]: row for _, row in own.iterrows()}))
    return found


def long_label(figure: str) -> str:
    """The label of a figure where it stands alone."""
    label = LABELS[figure]
    before = LABELS.get(figure.removesuffix("_calibrated"), LABELS["nodes_with_motif"])
    return f"{before}, calibrated" if label.startswith(" ") else label


def value_of(row: pd.Series, figure: str) -> object:
    """A figure in a row of summary.tsv."""
    return row[SUMMARY_COLUMN.get(figure, figure)]


def stability_text(row: pd.Series) -> str | None:
    """Median cosine with the nodes of other seeds beside chance; None for a run that is not compared."""
    if pd.notna(row["stability"]):
        return f"{row['stability']:.2f} (chance {row['null_stability']:.2f})"
    return ONE_SEED if row["role"] == "sae" and pd.isna(row["siblings"]) else None


def difference_text(score: pd.Series) -> str:
    """``+18.7 [17.3, 19.7]``; without an interval the difference alone, without a null nothing."""
    if pd.isna(score["difference"]):
        return ""
    text = _short(score["difference"], "+")
    if pd.notna(score["ci_low"]):
        text += f" [{_short(score['ci_low'])}, {_short(score['ci_high'])}]"
    return text


def _short(number: float, sign: str = "") -> str:
    """Three digits; from 1,000 on whole, as three digits would be written with an exponent."""
    return f"{number:{sign},.0f}" if abs(number) >= 999.5 else f"{number:{sign}.3g}"


def plain(value: object) -> str:
    """A number as short text, a dash where it is missing."""
    return "-" if pd.isna(value) else format_number(value)
