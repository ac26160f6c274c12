"""What explains a node, in the order in which it should be believed: repeats before names.

A node that fires in a repeat has that repeat's sequence as its motif, and a long enough sequence
resembles some factor's matrix: such a node is named like any other. So ``explained_by`` says the first of
these that holds:

    repeat: <class>, low complexity   a class of the BED of repeats explains the node (``repeats.tsv``)
    low complexity                    its best motif is significant and flagged as of low complexity; a lesser
                                      motif of the node may still have a name
    repeat: soft_masked               soft-masked sequence explains it
    factor: <name>                    a match names it; with " (not calibrated)" where null sets were
                                      asked for and reach that match too
    motif without a name              it has a significant motif
    nothing
"""

from __future__ import annotations

import pandas as pd

from biosae.repeat_classes import SOFT_MASKED, kind_of

NOTHING = "nothing"
LOW_COMPLEXITY = "low complexity"
_CLASS = {
    "class": "repeat_class",
    "share": "repeat_class_share",
    "odds_ratio": "repeat_odds_ratio",
    "q_value": "repeat_q",
}


def label_of(repeat_class: str) -> str:
    """What a node is said to be explained by, where a class of repeats explains it."""
    return LOW_COMPLEXITY if kind_of(repeat_class) == "low_complexity" else f"repeat: {repeat_class}"


def is_repeat(explained_by: str) -> bool:
    """Whether a repeat or low complexity explains a node."""
    return explained_by == LOW_COMPLEXITY or explained_by.startswith("repeat: ")


def strongest_classes(repeats: pd.DataFrame) -> pd.DataFrame:
    """The class of repeats of each node: one that explains it, then of the BED, then of the largest excess.

    Ties go to the lower q, then by name. A node in no class more often than by chance has none.

    Args:
        repeats: rows of repeats.tsv.

    Returns:
        one row per node of ``repeats``: node, soft_masked_share, the columns of its class, and ``label``:
        what explains it, missing where no class does.
    """
    masked = repeats[(repeats["source"] == "genome").astype(bool)].set_index("node")["share"]
    table = repeats.assign(general=repeats["source"] == "genome")[
        (repeats["excess_share"] > 0).to_numpy(bool)
    ]
    table = table.sort_values(
        ["node", "explains", "general", "excess_share", "q_value", "class"],
        ascending=[True, False, True, False, True, True],
    )
    best = table.drop_duplicates("node")
    explains = best["explains"].astype(bool)
    label = best["class"].map(label_of).where(explains)
    best = best[["node", *_CLASS]].rename(columns=_CLASS).assign(label=label)
    shares = masked.rename("soft_masked_share").reset_index()
    return shares.merge(best, on="node", how="left", validate="one_to_one")


def explain(table: pd.DataFrame, label: pd.Series) -> pd.Series:
    """The column ``explained_by``.

    Args:
        table: n_significant_motifs, motif_significant, motif_flag, named, named_calibrated (null where no
            null set was asked for), target_name, best_match.
        label: what repeats say of each node, missing where they do not explain it; same index.
    """
    names = table["target_name"].astype("string").fillna(table["best_match"].astype("string"))
    reached = (~table["named_calibrated"].astype("boolean")).fillna(False).astype(bool)
    names = names.mask(reached, names + " (not calibrated)")
    significant = table["motif_significant"].astype("boolean").fillna(False).astype(bool)
    simple = significant & (table["motif_flag"].astype("string") == "low_complexity").fillna(False)
    general = (label == label_of(SOFT_MASKED)).fillna(False).astype(bool)
    found = pd.Series(NOTHING, index=table.index, dtype="string")
    found = found.mask(table["n_significant_motifs"] > 0, "motif without a name")
    found = found.mask(table["named"].astype(bool), "factor: " + names)
    found = found.mask(general, label.astype("string"))
    found = found.mask(simple.astype(bool), LOW_COMPLEXITY)
    return found.mask(label.notna() & ~general, label.astype("string"))
