"""Which node has a seqlet at which locus: the sparse matrix behind Jaccard and co-activation.

A locus is a bin of the genome as wide as a seqlet; a seqlet belongs to the bin of its centre. So
two seqlets that share a locus overlap, and the seqlets of one node, which never overlap, have a
locus each: a node has as many loci as seqlets. Overlapping windows merged over all nodes would
be the other choice, but they chain: with thousands of nodes one locus would be a kilobase. The
price of bins is that windows which overlap across a border of bins are not counted as shared
(shifted by d of w bp: a share d/w of them).

Coordinates are 0-based, half-open.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse

from biosae.artefacts import read_table
from biosae.errors import ContractError, InputError

_BED_COLUMNS = ["chrom", "start", "end", "name"]


def read_nodes(run: Path) -> pd.DataFrame:
    """Rank and node of the kept nodes, by rank, from ``RUN/seqlets/manifest.tsv``."""
    manifest = read_table(run / "seqlets" / "manifest.tsv", "seqlet_manifest")
    return manifest[["rank", "node"]].astype("int64").sort_values("rank", ignore_index=True)


def read_seqlets(run: Path, nodes: pd.DataFrame) -> pd.DataFrame:
    """All seqlets of a run.

    Args:
        run: folder of the run, with ``seqlets/seqlets.bed.gz``.
        nodes: what ``read_nodes`` returned.

    Returns:
        DataFrame chrom, start, end, row; ``row`` counts rows of ``nodes``.

    Raises:
        InputError: the BED is missing or not one that write_seqlets wrote.
        ContractError: it holds a node that is not in ``nodes``.
    """
    path = run / "seqlets" / "seqlets.bed.gz"
    try:
        options = {"usecols": range(4), "names": _BED_COLUMNS, "dtype": {"chrom": str}}
        table = pd.read_csv(path, sep="\t", header=None, quoting=csv.QUOTE_NONE, **options)
        table = table.astype({"start": "int64", "end": "int64"})
    except pd.errors.EmptyDataError:
        table = pd.DataFrame({"chrom": [], "start": [], "end": [], "name": []})
        table = table.astype({"chrom": "str", "start": "int64", "end": "int64", "name": "str"})
    except (OSError, ValueError) as error:
        raise InputError(
            "Cannot read the seqlets of the run", got=error, where=path, mend="run write_seqlets.py again"
        ) from error
    names = [f"{rank}_n{node}" for rank, node in zip(nodes["rank"], nodes["node"], strict=True)]
    row = pd.Index(names).get_indexer(table["name"])
    if (row < 0).any():
        raise ContractError(
            "The seqlets are of other nodes than the manifest lists",
            got=table["name"][row < 0].iloc[0],
            where=path,
            mend="run write_seqlets.py again",
        )
    return table[["chrom", "start", "end"]].assign(row=row)


def seqlet_width(seqlets: pd.DataFrame) -> int | None:
    """Width of all seqlets of a run in bp; None where there is none.

    Raises:
        ContractError: the seqlets differ in width.
    """
    widths = np.unique(seqlets["end"] - seqlets["start"])
    if len(widths) > 1:
        raise ContractError(
            "The seqlets of a run differ in width", got=widths[:5].tolist(), expected="one width"
        )
    return int(widths[0]) if len(widths) else None


def incidence(seqlets: pd.DataFrame, n_nodes: int, bin_bp: int | None = None) -> sparse.csr_array:
    """Node x locus matrix of zeros and ones, (n_nodes, n_loci) int32; loci without a seqlet are left out.

    Args:
        seqlets: chrom, start, end, row (node row in [0, n_nodes)).
        bin_bp: width of a locus; None for that of the seqlets, which must then be one.

    Raises:
        ContractError: bin_bp is None and the seqlets differ in width.
    """
    bin_bp = seqlet_width(seqlets) if bin_bp is None else bin_bp
    if not len(seqlets):
        return sparse.csr_array((n_nodes, 0), dtype=np.int32)
    codes, _ = pd.factorize(seqlets["chrom"])
    start = seqlets["start"].to_numpy()
    bins = (start + (seqlets["end"].to_numpy() - start) // 2) // bin_bp
    cell = codes.astype(np.int64) * (bins.max() + 1) + bins
    loci, locus = np.unique(cell, return_inverse=True)
    pairs = np.unique(np.stack([seqlets["row"].to_numpy(np.int64), locus]), axis=1)
    ones = np.ones(pairs.shape[1], dtype=np.int32)
    return sparse.csr_array((ones, (pairs[0], pairs[1])), shape=(n_nodes, len(loci)))
