"""The planted truth as scoring reads it: the detectors, where each fires, and on which rows of a store."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix

from biosae.artefacts import read_table
from biosae.errors import InputError


@dataclass(frozen=True)
class Truth:
    """What was planted.

    Attributes:
        detectors: scored detectors only (schema detectors), index 0..n-1 = detector.
        detections: every firing of a scored detector: detector, chrom, sequence_start, position, site_start.
        sequences: chrom, start, end, split; padded intervals, 0-based half-open.
    """

    detectors: pd.DataFrame
    detections: pd.DataFrame
    sequences: pd.DataFrame

    @property
    def motifs(self) -> dict[str, str]:
        """Kind of every truth motif, by its id."""
        return dict(zip(self.detectors["motif"], self.detectors["kind"], strict=True))

    @property
    def cap_bp(self) -> int:
        """Largest position error that is reported: the length of a padded sequence."""
        return int((self.sequences["end"] - self.sequences["start"]).max())


def load_truth(folder: str | Path) -> Truth:
    """Read ``truth/`` as ``simulate_activations`` wrote it.

    Raises:
        InputError: a file is missing.
    """
    folder = Path(folder)
    for name in ("detectors.tsv", "detections.parquet", "sequences.bed", "targets.meme"):
        if not (folder / name).is_file():
            raise InputError(
                "The truth is incomplete",
                where=folder / name,
                mend="name the 'truth' folder that simulate_activations wrote",
            )
    detectors = read_table(folder / "detectors.tsv", "detectors")
    detectors = detectors[detectors["scored"].astype(bool)].reset_index(drop=True)
    names = ["chrom", "start", "end", "split"]
    sequences = pd.read_csv(folder / "sequences.bed", sep="\t", header=None, names=names)
    return Truth(detectors, pd.read_parquet(folder / "detections.parquet"), sequences)


def truth_matrix(truth: Truth, intervals: pd.DataFrame, positions: int) -> csr_matrix:
    """Which detector fires on which row of a store: (rows, n_detectors) bool.

    Args:
        truth: the truth.
        intervals: one row per sequence of the store, in its order: chrom, start (padded, 0-based).
        positions: output positions per sequence.

    Raises:
        InputError: a sequence of the store is not one that was simulated.
    """
    known = truth.sequences.set_index(["chrom", "start"]).index
    of_store = pd.MultiIndex.from_frame(intervals[["chrom", "start"]])
    strange = ~of_store.isin(known)
    if strange.any():
        raise InputError(
            "The activations are not those that the truth belongs to",
            got=f"{int(strange.sum())} of {len(intervals)} sequences unknown, first {of_store[strange][0]}",
            mend="give the store that simulate_activations wrote beside the truth, with its pad_bp",
        )
    where = pd.MultiIndex.from_frame(truth.detections[["chrom", "sequence_start"]])
    sequence = of_store.get_indexer(where)
    inside = sequence >= 0
    rows = sequence[inside].astype(np.int64) * positions + truth.detections["position"].to_numpy()[inside]
    columns = truth.detections["detector"].to_numpy()[inside]
    shape = (len(intervals) * positions, len(truth.detectors))
    return csr_matrix((np.ones(len(rows), dtype=bool), (rows, columns)), shape=shape)
