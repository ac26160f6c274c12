"""How large the atlas becomes: nodes a shard, and the share of the examples that fits."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from biosae.atlas.examples import Examples
from biosae.errors import ConfigError

log = logging.getLogger(__name__)

MOST_FILES = 1000
MOST_NODE_SHARDS = 800  # leaves room for shards of loci, the page and what is downloaded
FIRST_SHARE = 0.1  # of the folder, for the files that are copied before examples are shown
_TRIED_SHARDS = 8
_LEAST_PERCENT = 1


@dataclass(frozen=True)
class Limits:
    """What the user allows.

    Args:
        shard_nodes: nodes a shard; doubled until there are at most ``MOST_NODE_SHARDS``.
        max_mb: size of the folder in MB (10^6 bytes), which examples are left out for.
    """

    shard_nodes: int = 64
    max_mb: float = 120.0

    def __post_init__(self) -> None:
        if self.shard_nodes < 1 or not self.max_mb > 0:
            raise ConfigError("The limits of an atlas must be above 0", got=self)

    @property
    def bytes(self) -> int:
        """Of the whole folder."""
        return int(self.max_mb * 1e6)


def nodes_a_shard(n_nodes: int, asked: int) -> int:
    """``asked``, doubled until all nodes are in at most ``MOST_NODE_SHARDS`` shards."""
    while -(-n_nodes // asked) > MOST_NODE_SHARDS:
        asked *= 2
    return asked


def shard_ranges(n_nodes: int, shard_nodes: int) -> list[tuple[int, int]]:
    """First and last row (not included) of each shard."""
    return [(low, min(low + shard_nodes, n_nodes)) for low in range(0, n_nodes, shard_nodes)]


def fitting_share(
    examples: Examples,
    ranges: list[tuple[int, int]],
    size: Callable[[int, int], int],
    locus_bytes: float,
    room: int,
) -> float:
    """Share of each node's examples with which all shards have room; ``examples.kept`` is set to it.

    Some shards, spread evenly, are made with and without examples; the others are taken to be like them.

    Args:
        ranges: nodes of each shard.
        size: bytes of the shard of nodes [first, last), with the examples that are kept.
        locus_bytes: of the shards of loci for one window of the first band.
        room: bytes for all shards of nodes and loci.
    """
    examples.keep(1.0)
    tried = np.unique(np.linspace(0, len(ranges) - 1, _TRIED_SHARDS).astype(int)) if ranges else []
    full = sum(size(*ranges[at]) for at in tried)
    examples.keep(0.0)
    bare = sum(size(*ranges[at]) for at in tried)
    held = sum(int(examples.edges[ranges[at][1]] - examples.edges[ranges[at][0]]) for at in tried)
    fixed = bare / max(len(tried), 1) * len(ranges)
    each = (full - bare) / max(held, 1)

    def fits(percent: int) -> bool:
        examples.keep(percent / 100)
        top = int((examples.band[examples.kept] == 0).sum())
        return fixed + each * len(examples.kept) + locus_bytes * top <= room

    if fits(100):
        return 1.0
    low, high = _LEAST_PERCENT, 99
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    if not fits(low):
        log.warning("The atlas is larger than asked for even with the fewest examples")
    return low / 100
