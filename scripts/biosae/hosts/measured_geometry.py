"""Geometry of a layer, measured: the bases on which an output position depends, by gradient.

A base is inside the window of a position when the gradient of that position with respect to it is not zero.
A pool passes the gradient of one base in two, and a rectifier of half its inputs, so one input shows part of
the window: the union over several random inputs, all channels and several positions is taken. It can be too
small, never too large. Floor: one forward pass to the layer an input, one backward pass a position of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from biosae.errors import ConfigError, InputError
from biosae.geometry import Layer
from biosae.hosts.host import Host, probe_length

_INPUTS = 4
_POSITIONS = 8  # of each input
_SHORTEST_BP = 1024


@dataclass(frozen=True)
class Measured:
    """What was measured of a layer.

    Attributes:
        stride_bp, left_bp, right_bp: as of ``Layer``.
        whole_window: the layer reads everything it is given (attention): it has no window of its own, and
            left_bp and right_bp only say how long the input was.
    """

    stride_bp: int
    left_bp: int
    right_bp: int
    whole_window: bool


def measure(host: Host, longest_bp: int = 65_536, seed: int = 0) -> Measured:
    """Measure the layer of a host.

    Args:
        longest_bp: a layer whose window is not seen to end in an input of this length reads the whole.
        seed: of the random inputs.

    Raises:
        ConfigError: an output position depends on no base, or the stride is no whole number.
    """
    stride = host.stride_bp
    length = probe_length(stride, max(4 * host.layer.window_bp, _SHORTEST_BP))
    while True:
        low, high, positions, n_positions = _supports(host, length, seed)
        touches = low.min() <= stride or high.max() >= length - stride
        if not touches or 2 * length > longest_bp:
            break
        length *= 2
    measured = _stride(low, high, positions) if not touches else length / n_positions
    if measured < 1 or measured != int(measured):
        raise ConfigError(
            f"Module '{host.layer.module}' has no whole number of bases between its positions",
            got=f"{float(measured):g} bp",
        )
    measured = int(measured)
    left = int((measured * positions - low).max())
    right = int((high - measured * positions).max())
    return Measured(measured, left, right, bool(touches))


def _supports(host: Host, length: int, seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, int]:
    """What some positions of the middle half read: first base, end (each (n,) int64); the positions; all."""
    generator = torch.Generator().manual_seed(seed)
    found, total, positions = None, 0, torch.zeros(0)
    for _ in range(_INPUTS):
        onehot = torch.rand(1, 4, length, generator=generator).to(host.device).requires_grad_(True)
        output = host.activations(onehot)[0]
        total = len(output)
        weights = torch.randn(output.shape[1], generator=generator).to(output.device)
        positions = torch.linspace(total // 4, 3 * total // 4, _POSITIONS).long().unique()
        sums = [(output[at] * weights).sum() for at in positions]
        rows = [torch.autograd.grad(one, onehot, retain_graph=True)[0] for one in sums]
        seen = torch.stack([(row[0] != 0).any(0) for row in rows]).cpu()
        found = seen if found is None else found | seen
    some = found.any(1)
    if not some.any():
        raise ConfigError(
            f"The outputs of module '{host.layer.module}' depend on no base of the input",
            mend="name another module; one that passes no gradient cannot be measured",
        )
    numbers = found[some].to(torch.int8)
    return numbers.argmax(1), length - numbers.flip(1).argmax(1), positions[some], total


def _stride(low: torch.Tensor, high: torch.Tensor, positions: torch.Tensor) -> float:
    """Bases by which the windows of neighbouring positions differ: the middles' slope, to whole bases."""
    middle = (low + high).double() / 2
    at = positions.double() - positions.double().mean()
    return round(float((at * (middle - middle.mean())).sum() / (at * at).sum()))


def compare(claimed: Layer, measured: Measured, where: object = None) -> str | None:
    """Hold a claim to the measurement; returns what is to be warned of, None where all agrees.

    Raises:
        InputError: another stride, or a claimed window that leaves out bases that the layer reads.
    """
    told = f"stride {claimed.stride_bp}, left {claimed.left_bp}, right {claimed.right_bp} bp"
    found = f"stride {measured.stride_bp}, left {measured.left_bp}, right {measured.right_bp} bp"
    misses = claimed.left_bp < measured.left_bp or claimed.right_bp < measured.right_bp
    if claimed.stride_bp != measured.stride_bp or (misses and not measured.whole_window):
        raise InputError(
            f"The geometry of layer '{claimed.name}' is not what its gradient shows",
            where=where,
            got=f"{told} (config)",
            expected=f"{found} (measured on module '{claimed.module}')",
            mend="give the measured values under 'layer' in the config",
        )
    if measured.whole_window:
        return (
            f"layer '{claimed.name}' reads the whole input; its window in the config ({told}) is not measured"
        )
    if (claimed.left_bp, claimed.right_bp) != (measured.left_bp, measured.right_bp):
        return f"layer '{claimed.name}' claims a wider window ({told}) than its gradient shows ({found})"
    return None
