"""Tables and motifs that the page offers for download: copies, so that the folder is whole anywhere."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from biosae.atlas.payload import packed

FIRST = (  # below the folder of the run, where they are there: copied before examples are shown
    ("nodes.tsv", "one row per node, every column"),
    ("training_curve.tsv", "training curve"),
    ("evaluation.json", "evaluation figures"),
    ("recovery.json", "score against the planted truth"),
    ("null_counts.tsv", "how many null sets pass each filter"),
)
THEN = (  # copied where there is room left, the most wanted first
    ("motifs.tsv", "all motifs"),
    ("motifs.meme", "all motifs as matrices, MEME text format"),
    ("umap.tsv", "node embeddings and clusters"),
    ("specificity.tsv", "how specific nodes are for their motifs, and their strands"),
    ("matches.tsv", "all reported database matches"),
    ("repeats.tsv", "soft-masked sequence and classes of repeats"),
    ("overlaps.tsv", "annotation overlaps"),
    ("stability.tsv", "nodes found again by other seeds, by direction"),
    ("coactivation.tsv", "nodes found again by other runs, by where they fire"),
    ("jaccard.tsv", "nodes that share loci"),
    ("seqlets/manifest.tsv", "windows written and dropped per node"),
    ("selected_nodes.tsv", "kept nodes with their statistics"),
    ("node_stats.tsv", "statistics of every node, kept or not"),
    ("seqlets/seqlets.bed.gz", "windows of all kept nodes"),
)
_PACKED_FROM = 2**20  # bytes: a larger text is compressed


@dataclass(frozen=True)
class Download:
    """One file of ``files/``."""

    name: str
    text: str
    data: bytes


def read_downloads(run: Path, offered: tuple, room: int) -> tuple[list[Download], list[str]]:
    """What of ``offered`` (``FIRST`` or ``THEN``) there is and has room.

    Args:
        run: folder of the run.
        room: bytes for all of them; one that does not fit is left out, later ones may.

    Returns:
        files, and the names of those that did not fit.
    """
    found, left_out = [], []
    for path, text in offered:
        file = run / path
        if not file.is_file():
            continue
        # text packs to a fifth: what is far larger need not be tried
        download = _packed(file, text) if file.stat().st_size <= 10 * room else None
        if download is None or len(download.data) > room:
            left_out.append(path)
            continue
        room -= len(download.data)
        found.append(download)
    return found, left_out


def _packed(file: Path, text: str) -> Download:
    data = file.read_bytes()
    if file.suffix == ".gz" or len(data) < _PACKED_FROM:
        return Download(file.name, text, data)
    return Download(f"{file.name}.gz", f"{text}, gzip", packed(data))
