"""The published training step (SAE on Borzoi), written by us from its description, for comparison only.

    codes   a = TopK_k(ReLU((v - pre_bias) E^T + latent_bias)), scattered into a dense (n, n_nodes) matrix
    output  w = a D^T + pre_bias                                 as a dense product
    loss    mean squared error

Untied, bias-free dense matrices; LayerNorm per position (mean, and unbiased standard deviation plus 1e-5)
undone at the output, if ``layer_norm``; float32; Adam at 1e-5, not fused. Every step also computes, from the
dense codes, the figures that the published loop logs and moves each to the host: the mean absolute code
(within the graph, as there), the share of zeros, and mean and standard deviation of the absolute codes.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LEARNING_RATE = 1e-5


class PublishedSAE(nn.Module):
    """Dense TopK autoencoder; weights start as ``nn.Linear``'s do, from ``seed``."""

    def __init__(self, channels: int, n_nodes: int, k: int, layer_norm: bool = True, seed: int = 0) -> None:
        super().__init__()
        self.k, self.layer_norm = k, layer_norm
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.encoder = nn.Linear(channels, n_nodes, bias=False)
            self.decoder = nn.Linear(n_nodes, channels, bias=False)
        self.pre_bias = nn.Parameter(torch.zeros(channels))
        self.latent_bias = nn.Parameter(torch.zeros(n_nodes))

    def forward(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """Output (n, channels) and dense codes (n, n_nodes) of normalised rows (n, channels)."""
        inner = u
        if self.layer_norm:
            mean, std = u.mean(1, keepdim=True), u.std(1, keepdim=True)
            inner = (u - mean) / (std + 1e-5)
        dense = F.relu(self.encoder(inner - self.pre_bias) + self.latent_bias)
        kept = dense.topk(self.k, dim=1)
        codes = torch.zeros_like(dense).scatter_(1, kept.indices, kept.values)
        output = self.decoder(codes) + self.pre_bias
        return (output * std + mean if self.layer_norm else output), codes

    @torch.no_grad()
    def take_weights(self, model) -> PublishedSAE:
        """Copy the weights of a ``biosae.model.SAE``; returns self."""
        self.encoder.weight.copy_(model.encoder)
        self.decoder.weight.copy_(model.decoder.t())
        self.pre_bias.copy_(model.pre_bias)
        self.latent_bias.copy_(model.latent_bias)
        return self

    def gradients_as(self) -> dict[str, Tensor]:
        """Gradients under the names and shapes of ``biosae.model.SAE``'s parameters."""
        return {
            "encoder": self.encoder.weight.grad,
            "decoder": self.decoder.weight.grad.t(),
            "pre_bias": self.pre_bias.grad,
            "latent_bias": self.latent_bias.grad,
        }


class PublishedStep:
    """Model and optimiser; a call takes one training step on normalised rows (n, channels)."""

    def __init__(self, model: PublishedSAE, learning_rate: float = LEARNING_RATE) -> None:
        self.model = model
        self.optimiser = torch.optim.Adam(model.parameters(), lr=learning_rate)

    def __call__(self, u: Tensor) -> dict[str, float]:
        """One step; the figures logged."""
        output, codes = self.model(u)
        loss = F.mse_loss(output, u)
        l1 = codes.abs().mean()
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        return {
            "mse": loss.item(),
            "l1": l1.item(),
            "zeros": (codes == 0).float().mean(dim=1).mean().item(),
            "mean": codes.abs().mean().item(),
            "std": codes.abs().std().item(),
        }
