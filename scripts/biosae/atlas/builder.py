"""Read what a run left behind into one object that the page is drawn from. Nothing is computed here."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pandas as pd

from biosae.artefacts import read_table
from biosae.errors import ContractError
from biosae.motifs.formats import node_name, read_meme
from biosae.summary import load_evaluation, load_json, load_recovery

DOWNLOADS = (  # files of a run that the page links to where they are there: path, what it is
    ("nodes.tsv", "this table, every column"),
    ("motifs.tsv", "all motifs"),
    ("motifs.meme", "all motifs as matrices, MEME text format"),
    ("matches.tsv", "all reported database matches"),
    ("seqlets/seqlets.bed.gz", "windows of all kept nodes"),
    ("seqlets/background.fa", "matched background windows"),
    ("seqlets/manifest.tsv", "windows written and dropped per node"),
    ("selected_nodes.tsv", "kept nodes with their statistics"),
    ("node_stats.tsv", "statistics of every node, kept or not"),
    ("top_activations.parquet", "strongest positions of every node"),
    ("umap.tsv", "node embeddings and clusters"),
    ("jaccard.tsv", "nodes that share loci"),
    ("overlaps.tsv", "annotation overlaps"),
    ("repeats.tsv", "soft-masked sequence and classes of repeats"),
    ("specificity.tsv", "how specific nodes are for their motifs, and their strands"),
    ("stability.tsv", "nodes found again by other seeds, by direction"),
    ("coactivation.tsv", "nodes found again by other runs, by where they fire"),
    ("training_curve.tsv", "training curve"),
    ("evaluation.json", "evaluation figures"),
    ("recovery.json", "score against the planted truth"),
)
READ = (  # what a page is made from; the last two where they are there
    "nodes.tsv",
    "motifs.meme",
    "umap.tsv",
    "training_curve.tsv",
    "evaluation.json",
    "checkpoint/config.json",
    "overlaps.tsv",
    "recovery.json",
)
NODE_FOLDERS = ("seqlets", "meme", "tomtom")  # hold one file or folder per node, linked where they are there


@dataclass(frozen=True)
class RunData:
    """Everything that the page of one run shows; file paths are relative to the page's folder."""

    layer: str
    run: str
    nodes: pd.DataFrame
    matrices: dict[str, np.ndarray]
    umap: pd.DataFrame
    curve: pd.DataFrame
    overlaps: pd.DataFrame | None
    evaluation: dict
    config: dict
    recovery: dict | None
    made_by: dict
    downloads: list[tuple[str, str, str]]  # link, name, what it is
    node_folders: dict[str, str]  # name of the folder -> link


def _link(target: Path, page: Path) -> str:
    """Relative, percent-encoded link from the page to a file."""
    return quote(os.path.relpath(target.resolve(), page.parent.resolve()))


def _best_matrices(path: Path, wanted: pd.Series) -> dict[str, np.ndarray]:
    """Matrices (w, 4) of the motifs that are shown, by motif id.

    Raises:
        ContractError: a motif of nodes.tsv is not in the MEME file.
    """
    matrices = {motif.id: motif.matrix for motif in read_meme(path)}
    wanted_ids = wanted.dropna().tolist()
    missing = [name for name in wanted_ids if name not in matrices]
    if missing:
        raise ContractError(
            f"{len(missing)} of {len(wanted_ids)} best motifs of nodes.tsv are not in the motif file",
            got=missing[:5],
            where=path,
            mend="re-run summarise_nodes",
        )
    return {name: matrices[name] for name in wanted_ids}


def _check_same_nodes(nodes: pd.DataFrame, umap: pd.DataFrame, path: Path) -> None:
    if set(nodes["node"]) != set(umap["node"]):
        raise ContractError(
            "The embedding and nodes.tsv hold different nodes",
            got=f"{len(umap)} nodes",
            expected=f"{len(nodes)} nodes",
            where=path,
            mend="re-run embed_nodes",
        )


def load_run(run: Path, page: Path) -> RunData:
    """Read a run's folder.

    Args:
        run: folder results/{layer}/{run}. Needed in it: nodes.tsv, motifs.meme, umap.tsv, training_curve.tsv,
            evaluation.json, checkpoint/config.json. Shown where they are there: overlaps.tsv, recovery.json.
        page: where the page will be written; links are relative to its folder.

    Raises:
        InputError: a needed file is missing or unreadable.
        ContractError: tables that do not belong together.
    """
    nodes = read_table(run / "nodes.tsv", "nodes")
    umap = read_table(run / "umap.tsv", "umap")
    _check_same_nodes(nodes, umap, run / "umap.tsv")
    overlaps, made_by = run / "overlaps.tsv", run / "nodes.tsv.json"
    full = run.resolve()
    return RunData(
        layer=full.parent.name,
        run=full.name,
        nodes=nodes,
        matrices=_best_matrices(run / "motifs.meme", nodes["best_motif_id"]),
        umap=umap,
        curve=read_table(run / "training_curve.tsv", "training_curve"),
        overlaps=read_table(overlaps, "overlaps") if overlaps.exists() else None,
        evaluation=load_evaluation(run),
        config=load_json(run / "checkpoint" / "config.json"),
        recovery=load_recovery(run),
        made_by=load_json(made_by) if made_by.exists() else {},
        downloads=[(_link(run / n, page), n, what) for n, what in DOWNLOADS if (run / n).exists()],
        node_folders={n: _link(run / n, page) for n in NODE_FOLDERS if (run / n).is_dir()},
    )


def node_links(data: RunData, rank: int, node: int) -> list[tuple[str, str]]:
    """(link, label) of the files of one node."""
    name = node_name(rank, node)
    files = (
        ("seqlets", f"{name}.fa", "FASTA"),
        ("meme", f"{name}/meme.txt", "MEME"),
        ("tomtom", f"{name}/tomtom.tsv", "TomTom"),
    )
    return [(f"{data.node_folders[k]}/{file}", label) for k, file, label in files if k in data.node_folders]
