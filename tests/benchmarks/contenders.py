"""Contenders of the step benchmarks, all behind ``Contender``, and how they are timed: interleaved, median.

Every contender sees the same positions: biosae the raw stored rows, which it converts and normalises itself,
the others the same rows already normalised and in float32.
"""

from __future__ import annotations

import importlib.util
import statistics
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

ROOT = Path(__file__).resolve().parents[2]
for _folder in (ROOT / "scripts", ROOT / "tests" / "benchmarks"):
    if str(_folder) not in sys.path:
        sys.path.insert(0, str(_folder))

import peers  # noqa: E402  (the paths come first)
from published_step import LEARNING_RATE, PublishedSAE, PublishedStep  # noqa: E402

from biosae.recipes import Recipe, Schedule, recipe_of  # noqa: E402
from biosae.trainer import Trainer  # noqa: E402
from biosae.training import new_model  # noqa: E402

GEMM_ROWS = 1024  # rows a product: the result stays in the cache, which measured best


class Size(NamedTuple):
    """Channels, nodes, active nodes a position."""

    channels: int
    n_nodes: int
    k: int

    def __str__(self) -> str:
        return f"{self.channels} channels, {self.n_nodes:,} nodes, k {self.k}"


class Batch(NamedTuple):
    """The same rows (n, channels): as stored, and normalised in float32."""

    raw: Tensor
    u: Tensor


class Contender(NamedTuple):
    """``step(batch)``: one optimiser step; ``reconstruct(batch)``: normalised output (n, channels)."""

    step: Callable[[Batch], object]
    reconstruct: Callable[[Batch], Tensor]
    note: str
    limit: str = "fp32"  # precision of the encoder product that its share of the limit refers to


class Unavailable(Exception):
    """A contender cannot run here; the message says why."""


def new_biosae(size: Size, normaliser, precision: str, preset: str = "default", **changes):
    """(model, recipe) of a recipe; ``normaliser`` is (shift, scale), numpy (channels,).

    Raises:
        Unavailable: the recipe has no such precision.
    """
    given = {"expansion": size.n_nodes / size.channels, "k": size.k, "k_of": "absolute", **changes}
    if any(field.name == "precision" for field in fields(Recipe)):
        given["precision"] = precision
    elif precision != "float32":
        raise Unavailable("this version's recipes have no precision")
    recipe = recipe_of(preset, given)
    return new_model(recipe, size.channels, *normaliser), recipe


def build_biosae(size: Size, batch: Batch, normaliser, precision: str, **changes) -> Contender:
    """biosae's own ``Trainer.train_step``: conversion, normaliser, step, schedule, counts of dead nodes."""
    model, recipe = new_biosae(size, normaliser, precision, **changes)
    model.to(batch.u.device)
    rows = len(batch.u)
    trainer = Trainer(model, Schedule(recipe.for_store(rows), 10**9))

    @torch.no_grad()
    def reconstruct(rows: Batch) -> Tensor:
        return model(rows.raw).output

    limit = "bf16" if precision == "bfloat16" else "fp32"
    return Contender(lambda rows: trainer.train_step(rows.raw), reconstruct, precision, limit)


def build_published(
    size: Size, batch: Batch, layer_norm: bool, learning_rate: float = LEARNING_RATE, like=None
) -> Contender:
    """The published step; ``like``: a biosae model whose weights it starts from."""
    model = PublishedSAE(*size, layer_norm=layer_norm)
    if like is not None:
        model.take_weights(like)
    step = PublishedStep(model.to(batch.u.device), learning_rate)

    @torch.no_grad()
    def reconstruct(rows: Batch) -> Tensor:
        return model(rows.u)[0]

    return Contender(lambda rows: step(rows.u), reconstruct, "fp32; dense; Adam")


def build_peer(name: str, size: Size, batch: Batch) -> Contender:
    """A contender of another project; Unavailable with the reason if it is not installed."""
    builders = {
        "eai-sparsify": lambda: peers.build_sparsify(batch.u, size.n_nodes, size.k, "signum"),
        "eai-sparsify, Adam": lambda: peers.build_sparsify(batch.u, size.n_nodes, size.k, "adam"),
        "dictionary-learning": lambda: peers.build_dictionary_learning(batch.u, size.n_nodes, size.k),
        "sae-lens": lambda: peers.build_sae_lens(batch.u, size.n_nodes, size.k),
    }
    try:
        peer = builders[name]()
    except ImportError as error:
        raise Unavailable(f"not installed ({error})") from error
    return as_contender(peer)


def as_contender(peer: peers.Peer) -> Contender:
    """A peer, which takes normalised rows, as a contender."""

    @torch.no_grad()
    def reconstruct(rows: Batch) -> Tensor:
        return peer.reconstruct(rows.u)

    return Contender(lambda rows: peer.step(rows.u), reconstruct, peer.note)


PEERS = ("eai-sparsify", "eai-sparsify, Adam", "dictionary-learning", "sae-lens")
NAMES = ("published", "biosae fp32", "biosae bf16", *PEERS)


def build(name: str, size: Size, batch: Batch, normaliser, layer_norm: bool = False) -> Contender:
    """A contender by its name.

    Raises:
        Unavailable: it cannot run here.
    """
    if name == "published":
        return build_published(size, batch, layer_norm)
    if name.startswith("biosae"):
        precision = "bfloat16" if name.endswith("bf16") else "float32"
        return build_biosae(size, batch, normaliser, precision, layer_norm=layer_norm)
    return build_peer(name, size, batch)


def encoder_product(size: Size, batch: Batch, precision: str) -> Callable[[], object]:
    """The encoder's matrix product alone, as fast as the library does it: what no step can be faster than."""
    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    rows = batch.u.to(kind)
    encoder = torch.randn(size.n_nodes, size.channels, device=rows.device).to(kind).t()
    bias = torch.zeros(size.n_nodes, device=rows.device)
    chunk = len(rows) if rows.is_cuda else min(GEMM_ROWS, len(rows))
    out = torch.empty(chunk, size.n_nodes, dtype=kind, device=rows.device)

    def run() -> None:
        for part in rows.split(chunk):
            if kind == torch.bfloat16:
                torch.mm(part, encoder, out=out[: len(part)])
            else:
                torch.addmm(bias, part, encoder, out=out[: len(part)])

    return run


def interleaved(
    jobs: dict[str, Callable[[], object]], rounds: int, warm_up: int, clock: Callable[[], float]
) -> dict[str, float]:
    """Median seconds of each job over ``rounds``, every round running all jobs once, in turn."""
    seconds: dict[str, list[float]] = {name: [] for name in jobs}
    for turn in range(warm_up + rounds):
        for name, job in jobs.items():
            started = clock()
            job()
            if turn >= warm_up:
                seconds[name].append(clock() - started)
    return {name: statistics.median(values) for name, values in seconds.items()}


def set_threads(count: int) -> None:
    """Threads of PyTorch and of numba's kernels."""
    torch.set_num_threads(count)
    if importlib.util.find_spec("numba"):
        import numba

        numba.set_num_threads(min(count, numba.config.NUMBA_NUM_THREADS))


def fvu(contender: Contender, batch: Batch) -> float:
    """Fraction of variance unexplained on ``batch``, in normalised channels."""
    error = (contender.reconstruct(batch).double() - batch.u.double()).square().sum()
    return float(error / (batch.u.double() - batch.u.double().mean(0)).square().sum())
