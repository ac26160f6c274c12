"""The two tables that readers start from: one row per kept node, and one row per run.

Both only join what earlier stages wrote and choose the best motif and match of a node; nothing is
computed anew. A record that has no partner in the table it belongs to is a broken contract, never
dropped.
"""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from biosae.artefacts import conform, load_schema, read_table
from biosae.errors import ContractError, InputError

RECOVERY = (
    "motif_recall",
    "motif_precision",
    "assignment_f1",
    "position_error_bp",
    "n_planted_motifs",
    "n_detectors",
)
EVALUATION = ("kind", "n_nodes", "channels", "k", "fvu", "l0", "dead_fraction")
NODE_INPUTS = {  # file in the run folder -> its schema
    "selected_nodes.tsv": "selected_nodes",
    "seqlets/manifest.tsv": "seqlet_manifest",
    "motifs.tsv": "motifs",
    "matches.tsv": "matches",
}
_PRINTED = {  # column of summary.tsv -> heading on a terminal
    "run": "run",
    "motif_recall": "motif recall",
    "motif_precision": "motif precision",
    "assignment_f1": "assignment F1",
    "position_error_bp": "position error (bp)",
    "fvu": "FVU",
    "l0": "L0",
    "dead_fraction": "dead",
    "kept_nodes": "kept nodes",
    "nodes_with_significant_motif": "with motif",
    "nodes_named": "named",
    "distinct_targets": "targets",
}
_STATISTICS = ["rank", "node", "num_nonzero", "mean_act", "max_act", "density", "n_sequences"]
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
}


def _only_in(first: pd.Series, second: pd.Series) -> list:
    return sorted(set(first.tolist()) - set(second.tolist()))


def _check_partners(
    selected: pd.DataFrame, manifest: pd.DataFrame, motifs: pd.DataFrame, matches: pd.DataFrame
):
    """Raise ContractError unless the four tables speak of the same nodes and motifs."""
    links = (
        ("selected nodes have no row in the seqlet manifest", selected["node"], manifest["node"]),
        ("nodes of the seqlet manifest were not selected", manifest["node"], selected["node"]),
        ("nodes with motifs were not selected", motifs["node"], selected["node"]),
        ("queries of the matches are not in the motif table", matches["query"], motifs["motif_id"]),
    )
    for what, first, second in links:
        lost = _only_in(first, second)
        if lost:
            raise ContractError(
                f"{len(lost)} {what}",
                got=f"{lost[:5]}{' ...' if len(lost) > 5 else ''}",
                mend="re-run the rules from select_nodes on: these tables come from different selections",
            )
    ranks = selected.merge(manifest, on="node", suffixes=("", "_manifest"))
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
    """The best match of each node: of a significant motif first, significant first, then lowest p.

    A match is significant on its own motif's q, so that a node with two significant motifs may have
    its lowest p in the motif whose q is not; the order makes sure that every named node shows a match
    that names it. Ties go by target id, then motif id.

    Returns:
        one row per node that has a match, columns node, n_significant_matches (pairs of a significant
        motif and a target) and those of the best match.
    """
    about = motifs.set_index("motif_id")
    table = matches.assign(
        motif_significant=matches["query"].map(about["significant"].astype(bool)).astype("boolean"),
        node=matches["query"].map(about["node"]).astype("Int64"),
    )
    order = table.sort_values(
        ["node", "motif_significant", "significant", "p_value", "target", "query"],
        ascending=[True, False, False, True, True, True],
    )
    best = order.drop_duplicates("node")[["node", *_MATCH]].rename(columns=_MATCH)
    named = table["motif_significant"].astype(bool) & table["significant"].astype(bool)
    counts = named.groupby(table["node"]).sum().rename("n_significant_matches")
    return best.merge(counts.reset_index(), on="node")


def build_nodes(
    selected: pd.DataFrame, manifest: pd.DataFrame, motifs: pd.DataFrame, matches: pd.DataFrame
) -> pd.DataFrame:
    """The table of kept nodes (schema ``nodes``), by rank.

    Args:
        selected: rows of selected_nodes.tsv.
        manifest: rows of seqlets/manifest.tsv.
        motifs: rows of motifs.tsv.
        matches: rows of matches.tsv.

    Raises:
        ContractError: a node or motif of one table has no partner in the other, or another rank.
    """
    _check_partners(selected, manifest, motifs, matches)
    table = selected[_STATISTICS].merge(manifest[_SEQLETS], on="node", validate="one_to_one")
    table = table.merge(best_motifs(motifs), on="node", how="left", validate="one_to_one")
    table = table.merge(best_matches(matches, motifs), on="node", how="left", validate="one_to_one")
    for name in ("n_motifs", "n_significant_motifs", "n_significant_matches"):
        table[name] = table[name].fillna(0).astype("int64")
    table["named"] = table["n_significant_matches"] > 0
    return conform(table.sort_values("rank").reset_index(drop=True), "nodes")


def load_json(path: Path) -> dict:
    """A JSON object; InputError where it is missing or no object."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InputError(
            "Cannot read a JSON file", got=error, where=path, mend="re-run the rule that writes it"
        ) from error
    if not isinstance(content, dict):
        raise InputError("A JSON file holds no object", got=type(content).__name__, where=path)
    return content


def required(content: dict, keys: tuple[str, ...], where: Path) -> dict:
    """The values of ``keys``; ContractError that names all the missing ones."""
    missing = [key for key in keys if key not in content]
    if missing:
        raise ContractError("A JSON file lacks keys", got=sorted(content), expected=missing, where=where)
    return {key: content[key] for key in keys}


def load_recovery(run: Path) -> dict | None:
    """The six figures of recovery.json, or None where the run has none (the truth is not known)."""
    path = run / "recovery.json"
    return required(load_json(path), RECOVERY, path) if path.exists() else None


def load_evaluation(run: Path) -> dict:
    """The figures of evaluation.json that the summary and the page show."""
    path = run / "evaluation.json"
    return required(load_json(path), EVALUATION, path)


def count_nodes(nodes: pd.DataFrame) -> dict[str, int]:
    """Counts over the kept nodes of a run, as columns of the schema ``summary``."""
    named = nodes["named"].astype(bool)
    return {
        "kept_nodes": len(nodes),
        "nodes_with_significant_motif": int((nodes["n_significant_motifs"] > 0).sum()),
        "nodes_named": int(named.sum()),
        "distinct_targets": int(nodes.loc[named, "best_match"].nunique()),
    }


def build_summary(runs: list[Path]) -> pd.DataFrame:
    """One row per run folder (schema ``summary``), in the order given.

    Layer and run are the names of the folder and of the one above it (results/{layer}/{run}).

    Raises:
        InputError, ContractError: a run lacks nodes.tsv or evaluation.json, or they do not fit.
    """
    rows = []
    for run in runs:
        full = run.resolve()
        rows.append(
            {
                "layer": full.parent.name,
                "run": full.name,
                **load_evaluation(run),
                **count_nodes(read_table(run / "nodes.tsv", "nodes")),
                **(load_recovery(run) or {}),
            }
        )
    columns = list(load_schema("summary")["properties"])
    return pd.DataFrame(rows).reindex(columns=columns)


def format_scores(summary: pd.DataFrame) -> str:
    """The summary as aligned text, one line per run; columns that no run has are left out.

    Args:
        summary: rows of summary.tsv.
    """
    shown = {column: title for column, title in _PRINTED.items() if summary[column].notna().any()}
    lines = [list(shown.values())]
    for row in summary[list(shown)].itertuples(index=False):
        lines.append([_plain(value) for value in row])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    aligned = (
        [
            cell.ljust(w) if i == 0 else cell.rjust(w)
            for i, (cell, w) in enumerate(zip(line, widths, strict=True))
        ]
        for line in lines
    )
    return "\n".join("  ".join(line).rstrip() for line in aligned)


def _plain(value: object) -> str:
    if pd.isna(value):
        return "-"
    if not isinstance(value, float):
        return str(value)
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"
