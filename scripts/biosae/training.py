"""Training of sparse autoencoders: one or several on one stream, early stopping, and resuming.

The loss is the mean squared error in normalised channels, plus what the recipe adds to it.
Everything that a step depends on is a function of (recipe, store, step): no random draw happens
after initialisation but the shuffler's, which is a function of (shuffle seed, epoch). ``state.pt``
holds the rest, so that a run which was killed continues to the same final bits on the CPU (same
machine and number of processes; steps do not depend on the number of threads). Models that are
trained together share the reading and nothing else: each ends in the bits in which it would have
ended alone.

Floor: see ``biosae.model``; on top of it Adam reads and writes 7 numbers a weight and step.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F

from biosae.activations import ActivationStore
from biosae.distributed import ALONE, Ranks
from biosae.feeding import check_one_stream
from biosae.model import SAE, ReLUSAE, build
from biosae.recipes import Recipe, Schedule, resolve_k
from biosae.states import STATE, remove_state
from biosae.step import with_precision
from biosae.trainer import Trainer, validation_columns
from biosae.training_group import Group, Member

__all__ = ["new_model", "remove_state", "train", "train_many", "untrained_curve"]


def new_model(recipe: Recipe, channels: int, shift, scale, kind: str = SAE.kind) -> SAE:
    """A fresh sparse autoencoder of a recipe; ``shift`` and ``scale`` are the normaliser's vectors."""
    n_nodes = recipe.nodes(channels)
    k = n_nodes if kind == ReLUSAE.kind else resolve_k(recipe.k, recipe.k_of, channels, n_nodes)
    model = build(kind, channels, n_nodes, k, recipe.layer_norm, shift, scale, seed=recipe.seed)
    with torch.no_grad():
        if recipe.tied_initialisation:
            generator = torch.Generator().manual_seed(recipe.seed)
            model.encoder.copy_(F.normalize(torch.randn(n_nodes, channels, generator=generator), dim=1))
            model.decoder.copy_(model.encoder * recipe.decoder_norm)
        if recipe.unit_norm_decoder or recipe.frozen_decoder:
            model.decoder.copy_(F.normalize(model.decoder, dim=1))
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
    **options: object,
) -> list[dict]:
    """Train one ``model`` in place; its curve. See ``train_many``, which this is for one."""
    identity = [validation_identity]
    return train_many(
        [model], store, [validate], [recipe], [output], validation_identity=identity, **options
    )[0]


def train_many(
    models: list[SAE],
    store: ActivationStore,
    validates: list[Callable[[SAE], dict]],
    recipes: list[Recipe],
    outputs: list[Path],
    *,
    validation_identity: list | None = None,
    keep_last_state: bool = False,
    resume: bool = True,
    checkpoint_seconds: float = 600.0,
    ranks: Ranks = ALONE,
) -> list[list[dict]]:
    """Train ``models`` in place on one stream of ``store``; the rows of each one's training curve.

    Args:
        validates: each gives ``evaluation.evaluate``'s figures of its model.
        recipes: of one stream. outputs: folder of each ``state.pt``, for ``remove_state`` in the end.
        validation_identity: what each of ``validates`` depends on, plain values, kept in the states.
        keep_last_state: save when training ends, too, however short it was.
        resume: continue from states in ``outputs`` (see ``Group``); False: overwrite them.
        checkpoint_seconds: least time between two states; changes no result.
        ranks: the processes that share each batch.

    Raises:
        TrainingError: not finite; a state cannot be written; a signal asked to stop.
        InputError: a state is damaged or of another run, or a store.
    """
    resolved = zip(recipes, models, strict=True)
    recipes = [with_precision(r.for_store(store.positions), m.shift.device) for r, m in resolved]
    check_one_stream(recipes)
    members, known = [], validation_identity or [None] * len(models)
    for model, validate, recipe, output, validation in zip(
        models, validates, recipes, outputs, known, strict=True
    ):
        trainer = Trainer(model, Schedule(recipe, store.n_rows), ranks, Path(output).name)
        identity = run_identity(model, recipe, store, validation)
        members.append(Member(trainer, validate, Path(output) / STATE, identity))
    Group(members, ranks, checkpoint_seconds).run(store, resume, keep_last_state)
    return [member.trainer.curve for member in members]
