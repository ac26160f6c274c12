"""What is special to borzoi-pytorch 0.5.1: how it is built, and guards for what goes wrong in it in silence.

- The pools of the tower are one shared module: ``modules.find_module`` refuses it.
- Attention keeps the relative positions of the first length it saw. A later, shorter input is then computed
  with the wrong ones, without an error: they are made anew whenever the length or the device changes.
- The crop to ``bins_to_return`` refuses short input, and cuts one bin too many where the difference is odd.
- Pools drop the last base of an odd length, and a length that is not a multiple of 128 does not fit
  the skip connections.
"""

from __future__ import annotations

import os

import torch
from torch import nn

from biosae.errors import ConfigError

BIN_BP = 32
MULTIPLE_BP = 128  # seven halvings, the last two made good by upsampling
_ALL_BINS = -1  # bins_to_return: no crop


def build(**arguments: object) -> nn.Module:
    """A Borzoi of borzoi-pytorch with random weights (of PyTorch's current seed), guarded.

    Args:
        arguments: of ``Borzoi.from_hparams``: depth, dim, heads, enable_human_head, bins_to_return, ...

    Raises:
        ConfigError: the package is not installed, or an argument is not known to it.
    """
    os.environ.setdefault("HF_HUB_OFFLINE", "1")  # the package's library could fetch; here nothing is fetched
    try:
        from borzoi_pytorch import Borzoi
        from borzoi_pytorch.config_borzoi import BorzoiConfig
    except ImportError as error:
        raise ConfigError(
            "Borzoi needs the Python package borzoi-pytorch, which is not installed",
            got=error,
            mend="pip install -r requirements-borzoi.txt, or run with --sdm conda",
        ) from error
    known = {**BorzoiConfig().__dict__, "enable_human_head": True, "flashed": False}
    unknown = sorted(set(arguments) - set(known))
    if unknown:
        raise ConfigError(
            "Borzoi has no such argument",
            got=unknown,
            expected="those of Borzoi.from_hparams: dim, depth, heads, enable_human_head, bins_to_return",
        )
    network = Borzoi.from_hparams(**arguments)
    for module in network.modules():
        if hasattr(module, "positions") and hasattr(module, "num_rel_pos_features"):
            module.register_forward_pre_hook(_forget_positions)
    return network


def _forget_positions(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
    """Drop cached relative positions that are not those of this input."""
    (x,) = inputs
    kept = module.positions
    if kept is not None and (len(kept) != 2 * x.shape[-2] - 1 or kept.device != x.device):
        module.positions = None


def check_outputs(network: nn.Module, length_bp: int, head: str = "human") -> None:
    """Refuse what has no outputs: no such head, or a length whose pass fails or crops one bin too many.

    Raises:
        ConfigError: no such head; not a multiple of 128; too short or unevenly cropped (``bins_to_return``).
    """
    if not hasattr(network, f"{head}_head"):
        raise ConfigError(
            f"This Borzoi has no {head} head, and so no outputs",
            mend=f"set enable_{head}_head: true under model.arguments",
        )
    if length_bp % MULTIPLE_BP:
        raise ConfigError(
            "Borzoi's outputs need an input length that is a multiple of 128",
            got=f"{length_bp} bp",
            expected=f"{length_bp // MULTIPLE_BP * MULTIPLE_BP} or "
            f"{(length_bp // MULTIPLE_BP + 1) * MULTIPLE_BP} bp",
        )
    target, bins = network.crop.target_length, length_bp // BIN_BP
    if target == _ALL_BINS:
        return
    if bins < target or (bins - target) % 2:
        raise ConfigError(
            "Borzoi's crop does not fit the input length",
            got=f"{length_bp} bp are {bins} bins, bins_to_return {target}",
            expected="at least as many bins, and an even number more",
            mend="set bins_to_return: -1 under model.arguments, which keeps all bins",
        )
