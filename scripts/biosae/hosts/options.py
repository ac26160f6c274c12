"""Command-line options that describe a host. Imports nothing heavy before they are read back."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from biosae import cli
from biosae.errors import ConfigError

if TYPE_CHECKING:
    from biosae.hosts.loading import HostSpec


def add_host_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that describe a host, its layer included; ``host_spec`` reads them back."""
    parser.add_argument("--factory", default="borzoi", help="borzoi, or package.module:function of a model")
    parser.add_argument("--arguments", default="{}", help="arguments of the factory, as one JSON object")
    parser.add_argument("--weights", required=True, help="a local file or folder, or random:SEED")
    parser.add_argument("--module", help="path of the module that is read; None: that of the layer")
    parser.add_argument("--head", choices=("human", "mouse"), default="human", help="outputs of Borzoi")
    parser.add_argument(
        "--tracks-first",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="another model's outputs are (n, tracks, bins), else (n, bins, tracks)",
    )
    parser.add_argument("--bin-bp", type=int, help="bases a bin of another model's outputs")
    parser.add_argument(
        "--precision",
        choices=("float32", "tf32", "bfloat16"),
        default="float32",
        help="of the model's products; tf32 and bfloat16 are faster on a GPU and less exact",
    )
    cli.add_device(parser)
    cli.add_layer(parser)


def host_spec(arguments: argparse.Namespace) -> HostSpec:
    """The host that the options of ``add_host_options`` describe.

    Raises:
        ConfigError: ``--arguments`` is no JSON object.
    """
    from biosae.hosts.loading import HostSpec

    try:
        of_factory = json.loads(arguments.arguments)
    except ValueError as error:
        raise _not_an_object(arguments.arguments) from error
    if not isinstance(of_factory, dict):
        raise _not_an_object(arguments.arguments)
    same = ("weights", "factory", "module", "head", "tracks_first", "bin_bp", "device", "precision")
    told = {name: getattr(arguments, name) for name in same}
    return HostSpec(layer=cli.layer_of(arguments), arguments=of_factory, **told)


def _not_an_object(text: str) -> ConfigError:
    return ConfigError("--arguments is no JSON object", got=text, expected='such as {"depth": 0, "dim": 32}')
