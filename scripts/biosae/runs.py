"""What the programs that make a dictionary share: their inputs, and the files of a run's folder.

A run's folder gets ``checkpoint/`` (last, so that it exists only with the rest), ``training_curve.tsv``
and ``evaluation.json``, whether the dictionary was trained, built or imported.
"""

from __future__ import annotations

import argparse
import logging
import os
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import torch

from biosae import __version__, artefacts, cli
from biosae.activations import ActivationStore
from biosae.checkpoint import save_checkpoint
from biosae.devices import find_device
from biosae.distributed import ALONE, Ranks
from biosae.errors import ConfigError, InputError
from biosae.evaluation import evaluate, write_evaluation
from biosae.feeding import check_one_stream
from biosae.geometry import Layer
from biosae.locking import locked
from biosae.model import Dictionary
from biosae.recipes import Recipe
from biosae.states import TrainingError, remove_state
from biosae.statistics import load_statistics, normaliser_vectors
from biosae.step import with_precision
from biosae.training import new_model, train_many, untrained_curve

_log = logging.getLogger(__name__)


@dataclass
class RunInputs:
    """Opened and checked inputs of a run; a store that the program was not given is None."""

    layer: Layer
    store: ActivationStore | None
    validation: ActivationStore | None
    evaluation_positions: int
    device: torch.device
    ranks: Ranks = field(default=ALONE)

    @classmethod
    def open(cls, arguments: argparse.Namespace) -> RunInputs:
        """From the options of a program (``biosae.options``); also sets the threads.

        Under ``torchrun`` the threads are shared out over the processes of this machine, which join here.
        """
        torch.set_num_threads(max(1, arguments.threads // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))))
        layer = cli.layer_of(arguments)
        stores = []
        for name in ("activations", "validation"):
            folder = getattr(arguments, name, None)
            checks = (arguments.pad_bp, layer.channels, layer.stride_bp, layer.name)
            stores.append(None if folder is None else ActivationStore.open(folder, *checks))
        if arguments.evaluation_positions < 1:
            raise ConfigError("--evaluation-positions must be positive", got=arguments.evaluation_positions)
        ranks, device = Ranks.start(find_device(arguments.device))
        return cls(layer, *stores, arguments.evaluation_positions, device, ranks)

    def vectors(self, path: Path, normaliser: str) -> tuple:
        """Shift and scale of ``normaliser`` from a statistics file that fits the layer."""
        stats = load_statistics(path)
        if stats.channels != self.layer.channels:
            raise InputError(
                "The statistics are of another layer",
                got=f"{stats.channels} channels",
                expected=f"{self.layer.channels} ({self.layer.name})",
                where=path,
                mend="compute the statistics of this layer's store",
            )
        return normaliser_vectors(stats, normaliser)[:2]


@dataclass(frozen=True)
class TrainedRun:
    """A run to be trained: its kind, recipe and folder, and its role (sae, or which null)."""

    kind: str
    recipe: Recipe
    output: Path
    role: str = "sae"


def train_runs(
    inputs: RunInputs, runs: list[TrainedRun], statistics: Path, resume: bool, checkpoint_seconds: float
) -> None:
    """Train fresh models on one stream (or continue), and write the runs.

    Raises:
        InputError: another process is writing one of the folders; and what ``train_many`` raises.
    """
    check_one_stream([run.recipe.for_store(inputs.store.positions) for run in runs])
    models = []
    for run in runs:
        shift, scale = inputs.vectors(statistics, run.recipe.normaliser)
        models.append(new_model(run.recipe, inputs.layer.channels, shift, scale, run.kind).to(inputs.device))
    outputs = [run.output for run in runs]
    with ExitStack() as locks:
        inputs.ranks.from_main(lambda: [locks.enter_context(locked(output)) for output in outputs] and None)
        positions = [
            min(run.recipe.curve_positions or inputs.evaluation_positions, inputs.evaluation_positions)
            for run in runs
        ]
        curves = train_many(
            models,
            inputs.store,
            [lambda model, most=most: evaluate(model, inputs.validation, most) for most in positions],
            [run.recipe for run in runs],
            outputs,
            validation_identity=[
                {"store": inputs.validation.fingerprint(), "positions": most} for most in positions
            ],
            resume=resume,
            checkpoint_seconds=checkpoint_seconds,
            keep_last_state=True,
            ranks=inputs.ranks,
        )
        inputs.ranks.close()
        if inputs.ranks.is_main:
            for run, model, curve in zip(runs, models, curves, strict=True):
                _write_trained(inputs, run, model, curve)
            for output in outputs:
                remove_state(output)


def _write_trained(inputs: RunInputs, run: TrainedRun, model: Dictionary, curve: list[dict]) -> None:
    recipe = run.recipe
    resolved = with_precision(recipe.for_store(inputs.store.positions), inputs.device)
    config = {"recipe": resolved.as_dict(), "seed": recipe.seed, "normaliser": recipe.normaliser}
    config["role"] = run.role
    config |= {name: getattr(recipe, name) for name in ("expansion", "k_of", "unit_norm_decoder")}
    try:
        write_run(inputs, model, "train_sae.py", config, run.output, curve)
    except OSError as error:
        raise TrainingError(
            "Cannot write the results of a run that is trained",
            where=run.output,
            got=error,
            mend="make space and give the same command again: it goes on from state.pt, nothing is lost",
        ) from error


def write_run(
    inputs: RunInputs,
    model: Dictionary,
    program: str,
    config: dict,
    output: Path,
    curve: list[dict] | None = None,
    note: str | None = None,
) -> None:
    """Evaluate ``model`` and write the run's files.

    Args:
        config: what the checkpoint's config holds beside structure, layer and fingerprints.
        curve: rows of the training curve; None: not trained here, one row at step 0.
        note: a sentence for ``evaluation.json``.
    """
    figures = None
    if inputs.validation is not None:
        figures = evaluate(model, inputs.validation, inputs.evaluation_positions, bar=True)
    config = {
        "role": "sae",
        **config,
        "layer": inputs.layer.as_dict(),
        "store": None if inputs.store is None else inputs.store.fingerprint(),
        "versions": {"biosae": __version__, "torch": torch.__version__},
    }
    settings = {name: value for name, value in config.items() if name not in ("store", "versions")}
    settings |= {"evaluation_positions": inputs.evaluation_positions}
    if figures is not None:
        settings["validation"] = inputs.validation.fingerprint()
        made_by = artefacts.provenance(program, settings, seed=config.get("seed"))
        table = pd.DataFrame(curve or untrained_curve(figures))
        artefacts.write_table(table, output / "training_curve.tsv", "training_curve", made_by)
        write_evaluation(figures, model, output / "evaluation.json", program, settings, note)
        _log.info(
            "validation: fvu %s, l0 %.4g, dead %.4g", *(figures[n] for n in ("fvu", "l0", "dead_fraction"))
        )
    save_checkpoint(model, output / "checkpoint", config)
