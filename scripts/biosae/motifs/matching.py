"""Motifs against a database: TomTom's comparison, p, E and q for every query x target pair.

Engine ``batched`` is ``comparison`` (Gupta et al., Genome Biology 8:R24, 2007), engine ``tomtom`` the MEME
Suite's program. Both give the p of the better strand corrected for two, E = p x targets, and q as TomTom
counts it: Benjamini-Hochberg over both strands of all targets of one query. ``q_value_run`` is
Benjamini-Hochberg over all pairs of a run.

Memory: 8 bytes a pair of the run (for ``q_value_run``), the rest per block of queries.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from biosae.artefacts import conform
from biosae.errors import ConfigError, InputError
from biosae.motifs.comparison import DISTANCES, Comparison, compare, prepare_targets
from biosae.motifs.formats import Motif, parse_motif_id
from biosae.motifs.numbers import power_of_ten
from biosae.motifs.quality import MIN_INFORMATION_BITS, flag
from biosae.motifs.significance import benjamini_hochberg

log = logging.getLogger(__name__)

ENGINES = ("batched", "tomtom")
FEWEST_TARGETS = 25  # fewer columns make too coarse a null: the MEME Suite's tomtom warns below 25, too
_QUERIES_AT_A_TIME = 256  # bounds memory: about 100 bytes a query and target


@dataclass(frozen=True)
class MatchSettings:
    """What is compared and reported.

    Args:
        significance: a match is significant where its per-query q is below this.
        report_q: rows are written up to this per-query q.
        min_overlap: fewest aligned columns (bp), or the width of the narrower motif where that is less.
        distance: ``pearson``, or ``ed`` (Euclidean distance, tomtom's default, under which nearly flat motifs
            resemble each other).
        min_information_bits: a query of less is flagged (``quality.flag``).
    """

    significance: float = 0.05
    report_q: float = 0.5
    min_overlap: int = 5
    distance: str = "pearson"
    min_information_bits: float = MIN_INFORMATION_BITS

    def __post_init__(self) -> None:
        if not (0 < self.significance <= 1 and 0 < self.report_q <= 1 and self.min_overlap >= 1):
            raise ConfigError(
                "Matching settings do not fit",
                got=self,
                expected="0 < significance <= 1, 0 < report_q <= 1, min_overlap >= 1",
            )
        if self.distance not in DISTANCES:
            raise ConfigError(
                "No such distance of motif columns", got=self.distance, expected=" or ".join(DISTANCES)
            )


@dataclass(frozen=True)
class Pairs:
    """Reported pairs of an engine, and counts to report.

    ``rows`` has columns query, target (indices into the lists compared), p_value, log10_p, e_value, q_value,
    offset, overlap, orientation, log10_q_run; in the order of queries, then of p.
    """

    rows: pd.DataFrame
    counts: dict[str, int] = field(default_factory=dict)


def match(
    motifs: Sequence[Motif],
    database: Sequence[Motif],
    engine: str = "batched",
    settings: MatchSettings | None = None,
    threads: int = 1,
    database_name: str = "database",
) -> pd.DataFrame:
    """All matches of ``motifs`` in ``database`` up to ``settings.report_q``.

    Args:
        motifs: queries; ids ``{rank}_n{node}_m{motif}`` fill rank, node and motif, others leave them missing.
        database: targets, at least one; ids may repeat.
        engine: ``batched``, or ``tomtom`` for the MEME Suite's program on the PATH.
        threads: threads of ``batched``; never changes a result.
        database_name: written into column ``database``.

    Returns:
        Table of schema ``matches`` in the order of the queries, then of p; ``.attrs["counts"]`` holds
        queries, targets, pairs_tested and pairs_reported.

    Raises:
        InputError: the database holds no motif, or the engine's program is missing.
    """
    settings = settings or MatchSettings()
    _check_size(database, database_name)
    pairs = _pairs(motifs, database, engine, settings, threads)
    table = _table(pairs.rows, motifs, database, settings, database_name)
    table.attrs["counts"] = {
        "queries": len(motifs),
        "targets": len(database),
        "pairs_tested": len(motifs) * len(database),
        "pairs_reported": len(table),
        **pairs.counts,
    }
    return table


def _check_size(database: Sequence[Motif], name: str) -> None:
    if not database:
        raise InputError("The motif database holds no motif", where=name, mend="give another database")
    if len(database) < FEWEST_TARGETS:
        log.warning(
            "The database has %d motifs; below %d the p-values of TomTom are unreliable: its null is made of "
            "the targets' own columns",
            *(len(database), FEWEST_TARGETS),
        )


def _pairs(
    motifs: Sequence[Motif], database: Sequence[Motif], engine: str, settings: MatchSettings, threads: int
) -> Pairs:
    if engine not in ENGINES:
        raise ConfigError("No such matching engine", got=engine, expected=" or ".join(ENGINES))
    if not motifs:
        return Pairs(_no_rows())
    if engine == "tomtom":
        from biosae.motifs.external import tomtom_pairs

        return tomtom_pairs(motifs, database, settings)
    return batched_pairs(motifs, database, settings, threads)


def batched_pairs(
    motifs: Sequence[Motif], database: Sequence[Motif], settings: MatchSettings, threads: int
) -> Pairs:
    """Compare with ``comparison``. TomTom multiplies q by a bootstrapped share of nulls; here that is 1."""
    targets = prepare_targets(database, settings.distance)
    tables, log10_p = [], np.empty((len(motifs), len(database)))
    for first in range(0, len(motifs), _QUERIES_AT_A_TIME):
        block = slice(first, first + _QUERIES_AT_A_TIME)
        compared = compare(motifs[block], targets, settings.distance, threads, settings.min_overlap)
        log10_p[block] = compared.log10_p
        tables.append(_reported(compared, settings.report_q, first))
    rows = pd.concat(tables, ignore_index=True)
    # a family of all pairs: the rank of a pair counts those that are not reported, too
    log10_q = benjamini_hochberg(log10_p.ravel()).reshape(log10_p.shape)
    rows["log10_q_run"] = log10_q[rows["query"], rows["target"]]
    return Pairs(rows)


def _reported(compared: Comparison, report_q: float, first: int) -> pd.DataFrame:
    """Rows of a block of queries up to ``report_q``; ``first`` is the index of its first query."""
    n_targets = compared.log10_p.shape[1]
    both = np.hstack([compared.log10_p, compared.log10_p_other])
    log10_q = np.vstack([benjamini_hochberg(row) for row in both])[:, :n_targets]
    query, target = np.nonzero(log10_q <= np.log10(report_q))
    log10_p = compared.log10_p[query, target]
    p_value = np.array([power_of_ten(value) for value in log10_p])
    table = pd.DataFrame(
        {
            "query": query + first,
            "target": target,
            "p_value": p_value,
            "log10_p": log10_p,
            "e_value": p_value * n_targets,
            "q_value": np.array([power_of_ten(value) for value in log10_q[query, target]]),
            "offset": compared.offset[query, target].astype(np.int64),
            "overlap": compared.overlap[query, target].astype(np.int64),
            "orientation": np.where(compared.reverse[query, target], "-", "+"),
        }
    )
    return table.sort_values(["query", "log10_p", "target"], kind="stable")


def _no_rows() -> pd.DataFrame:
    numbers = ("p_value", "log10_p", "e_value", "q_value", "log10_q_run")
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
    flags = [flag(motif.matrix, settings.min_information_bits) for motif in motifs]
    table = pd.DataFrame(
        {
            "query": pd.Series([motif.id for motif in queries], dtype="string"),
            **{
                name: pd.array([ids[i] for ids in node_of], "Int64")
                for i, name in enumerate(("rank", "node", "motif"))
            },
            "target": pd.Series([motif.id for motif in forward], dtype="string"),
            "target_name": pd.array([motif.name or None for motif in forward], "string"),
            **{name: rows[name].to_numpy() for name in ("p_value", "log10_p", "e_value", "q_value")},
            "q_value_run": np.array([power_of_ten(value) for value in rows["log10_q_run"]], np.float64),
            **dict.fromkeys(("p_null", "q_null"), np.nan),  # a run's null sets fill these
            **{name: rows[name].to_numpy() for name in ("offset", "overlap", "orientation")},
            "query_consensus": pd.Series([motif.likeliest_letters for motif in queries], dtype="string"),
            "target_consensus": pd.Series([motif.likeliest_letters for motif in read], dtype="string"),
            "database": database_name,
            "query_flag": pd.array([flags[i] for i in rows["query"]], "string"),
            "target_promiscuous": pd.array([None] * len(rows), "boolean"),
            "significant": rows["q_value"].to_numpy() < settings.significance,
        }
    )
    return conform(table, "matches")
