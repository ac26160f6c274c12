"""Baselines: dictionaries that are not trained, as nulls to compare trained ones with.

    raw     both signs of every channel
    pca     both signs of principal components of normalised channels
    ica     both signs of independent components (FastICA, scikit-learn's)
    random  directions drawn at random; encoder and decoder are the same, k nodes a position (kind ``topk``)

``model, note = build(kind, source, vectors, settings)`` makes each of them; the model is used, saved and
encoded like any other dictionary. Three more baselines are trained, with the programs of any other run: on a
frozen random decoder (``Recipe.frozen_decoder``), on permuted positions (``biosae.permuting``:
``permute_store`` for a store, ``permute_sequence`` for an array), and on activations of the same network
with random weights.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F

from biosae.activations import ActivationStore
from biosae.dictionary import Dictionary, RawChannels
from biosae.errors import ConfigError
from biosae.linear import IndependentComponents, PrincipalComponents
from biosae.model import SAE

_log = logging.getLogger(__name__)

KINDS = ("raw", "pca", "ica", "random")
_BLOCK_ROWS = 256  # neighbouring positions of a sample that are read at once
# a component with less of the largest one's variance is rounding: float32 leaves about 1e-14
_LEAST_VARIANCE_SHARE = 1e-10
ICA_ITERATIONS, ICA_TOLERANCE = 400, 1e-4  # twice scikit-learn's default, and its default


@dataclass(frozen=True)
class BaselineSettings:
    """What a baseline is made with; each kind reads its own.

    components: of pca and ica; None: as many as channels.
    sample_positions: positions that pca, ica and the mean of random are fitted on.
    n_nodes, k, layer_norm: shape of random, that of the SAE it stands beside.
    seed: of ica's start and random's directions.
    """

    components: int | None = None
    sample_positions: int = 500_000
    n_nodes: int | None = None
    k: int | None = None
    layer_norm: bool = False
    seed: int = 0


class Baseline(NamedTuple):
    """A dictionary and a sentence on how its figures are to be read (for ``evaluation.json``)."""

    model: Dictionary
    note: str


def build(
    kind: str,
    source: ActivationStore | np.ndarray | None,
    vectors: tuple[np.ndarray, np.ndarray],
    settings: BaselineSettings | None = None,
) -> Baseline:
    """A baseline of ``kind`` (``KINDS``), on the CPU.

    Args:
        source: the training store, or raw rows (n, channels); raw needs none.
        vectors: shift and scale (channels,) of the normaliser (``statistics.normaliser_vectors``).
        settings: None: the defaults.

    Raises:
        ConfigError: unknown kind; no source; more components than channels or than sampled positions;
            random without a shape.
    """
    settings = settings or BaselineSettings()
    if kind not in KINDS or (source is None and kind != "raw"):
        raise ConfigError(
            "A baseline needs a known kind, and all but raw a training store",
            got={"kind": kind, "store": "none" if source is None else "given"},
            expected=KINDS,
        )
    shift, scale = (np.asarray(vector, dtype=np.float32) for vector in vectors)
    if kind == "raw":
        return Baseline(RawChannels(len(shift), shift, scale), _RAW_NOTE)
    makers = {"pca": _principal, "ica": _independent, "random": _random}
    return makers[kind](source, shift, scale, settings)


_RAW_NOTE = "Both signs of every channel reconstruct the input: fvu is 0 by construction and proves nothing."
_WHOLE_NOTE = "As many components as the channels span: fvu is 0 by construction and proves nothing."
_RANDOM_NOTE = (
    "Directions were drawn at random and only pre_bias was set, to the mean of {n} positions: "
    "fvu may be above 1."
)


def sample_blocks(source: ActivationStore | np.ndarray, positions: int) -> Iterator[np.ndarray]:
    """Raw rows float32 (n, channels) in blocks spread evenly over ``source``, ``positions`` of them at most.

    Of a store neighbouring rows come together, ``_BLOCK_ROWS`` at a time, in the order of the stream.
    """
    if not isinstance(source, ActivationStore):
        count = min(positions, len(source))
        yield np.asarray(source[np.arange(count) * len(source) // max(count, 1)], dtype=np.float32)
        return
    size = min(_BLOCK_ROWS, source.positions, positions)
    per_sequence = -(-source.positions // size)
    total = source.n_sequences * per_sequence
    left, count = positions, min(total, -(-positions // size))
    for block in np.arange(count) * total // count:
        sequence, place = divmod(int(block), per_sequence)
        n = min(size, source.positions - place * size, left)
        left -= n
        yield source.read(sequence * source.positions + place * size, n)


def _principal(source, shift, scale, settings: BaselineSettings) -> Baseline:
    n, mean, covariance = _moments(source, shift, scale, settings.sample_positions)
    components = _components(settings, len(shift), n)
    variances, vectors = np.linalg.eigh(covariance)
    order = np.argsort(variances)[::-1][:components]
    weights = vectors[:, order].T
    # the sign that eigh leaves open: the entry of largest size is positive
    weights *= np.sign(weights[np.arange(components), np.abs(weights).argmax(1)])[:, None]
    weights[variances[order] <= _LEAST_VARIANCE_SHARE * variances.max()] = 0
    model = PrincipalComponents(weights, weights, mean, shift, scale)
    share = variances[order].sum() / variances.sum() if variances.sum() > 0 else 0.0
    return Baseline(model, _linear_note(weights, variances, n, f"{share:.4g} of the variance"))


def _independent(source, shift, scale, settings: BaselineSettings) -> Baseline:
    from sklearn.decomposition import FastICA
    from sklearn.exceptions import ConvergenceWarning

    n, mean, covariance = _moments(source, shift, scale, settings.sample_positions)
    components = _components(settings, len(shift), n)
    variances = np.linalg.eigvalsh(covariance)
    rank = int((variances > _LEAST_VARIANCE_SHARE * variances.max()).sum())
    weights, directions = np.zeros((2, components, len(shift)), np.float32)
    story = "no component has variance"
    if found := min(components, rank):
        options = {"max_iter": ICA_ITERATIONS, "tol": ICA_TOLERANCE, "random_state": settings.seed}
        ica = FastICA(found, whiten="unit-variance", whiten_solver="eigh", **options)
        rows, filled = np.empty((n, len(shift)), np.float32), 0
        for block in sample_blocks(source, settings.sample_positions):
            rows[filled : filled + len(block)] = (block - shift) / scale
            filled += len(block)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            ica.fit(rows)
        order = np.argsort(-np.linalg.norm(ica.mixing_, axis=0), kind="stable")
        weights[:found], directions[:found] = ica.components_[order], ica.mixing_.T[order]
        failed = any(issubclass(warning.category, ConvergenceWarning) for warning in caught)
        story = f"FastICA did {'NOT converge' if failed else 'converge'} in {ica.n_iter_} iterations"
        if failed:
            _log.warning("%s: the components are not independent", story)
    model = IndependentComponents(weights, directions, mean, shift, scale)
    return Baseline(model, _linear_note(weights, variances, n, story))


def _random(source, shift, scale, settings: BaselineSettings) -> Baseline:
    if settings.n_nodes is None or settings.k is None:
        raise ConfigError(
            "A random baseline needs the shape of the SAE that it stands beside",
            got={"n_nodes": settings.n_nodes, "k": settings.k},
            mend="give --expansion and --k",
        )
    model = SAE(len(shift), settings.n_nodes, settings.k, settings.layer_norm, shift, scale)
    generator = torch.Generator().manual_seed(settings.seed)
    total, n = torch.zeros(len(shift), dtype=torch.float64), 0
    with torch.no_grad():
        model.decoder.copy_(F.normalize(torch.randn(model.decoder.shape, generator=generator), dim=1))
        model.encoder.copy_(model.decoder)
        for block in sample_blocks(source, settings.sample_positions):
            total += model._inner(model.normalise(block))[0].double().sum(0)
            n += len(block)
        model.pre_bias.copy_(total / n)
    return Baseline(model, _RANDOM_NOTE.format(n=n))


def _moments(source, shift, scale, positions: int) -> tuple[int, np.ndarray, np.ndarray]:
    """Number, mean (channels,) and covariance (channels, channels), float64, of normalised sampled rows."""
    n, total, products = 0, np.zeros(len(shift)), np.zeros((len(shift), len(shift)))
    for block in sample_blocks(source, positions):
        rows = ((block - shift) / scale).astype(np.float64)
        n, total, products = n + len(rows), total + rows.sum(0), products + rows.T @ rows
    mean = total / max(n, 1)
    return n, mean, products / max(n, 1) - np.outer(mean, mean)


def _components(settings: BaselineSettings, channels: int, n: int) -> int:
    """The number of components; ConfigError where channels or positions are fewer."""
    components = channels if settings.components is None else settings.components
    if not 1 <= components <= min(channels, n):
        raise ConfigError(
            "A baseline cannot have more components than channels, nor than positions it is fitted on",
            got=f"{components} components",
            expected=f"1 to {min(channels, n)} ({channels} channels, {n} sampled positions)",
            mend="lower baseline_settings.components or raise baseline_settings.sample_positions",
        )
    return components


def _linear_note(weights: np.ndarray, variances: np.ndarray, n: int, story: str) -> str:
    dead = int((~weights.any(axis=1)).sum())
    rank = int((variances > _LEAST_VARIANCE_SHARE * variances.max()).sum())
    words = f"{len(weights)} components, fitted on {n} positions; {story}"
    words += f"; {dead} of them have no variance and their nodes are dead." if dead else "."
    return f"{words} {_WHOLE_NOTE}" if len(weights) - dead >= rank else words
