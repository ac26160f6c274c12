"""One rung of the ladder: a world simulated with one seed, and every dictionary scored on it.

Cost: the simulation, one training per recipe and trained baseline, one pass over the validation store per
run; with motifs, three passes over the training store and discovery in three runs.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from biosae.ladder import score as scores
from biosae.ladder.dictionaries import Candidate, candidates
from biosae.ladder.motif_part import motif_scores
from biosae.ladder.names import CHANCE, SAE
from biosae.ladder.settings import synthetic_settings
from biosae.ladder.world import World, make_world

# filled in for some runs alone
MOTIF_FIGURES = ("motif_recall", "motif_precision", "n_significant_motifs")
DETECTOR_COLUMNS = ["detector", "name", "kind", "motif", "strand", "n_fires", "f1", "best_f1"]
log = logging.getLogger(__name__)


class Clock:
    """CPU seconds of this process by part, for the log alone."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Add what happens inside to ``name``."""
        start = time.process_time()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.process_time() - start

    def each(self, items: Iterator[Candidate]) -> Iterator[Candidate]:
        """The candidates, the making of each counted under ``make`` and its run's name."""
        while True:
            start = time.process_time()
            item = next(items, None)
            if item is None:
                return
            self.seconds[f"make {item.run}"] = time.process_time() - start
            yield item


def climb(settings: dict, database: Path, folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Simulate, make every dictionary, score it.

    Args:
        settings: of ``config.rung_settings``.
        database: motif database in MEME format.
        folder: empty; what is simulated goes there and may be deleted afterwards.

    Returns:
        Tables of schemas ladder (one row per run) and ladder_detectors (one per run and detector).
    """
    clock = Clock()
    with clock.part("simulate"):
        world = make_world(synthetic_settings(settings["synthetic"]), database, folder)
    rows, detectors, made = [], [], []
    for candidate in clock.each(candidates(world, settings)):
        with clock.part("score"):
            found = scored(candidate, world, settings)
        made.append(candidate)
        for run, role, result in found:
            rows.append({"run": run, "role": role, **result.figures})
            detectors.append(result.detectors[DETECTOR_COLUMNS].assign(run=run, role=role))
    table = pd.DataFrame(rows)
    if settings["motifs"]:
        with clock.part("motifs"):
            table = with_motifs(table, made, world, settings)
    log.info("CPU seconds: %s", ", ".join(f"{name} {value:.1f}" for name, value in clock.seconds.items()))
    own = {"world": settings["world"], "seed": settings["seed"]}
    columns = MOTIF_FIGURES
    table = table.reindex(columns=[*table.columns, *(name for name in columns if name not in table)])
    return table.assign(**own), pd.concat(detectors, ignore_index=True).assign(**own)


def scored(candidate: Candidate, world: World, settings: dict) -> list[tuple[str, str, scores.Scores]]:
    """Run, role and scores of a candidate; after the first recipe also those of chance."""
    model, least = candidate.model, settings["min_active"]
    codes = scores.encoded(model, world, candidate.data)
    found = [
        (candidate.run, candidate.role, scores.score(model, codes, world, candidate.data, least)),
    ]
    if candidate.run == settings["recipes"][0]["name"]:
        found.append((CHANCE, CHANCE, scores.chance(codes, model.n_nodes, world, least)))
    return found


def with_motifs(table: pd.DataFrame, made: list[Candidate], world: World, settings: dict) -> pd.DataFrame:
    """``table`` with the motif figures of the runs that ``motif_runs`` names; missing in the others."""
    table = table.assign(**dict.fromkeys(MOTIF_FIGURES))
    for candidate in made:
        if candidate.run in motif_runs(table):
            figures = motif_scores(
                candidate.model, world, candidate.data, settings["motifs"], settings["seed"]
            )
            for name, value in figures.items():
                table.loc[table["run"] == candidate.run, name] = value
    return table


def motif_runs(table: pd.DataFrame) -> list[str]:
    """Every SAE, raw, and of the other nulls the one of highest mean F1."""
    others = table[~table["role"].isin([SAE, CHANCE, "raw"])]
    best = others.sort_values("assignment_f1", ascending=False, kind="stable")["run"].head(1)
    return [*table.loc[table["role"].isin([SAE, "raw"]), "run"], *best]
