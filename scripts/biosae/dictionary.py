"""What every dictionary shares: the normaliser, LayerNorm, and the seams that other modules use.

The equations are in ``biosae.model``'s docstring. ``RawChannels``, which learns nothing, is here too.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from biosae.errors import ConfigError, InputError

LAYER_NORM_EPS = 1e-5  # added to the standard deviation, as in the published SAE


class SparseCodes(NamedTuple):
    """All activations > 0 of a block, sorted by row: three arrays (m,), int64, int64, float32."""

    rows: np.ndarray
    nodes: np.ndarray
    values: np.ndarray


class Reconstruction(NamedTuple):
    """What a forward pass gives, n rows; every tensor in the normalised space unless said.

    target, output: (n, channels) u and y. inner_target, inner_output: (n, channels) v and w.
    std: (n, 1) LayerNorm's free scale, None without LayerNorm. values, indices: see ``encode``.
    """

    target: Tensor
    output: Tensor
    inner_target: Tensor
    inner_output: Tensor
    std: Tensor | None
    values: Tensor
    indices: Tensor


class Dictionary(nn.Module):
    """Base of all kinds: normaliser, LayerNorm, and the seams that other modules use.

    Args:
        channels, n_nodes: sizes.
        k: most active nodes a position.
        layer_norm: per-position LayerNorm on or off.
        shift, scale: (channels,) of the normaliser; 0 and 1 if None.

    Attributes:
        config: plain values written to ``config.json``; empty until saved or loaded.
    """

    kind = ""

    def __init__(self, channels: int, n_nodes: int, k: int, layer_norm: bool, shift=None, scale=None):
        super().__init__()
        if not (channels > layer_norm and 1 <= k <= n_nodes):
            raise ConfigError(
                "A dictionary needs channels >= 1 (2 with LayerNorm) and 1 <= k <= n_nodes",
                got={"channels": channels, "n_nodes": n_nodes, "k": k},
            )
        self.channels, self.n_nodes, self.k, self.layer_norm = channels, n_nodes, k, layer_norm
        self.config: dict = {}
        self.register_buffer("shift", _vector(shift, channels, 0.0))
        self.register_buffer("scale", _vector(scale, channels, 1.0))
        if not bool((torch.isfinite(self.shift) & torch.isfinite(self.scale) & (self.scale != 0)).all()):
            raise InputError("The normaliser must be finite and its scale not 0", mend="check the statistics")

    def structure(self) -> dict:
        """The sizes that a checkpoint's config holds."""
        names = ("kind", "n_nodes", "channels", "k", "layer_norm")
        return {name: getattr(self, name) for name in names}

    def normalise(self, x) -> Tensor:
        """Raw rows (n, channels), numpy or tensor of any floating type, to u in the model's type.

        Raises:
            InputError: another number of channels.
        """
        return (self._checked(x).to(self.shift.device, self.shift.dtype) - self.shift) / self.scale

    def _checked(self, x) -> Tensor:
        rows = torch.as_tensor(x)
        if rows.ndim != 2 or rows.shape[1] != self.channels:
            raise InputError(
                "The activations do not fit the dictionary",
                got=f"shape {tuple(rows.shape)}",
                expected=f"(rows, {self.channels})",
                mend="use the store of the layer that the dictionary was trained on",
            )
        return rows

    def _inner(self, u: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None]:
        if not self.layer_norm:
            return u, None, None
        std, mean = torch.std_mean(u, dim=1, keepdim=True)  # unbiased
        return (u - mean) / (std + LAYER_NORM_EPS), mean, std

    def select(self, inner: Tensor) -> tuple[Tensor, Tensor]:
        """Codes of inner rows: values (n, columns) >= 0 and node indices (n, columns); value 0 is padding."""
        raise NotImplementedError

    def combine(self, values: Tensor, indices: Tensor) -> Tensor:
        """Inner output w (n, channels) of codes."""
        raise NotImplementedError

    def decoder_directions(self) -> np.ndarray:
        """float32 (n_nodes, channels): what one unit of each node adds, in inner (normalised) channels."""
        raise NotImplementedError

    def forward(self, x) -> Reconstruction:
        """Codes and reconstruction of raw rows (n, channels)."""
        u = self.normalise(x)
        v, mean, std = self._inner(u)
        values, indices = self.select(v)
        w = self.combine(values, indices)
        y = w if std is None else w * std + mean
        return Reconstruction(u, y, v, w, std, values, indices)

    def encode(self, x) -> tuple[Tensor, Tensor]:
        """Codes of raw rows (n, channels): values and node indices int64, each (n, columns).

        There are k columns for kind ``topk``, and as many as the fullest row needs for others. A value
        of 0 is padding, not an activation; its index means nothing.
        """
        return self.select(self._inner(self.normalise(x))[0])

    def decode(self, values: Tensor, indices: Tensor, like=None) -> Tensor:
        """Raw-space reconstruction (n, channels) of codes.

        Args:
            values, indices: as ``encode`` gives them.
            like: the raw rows that were encoded; their mean and std a position undo LayerNorm.
        """
        if self.layer_norm and like is None:
            raise InputError("Decoding needs the encoded rows: LayerNorm's mean and std are not in the codes")
        output = self.combine(values, indices)
        if self.layer_norm:
            _, mean, std = self._inner(self.normalise(like))
            output = output * std + mean
        return output * self.scale + self.shift

    @torch.no_grad()
    def encode_block(self, x) -> SparseCodes:
        """All activations > 0 of raw rows (n, channels), sorted by row (numpy or tensor in, numpy out)."""
        values, indices = self.encode(x)
        rows, places = torch.nonzero(~(values <= 0), as_tuple=True)  # NaN must reach whoever counts
        found = rows, indices[rows, places], values[rows, places].float()
        return SparseCodes(*(part.cpu().numpy() for part in found))


class RawChannels(Dictionary):
    """Kind ``raw``, a baseline: node c is ReLU(+u_c), node channels + c is ReLU(-u_c). Nothing is learned."""

    kind = "raw"

    def __init__(self, channels: int, shift=None, scale=None):
        super().__init__(channels, 2 * channels, channels, False, shift, scale)

    def select(self, inner: Tensor) -> tuple[Tensor, Tensor]:
        """|inner| (n, channels), and of each channel the node of its sign (n, channels)."""
        node = torch.arange(self.channels, device=inner.device)
        return inner.abs(), torch.where(inner < 0, node + self.channels, node)

    def combine(self, values: Tensor, indices: Tensor) -> Tensor:
        """Inner output (n, channels): each value with the sign of its node, in its channel."""
        signed = torch.where(indices < self.channels, values, -values)
        output = values.new_zeros(len(values), self.channels)
        return output.scatter_add(1, indices % self.channels, signed)

    def decoder_directions(self) -> np.ndarray:
        """+1, then -1, in each channel: float32 (2 * channels, channels)."""
        one = np.eye(self.channels, dtype=np.float32)
        return np.concatenate([one, -one])


def _vector(values, channels: int, default: float) -> Tensor:
    if values is None:
        return torch.full((channels,), default)
    vector = torch.as_tensor(np.asarray(values, dtype=np.float32)).clone()
    if vector.shape != (channels,):
        raise InputError(
            "The normaliser does not fit the number of channels",
            got=f"shape {tuple(vector.shape)}",
            expected=f"({channels},)",
            mend="use the statistics of the same layer",
        )
    return vector
