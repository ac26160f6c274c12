"""How well a dictionary describes a store, in one streaming pass.

Definitions, over the rows that were evaluated, with u, v, w, y as in ``biosae.model``:

    mse                     mean over rows and channels of (y - u)^2
    fvu                     sum (y - u)^2 / sum (u - mean_c(u))^2: the fraction of variance unexplained,
                            channel means taken over the rows evaluated. With LayerNorm, y has each
                            position's own mean and std for free.
    fvu_without_layer_norm  sum (w - v)^2 / sum (v - mean_c(v))^2: the same inside LayerNorm, where those
                            two numbers are neither given nor asked for: what the nodes themselves
                            explain. Equal to fvu when LayerNorm is off.
    fvu_channel_mean        mean over channels with variance of their own fvu. It does not change with the
                            normaliser: the figure to compare runs with different normalisers by.
    l0                      mean active nodes (value > 0) a position
    density                 of a node: share of positions at which it is active
    dead_fraction           share of all nodes that were active at no position evaluated

A figure whose denominator is 0 (all channels constant) is null.

Floor: one encoder product (d*n multiply-adds a position) and one read of the rows evaluated.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from biosae.artefacts import provenance, write_json
from biosae.cli import progress
from biosae.errors import InputError
from biosae.model import Dictionary, Reconstruction

if TYPE_CHECKING:
    from biosae.activations import ActivationStore

BLOCK_ROWS = 4096  # fixed: sums are taken block by block, so results do not depend on how files are cut
QUANTILE_LEVELS = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
HISTOGRAM_EDGES = tuple(round(-7 + 0.5 * i, 1) for i in range(15))  # log10 density, -7 to 0


class _Variance:
    """Sum of squares around the mean per channel, merged block by block (Chan et al. 1979, eq. 2.1)."""

    def __init__(self, channels: int, device: torch.device):
        self.n = 0
        self.mean = torch.zeros(channels, dtype=torch.float64, device=device)
        self.squares = torch.zeros_like(self.mean)

    def add(self, rows: Tensor) -> None:
        """Merge a block of rows (n, channels)."""
        variance, mean = torch.var_mean(rows, dim=0, correction=0)
        n, total = len(rows), self.n + len(rows)
        delta = mean.double() - self.mean
        self.squares += variance.double() * n + delta.square() * (self.n * n / total)
        self.mean += delta * (n / total)
        self.n = total


class Evaluation:
    """Running sums of an evaluation; ``add`` blocks, then ``figures``."""

    def __init__(self, model: Dictionary):
        device = model.shift.device
        self.model = model
        self.error = torch.zeros(model.channels, dtype=torch.float64, device=device)
        self.inner_error = torch.zeros((), dtype=torch.float64, device=device)
        self.variance = _Variance(model.channels, device)
        self.inner_variance = _Variance(model.channels, device) if model.layer_norm else self.variance
        self.active = torch.zeros(model.n_nodes, dtype=torch.int64, device=device)

    @torch.no_grad()
    def add(self, result: Reconstruction) -> None:
        """Add the rows of one forward pass."""
        self.error += (result.output - result.target).square().sum(0).double()
        self.variance.add(result.target)
        if self.model.layer_norm:
            self.inner_error += (result.inner_output - result.inner_target).square().sum().double()
            self.inner_variance.add(result.inner_target)
        self.active += torch.bincount(result.indices[result.values > 0], minlength=self.model.n_nodes)

    def figures(self) -> dict:
        """All figures of the module's docstring as plain numbers."""
        n, channels = self.variance.n, self.model.channels
        error, squares = float(self.error.sum()), float(self.variance.squares.sum())
        # rounding leaves a constant channel some 1e-7 of its mean: that is no variance
        varied = self.variance.squares > n * (1e-6 * self.variance.mean).square()
        by_channel = self.error[varied] / self.variance.squares[varied]
        inner_error = float(self.inner_error) if self.model.layer_norm else error
        density = self.active.double().cpu().numpy() / n
        return {
            "positions": n,
            "mse": error / (n * channels),
            "fvu": _ratio(error, squares),
            "fvu_without_layer_norm": _ratio(inner_error, float(self.inner_variance.squares.sum())),
            "fvu_channel_mean": float(by_channel.mean()) if len(by_channel) else None,
            "l0": float(density.sum()),
            "dead_fraction": float((density == 0).mean()),
            **_density_figures(density),
        }


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole > 0 else None


def _density_figures(density: np.ndarray) -> dict:
    alive = density[density > 0]
    counts = np.histogram(np.log10(alive), bins=HISTOGRAM_EDGES)[0]
    quantiles = np.quantile(density, QUANTILE_LEVELS)
    return {
        "density_median": float(np.median(density)),
        "density_quantiles": {f"{q:g}": float(v) for q, v in zip(QUANTILE_LEVELS, quantiles, strict=True)},
        "log10_density_histogram": {"edges": list(HISTOGRAM_EDGES), "counts": counts.tolist()},
    }


def spread_rows(n_rows: int, max_positions: int, block_rows: int = BLOCK_ROWS) -> list[tuple[int, int]]:
    """Half-open row ranges that hold about ``max_positions`` of ``n_rows`` rows (never more).

    All rows if they are few enough; else whole blocks evenly spread over the store, so that every
    part of it counts.
    """
    if max_positions < 1:
        raise InputError("An evaluation needs at least one position", got=max_positions)
    if n_rows <= max_positions:
        return [(low, min(low + block_rows, n_rows)) for low in range(0, n_rows, block_rows)]
    size = min(block_rows, max_positions)
    count = max_positions // size
    blocks = n_rows // size
    return [(size * (i * blocks // count), size * (i * blocks // count) + size) for i in range(count)]


def _blocks(store: ActivationStore, ranges: list[tuple[int, int]]) -> Iterator[np.ndarray]:
    """One array a range; a range may cross sequences."""
    for low, high in ranges:
        parts = [rows for _, rows in store.slabs(high - low, rows=(low, high))]
        yield parts[0] if len(parts) == 1 else np.concatenate(parts)


@torch.no_grad()
def evaluate(model: Dictionary, store: ActivationStore, max_positions: int, bar: bool = False) -> dict:
    """Evaluate ``model`` on at most ``max_positions`` rows of ``store``.

    Returns:
        the figures of the module's docstring; ``positions`` and ``positions_share`` say how much of
        the store was used.

    Raises:
        InputError: the model is for another number of channels, or its output is not finite.
    """
    ranges = spread_rows(store.n_rows, max_positions)
    running = Evaluation(model)
    blocks = _blocks(store, ranges)
    for rows in progress(blocks, what="evaluate", total=len(ranges), unit="block") if bar else blocks:
        running.add(model(rows))
    figures = running.figures()
    if not math.isfinite(figures["mse"]):
        raise InputError("The dictionary's output is not finite", mend="lower the learning rate, train again")
    return {**figures, "positions_share": figures["positions"] / store.n_rows}


def write_evaluation(
    figures: dict, model: Dictionary, path, program: str, settings: dict, note: str | None = None
) -> None:
    """Write ``evaluation.json``: figures, structure, what was evaluated, and provenance inside."""
    content = {**model.structure(), **figures, "space": "normalised channels"}
    if note:
        content["note"] = note
    content["provenance"] = provenance(program, settings, seed=settings.get("seed"))
    write_json(path, content)
