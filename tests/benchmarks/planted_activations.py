"""Synthetic activations with known sparse structure, shared by the benchmarks of the engine.

A position is a sum of a few unit directions plus noise, on channels with unequal scales and means:

    x = (sum_i s_i d_i + noise) * channel_scale + channel_mean        stored as float16

Each direction d_i has its own frequency (log-uniform over ``frequencies``, about 18 of 1,216 present at a
position) and log-normal strengths s_i. A direction that appears stays for 1 to 3 positions, so neighbours
resemble one another. Sequences are numbered: number and seed fix a sequence, whatever was made before it.
The noise holds 5 % of the variance: a dictionary that finds all directions reaches an FVU of about 0.05.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

LASTS = (0.6, 0.3, 0.1)  # shares of appearances that last 1, 2 and 3 positions
STRENGTH_SPREAD = 0.5  # standard deviation of log strength
MEAN_SPREAD = 0.7  # standard deviation over channels of a channel's mean, in its own standard deviations
NOISE = 0.05  # standard deviation a channel, where the directions together have about 0.22


class PlantedActivations:
    """The truth of one seed and the sequences made of it.

    Args:
        channels, n_directions: sizes.
        frequencies: lowest and highest share of positions at which a direction is present.
        seed: of the directions, the channels and all sequences.

    Attributes:
        directions: float32 (n_directions, channels), norm 1, before the channels are scaled.
        channel_scale, channel_mean: float32 (channels,).
        frequency: float64 (n_directions,).
    """

    def __init__(
        self, channels: int = 608, n_directions: int = 1216, frequencies=(0.002, 0.05), seed: int = 0
    ) -> None:
        rng = np.random.default_rng([seed, 0])
        directions = rng.standard_normal((n_directions, channels)).astype(np.float32)
        self.directions = directions / np.linalg.norm(directions, axis=1, keepdims=True)
        self.frequency = rng.permutation(np.geomspace(*frequencies, n_directions))
        self.channel_scale = np.exp(0.5 * rng.standard_normal(channels)).astype(np.float32)
        # E[s^2] = exp(2 spread^2) for log-normal strengths of median 1
        squares = self.frequency.sum() * np.exp(2 * STRENGTH_SPREAD**2) / channels + NOISE**2
        offset = MEAN_SPREAD * np.sqrt(squares) * rng.standard_normal(channels)
        self.channel_mean = (offset * self.channel_scale).astype(np.float32)
        self.seed, self.channels = seed, channels

    def sequence(self, number: int, positions: int) -> np.ndarray:
        """float16 (positions, channels): sequence ``number`` of this seed."""
        rng = np.random.default_rng([self.seed, 1, number])
        where, which = self._appearances(rng, positions)
        order = np.argsort(where, kind="stable")
        starts = np.searchsorted(where[order], np.arange(positions))
        strength = np.exp(STRENGTH_SPREAD * rng.standard_normal(len(where), dtype=np.float32))
        signal = F.embedding_bag(
            torch.from_numpy(which[order]),
            torch.from_numpy(self.directions),
            torch.from_numpy(starts),
            per_sample_weights=torch.from_numpy(strength),
            mode="sum",
        ).numpy()
        signal += NOISE * rng.standard_normal(signal.shape, dtype=np.float32)
        return (signal * self.channel_scale + self.channel_mean).astype(np.float16)

    def _appearances(self, rng: np.random.Generator, positions: int) -> tuple[np.ndarray, np.ndarray]:
        """Positions (m,) and directions (m,) of everything present in a sequence, int64, unsorted."""
        mean_length = np.dot(LASTS, np.arange(1, len(LASTS) + 1))
        counts = rng.poisson(self.frequency * positions / mean_length)
        which = np.repeat(np.arange(len(counts)), counts)
        first = rng.integers(0, positions, len(which))
        length = rng.choice(np.arange(1, len(LASTS) + 1), len(which), p=LASTS)
        which, first = np.repeat(which, length), np.repeat(first, length)
        # 0, 1, ... within each appearance
        within = np.arange(len(which)) - np.repeat(np.cumsum(length) - length, length)
        inside = first + within < positions
        return (first + within)[inside], which[inside]

    def rows(self, n: int, first_number: int = 0, positions: int = 8192) -> np.ndarray:
        """float16 (n, channels): sequences from ``first_number`` on, one after another."""
        parts = [self.sequence(first_number + i, min(positions, n - low)) for i, low in _starts(n, positions)]
        return np.concatenate(parts)

    def found_share(self, model, std: np.ndarray, cosine: float = 0.9) -> float:
        """Share of the directions that a decoder direction matches at more than ``cosine``.

        Compared with channels scaled to variance 1 (``std`` (channels,) of the raw channels), so that the
        model's normaliser does not matter.
        """
        learned = model.decoder_directions() * model.scale.cpu().numpy() / std
        true = self.directions * self.channel_scale / std
        learned = learned / np.maximum(np.linalg.norm(learned, axis=1, keepdims=True), 1e-12)
        true = true / np.linalg.norm(true, axis=1, keepdims=True)
        return float(((true @ learned.T).max(1) > cosine).mean())


def _starts(n: int, size: int) -> list[tuple[int, int]]:
    return list(enumerate(range(0, n, size)))


def mean_and_std(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """float32 (channels,) each, of raw rows (n, channels): the ``standard`` normaliser's vectors."""
    wide = rows.astype(np.float32)
    return wide.mean(0), wide.std(0)


def write_planted_store(folder: Path, planted: PlantedActivations, sequences: range, positions: int) -> Path:
    """A store in our layout, one file a sequence; nothing is done if it is there already."""
    import h5py

    done = folder / "intervals.tsv"
    if done.exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["chrom\tstart\tend\tfile\trow"]
    for i, number in enumerate(sequences):
        with h5py.File(folder / f"activations_{i}.h5", "w") as handle:
            handle.create_dataset("x", data=planted.sequence(number, positions)[None])
        lines.append(f"chr1\t{2 * positions * i}\t{2 * positions * i + positions}\t{i}\t0")
    done.write_text("\n".join(lines) + "\n")  # last: its presence says that the files are whole
    return folder
