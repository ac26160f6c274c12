"""The self-test's configuration: checked whole, and cut into the settings of one rung (a world and a seed).

Read while Snakemake parses, in every job anew: this module imports nothing heavy.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path

from biosae.config import read_yaml
from biosae.config_schema import complete, refuse_faults
from biosae.errors import ConfigError
from biosae.ladder.settings import synthetic_settings
from biosae.recipes import Recipe, recipe_of
from biosae.roles import TRAINED_KINDS
from biosae.synthetic.settings import check_settings


def load_ladder(config: dict, schema_path: Path) -> dict:
    """Check ``config`` against the schema and against itself; return it with every default filled in.

    Raises:
        ConfigError: a fault of the schema (all are listed), or worlds, axes or recipes that make no sense.
    """
    schema = read_yaml(schema_path)
    full = complete(config, schema)
    for section in ("axes", "worlds"):  # their members' names are the config's own
        if isinstance(full.get(section), dict):
            rule = schema["properties"][section]["additionalProperties"]
            full[section] = {name: complete(item, rule) for name, item in full[section].items()}
    mend = "name a config with --configfile; config/selftest.yaml shows every key"
    refuse_faults(full, schema, "The configuration of the self-test", mend)
    _check_worlds(full)
    _check_recipes(full["recipes"])
    strange = sorted(set(full["motif_seeds"]) - set(full["seeds"]))
    if strange:
        raise ConfigError("motif_seeds must be among seeds", got=strange, expected=full["seeds"])
    return full


def _check_worlds(full: dict) -> None:
    known = full["axes"]
    for name, world in full["worlds"].items():
        unknown = sorted(set(world["axes"]) - set(known))
        if unknown or not world["axes"]:
            raise ConfigError(
                f"World '{name}' must stand on at least one of the axes",
                got=unknown or "none",
                expected=sorted(known),
            )
        check_settings(synthetic_settings(world_settings(full, name, full["seeds"][0])))
    for axis in known:
        places = [str(world["axes"][axis]) for world in full["worlds"].values() if axis in world["axes"]]
        if not places or len(set(places)) < len(places):
            raise ConfigError(f"Axis '{axis}' needs worlds, each at a place of its own", got=places)


def _check_recipes(recipes: list[dict]) -> None:
    names = [recipe["name"] for recipe in recipes]
    if len(set(names)) < len(names):
        raise ConfigError("Two recipes have one name", got=names)
    for recipe in recipes:
        if recipe["kind"] not in TRAINED_KINDS:
            raise ConfigError("Unknown kind of recipe", got=recipe["kind"], expected=TRAINED_KINDS)
        unknown = sorted(set(recipe["settings"]) - {field.name for field in fields(Recipe)})
        if unknown or {"expansion", "seed"} & set(recipe["settings"]):
            raise ConfigError(
                f"Settings of recipe '{recipe['name']}' are keys of a training recipe, but not expansion "
                "(n_nodes says it) nor seed (the rung's)",
                got=unknown or sorted(recipe["settings"]),
            )
        recipe_of("default", recipe["settings"])


def world_settings(full: dict, world: str, seed: int) -> dict:
    """What is simulated in one rung, as plain values of SyntheticSettings."""
    twin = {"random_model": True} if "random_model" in full["baselines"] else {}
    return {**full["base"], **full["worlds"][world]["settings"], **twin, "seed": seed}


def rung_settings(full: dict, world: str, seed: int) -> dict:
    """All that the result of one rung depends on, beside the motif database; plain values."""
    return {
        "world": world,
        "seed": seed,
        "synthetic": world_settings(full, world, seed),
        "recipes": full["recipes"],
        "baselines": full["baselines"],
        "baseline_settings": full["baseline_settings"],
        "min_active": full["min_active"],
        "motifs": full["motifs"] if seed in full["motif_seeds"] else None,
    }


def ladder_places(full: dict) -> list[dict]:
    """Where each world stands: rows of axis, label, place (0 = easiest), difficulty, world, kinds, motifs.

    kinds and motifs say whose detectors the axis is about; None: of all.
    """
    rows = []
    for axis, about in full["axes"].items():
        worlds = [
            (name, world["axes"][axis]) for name, world in full["worlds"].items() if axis in world["axes"]
        ]
        for place, (name, difficulty) in enumerate(_easiest_first(worlds, about["hardest"])):
            focus = {key: about[key] for key in ("kinds", "motifs")}
            rows.append(
                {"axis": axis, "label": about["label"], "place": place, "difficulty": str(difficulty)}
                | {"world": name, **focus}
            )
    return rows


def _easiest_first(worlds: list[tuple[str, object]], hardest: str) -> Iterable[tuple[str, object]]:
    """Numbers in order, the hardest last; words as the worlds stand in the config."""
    if all(isinstance(value, int | float) for _, value in worlds):
        return sorted(worlds, key=lambda item: item[1], reverse=hardest == "low")
    return worlds
