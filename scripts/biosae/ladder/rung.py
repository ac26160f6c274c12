"""One rung of the ladder: a world simulated with one seed, and every dictionary scored on it.

Cost: the simulation, one training per recipe and trained baseline, one pass over the validation store per
run; with motifs also one pass over the training store and one discovery per run.
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
from biosae.ladder.names import CHANCE
from biosae.ladder.settings import synthetic_settings
from biosae.ladder.world import World, make_world

# missing in chance, whose nodes are the first recipe's, and without motifs
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
    rows, detectors = [], []
    for candidate in clock.each(candidates(world, settings)):
        with clock.part("score"):
            found = scored(candidate, world, settings)
        with clock.part("motifs"):
            motifs = motifs_of(candidate, world, settings)
        for run, role, result in found:
            own = motifs if run == candidate.run else dict.fromkeys(MOTIF_FIGURES)
            rows.append({"run": run, "role": role, **result.figures, **own})
            detectors.append(result.detectors[DETECTOR_COLUMNS].assign(run=run, role=role))
    log.info("CPU seconds: %s", ", ".join(f"{name} {value:.1f}" for name, value in clock.seconds.items()))
    own = {"world": settings["world"], "seed": settings["seed"]}
    return pd.DataFrame(rows).assign(**own), pd.concat(detectors, ignore_index=True).assign(**own)


def scored(candidate: Candidate, world: World, settings: dict) -> list[tuple[str, str, scores.Scores]]:
    """Run, role and scores of a candidate; after the first recipe's also those of chance."""
    model, least = candidate.model, settings["min_active"]
    codes = scores.encoded(model, world, candidate.data)
    found = [
        (candidate.run, candidate.role, scores.score(model, codes, world, candidate.data, least)),
    ]
    if candidate.run == settings["recipes"][0]["name"]:
        found.append((CHANCE, CHANCE, scores.chance(codes, model.n_nodes, world, least)))
    return found


def motifs_of(candidate: Candidate, world: World, settings: dict) -> dict:
    """The motif figures of a candidate, by the names of ``MOTIF_FIGURES``; None each without motifs."""
    if settings["motifs"] is None:
        return dict.fromkeys(MOTIF_FIGURES)
    return motif_scores(candidate.model, world, candidate.data, settings["motifs"], settings["seed"])
