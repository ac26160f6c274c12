"""Compiled kernels of a training step on the CPU: residuals, and gradients of the active nodes alone.

Shapes and entries as in ``biosae.selection_kernels``. ``biosae.compiled_step`` puts them together; the plain
path that they must equal is in ``biosae.sparse``.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from biosae.selection_kernels import FAST


@njit(**FAST)
def _add_directions(output, decoder, nodes, values, first, last):
    """Add values x decoder[nodes] of entries [first, last) to ``output`` (d,); four at a time."""
    i = first
    while i + 4 <= last:
        a, b, c, e = values[i], values[i + 1], values[i + 2], values[i + 3]
        rows = decoder[nodes[i]], decoder[nodes[i + 1]], decoder[nodes[i + 2]], decoder[nodes[i + 3]]
        for j in range(len(output)):
            output[j] += a * rows[0][j] + b * rows[1][j] + c * rows[2][j] + e * rows[3][j]
        i += 4
    while i < last:
        value, row = values[i], decoder[nodes[i]]
        for j in range(len(output)):
            output[j] += value * row[j]
        i += 1


@njit(**FAST)
def _dot_directions(residual, decoder, nodes, first, last, out):
    """out[i] = <residual (d,), decoder[nodes[i]]> for entries [first, last); four at a time."""
    i = first
    while i + 4 <= last:
        rows = decoder[nodes[i]], decoder[nodes[i + 1]], decoder[nodes[i + 2]], decoder[nodes[i + 3]]
        a, b, c, e = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
        for j in range(len(residual)):
            a += residual[j] * rows[0][j]
            b += residual[j] * rows[1][j]
            c += residual[j] * rows[2][j]
            e += residual[j] * rows[3][j]
        out[i], out[i + 1], out[i + 2], out[i + 3] = a, b, c, e
        i += 4
    while i < last:
        row, a = decoder[nodes[i]], np.float32(0)
        for j in range(len(residual)):
            a += residual[j] * row[j]
        out[i] = a
        i += 1


@njit(**FAST)
def residual_rows(
    low, high, target, row_scale, entries, borders, decoder, pre_bias, residual, value_grad, bias_grad
):
    """Decode rows [low, high), compare them with their target, and find the gradient for each value.

    Output g of a row is scale x (pre_bias + entries with node < borders[g]); its error e_g is that minus
    the target. The loss meant is half the mean over g of |e_g|^2, not yet divided by rows and channels.

    Args:
        target (m, d); row_scale (m,): LayerNorm's, else 1; entries: begin, end, nodes, values;
        borders (groups,) int64, the last is n.
    Writes:
        residual (groups, m, d): gradient of the loss for the inner output, from outputs g and later.
        value_grad: gradient for each entry (flat, like values). bias_grad (d,): sum of residual[0].
    Returns:
        float64 (groups,): sum of |e_g|^2.
    """
    begin, end, nodes, values = entries
    groups, d = len(borders), target.shape[1]
    losses, output = np.zeros(groups), np.empty(d, np.float32)
    for r in range(low, high):
        scale, wanted, first = row_scale[r], target[r], begin[r]
        output[:] = pre_bias
        for g in range(groups):
            last = first
            while last < end[r] and nodes[last] < borders[g]:
                last += 1
            _add_directions(output, decoder, nodes, values, first, last)
            error, total = residual[g, r], np.float32(0)
            for j in range(d):
                error[j] = scale * output[j] - wanted[j]
            # a loop of its own: beside the store, the order of the sum would depend on where buffers lie
            for j in range(d):
                total += error[j] * error[j]
            losses[g] += total
            first = last
        _backward_row(residual, r, scale, begin[r], end[r], nodes, borders, decoder, value_grad)
        for j in range(d):
            bias_grad[j] += residual[0, r, j]
    return losses


@njit(**FAST)
def _backward_row(residual, r, scale, first, end, nodes, borders, decoder, value_grad):
    groups = len(borders)
    weight = np.float32(scale / groups)
    for g in range(groups - 1, -1, -1):
        row = residual[g, r]
        for j in range(len(row)):
            row[j] *= weight
        if g + 1 < groups:
            later = residual[g + 1, r]
            for j in range(len(row)):
                row[j] += later[j]
    for g in range(groups):
        last = first
        while last < end and nodes[last] < borders[g]:
            last += 1
        _dot_directions(residual[g, r], decoder, nodes, first, last, value_grad)
        first = last


@njit(**FAST)
def order_by_node(entries, value_grad, starts, rows_out, values_out, grads_out):
    """Sort entries of positive value by node, rows ascending within a node: a counting sort.

    Writes:
        starts int64 (n + 1,): node j owns sorted entries [starts[j], starts[j + 1]).
        rows_out int32, values_out, grads_out float32: row, value and gradient of each sorted entry.
    """
    begin, end, nodes, values = entries
    starts[:] = 0
    for r in range(len(begin)):
        for i in range(begin[r], end[r]):
            starts[nodes[i] + 1] += 0 if values[i] <= 0 else 1  # NaN counts: it must reach the gradients
    for j in range(len(starts) - 1):
        starts[j + 1] += starts[j]
    cursor = starts[:-1].copy()
    for r in range(len(begin)):
        for i in range(begin[r], end[r]):
            if values[i] <= 0:
                continue
            place = cursor[nodes[i]]
            cursor[nodes[i]] += 1
            rows_out[place], values_out[place], grads_out[place] = r, values[i], value_grad[i]


@njit(**FAST)
def _add_rows(output, rows, weights, places, first, last):
    """Add weights x rows[places] of sorted entries [first, last) to ``output`` (d,); four at a time."""
    p = first
    while p + 4 <= last:
        a, b, c, e = weights[p], weights[p + 1], weights[p + 2], weights[p + 3]
        four = rows[places[p]], rows[places[p + 1]], rows[places[p + 2]], rows[places[p + 3]]
        for j in range(len(output)):
            output[j] += a * four[0][j] + b * four[1][j] + c * four[2][j] + e * four[3][j]
        p += 4
    while p < last:
        weight, row = weights[p], rows[places[p]]
        for j in range(len(output)):
            output[j] += weight * row[j]
        p += 1


@njit(**FAST)
def node_gradients(
    low, high, entries, inner, residual, borders, encoder, scale, encoder_grad, decoder_grad, bias_grad
):
    """Gradients of nodes [low, high) from sorted entries, times ``scale``; each node's sum in row order.

    Args:
        entries: starts, rows, values, grads of ``order_by_node``.
        inner (m, d): what the encoder saw (pre-bias subtracted); residual (groups, m, d).
    Writes:
        encoder_grad, decoder_grad (n, d), bias_grad (n,) of the latent bias.
    Returns:
        float32 (d,): sum over these nodes of bias_grad x encoder row, what the pre-bias owes the encoder.
        Not finite if the encoder is not: weights that overflowed choose no node and would go unseen.
    """
    starts, rows, values, grads = entries
    owed, group = np.zeros(inner.shape[1], np.float32), 0
    for j in range(low, high):
        while j >= borders[group]:
            group += 1
        first, last = starts[j], starts[j + 1]
        into_encoder, into_decoder, direction = encoder_grad[j], decoder_grad[j], encoder[j]
        into_encoder[:] = 0
        into_decoder[:] = 0
        _add_rows(into_encoder, inner, grads, rows, first, last)
        _add_rows(into_decoder, residual[group], values, rows, first, last)
        total = np.float32(0)
        for p in range(first, last):
            total += grads[p]
        total *= scale
        bias_grad[j] = total
        for c in range(len(owed)):
            into_encoder[c] *= scale
            into_decoder[c] *= scale
            owed[c] += total * direction[c]
    return owed


def warm_up() -> None:
    """Compile every kernel for the types that are used."""
    rng = np.random.default_rng(0)
    inner = rng.standard_normal((4, 8)).astype(np.float32)
    encoder = rng.standard_normal((16, 8)).astype(np.float32)
    nodes = np.tile(np.array([1, 7, 12], np.int32), 4)
    values, grads = np.ones(12, np.float32), np.zeros(12, np.float32)
    begin, end = np.arange(4) * 3, np.arange(4) * 3 + 3
    borders, residual = np.array([8, 16]), np.zeros((2, 4, 8), np.float32)
    ones, zeros = np.ones(4, np.float32), np.zeros(8, np.float32)
    entries = begin, end, nodes, values
    residual_rows(0, 4, inner, ones, entries, borders, encoder, zeros, residual, grads, zeros)
    sorted_entries = np.zeros(17, np.int64), np.zeros(12, np.int32), np.zeros(12, np.float32), grads.copy()
    order_by_node(entries, grads, *sorted_entries)
    out = encoder.copy(), encoder.copy(), np.zeros(16, np.float32)
    node_gradients(0, 16, sorted_entries, inner, residual, borders, encoder, np.float32(1), *out)
