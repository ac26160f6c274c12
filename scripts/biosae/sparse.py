"""The sparse products behind ``biosae.model``: exact TopK, decoding, and gradients of active nodes only.

Shapes: n rows, ``channels`` columns, ``n_nodes`` nodes, k active a row. Nothing of shape
n x n_nodes outlives a chunk of rows; a dense n x n_nodes gradient is never built.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

_CHUNK_ROWS = {"cpu": 1024, "cuda": 65536}  # rows whose pre-activations exist at once; 1,024 measured best


def sparse_encode(inner: Tensor, encoder: Tensor, bias: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """TopK_k(ReLU(inner encoder^T + bias)): values (n, k) >= 0, indices (n, k).

    inner (n, channels), encoder (n_nodes, channels), bias (n_nodes,). Differentiable once.
    """
    return _SparseEncode.apply(inner, encoder, bias, k)


def sparse_decode(values: Tensor, indices: Tensor, decoder: Tensor) -> Tensor:
    """Sum over a row's k of values x decoder[indices]: (n, channels). Differentiable once."""
    output = F.embedding_bag(indices, decoder.detach(), per_sample_weights=values, mode="sum")
    return _DecoderGradient.apply(output, decoder, values.detach(), indices)


def top_nodes(pre: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """ReLU, then the k largest a row of ``pre`` (n, n_nodes): values (n, k), indices (n, k).

    Of equal positive values at the border the lower nodes win; ``torch.topk`` leaves that open.
    ReLU after TopK keeps the same values as before it, on k numbers instead of n_nodes.
    """
    values, indices = pre.topk(min(k + 1, pre.shape[1]), dim=1)
    if values.shape[1] > k:
        tied = (values[:, k - 1] == values[:, k]) & (values[:, k] > 0)
        values, indices = values[:, :k].contiguous(), indices[:, :k].contiguous()
        if bool(tied.any()):
            exact = pre[tied].sort(dim=1, descending=True, stable=True)
            values[tied], indices[tied] = exact.values[:, :k], exact.indices[:, :k]
    return values.relu_(), indices


def by_node(indices: Tensor, weights: Tensor, rows: Tensor, n_nodes: int) -> Tensor:
    """S^T rows, where S (n, n_nodes) is sparse with ``weights`` (n, k) at ``indices`` (n, k).

    The entries are sorted by node, so that each node's sum is taken by one thread in a fixed order.
    Returns (n_nodes, channels) for rows (n, channels).
    """
    flat = indices.reshape(-1)
    order = torch.argsort(flat, stable=True)
    starts = torch.bincount(flat, minlength=n_nodes).cumsum(0)
    starts = torch.cat([starts.new_zeros(1), starts[:-1]])
    sorted_weights = weights.reshape(-1)[order]
    source = torch.div(order, indices.shape[1], rounding_mode="floor")
    return F.embedding_bag(source, rows, starts, per_sample_weights=sorted_weights, mode="sum")


class _SparseEncode(torch.autograd.Function):
    """Dense encoder, ReLU and TopK in chunks of rows; gradients from the active nodes only."""

    @staticmethod
    def forward(ctx, inner: Tensor, encoder: Tensor, bias: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """Rows (n, channels), encoder (n_nodes, channels), bias (n_nodes,) -> values, indices (n, k)."""
        chunk = _CHUNK_ROWS.get(inner.device.type, 65536)
        parts = [top_nodes(torch.addmm(bias, rows, encoder.t()), k) for rows in inner.split(chunk)]
        values, indices = (torch.cat(column) for column in zip(*parts, strict=True))
        ctx.save_for_backward(inner, encoder, values, indices)
        ctx.mark_non_differentiable(indices)
        return values, indices

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad_values: Tensor, _grad_indices):
        """Gradients of inner (None where not needed), encoder and bias, from that of the values (n, k)."""
        inner, encoder, values, indices = ctx.saved_tensors
        grad = grad_values * (values > 0)
        grad_encoder = by_node(indices, grad, inner, len(encoder))
        grad_bias = grad.new_zeros(len(encoder)).index_add_(0, indices.reshape(-1), grad.reshape(-1))
        grad_inner = None
        if ctx.needs_input_grad[0]:
            grad_inner = F.embedding_bag(indices, encoder, per_sample_weights=grad, mode="sum")
        return grad_inner, grad_encoder, grad_bias, None


class _DecoderGradient(torch.autograd.Function):
    """Hands ``output`` on; its gradient also reaches the decoder, by a sparse transposed product.

    ``embedding_bag``'s own gradient for its weights is several times slower.
    """

    @staticmethod
    def forward(ctx, output: Tensor, decoder: Tensor, values: Tensor, indices: Tensor) -> Tensor:
        """``output`` (n, channels) itself; keeps values and indices (n, k) for the gradient."""
        ctx.save_for_backward(values, indices)
        ctx.n_nodes = len(decoder)
        return output.view_as(output)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad: Tensor):
        """Gradients of output (n, channels), unchanged, and of the decoder (n_nodes, channels)."""
        values, indices = ctx.saved_tensors
        return grad, by_node(indices, values, grad.contiguous(), ctx.n_nodes), None, None
