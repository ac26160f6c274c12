"""What is counted of each node over a stream: integers, so that parts add up in any order.

Sketch: counts of activations by sixteenths of an octave, from 2**-16 to 2**16 (the end bins take the
rest). Two sketches merge by adding. A quantile read from it is the middle of the bin that holds it:
within 1/32 of the true one (3.2 %) inside that range. 4 KB a node.

Sums are 128-bit integers in units of 2**-64: exact for activations from 2**-40 on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from biosae.encoding_kernels import BIN_BITS, LOWEST_EXPONENT, OCTAVES, SKETCH_BINS, UNIT_EXPONENT
from biosae.errors import InputError

_TYPES = {
    "histogram": np.int64,
    "total_low": np.uint64,
    "total_high": np.int64,
    "kept_low": np.uint64,
    "kept_high": np.int64,
    "n_sequences": np.int64,
}


@dataclass
class NodeTallies:
    """Tallies of all nodes over some whole sequences.

    Attributes:
        histogram: int64 (n_nodes, SKETCH_BINS), the sketch.
        total_low, total_high: uint64 and int64 (n_nodes,): sum of all activations.
        kept_low, kept_high: the same of the kept top positions.
        n_sequences: int64 (n_nodes,): sequences in which the node is active.
    """

    histogram: np.ndarray
    total_low: np.ndarray
    total_high: np.ndarray
    kept_low: np.ndarray
    kept_high: np.ndarray
    n_sequences: np.ndarray

    @classmethod
    def empty(cls, n_nodes: int) -> NodeTallies:
        """Tallies of no sequence."""
        shapes = {"histogram": (n_nodes, SKETCH_BINS)}
        return cls(**{name: np.zeros(shapes.get(name, n_nodes), kind) for name, kind in _TYPES.items()})

    def add(self, other: NodeTallies) -> None:
        """Add the tallies of other sequences."""
        self.histogram += other.histogram
        self.n_sequences += other.n_sequences
        for name in ("total", "kept"):
            low, high = getattr(self, f"{name}_low"), getattr(self, f"{name}_high")
            more = getattr(other, f"{name}_low")
            low += more
            high += getattr(other, f"{name}_high") + (low < more)
            if (high < 0).any():
                raise InputError(
                    "The activations of a node are too large to add up",
                    got="a sum of 2^63 or more",
                    mend="check the normaliser of the checkpoint",
                )

    @property
    def counts(self) -> np.ndarray:
        """Activations of each node, int64 (n_nodes,)."""
        return self.histogram.sum(axis=1)

    def octaves(self) -> np.ndarray:
        """The histogram by octaves, int64 (n_nodes, OCTAVES); bin i is [2**(i-16), 2**(i-15))."""
        return self.histogram.reshape(len(self.histogram), OCTAVES, 1 << BIN_BITS).sum(axis=2)

    def mean(self) -> np.ndarray:
        """Mean activation of each node, float64 (n_nodes,), correctly rounded; 0 without any."""
        return _ratios(_exact(self.total_low, self.total_high), self.counts)

    def kept_mean(self, counts: np.ndarray) -> tuple[np.ndarray, float]:
        """Mean of the kept activations of each node, and of all nodes; ``counts``: kept of each node."""
        sums = _exact(self.kept_low, self.kept_high)
        overall = _ratios([sum(sums)], np.array([counts.sum()]))
        return _ratios(sums, counts), float(overall[0])

    def quantile(self, share: float) -> np.ndarray:
        """Activation that ``share`` of a node's activations reach at most, float64 (n_nodes,).

        Nearest rank: of m activations the ceil(share * m)-th smallest, within 1/32; 0 without any.
        """
        rank = np.maximum(np.ceil(share * self.counts).astype(np.int64), 1)
        place = (np.cumsum(self.histogram, axis=1) < rank[:, None]).sum(axis=1)
        octave, step = np.divmod(np.minimum(place, SKETCH_BINS - 1), 1 << BIN_BITS)
        middle = np.ldexp(1 + (step + 0.5) / (1 << BIN_BITS), octave + LOWEST_EXPONENT)
        return np.where(self.counts > 0, middle, 0.0)


def _exact(low: np.ndarray, high: np.ndarray) -> list[int]:
    return [(upper << 64) + lower for lower, upper in zip(low.tolist(), high.tolist(), strict=True)]


def _ratios(sums: list[int], counts: np.ndarray) -> np.ndarray:
    # Python divides integers of any length with one rounding
    pairs = zip(sums, counts.tolist(), strict=True)
    return np.array([total / (count << -UNIT_EXPONENT) if count else 0.0 for total, count in pairs])
