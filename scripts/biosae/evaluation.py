"""How well a dictionary describes a store, in one streaming pass.

Definitions, over the rows that were evaluated, with u, v, w, y as in ``biosae.model``:

    mse                     mean over rows and channels of (y - u)^2
    fvu                     sum (y - u)^2 / sum (u - mean_c(u))^2: the fraction of variance unexplained,
                            channel means taken over the rows evaluated. With LayerNorm, y has each
                            position's own mean and std for free.
    fvu_without_layer_norm  sum (w - v)^2 / sum (v - mean_c(v))^2: the same inside LayerNorm, where those
                            two numbers are neither given nor asked for: what the nodes themselves
                            explain. Equal to fvu when LayerNorm is off.
    by_channel              of each channel: variance of u, mse, their ratio (its own fvu), and its share of
                            the total squared error (table ``channel_fvu``)
    fvu_channel_mean        mean over channels with variance of their own fvu. It does not change with the
                            normaliser: the figure to compare runs with different normalisers by.
    fvu_channel_quantiles   of the same over the same channels; constant_channels counts the others
    l0                      mean active nodes (value > 0) a position
    l0_quantiles            over positions; level q: the smallest count that at least q of them do not exceed
    density                 of a node: share of positions at which it is active
    dead_fraction           share of all nodes that were active at no position evaluated

A figure whose denominator is 0 (all channels constant) is null.

Floor: one encoder product (d*n multiply-adds a position) and one read of the rows evaluated. The next
block is read while the model works on this one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from biosae.artefacts import provenance, write_json, write_table
from biosae.cli import progress
from biosae.errors import InputError
from biosae.model import Dictionary, Reconstruction

if TYPE_CHECKING:
    from biosae.activations import ActivationStore

CHANNEL_TABLE = "channel_fvu.tsv"
BLOCK_ROWS = 4096  # fixed: sums are taken block by block, so results do not depend on how files are cut
QUANTILE_LEVELS = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
HISTOGRAM_EDGES = tuple(round(-7 + 0.5 * i, 1) for i in range(15))  # log10 density, -7 to 0


class _Scratch:
    """One reused tensor for differences: fresh memory each block costs more than the arithmetic."""

    def __init__(self) -> None:
        self.kept = torch.empty(0)

    def difference(self, first: Tensor, second: Tensor) -> Tensor:
        """``first - second`` (n, channels); the tensor is overwritten by the next call."""
        shape = first.shape
        fits = self.kept.shape[1:] == shape[1:] and (self.kept.device, self.kept.dtype) == (
            first.device,
            first.dtype,
        )
        if not fits or len(self.kept) < len(first):
            self.kept = torch.empty_like(first, memory_format=torch.contiguous_format)
        return torch.sub(first, second, out=self.kept[: len(first)])

    def squared_error(self, output: Tensor, target: Tensor) -> Tensor:
        """Sum over rows of (output - target)^2, float64 (channels,)."""
        return self.difference(output, target).square_().sum(0).double()


class _Variance:
    """Sum of squares around the mean per channel, merged block by block (Chan et al. 1979, eq. 2.1)."""

    def __init__(self, channels: int, device: torch.device, scratch: _Scratch):
        self.n = 0
        self.mean = torch.zeros(channels, dtype=torch.float64, device=device)
        self.squares = torch.zeros_like(self.mean)
        self.scratch = scratch

    def add(self, rows: Tensor) -> None:
        """Merge a block of rows (n, channels), n > 0."""
        n, total = len(rows), self.n + len(rows)
        rough = rows.mean(0)
        deviations = self.scratch.difference(rows, rough)
        rest = deviations.sum(0).double()  # what float32 left of the mean (ibid., eq. 1.7)
        squares = deviations.square_().sum(0).double() - rest.square() / n
        delta = rough.double() + rest / n - self.mean
        self.squares += squares.clamp_(min=0) + delta.square() * (self.n * n / total)
        self.mean += delta * (n / total)
        self.n = total

    def sums(self) -> np.ndarray:
        """The squares, float64 (channels,), 0 where the channel is constant."""
        # rounding leaves a constant channel some 1e-7 of its mean: that is no variance
        varied = self.squares > self.n * (1e-6 * self.mean).square()
        return torch.where(varied, self.squares, 0.0).cpu().numpy()


class Evaluation:
    """Running sums of an evaluation; ``add`` blocks, then ``figures``."""

    def __init__(self, model: Dictionary):
        device = model.shift.device
        self.model, self.scratch = model, _Scratch()
        self.error = torch.zeros(model.channels, dtype=torch.float64, device=device)
        self.inner_error = torch.zeros_like(self.error)
        self.variance = _Variance(model.channels, device, self.scratch)
        self.inner_variance = self.variance
        if model.layer_norm:
            self.inner_variance = _Variance(model.channels, device, self.scratch)
        self.active = torch.zeros(model.n_nodes, dtype=torch.int64, device=device)
        self.rows_by_l0 = np.zeros(1, np.int64)  # item i: rows with i active nodes

    @torch.no_grad()
    def add(self, result: Reconstruction) -> None:
        """Add the rows of one forward pass; codes may have any number of columns, 0 is padding."""
        if not len(result.target):
            return
        self.error += self.scratch.squared_error(result.output, result.target)
        self.variance.add(result.target)
        if self.model.layer_norm:
            self.inner_error += self.scratch.squared_error(result.inner_output, result.inner_target)
            self.inner_variance.add(result.inner_target)
        active, none = result.values > 0, self.model.n_nodes
        nodes = torch.where(active, result.indices, none).reshape(-1)
        self.active += torch.bincount(nodes, minlength=none + 1)[:none]
        counts = torch.bincount(active.sum(1)).cpu().numpy()
        size = max(len(counts), len(self.rows_by_l0))
        self.rows_by_l0 = sum(np.pad(part, (0, size - len(part))) for part in (counts, self.rows_by_l0))

    def figures(self) -> dict:
        """All figures of the module's docstring as plain numbers, ``by_channel`` as lists of them."""
        n, channels = self.variance.n, self.model.channels
        error, squares = self.error.cpu().numpy(), self.variance.sums()
        inner_error = self.inner_error if self.model.layer_norm else self.error
        density = self.active.double().cpu().numpy() / n
        return {
            "positions": n,
            "mse": float(error.sum()) / (n * channels),
            "fvu": _ratio(float(error.sum()), float(squares.sum())),
            "fvu_without_layer_norm": _ratio(
                float(inner_error.sum()), float(self.inner_variance.sums().sum())
            ),
            **_channel_figures(error, squares, n),
            "l0": float(density.sum()),
            "l0_quantiles": _count_quantiles(self.rows_by_l0),
            "dead_fraction": float((density == 0).mean()),
            **_density_figures(density),
        }


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole > 0 else None


def _by_level(values: np.ndarray) -> dict[str, float]:
    """Values at ``QUANTILE_LEVELS`` by the name of the level."""
    return {f"{level:g}": float(value) for level, value in zip(QUANTILE_LEVELS, values, strict=True)}


def _channel_figures(error: np.ndarray, squares: np.ndarray, n: int) -> dict:
    """Per-channel FVU and its summary; a channel with ``squares`` 0 has none."""
    varied = squares > 0
    fvu = error[varied] / squares[varied]
    own = np.full(len(error), np.nan)
    own[varied] = fvu
    total = error.sum()
    return {
        "by_channel": {
            "variance": (squares / n).tolist(),
            "mse": (error / n).tolist(),
            "fvu": [None if math.isnan(value) else value for value in own.tolist()],
            "error_share": (error / total).tolist() if total > 0 else [None] * len(error),
        },
        "fvu_channel_mean": float(fvu.mean()) if len(fvu) else None,
        "fvu_channel_quantiles": _by_level(np.quantile(fvu, QUANTILE_LEVELS)) if len(fvu) else None,
        "constant_channels": int((~varied).sum()),
    }


def _count_quantiles(histogram: np.ndarray) -> dict[str, float]:
    """Quantiles of counts; item i of ``histogram`` is how often count i was seen."""
    cumulative = histogram.cumsum()
    first = int(np.flatnonzero(histogram)[0])
    wanted = np.ceil(np.array(QUANTILE_LEVELS) * cumulative[-1])
    return _by_level(np.maximum(np.searchsorted(cumulative, wanted), first))


def _density_figures(density: np.ndarray) -> dict:
    alive = density[density > 0]
    counts = np.histogram(np.log10(alive), bins=HISTOGRAM_EDGES)[0]
    return {
        "density_median": float(np.median(density)),
        "density_quantiles": _by_level(np.quantile(density, QUANTILE_LEVELS)),
        "log10_density_histogram": {"edges": list(HISTOGRAM_EDGES), "counts": counts.tolist()},
    }


def spread_rows(n_rows: int, max_positions: int, block_rows: int = BLOCK_ROWS) -> list[tuple[int, int]]:
    """Half-open row ranges that hold ``max_positions`` of ``n_rows`` rows, or all rows if there are fewer.

    All rows come in blocks of ``block_rows``. Of more rows than are wanted, ceil(max_positions /
    block_rows) blocks, equal up to one row, lie evenly over the store: each in the middle of its share,
    so that every part of the store counts.
    """
    if max_positions < 1:
        raise InputError("An evaluation needs at least one position", got=max_positions)
    if n_rows <= max_positions:
        return [(low, min(low + block_rows, n_rows)) for low in range(0, n_rows, block_rows)]
    count, left_out = -(-max_positions // block_rows), n_rows - max_positions
    taken = [max_positions * i // count for i in range(count + 1)]
    gaps = [left_out * (2 * i + 1) // (2 * count) for i in range(count)]  # rows left out before block i
    return [(low + gap, high + gap) for low, high, gap in zip(taken[:-1], taken[1:], gaps, strict=True)]


def _fill(store: ActivationStore, low: int, high: int, block: np.ndarray) -> np.ndarray:
    """Rows [low, high) of the store, which may cross sequences, in the first rows of ``block``."""
    for first, rows in store.slabs(high - low, rows=(low, high), reuse=True):
        block[first - low : first - low + len(rows)] = rows
    return block[: high - low]


def _blocks(store: ActivationStore, ranges: list[tuple[int, int]]) -> Iterator[np.ndarray]:
    """One array a range, valid until the next is asked for; the next one is read meanwhile."""
    most = max(high - low for low, high in ranges)
    buffers = [np.empty((most, store.channels), np.float32) for _ in range(2)]
    with ThreadPoolExecutor(1, thread_name_prefix="evaluate") as reader:
        ahead = reader.submit(_fill, store, *ranges[0], buffers[0])
        for number in range(1, len(ranges) + 1):
            block = ahead.result()
            if number < len(ranges):
                ahead = reader.submit(_fill, store, *ranges[number], buffers[number % 2])
            yield block


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
    if not bool(running.error.isfinite().all()):
        raise InputError("The dictionary's output is not finite", mend="lower the learning rate, train again")
    figures = running.figures()
    return {**figures, "positions_share": figures["positions"] / store.n_rows}


def channel_table(figures: dict) -> pd.DataFrame:
    """Rows of ``channel_fvu.tsv`` out of ``evaluate``'s figures."""
    table = pd.DataFrame(figures["by_channel"]).astype("float64")
    table.insert(0, "channel", np.arange(len(table)))
    return table


def write_evaluation(
    figures: dict, model: Dictionary, path: str | Path, program: str, settings: dict, note: str | None = None
) -> None:
    """Write ``evaluation.json``, and ``channel_fvu.tsv`` beside it.

    The first holds figures, structure, what was evaluated and provenance; of single channels it
    has the quantiles only.
    """
    made_by = provenance(program, settings, seed=settings.get("seed"))
    write_table(channel_table(figures), Path(path).with_name(CHANNEL_TABLE), "channel_fvu", made_by)
    summary = {name: value for name, value in figures.items() if name != "by_channel"}
    content = {**model.structure(), **summary, "space": "normalised channels"}
    if note:
        content["note"] = note
    write_json(path, {**content, "provenance": made_by})
