"""Read a run's artefacts, encode the store again, and score both against the planted truth (see ``scoring``).

Cost: one pass over the store (as in encoding) and one TomTom call.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix

from biosae.activations import ActivationStore
from biosae.artefacts import load_schema, read_table, write_json, write_table
from biosae.checkpoint import load_checkpoint
from biosae.cli import progress
from biosae.errors import InputError
from biosae.motifs.formats import node_name, parse_file_name, read_meme
from biosae.motifs.matching import MatchSettings, match
from biosae.synthetic import scoring

BLOCK_ROWS = 8192
SEQLET_NAMES = ["chrom", "start", "end", "name", "score", "strand", "activation", "seqlet_rank"]


def encode_all(model: object, store: ActivationStore) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All non-zero activations of a store: rows (of the stream), nodes, values, each (m,)."""
    parts = []
    for first, block in progress(store.slabs(BLOCK_ROWS), what="encode", unit="slab"):
        codes = model.encode_block(block)
        parts.append((codes.rows + first, codes.nodes, codes.values))
    return tuple(np.concatenate(columns) for columns in zip(*parts, strict=True))


def read_seqlets(path: str | Path) -> pd.DataFrame:
    """``seqlets.bed.gz`` with a ``node`` column; 0-based half-open. InputError where it cannot be read."""
    try:
        table = pd.read_csv(path, sep="\t", header=None, names=SEQLET_NAMES)
    except pd.errors.EmptyDataError:
        table = pd.DataFrame(columns=SEQLET_NAMES)
    except (OSError, ValueError) as error:
        raise InputError("Cannot read the seqlets of a run", got=error, where=path) from error
    return table.assign(node=[parse_file_name(f"{name}.fa")[1] for name in table["name"]])


def _motif_part(run: Path, truth: scoring.Truth, truth_folder: Path, kept: np.ndarray, threads: int) -> dict:
    table = read_table(run / "motifs.tsv", "motifs")
    table = table[table["significant"].astype(bool) & table["node"].isin(kept)]
    significant = table["motif_id"].tolist()
    by_id = {motif.id: motif for motif in read_meme(run / "motifs.meme")} if significant else {}
    missing = [name for name in significant if name not in by_id]
    if missing:
        raise InputError(
            "motifs.tsv and motifs.meme of a run disagree",
            got=f"{len(missing)} motifs without a matrix, first {missing[0]}",
            where=run,
            mend="re-run the rule that collects motifs",
        )
    named = {}
    if significant:
        settings = MatchSettings(significance=scoring.TOMTOM_Q, report_q=scoring.TOMTOM_Q)
        targets = read_meme(truth_folder / "targets.meme")
        matches = match(
            [by_id[name] for name in significant], targets, "batched", settings, threads, "targets.meme"
        )
        named = scoring.name_motifs(matches, truth.motifs)
    return scoring.motif_figures(significant, named, truth.motifs)


def _unknown_nodes(kept: np.ndarray, n_nodes: int, run: Path) -> None:
    if len(kept) and kept.max() >= n_nodes:
        raise InputError(
            "The selected nodes are not of this checkpoint",
            got=f"node {kept.max()}",
            expected=f"below {n_nodes}",
            where=run,
        )


def _assignment_part(
    run: Path, truth: scoring.Truth, fires: csr_matrix, store: ActivationStore, kept: np.ndarray
) -> tuple[dict, pd.DataFrame, pd.DataFrame]:
    """Figures of splitting, merging and absorption, one row per detector, and counts per sequence."""
    model = load_checkpoint(run / "checkpoint", channels=store.channels)
    _unknown_nodes(kept, model.n_nodes, run)
    codes = scoring.by_node(*encode_all(model, store))
    f1, threshold = scoring.best_f1(*codes, kept, fires)
    table = scoring.assignment_table(truth, kept, f1, threshold, scoring.assign(f1))
    shared, per_detector = scoring.split_and_merged(*codes, kept, f1, threshold, fires)
    loci = scoring.locus_counts(*codes, table, fires, store.positions)
    # numbers differ between stores, and a permuted store holds some of the sequences only
    places = [f"{one.chrom}:{one.start}-{one.end}" for one in store.intervals.itertuples()]
    loci = loci.assign(sequence=[places[number] for number in loci["sequence"]])
    errors = scoring.position_errors(
        truth, read_seqlets(run / "seqlets" / "seqlets.bed.gz"), table["node"].to_numpy()
    )
    table = table.assign(position_error_bp=errors, n_fires=np.asarray(fires.sum(axis=0)).ravel())
    return shared, table.join(per_detector), loci


def _with_names(table: pd.DataFrame, selected: pd.DataFrame) -> pd.DataFrame:
    """Node numbers as ``{rank}_n{node}``; what has no node has neither name nor threshold."""
    pairs = zip(selected["rank"], selected["node"], strict=True)
    names = {node: node_name(rank, node) for rank, node in pairs}
    named = {column: table[column].map(names).astype("string") for column in ("node", "best_node")}
    return table.assign(threshold=table["threshold"].where(np.isfinite(table["threshold"])), **named)


def score_run(
    run: str | Path, truth_folder: str | Path, activations: str | Path, pad_bp: int, threads: int = 1
) -> tuple[dict, pd.DataFrame, pd.DataFrame]:
    """Score one run.

    Args:
        run: run folder with checkpoint, selected_nodes.tsv, seqlets/, motifs.tsv and motifs.meme.
        truth_folder: ``truth`` of the simulation.
        activations: a store of the same simulation; nodes and detectors are compared on it.
        pad_bp: bp by which that store's intervals are widened on each side.
        threads: threads of TomTom.

    Returns:
        The figures of the module ``scoring`` with details, one row per scored detector (schema
        recovery_detectors), and one per detector and sequence (schema recovery_loci).
    """
    run, truth_folder = Path(run), Path(truth_folder)
    truth = scoring.load_truth(truth_folder)
    store = ActivationStore.open(activations, pad_bp=pad_bp)
    fires = scoring.truth_matrix(truth, store.intervals, store.positions)
    selected = read_table(run / "selected_nodes.tsv", "selected_nodes")
    kept = np.sort(selected["node"].to_numpy(dtype=np.int64))
    motifs = _motif_part(run, truth, truth_folder, kept, threads)
    shared, table, loci = _assignment_part(run, truth, fires, store, kept)
    table = _with_names(table, selected)
    figures = {
        **motifs,
        "assignment_f1": float(table["f1"].mean()),
        "best_f1": float(table["best_f1"].mean()),
        **scoring.found_shares(table),
        **shared,
        "position_error_bp": float(table["position_error_bp"].median()),
        "position_error_cap_bp": truth.cap_bp,
        "n_detectors": len(table),
        "n_detectors_assigned": int(table["node"].notna().sum()),
        "n_kept_nodes": len(kept),
        "f1_by_kind": {kind: float(own.mean()) for kind, own in table.groupby("kind")["f1"]},
    }
    return figures, table, loci


def write_recovery(
    figures: dict, table: pd.DataFrame, loci: pd.DataFrame, output: str | Path, made_by: dict
) -> None:
    """Write ``recovery.json`` and, beside it, ``recovery_detectors.tsv`` and ``recovery_loci.tsv``."""
    output = Path(output)
    columns = list(load_schema("recovery_detectors")["properties"])
    write_table(table[columns], output.with_name("recovery_detectors.tsv"), "recovery_detectors", made_by)
    write_table(loci, output.with_name("recovery_loci.tsv"), "recovery_loci", made_by)
    write_json(output, {**figures, "provenance": made_by})
