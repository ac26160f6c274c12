"""Command-line options of the programs that make a dictionary. Imports nothing heavy."""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path

from biosae import cli
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
    given = {rule.name: getattr(arguments, rule.name, None) for rule in fields(Recipe)}
    return recipe_of(arguments.preset, given)
