"""Where a model runs."""

from __future__ import annotations

import torch

from biosae.errors import ConfigError


def find_device(name: str) -> torch.device:
    """``auto`` is the GPU where there is one; ``cuda`` without one is a ConfigError."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("No CUDA device is visible", got="--device cuda", mend="use --device cpu or auto")
    return torch.device(name)
