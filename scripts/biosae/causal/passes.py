"""Whole passes of the network with its layer changed: many changes of one window in each batch.

The layer's own output is changed inside the pass (``Host.outputs``), so no pass is spent on reading it, and
nothing is added where nothing is changed. Of the outputs only the sum over bins of each track is kept.

Floor: one pass a window and change, and one for a window as it is, which all changes of it share. A pass that
changes the layer repeats all before it: of Borzoi at conv1d_2 about a quarter of the work.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from biosae.genome import Genome
from biosae.hosts.host import Host
from biosae.hosts.onehot import encode

log = logging.getLogger(__name__)

# from a window's output of the layer, (positions, channels), to positions (p,) and what is added there
Change = Callable[[Tensor], tuple[Tensor, Tensor]]
SCALE_WINDOWS = 16  # windows that a track's standard deviation is taken over
_KEPT_WINDOWS = 512  # sums of unchanged windows that are kept: 8 bytes a track


class Passes:
    """A host, a genome, and the passes that were made.

    Args:
        host: the network.
        genome: where windows are cut.
        input_bp: bases of every window.
        batch: windows, or changes of one, a pass.

    Attributes:
        count: windows that went through the network.
        tracks: number of output tracks.
    """

    def __init__(self, host: Host, genome: Genome, input_bp: int, batch: int) -> None:
        self.host, self.genome, self.input_bp, self.batch = host, genome, input_bp, batch
        host.check_input_length(input_bp)
        self.count = 0
        self._sums: dict[tuple[str, int], np.ndarray] = {}
        probe = self.outputs(np.zeros((1, 4, input_bp), np.float32))
        self.bins, self.tracks = probe.shape[1:]

    def window(self, chrom: str, start: int) -> np.ndarray:
        """One-hot letters of a window, float32 (1, 4, input_bp); zeros beyond the chromosome and at N."""
        return encode(self.genome.segment(chrom, start, start + self.input_bp))

    def outputs(self, onehot: np.ndarray, replace=None) -> Tensor:
        """Output tracks (n, bins, tracks) of windows (n, 4, input_bp), as ``Host.outputs``."""
        self.count += len(onehot)

        def in_float32(layer: Tensor) -> Tensor:
            # the host's autocast is for the host: the dictionary keeps its own type
            with torch.autocast(self.host.device.type, enabled=False):
                return replace(layer)

        return self.host.outputs(torch.from_numpy(onehot), replace and in_float32)

    def sums(self, onehot: np.ndarray, replace=None) -> np.ndarray:
        """Sum over bins of each track, float64 (n, tracks), of any number of windows."""
        parts = [
            self.outputs(part, replace).double().sum(1).cpu().numpy()
            for part in np.array_split(onehot, -(-len(onehot) // self.batch))
        ]
        return np.concatenate(parts)

    def unchanged(self, chrom: str, start: int) -> np.ndarray:
        """``sums`` of a window as it is, (tracks,); remembered."""
        key = chrom, start
        if key not in self._sums:
            if len(self._sums) >= _KEPT_WINDOWS:
                self._sums.pop(next(iter(self._sums)))
            self._sums[key] = self.sums(self.window(chrom, start))[0]
        return self._sums[key]

    def changed(self, chrom: str, start: int, changes: Sequence[Change]) -> np.ndarray:
        """What each change takes away from the tracks of a window: unchanged - changed sums, (n, tracks)."""
        onehot, base = self.window(chrom, start), self.unchanged(chrom, start)
        parts = []
        for low in range(0, len(changes), self.batch):
            part = changes[low : low + self.batch]
            parts.append(self.sums(np.repeat(onehot, len(part), axis=0), _replacing(part)))
        return base - np.concatenate(parts)

    def track_scale(self, windows: Sequence[tuple[str, int]]) -> np.ndarray:
        """Standard deviation of each track over all bins of windows, (tracks,); 0 where it is constant."""
        n, total, squares = 0, np.zeros(self.tracks), np.zeros(self.tracks)
        shift = None
        for chrom, start in windows:
            found = self.outputs(self.window(chrom, start))[0].double().cpu().numpy()
            shift = found.mean(axis=0) if shift is None else shift  # against cancellation
            n, total = n + len(found), total + (found - shift).sum(axis=0)
            squares += np.square(found - shift).sum(axis=0)
        variance = np.maximum(squares / n - np.square(total / n), 0)
        floor = 1e-6 * np.abs(shift + total / n)  # rounding of float32
        scale = np.where(np.sqrt(variance) > floor, np.sqrt(variance), 0.0)
        if constant := int((scale == 0).sum()):
            log.warning("%d of %d tracks are constant: no effect on them is seen", constant, len(scale))
        return scale


def _replacing(changes: Sequence[Change]):
    def replace(layer: Tensor) -> Tensor:
        changed = layer.clone()
        for row, change in enumerate(changes):
            positions, added = change(layer[row].float())
            changed[row].index_add_(0, positions, added.to(layer.dtype))
        return changed

    return replace


def spread(windows: Sequence[tuple[str, int]], count: int) -> list[tuple[str, int]]:
    """``count`` of some windows, spread evenly over their sorted list without repeats; all if there are
    fewer."""
    unique = sorted(set(windows))
    if len(unique) <= count:
        return unique
    return [unique[(2 * i + 1) * len(unique) // (2 * count)] for i in range(count)]
