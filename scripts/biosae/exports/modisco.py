"""Motifs of a run in the HDF5 layout of tfmodisco-lite, which `modisco report` and finemo read.

    pos_patterns/pattern_{i}/sequence, contrib_scores, hypothetical_contribs   (width, 4) float
    pos_patterns/pattern_{i}/seqlets/n_seqlets                                 (1,)
    pos_patterns/pattern_{i}/seqlets/start, end, example_idx, is_revcomp       (n,)
    pos_patterns/pattern_{i}/seqlets/sequence, contrib_scores, hypothetical_contribs   (n, width, 4)

Pattern i is motif i of motifs.meme. biosae has no contributions of bases to a node. In their place stand the
motif's log2 odds, smoothed probability over 1/4, as ``hypothetical_contribs``, and those of the letters that
are there as ``contrib_scores``: of a seqlet its own letters, of a pattern their mean under the matrix, so
that a column sums to about its information in bits. All patterns are as wide as the widest motif, as finemo
demands; columns beyond a motif hold 1/4 and a contribution of 0.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from biosae.artefacts import atomic_path
from biosae.exports.sites import Sites
from biosae.motifs.formats import Motif

STAND_IN = (
    "contrib_scores and hypothetical_contribs are stand-ins derived from the motif's matrix p, no "
    "attributions of a network: hypothetical_contribs = log2((p + 0.01) / 1.04 / 0.25); "
    "contrib_scores = the same times the letters (seqlets) or times p (patterns). Columns outside offset to "
    "offset + motif_width hold p = 0.25"
)
_LEAST = 0.01  # keeps a probability of 0 finite, whatever the number of sites, which may be 0
_GZIP = {"compression": "gzip", "compression_opts": 4, "shuffle": True}


@dataclass(frozen=True)
class Pattern:
    """One motif with its sites.

    Attributes:
        motif: its matrix.
        notes: further attributes of the group (rank, node, ...).
        sites: where it lies.
        codes: (n_seqlets, window_bp) uint8, the seqlets that ``sites`` counts.
        example_idx: (n_seqlets,) number of each seqlet in the run.
    """

    motif: Motif
    notes: dict
    sites: Sites
    codes: np.ndarray
    example_idx: np.ndarray


def log_odds(motif: Motif) -> np.ndarray:
    """(width, 4) log2 of the smoothed probability over 1/4, in bits."""
    return np.log2((motif.matrix + _LEAST) / (1 + 4 * _LEAST) * 4)


def write_modisco(
    path: Path, patterns: Iterable[Pattern], width: int, window_bp: int, notes: dict[str, str | dict]
) -> int:
    """Write all patterns, one at a time; returns how many.

    Args:
        width: of every pattern, that of the widest motif.
        window_bp: width of the seqlets, which are the examples.
        notes: attributes of the file; dicts become JSON.
    """
    n = 0
    with atomic_path(path) as temporary, h5py.File(temporary, "w") as handle:
        handle.attrs["window_size"] = window_bp
        handle.attrs["stand_in"] = STAND_IN
        for name, value in sorted(notes.items()):
            handle.attrs[name] = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
        groups = handle.create_group("pos_patterns")
        for n, pattern in enumerate(patterns, 1):
            _write_pattern(groups.create_group(f"pattern_{n - 1}"), pattern, width)
    return n


def _write_pattern(group: h5py.Group, pattern: Pattern, width: int) -> None:
    motif = pattern.motif
    offset = (width - motif.width) // 2  # columns before the motif
    span = slice(offset, offset + motif.width)
    matrix, odds = np.full((width, 4), 0.25), np.zeros((width, 4))
    matrix[span], odds[span] = motif.matrix, log_odds(motif)
    group.attrs.update({"motif_id": motif.id, "offset": offset, "motif_width": motif.width, **pattern.notes})
    group["sequence"] = matrix
    group["contrib_scores"] = matrix * odds
    group["hypothetical_contribs"] = odds
    sites = pattern.sites
    # bases before the motif, as the seqlet is stored: the pattern's right flank where it is reversed
    before = np.where(sites.reverse, width - motif.width - offset, offset)
    start = sites.start - before
    letters = _one_hot(pattern.codes[sites.seqlet], start, sites.reverse, width)
    seqlets = group.create_group("seqlets")
    seqlets["n_seqlets"] = np.array([len(start)])
    seqlets["start"], seqlets["end"] = start, start + width
    seqlets["example_idx"] = pattern.example_idx[sites.seqlet]
    seqlets["is_revcomp"] = sites.reverse
    options = _GZIP if len(start) else {}
    seqlets.create_dataset("sequence", data=letters, **options)
    seqlets.create_dataset("contrib_scores", data=(letters * odds).astype(np.float32), **options)
    repeated = np.broadcast_to(odds.astype(np.float32), letters.shape)
    seqlets.create_dataset("hypothetical_contribs", data=repeated, **options)
    seqlets.attrs["n_with_motif"] = sites.n_all


def _one_hot(codes: np.ndarray, start: np.ndarray, reverse: np.ndarray, width: int) -> np.ndarray:
    """(n, width, 4) uint8 of the bases [start, start + width) of seqlets, reverse-complemented where told.

    Zeros beyond the seqlet's ends and where the letter is another.
    """
    at = start[:, None] + np.arange(width)
    inside = (at >= 0) & (at < codes.shape[1])
    found = (
        np.take_along_axis(codes, np.clip(at, 0, max(codes.shape[1] - 1, 0)), axis=1) if len(codes) else at
    )
    letters = np.eye(5, 4, dtype=np.uint8)[np.where(inside, found, 4)]
    letters[reverse] = letters[reverse][:, ::-1, ::-1]
    return letters
