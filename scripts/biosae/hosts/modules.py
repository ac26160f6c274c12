"""One module of a network by its path: found, or refused with the nearest path; used once a forward pass."""

from __future__ import annotations

import difflib

from torch import nn

from biosae.errors import ConfigError


def find_module(network: nn.Module, path: str) -> nn.Module:
    """The module at a dotted path such as ``res_tower.2``.

    Raises:
        ConfigError: there is none (the nearest paths are named), or the same module stands at several
            paths: it runs several times in one pass, and its output would be that of whichever came first.
    """
    every = dict(network.named_modules(remove_duplicate=False))
    every.pop("", None)
    if path not in every:
        near = difflib.get_close_matches(path, every, n=3, cutoff=0.4) or list(every)[:3]
        raise ConfigError(
            "The model has no module of this path",
            got=path,
            expected=f"the nearest: {', '.join(near)}",
            where=f"{type(network).__name__}, {len(every)} modules",
            mend="name the layer conv1d_1 to conv1d_5 of Borzoi, or give one of the model's paths",
        )
    shared = [name for name, module in every.items() if module is every[path]]
    if len(shared) > 1:
        raise ConfigError(
            "This module stands at several places of the model and runs several times in one pass",
            got=f"{path}, the same module as {', '.join(name for name in shared if name != path)}",
            expected="a module that runs once",
            mend="name a module beside it: the convolution before a shared pool",
        )
    return every[path]
