"""Command-line options of the programs that make a dictionary. Imports nothing heavy."""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path

from biosae import cli
from biosae.errors import ConfigError
from biosae.recipes import PRESETS, Recipe, recipe_of


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
    """Add ``--dictionary``; ``given_runs`` reads it back."""
    parser.add_argument(
        "--dictionary",
        dest="runs",  # not --run: torchrun would take that for its own
        action="append",
        nargs="+",
        metavar=("NAME", "KEY=VALUE"),
        default=[],
        help="train several dictionaries and read the store once: repeat this for each. NAME is its folder "
        "below --output; each KEY=VALUE (kind=topk expansion=4 k=36 learning_rate=2e-3 seed=1, or any other "
        "option of a recipe) takes the place of that option for this one",
    )


def given_runs(arguments: argparse.Namespace) -> list[tuple[str, Recipe, Path]]:
    """(kind, recipe, folder) of each run that the options describe; one without ``--dictionary``.

    Raises:
        ConfigError: a name twice, a word that is not KEY=VALUE, an unknown key, a value without sense.
    """
    if not arguments.runs:
        return [(arguments.kind, given_recipe(arguments), arguments.output)]
    found: dict[str, tuple[str, Recipe, Path]] = {}
    for name, *words in arguments.runs:
        own = dict(_key_value(word, name) for word in words)
        kind = own.pop("kind", arguments.kind)
        if name in found or name in ("", "..") or Path(name).name != name:
            raise ConfigError("--dictionary needs the name of a folder, each once", got=name)
        recipe = recipe_of(arguments.preset, {**_given(arguments), **own})
        found[name] = kind, recipe, arguments.output / name
    return list(found.values())


def _key_value(word: str, name: str) -> tuple[str, object]:
    key, equals, text = word.partition("=")
    key = key.replace("-", "_")
    kinds = {"kind": str, **{rule.name: rule.metadata["kind"] for rule in fields(Recipe)}}
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
