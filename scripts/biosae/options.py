"""Command-line options of the programs that make a dictionary. Imports nothing heavy."""

from __future__ import annotations

import argparse
from dataclasses import fields, replace
from pathlib import Path

from biosae import cli
from biosae.errors import ConfigError
from biosae.recipes import PRESETS, Recipe, recipe_of, resolve_k
from biosae.roles import SHAPELESS, TRAINED_ROLES

_ROLE_HELP = "what the run is written down as: an SAE, or which null"


def add_run_options(parser: argparse.ArgumentParser, validation_required: bool = True) -> None:
    """Add what every program that makes a dictionary takes; ``runs.RunInputs.open`` reads it back."""
    parser.add_argument(
        "--validation",
        type=cli.existing_path,
        required=validation_required,
        help="folder of the validation store",
        default=argparse.SUPPRESS,
    )
    parser.add_argument(
        "--output", type=Path, required=True, help="folder of the run", default=argparse.SUPPRESS
    )
    cli.add_layer(parser)
    cli.add_pad(parser)
    parser.add_argument(
        "--evaluation-positions", type=int, default=1_000_000, help="validation positions evaluated at most"
    )
    cli.add_device(parser)
    cli.add_threads(parser)


def add_recipe(parser: argparse.ArgumentParser, leave_out: tuple[str, ...] = ("seed",)) -> None:
    """Add ``--preset`` and one option per field of ``Recipe``; ``given_recipe`` reads them back."""
    parser.add_argument(
        "--preset",
        choices=sorted(PRESETS),
        default="default",
        help="fills every option below that is not given",
    )
    for rule in fields(Recipe):
        if rule.name in leave_out:
            continue
        values = ", ".join(f"{name}: {getattr(recipe, rule.name)}" for name, recipe in PRESETS.items())
        how: dict = {"default": argparse.SUPPRESS, "help": f"{rule.metadata['help']} ({values})"}
        if rule.metadata["kind"] is bool:
            how["action"] = argparse.BooleanOptionalAction
        else:
            how |= {"type": rule.metadata["kind"], "choices": rule.metadata["among"] or None}
        parser.add_argument("--" + rule.name.replace("_", "-"), **how)


def given_recipe(arguments: argparse.Namespace) -> Recipe:
    """The recipe that the options of ``add_recipe`` describe."""
    return recipe_of(arguments.preset, _given(arguments))


def _given(arguments: argparse.Namespace) -> dict:
    return {rule.name: getattr(arguments, rule.name, None) for rule in fields(Recipe)}


def add_runs(parser: argparse.ArgumentParser) -> None:
    """Add ``--role`` and ``--dictionary``; ``given_runs`` reads them back."""
    parser.add_argument(
        "--role", choices=TRAINED_ROLES, default="sae", help=f"{_ROLE_HELP}; it changes no result"
    )
    parser.add_argument(
        "--dictionary",
        dest="runs",  # not --run: torchrun would take that for its own
        action="append",
        nargs="+",
        metavar=("NAME", "KEY=VALUE"),
        default=[],
        help="train several dictionaries and read the store once: repeat this for each. NAME is its folder "
        "below --output; each KEY=VALUE (kind=topk expansion=4 k=36 learning_rate=2e-3 seed=1, or any other "
        "option of a recipe, or role) takes the place of that option for this one",
    )


def given_runs(arguments: argparse.Namespace) -> list[tuple[str, Recipe, Path, str]]:
    """(kind, recipe, folder, role) of each run that the options describe; one without ``--dictionary``.

    Raises:
        ConfigError: a name twice, a word that is not KEY=VALUE, an unknown key, a value without sense.
    """
    if not arguments.runs:
        return [(arguments.kind, given_recipe(arguments), arguments.output, arguments.role)]
    found: dict[str, tuple[str, Recipe, Path, str]] = {}
    for name, *words in arguments.runs:
        own = dict(_key_value(word, name) for word in words)
        kind, role = own.pop("kind", arguments.kind), own.pop("role", arguments.role)
        if role not in TRAINED_ROLES:
            raise ConfigError("Unknown role of a run", where=f"run {name}", got=role, expected=TRAINED_ROLES)
        if name in found or name in ("", "..") or Path(name).name != name:
            raise ConfigError("--dictionary needs the name of a folder, each once", got=name)
        recipe = recipe_of(arguments.preset, {**_given(arguments), **own})
        found[name] = kind, recipe, arguments.output / name, role
    return list(found.values())


def add_baseline(parser: argparse.ArgumentParser) -> None:
    """Add what ``build_baseline.py`` alone takes; ``given_shape`` reads the shape of kind random back."""
    kinds = [*SHAPELESS, "random"]
    parser.add_argument("--kind", choices=kinds, default="raw", help="kind of baseline")
    parser.add_argument("--components", type=int, help="of pca and ica; None: as many as channels")
    parser.add_argument(
        "--sample-positions",
        type=int,
        default=500_000,
        help="training positions, spread evenly, that pca, ica and the mean of random are fitted on",
    )
    parser.add_argument("--expansion", type=float, help="kind random: nodes per channel")
    parser.add_argument("--k", type=float, help="kind random: active nodes a position, a count")
    parser.add_argument(
        "--layer-norm",
        action=argparse.BooleanOptionalAction,
        help="kind random: per-position LayerNorm; None: the preset's",
    )


def given_shape(arguments: argparse.Namespace, recipe: Recipe, channels: int) -> dict:
    """n_nodes, k and layer_norm of a random baseline; nothing for the other kinds.

    Raises:
        ConfigError: kind random without expansion and k, or with more active nodes than nodes.
    """
    if arguments.kind != "random":
        return {}
    if arguments.expansion is None or arguments.k is None:
        raise ConfigError(
            "A random baseline needs the shape of the SAE that it stands beside",
            got={"expansion": arguments.expansion, "k": arguments.k},
            mend="give --expansion and --k",
        )
    n_nodes = replace(recipe, expansion=arguments.expansion).nodes(channels)
    k = resolve_k(arguments.k, "absolute", channels, n_nodes)
    return {"n_nodes": n_nodes, "k": k, "layer_norm": recipe.layer_norm}


def _key_value(word: str, name: str) -> tuple[str, object]:
    key, equals, text = word.partition("=")
    key = key.replace("-", "_")
    kinds = {"kind": str, "role": str, **{rule.name: rule.metadata["kind"] for rule in fields(Recipe)}}
    try:
        if not equals or key not in kinds:
            raise ValueError("no such key" if equals else "no =")
        return key, {"true": True, "false": False}[text] if kinds[key] is bool else kinds[key](text)
    except (ValueError, KeyError) as error:
        raise ConfigError(
            "--dictionary holds a word that is not understood",
            where=f"run {name}",
            got=f"'{word}' ({error})",
            expected=f"KEY=VALUE, KEY one of {', '.join(kinds)}; true or false for a switch",
        ) from error
