"""Motifs against a database: TomTom's comparison, p, E and q for every query x target pair.

Method: Gupta et al., Genome Biology 8:R24 (2007): complete scores, Pearson's correlation of columns, both
strands of the targets. memelite computes it for Euclidean distance only, under which nearly flat motifs
match everything, so its distance is turned into the correlation. A column (probabilities less 1/4, scaled
to length 1) lies in the plane of columns that sum to 0 and has three coordinates there. A query gets a
fourth coordinate d, a target 0. With r the correlation, distance(query, target) = sqrt(2 + d^2 - 2 r); for
large d, times sqrt(2 + d^2), this is a constant minus r to within 1/d^2. Against MEME Suite 5.5.8
(-dist pearson, 100 queries x 1,019 targets) log10 p then differs by at most 0.06 for p < 0.01
(tests/unit/test_matching.py).

Cost: width_query additions for each target column, about 2 ms a query against 1,000 targets; the first
call on a machine compiles memelite, about a minute.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from biosae.artefacts import conform
from biosae.errors import ConfigError, InputError
from biosae.motifs.formats import Motif, parse_motif_id
from biosae.motifs.numbers import power_of_ten
from biosae.motifs.significance import benjamini_hochberg, log10_of, q_values

log = logging.getLogger(__name__)

FEWEST_TARGETS = 25  # below, the null made of the targets' own columns is too coarse (memelite's limit)
PSEUDOCOUNT = 0.1  # sites, MEME Suite's default in TomTom (-motif-pseudo)
_FOURTH = 1000.0  # d of the module docstring; memelite takes distances up to 1e7, these are about d^2
_MEDIAN_BINS = (
    100_000  # memelite's median is that of a binned score; its default of 1,000 moves p by up to 2 decades
)
_QUERIES_AT_A_TIME = 256  # bounds memory: 80 bytes a query and target
_BASIS = (
    np.array([[1, 1, -1, -1], [1, -1, 1, -1], [1, -1, -1, 1]]) / 2
)  # of the plane of columns that sum to 0


@dataclass(frozen=True)
class MatchSettings:
    """What is reported.

    Args:
        significance: a match is significant where its per-query q is below this.
        report_q: rows are written up to this per-query q.
        min_overlap: fewest aligned columns (bp), or the width of the narrower motif where that is less.
    """

    significance: float = 0.05
    report_q: float = 0.5
    min_overlap: int = 5

    def __post_init__(self) -> None:
        if not (0 < self.significance <= 1 and 0 < self.report_q <= 1 and self.min_overlap >= 1):
            raise ConfigError(
                "Matching settings do not fit",
                got=self,
                expected="0 < significance <= 1, 0 < report_q <= 1, min_overlap >= 1",
            )


@dataclass(frozen=True)
class Pairs:
    """Reported pairs of an engine, and how many were tested.

    ``rows`` has columns query, target (indices into the lists compared), p_value, e_value, q_value, offset,
    overlap, orientation, log10_q_run; in the order of queries, then of p.
    """

    rows: pd.DataFrame
    counts: dict[str, int] = field(default_factory=dict)


def match(
    motifs: Sequence[Motif],
    database: Sequence[Motif],
    engine: str = "memelite",
    settings: MatchSettings | None = None,
    threads: int = 1,
    database_name: str = "database",
) -> pd.DataFrame:
    """All matches of ``motifs`` in ``database`` up to ``settings.report_q``.

    Args:
        motifs: queries; ids ``{rank}_n{node}_m{motif}`` fill rank, node and motif, others leave them missing.
        database: targets, at least one; ids may repeat.
        engine: ``memelite``, or ``tomtom`` for the MEME Suite's program on the PATH.
        threads: threads of memelite; never changes a result.
        database_name: written into column ``database``.

    Returns:
        Table of schema ``matches`` in the order of the queries, then of p; ``.attrs["counts"]`` holds
        queries, targets, pairs_tested, pairs_reported and dropped_min_overlap.

    Raises:
        InputError: the database holds no motif, or the engine's program is missing.
    """
    settings = settings or MatchSettings()
    if not database:
        raise InputError(
            "The motif database holds no motif", where=database_name, mend="give another database"
        )
    pairs = _pairs(motifs, database, engine, settings, threads)
    table = _table(pairs.rows, motifs, database, settings, database_name)
    table.attrs["counts"] = {
        "queries": len(motifs),
        "targets": len(database),
        "pairs_tested": len(motifs) * len(database),
        "pairs_reported": len(table),
        "dropped_min_overlap": 0,
        **pairs.counts,
    }
    return table


def _pairs(
    motifs: Sequence[Motif], database: Sequence[Motif], engine: str, settings: MatchSettings, threads: int
) -> Pairs:
    if engine not in ("memelite", "tomtom"):
        raise ConfigError("No such matching engine", got=engine, expected="memelite or tomtom")
    if not motifs:
        return Pairs(_no_rows())
    if engine == "tomtom":
        from biosae.motifs.external import tomtom_pairs

        return tomtom_pairs(motifs, database, settings)
    return memelite_pairs(motifs, database, settings, threads)


def with_pseudocount(motif: Motif) -> np.ndarray:
    """(width, 4) probabilities with MEME Suite's pseudocount of 0.1 site, spread evenly over the letters."""
    sums = motif.matrix.sum(axis=1, keepdims=True)
    return (motif.matrix / sums * motif.n_sites + PSEUDOCOUNT / 4) / (motif.n_sites + PSEUDOCOUNT)


def correlation_coordinates(motif: Motif, fourth: float) -> np.ndarray:
    """(4, width) coordinates in which memelite's distance becomes the correlation.

    A flat column correlates with nothing: its first three coordinates are 0.
    """
    centred = with_pseudocount(motif) - 0.25
    length = np.sqrt((centred**2).sum(axis=1, keepdims=True))
    unit = np.divide(centred, length, out=np.zeros_like(centred), where=length > 1e-9)
    coordinates = np.column_stack([unit @ _BASIS.T, np.full(motif.width, fourth)])
    return np.ascontiguousarray(coordinates.T * np.sqrt(2 + _FOURTH**2))


def memelite_pairs(
    motifs: Sequence[Motif], database: Sequence[Motif], settings: MatchSettings, threads: int
) -> Pairs:
    """Compare with memelite. p is that of the better strand, corrected for two; E = p x targets; q as TomTom.

    TomTom's q is Benjamini-Hochberg over the p-values of both strands of all targets of one query, times a
    bootstrapped share of nulls (pi0). Here pi0 = 1, which can only raise q.
    """
    if len(database) < FEWEST_TARGETS:
        log.warning(
            "The database has %d motifs; below %d the p-values of TomTom depend on the choice of targets",
            len(database),
            FEWEST_TARGETS,
        )
    n_targets = len(database)
    targets = [correlation_coordinates(motif, 0.0) for motif in database]
    targets += [correlation_coordinates(motif.reverse_complement(), 0.0) for motif in database]
    tables, log10_p = [], np.empty((len(motifs), n_targets))
    dropped = 0
    for first in range(0, len(motifs), _QUERIES_AT_A_TIME):
        queries = motifs[first : first + _QUERIES_AT_A_TIME]
        strands = _compare(queries, targets, threads)
        table, log10_p[first : first + len(queries)] = _reported(strands, n_targets, settings)
        wide_enough = _wide_enough(table, queries, database, settings.min_overlap)
        dropped += int((~wide_enough).sum())
        tables.append(table[wide_enough].assign(query=lambda t, first=first: t["query"] + first))
    rows = pd.concat(tables, ignore_index=True)
    # a family of all pairs: the rank of a pair counts those that are not reported, too
    log10_q = benjamini_hochberg(log10_p.ravel()).reshape(log10_p.shape)
    rows["log10_q_run"] = log10_q[rows["query"], rows["target"]]
    return Pairs(rows, {"dropped_min_overlap": dropped})


def _compare(queries: Sequence[Motif], targets: list[np.ndarray], threads: int) -> np.ndarray:
    """(3, queries, targets): p of one strand, offset, overlap."""
    import numba  # here, since a run without motifs needs neither
    from memelite import tomtom

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="tomtom was given")  # said by us, by the number of motifs
        result = tomtom(
            [correlation_coordinates(motif, _FOURTH) for motif in queries],
            targets,
            n_target_bins=None,
            n_median_bins=_MEDIAN_BINS,
            reverse_complement=False,
            n_jobs=max(1, min(threads, numba.config.NUMBA_NUM_THREADS)),
        )
    return result[[0, 2, 3]]


def _reported(
    strands: np.ndarray, n_targets: int, settings: MatchSettings
) -> tuple[pd.DataFrame, np.ndarray]:
    """Rows up to report_q, and log10 p of all pairs (queries, targets)."""
    one_strand = np.clip(strands[0], 0.0, 1.0)
    both = one_strand * (2 - one_strand)  # 1 - (1 - p)^2
    reverse = both[:, n_targets:] < both[:, :n_targets]
    pick = np.arange(n_targets) + reverse * n_targets  # column of the better strand
    log10_p = log10_of(both)
    q = np.vstack([q_values(row) for row in log10_p])
    best = np.take_along_axis(q, pick, axis=1)
    query, target = np.nonzero(best <= settings.report_q)
    column = pick[query, target]
    table = pd.DataFrame(
        {
            "query": query,
            "target": target,
            "p_value": both[query, column],
            "e_value": both[query, column] * n_targets,
            "q_value": q[query, column],
            "offset": strands[1, query, column].astype(np.int64),
            "overlap": strands[2, query, column].astype(np.int64),
            "orientation": np.where(reverse[query, target], "-", "+"),
        }
    )
    table = table.sort_values(["query", "p_value", "target"], kind="stable")
    return table, np.take_along_axis(log10_p, pick, axis=1)


def _wide_enough(
    table: pd.DataFrame, queries: Sequence[Motif], database: Sequence[Motif], min_overlap: int
) -> np.ndarray:
    query_bp = np.array([motif.width for motif in queries])[table["query"].to_numpy(int)]
    target_bp = np.array([motif.width for motif in database])[table["target"].to_numpy(int)]
    return table["overlap"].to_numpy() >= np.minimum(min_overlap, np.minimum(query_bp, target_bp))


def _no_rows() -> pd.DataFrame:
    numbers = ("p_value", "e_value", "q_value", "log10_q_run")
    whole = ("query", "target", "offset", "overlap")
    kinds = dict.fromkeys(whole, "int64") | dict.fromkeys(numbers, "float64") | {"orientation": "object"}
    return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in kinds.items()})


def _table(
    rows: pd.DataFrame,
    motifs: Sequence[Motif],
    database: Sequence[Motif],
    settings: MatchSettings,
    database_name: str,
) -> pd.DataFrame:
    """The rows with names in place of indices, in the columns of schema ``matches``."""
    queries = [motifs[i] for i in rows["query"]]
    forward = [database[i] for i in rows["target"]]
    read = [
        motif if sign == "+" else motif.reverse_complement()
        for motif, sign in zip(forward, rows["orientation"], strict=True)
    ]
    node_of = [parse_motif_id(motif.id) for motif in queries]
    table = pd.DataFrame(
        {
            "query": pd.Series([motif.id for motif in queries], dtype="string"),
            **{
                name: pd.array([ids[i] for ids in node_of], "Int64")
                for i, name in enumerate(("rank", "node", "motif"))
            },
            "target": pd.Series([motif.id for motif in forward], dtype="string"),
            "target_name": pd.array([motif.name or None for motif in forward], "string"),
            **{name: rows[name].to_numpy() for name in ("p_value", "e_value", "q_value")},
            "q_value_run": [power_of_ten(value) for value in rows["log10_q_run"]],
            **{name: rows[name].to_numpy() for name in ("offset", "overlap", "orientation")},
            "query_consensus": pd.Series([motif.likeliest_letters for motif in queries], dtype="string"),
            "target_consensus": pd.Series([motif.likeliest_letters for motif in read], dtype="string"),
            "database": database_name,
            "significant": rows["q_value"].to_numpy() < settings.significance,
        }
    )
    return conform(table, "matches")
