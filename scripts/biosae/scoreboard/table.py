"""scoreboard.tsv: for each SAE and figure what is left of it beside the best of its nulls.

The best null of a figure is the baseline with its largest value. SAE and null are compared at the smaller of
their two numbers of kept nodes: the figures expected of so many nodes drawn without replacement. The
best null is the one of what was observed, in all replicates.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from biosae.artefacts import conform
from biosae.errors import ConfigError, InputError
from biosae.scoreboard import recovery
from biosae.scoreboard.bootstrap import draw_weights, interval, locus_codes, named_seed, replicate_p
from biosae.scoreboard.run_figures import CLASSES, COUNTS, RunFigures, RunTables, load_tables, run_figures

log = logging.getLogger(__name__)

OF_NODES = COUNTS + CLASSES
FIGURES = OF_NODES + recovery.FIGURES


@dataclass(frozen=True)
class Score:
    """Everything that is compared of one run.

    Attributes:
        figures: of its nodes.
        tested: its motifs have held-out evidence, so that there are replicates.
        recovery: figure -> (1 + replicates,), see ``recovery.recovery_figures``.
    """

    figures: RunFigures
    tested: bool
    recovery: dict[str, np.ndarray]

    def value(self, figure: str) -> float | None:
        """The figure as observed; None where the run does not state it."""
        if figure in recovery.FIGURES:
            return float(self.recovery[figure][0]) if figure in self.recovery else None
        return float(self.figures.at(figure, self.figures.nodes)[0]) if self.figures.has(figure) else None


@dataclass(frozen=True)
class Settings:
    """Of the bootstrap: block length in bp, replicates (at least 20), seed; q below which a motif counts."""

    locus_bp: int
    replicates: int
    seed: int
    significance: float

    def __post_init__(self) -> None:
        if self.locus_bp < 1 or self.replicates < 20 or self.seed < 0:
            raise ConfigError(
                "A scoreboard cannot be made with these settings",
                got=self,
                expected="locus_bp >= 1, replicates >= 20 (fewer give no interval), seed >= 0",
            )


def score_runs(runs: dict[str, Path], kinds: list[str], settings: Settings) -> dict[str, Score]:
    """The figures of all runs, with the same loci drawn for each.

    Args:
        runs: name -> folder.
        kinds: kinds of null sets that the runs were calibrated with.
    """
    tables = {name: load_tables(folder, kinds) for name, folder in runs.items()}
    truth = recovery.recovery_figures(runs, settings.replicates, settings.seed)
    return scored(tables, settings, truth)


def scored(
    tables: dict[str, RunTables], settings: Settings, truth: dict[str, dict[str, np.ndarray]] | None = None
) -> dict[str, Score]:
    """The same from what was read; ``truth``: recovery figures of the runs that have them."""
    loci, n_loci = locus_codes([own.evidence for own in tables.values()], settings.locus_bp)
    log.info("%d loci of %d bp hold the held-out seqlets of all runs", n_loci, settings.locus_bp)
    weights = draw_weights(n_loci, settings.replicates, named_seed(settings.seed, "loci"))
    scores = {}
    for (name, own), codes in zip(tables.items(), loci, strict=True):
        drawn = weights if own.tested else weights[:, :0]
        log10_p = replicate_p(own.evidence, codes, own.motifs["motif_id"].tolist(), drawn)
        nodes = draw_weights(len(own.nodes), drawn.shape[1], named_seed(settings.seed, "nodes", name)).T
        figures = run_figures(own, log10_p, settings.significance, nodes)
        scores[name] = Score(figures, own.tested, (truth or {}).get(name, {}))
        log.info("%s: %d kept nodes, %d motifs", name, len(own.nodes), len(own.motifs))
    return scores


def checked_nulls(nulls: dict[str, list[str]], runs: list[str]) -> dict[str, list[str]]:
    """SAE -> its nulls, all of them among the runs; InputError otherwise."""
    strangers = sorted({name for sae, own in nulls.items() for name in (sae, *own)} - set(runs))
    if strangers:
        raise InputError("Runs to compare are not among the runs given", got=strangers[:5], expected=runs)
    return nulls


def build_scoreboard(layer: str, scores: dict[str, Score], nulls: dict[str, list[str]]) -> pd.DataFrame:
    """Rows of schema ``scoreboard``: each SAE x each figure that it states, in the order given."""
    rows = [
        {"layer": layer, "run": sae, "nulls": ",".join(names) or None, "figure": figure}
        | compare(scores[sae], others, figure)
        for sae, names in nulls.items()
        for others in [{name: scores[name] for name in names}]
        for figure in FIGURES
        if scores[sae].value(figure) is not None
    ]
    columns = ["layer", "run", "nulls", "figure", *_COLUMNS]
    return conform(pd.DataFrame(rows, columns=columns), "scoreboard")


_COLUMNS = (
    "value", "best_null", "null_value", "matched_nodes", "value_matched", "null_value_matched", "difference",
    "ci_low", "ci_high", "replicates", "note",
)  # fmt: skip


def compare(sae: Score, nulls: dict[str, Score], figure: str) -> dict:
    """One row: the columns from ``value`` on."""
    row = dict.fromkeys(_COLUMNS) | {"value": sae.value(figure), "replicates": 0}
    notes = [] if sae.figures.nodes else ["no kept node"]
    known = {name: value for name, null in nulls.items() if (value := null.value(figure)) is not None}
    if known:
        best = max(known, key=lambda name: known[name])  # the first of equals
        row |= {"best_null": best, "null_value": known[best]}
        if not nulls[best].figures.nodes:
            notes.append("the best null has no kept node")
        row |= _difference(sae, nulls[best], figure, notes)
    else:
        notes.append("no baseline to compare with")
    return row | {"note": "; ".join(notes) or None}


def _difference(sae: Score, null: Score, figure: str, notes: list[str]) -> dict:
    """Matched values, their difference and its interval."""
    row = {}
    if figure in recovery.FIGURES:
        ours, theirs = sae.recovery[figure], null.recovery[figure]
    else:
        drawn = min(sae.figures.nodes, null.figures.nodes)
        row["matched_nodes"] = drawn
        if drawn == 0 and sae.figures.nodes:
            return row  # at no nodes there is nothing to compare
        ours, theirs = sae.figures.at(figure, drawn), null.figures.at(figure, drawn)
    row |= {"value_matched": ours[0], "null_value_matched": theirs[0], "difference": ours[0] - theirs[0]}
    if len(ours) == len(theirs) > 1:
        low, high = interval(row["difference"], ours[1:] - theirs[1:])
        row |= {"ci_low": low, "ci_high": high, "replicates": len(ours) - 1}
    else:
        notes.append("no interval: motifs were not tested on held-out seqlets")
    return row
