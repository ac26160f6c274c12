"""From top activations to seqlets: the genomic windows that a node reads where it is strongest.

A seqlet is the receptive field of one top activation, cut from the genome with the case (soft
mask) kept. Per node, in this order: windows that reach over an end of their chromosome are
dropped, then windows with a letter other than A, C, G, T; of overlapping windows only the
strongest stays (neighbouring positions of one site are not independent sequences: entered as
such, they make motifs "significant" in random DNA); the strongest ``per_node`` of the rest are
written. Every drop is counted, per node.

All coordinates are 0-based, half-open, on the forward strand. Floor: each chromosome is read
twice; memory is the records of the selected nodes, one chromosome and the kept windows.
"""

from __future__ import annotations

import csv
import logging
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from biosae.artefacts import write_json, write_table, write_text
from biosae.cli import progress
from biosae.errors import ConfigError, ContractError
from biosae.genome import Genome, cut_windows, letter_counts
from biosae.geometry import Layer

log = logging.getLogger(__name__)

TOP_COLUMNS = ["node", "rank", "activation", "chrom", "start", "end", "strand"]  # what collect_seqlets reads
_FASTA_NAME = re.compile(r"\d+_n\d+\.fa")
TABLE_COLUMNS = ["rank", "node", "seqlet_rank", "activation", "chrom", "start", "end"]  # what it returns
# what becomes of a record: every one meets exactly one of these fates
FATES = ("n_seqlets", "dropped_off_chromosome", "dropped_n", "dropped_overlap", "dropped_over_limit")
_KEPT, _OFF_CHROMOSOME, _OTHER_LETTER, _OVERLAP, _OVER_LIMIT = range(len(FATES))


def keep_strongest(chrom: np.ndarray, start: np.ndarray, window_bp: int) -> np.ndarray:
    """Greedy suppression of overlaps among the windows of one node.

    Args:
        chrom: chromosome codes, (n,) int, 0 or more.
        start: window starts, (n,) int, 0 or more; strongest window first.
        window_bp: width of all windows.

    Returns:
        (n,) bool: windows that overlap no kept stronger window. Touching windows do not overlap.

    Kept starts are at least window_bp apart, so a bin of that width holds one at most, and a new
    window can only overlap those kept in its own bin and in the bins beside it.
    """
    bins_per_chrom = int(start.max(initial=0)) // window_bp + 3
    cells = (chrom.astype(np.int64) * bins_per_chrom + start // window_bp).tolist()
    never = -2 * window_bp
    taken: dict[int, int] = {}
    keep = np.zeros(len(start), dtype=bool)
    for row, (cell, at) in enumerate(zip(cells, start.tolist(), strict=True)):
        if (
            cell not in taken
            and at - taken.get(cell - 1, never) >= window_bp
            and taken.get(cell + 1, at + window_bp) - at >= window_bp
        ):
            taken[cell] = at
            keep[row] = True
    return keep


@dataclass(frozen=True)
class Seqlets:
    """The seqlets of a run.

    Attributes:
        table: rank, node, seqlet_rank (1 = strongest of its node), activation, chrom, start, end;
            ordered by rank, then seqlet_rank.
        letters: (n, window_bp) uint8 ASCII codes, row by row of ``table``.
        manifest: one row per selected node, see ``seqlet_manifest.schema.yaml``.
    """

    table: pd.DataFrame
    letters: np.ndarray
    manifest: pd.DataFrame


def collect_seqlets(
    top: pd.DataFrame,
    selected: pd.DataFrame,
    layer: Layer,
    genome: Genome,
    *,
    per_node: int = 1000,
    window_bp: int | None = None,
) -> Seqlets:
    """Cut the seqlets of the selected nodes.

    Args:
        top: top activations with ``TOP_COLUMNS``; start and end are the receptive field.
        selected: rank and node of the selected nodes.
        layer: geometry of the layer.
        genome: where the letters come from; it holds every chromosome of ``top``.
        per_node: seqlets a node at most; 1,000 as published (SAE-Borzoi, save_seqlets).
        window_bp: None for the receptive field, else a width centred on the output position.

    Raises:
        ConfigError: per_node or window_bp below 1.
        ContractError: the records do not fit the layer's geometry.
    """
    width = window_width(layer, window_bp)
    if per_node < 1:
        raise ConfigError("per_node must be 1 or more", got=per_node)
    selected = selected[["rank", "node"]].astype("int64").sort_values("rank", ignore_index=True)
    top = top[top["node"].isin(selected["node"])]
    top = top.sort_values(["node", "rank"], kind="stable", ignore_index=True)
    fate, chrom, start = _judge_alone(top, layer, genome, window_bp)
    seqlet_rank = _judge_within_node(fate, top["node"].to_numpy(), chrom, start, width, per_node)
    kept = fate == _KEPT
    table = top.loc[kept, ["node", "activation", "chrom"]].astype({"node": "int64", "activation": "float64"})
    rank = table["node"].map(selected.set_index("node")["rank"]).astype("int64")
    table = table.assign(rank=rank, seqlet_rank=seqlet_rank[kept], start=start[kept], end=start[kept] + width)
    table = table[TABLE_COLUMNS].sort_values(["rank", "seqlet_rank"], ignore_index=True)
    letters = cut_windows(table["chrom"], table["start"].to_numpy(), width, genome)
    return Seqlets(table, letters, _manifest(selected, top["node"], fate, table["node"], letters))


def window_width(layer: Layer, window_bp: int | None) -> int:
    """Width of the seqlets in bases: the receptive field, or the override; ConfigError below 1."""
    if window_bp is None:
        return layer.window_bp
    if window_bp < 1:
        raise ConfigError("window_bp must be 1 or more, or left out for the receptive field", got=window_bp)
    return window_bp


def _judge_alone(
    top: pd.DataFrame, layer: Layer, genome: Genome, window_bp: int | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fate of each record for its own sake (int8), chromosome code and window start, each (n,)."""
    wrong = (top["end"] - top["start"] != layer.window_bp) | (top["strand"] != "+")
    if wrong.any():
        raise ContractError(
            f"{int(wrong.sum())} of {len(top)} top activations do not fit layer '{layer.name}'",
            got=top.loc[wrong, ["chrom", "start", "end", "strand"]].iloc[0].tolist(),
            expected=f"windows of {layer.window_bp} bp on strand +",
            mend="re-run encode_activations",
        )
    # the origin of an output position lies left_bp after the start of its receptive field
    start, end = layer.window(top["start"].to_numpy("int64") + layer.left_bp, np.int64(0), window_bp)
    codes, names = pd.factorize(top["chrom"])
    lengths = np.array([genome.lengths[name] for name in names], dtype=np.int64)
    inside = (start >= 0) & (end <= lengths[codes])
    fate = np.where(inside, _KEPT, _OFF_CHROMOSOME).astype(np.int8)
    for code, name in enumerate(names):
        rows = np.flatnonzero(inside & (codes == code))
        others = genome.with_other_letter(name, start[rows], window_width(layer, window_bp))
        fate[rows[others]] = _OTHER_LETTER
    return fate, codes, start


def _judge_within_node(
    fate: np.ndarray, node: np.ndarray, chrom: np.ndarray, start: np.ndarray, width: int, per_node: int
) -> np.ndarray:
    """Mark overlaps and what exceeds ``per_node`` in ``fate``; returns seqlet ranks (0 where dropped)."""
    seqlet_rank = np.zeros(len(fate), dtype=np.int64)
    firsts = np.flatnonzero(np.diff(node, prepend=-1))
    bounds = [*firsts.tolist(), len(fate)]
    for i in progress(range(len(firsts)), what="overlaps", unit="node"):
        good = bounds[i] + np.flatnonzero(fate[bounds[i] : bounds[i + 1]] == _KEPT)
        apart = keep_strongest(chrom[good], start[good], width)
        fate[good[~apart]] = _OVERLAP
        kept, too_many = np.split(good[apart], [per_node])
        fate[too_many] = _OVER_LIMIT
        seqlet_rank[kept] = np.arange(1, len(kept) + 1)
    return seqlet_rank


def _manifest(
    selected: pd.DataFrame, node: pd.Series, fate: np.ndarray, kept_node: pd.Series, letters: np.ndarray
) -> pd.DataFrame:
    place = pd.Index(selected["node"]).get_indexer(node)
    counts = np.bincount(place * len(FATES) + fate, minlength=len(selected) * len(FATES))
    counts = counts.reshape(len(selected), len(FATES))
    table = selected.copy()
    table["file"] = [f"{rank}_n{node}.fa" for rank, node in zip(table["rank"], table["node"], strict=True)]
    table["n_seqlets"] = counts[:, _KEPT]
    table["n_top"] = counts.sum(axis=1)
    for fate, name in enumerate(FATES):
        table[name] = counts[:, fate]
    gc, lower = letter_counts(letters)
    sums = pd.DataFrame({"gc": gc, "lower": lower}).groupby(kept_node.to_numpy()).sum()
    n_bases = table["n_seqlets"].where(table["n_seqlets"] > 0) * letters.shape[1]
    table["gc_share"] = (table["node"].map(sums["gc"]) / n_bases).astype("float64")
    table["repeat_share"] = (table["node"].map(sums["lower"]) / n_bases).astype("float64")
    return table


def clear_folder(folder: Path) -> None:
    """Delete the manifest and node FASTA files of an earlier run: its nodes may no longer be selected."""
    if not folder.is_dir():
        return
    (folder / "manifest.tsv").unlink(missing_ok=True)
    stale = [path for path in folder.iterdir() if _FASTA_NAME.fullmatch(path.name)]
    for path in stale:
        path.unlink()
    if stale:
        log.info("%d node FASTA files of an earlier run were deleted", len(stale))


def write_seqlets(seqlets: Seqlets, folder: Path, made_by: dict) -> None:
    """Write the node FASTA files, ``seqlets.bed.gz`` and, last, ``manifest.tsv`` into ``folder``."""
    table = seqlets.table
    codes, chroms = pd.factorize(table["chrom"])
    columns = [codes, *(table[name].to_numpy() for name in ("start", "end", "seqlet_rank", "activation"))]
    first = 0
    rows = seqlets.manifest[["rank", "node", "file", "n_seqlets"]].itertuples(index=False)
    for _, node, name, n_seqlets in progress(rows, what="FASTA", total=len(seqlets.manifest), unit="node"):
        own = slice(
            first, first + n_seqlets
        )  # as Python objects, all rows of 20,000 nodes would take gigabytes
        records = zip(*(column[own].tolist() for column in columns), seqlets.letters[own], strict=True)
        lines = [
            f">{chroms[code]}:{start}-{end}(+) node={node} rank={seqlet_rank} act={activation:.4g}\n"
            f"{letters.tobytes().decode('ascii')}\n"
            for code, start, end, seqlet_rank, activation, letters in records
        ]
        write_text(folder / name, "".join(lines))
        first += n_seqlets
    write_json(folder / "seqlets.bed.gz.json", made_by)
    write_text(folder / "seqlets.bed.gz", bed_text(table))
    write_table(seqlets.manifest, folder / "manifest.tsv", "seqlet_manifest", made_by)
    log_counts(seqlets.manifest)


def bed_table(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of ``seqlets.bed.gz``, sorted by position, then rank.

    BED6 (chrom, start, end, name ``{rank}_n{node}``, score, strand), then activation and seqlet
    rank. Score: activation over the highest of the node's seqlets, times 1,000.
    """
    table = table.sort_values(["chrom", "start", "end", "rank"], kind="stable", ignore_index=True)
    strongest = table.groupby("node")["activation"].transform("max")
    pairs = table[["rank", "node"]].drop_duplicates()
    names = {node: f"{rank}_n{node}" for rank, node in pairs.itertuples(index=False)}
    return pd.DataFrame(
        {
            "chrom": table["chrom"],
            "start": table["start"],
            "end": table["end"],
            "name": table["node"].map(names),
            "score": (1000 * table["activation"] / strongest).round().astype("int64"),
            "strand": "+",
            "activation": table["activation"].map("{:.6g}".format),
            "seqlet_rank": table["seqlet_rank"],
        }
    )


def bed_text(table: pd.DataFrame) -> str:
    """``bed_table`` as text; BED knows no quotes, so a chromosome's name stands as it is."""
    return bed_table(table).to_csv(sep="\t", index=False, header=False, quoting=csv.QUOTE_NONE)


def log_counts(manifest: pd.DataFrame) -> None:
    """Say what was kept and dropped over all nodes."""
    if manifest.empty:
        log.warning("No node was selected: the seqlet table, BED and background are empty")
        return
    totals = manifest[["n_top", *FATES]].sum()
    log.info("%d nodes: %s", len(manifest), ", ".join(f"{name} {totals[name]}" for name in totals.index))
    if bare := manifest.loc[manifest["n_seqlets"] == 0, "file"].tolist():
        log.warning("%d selected nodes kept no seqlet: %s", len(bare), ", ".join(bare[:5]))
