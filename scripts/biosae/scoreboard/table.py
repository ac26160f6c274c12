"""scoreboard.tsv: for each SAE and figure what is left of it beside the best of its nulls.

SAE and null are compared at the smaller of their two numbers of kept nodes: the figures expected of so many
nodes drawn without replacement; figures of the recovery as they are. The best null of a figure is the one
beside which least is left of the SAE, per node compared, as observed; it is the same in all replicates.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from biosae.artefacts import conform, read_table
from biosae.errors import ConfigError, InputError
from biosae.scoreboard import recovery
from biosae.scoreboard.bootstrap import (
    all_loci,
    draw_weights,
    interval,
    locus_codes,
    named_seed,
    replicate_p,
)
from biosae.scoreboard.run_figures import CLASSES, COUNTS, RunFigures, RunTables, load_tables, run_figures

log = logging.getLogger(__name__)

OF_NODES = COUNTS + CLASSES
FIGURES = OF_NODES + recovery.FIGURES
FEWEST_NODES = 10  # fewer compared have no interval: so few drawn again hardly vary


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
    """The figures of all runs, with the same loci drawn for each; one run's evidence at a time.

    Args:
        runs: name -> folder.
        kinds: kinds of null sets that the runs were calibrated with.
    """
    evidence = (read_table(run / "held_out.tsv.gz", "held_out") for run in runs.values())
    loci = all_loci(evidence, settings.locus_bp)
    tables = ((name, load_tables(folder, kinds)) for name, folder in runs.items())
    return scored(tables, loci, settings, recovery.recovery_figures(runs, settings.replicates, settings.seed))


def scored(
    tables: Iterable[tuple[str, RunTables]],
    loci: pd.MultiIndex,
    settings: Settings,
    truth: dict[str, dict[str, np.ndarray]] | None = None,
) -> dict[str, Score]:
    """The same from what was read.

    Args:
        tables: name and tables of each run, which are let go before the next.
        loci: of all runs.
        truth: recovery figures of the runs that have them.
    """
    log.info("%d loci of %d bp hold the held-out seqlets of all runs", len(loci), settings.locus_bp)
    weights = draw_weights(len(loci), settings.replicates, named_seed(settings.seed, "loci"))
    scores = {}
    for name, own in tables:
        drawn = weights if own.tested else weights[:, :0]
        codes = locus_codes(own.evidence, loci, settings.locus_bp)
        log10_p = replicate_p(own.evidence, codes, own.motifs["motif_id"].tolist(), drawn)
        nodes = draw_weights(len(own.nodes), drawn.shape[1], named_seed(settings.seed, "nodes", name)).T
        figures = run_figures(own, log10_p, settings.significance, nodes)
        scores[name] = Score(figures, own.tested, (truth or {}).get(name, {}))
        log.info("%s: %d kept nodes, %d motifs", name, len(own.nodes), len(own.motifs))
    return scores


def checked_runs(folders: Sequence[Path]) -> dict[str, Path]:
    """Name -> folder; ConfigError where two have one name, or not all are of one layer."""
    runs = {folder.resolve().name: folder for folder in folders}
    layers = sorted({folder.resolve().parent.name for folder in folders})
    if len(runs) < len(folders) or len({folder.resolve().parent for folder in folders}) > 1:
        raise ConfigError(
            "A scoreboard is of runs of one layer, each given once",
            got=f"{len(folders)} folders with {len(runs)} names, of {', '.join(layers)}",
            mend="score the runs of each layer by themselves",
        )
    return runs


def files_read(run: Path, kinds: Sequence[str]) -> list[Path]:
    """The files of a run that its figures are made of."""
    names = ["seqlets/manifest.tsv", "motifs.tsv", "matches.tsv", "held_out.tsv.gz", "motif_clusters.tsv"]
    names += [f"nulls/{kind}/{name}.tsv" for kind in kinds for name in ("status", "motifs")]
    if (run / "recovery.json").exists():
        names += ["recovery.json", "recovery_loci.tsv"]
    return [run / name for name in names]


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
        best = _best(sae, {name: nulls[name] for name in known}, figure)
        row |= {"best_null": best, "null_value": known[best]}
        if not nulls[best].figures.nodes:
            notes.append("the best null has no kept node")
        row |= _difference(sae, nulls[best], figure, notes)
    else:
        notes.append("no baseline to compare with")
    return row | {"note": "; ".join(notes) or None}


def _best(sae: Score, nulls: dict[str, Score], figure: str) -> str:
    """The null beside which least is left of the SAE; of equals the larger value, then the first."""

    def order(name: str) -> tuple[float, float]:
        value = nulls[name].value(figure)
        if figure in recovery.FIGURES:
            return sae.value(figure) - value, -value
        drawn = min(sae.figures.nodes, nulls[name].figures.nodes)
        if drawn == 0:
            return math.inf, -value  # nothing to compare: only if there is no other
        lead = sae.figures.at(figure, drawn)[0] - nulls[name].figures.at(figure, drawn)[0]
        return round(lead / drawn, 12), -value  # rounded: what is equal by count is equal

    return min(nulls, key=order)


def _difference(sae: Score, null: Score, figure: str, notes: list[str]) -> dict:
    """Matched values, their difference and its interval."""
    row = {}
    of_truth = figure in recovery.FIGURES
    drawn = min(sae.figures.nodes, null.figures.nodes)
    if of_truth:
        ours, theirs = sae.recovery[figure], null.recovery[figure]
    else:
        row["matched_nodes"] = drawn
        if drawn == 0:
            return row  # at no nodes there is nothing to compare
        ours, theirs = sae.figures.at(figure, drawn), null.figures.at(figure, drawn)
    row |= {"value_matched": ours[0], "null_value_matched": theirs[0], "difference": ours[0] - theirs[0]}
    if not len(ours) == len(theirs) > 1:
        notes.append("no interval: motifs were not tested on held-out seqlets")
    elif drawn < FEWEST_NODES and not of_truth:
        notes.append(f"no interval: fewer than {FEWEST_NODES} nodes compared")
    else:
        low, high = interval(row["difference"], ours[1:] - theirs[1:], centred=not of_truth)
        row |= {"ci_low": low, "ci_high": high, "replicates": len(ours) - 1}
    return row
