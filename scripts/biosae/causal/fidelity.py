"""How much of the network's output is left when it reads a dictionary's reconstruction instead of its own
layer.

Windows of the store go through the network as they are, with the layer's output replaced by its
reconstruction at every position, and with every position replaced by the channel means of the training store
(mean-ablation: nothing of the sequence passes). With y a track of the whole network and z that of the
spliced one, over all bins of all windows:

    correlation     Pearson r of y and z
    variance_kept   1 - sum (y - z)^2 / sum (y - mean y)^2; below 0 where z is worse than y's own mean
    recovered       1 - sum (y - z)^2 / sum (y - m)^2, m the track under mean-ablation: 1 is all, 0 what
                    means do

A track that is constant in the whole network has none of them. Sums are kept by window, so that intervals
are over windows drawn with replacement. Floor: three passes a window, and one encoding of its positions.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from biosae.causal.passes import Passes
from biosae.causal.targets import Tracks
from biosae.causal.windows import bootstrap_weights, interval
from biosae.cli import progress
from biosae.dictionary import Dictionary
from biosae.errors import InputError
from biosae.statistics import load_statistics

log = logging.getLogger(__name__)

FIGURES = ("correlation", "variance_kept", "recovered")
_SUMS = ("n", "y", "z", "yy", "zz", "yz", "lost", "mean_lost")  # of a window and track, about a common shift
_ENCODE_ROWS = 16_384


@torch.no_grad()
def reconstruct(model: Dictionary, layer: Tensor) -> Tensor:
    """The dictionary's reconstruction, in raw units, of a layer's output (n, positions, channels)."""
    rows = layer.reshape(-1, layer.shape[-1]).float()
    parts = [model.decode(*model.encode(part), like=part) for part in rows.split(_ENCODE_ROWS)]
    return torch.cat(parts).reshape(layer.shape)


def channel_means(path: Path, channels: int) -> np.ndarray:
    """Mean of each channel over the training store, float32 (channels,); InputError for another layer's."""
    found = load_statistics(path)
    if found.channels != channels:
        raise InputError(
            "The statistics are of another layer",
            got=f"{found.channels} channels",
            expected=channels,
            where=path,
        )
    return np.asarray(found.mean, dtype=np.float32)


class FidelitySums:
    """Sums over bins of each window and track; ``add`` windows, then ``track_table`` and ``group_table``."""

    def __init__(self) -> None:
        self._windows: list[np.ndarray] = []
        self._shift: np.ndarray | None = None

    def add(self, whole: Tensor, spliced: Tensor, mean_ablated: Tensor) -> None:
        """One window: outputs (bins, tracks) of the three passes."""
        y, z, m = (part.double().cpu().numpy() for part in (whole, spliced, mean_ablated))
        if self._shift is None:
            self._shift = y.mean(axis=0)  # sums of squares about it lose little to rounding
        y, z, m = y - self._shift, z - self._shift, m - self._shift
        n = np.full(y.shape[1], float(len(y)))
        sums = n, y.sum(0), z.sum(0), (y * y).sum(0), (z * z).sum(0), (y * z).sum(0)
        self._windows.append(np.stack([*sums, np.square(y - z).sum(0), np.square(y - m).sum(0)]))

    def figures(self, weights: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """``FIGURES`` and mean-ablation's own variance_kept by track, (tracks,); nan where there is none.

        Args:
            weights: how often each window counts, (windows,); None: once.
        """
        windows = np.stack(self._windows)
        weights = np.ones(len(windows)) if weights is None else weights
        sums = dict(zip(_SUMS, np.tensordot(weights, windows, axes=1), strict=True))
        n = sums["n"]
        within = sums["yy"] - sums["y"] ** 2 / n
        within = np.where(within > n * (1e-6 * (self._shift + sums["y"] / n)) ** 2, within, np.nan)
        of_spliced = np.maximum(sums["zz"] - sums["z"] ** 2 / n, 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            shared = (sums["yz"] - sums["y"] * sums["z"] / n) / np.sqrt(within * of_spliced)
            recovered = 1 - sums["lost"] / sums["mean_lost"]
            return {
                "correlation": np.clip(np.where(of_spliced > 0, shared, np.nan), -1, 1),
                "variance_kept": 1 - sums["lost"] / within,
                "recovered": np.where(np.isfinite(within) & (sums["mean_lost"] > 0), recovered, np.nan),
                "mean_ablation_kept": 1 - sums["mean_lost"] / within,
            }

    def track_table(self, tracks: Tracks) -> pd.DataFrame:
        """Rows of schema ``fidelity``, one a track."""
        table = tracks.table.assign(**self.figures())
        table.insert(0, "track", np.arange(len(table)))
        return table.assign(n_windows=len(self._windows))

    def group_table(self, tracks: Tracks, draws: int, seed: int) -> pd.DataFrame:
        """Rows of schema ``fidelity_groups``: mean over the tracks of each group, and over all, with
        intervals."""
        rng = np.random.default_rng(seed)
        n = len(self._windows)
        drawn = [self.figures(weights * n) for weights in bootstrap_weights(n, draws, rng)]
        found = self.figures()
        groups = dict(tracks.groups)
        if len(groups) > 1:
            groups["(all)"] = np.arange(tracks.count)
        rows = []
        for name, members in groups.items():
            row = {"group": name, "n_tracks": len(members), "n_windows": n}
            row["n_constant"] = int(np.isnan(found["variance_kept"][members]).sum())
            for figure in (*FIGURES, "mean_ablation_kept"):
                row[figure] = _mean(found[figure][members])
                if figure in FIGURES:
                    means = np.array([_mean(draw[figure][members]) for draw in drawn])
                    known = means[~np.isnan(means)]
                    low, high = interval(known) if len(known) else (np.nan, np.nan)
                    row |= {f"{figure}_low": low, f"{figure}_high": high}
            rows.append(row)
        return pd.DataFrame(rows)


def _mean(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else np.nan


def measure_fidelity(
    passes: Passes, model: Dictionary, means: np.ndarray, windows: Sequence[tuple[str, int]]
) -> FidelitySums:
    """Three passes of each window, ``passes.batch`` windows at once.

    Args:
        model: on the host's device.
        means: (channels,) what mean-ablation puts everywhere.
        windows: chromosome and start of each.
    """
    flat = torch.from_numpy(means).to(passes.host.device)
    ways: tuple[Callable | None, ...] = (
        None,
        lambda layer: reconstruct(model, layer).to(layer.dtype),
        lambda layer: flat.to(layer.dtype).expand_as(layer),
    )
    sums = FidelitySums()
    for low in progress(range(0, len(windows), passes.batch), what="windows", unit="batch"):
        onehot = np.concatenate([passes.window(*where) for where in windows[low : low + passes.batch]])
        found = [passes.outputs(onehot, way) for way in ways]
        for row in range(len(onehot)):
            sums.add(*(part[row] for part in found))
    return sums
