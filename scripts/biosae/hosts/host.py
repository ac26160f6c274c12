"""A host: a sequence model, one module of it that is read, and what may be put in its place.

Activations come by early exit: the pass ends at the module that is read, and all before it ran as in a whole
pass, so they are the same bit for bit. Channels are last, whatever the module's own order.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import nn

from biosae.errors import ConfigError, ContractError
from biosae.geometry import Layer
from biosae.hosts.modules import find_module

_PRECISIONS = ("float32", "tf32", "bfloat16")
Replacement = Callable[[torch.Tensor], torch.Tensor]


def probe_length(stride_bp: int, least_bp: int) -> int:
    """A length in bases that no pool rounds down: a multiple of the stride and of 128 (seven halvings)."""
    multiple = math.lcm(stride_bp, 128)
    return -(-max(least_bp, 512) // multiple) * multiple


class _Stop(Exception):
    """Ends a forward pass at the module that is read; carries its output."""

    def __init__(self, output: object) -> None:
        super().__init__()
        self.output = output


class Host:
    """A sequence model and the module that is read.

    Args:
        module: the whole network; takes (n, 4, length) float32. It is put into evaluation mode.
        layer: geometry, as it is claimed; ``layer.module`` is the path of the module that is read.
        device: where it runs.
        precision: float32 (TF32 off), tf32 or bfloat16 (autocast); what leaves the host is float32.
        tracks_first: whether outputs are (n, tracks, bins), else (n, bins, tracks).
        bin_bp: bases a bin of the output; None: the input length over the number of bins.
        forward_options: further arguments of the network's forward pass.
        check_outputs: refuses a network or an input length of which no outputs can be had.

    Attributes:
        hooked: the module that is read.
        stride_bp: bases between its neighbouring positions.
    """

    def __init__(
        self,
        module: nn.Module,
        layer: Layer,
        device: torch.device | str = "cpu",
        precision: str = "float32",
        *,
        tracks_first: bool = True,
        bin_bp: int | None = None,
        forward_options: dict | None = None,
        check_outputs: Callable[[nn.Module, int], None] | None = None,
    ) -> None:
        if precision not in _PRECISIONS:
            raise ConfigError("Unknown precision of a model", got=precision, expected=f"one of {_PRECISIONS}")
        self.module = module.eval().requires_grad_(False).to(device)
        self.hooked = find_module(module, layer.module)
        self.layer, self.stride_bp = layer, layer.stride_bp
        self.device, self.precision = torch.device(device), precision
        self.bin_bp, self._tracks_first = bin_bp, tracks_first
        self._options, self._check_outputs = forward_options or {}, check_outputs
        self._channels_first = self._find_channels()

    def activations(self, onehot: torch.Tensor) -> torch.Tensor:
        """Output of the module that is read, by early exit.

        Args:
            onehot: (n, 4, length) float32; length a multiple of the stride.

        Returns:
            (n, positions, channels) float32 on the host's device, a view with channels last.

        Raises:
            ConfigError: the length would be rounded down, or the module was not reached.
        """
        self.check_input_length(onehot.shape[-1])
        return self._channels_last(self._run_to_module(onehot)).float()

    def outputs(self, onehot: torch.Tensor, replace: Replacement | None = None) -> torch.Tensor:
        """Output tracks of a whole pass.

        Args:
            onehot: (n, 4, length) float32.
            replace: given the module's output as (n, positions, channels), returns what takes its place.

        Returns:
            (n, bins, tracks) float32 on the host's device.

        Raises:
            ConfigError: the length has no outputs, or the module runs more than once a pass.
            ContractError: the replacement has another shape.
        """
        self.check_input_length(onehot.shape[-1])
        if self._check_outputs is not None:
            self._check_outputs(self.module, onehot.shape[-1])
        calls = 0

        def hook(_module: nn.Module, _inputs: tuple, output: torch.Tensor) -> torch.Tensor | None:
            nonlocal calls
            calls += 1
            if replace is None:
                return None
            given = self._channels_last(output)
            taken = replace(given)
            if taken.shape != given.shape:
                raise ContractError("A replacement has another shape", got=taken.shape, expected=given.shape)
            return (taken.transpose(1, 2) if self._channels_first else taken).to(output.dtype)

        with self._hook(hook):
            found = self._forward(onehot)
        if calls != 1:
            raise self._not_once(calls)
        found = found.float()
        if found.ndim == 2:  # one number a track: one bin, the whole window
            return found[:, None]
        return found.transpose(1, 2) if self._tracks_first else found

    def bins(self, length_bp: int, n_bins: int) -> tuple[int, int]:
        """(first_bin_bp, bin_bp): output bin b reads around [first + b*bin, first + (b+1)*bin) of the input.

        Bins are in the middle of the input, as a crop leaves them.
        """
        bin_bp = self.bin_bp or length_bp // n_bins
        return (length_bp - n_bins * bin_bp) // 2, bin_bp

    def check_input_length(self, length_bp: int) -> None:
        """ConfigError where a length is not a multiple of the stride: pools would drop the last bases."""
        if length_bp < 1 or length_bp % self.stride_bp:
            raise ConfigError(
                f"The length of an input is not a multiple of the stride of layer '{self.layer.name}'",
                got=f"{length_bp} bp",
                expected=f"a multiple of {self.stride_bp} bp",
                mend="the pools round down: take the rest off the intervals, or widen them",
            )

    def count_calls(self, onehot: torch.Tensor) -> int:
        """How often the module that is read runs in a whole pass over ``onehot``."""
        calls = 0

        def hook(*_: object) -> None:
            nonlocal calls
            calls += 1

        with self._hook(hook):
            self._forward(onehot)
        return calls

    def _not_once(self, calls: int) -> ConfigError:
        return ConfigError(
            f"Module '{self.layer.module}' runs {calls} times in one pass",
            expected="once: else it has no one output",
            mend="name another module",
        )

    def _find_channels(self) -> bool:
        """Whether channels stand before positions, by a short pass of a length that cannot be mistaken."""
        stride, channels = self.stride_bp, self.layer.channels
        length = probe_length(stride, 4 * self.layer.window_bp)
        if length // stride == channels:
            length *= 2
        shape = tuple(self._run_to_module(torch.zeros(1, 4, length)).shape)
        if len(shape) == 3 and channels in shape[1:]:
            return shape[1] == channels
        raise ConfigError(
            f"Module '{self.layer.module}' does not have the channels of layer '{self.layer.name}'",
            got=f"shape {shape} for {length} bp",
            expected=f"(1, {channels}, {length // stride}) or (1, {length // stride}, {channels})",
            mend="set layer.channels to the module's, or name another module",
        )

    def _channels_last(self, output: torch.Tensor) -> torch.Tensor:
        return output.transpose(1, 2) if self._channels_first else output

    def _run_to_module(self, onehot: torch.Tensor) -> torch.Tensor:
        def hook(_module: nn.Module, _inputs: tuple, output: object) -> None:
            raise _Stop(output)

        with self._hook(hook):
            try:
                self._forward(onehot)
            except _Stop as stop:
                if isinstance(stop.output, torch.Tensor) and stop.output.ndim == 3:
                    return stop.output
                raise ConfigError(
                    f"Module '{self.layer.module}' does not give one array of channels and positions",
                    got=f"{type(stop.output).__name__} {tuple(getattr(stop.output, 'shape', ()))}",
                    expected="a tensor (n, channels, positions) or (n, positions, channels)",
                    mend="name a convolution or a normalisation of the model",
                ) from None
        raise self._not_once(0)

    def _forward(self, onehot: torch.Tensor) -> torch.Tensor:
        tf32 = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = self.precision == "tf32"
        half = torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bfloat16")
        try:
            with torch.set_grad_enabled(onehot.requires_grad), half:
                return self.module(onehot.to(self.device), **self._options)
        finally:
            torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = tf32

    @contextmanager
    def _hook(self, hook: Callable) -> Iterator[None]:
        handle = self.hooked.register_forward_hook(hook)
        try:
            yield
        finally:
            handle.remove()
