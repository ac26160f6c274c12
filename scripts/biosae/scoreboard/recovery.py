"""The score against planted truth: as observed, and with sequences, detectors and motifs drawn again.

F1 of a detector is 2 TP / (2 TP + FP + FN) over the positions of the store. A replicate draws sequences and
detectors for the F1 figures, planted motifs for the recall, the same for every run, and each run's own
significant motifs for the precision. Nodes stay assigned and thresholds stay where they are.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from biosae.artefacts import read_table
from biosae.scoreboard.bootstrap import draw_weights, named_seed
from biosae.summary import load_json, load_recovery
from biosae.synthetic.found import FOUND_F1

FIGURES = ("motif_recall", "motif_precision", "assignment_f1", "detectors_found")
_COUNTS = ("true_positive", "false_positive", "false_negative")


def recovery_figures(runs: dict[str, Path], replicates: int, seed: int) -> dict[str, dict[str, np.ndarray]]:
    """Figures of the runs that were scored: run -> figure -> (1 + replicates,), row 0 observed.

    A figure that a run does not state is left out of it.

    Raises:
        InputError, ContractError: recovery.json is there, and recovery_loci.tsv is missing or does not fit.
    """
    scores = {name: score for name, run in runs.items() if (score := load_recovery(run))}
    loci = {name: read_table(runs[name] / "recovery_loci.tsv", "recovery_loci") for name in scores}
    draws = detector_draws(loci, {name: s["n_detectors"] for name, s in scores.items()}, replicates, seed)
    found = {}
    for name, score in scores.items():
        details = load_json(runs[name] / "recovery.json")
        drawn = dict(zip(("assignment_f1", "detectors_found"), draws[name], strict=True))
        drawn["motif_recall"] = recall_draws(details, replicates, seed)
        rng = np.random.default_rng(named_seed(seed, "precision", name))
        n, share = details.get("n_significant_motifs") or 0, score["motif_precision"] or 0.0
        drawn["motif_precision"] = rng.binomial(n, share, replicates) / max(n, 1)
        stated = [figure for figure in FIGURES if score[figure] is not None]
        found[name] = {figure: np.append(score[figure], drawn[figure]) for figure in stated}
    return found


def recall_draws(details: dict, replicates: int, seed: int) -> np.ndarray:
    """Motif recall with planted motifs drawn with replacement, the same for all runs of a world."""
    found, missed = (details.get(f"planted_motifs_{name}", []) for name in ("found", "missed"))
    names = sorted([*found, *missed])
    weights = draw_weights(len(names), replicates, named_seed(seed, "planted"))
    return weights[[name in set(found) for name in names]].sum(0) / max(len(names), 1)


def detector_draws(
    loci: dict[str, pd.DataFrame], n_detectors: dict[str, int], replicates: int, seed: int
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Mean F1 and share of detectors found in each replicate, (replicates,) each, by run.

    Args:
        loci: rows of schema ``recovery_loci`` by run; their sequences and detectors are those of all runs. A
            detector without a row has F1 0.
        n_detectors: scored detectors of each run.
    """
    sequences = sorted(set().union(*(table["sequence"] for table in loci.values())))
    place = pd.Series(range(len(sequences)), index=sequences)
    drawn = draw_weights(len(sequences), replicates, named_seed(seed, "sequences")).astype(np.float64)
    labels = sorted(set().union(*(table["detector"] for table in loci.values())))
    column = {label: i for i, label in enumerate(labels)}
    size = max([len(labels), *n_detectors.values()])
    often = draw_weights(size, replicates, named_seed(seed, "detectors"))[: len(labels)].T
    found = {}
    for run, table in loci.items():
        f1 = np.zeros((replicates, len(labels)))
        for detector, rows in table.groupby("detector"):
            often_there = drawn[place[rows["sequence"]].to_numpy("int64")]
            f1[:, column[detector]] = _f1(*(rows[list(_COUNTS)].to_numpy("float64").T @ often_there))
        found[run] = (often * f1).sum(1) / size, (often * (f1 >= FOUND_F1)).sum(1) / size
    return found


def _f1(true: np.ndarray, false_positive: np.ndarray, false_negative: np.ndarray) -> np.ndarray:
    either = 2 * true + false_positive + false_negative
    return np.divide(2 * true, either, out=np.zeros_like(true), where=either > 0)
