"""The score against planted truth: as observed, and with sequences drawn with replacement.

F1 of a detector is 2 TP / (2 TP + FP + FN) over the positions of the store; a replicate draws sequences, the
same for every run, while the assigned node and its threshold stay as they are. Motif recall and precision
count matches of matrices, which no draw of sequences changes: they have no interval.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from biosae.artefacts import read_table
from biosae.scoreboard.bootstrap import draw_weights
from biosae.summary import load_recovery

FIGURES = ("motif_recall", "motif_precision", "assignment_f1", "detectors_found")
RESAMPLED = FIGURES[2:]
FOUND_F1 = 0.7  # a detector counts as found from this F1 on
_COUNTS = ("true_positive", "false_positive", "false_negative")


def load_loci(run: Path) -> pd.DataFrame | None:
    """Rows of recovery_loci.tsv, or None where the truth is not known."""
    path = run / "recovery_loci.tsv"
    return read_table(path, "recovery_loci") if path.exists() else None


def recovery_figures(runs: dict[str, Path], replicates: int, seed: int) -> dict[str, dict[str, np.ndarray]]:
    """Figures of the runs that were scored: run -> figure -> (1 + replicates,), or (1,) without replicates.

    A figure that a run does not state is left out of it.
    """
    scores = {name: score for name, run in runs.items() if (score := load_recovery(run))}
    loci = {name: load_loci(runs[name]) for name in scores}
    loci = {name: table for name, table in loci.items() if table is not None}
    f1 = detector_f1({name: table for name, table in loci.items()}, replicates, seed)
    found = {}
    for name, score in scores.items():
        own = {figure: np.array([score[figure]]) for figure in FIGURES if score.get(figure) is not None}
        for figure in RESAMPLED:
            if name in f1 and figure in own:
                drawn = f1[name] if figure == "assignment_f1" else f1[name] >= FOUND_F1
                own[figure] = np.append(own[figure], drawn.sum(1) / score["n_detectors"])
        found[name] = own
    return found


def detector_f1(loci: dict[str, pd.DataFrame], replicates: int, seed: int) -> dict[str, np.ndarray]:
    """F1 of each run's detectors in each replicate, (replicates, detectors that stand in its table).

    Args:
        loci: rows of schema ``recovery_loci`` by run; their sequences are one population.
    """
    names = sorted(set().union(*(table["sequence"] for table in loci.values())))
    place = pd.Series(range(len(names)), index=names)
    weights = draw_weights(len(names), replicates, (seed, 1)).astype(np.float64)
    found = {}
    for run, table in loci.items():
        detector, labels = pd.factorize(table["detector"], sort=True)
        drawn = weights[place[table["sequence"]].to_numpy("int64")] if len(table) else weights[:0]
        belongs = (detector == np.arange(len(labels))[:, None]).astype(np.float64)
        true, false_positive, false_negative = (
            ((belongs * table[name].to_numpy("float64")) @ drawn).T for name in _COUNTS
        )
        either = 2 * true + false_positive + false_negative
        found[run] = np.divide(2 * true, either, out=np.zeros_like(true), where=either > 0)
    return found
