"""Per-channel statistics of an activation store in one streaming pass, and the normalisers made of them.

Mean and variance are taken about a shift that lies within each block and merged block by block in
float64 (``biosae.statistics_kernels``), so neither large means nor long streams cost much precision. Tested
against float64 throughout, with means up to 10^6 standard deviations from 0: float32 and bfloat16, variance
within a relative 1e-9, mean within 1e-8 standard deviations; float64 likewise, but rounded to float32 first,
as models are fed; float16, both within 1e-6 (sums of 32 rows are float32's), but 2e-5 where the eight rows
that make a block's shift lie thousands of standard deviations from its others. Blocks have a fixed size and
begin at fixed rows: the result does not depend, not in one bit, on how many rows are read at a time, or
on threads. Maxima are signed; a channel whose maximum is not positive keeps its sign, because a
normaliser never divides by it.

Quantiles are those of a bounded sample: one random row of each of ``SAMPLE_ROWS`` equal stretches of the
stream, so they are exact for a store of no more rows than that. For a longer one, the share of rows below
the quantile of level p differs from p by no more than 0.0075 with a probability of 95 % (Dvoretzky, Kiefer
and Wolfowitz 1956 with Massart's constant 1990: sqrt(log(2/0.05) / (2 * 32768))), all levels at once, and
has a standard error of at most sqrt(p (1 - p) / 32768) at one: 0.0002 at p = 0.999.

Floor: the bytes of the store, read once. Measured, one core, float16 of 608 channels: see
tests/benchmarks/streaming.py. Memory: a piece a thread, plus the quantile sample in the stored type.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np

from biosae import artefacts
from biosae.activations import ActivationStore
from biosae.errors import ConfigError, InputError
from biosae.statistics_pass import measure, sample_quantiles, sample_rows
from biosae.store_files import new_hdf5
from biosae.store_types import to_float32

_log = logging.getLogger(__name__)

SAMPLE_ROWS = 32768  # rows behind the quantiles: 40 MB of float16 of 608 channels
NORMALISERS = ("max", "absmax", "standard", "none")
_VECTORS = ("count", "min", "max", "absmax", "mean", "variance")


@dataclass
class ChannelStatistics:
    """Statistics of each channel over all rows of a store.

    Attributes:
        count: number of rows, int64 (channels,).
        min, max, absmax, mean, variance: float64 (channels,). ``max`` is signed; ``variance`` is that
            of the population (divided by n).
        quantiles: float64 (channels, levels), approximate: from one random row of each of
            ``SAMPLE_ROWS`` equal stretches of the stream (exact when it has no more rows than that).
        quantile_levels: float64 (levels,), each in [0, 1].
        fingerprint: of the store (``ActivationStore.fingerprint``).
        provenance: of the file (``artefacts.provenance``).
    """

    count: np.ndarray
    min: np.ndarray
    max: np.ndarray
    absmax: np.ndarray
    mean: np.ndarray
    variance: np.ndarray
    quantiles: np.ndarray
    quantile_levels: np.ndarray
    fingerprint: dict = field(default_factory=dict)
    provenance: dict = field(default_factory=dict)

    @property
    def channels(self) -> int:
        """Number of channels."""
        return len(self.mean)


def compute_statistics(
    store: ActivationStore,
    quantile_levels: list[float],
    slab_rows: int = 8192,
    seed: int = 0,
    threads: int = 1,
) -> ChannelStatistics:
    """One pass over a store, checking every value for NaN and infinity on the way.

    Args:
        store: the activations.
        quantile_levels: in [0, 1], in any order.
        slab_rows: rows read at a time, by a thread: rounded up to a multiple of 256, at most 8,192, and
            about 1 MiB where files are contiguous. Bounds memory and changes nothing else.
        seed: of the rows behind the quantiles.
        threads: threads that read and measure; changes nothing but the time.

    Raises:
        InputError: NaN or infinity, or an unreadable file; names file, dataset and row.
        ConfigError: a quantile level that is NaN or outside [0, 1], no row in a slab, or no thread.
    """
    levels = np.asarray(quantile_levels, dtype=np.float64)
    if min(slab_rows, threads) < 1 or not ((levels >= 0) & (levels <= 1)).all():
        raise ConfigError(
            "Statistics need slab_rows >= 1, threads >= 1 and quantiles in [0, 1]",
            got={"slab_rows": slab_rows, "threads": threads, "quantiles": list(quantile_levels)},
        )
    state, sample = measure(store, sample_rows(store.n_rows, SAMPLE_ROWS, seed), slab_rows, threads)
    low, high = (to_float32(values).astype(np.float64) for values in state.extremes())
    return ChannelStatistics(
        count=np.full(store.channels, state.count, np.int64),
        min=low,
        max=high,
        absmax=np.maximum(np.abs(low), np.abs(high)),
        mean=state.mean,
        variance=state.squares / state.count,
        quantiles=sample_quantiles(sample, levels),
        quantile_levels=levels,
        fingerprint=store.fingerprint(),
    )


def write_statistics(stats: ChannelStatistics, path: str | Path, made_by: dict) -> None:
    """Write ``statistics.h5`` atomically; ``made_by`` is the provenance.

    Raises:
        InputError: the disk is full.
    """
    with artefacts.atomic_path(path) as temporary, new_hdf5(temporary, path) as handle:
        for name in (*_VECTORS, "quantiles"):
            handle.create_dataset(name, data=getattr(stats, name))
        handle["quantiles"].attrs["quantile_levels"] = stats.quantile_levels
        handle.attrs["channels"] = stats.channels
        handle.attrs["fingerprint"] = json.dumps(stats.fingerprint, sort_keys=True)
        handle.attrs["provenance"] = json.dumps(made_by, sort_keys=True)


def load_statistics(path: str | Path) -> ChannelStatistics:
    """Read what ``write_statistics`` wrote.

    Raises:
        InputError: the file is missing, unreadable or not a statistics file.
    """
    try:
        with h5py.File(path, "r") as handle:
            values = {name: handle[name][()] for name in (*_VECTORS, "quantiles")}
            levels = handle["quantiles"].attrs["quantile_levels"]
            notes = {name: json.loads(handle.attrs[name]) for name in ("fingerprint", "provenance")}
    except (OSError, KeyError, ValueError) as error:
        raise InputError(
            "Cannot read the statistics file",
            where=path,
            got=error,
            expected="an HDF5 file written by compute_statistics.py",
            mend="run compute_statistics.py again",
        ) from error
    stats = ChannelStatistics(**values, quantile_levels=np.asarray(levels), **notes)
    if any(getattr(stats, name).shape != (stats.channels,) for name in _VECTORS):
        raise InputError("The statistics file holds vectors of different lengths", where=path)
    return stats


def normaliser_vectors(stats: ChannelStatistics, kind: str) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """Shift and scale of a normaliser: x_norm = (x - shift) / scale.

    ``max`` divides by the signed maximum, ``absmax`` by the absolute maximum, ``standard`` subtracts
    the mean and divides by the standard deviation (of the population), ``none`` does nothing. A channel
    that the rule cannot scale (max <= 0, absmax = 0, variance = 0, or a scale that float32 cannot
    hold as a normal number) is listed, keeps its shift and gets scale 1: its sign never flips.

    Returns:
        (shift float32 (channels,), scale float32 (channels,), channels that could not be scaled).

    Raises:
        ConfigError: an unknown kind.
    """
    if kind not in NORMALISERS:
        raise ConfigError("Unknown normaliser", got=kind, expected=f"one of {NORMALISERS}")
    shift = stats.mean if kind == "standard" else np.zeros(stats.channels)
    if kind == "none":
        return shift.astype(np.float32), np.ones(stats.channels, np.float32), []
    scale = {"max": stats.max, "absmax": stats.absmax, "standard": np.sqrt(stats.variance)}[kind]
    unscaled = np.flatnonzero(~(scale >= np.finfo(np.float32).tiny))
    scale = scale.astype(np.float32)
    scale[unscaled] = 1.0
    if len(unscaled):
        _log.warning(
            "normaliser '%s' leaves %d of %d channels unscaled (scale 1): %s",
            kind,
            len(unscaled),
            stats.channels,
            unscaled[:20].tolist(),
        )
    return shift.astype(np.float32), scale, unscaled.tolist()
