"""Dictionaries: what turns rows of activations into sparse codes and back. The equations.

    normalised   u = (x - shift) / scale                    vectors per channel, part of the model
    inner        v = (u - mean(u)) / (std(u) + 1e-5)        per position, if ``layer_norm``; else v = u
    codes        a = TopK_k(ReLU((v - pre_bias) E^T + latent_bias))
    inner output w = a D + pre_bias
    output       y = w * std(u) + mean(u)                   if ``layer_norm``; else y = w

E and D are (n_nodes, channels): one row a node. This is the k-sparse autoencoder of Makhzani and
Frey (arXiv 1312.5663) as used by Gao et al. (arXiv 2406.04093, section 2.3), with the ReLU and the
per-position LayerNorm of the published SAE on Borzoi; LayerNorm's std is the unbiased one, and as
there it is undone without the 1e-5. Further kinds choose their nodes otherwise (``KINDS``):

    batchtopk   in training the n*k largest of the n rows of a batch together; afterwards every value
                at or above ``threshold``, the running mean of the smallest value that was chosen
                (Bussmann et al., arXiv 2412.06410, section 3)
    matryoshka  the same choice; the loss is the mean over nested prefixes of the nodes
                (Bussmann et al., arXiv 2503.17547, section 3)
    relu        every value > 0; the loss has an L1 term on values times decoder norms
                (Conerly et al., "Update on how we train SAEs", Transformer Circuits, April 2024)
    raw         the channels themselves, both signs: a baseline
    pca, ica    linear scores of the channels, both signs: baselines (``biosae.linear``)

``Dictionary.select`` finds the codes in evaluation; ``encode_block``, the fast path of encoding, and
training normalise rows in a kernel of their own, so that values may differ from it in the last bits.
The losses are in ``biosae.step``.

Floor of a step, in multiply-adds a position with d channels, n nodes and k active: d*n for the
dense encoder and 4*d*k for decoding and the gradients, which are computed from the active nodes only.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from biosae.dictionary import LAYER_NORM_EPS, Dictionary, RawChannels, Reconstruction, SparseCodes
from biosae.errors import ConfigError, InputError
from biosae.parallel import chunks, run_chunks
from biosae.selection import Entries, chunk_rows, select_above, select_top
from biosae.selection_kernels import prepare_rows
from biosae.sparse import batch_top_nodes, nodes_above, sparse_decode, sparse_encode, top_nodes

__all__ = [
    "KINDS",
    "LAYER_NORM_EPS",
    "SAE",
    "Dictionary",
    "RawChannels",
    "Reconstruction",
    "SparseCodes",
    "build",
]

# weight of a new batch in the running threshold: some hundred steps of memory, our choice
THRESHOLD_MOMENTUM = 0.01


class SAE(Dictionary):
    """Kind ``topk``: the sparse autoencoder of the module's docstring.

    Weights start as the published ones do (uniform in +-1/sqrt(fan in), biases 0), from ``seed``.
    """

    kind = "topk"

    def __init__(
        self, channels: int, n_nodes: int, k: int, layer_norm: bool = True, shift=None, scale=None, seed=0
    ):
        super().__init__(channels, n_nodes, k, layer_norm, shift, scale)
        generator = torch.Generator().manual_seed(seed)

        def uniform(fan_in: int) -> nn.Parameter:
            return nn.Parameter((torch.rand(n_nodes, channels, generator=generator) * 2 - 1) * fan_in**-0.5)

        self.encoder, self.decoder = uniform(channels), uniform(n_nodes)
        self.pre_bias = nn.Parameter(torch.zeros(channels))
        self.latent_bias = nn.Parameter(torch.zeros(n_nodes))

    def choose(self, pre: Tensor) -> tuple[Tensor, Tensor]:
        """From pre-activations (n, n_nodes) to values (n, columns) >= 0 and node indices, plain PyTorch."""
        return top_nodes(pre, self.k)

    def choose_in_training(self, pre: Tensor) -> tuple[Tensor, Tensor]:
        """The same for a batch of training, which holds all rows of ``pre``."""
        return self.choose(pre)

    def chosen(self, centred: Tensor) -> Entries:
        """What ``choose`` gives of inner rows less the pre-bias, by the compiled kernels (CPU, float32)."""
        return select_top(centred, *self._weights(), self.k)

    def select(self, inner: Tensor) -> tuple[Tensor, Tensor]:
        """``choose`` of (inner - pre_bias) encoder^T + latent_bias, by the fastest path there is."""
        if self._compiled(inner):
            return self.chosen(inner - self.pre_bias).padded(self.k if self.kind == "topk" else None)
        return sparse_encode(inner - self.pre_bias, self.encoder, self.latent_bias, self.choose)

    def _weights(self) -> tuple[Tensor, Tensor]:
        return self.encoder.detach(), self.latent_bias.detach()

    def _compiled(self, inner: Tensor) -> bool:
        return not torch.is_grad_enabled() and inner.device.type == "cpu" and inner.dtype == torch.float32

    @torch.no_grad()
    def encode_block(self, x) -> SparseCodes:
        """All activations > 0 of raw rows (n, channels), sorted by row (numpy or tensor in, numpy out)."""
        if self.shift.device.type != "cpu" or self.encoder.dtype != torch.float32:
            return super().encode_block(x)
        rows = self._checked(x)
        target, inner = torch.empty(rows.shape), torch.empty(rows.shape)
        vectors = self.shift.numpy(), self.scale.numpy(), self.pre_bias.detach().numpy()
        eps = np.float32(LAYER_NORM_EPS if self.layer_norm else -1)
        arrays = target.numpy(), inner.numpy(), np.empty(len(rows), np.float32)

        def prepare(low: int, high: int) -> None:
            target[low:high].copy_(rows[low:high])
            prepare_rows(low, high, *vectors, eps, *arrays, np.zeros(self.channels), np.zeros(self.channels))

        run_chunks(prepare, chunks(len(rows), chunk_rows(len(rows), self.channels, self.n_nodes)))
        if self.layer_norm and not np.isfinite(arrays[2]).all():
            raise InputError(
                "Activations are too large for LayerNorm in float32",
                mend="check the store and the normaliser: is the checkpoint of this layer?",
            )
        return SparseCodes(*self.chosen(inner).coordinates())

    def combine(self, values: Tensor, indices: Tensor) -> Tensor:
        """Inner output (n, channels): decoder directions times values, plus the pre-bias."""
        return sparse_decode(values, indices, self.decoder) + self.pre_bias

    def decoder_directions(self) -> np.ndarray:
        """A copy of the decoder, float32 (n_nodes, channels)."""
        return self.decoder.detach().float().cpu().numpy().copy()


class ReLUSAE(SAE):
    """Kind ``relu``: every positive value is active; ``k`` is the number of nodes and limits nothing."""

    kind = "relu"

    def choose(self, pre: Tensor) -> tuple[Tensor, Tensor]:
        """All positive values, padded."""
        return nodes_above(pre, 0.0)

    def chosen(self, centred: Tensor) -> Entries:
        """All positive values, by the compiled kernels."""
        return select_above(centred, *self._weights(), 0.0)


class BatchTopKSAE(SAE):
    """Kind ``batchtopk``: k a position on average, freely spread over the positions of a batch.

    ``threshold``, a scalar, takes the place of the batch outside training. It is 0 before training begins:
    until then a position has its k largest, as in ``topk``.
    """

    kind = "batchtopk"

    def __init__(self, *sizes, **options):
        super().__init__(*sizes, **options)
        self.register_buffer("threshold", torch.zeros(()))

    def choose(self, pre: Tensor) -> tuple[Tensor, Tensor]:
        """All positive values at or above the threshold, padded."""
        return nodes_above(pre, self.threshold) if self.threshold > 0 else top_nodes(pre, self.k)

    def choose_in_training(self, pre: Tensor) -> tuple[Tensor, Tensor]:
        """The n*k largest of all rows together, padded."""
        return batch_top_nodes(pre, self.k)

    def chosen(self, centred: Tensor) -> Entries:
        """All positive values at or above the threshold, by the compiled kernels."""
        if self.threshold == 0:
            return super().chosen(centred)
        return select_above(centred, *self._weights(), float(self.threshold))

    @torch.no_grad()
    def follow(self, least: Tensor) -> None:
        """Move the threshold towards the smallest value that a batch of training chose."""
        step = torch.where(self.threshold > 0, THRESHOLD_MOMENTUM, 1.0)
        self.threshold += step * (least - self.threshold)


class MatryoshkaSAE(BatchTopKSAE):
    """Kind ``matryoshka``: ``batchtopk`` whose first nodes must explain the activations without the later."""

    kind = "matryoshka"

    def borders(self, groups: int) -> list[int]:
        """Ends of the nested prefixes: n_nodes halved again and again, smallest first, all different."""
        return sorted({max(1, self.n_nodes >> i) for i in range(groups)})


KINDS: dict[str, type[SAE]] = {kind.kind: kind for kind in (SAE, BatchTopKSAE, MatryoshkaSAE, ReLUSAE)}


def build(
    kind: str, channels: int, n_nodes: int, k: int, layer_norm: bool, shift=None, scale=None, seed=0
) -> SAE:
    """A fresh dictionary of a kind that is trained (``KINDS``); kind ``relu`` takes no k.

    Raises:
        ConfigError: another kind.
    """
    if kind not in KINDS:
        raise ConfigError("Unknown kind of dictionary", got=kind, expected=sorted(KINDS))
    k = n_nodes if kind == ReLUSAE.kind else k
    return KINDS[kind](channels, n_nodes, k, layer_norm, shift=shift, scale=scale, seed=seed)
