"""One ``tomtom.tsv`` per node, in TomTom's columns, and the queries of a run or of one node."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from biosae.artefacts import read_table, write_parts
from biosae.errors import InputError
from biosae.motifs.fasta import remove_stale_nodes
from biosae.motifs.formats import Motif, node_name, parse_file_name, parse_motif_id, read_meme
from biosae.motifs.tables import renamed

log = logging.getLogger(__name__)

_TOMTOM_NAMES = {
    "query": "Query_ID",
    "target": "Target_ID",
    "offset": "Optimal_offset",
    "p_value": "p-value",
    "e_value": "E-value",
    "q_value": "q-value",
    "overlap": "Overlap",
    "query_consensus": "Query_consensus",
    "target_consensus": "Target_consensus",
    "orientation": "Orientation",
}


def node_of_file(path: Path) -> tuple[int, int] | None:
    """(rank, node) of a node's own ``{rank}_n{node}/meme.txt``; None for any other file."""
    try:
        return parse_file_name(path.resolve().parent.name)
    except InputError:
        return None


def read_queries(path: Path) -> list[Motif]:
    """The motifs of a MEME file, under the run's ids where the file is a node's own meme.txt.

    ``meme`` names its motifs by their consensus, which says nothing of the node and may repeat: in a folder
    ``{rank}_n{node}`` they become ``{rank}_n{node}_m1``, ``_m2``, in order.
    """
    motifs, node = read_meme(path), node_of_file(path)
    if node is None or all(parse_motif_id(motif.id)[0] is not None for motif in motifs):
        return motifs
    return renamed(motifs, *node)


def write_tomtom_tables(
    queries: Sequence[Motif],
    matches: pd.DataFrame,
    folder: Path,
    node: tuple[int, int] | None = None,
    manifest: Path | None = None,
) -> None:
    """Write ``{folder}/{rank}_n{node}/tomtom.tsv`` for each node with a motif, without a match too.

    Args:
        queries: all motifs that were compared.
        matches: schema ``matches``.
        node: (rank, node) that gets a table even if it has no motif.
        manifest: manifest.tsv of the run; tables in ``folder`` of nodes not in it are removed.
    """
    ids = [parse_motif_id(motif.id) for motif in queries]
    nodes = dict.fromkeys([(rank, number) for rank, number, _ in ids if rank] + ([node] if node else []))
    foreign = [motif.id for motif, (rank, _, _) in zip(queries, ids, strict=True) if rank is None]
    if foreign:
        log.warning("%d motifs are of no node and get no tomtom.tsv, first %s", len(foreign), foreign[:3])
    of_node = matches.groupby(["rank", "node"]).indices
    nothing = np.zeros(0, dtype=np.int64)
    parts = {folder / node_name(*key) / "tomtom.tsv": of_node.get(key, nothing) for key in nodes}
    columns = matches.rename(columns=_TOMTOM_NAMES)[list(_TOMTOM_NAMES.values())]
    write_parts(columns, parts, "tomtom")
    if manifest is not None:
        remove_stale_nodes(folder, read_table(manifest, "seqlet_manifest"), "tomtom.tsv")
