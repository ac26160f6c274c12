"""One row per run, baselines beside the runs they belong to: counts of nodes, figures of the dictionary."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from biosae.artefacts import load_schema, read_table
from biosae.errors import ContractError, InputError
from biosae.node_stability import summarise_stability

RECOVERY = (
    "motif_recall",
    "motif_precision",
    "assignment_f1",
    "position_error_bp",
    "n_planted_motifs",
    "n_detectors",
)
EVALUATION = ("kind", "n_nodes", "channels", "k", "fvu", "l0", "dead_fraction")
QUALITY = ("fvu_without_layer_norm", "fvu_channel_mean")  # of evaluation.json too, in the summary only
_PRINTED = {  # column of summary.tsv -> heading on a terminal
    "run": "run",
    "motif_recall": "motif recall",
    "motif_precision": "motif precision",
    "assignment_f1": "assignment F1",
    "position_error_bp": "position error (bp)",
    "fvu": "FVU",
    "l0": "L0",
    "dead_fraction": "dead",
    "stability": "seed cosine",
    "null_stability": "(chance)",
    "found_again": "found again",
    "null_found_again": "(chance)",
    "kept_nodes": "kept nodes",
    "nodes_with_significant_motif": "with motif",
    "null_with_significant_motif": "(null)",
    "nodes_named": "named",
    "null_named": "(null)",
    "nodes_named_calibrated": "calibrated",
    "distinct_targets": "targets",
}


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


def load_evaluation(run: Path, keys: tuple[str, ...] = EVALUATION) -> dict:
    """Figures of evaluation.json; by default those that the page shows."""
    path = run / "evaluation.json"
    return required(load_json(path), keys, path)


def count_nodes(nodes: pd.DataFrame) -> dict[str, int | None]:
    """Counts over the kept nodes of a run, as columns of the schema ``summary``."""
    named = nodes["named"].astype(bool)
    return {
        "kept_nodes": len(nodes),
        "nodes_with_significant_motif": int((nodes["n_significant_motifs"] > 0).sum()),
        "nodes_motif_calibrated": _count(nodes["motif_calibrated"]),
        "nodes_named": int(named.sum()),
        "nodes_named_calibrated": _count(nodes["named_calibrated"]),
        "distinct_targets": int(nodes.loc[named, "best_match"].nunique()),
        "distinct_clusters": int(nodes["motif_cluster"].nunique()),
    }


def _count(flags: pd.Series) -> int | None:
    """How many hold; None where the run has no null."""
    return None if len(flags) and flags.isna().all() else int(flags.sum())


def count_nulls(counts: pd.DataFrame) -> dict[str, float]:
    """Nodes that the nulls would have passed by filter of ``null_counts``; the largest over the kinds."""
    largest = counts.groupby("filter")["null_expected"].max()
    names = {"motif": "null_with_significant_motif", "named": "null_named"}
    return {name: float(largest[key]) for key, name in names.items() if key in largest}


def build_summary(runs: list[Path], stability: list[Path] | None = None) -> pd.DataFrame:
    """One row per run folder (schema ``summary``), in the order given.

    Layer and run are the names of the folder and of the one above it (results/{layer}/{run}).

    Args:
        runs: run folders.
        stability: stability.tsv of those runs that were compared with other seeds.

    Raises:
        InputError, ContractError: a run lacks nodes.tsv or evaluation.json, or they do not fit; a
            stability table lies in none of the runs.
    """
    compared = {path.resolve().parent: path for path in stability or []}
    strangers = sorted(
        str(path) for folder, path in compared.items() if folder not in {r.resolve() for r in runs}
    )
    if strangers:
        raise InputError("A stability table lies in none of the run folders", got=strangers)
    rows = []
    for run in runs:
        full = run.resolve()
        rows.append(
            {
                "layer": full.parent.name,
                "run": full.name,
                **load_evaluation(run, EVALUATION + QUALITY),
                **count_nodes(read_table(run / "nodes.tsv", "nodes")),
                **count_nulls(read_table(run / "null_counts.tsv", "null_counts")),
                **(load_recovery(run) or {}),
                **(summarise_stability(read_table(compared[full], "stability")) if full in compared else {}),
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
