"""The runs of a configuration: the grid of SAEs, the baselines beside it, which is compared with which."""

from __future__ import annotations

import itertools

from biosae.errors import ConfigError
from biosae.geometry import Layer, find_layer
from biosae.recipes import PRESETS, resolve_k
from biosae.roles import DATA, SHAPELESS

_SHAPE = ("kind", "expansion", "k", "learning_rate")


def layer_of(config: dict) -> Layer:
    """The layer that the configuration names."""
    given = {key: value for key, value in config["layer"].items() if key != "name"}
    return find_layer(config["layer"]["name"], given)


def runs(config: dict) -> dict[str, dict]:
    """Every run of the configuration: name -> what distinguishes it, in the order of the grid, nulls last.

    Every run has kind, role (``sae`` or the baseline's name) and data (``given``, ``permuted`` or
    ``random_model``: whose stores it reads). An SAE has also expansion, k (resolved to a count; kind relu
    has none, and is there once whatever the k of the others), learning_rate and seed; so have the
    baselines that are trained, and ``random`` without a learning rate. These are made once for each shape
    of the grid, with its first seed.
    """
    grid = _grid(config)
    found = dict(grid)
    for role in config["baselines"]:
        found |= _baselines(role, list(grid.values()), config["sae"]["grid"]["seed"][0])
    return found


def siblings_of(found: dict[str, dict]) -> dict[str, list[str]]:
    """For each of these runs the others that differ from it in the seed alone, in their order."""
    alike: dict[tuple, list[str]] = {}
    for name, run in found.items():
        alike.setdefault(_but_for_seed(run), []).append(name)
    return {
        name: [other for other in alike[_but_for_seed(run)] if other != name] for name, run in found.items()
    }


def _but_for_seed(run: dict) -> tuple:
    return tuple(sorted((key, value) for key, value in run.items() if key != "seed"))


def nulls_of(config: dict) -> dict[str, list[str]]:
    """For each SAE run the names of the baselines that it is compared with.

    These are the baselines without a shape, and those of its own shape: kind, expansion, k and learning
    rate; of ``random`` expansion and k alone.
    """
    every = runs(config)
    nulls = {name: run for name, run in every.items() if run["role"] != "sae"}
    return {
        name: [null for null, other in nulls.items() if _fits(run, other)]
        for name, run in every.items()
        if run["role"] == "sae"
    }


def _fits(sae: dict, null: dict) -> bool:
    keys = {"random": ("expansion", "k")}.get(null["role"], _SHAPE)
    return null["role"] in SHAPELESS or all(sae.get(key) == null.get(key) for key in keys)


def _grid(config: dict) -> dict[str, dict]:
    layer = layer_of(config)
    found: dict[str, dict] = {}
    for kind, expansion, (k, k_of), rate, seed in itertools.product(*_axes(config["sae"])):
        size = {}
        if kind != "relu":
            size = {"k": resolve_k(k, k_of, layer.channels, expansion * layer.channels)}
        run = {"kind": kind, "expansion": expansion, **size, "learning_rate": rate, "seed": seed}
        run |= {"role": "sae", "data": "given"}
        name = _name(run)
        if name in found and kind != "relu":
            raise ConfigError(
                "Two runs of the grid have one name",
                got=name,
                mend="leave out one of two k of the same count, or of two nearly equal learning rates",
            )
        found[name] = run
    return found


def _axes(sae: dict) -> tuple[list, ...]:
    """Kinds, expansions, (k, what it is counted of), learning rates and seeds; null is the preset's value."""
    grid, preset = sae["grid"], PRESETS[sae["preset"]]
    sizes = [(k, sae["k_of"]) for k in grid["k"]] if grid["k"] else [(preset.k, preset.k_of)]
    expansions = grid["expansion"] or [preset.expansion]
    return grid["kind"], expansions, sizes, grid["learning_rate"] or [preset.learning_rate], grid["seed"]


def _baselines(role: str, grid: list[dict], seed: int) -> dict[str, dict]:
    """The runs of one baseline: one, or one for each shape of the grid."""
    if role in SHAPELESS:
        return {role: {"kind": role, "role": role, "data": "given"}}
    found = {}
    for sae in grid:
        run = {**sae, "seed": seed, "role": role, "data": role if role in DATA else "given"}
        if role == "random":
            if sae["kind"] == "relu":
                continue  # without k there is no choice of nodes to draw at random
            run["kind"] = "topk"
            del run["learning_rate"]
        found[_name(run)] = run
    return found


def _name(run: dict) -> str:
    """``topk-x4-k36-lr0.002-s0``; of a baseline its role stands before it, in place of topk."""
    words = [run["kind"]] if run["role"] == "sae" else [run["role"], *[run["kind"]][run["kind"] == "topk" :]]
    words.append(f"x{run['expansion']}")
    words += [f"{mark}{run[key]:g}" for key, mark in (("k", "k"), ("learning_rate", "lr")) if key in run]
    return "-".join([*words, f"s{run['seed']}"])
