"""Repeats first: does a node fire in soft-masked sequence, or in a class of RepeatMasker?

A seqlet lies in a class when at least half of its bases do: lower-case bases for ``soft_masked``, bases
of the class's intervals for a class of a BED. Against it stand background windows of the node's own,
drawn uniformly from the stored intervals and matched to its seqlets in GC alone (``gc_matching``): the
run's other background is matched in repeats too, which would hide what is asked here, and one background
for all nodes would call GC-rich nodes repeats where repeats are GC-rich.

Odds ratio, interval, p and q are those of ``overlaps``; q is over all rows of the run. With enough
seqlets a small excess is significant, so that significance does not explain a node. ``excess_share`` does:
(s - b) / (1 - b) for the share s of seqlets and b of background windows, the share of seqlets that are in
the class on top of what chance puts there (Abbott 1925, J. Econ. Entomol. 18:265, for deaths of insects
that die untreated too). In a genome that is half soft-masked, 75 % of soft-masked seqlets are an excess of
50 %. A class explains a node where the excess reaches ``explained_share``, q is below ``significance`` and
the background has the node's GC: ``gc_distance`` is at most ``GC_MATCHED``. Where the stored intervals lack
windows of its GC, the background is of other GC, which alone can make an excess: nothing explains the node.

Where GC itself makes the class, as in runs of A, windows of the same GC are often in the class too, and the
excess is too low rather than too high. Seqlets of one node never overlap, but several may lie in one copy
of a repeat: p is then too small, and ``excess_share`` is not.

Coordinates are 0-based, half-open. Floor: the genome is read once, and two searches a window and class.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
import pandas as pd

from biosae.cli import progress
from biosae.errors import ConfigError, InputError
from biosae.genome import Genome
from biosae.landscape.gc_matching import Windows, match_windows
from biosae.landscape.overlaps import add_statistics, check_names
from biosae.landscape.tracks import Annotation
from biosae.repeat_classes import SOFT_MASKED, kind_of

log = logging.getLogger(__name__)

COLUMNS = [
    "rank",
    "node",
    "source",
    "class",
    "kind",
    "n_seqlets",
    "n_overlap",
    "share",
    "n_background",
    "n_background_overlap",
    "background_share",
    "gc_distance",
    "excess_share",
    "odds_ratio",
    "ci_low",
    "ci_high",
    "p_value",
    "q_value",
    "explains",
]

GC_MATCHED = 0.2  # most of a background that may be of other GC than its node, for a class to explain it


@dataclass(frozen=True)
class Settings:
    """What decides: see ``repeats`` in the config.

    Attributes:
        background_windows: background windows a node, at most.
        pool_windows: random windows that they are taken from.
        explained_share: least excess share of a class that explains a node.
        significance: q of it is below.
        seed: of the random windows.
    """

    background_windows: int = 10_000
    pool_windows: int = 200_000
    explained_share: float = 0.5
    significance: float = 0.05
    seed: int = 0

    def __post_init__(self) -> None:
        if self.background_windows < 1 or self.pool_windows < self.background_windows:
            raise ConfigError(
                "repeats.pool_windows must be at least repeats.background_windows, and that at least 1",
                got={"background_windows": self.background_windows, "pool_windows": self.pool_windows},
            )
        if not 0 < self.explained_share <= 1 or not 0 < self.significance <= 1:
            raise ConfigError(
                "repeats.explained_share and repeats.significance lie above 0 and up to 1",
                got=[self.explained_share, self.significance],
            )


def choose_classes(annotation: Annotation, classes: list[str] | None) -> Annotation:
    """The annotation with the classes that count as repeats; None takes all.

    Raises:
        InputError: a class is not in the file: a misspelt one would silently explain nothing.
    """
    if classes is None:
        return annotation
    there = set(annotation.features["class"])
    missing = [name for name in classes if name not in there]
    if missing:
        raise InputError(
            f"{len(missing)} of the classes of repeats are not in the annotation",
            got=missing,
            expected=sorted(there)[:10],
            where=annotation.path,
            mend="correct repeats.classes, or repeats.class_column",
        )
    features = annotation.features[annotation.features["class"].isin(classes)]
    return Annotation(annotation.name, annotation.path, features.reset_index(drop=True))


def repeat_table(
    nodes: pd.DataFrame,
    seqlets: pd.DataFrame,
    intervals: pd.DataFrame,
    genome: Genome,
    annotation: Annotation | None,
    settings: Settings,
) -> tuple[pd.DataFrame, dict]:
    """The table of a run, see ``repeats.schema.yaml``: by rank, soft_masked first, then class.

    Args:
        nodes: rank, node.
        seqlets: chrom, start, end, row (of ``nodes``).
        intervals: chrom, core_start, core_end of the store's sequences.
        annotation: intervals of the classes of repeats; None for soft_masked alone.

    Returns:
        (table, counts of what was left out).

    Raises:
        InputError: the annotation names none of the chromosomes of the seqlets.
    """
    if len(seqlets) == 0:
        return pd.DataFrame(columns=COLUMNS), {"nodes": len(nodes), "nodes_without_seqlets": len(nodes)}
    if annotation is not None:
        check_names(annotation, seqlets)
    sizes = settings.pool_windows, settings.background_windows
    windows = match_windows(seqlets, len(nodes), intervals, genome, *sizes, settings.seed)
    seqlets_and_background = windows.counts(np.ones(len(windows.table), bool))
    left_out = _left_out(*seqlets_and_background, windows.gc_distance)
    log.info(", ".join(f"{name} {count}" for name, count in left_out.items()))
    parts = [_class_table(nodes, windows, seqlets_and_background, "genome", SOFT_MASKED, windows.masked)]
    by_class = () if annotation is None else sorted(annotation.features.groupby("class"), key=lambda e: e[0])
    for label, features in progress(by_class, what="classes", unit="class"):
        inside = windows.inside(features)
        if inside.any():  # a class that no window of the run lies in is no test
            parts.append(_class_table(nodes, windows, seqlets_and_background, "bed", label, inside))
    return _with_statistics(pd.concat(parts, ignore_index=True), settings), left_out


def _left_out(n_seqlets: np.ndarray, n_background: np.ndarray, gc_distance: np.ndarray) -> dict[str, int]:
    """Counts of nodes, and of those that repeats are not asked of or do not explain for want of windows."""
    of_other_gc = (n_background > 0) & (gc_distance > GC_MATCHED)
    return {
        "nodes": len(n_seqlets),
        "nodes_without_seqlets": int((n_seqlets == 0).sum()),
        "nodes_without_background": int(((n_seqlets > 0) & (n_background == 0)).sum()),
        "nodes_with_a_background_of_other_gc": int(of_other_gc.sum()),
    }


def _class_table(
    nodes: pd.DataFrame,
    windows: Windows,
    totals: tuple[np.ndarray, np.ndarray],
    source: str,
    label: str,
    inside: np.ndarray,
) -> pd.DataFrame:
    overlap, background_overlap = windows.counts(inside)
    table = nodes[["rank", "node"]].assign(
        **{"source": source, "class": label, "kind": kind_of(label)},
        n_seqlets=totals[0],
        n_overlap=overlap,
        n_background=totals[1],
        n_background_overlap=background_overlap,
        gc_distance=windows.gc_distance,
    )
    return table[(table["n_seqlets"] > 0) & (table["n_background"] > 0)]


def _with_statistics(table: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    table["share"] = table["n_overlap"] / table["n_seqlets"]
    table["background_share"] = table["n_background_overlap"] / table["n_background"]
    rest = 1 - table["background_share"]
    excess = (table["share"] - table["background_share"]) / rest.where(rest > 0)
    table["excess_share"] = excess.fillna(0.0).clip(lower=0.0)
    if len(table):
        add_statistics(table)
    enough = table["excess_share"] >= settings.explained_share
    table = table.reindex(columns=COLUMNS)
    matched = table["gc_distance"] <= GC_MATCHED
    table["explains"] = enough & matched & (table["q_value"] < settings.significance)
    order = table.assign(first=table["source"] != "genome").sort_values(["rank", "first", "class"])
    return order.drop(columns="first").reset_index(drop=True)
