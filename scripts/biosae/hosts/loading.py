"""From a description of a model to a host that runs: built, filled with weights, guarded."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from importlib import import_module
from pathlib import Path

import torch
from torch import nn

from biosae.devices import find_device
from biosae.errors import ConfigError
from biosae.geometry import Layer
from biosae.hosts import borzoi
from biosae.hosts.host import Host
from biosae.hosts.weights import load_weights, random_seed, weights_file

BORZOI = "borzoi"


@dataclass(frozen=True)
class HostSpec:
    """What the config section ``model`` says.

    Attributes:
        layer: geometry that is claimed; an empty ``module`` is taken from ``module``, else from its name.
        weights: a local path, or ``random:<seed>``.
        factory: ``borzoi``, or ``package.module:function``, which is called with ``arguments`` and returns
            a torch.nn.Module that takes (n, 4, length).
        arguments: of the factory.
        module: path of the module that is read; None takes the layer's.
        head: of Borzoi: human or mouse.
        tracks_first, bin_bp: of another model: order of its outputs, and bases a bin.
        device: auto, cpu or cuda.
        precision: float32, tf32 or bfloat16.
    """

    layer: Layer
    weights: str
    factory: str = BORZOI
    arguments: dict = field(default_factory=dict)
    module: str | None = None
    head: str = "human"
    tracks_first: bool = True
    bin_bp: int | None = None
    device: str = "auto"
    precision: str = "float32"


def load_host(spec: HostSpec) -> Host:
    """Build the model, fill it and put it on its device.

    Raises:
        ConfigError: no such device, factory, argument or module; weights that are a hub's name.
        InputError: weights that cannot be read or do not fit.
    """
    device = find_device(spec.device)
    seed = random_seed(spec.weights)
    network = _build(spec, seed)
    if seed is None:
        load_weights(network, weights_file(spec.weights))
    layer = replace(spec.layer, module=spec.module or spec.layer.module or spec.layer.name)
    options: dict = {"tracks_first": spec.tracks_first, "bin_bp": spec.bin_bp}
    if spec.factory == BORZOI:
        options = {
            "bin_bp": borzoi.BIN_BP,
            "forward_options": {"is_human": spec.head == "human"},
            "check_outputs": partial(borzoi.check_outputs, head=spec.head),
        }
    return Host(network, layer, device, spec.precision, **options)


def _build(spec: HostSpec, seed: int | None) -> nn.Module:
    """The network with random weights of ``seed``; the caller's random numbers stay as they were."""
    factory = borzoi.build if spec.factory == BORZOI else find_factory(spec.factory)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed or 0)
        try:
            network = factory(**spec.arguments)
        except TypeError as error:
            raise ConfigError(
                "The factory of the model does not take these arguments",
                got=f"{sorted(spec.arguments)}: {error}",
                where=spec.factory,
                mend="correct model.arguments",
            ) from error
    if not isinstance(network, nn.Module):
        raise ConfigError(
            "The factory of the model gave something else than a torch.nn.Module",
            got=type(network).__name__,
            where=spec.factory,
        )
    return network


def find_factory(name: str) -> Callable[..., object]:
    """The function ``package.module:function``; modules beside the caller's folder are found too.

    Raises:
        ConfigError: not of that form, or it cannot be imported.
    """
    module, colon, function = name.partition(":")
    if not colon or not module or not function:
        raise ConfigError(
            "A model is made by borzoi or by a function",
            got=name,
            expected="borzoi, or package.module:function",
        )
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)  # last: a user's folder must not hide a package
    try:
        found = getattr(import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise ConfigError(
            "The factory of the model cannot be imported",
            got=error,
            where=name,
            mend="install its package, or run where its module lies",
        ) from error
    if not callable(found):
        raise ConfigError("The factory of the model is not a function", got=type(found).__name__, where=name)
    return found
