"""TomTom's comparison of motifs: p of the best alignment, its offset, overlap and strand, for all pairs.

Method: Gupta et al., Genome Biology 8:R24 (2007), with the conventions of the MEME Suite's ``tomtom``
(https://meme-suite.org/meme/doc/tomtom.html), whose p-values, offsets, overlaps and strands it repeats
(tests/unit/test_matching.py). Query and target get a pseudocount of 0.1 site, (p nsites + 0.1 / 4) /
(nsites + 0.1), which Euclidean distance sees and a correlation does not. A column of the query is scored
against every column of every target, on both strands; its scores are shifted so that their lower median is
0 and rounded to at most 100 steps over the whole query. An alignment scores the sum of its columns; a query
column outside it counts 0, the median ("complete scores"). The null of an alignment is the convolution of
its columns' score distributions; p is that of the largest of all alignments of a target of that width on
both strands, taken as independent.

Fast path: equal target columns are scored once; medians by counting, not sorting; of the nulls only the
range of scores that occur is kept, so memory grows with the square of the width, not its cube. Against 1,019
targets a query of 10 columns costs about 2 ms. Floor: width x distinct target columns score evaluations of
4 multiplications, 0.2 M for that query, 0.1 ms at 2 a nanosecond.

The kernels (comparison_kernels) are compiled at first use and cached (``NUMBA_CACHE_DIR``). A query is
compared alone: threads and blocks of queries never change a byte. The plain version that they must equal is
in tests/unit/test_match_comparison.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from biosae.errors import ConfigError, ContractError, InputError
from biosae.motifs.comparison_kernels import compare_query
from biosae.motifs.formats import Motif
from biosae.motifs.significance import log10_of

DISTANCES = ("pearson", "ed")
PSEUDOCOUNT = 0.1  # sites, tomtom's default (-motif-pseudo)
_FLAT = 1e-9  # a centred column shorter than this is flat and correlates with nothing


@dataclass(frozen=True)
class Comparison:
    """All pairs of some queries and targets; every array is (n_queries, n_targets).

    Attributes:
        log10_p: float64, of the better strand, corrected for alignments and for two strands; 0 at most.
        log10_p_other: float64, the same of the worse strand (TomTom's q counts both).
        offset: int32, columns by which the query starts after the target's start, the target read in the
            orientation of ``reverse``.
        overlap: int32, aligned columns.
        reverse: bool, the target is read as its reverse complement.

    Where alignments tie, the one of more columns is taken, then the forward strand, then the smallest offset,
    as the MEME Suite's tomtom reports them.
    """

    log10_p: np.ndarray
    log10_p_other: np.ndarray
    offset: np.ndarray
    overlap: np.ndarray
    reverse: np.ndarray


@dataclass(frozen=True)
class Targets:
    """Targets prepared for comparison: distinct columns, and the motifs as indices into them.

    Attributes:
        distance: see ``compare``.
        columns: (4, distinct) float64, the columns of all targets on both strands, in ``_columns``' form.
        counts: (distinct,) int64, how often each occurs.
        index: (2, total width) int32, distinct column of each target column, forward and complemented.
        starts: (n_targets + 1,) int64, where a target begins in ``index``.
    """

    distance: str
    columns: np.ndarray
    counts: np.ndarray
    index: np.ndarray
    starts: np.ndarray


def prepare_targets(targets: Sequence[Motif], distance: str = "pearson") -> Targets:
    """Do once what all queries share.

    Raises:
        ConfigError: no such distance.
        InputError: no target.
    """
    if distance not in DISTANCES:
        raise ConfigError("No such distance of motif columns", got=distance, expected=" or ".join(DISTANCES))
    if not targets:
        raise InputError("There is no motif to compare with", expected="at least one target")
    forward = np.vstack([_columns(motif, distance) for motif in targets])
    both = np.vstack([forward, forward[:, ::-1]])
    distinct, index, counts = np.unique(both, axis=0, return_inverse=True, return_counts=True)
    starts = np.cumsum([0] + [motif.width for motif in targets]).astype(np.int64)
    index = index.reshape(2, len(forward)).astype(np.int32)
    return Targets(distance, np.ascontiguousarray(distinct.T), counts.astype(np.int64), index, starts)


def compare(
    queries: Sequence[Motif],
    targets: Sequence[Motif] | Targets,
    distance: str = "pearson",
    threads: int = 1,
    min_overlap: int = 1,
) -> Comparison:
    """Compare every query with every target.

    Args:
        queries: any number; give blocks of them to bound memory (25 bytes a pair).
        targets: at least one, or ``prepare_targets`` of them where blocks of queries follow each other.
        distance: ``pearson`` (correlation of columns) or ``ed`` (Euclidean distance).
        threads: threads over the queries; never changes a result.
        min_overlap: fewest aligned columns, or the width of the narrower motif where that is less.

    Raises:
        ConfigError: no such distance, or a prepared one that differs.
        InputError: no target.
    """
    if not isinstance(targets, Targets):
        targets = prepare_targets(targets, distance)
    elif targets.distance != distance:
        raise ConfigError(
            "Targets were prepared for another distance", got=targets.distance, expected=distance
        )
    n_targets = len(targets.starts) - 1
    p_values = np.empty((len(queries), 2, n_targets))
    places = np.empty((len(queries), 3, n_targets), np.int32)
    fixed = (targets.columns, targets.counts, targets.index, targets.starts, distance == "ed", min_overlap)

    def one(i: int) -> None:
        compare_query(np.ascontiguousarray(_columns(queries[i], distance).T), *fixed, p_values[i], places[i])

    with ThreadPoolExecutor(max(1, threads)) as pool:
        list(pool.map(one, range(len(queries))))
    better, other = log10_of(p_values).swapaxes(0, 1)
    offset, overlap, reverse = places.swapaxes(0, 1)
    return Comparison(better, other, offset, overlap, reverse.astype(bool))


def warm_up() -> None:
    """Compile every kernel (or load it from the cache)."""
    letters = np.eye(4)
    motif = Motif("warm", "", letters)
    for distance in DISTANCES:
        compare([motif], [motif, Motif("narrow", "", letters[:2])], distance)


def with_pseudocount(motif: Motif) -> np.ndarray:
    """(width, 4) probabilities with a pseudocount of 0.1 site, spread evenly over the letters.

    Raises:
        ContractError: a row of the matrix is all zero, or holds no numbers.
    """
    sums = motif.matrix.sum(axis=1, keepdims=True)
    if not (sums > 0).all():
        raise ContractError("A row of a motif matrix is no distribution", where=f"motif {motif.id}")
    return (motif.matrix / sums * motif.n_sites + PSEUDOCOUNT / 4) / (motif.n_sites + PSEUDOCOUNT)


def _columns(motif: Motif, distance: str) -> np.ndarray:
    """(width, 4): probabilities, or for ``pearson`` their deviations from the mean scaled to length 1.

    A flat column has no direction and stays 0: it correlates with nothing. Sums pair A with T and C with G,
    so that a column and its complement are mirror images to the last bit.
    """
    columns = with_pseudocount(motif)
    if distance == "ed":
        return columns
    centred = columns - _paired(columns)[:, None] / 4
    length = np.sqrt(_paired(centred**2))[:, None]
    return np.divide(centred, length, out=np.zeros_like(centred), where=length > _FLAT)


def _paired(columns: np.ndarray) -> np.ndarray:
    return (columns[:, 0] + columns[:, 3]) + (columns[:, 1] + columns[:, 2])
