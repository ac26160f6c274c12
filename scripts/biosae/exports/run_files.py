"""What a run left behind that its exports are made from, read and held against each other."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from biosae.artefacts import read_table
from biosae.errors import ContractError, InputError
from biosae.finished_run import read_embedding, require_files
from biosae.motifs.fasta import node_name, read_fasta
from biosae.motifs.formats import Motif, read_meme
from biosae.motifs.packing import encode
from biosae.summary import load_json

NEEDED = (  # below the folder of the run
    "nodes.tsv",
    "umap.tsv",
    "motifs.tsv",
    "motifs.meme",
    "null_counts.tsv",
    "training_curve.tsv",
    "evaluation.json",
    "checkpoint/config.json",
    "checkpoint/model.safetensors",
    "seqlets/manifest.tsv",
    "seqlets/background.fa",
)
BED = "seqlets/seqlets.bed.gz"  # not there where the store has no coordinates
_BED_COLUMNS = ["chrom", "start", "end", "name", "score", "strand", "activation", "seqlet_rank"]
# small, since there may be 20 million: texts as categories, in alphabetical order
_BED_TYPES = {"chrom": "category", "name": "category", "strand": "category", "start": "int64", "end": "int64"}
_BED_TYPES |= {"score": "int16", "activation": "float64", "seqlet_rank": "int32"}


@dataclass(frozen=True)
class RunFiles:
    """The tables of one run that its exports hold.

    Attributes:
        folder: of the run.
        layer, run: names of the folder above it and of it.
        nodes: rows of nodes.tsv.
        umap: rows of umap.tsv, in the same order.
        curve: rows of training_curve.tsv.
        manifest: rows of seqlets/manifest.tsv, by rank.
        windows: rows of seqlets.bed.gz in its order (its eight columns), or None without coordinates.
        motif_rows: rows of motifs.tsv; motif i of ``motifs`` is row i.
        motifs: the motifs of motifs.meme.
        checkpoint: config.json of the checkpoint.
        null_sets: whether the run was held against null sets.
    """

    folder: Path
    layer: str
    run: str
    nodes: pd.DataFrame
    umap: pd.DataFrame
    curve: pd.DataFrame
    manifest: pd.DataFrame
    windows: pd.DataFrame | None
    motif_rows: pd.DataFrame
    motifs: list[Motif]
    checkpoint: dict
    null_sets: bool

    @property
    def n_seqlets(self) -> int:
        """Seqlets of all kept nodes."""
        return int(self.manifest["n_seqlets"].sum())


def load_run(folder: Path) -> RunFiles:
    """Read a run's folder results/{layer}/{run}; ``NEEDED`` and, where it is there, ``BED``.

    Raises:
        InputError: a needed file is missing or unreadable.
        ContractError: files that do not belong together.
    """
    require_files(folder, NEEDED)
    full = folder.resolve()
    nodes = read_table(folder / "nodes.tsv", "nodes")
    manifest = read_table(folder / "seqlets" / "manifest.tsv", "seqlet_manifest").sort_values("rank")
    motif_rows = read_table(folder / "motifs.tsv", "motifs")
    motifs = read_meme(folder / "motifs.meme")
    _check_motifs(motif_rows, motifs, folder)
    return RunFiles(
        folder=folder,
        layer=full.parent.name,
        run=full.name,
        nodes=nodes,
        umap=read_embedding(folder, nodes),
        curve=read_table(folder / "training_curve.tsv", "training_curve"),
        manifest=manifest.reset_index(drop=True),
        windows=_read_windows(folder, manifest),
        motif_rows=motif_rows,
        motifs=motifs,
        checkpoint=load_json(folder / "checkpoint" / "config.json"),
        null_sets=not read_table(folder / "null_counts.tsv", "null_counts").empty,
    )


def _check_motifs(rows: pd.DataFrame, motifs: list[Motif], folder: Path) -> None:
    names = [motif.id for motif in motifs]
    if rows["motif_id"].tolist() != names:
        raise ContractError(
            "motifs.meme and motifs.tsv hold different motifs",
            got=f"{len(names)} motifs, the first {names[:3]}",
            expected=f"the {len(rows)} of motifs.tsv in their order, {rows['motif_id'].tolist()[:3]} first",
            where=folder,
            mend="re-run collect_motifs",
        )


def _read_windows(folder: Path, manifest: pd.DataFrame) -> pd.DataFrame | None:
    """Rows of the BED, which must hold each node's windows once; None where there is no BED."""
    path = folder / BED
    if not path.is_file():
        return None
    try:
        options = {"names": _BED_COLUMNS, "dtype": _BED_TYPES, "quoting": csv.QUOTE_NONE}
        table = pd.read_csv(path, sep="\t", header=None, **options)
    except pd.errors.EmptyDataError:
        table = pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in _BED_TYPES.items()})
    except (OSError, ValueError) as error:
        raise InputError(
            "Cannot read the seqlets of the run", got=error, where=path, mend="re-run write_seqlets"
        ) from error
    names = [node_name(*pair) for pair in zip(manifest["rank"], manifest["node"], strict=True)]
    counted = dict(zip(names, manifest["n_seqlets"].tolist(), strict=True))
    counts = table["name"].value_counts().to_dict()
    wrong = [name for name in {*counted, *counts} if counts.get(name, 0) != counted.get(name, 0)]
    if wrong:
        first = min(wrong)
        raise ContractError(
            f"The seqlets of {len(wrong)} nodes are not as many as the manifest counts",
            got=f"{counts.get(first, 0)} of node {first}",
            expected=counted.get(first, "no such node"),
            where=path,
            mend="re-run write_seqlets",
        )
    return table[_BED_COLUMNS]


def read_codes(path: Path) -> np.ndarray:
    """Sequences of a FASTA file of one width, (n, width) uint8: A, C, G, T 0 to 3, other letters 4.

    An empty file gives (0, 0). InputError where they differ in length.
    """
    sequences = [sequence for _, sequence in read_fasta(path)]
    widths = {len(sequence) for sequence in sequences}
    if len(widths) > 1:
        raise InputError("The sequences of a FASTA file differ in length", got=sorted(widths)[:5], where=path)
    codes, offsets = encode(sequences)
    return codes[: offsets[-1]].reshape(len(sequences), max(widths, default=0))
