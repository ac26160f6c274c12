"""The table that readers start from: one row per kept node of a run, everything that they sort by.

It only joins what earlier stages wrote and chooses the best motif and match of a node; nothing is computed
anew. A record that has no partner in the table it belongs to is a broken contract, never dropped.
"""

from __future__ import annotations

import pandas as pd

from biosae.artefacts import conform
from biosae.causal.node_columns import COLUMNS as CAUSAL_COLUMNS
from biosae.causal.node_columns import node_columns
from biosae.errors import ContractError
from biosae.explanations import explain, strongest_classes
from biosae.motifs.naming import log10_e, naming_pairs

NODE_INPUTS = {  # file in the run folder -> its schema
    "selected_nodes.tsv": "selected_nodes",
    "seqlets/manifest.tsv": "seqlet_manifest",
    "motifs.tsv": "motifs",
    "matches.tsv": "matches",
    "calibration.tsv": "calibration",
    "motif_clusters.tsv": "motif_clusters",
    "repeats.tsv": "repeats",
    "specificity.tsv": "specificity",
}
_STATISTICS = ["rank", "node", "num_nonzero", "mean_act", "max_act", "density", "n_sequences"]
_SPECIFICITY = [
    "node",
    "seqlets_with_motif",
    "hits_fired",
    "hits_fired_chance",
    "motif_f1",
    "motif_auroc",
    "strand_class",
    "partner_node",
    "partner_mutual",
]
_SEQLETS = ["node", "n_seqlets", "gc_share", "repeat_share"]
_MOTIF = {
    "motif_id": "best_motif_id",
    "consensus": "consensus",
    "width": "motif_width",
    "n_sites": "motif_sites",
    "e_value": "motif_e_value",
    "log10_e": "motif_log10_e",
    "q_value": "motif_q_value",
    "significant": "motif_significant",
    "flag": "motif_flag",
}
_MATCH = {
    "target": "best_match",
    "target_name": "target_name",
    "query": "match_motif_id",
    "motif_significant": "match_of_significant_motif",
    "p_value": "match_p_value",
    "e_value": "match_e_value",
    "q_value": "match_q_value",
    "significant": "match_significant",
    "p_null": "match_p_null",
    "q_null": "match_q_null",
}


def _only_in(first: pd.Series, second: pd.Series) -> list:
    return sorted(set(first.tolist()) - set(second.tolist()))


def _check_partners(tables: dict[str, pd.DataFrame]) -> None:
    """Raise ContractError unless the tables (keys: schemas) speak of the same nodes and motifs."""
    selected, manifest, calibration = (
        tables[name]["node"] for name in ("selected_nodes", "seqlet_manifest", "calibration")
    )
    motifs, specific = tables["motifs"], tables["specificity"]["node"]
    links = (
        ("selected nodes have no row in the seqlet manifest", selected, manifest),
        ("nodes of the seqlet manifest were not selected", manifest, selected),
        ("nodes with motifs were not selected", motifs["node"], selected),
        ("queries of the matches are not in the motif table", tables["matches"]["query"], motifs["motif_id"]),
        (
            "motifs of the clusters are not in the motif table",
            tables["motif_clusters"]["motif_id"],
            motifs["motif_id"],
        ),
        ("selected nodes were not calibrated", selected, calibration),
        ("calibrated nodes were not selected", calibration, selected),
        ("nodes of the repeats were not selected", tables["repeats"]["node"], selected),
        ("nodes of the specificity table were not selected", specific, selected),
        ("selected nodes have no specificity", selected, specific),
    )
    for what, first, second in links:
        lost = _only_in(first, second)
        if lost:
            raise ContractError(
                f"{len(lost)} {what}",
                got=f"{lost[:5]}{' ...' if len(lost) > 5 else ''}",
                mend="re-run the rules from select_nodes on: these tables come from different selections",
            )
    ranks = tables["selected_nodes"].merge(tables["seqlet_manifest"], on="node", suffixes=("", "_manifest"))
    wrong = ranks.loc[ranks["rank"] != ranks["rank_manifest"], "node"].tolist()
    if wrong:
        raise ContractError(
            f"{len(wrong)} nodes have another rank in the seqlet manifest than in the selection",
            got=wrong[:5],
            mend="re-run write_seqlets",
        )


def best_motifs(motifs: pd.DataFrame) -> pd.DataFrame:
    """The best motif of each node: lowest log10_e; ties: more sites, then the lower motif number.

    Args:
        motifs: rows of motifs.tsv.

    Returns:
        one row per node that has a motif, columns node, n_motifs, n_significant_motifs and those of the
        best motif.
    """
    # where nothing was held out, E is the tool's own
    e_value = motifs["e_value"].fillna(motifs["tool_e_value"])
    motifs = motifs.assign(log10_e=log10_e(motifs), e_value=e_value)
    order = motifs.sort_values(
        ["node", "log10_e", "n_sites", "motif"], ascending=[True, True, False, True], na_position="last"
    )
    best = order.drop_duplicates("node")[["node", *_MOTIF]].rename(columns=_MOTIF)
    significant = motifs["significant"].astype(bool)
    counts = pd.DataFrame(
        {
            "n_motifs": motifs.groupby("node").size(),
            "n_significant_motifs": significant.groupby(motifs["node"]).sum(),
        }
    )
    return best.merge(counts.rename_axis("node").reset_index(), on="node")


def best_matches(matches: pd.DataFrame, motifs: pd.DataFrame) -> pd.DataFrame:
    """The best match of each node: one that names it, then of a significant motif, significant, lowest p.

    A match is significant on its own motif's q, so that a node with two significant motifs may have
    its lowest p in the motif whose q is not; the order makes sure that every named node shows a match
    that names it. Ties go by target id, then motif id.

    Returns:
        one row per node that has a match, columns node, n_naming_matches (pairs of a motif and a target that
        name the node, see ``naming``) and those of the best match.
    """
    about = motifs.set_index("motif_id")
    table = matches.assign(
        names=naming_pairs(motifs, matches),
        motif_significant=matches["query"].map(about["significant"].astype(bool)).astype("boolean"),
        node=matches["query"].map(about["node"]).astype("Int64"),
    )
    order = table.sort_values(
        ["node", "names", "motif_significant", "significant", "p_value", "target", "query"],
        ascending=[True, False, False, False, True, True, True],
    )
    best = order.drop_duplicates("node")[["node", *_MATCH]].rename(columns=_MATCH)
    counts = table["names"].groupby(table["node"]).sum().rename("n_naming_matches")
    return best.merge(counts.reset_index(), on="node")


def _joined(table: pd.DataFrame, other: pd.DataFrame | None, names: list[str], what: str) -> pd.DataFrame:
    """``table`` with columns of a table that holds each of its nodes; null where there is no such table."""
    if other is None:
        return table.assign(**dict.fromkeys(names, float("nan")))
    lost = _only_in(table["node"], other["node"])
    if lost:
        raise ContractError(
            f"{len(lost)} selected nodes are not in the {what} table",
            got=lost[:5],
            mend="re-run compare_seeds and compare_layers: the tables come from different dictionaries",
        )
    return table.merge(other[["node", *names]], on="node", how="left", validate="one_to_one")


def _over_runs(coactivation: pd.DataFrame | None) -> pd.DataFrame | None:
    """Mean over the runs that a node was compared with."""
    if coactivation is None:
        return None
    means = coactivation.groupby("node")[["jaccard", "null_jaccard"]].mean()
    means.columns = ["coactivation_stability", "coactivation_null"]
    return means.reset_index()


def _with_calibration(table: pd.DataFrame, calibration: pd.DataFrame, significance: float) -> pd.DataFrame:
    """Columns named and named_calibrated; the latter null where no null was run."""
    named = table["n_naming_matches"] > 0
    calibrated = ((table["match_q_null"].astype("Float64") < significance) & named).fillna(False)
    ran = calibration["motif_p_null"].notna().any()
    return table.assign(named=named, named_calibrated=calibrated if ran else pd.NA)


def _with_ablation(
    table: pd.DataFrame, ablation: pd.DataFrame | None, tracks: pd.DataFrame | None
) -> pd.DataFrame:
    """``table`` with what the ablation says; null for nodes that were not taken out."""
    if ablation is None:
        return table.assign(**dict.fromkeys(CAUSAL_COLUMNS, float("nan")))
    found = node_columns(ablation, tracks)
    if lost := _only_in(found["node"], table["node"]):
        raise ContractError(
            f"{len(lost)} nodes of the ablation were not selected", got=lost[:5], mend="re-run ablate_nodes"
        )
    return table.merge(found, on="node", how="left", validate="one_to_one")


def build_nodes(
    tables: dict[str, pd.DataFrame],
    significance: float = 0.05,
    stability: pd.DataFrame | None = None,
    coactivation: pd.DataFrame | None = None,
    ablation: pd.DataFrame | None = None,
    ablation_tracks: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """The table of kept nodes (schema ``nodes``), by rank.

    Args:
        tables: the tables that ``NODE_INPUTS`` names, by schema.
        significance: a named node is calibrated where the q_null of the match that names it is below.
        stability: rows of stability.tsv; None where the grid has one seed.
        coactivation: rows of coactivation.tsv; None where the run was compared with no other.
        ablation, ablation_tracks: rows of these tables; None where no node was taken out.

    Raises:
        ContractError: a node or motif of one table has no partner in the other, or another rank.
    """
    _check_partners(tables)
    manifest, motifs, calibration = (tables[name] for name in ("seqlet_manifest", "motifs", "calibration"))
    table = tables["selected_nodes"][_STATISTICS].merge(manifest[_SEQLETS], on="node", validate="one_to_one")
    parts = [best_motifs(motifs), best_matches(tables["matches"], motifs)]
    parts.append(calibration[["node", "motif_p_null", "motif_q_null", "motif_calibrated"]])
    parts += [strongest_classes(tables["repeats"]), tables["specificity"][_SPECIFICITY]]
    for other in parts:
        table = table.merge(other, on="node", how="left", validate="one_to_one")
    for name in ("n_motifs", "n_significant_motifs", "n_naming_matches"):
        table[name] = table[name].fillna(0).astype("int64")
    table = _with_calibration(table, calibration, significance)
    clusters = tables["motif_clusters"].set_index("motif_id")["cluster"]
    table["motif_cluster"] = table["best_motif_id"].map(clusters)
    table["explained_by"] = explain(table, table["label"])
    table = _joined(table, stability, ["stability", "found_again"], "stability")
    names = ["coactivation_stability", "coactivation_null"]
    table = _joined(table, _over_runs(coactivation), names, "coactivation")
    table = _with_ablation(table, ablation, ablation_tracks)
    return conform(table.sort_values("rank").reset_index(drop=True), "nodes")
