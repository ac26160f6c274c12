"""The plain path behind ``biosae.model``, in PyTorch: choosing nodes, decoding, gradients of active nodes.

It runs on every device and in every floating type; on the CPU in float32 ``biosae.selection`` and
``biosae.compiled_step`` take its place, and must give the same. Shapes: n rows, ``channels`` columns,
``n_nodes`` nodes, k active a row. A dense n x n_nodes gradient is never built.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

# rows whose pre-activations exist at once
_CHUNK_ROWS = {"cpu": 1024, "cuda": 65536}
Choose = Callable[[Tensor], tuple[Tensor, Tensor]]


def sparse_encode(
    inner: Tensor, encoder: Tensor, bias: Tensor, choose: Choose, low: bool = False, whole: bool = False
) -> tuple[Tensor, Tensor]:
    """``choose`` of inner encoder^T + bias: values (n, k) >= 0, indices (n, k). Differentiable once.

    Args:
        inner: (n, channels). encoder: (n_nodes, channels). bias: (n_nodes,).
        choose: from pre-activations (rows, n_nodes) to values >= 0 and indices, of any number of columns.
        low: the product in bfloat16.
        whole: ``choose`` must see all rows at once.
    """
    return _SparseEncode.apply(inner, encoder, bias, choose, low, whole)


def sparse_decode(values: Tensor, indices: Tensor, decoder: Tensor) -> Tensor:
    """Sum over a row's k of values x decoder[indices]: (n, channels). Differentiable once."""
    output = F.embedding_bag(indices, decoder.detach(), per_sample_weights=values, mode="sum")
    return _DecoderGradient.apply(output, decoder, values.detach(), indices)


def top_nodes(pre: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """ReLU, then the k largest a row of ``pre`` (n, n_nodes): values (n, k), indices (n, k).

    Of equal positive values at the border the lower nodes win. ``torch.topk`` leaves that open on the
    CPU; on a GPU its gathering pass takes equal values by index (by its source, not tested here), and
    looking for ties would make the GPU wait. ReLU after TopK keeps the same values as before it, on k
    numbers instead of n_nodes.
    """
    if pre.device.type != "cpu":
        values, indices = pre.topk(k, dim=1)
        return values.relu_(), indices
    values, indices = pre.topk(min(k + 1, pre.shape[1]), dim=1)
    if values.shape[1] > k:
        tied = (values[:, k - 1] == values[:, k]) & (values[:, k] > 0)
        values, indices = values[:, :k].contiguous(), indices[:, :k].contiguous()
        if bool(tied.any()):
            exact = pre[tied].sort(dim=1, descending=True, stable=True)
            values[tied], indices[tied] = exact.values[:, :k], exact.indices[:, :k]
    return values.relu_(), indices


def nodes_above(pre: Tensor, threshold: float | Tensor) -> tuple[Tensor, Tensor]:
    """All positive values of ``pre`` (n, n_nodes) at or above a threshold, padded with zeros."""
    kept = torch.where((pre >= threshold) & (pre > 0), pre, 0)
    columns = max(1, int((kept > 0).sum(1).max())) if len(pre) else 1
    return kept.topk(columns, dim=1)


def batch_top_nodes(pre: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The n x k largest positive values of all n rows together; ties at the border are all kept."""
    if not len(pre):
        return nodes_above(pre, 0.0)
    border = pre.flatten().topk(min(len(pre) * k, pre.numel())).values[-1]
    return nodes_above(pre, border)


def by_node(indices: Tensor, weights: Tensor, rows: Tensor, n_nodes: int) -> Tensor:
    """S^T rows, where S (n, n_nodes) is sparse with ``weights`` (n, k) at ``indices`` (n, k).

    The entries are sorted by node, so that each node's sum is taken by one thread in a fixed order.
    Returns (n_nodes, channels) for rows (n, channels).
    """
    flat, order = indices.reshape(-1).sort(stable=True)
    # not bincount, which makes a GPU wait for its size
    starts = torch.searchsorted(flat, torch.arange(n_nodes, device=flat.device))
    sorted_weights = weights.reshape(-1)[order]
    source = torch.div(order, indices.shape[1], rounding_mode="floor")
    return F.embedding_bag(source, rows, starts, per_sample_weights=sorted_weights, mode="sum")


class _SparseEncode(torch.autograd.Function):
    """Dense encoder and choice of nodes in chunks of rows; gradients from the active nodes only."""

    @staticmethod
    def forward(ctx, inner: Tensor, encoder: Tensor, bias: Tensor, choose: Choose, low: bool, whole: bool):
        """Rows (n, channels), encoder (n_nodes, channels), bias (n_nodes,) -> values, indices (n, k)."""
        chunk = max(1, len(inner)) if whole else _CHUNK_ROWS.get(inner.device.type, 65536)
        dtype = torch.bfloat16 if low else inner.dtype
        weights, offset = encoder.to(dtype), bias.to(dtype)
        parts = [choose(torch.addmm(offset, rows.to(dtype), weights.t())) for rows in inner.split(chunk)]
        columns = max(values.shape[1] for values, _ in parts)
        padded = [[F.pad(part, (0, columns - part.shape[1])) for part in pair] for pair in parts]
        values, indices = (torch.cat(column) for column in zip(*padded, strict=True))
        values = values.to(inner.dtype)
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
        return grad_inner, grad_encoder, grad_bias, None, None, None


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
