"""Read what a run left behind into one object that the atlas is made from. Nothing is computed here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from biosae.artefacts import read_table
from biosae.errors import ContractError
from biosae.finished_run import read_embedding, require_files
from biosae.motifs.fasta import read_fasta
from biosae.motifs.formats import Motif, read_meme
from biosae.summary import load_evaluation, load_json, load_recovery

NEEDED = (  # below the folder of the run
    "nodes.tsv",
    "umap.tsv",
    "motifs.tsv",
    "motifs.meme",
    "matches.tsv",
    "overlaps.tsv",
    "repeats.tsv",
    "node_stats.tsv",
    "null_counts.tsv",
    "training_curve.tsv",
    "evaluation.json",
    "checkpoint/config.json",
    "checkpoint/model.safetensors",
    "seqlets/manifest.tsv",
    "seqlets/seqlets.bed.gz",
    "seqlets/background.fa",
    "examples.h5",
)
SHOWN = ("recovery.json",)  # where they are there
_TABLES = {name: name for name in ("motifs", "matches", "overlaps", "repeats")}  # field -> file and schema
_TABLES |= {"statistics": "node_stats", "curve": "training_curve", "nulls": "null_counts"}
_EVALUATED = ("kind", "n_nodes", "fvu", "l0", "dead_fraction")


@dataclass(frozen=True)
class RunData:
    """Everything that the atlas of one run shows but the examples and the directions of the nodes.

    Attributes:
        folder: of the run.
        layer, run: names of the folder and of the one above it.
        nodes: rows of nodes.tsv by rank; row r of the index is row r of it.
        umap: rows of umap.tsv, in the same order.
        matrices: motif id -> (width, 4) probabilities, of motifs.meme.
        targets: the motifs of the database, in its order; ids may repeat.
        background: gc_share and repeat_share of the background windows; None without any.
        scoreboard: rows of this run; none where no scoreboard was given.
    """

    folder: Path
    layer: str
    run: str
    nodes: pd.DataFrame
    umap: pd.DataFrame
    motifs: pd.DataFrame
    matches: pd.DataFrame
    matrices: dict[str, np.ndarray]
    targets: list[Motif]
    overlaps: pd.DataFrame
    repeats: pd.DataFrame
    statistics: pd.DataFrame
    background: dict | None
    curve: pd.DataFrame
    nulls: pd.DataFrame
    scoreboard: pd.DataFrame
    evaluation: dict
    config: dict
    recovery: dict | None

    def row_of(self, nodes: pd.Series) -> np.ndarray:
        """Row of the index of each node number, (n,) int64; -1 for a node that is not kept."""
        return pd.Index(self.nodes["node"]).get_indexer(nodes)


def load_run(run: Path, database: Path, scoreboard: Path | None = None) -> RunData:
    """Read ``NEEDED`` and, where they are there, ``SHOWN`` of a run's folder results/{layer}/{run}.

    Args:
        database: the motif database that matches.tsv is of, in MEME text format.
        scoreboard: scoreboard.tsv of all runs; None where it is not to be shown.

    Raises:
        InputError: a file is missing or unreadable.
        ContractError: tables that do not belong together.
    """
    require_files(run, NEEDED)
    full = run.resolve()
    nodes = read_table(run / "nodes.tsv", "nodes").sort_values("rank", ignore_index=True)
    scores = read_table(scoreboard, "scoreboard") if scoreboard else None
    tables = {field: read_table(run / f"{name}.tsv", name) for field, name in _TABLES.items()}
    _check_nodes(run, nodes, tables)
    return RunData(
        folder=run,
        layer=full.parent.name,
        run=full.name,
        nodes=nodes,
        umap=read_embedding(run, nodes),
        **tables,
        matrices=_read_matrices(run / "motifs.meme", tables["motifs"], nodes),
        targets=read_meme(database),
        background=_read_background(run / "seqlets" / "background.fa"),
        scoreboard=_own_rows(scores, full.parent.name, full.name),
        evaluation=load_evaluation(run, _EVALUATED) | load_json(run / "evaluation.json"),
        config=load_json(run / "checkpoint" / "config.json"),
        recovery=None if load_recovery(run) is None else load_json(run / "recovery.json"),
    )


def _own_rows(scores: pd.DataFrame | None, layer: str, run: str) -> pd.DataFrame:
    if scores is None:
        return pd.DataFrame()
    return scores[(scores["layer"] == layer) & (scores["run"] == run)].reset_index(drop=True)


def _check_nodes(run: Path, nodes: pd.DataFrame, tables: dict[str, pd.DataFrame]) -> None:
    """Ranks count from 1, and no table speaks of a node that is not kept."""
    if nodes["rank"].tolist() != list(range(1, len(nodes) + 1)):
        raise ContractError(
            "The ranks of nodes.tsv do not count from 1 without a gap",
            got=nodes["rank"].head(3).tolist(),
            where=run / "nodes.tsv",
            mend="re-run summarise_nodes",
        )
    for name, column in (("motifs", "node"), ("matches", "node"), ("overlaps", "node"), ("repeats", "node")):
        strange = tables[name].loc[~tables[name][column].isin(nodes["node"]), column]
        if len(strange):
            raise ContractError(
                f"{name}.tsv holds nodes that nodes.tsv does not",
                got=strange.head(3).tolist(),
                where=run / f"{name}.tsv",
                mend="re-run the rule that writes it, then summarise_nodes",
            )
    known = nodes["node"].isin(tables["statistics"]["node_id"])
    if not known.all():
        raise ContractError(
            "node_stats.tsv lacks nodes of nodes.tsv",
            got=nodes.loc[~known, "node"].head(3).tolist(),
            where=run / "node_stats.tsv",
            mend="re-run encode_activations",
        )


def _read_matrices(path: Path, motifs: pd.DataFrame, nodes: pd.DataFrame) -> dict[str, np.ndarray]:
    """Matrices (w, 4) by motif id.

    Raises:
        ContractError: a motif of motifs.tsv or nodes.tsv is not in the MEME file.
    """
    matrices = {motif.id: motif.matrix for motif in read_meme(path)}
    for table, column in ((motifs, "motif_id"), (nodes, "best_motif_id")):
        wanted = table[column].dropna().tolist()
        missing = [name for name in wanted if name not in matrices]
        if missing:
            raise ContractError(
                f"{len(missing)} of {len(wanted)} motifs ({column}) are not in the motif file",
                got=missing[:5],
                where=path,
                mend="re-run collect_motifs and summarise_nodes",
            )
    return matrices


def _read_background(path: Path) -> dict | None:
    """Shares of G and C and of lower case (soft-masked) among all bases of the background windows."""
    letters = "".join(sequence for _, sequence in read_fasta(path))
    if not letters:
        return None
    codes = np.frombuffer(letters.encode(), np.uint8)
    return {
        "gc_share": float(np.isin(codes, np.frombuffer(b"GCgc", np.uint8)).mean()),
        "repeat_share": float((codes >= ord("a")).mean()),
    }
