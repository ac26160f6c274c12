"""Batched ZOOPS motif discovery: all nodes of a run in one process.

Per node: seeds (words that controls and a Markov background do not explain), EM over positions and strands
with 4-mer tables, width by BIC, threshold on part A, exact test (Fisher within strata) of held-out part B
against matched controls, refit on everything, erase, repeat. Modules, in order of use: settings, packing,
background, shuffle, controls, heldout, exact_test, parts, seeds, em, width, search, node.

The kernels are compiled by numba at first use and cached: set ``NUMBA_CACHE_DIR`` to a writable folder to
choose where (numba's default is ``__pycache__`` beside the sources). A result depends on a node's name, its
sequences as a multiset, the background as a set, the settings and the seed: not on order, shards or threads.

Significance is of the difference to the controls. Against background windows P(p < 0.05) is 0.01 to 0.03 on
nulls, also with neighbouring windows of a locus (given as loci) or repeat families in both; shuffles keep
dinucleotides and nothing above, so sequences that prefer some trinucleotides are truly told from them: sets
of 400 windows of an order-2 chain had p < 0.05 in 60 % of 500 sets, of an order-1 chain in 4 %.

Floor: about 190 EM passes of seeds and refined fits over 600 sequences for two motifs, and 20 over all; each
ceil(w / 4) table reads a base and strand. 1,000 x 42 bp, w = 12, both strands: 28 M reads, 9 ms at the
0.33 ns of a read from L1. The whole takes 85 ms (65 on one strand): sums, logarithms and counts of the passes
make EM about 30 ms, words and best sites 10 each, odds of windows 4; the rest is controls, split and Python.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from biosae.cli import progress
from biosae.errors import InputError
from biosae.motifs.controls import ControlPool
from biosae.motifs.heldout import loci_of
from biosae.motifs.node import discover_node
from biosae.motifs.settings import DiscoveredMotif, DiscoverySettings, NodeMotifs

__all__ = [
    "ControlPool",
    "DiscoveredMotif",
    "DiscoverySettings",
    "NodeMotifs",
    "discover",
    "discover_many",
    "loci_of",
    "node_seed",
    "warm_up",
]


def node_seed(seed: int, name: str) -> int:
    """The seed of a node: a hash of the run's seed and the node's name, 0 <= seed < 2**64."""
    return int.from_bytes(hashlib.blake2b(f"{seed}:{name}".encode(), digest_size=8).digest(), "little")


def discover(
    sequences: Sequence[str],
    controls: Sequence[str] | ControlPool | None,
    settings: DiscoverySettings,
    seed: int,
    groups: Sequence[str] | None = None,
) -> NodeMotifs:
    """Motifs of one node; with ``seed=node_seed(run_seed, name)`` the same as from ``discover_many``.

    Args:
        sequences: seqlets. ACGT in either case; any other letter is N, never part of a site.
        controls: background sequences to draw controls from, or their pool; None or empty for shuffles.
        settings: see DiscoverySettings.
        seed: decides the held-out part and the controls.
        groups: locus of each sequence (``loci_of``), or None.
    """
    _check_groups("", sequences, groups)
    pool = controls if isinstance(controls, ControlPool) else _pool(controls)
    return discover_node("", sequences, groups, pool, settings, seed)


def discover_many(
    nodes: Iterable[tuple[str, Sequence[str]]],
    background: Sequence[str] | ControlPool,
    settings: DiscoverySettings,
    seed: int,
    threads: int = 1,
    groups: dict[str, Sequence[str]] | None = None,
    show_progress: bool = False,
) -> dict[str, NodeMotifs]:
    """Motifs of many nodes; a run too large for memory comes in shards that share one ControlPool.

    Args:
        nodes: (name, sequences) per node; names are unique. All are held in memory.
        background: sequences from which each node's controls are drawn (same length, GC and repeat share),
            or the pool made of them; empty: dinucleotide-preserving shuffles of the seqlets.
        settings: the same for all nodes.
        seed: with a node's name it decides every random choice of the node.
        threads: nodes worked on at a time; never changes a result.
        groups: locus of each sequence, by node name; sequences of a locus stay in one part and count once
            in the test. ``loci_of(headers)`` makes them from FASTA headers.
        show_progress: draw a progress bar.

    Returns:
        name -> NodeMotifs (a list of DiscoveredMotif with ``.status``), in the order of ``nodes``.

    Raises:
        InputError: a name comes twice, or groups do not fit their sequences.
    """
    nodes, groups = list(nodes), groups or {}
    _check_nodes(nodes, groups)
    pool = background if isinstance(background, ControlPool) else _pool(background)

    def work(node: tuple[str, Sequence[str]]) -> NodeMotifs:
        name, sequences = node
        return discover_node(name, sequences, groups.get(name), pool, settings, node_seed(seed, name))

    found = _run(work, nodes, threads)
    if show_progress:
        found = progress(found, what="discovering motifs", total=len(nodes), unit="node")
    return {name: motifs for (name, _), motifs in zip(nodes, found, strict=True)}


def warm_up() -> None:
    """Compile every kernel (into ``NUMBA_CACHE_DIR``): both strands, with and without a background."""
    words = ("ACGTTGCATGCCA", "TTGACGTCATCGA", "GGCATTACAGATC", "CCAGTTTACCGTA")
    sequences = [f"{words[i % 4]}{words[i * 7 % 4]}TGACTCAT{words[i // 4 % 4]}" for i in range(16)]
    background = [f"{a}{b}{c}{d}"[:47] for a in words for b in words for c in words for d in words]
    for strand in ("given", "both"):
        settings = DiscoverySettings(strand=strand, seeds=2, refined=1, max_width=12)
        for controls in (background, None):
            discover(sequences, controls, settings, 0)


def _pool(background: Sequence[str] | None) -> ControlPool | None:
    return ControlPool(background) if background else None


def _run(work, nodes, threads: int) -> Iterator[NodeMotifs]:
    """Results in order; the kernels release the interpreter lock, so threads are enough."""
    if threads <= 1:
        yield from map(work, nodes)
        return
    with ThreadPoolExecutor(threads) as workers:
        yield from workers.map(work, nodes)


def _check_nodes(nodes: Sequence[tuple[str, Sequence[str]]], groups: dict[str, Sequence[str]]) -> None:
    twice = [name for name, count in Counter(name for name, _ in nodes).items() if count > 1]
    if twice:
        raise InputError("A node comes twice in one discovery", got=twice[:5], expected="unique node names")
    for name, sequences in nodes:
        _check_groups(name, sequences, groups.get(name))


def _check_groups(name: str, sequences: Sequence[str], groups: Sequence[str] | None) -> None:
    if groups is not None and len(groups) != len(sequences):
        raise InputError(
            "The loci of a node do not fit its sequences",
            where=f"node {name!r}",
            got=f"{len(groups)} loci",
            expected=f"{len(sequences)}, one per sequence",
        )
