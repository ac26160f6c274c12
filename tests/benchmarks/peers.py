"""Training steps of other public projects, as their own trainers take them, behind one small interface.

Each ``build_*`` returns a ``Peer``; ``step(u)`` is one optimiser step on normalised float32 rows
(n, channels), ``reconstruct(u)`` what the autoencoder makes of rows. Nothing of theirs is changed but what a
comment says. They are for benchmarks only; a project that is not installed is skipped, with the reason.

    pip install sae-lens eai-sparsify dictionary-learning

dictionary-learning's package imports nnsight, which its training step never touches, and whose pinned
version conflicts with the others; without nnsight only its trainers are imported.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.metadata
import importlib.util
import io
import sys
import types
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

_MANY = 10**9  # steps or positions of a schedule that the benchmark never reaches


class Peer(NamedTuple):
    """One step, and the reconstruction of rows."""

    step: Callable[[Tensor], object]
    reconstruct: Callable[[Tensor], Tensor]
    note: str


def build_sparsify(
    u: Tensor, n_nodes: int, k: int, optimiser: str, learning_rate: float | None = None
) -> Peer:
    """eai-sparsify: ``Trainer.fit``'s work on one batch, without the language model around it.

    ``optimiser``: "signum" (the project's default: schedule-free sign descent with momentum) or "adam".
    """
    with contextlib.redirect_stdout(io.StringIO()):  # it prints which decoder it chose
        from sparsify import SparseCoder, SparseCoderConfig
        from sparsify import utils as sparsify_utils

    sae = SparseCoder(u.shape[1], SparseCoderConfig(num_latents=n_nodes, k=k), u.device, torch.float32)
    sae.b_dec.data = u.mean(0)  # as at its first step
    chosen = _sparsify_optimiser(sae, n_nodes, optimiser, learning_rate)
    since_fired = torch.zeros(n_nodes, dtype=torch.long, device=u.device)
    fired = torch.zeros(n_nodes, dtype=torch.bool, device=u.device)

    def step(rows: Tensor) -> float:
        sae.set_decoder_norm_to_unit_norm()
        variance = (rows - rows.mean(0)).pow(2).sum()
        out = sae(x=rows, y=rows, dead_mask=None, total_variance=variance)
        fired[out.latent_indices.flatten()] = True
        fvu = float(out.fvu.detach())
        (out.fvu + 0.0 * out.auxk_loss + out.multi_topk_fvu / 8).backward()
        sae.remove_gradient_parallel_to_decoder_directions()
        chosen.step()
        chosen.zero_grad()
        since_fired.add_(len(rows))
        since_fired[fired] = 0
        fired.zero_()
        return fvu

    path = sparsify_utils.decoder_impl.__name__
    where = "bf16 autocast" if u.is_cuda else "fp32"
    reconstruct = functools.partial(_sparsify_output, sae, chosen)
    return Peer(step, reconstruct, f"decoder: {path}; {where}; {optimiser}")


def _sparsify_output(sae, chosen, rows: Tensor) -> Tensor:
    averaged = hasattr(chosen, "eval")  # schedule-free: the weights to use are an average
    if averaged:
        chosen.eval()
    output = sae(rows).sae_out
    if averaged:
        chosen.train()
    return output


def _sparsify_optimiser(sae, n_nodes: int, name: str, learning_rate: float | None):
    """Its own rules of the learning rate: the smaller the more nodes."""
    scale = (n_nodes / 2**14) ** 0.5
    if name == "adam":
        return torch.optim.Adam(sae.parameters(), lr=learning_rate or 2e-4 / scale)
    from schedulefree import ScheduleFreeWrapper
    from sparsify.sign_sgd import SignSGD

    wrapped = ScheduleFreeWrapper(SignSGD(sae.parameters(), lr=learning_rate or 5e-3 / scale), momentum=0.95)
    wrapped.train()
    return wrapped


def build_dictionary_learning(u: Tensor, n_nodes: int, k: int, learning_rate: float | None = None) -> Peer:
    """dictionary-learning: ``TopKTrainer.update``, AuxK on as by default (no node is dead here)."""
    with _without_nnsight():
        trainer_class = importlib.import_module("dictionary_learning.trainers.top_k").TopKTrainer
    trainer = trainer_class(
        steps=_MANY,
        activation_dim=u.shape[1],
        dict_size=n_nodes,
        k=k,
        layer=0,
        lm_name="none",
        lr=learning_rate,
        warmup_steps=0,
        device=str(u.device),
    )
    taken = iter(range(_MANY))
    return Peer(lambda rows: trainer.update(next(taken), rows), trainer.ae, "fp32; Adam")


@contextlib.contextmanager
def _without_nnsight() -> Iterator[None]:
    """Without nnsight the package is entered as an empty one, so that only its trainers are imported."""
    name = "dictionary_learning"
    if importlib.util.find_spec("nnsight") is None and name not in sys.modules:
        spec = importlib.util.find_spec(name)
        if spec is None:
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)
        package = types.ModuleType(name)
        package.__path__ = list(spec.submodule_search_locations)
        sys.modules[name] = package
    yield


def build_sae_lens(u: Tensor, n_nodes: int, k: int, learning_rate: float | None = None) -> Peer:
    """sae-lens: ``SAETrainer.step`` on its TopK training SAE, dense codes as by default.

    Its option ``use_sparse_activations`` cannot be taken on a CPU: backward needs ``aten::view`` of a sparse
    tensor, which PyTorch 2.13 does not have there.
    """
    from sae_lens import TopKTrainingSAE, TopKTrainingSAEConfig
    from sae_lens.config import SAETrainerConfig
    from sae_lens.training.sae_trainer import SAETrainer

    sizes = {"d_in": u.shape[1], "d_sae": n_nodes, "k": k}
    sae = TopKTrainingSAE(TopKTrainingSAEConfig(**sizes, dtype="float32", device=str(u.device)))
    config = SAETrainerConfig(
        total_training_samples=_MANY,
        train_batch_size_samples=len(u),
        lr=learning_rate or 3e-4,
        lr_end=(learning_rate or 3e-4) / 10,  # it must be given; a constant schedule never reaches it
        device=str(u.device),
    )
    trainer = SAETrainer(config, sae, iter(()))

    def step(rows: Tensor) -> object:
        result = trainer.step(rows)
        trainer.n_training_steps += 1
        return result

    return Peer(step, sae, "fp32; Adam")


def versions() -> str:
    """Installed versions, for the head of a table."""
    found = []
    for name in ("torch", "eai-sparsify", "dictionary-learning", "sae-lens", "numba"):
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            found.append(f"{name} not installed")
    return ", ".join(found)
