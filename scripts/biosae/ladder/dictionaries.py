"""The dictionaries of a rung: trained ones, and the baselines that they are compared with."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from biosae import baselines
from biosae.dictionary import Dictionary
from biosae.evaluation import evaluate
from biosae.ladder.names import SAE
from biosae.ladder.world import Stores, World
from biosae.recipes import Recipe, recipe_of
from biosae.roles import DATA
from biosae.statistics import normaliser_vectors
from biosae.training import new_model, train


@dataclass(frozen=True)
class Candidate:
    """A dictionary to be scored: name and role of its run, and whose activations it reads."""

    run: str
    role: str
    data: str
    model: Dictionary


def candidates(world: World, settings: dict) -> Iterator[Candidate]:
    """Each dictionary of a rung, made when its turn comes: the recipes in order, then the baselines.

    Baselines with a shape have that of the first recipe, and are trained as it is.
    """
    seed = settings["seed"]
    for recipe in settings["recipes"]:
        yield Candidate(recipe["name"], SAE, "given", trained(world.stores("given"), recipe, seed))
    first = settings["recipes"][0]
    for role in settings["baselines"]:
        data = role if role in DATA else "given"
        if role in baselines.KINDS:
            model = untrained(world.stores(data), role, first, settings["baseline_settings"], seed)
        else:
            model = trained(world.stores(data), first, seed, frozen=role == "frozen")
        yield Candidate(role, role, data, model)


def recipe_for(entry: dict, channels: int, seed: int, frozen: bool = False) -> Recipe:
    """The training recipe of a config entry, with its number of nodes exactly, for so many channels."""
    own = {"evaluations": 1, **entry["settings"], "seed": seed}
    # as many nodes in every world: otherwise worlds of more channels would have dictionaries of another size
    own["expansion"] = entry["n_nodes"] / channels
    return recipe_of("default", own | ({"frozen_decoder": True} if frozen else {}))


def trained(stores: Stores, entry: dict, seed: int, frozen: bool = False) -> Dictionary:
    """A dictionary trained on ``stores`` as the config entry says; nothing is left on disk."""
    store = stores.train
    recipe = recipe_for(entry, store.channels, seed, frozen)
    shift, scale, _ = normaliser_vectors(stores.statistics, recipe.normaliser)
    model = new_model(recipe, store.channels, shift, scale, entry["kind"])

    def validate(model: Dictionary) -> dict:
        return evaluate(model, stores.validation, recipe.curve_positions or stores.validation.n_rows)

    with tempfile.TemporaryDirectory() as folder:
        train(model, store, validate, recipe, Path(folder))
    return model.eval()


def untrained(stores: Stores, role: str, entry: dict, settings: dict, seed: int) -> Dictionary:
    """A baseline of ``baselines.KINDS`` on ``stores``; random has the shape of the config entry."""
    store = stores.train
    recipe = recipe_for(entry, store.channels, seed)
    shape = new_model(recipe, store.channels, None, None, entry["kind"]).structure()
    vectors = normaliser_vectors(stores.statistics, recipe.normaliser)[:2]
    wanted = baselines.BaselineSettings(
        n_nodes=shape["n_nodes"],
        k=shape["k"],
        layer_norm=shape["layer_norm"],
        seed=seed,
        **settings,
    )
    return baselines.build(role, store, vectors, wanted).model.eval()
