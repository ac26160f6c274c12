"""Overlaps of seqlets with annotations, tested against the matched background.

For each node and each class of each annotation: how many of the node's seqlets overlap the class
by 1 bp or more, against how many background windows do. The odds ratio has 0.5 added to all four
counts (Haldane 1956, Ann. Hum. Genet. 20:309; Anscombe 1956, Biometrika 43:461), its 95 %
confidence interval is Woolf's (1955, Ann. Hum. Genet. 19:251) on the logarithm of these counts,
p is Fisher's exact test, two-sided, and q is Benjamini and Hochberg's over all rows of the run.

Coordinates are 0-based, half-open.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import special  # not stats: a second of imports in every job

from biosae.errors import InputError
from biosae.landscape.tracks import Annotation
from biosae.motifs.significance import q_values

_HEADER = re.compile(r">(.+):(\d+)-(\d+)\([+-]\)")
_Z95 = float(special.ndtri(0.975))
_TIE = 1e-7  # tables this near in log probability count as equally likely, as in R's fisher.test
_CELLS = 2**22  # values of the test evaluated at once: 32 MiB an array
_COUNTS = ["n_seqlets", "n_overlap", "n_background", "n_background_overlap"]
COLUMNS = [
    "rank",
    "node",
    "annotation",
    "class",
    *_COUNTS,
    "odds_ratio",
    "ci_low",
    "ci_high",
    "p_value",
    "q_value",
]


def read_background(run: Path) -> pd.DataFrame:
    """Background windows chrom, start, end of ``RUN/seqlets/background.fa``, from its headers."""
    path = run / "seqlets" / "background.fa"
    try:
        headers = [line for line in path.read_text().splitlines() if line.startswith(">")]
    except OSError as error:
        raise InputError(
            "Cannot read the background of the run", got=error, where=path, mend="run write_seqlets.py"
        ) from error
    found = [_HEADER.match(line) for line in headers]
    if None in found:
        raise InputError(
            "A background header is not '>chrom:start-end(strand)'",
            got=headers[found.index(None)],
            where=path,
        )
    table = pd.DataFrame([match.groups() for match in found], columns=["chrom", "start", "end"], dtype="str")
    return table.astype({"start": "int64", "end": "int64"})


@dataclass(frozen=True)
class ClassCounts:
    """Windows that overlap each class: classes (c,), counts (groups, c) int64."""

    classes: np.ndarray
    counts: np.ndarray


def count_overlaps(windows: pd.DataFrame, n_groups: int, features: pd.DataFrame) -> ClassCounts:
    """One interval join: for each group of windows and class, the windows that overlap by 1 bp or more.

    Args:
        windows: chrom, start, end, group (in [0, n_groups)).
        features: chrom, start, end, class. Several features of a class on one window count once.
    """
    import bioframe

    classes = np.unique(features["class"].to_numpy(dtype=object)).astype(object)
    counts = np.zeros((n_groups, len(classes)), dtype=np.int64)
    features = features[features["chrom"].isin(windows["chrom"])].reset_index(drop=True)
    if len(features) and len(windows):
        places = ["chrom", "start", "end"]
        pairs = bioframe.overlap(
            windows[places].reset_index(drop=True),
            features[places],
            how="inner",
            return_input=False,
            return_index=True,
        )
        window = pairs["index"].to_numpy("int64")
        code = pd.Index(classes).get_indexer(features["class"])[pairs["index_"].to_numpy("int64")]
        once = np.unique(window * len(classes) + code)
        group = windows["group"].to_numpy("int64")[once // len(classes)]
        np.add.at(counts, (group, once % len(classes)), 1)
    return ClassCounts(classes, counts)


def fisher_two_sided(
    n_overlap: np.ndarray,
    n_seqlets: np.ndarray,
    n_background_overlap: np.ndarray,
    n_background: np.ndarray | int,
) -> np.ndarray:
    """Two-sided p of Fisher's exact test for many 2 x 2 tables, (n,) float64 in (0, 1].

    The sum of the probabilities of all tables with the same margins that are no more likely than
    the one seen. Below the range of a double it is the smallest normal double, never 0.
    """
    background = np.broadcast_to(n_background, np.shape(n_overlap))
    tests = np.stack([n_overlap, n_seqlets, n_background_overlap, background]).astype(np.int64)
    distinct, back = np.unique(tests, axis=1, return_inverse=True)
    overlap, size, hits, windows = distinct[0], distinct[1], distinct[0] + distinct[2], distinct[3]
    lowest = np.maximum(0, hits - windows)
    span = int((np.minimum(size, hits) - lowest).max(initial=0)) + 1
    log_factorial = special.gammaln(np.arange(int((size + windows).max(initial=0)) + 2) + 1.0)
    p = np.ones(len(overlap))
    step = max(1, _CELLS // span)
    for low in range(0, len(overlap), step):
        part = slice(low, low + step)
        x = lowest[part, None] + np.arange(span)
        logs = _log_hypergeometric(x, size[part, None], hits[part, None], windows[part, None], log_factorial)
        seen = np.take_along_axis(logs, (overlap - lowest)[part, None], axis=1)
        p[part] = np.exp(special.logsumexp(np.where(logs <= seen + _TIE, logs, -np.inf), axis=1))
    return np.clip(p, np.finfo(float).tiny, 1.0)[back.ravel()]


def _log_hypergeometric(
    x: np.ndarray, size: np.ndarray, hits: np.ndarray, n_background: np.ndarray, log_factorial: np.ndarray
) -> np.ndarray:
    """Log probability that x of ``size`` seqlets are among ``hits`` of all windows; -inf if impossible."""
    total = size + n_background
    possible = x <= np.minimum(size, hits)
    x = np.minimum(x, np.minimum(size, hits))

    def log_choose(n: np.ndarray, k: np.ndarray) -> np.ndarray:
        return log_factorial[n] - log_factorial[k] - log_factorial[n - k]

    logs = log_choose(hits, x) + log_choose(total - hits, size - x) - log_choose(total, size)
    return np.where(possible, logs, -np.inf)


def overlap_table(
    nodes: pd.DataFrame, seqlets: pd.DataFrame, background: pd.DataFrame, annotations: list[Annotation]
) -> pd.DataFrame:
    """The table of overlaps of a run, see ``overlaps.schema.yaml``; by rank, annotation, class.

    Every node that has seqlets is tested against every class that any seqlet or background window
    of the run overlaps; all these tests are the family of the q-values.

    Args:
        nodes: rank, node.
        seqlets: chrom, start, end, row (of ``nodes``).
        background: chrom, start, end.
        annotations: what to compare with; none gives an empty table.

    Raises:
        InputError: there are seqlets but no background; an annotation names none of their chromosomes.
    """
    if len(seqlets) == 0 or not annotations:
        return pd.DataFrame(columns=COLUMNS)
    if len(background) == 0:
        raise InputError(
            "The background is empty: overlaps cannot be tested", mend="run write_seqlets.py again"
        )
    windows = pd.concat(
        [seqlets.rename(columns={"row": "group"}), background.assign(group=len(nodes))], ignore_index=True
    )
    n_seqlets = np.bincount(seqlets["row"], minlength=len(nodes))
    parts = []
    for annotation in annotations:
        check_names(annotation, windows)
        found = count_overlaps(windows, len(nodes) + 1, annotation.features)
        parts.append(_long_table(annotation.name, nodes, n_seqlets, len(background), found))
    table = pd.concat(parts, ignore_index=True)
    if len(table):
        add_statistics(table)
    table = table.sort_values(["rank", "annotation", "class"], ignore_index=True)
    return table.reindex(columns=COLUMNS)


def check_names(annotation: Annotation, windows: pd.DataFrame) -> None:
    """Raise InputError unless the annotation and the windows share a chromosome."""
    known = set(windows["chrom"])
    if not known & set(annotation.features["chrom"]):
        raise InputError(
            f"Annotation '{annotation.name}' names none of the chromosomes of the seqlets",
            got=sorted(set(annotation.features["chrom"]))[:5] or "no interval at all",
            expected=sorted(known)[:5],
            where=annotation.path,
            mend="give a BED of the same assembly with the same chromosome names",
        )


def _long_table(
    name: str, nodes: pd.DataFrame, n_seqlets: np.ndarray, n_background: int, found: ClassCounts
) -> pd.DataFrame:
    rows, columns = np.flatnonzero(n_seqlets), np.flatnonzero(found.counts.sum(axis=0))
    row, column = np.repeat(rows, len(columns)), np.tile(columns, len(rows))
    return pd.DataFrame(
        {
            "rank": nodes["rank"].to_numpy()[row],
            "node": nodes["node"].to_numpy()[row],
            "annotation": name,
            "class": found.classes[column],
            "n_seqlets": n_seqlets[row],
            "n_overlap": found.counts[row, column],
            "n_background": n_background,
            "n_background_overlap": found.counts[-1, column],
        }
    )


def add_statistics(table: pd.DataFrame) -> None:
    """Add odds_ratio, ci_low, ci_high, p_value and q_value to a table of the four counts, in place."""
    a, c = table["n_overlap"].to_numpy(), table["n_background_overlap"].to_numpy()
    size, n_background = table["n_seqlets"].to_numpy(), table["n_background"].to_numpy()
    cells = np.stack([a, size - a, c, n_background - c]) + 0.5
    log_odds = np.log(cells[0]) - np.log(cells[1]) - np.log(cells[2]) + np.log(cells[3])
    error = np.sqrt((1 / cells).sum(axis=0))
    table["odds_ratio"] = np.exp(log_odds)
    table["ci_low"], table["ci_high"] = np.exp(log_odds - _Z95 * error), np.exp(log_odds + _Z95 * error)
    table["p_value"] = fisher_two_sided(a, size, c, n_background)
    with np.errstate(divide="ignore"):
        table["q_value"] = q_values(np.log10(table["p_value"].to_numpy()))
