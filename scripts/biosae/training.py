"""Training of sparse autoencoders: the loop, early stopping, and resuming to the same bits.

The loss is the mean squared error in normalised channels, plus the AuxK loss if the recipe asks for
it. Everything that a step depends on is a function of (recipe, store, step): no random draw happens
after initialisation but the shuffler's, which is a function of (seed, epoch). ``state.pt`` holds the
rest, so that a run which was killed continues to the same final bits on the CPU (same machine and
number of threads).

Floor: see ``biosae.model``; on top of it Adam reads and writes 7 numbers a weight and step.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F

from biosae.activations import ActivationStore, shuffled_batches
from biosae.cli import progress
from biosae.model import SAE
from biosae.recipes import Recipe, Schedule, resolve_k
from biosae.trainer import STATE, Trainer, validation_columns

_log = logging.getLogger(__name__)


def new_model(recipe: Recipe, channels: int, shift, scale) -> SAE:
    """A fresh sparse autoencoder of a recipe; ``shift`` and ``scale`` are the normaliser's vectors."""
    n_nodes = recipe.nodes(channels)
    k = resolve_k(recipe.k, recipe.k_of, channels, n_nodes)
    model = SAE(channels, n_nodes, k, recipe.layer_norm, shift, scale, seed=recipe.seed)
    with torch.no_grad():
        if recipe.tied_initialisation:
            generator = torch.Generator().manual_seed(recipe.seed)
            model.decoder.copy_(torch.randn(n_nodes, channels, generator=generator))
        if recipe.tied_initialisation or recipe.unit_norm_decoder:
            model.decoder.copy_(F.normalize(model.decoder, dim=1))
        if recipe.tied_initialisation:
            model.encoder.copy_(model.decoder)
    return model


def untrained_curve(figures: dict) -> list[dict]:
    """The one row of a dictionary that is not trained here."""
    start = {"step": 0, "positions": 0, "epoch": 0.0, "learning_rate": 0.0}
    empty = dict.fromkeys(("train_mse", "train_fvu", "train_silent_fraction"))
    return [{**start, **empty, **validation_columns(figures)}]


def run_identity(model: SAE, recipe: Recipe, store: ActivationStore, validation: object) -> dict:
    """What a training state must agree with: all that its continuation depends on."""
    vectors = torch.cat([model.shift, model.scale]).cpu().numpy().tobytes()
    return {
        "recipe": recipe.as_dict(),
        "model": model.structure(),
        "normaliser": hashlib.sha256(vectors).hexdigest(),
        "training store": store.fingerprint(),
        "validation": validation,
    }


def train(
    model: SAE,
    store: ActivationStore,
    validate: Callable[[SAE], dict],
    recipe: Recipe,
    output: Path,
    *,
    validation_identity: object = None,
    resume: bool = True,
    checkpoint_seconds: float = 600.0,
) -> list[dict]:
    """Train ``model`` in place on ``store``; the rows of its training curve.

    Args:
        model: from ``new_model``, on its device.
        store: training rows.
        validate: gives ``evaluation.evaluate``'s figures of a model.
        recipe: see ``biosae.recipes``.
        output: folder of ``state.pt``; the caller calls ``remove_state`` once the results are written.
        validation_identity: what ``validate`` depends on, as plain values, kept in the state.
        resume: continue from a state in ``output``; False: overwrite it.
        checkpoint_seconds: least time between two states; changes no result.

    Raises:
        TrainingError: the loss is not finite. InputError: the state is damaged or of another run.
    """
    recipe = recipe.for_store(store.positions)
    trainer = Trainer(model, Schedule(recipe, store.n_rows))
    identity = run_identity(model, recipe, store, validation_identity)
    path = Path(output) / STATE
    if resume and path.exists():
        trainer.load(path, identity)
        _log.info("resuming at step %d of %d", trainer.step, trainer.schedule.steps)
    else:
        trainer.initialise(next(_batches(trainer, store)))
        trainer.add_row(validate(model))
    _loop(trainer, store, validate, lambda: trainer.save(path, identity), checkpoint_seconds)
    _restore_best(trainer)
    return trainer.curve


def _restore_best(trainer: Trainer) -> None:
    if trainer.best is not None:
        trainer.model.load_state_dict(trainer.best["weights"])
        _log.info("keeping the weights of step %d, the lowest validation MSE", trainer.best["step"])


def _batches(trainer: Trainer, store: ActivationStore):
    recipe = trainer.recipe
    shuffling = {
        "block_rows": recipe.block_rows,
        "pool_blocks": recipe.pool_blocks,
        "shuffle": recipe.shuffle,
    }
    return shuffled_batches(
        store, recipe.batch_rows, recipe.seed, trainer.epoch, start_batch=trainer.batch, **shuffling
    )


def _loop(
    trainer: Trainer,
    store: ActivationStore,
    validate: Callable,
    save: Callable[[], None],
    every_seconds: float,
) -> None:
    saved_at = time.monotonic()
    with progress(what="train", total=trainer.schedule.positions, unit="pos") as bar:
        bar.update(trainer.positions)
        while not trainer.done:
            for batch in _batches(trainer, store):
                trainer.train_step(batch)
                bar.update(len(batch))
                _show(bar, trainer)
                if trainer.schedule.evaluates(trainer.step):
                    trainer.add_row(validate(trainer.model))
                if trainer.done:
                    break
                if time.monotonic() - saved_at >= every_seconds:
                    save()
                    saved_at = time.monotonic()
            else:
                trainer.epoch, trainer.batch = trainer.epoch + 1, 0
        trainer.check()


def _show(bar, trainer: Trainer) -> None:
    last = trainer.curve[-1]
    values = {"loss": trainer.last_loss, "fvu": last["validation_fvu"], "dead": last["dead_fraction"]}
    bar.set_postfix({k: f"{v:.4g}" for k, v in values.items() if v is not None}, refresh=False)


def remove_state(output: Path) -> None:
    """Delete the training state, and what a killed process left half written."""
    for path in (Path(output) / STATE, *Path(output).glob(f".{STATE}.*.tmp")):
        path.unlink(missing_ok=True)
