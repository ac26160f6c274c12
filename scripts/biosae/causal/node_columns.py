"""What the ablation says of each node, as columns of ``nodes.tsv``. Reading needs no PyTorch."""

from __future__ import annotations

import pandas as pd

COLUMNS = ["causal", "causal_groups", "causal_q", "causal_ratio", "causal_effect", "top_tracks"]
_TOP_TRACKS = 3


def node_columns(ablation: pd.DataFrame, tracks: pd.DataFrame) -> pd.DataFrame:
    """One row per node that was taken out: node and ``COLUMNS``.

    Args:
        ablation: rows of ablation.tsv.
        tracks: rows of ablation_tracks.tsv.
    """
    order = ablation.sort_values(["node", "q_value", "ratio"], ascending=[True, True, False], kind="stable")
    best = order.drop_duplicates("node")[["node", "q_value", "ratio", "effect"]]
    best = best.rename(columns={"q_value": "causal_q", "ratio": "causal_ratio", "effect": "causal_effect"})
    called = order[order["causal"].fillna(False).astype(bool)]
    groups = called.groupby("node")["group"].agg(", ".join).rename("causal_groups")
    tested = ablation.groupby("node")["causal"].agg(
        lambda values: values.any() if values.notna().any() else pd.NA
    )
    first = tracks[tracks["track_rank"] <= _TOP_TRACKS].sort_values(["node", "track_rank"])
    signs = first["effect"].map(lambda effect: "+" if effect > 0 else "-")
    words = (signs + " " + first["description"]).groupby(first["node"]).agg("; ".join).rename("top_tracks")
    table = best.merge(groups, on="node", how="left").merge(words, on="node", how="left")
    return table.merge(tested.astype("boolean").rename("causal"), on="node")[["node", *COLUMNS]]
