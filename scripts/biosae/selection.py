"""Which nodes are active, on the CPU: dense pre-activations in chunks of rows, sparse entries out.

The encoder's product is the one dense thing of a dictionary; a chunk of it lives in a reused buffer of
the thread that made it, until the compiled kernels have taken the active entries out. In bfloat16
(``encoder`` given in that type) the product only proposes nodes: values are computed again in float32,
for the proposed nodes alone.

Floor: d*n multiply-adds a row; the kernels add some 4 us at 4,864 nodes and k 64.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from biosae import selection_kernels as kernels
from biosae.parallel import chunks, run_chunks

_BITS = {torch.float32: torch.int32, torch.bfloat16: torch.int16}
_buffers = threading.local()


@dataclass
class Entries:
    """Active entries of m rows; row r owns entries [begin[r], end[r]), by ascending node.

    begin, end: int64 (m,). nodes: int32 flat. values: float32 flat, >= 0. Entries between rows are unused.
    """

    begin: np.ndarray
    end: np.ndarray
    nodes: np.ndarray
    values: np.ndarray

    def padded(self, columns: int | None = None) -> tuple[Tensor, Tensor]:
        """values float32 and node indices int64, each (m, columns); value 0 is padding.

        ``columns`` is the largest number of entries of a row if None.
        """
        counts = self.end - self.begin
        columns = max(1, int(counts.max(initial=0))) if columns is None else columns
        places = np.arange(columns)
        kept = places < counts[:, None]
        source = (self.begin[:, None] + places)[kept]
        values, indices = np.zeros(kept.shape, np.float32), np.zeros(kept.shape, np.int64)
        values[kept], indices[kept] = self.values[source], self.nodes[source]
        return torch.from_numpy(values), torch.from_numpy(indices)

    def coordinates(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """rows, nodes (int64) and values (float32) of all entries > 0, by row."""
        counts = self.end - self.begin
        rows = np.repeat(np.arange(len(counts)), counts)
        source = np.arange(len(rows)) + np.repeat(self.begin - (np.cumsum(counts) - counts), counts)
        positive = ~(self.values[source] <= 0)  # a refined value may be 0; NaN must reach whoever counts
        source = source[positive]
        return rows[positive], self.nodes[source].astype(np.int64), self.values[source]


def chunk_rows(n_rows: int, channels: int, n_nodes: int) -> int:
    """Rows a thread takes at once: an eighth of all, but no less than is worth handing out.

    A function of sizes alone, so that results do not depend on the number of threads.
    """
    worth = 2**25 // (channels * n_nodes)  # some 0.3 ms of a core's multiply-adds
    return max(128, min(1024, -(-n_rows // 8)), worth)


def _pre_activations(inner: Tensor, encoder: Tensor, bias: Tensor) -> np.ndarray:
    """Bits of inner (m, d) encoder^T + bias, (m, n); valid until this thread asks again."""
    key = (len(encoder), encoder.dtype)
    held = getattr(_buffers, "held", None)
    if held is None or held[0] != key or len(held[1]) < len(inner):
        held = _buffers.held = key, torch.empty(len(inner), len(encoder), dtype=encoder.dtype)
    out = held[1][: len(inner)]
    torch.addmm(bias.to(encoder.dtype), inner.to(encoder.dtype), encoder.t(), out=out)
    return out.view(_BITS[encoder.dtype]).numpy()


def _floats(bits: np.ndarray) -> np.ndarray:
    return bits.view(np.float32) if bits.dtype == np.int32 else (bits.astype(np.int32) << 16).view(np.float32)


def select_top(inner: Tensor, encoder: Tensor, bias: Tensor, k: int, low: Tensor | None = None) -> Entries:
    """TopK_k(ReLU(inner encoder^T + bias)) of every row; of equal values the lower nodes win.

    Args:
        inner: float32 (m, d). encoder: float32 (n, d). bias: float32 (n,).
        low: the encoder in bfloat16; None: everything in float32.
    """
    m, n = len(inner), len(encoder)
    nodes, values = np.empty((m, k), np.int32), np.empty((m, k), np.float32)
    begin, counts = np.arange(m, dtype=np.int64) * k, np.zeros(m, np.int64)

    def chunk(first: int, last: int) -> None:
        rows = inner[first:last]
        bits = _pre_activations(rows, encoder if low is None else low, bias)
        if low is None:
            out = values[first:last].view(np.int32)
            kernels.top_rows(bits, k, nodes[first:last], out, counts[first:last])
            return
        kernels.top_rows(
            bits, k, nodes[first:last], np.empty((last - first, k), np.int16), counts[first:last]
        )
        own = np.arange(last - first) * k
        own_values, own_nodes = values[first:last].reshape(-1), nodes[first:last].reshape(-1)
        weights = encoder.numpy(), bias.numpy()
        kernels.refine_rows(rows.numpy(), *weights, own, own + counts[first:last], own_nodes, own_values)

    run_chunks(chunk, chunks(m, chunk_rows(m, inner.shape[1], n)))
    return Entries(begin, begin + counts, nodes.reshape(-1), values.reshape(-1))


def select_above(
    inner: Tensor, encoder: Tensor, bias: Tensor, threshold: float, low: Tensor | None = None
) -> Entries:
    """All positive values of inner encoder^T + bias at or above ``threshold``; arguments as above."""

    def chunk(first: int, last: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        rows = inner[first:last]
        bits = _pre_activations(rows, encoder if low is None else low, bias)
        at_least = np.float32(threshold).view(np.int32) >> (0 if low is None else 16)
        border = bits.dtype.type(max(1, at_least))
        counts = np.empty(len(rows), np.int64)
        kernels.count_rows(bits, border, counts)
        begin = np.cumsum(counts) - counts
        total = int(counts.sum())
        nodes, out = np.empty(total, np.int32), np.empty(total, bits.dtype)
        kernels.collect_rows(bits, border, begin, nodes, out)
        values = np.array(_floats(out))
        if low is not None:
            weights = encoder.numpy(), bias.numpy()
            kernels.refine_rows(rows.numpy(), *weights, begin, begin + counts, nodes, values)
        return counts, nodes, values

    ranges = chunks(len(inner), chunk_rows(len(inner), inner.shape[1], len(encoder))) or [(0, 0)]
    pieces = run_chunks(chunk, ranges)
    counts, nodes, values = (np.concatenate(column) for column in zip(*pieces, strict=True))
    begin = np.cumsum(counts) - counts
    return Entries(begin, begin + counts, nodes, values)


def select_batch(
    inner: Tensor, encoder: Tensor, bias: Tensor, k: int, guess: float, low: Tensor | None = None
) -> Entries:
    """The m x k largest positive values of all m rows together (BatchTopK); ties at the border are all kept.

    Args:
        guess: where the border may lie (0: unknown). It decides how much is looked at, not the result.
    """
    wanted = len(inner) * k
    if guess <= 0:
        first = select_top(inner[:256], encoder, bias, k, low)
        last = first.values[(first.end - 1)[first.end > first.begin]]
        guess = float(np.median(last)) if len(last) else 0.0
    guess = guess * 0.8 if np.isfinite(guess) else 0.0
    while True:
        found = select_above(inner, encoder, bias, guess, low)
        if len(found.values) >= wanted or guess < 1e-20:
            return _strongest(found, wanted)
        guess = guess * 0.5 if guess > 1e-6 else 0.0


def _strongest(entries: Entries, wanted: int) -> Entries:
    values = entries.values
    border = np.float32(0)
    if len(values) > wanted:
        border = np.partition(values, len(values) - wanted)[len(values) - wanted]
    kept = (values >= border) & (values > 0)
    counts = np.add.reduceat(np.append(kept, 0).astype(np.int64), entries.begin)
    counts[entries.end == entries.begin] = 0  # reduceat gives an empty stretch its first value
    begin = np.cumsum(counts) - counts
    return Entries(begin, begin + counts, entries.nodes[kept], values[kept])
