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
    "detectors_found",
)
EVALUATION = ("kind", "n_nodes", "channels", "k", "fvu", "l0", "dead_fraction")
# of evaluation.json too, in the summary only
QUALITY = ("fvu_without_layer_norm", "fvu_channel_mean", "density_median")


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
    """The figures of recovery.json, or None where the run has none (the truth is not known)."""
    path = run / "recovery.json"
    return required(load_json(path), RECOVERY, path) if path.exists() else None


def load_evaluation(run: Path, keys: tuple[str, ...] = EVALUATION) -> dict:
    """Figures of evaluation.json; by default those that the page shows."""
    path = run / "evaluation.json"
    return required(load_json(path), keys, path)


def load_role(run: Path) -> str:
    """``sae``, or which baseline the run is, as its checkpoint says; of an old one its kind raw says so."""
    config = load_json(run / "checkpoint" / "config.json")
    return str(config.get("role") or ("raw" if config.get("kind") == "raw" else "sae"))


def count_nodes(nodes: pd.DataFrame, null_sets: bool = True) -> dict[str, int | None]:
    """Counts over the kept nodes of a run, as columns of the schema ``summary``.

    Args:
        nodes: rows of nodes.tsv.
        null_sets: False where the run has none: nothing is calibrated then, not even none of no nodes.
    """
    named, with_motif = nodes["named"].astype(bool), nodes["n_significant_motifs"] > 0
    counts = {
        "kept_nodes": len(nodes),
        "nodes_with_significant_motif": int(with_motif.sum()),
        "nodes_motif_calibrated": _count(nodes["motif_calibrated"], with_motif),
        "nodes_named": int(named.sum()),
        "nodes_named_calibrated": _count(nodes["named_calibrated"], named),
        "distinct_targets": int(nodes.loc[named, "best_match"].nunique()),
        "distinct_targets_calibrated": _classes(nodes["best_match"], nodes["named_calibrated"]),
        "distinct_clusters": int(nodes["motif_cluster"].nunique()),
        "distinct_clusters_calibrated": _classes(nodes["motif_cluster"], nodes["motif_calibrated"]),
    }
    return {name: n if null_sets or not name.endswith("_calibrated") else None for name, n in counts.items()}


def _count(flags: pd.Series, among: pd.Series) -> int | None:
    """How many hold among the nodes that count; None where the run has no null."""
    if len(flags) and flags.isna().all():
        return None
    return int((flags.fillna(False).astype(bool) & among).sum())


def _classes(classes: pd.Series, flags: pd.Series) -> int | None:
    """Different classes of the nodes of which it holds; None where the run has no null."""
    if len(flags) and flags.isna().all():
        return None
    return int(classes[flags.fillna(False).astype(bool)].nunique())


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
        full, nulls = run.resolve(), read_table(run / "null_counts.tsv", "null_counts")
        rows.append(
            {
                "layer": full.parent.name,
                "run": full.name,
                "role": load_role(run),
                **load_evaluation(run, EVALUATION + QUALITY),
                **count_nodes(read_table(run / "nodes.tsv", "nodes"), not nulls.empty),
                **count_nulls(nulls),
                **(load_recovery(run) or {}),
                **(summarise_stability(read_table(compared[full], "stability")) if full in compared else {}),
            }
        )
    columns = list(load_schema("summary")["properties"])
    table = pd.DataFrame(rows).rename(columns={"density_median": "density"})
    return table.reindex(columns=columns)
