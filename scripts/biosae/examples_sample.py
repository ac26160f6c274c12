"""Examples from the stream sample: positions of lower activation, positions drawn evenly, and near misses.

The sample is that of specificity.tsv (``stream_sample``), and so are hits: the same positions, motifs,
thresholds and strands. A node *fires* where it does there, at its strongest positions, as many as there are
positions whose window holds a hit. A near miss is a hit on none of whose positions the node fires.

Positions are drawn by mixed bits of node and row (``examples_kernels``): evenly, the same at every call. Of
one node and band no two examples overlap; neighbouring positions of one site are not several examples.
Positions whose window reaches over an end of its chromosome are left out, and counted; windows with other
letters than A, C, G, T are not: what a node does there is worth seeing.

Floor: one encoder pass over the sample and a scan of it for each strand that is read of each node's motif.
Memory: the sample, its firing, and SPARE times as many positions as are shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pandas as pd

from biosae.activations import ActivationStore
from biosae.cli import progress
from biosae.errors import ContractError
from biosae.examples_kernels import GROUPS, UNUSED, best_place, draw, mix, pick_apart
from biosae.examples_top import PLACE
from biosae.genome import Genome
from biosae.geometry import Layer
from biosae.motif_sample import MotifSample
from biosae.motif_scan import ScanMotif, prepare
from biosae.motifs.formats import Motif
from biosae.stream_sample import Blocks, Firing, StrongestCodes

SPARE = 4  # positions kept for each that is shown: some overlap, and are passed over
FIRST_BAND = 1  # bands 1 to 3, then random positive; 0 is the top
NEAR_MISS = FIRST_BAND + GROUPS


@dataclass(frozen=True)
class ReadMotif:
    """A node's best motif as the node reads it, and its hits in the sample.

    Attributes:
        strands: of the motif, those that count as hits; the written one first where both do.
        turned: of each, whether it is the reverse complement of the written matrix.
        hits: int32 (n, 2): first and last position of the sample that hold each hit.
    """

    strands: list[ScanMotif]
    turned: list[bool]
    hits: np.ndarray

    def best(self, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Score (int32), first base (int16) and strand (uint8, 1: turned) of the best place of each window.

        Of equal scores the written strand, then the first place. See ``examples_kernels.best_place``.
        """
        found = []
        for motif in self.strands:
            score, at = np.empty(len(codes), np.int32), np.empty(len(codes), np.int16)
            best_place(codes, motif.weights, score, at)
            found.append((score, at))
        score, at = found[0]
        strand = np.full(len(codes), self.turned[0], dtype=np.uint8)
        for (other, place), turned in zip(found[1:], self.turned[1:], strict=True):
            better = other > score
            score, at = np.where(better, other, score), np.where(better, place, at)
            strand[better] = turned
        return score, at, strand


def read_motifs(
    motifs: list[Motif | None], specificity: pd.DataFrame, sample: MotifSample, hit: tuple, threads: int = 1
) -> list[ReadMotif | None]:
    """Each node's motif with its hits, held against what specificity.tsv counted.

    Args:
        motifs: best motif of each kept node.
        specificity: rows of specificity.tsv of the same nodes, in the same order.
        hit: hit_p, site_share and strand (``given`` or ``both``), see ``specificity.Settings``.

    Raises:
        ContractError: specificity.tsv counted other hits: it is of other motifs, settings or another store.
    """
    columns = ["motif_strand", "n_hits", "n_reverse_hits"]
    rows = specificity[columns].astype(object).to_numpy()

    def read(place: int) -> ReadMotif | None:
        return None if motifs[place] is None else _read(motifs[place], rows[place], sample, hit)

    with ThreadPoolExecutor(threads) as pool:
        work = pool.map(read, range(len(motifs)))
        return list(progress(work, what="motif hits", total=len(motifs), unit="node"))


def _read(motif: Motif, row: np.ndarray, sample: MotifSample, hit: tuple) -> ReadMotif:
    hit_p, site_share, strand = hit
    forward = prepare(motif, sample.background, hit_p, site_share)
    turned, *counted = row
    strands, flags = [forward, forward.reverse_complement()], [False, True]
    if strand == "given":
        own = int(turned == "-")
        strands, flags, counted = strands[own : own + 1], flags[own : own + 1], counted[:1]
    if motif.width > sample.blocks.window_bp:  # no position can hold it
        return ReadMotif(strands, flags, np.zeros((0, 2), np.int32))
    hits = np.concatenate([sample.hits(own) for own in strands])
    if len(hits) != sum(counted):
        raise ContractError(
            f"specificity.tsv counted other hits of motif {motif.id} in the sample",
            got=f"{len(hits)} hits",
            expected=f"{sum(counted)}",
            mend="re-run measure_specificity with the same settings of specificity and motifs.strand",
        )
    return ReadMotif(strands, flags, hits)


@dataclass(frozen=True)
class SampleWindows:
    """Where the windows of the sample's positions lie.

    Attributes:
        rows: row of the stream, int64 (n_positions,).
        chrom: number of the chromosome, int64; start: of the window, int64.
        inside: bool: the window lies within its chromosome.
    """

    rows: np.ndarray
    chrom: np.ndarray
    start: np.ndarray
    inside: np.ndarray


def sample_windows(
    blocks: Blocks, places: np.ndarray, store: ActivationStore, layer: Layer, genome: Genome
) -> SampleWindows:
    """Windows of all positions of a sample that ``stream_sample.cut_blocks`` cut."""
    sequence = np.repeat(places[:, 0], blocks.positions)
    position = (places[:, 1:] + np.arange(blocks.positions)).ravel()
    width = None if blocks.window_bp == layer.window_bp else blocks.window_bp
    start, end = layer.window(store.intervals["start"].to_numpy(np.int64)[sequence], position, width)
    codes, names = pd.factorize(store.intervals["chrom"])
    lengths = np.array([genome.lengths[name] for name in names], dtype=np.int64)
    chrom = codes[sequence]
    inside = (start >= 0) & (end <= lengths[chrom])
    return SampleWindows(sequence * store.positions + position, chrom, start, inside)


class EvenDraw:
    """Positions of each node by band of activation, drawn evenly while activations stream past.

    Args:
        nodes: numbers of the kept nodes, (n,); max_act: highest activation of each, above 0 where active.
        slots: positions held of each node and group: the three bands, and all positions.

    Attributes:
        counts: int64 (n, GROUPS): positions that there were.
        outside: activations whose window reaches over an end of its chromosome.
    """

    def __init__(self, nodes: np.ndarray, max_act: np.ndarray, windows: SampleWindows, slots: int) -> None:
        shape = len(nodes), GROUPS, slots
        self._windows, self._max_act = windows, np.maximum(max_act, np.finfo(np.float32).tiny)
        self._salts = np.array([mix(np.uint64(node)) for node in nodes.tolist()], dtype=np.uint64)
        self._keys = np.full(shape, UNUSED)
        self._held, self._values = np.zeros(shape, np.int32), np.zeros(shape, np.float32)
        self.counts, self.outside = np.zeros(shape[:2], np.int64), 0

    def add(self, fresh: np.ndarray) -> None:
        """Take in what ``sample_codes`` yields of a block."""
        columns = [np.ascontiguousarray(fresh[name]) for name in ("position", "node", "value")]
        windows, kept = self._windows, (self._keys, self._held, self._values, self.counts)
        self.outside += draw(*columns, windows.rows, windows.inside, self._salts, self._max_act, *kept)

    def drawn(self, node: int, group: int) -> tuple[np.ndarray, np.ndarray]:
        """Positions of the sample and their activations, in the order of the draw."""
        n = int((self._keys[node, group] != UNUSED).sum())
        return self._held[node, group, :n], self._values[node, group, :n]


def stream_codes(codes: Iterable[np.ndarray], strongest: StrongestCodes, even: EvenDraw) -> None:
    """Hand what ``sample_codes`` yields to both."""
    for fresh in codes:
        strongest.add(fresh)
        even.add(fresh)


@dataclass
class SampleExamples:
    """Chooses the examples of the sample; ``counts`` says what it left out.

    Attributes:
        most: examples of each node and band.
        positions: of the stream, a sequence.
    """

    sample: MotifSample
    windows: SampleWindows
    positions: int
    most: int
    counts: dict[str, int]

    def choose(self, read: list[ReadMotif | None], even: EvenDraw, firing: Firing) -> np.ndarray:
        """The examples of all kept nodes, ``PLACE`` (n,); the peak of a near miss is NaN."""
        self._count("activations left out: window over an end of its chromosome", even.outside)
        found = [
            piece
            for node, own in enumerate(progress(read, what="examples", unit="node"))
            for piece in (*self._bands(node, even), *self._near_misses(node, own, firing))
        ]
        return np.concatenate(found) if found else np.zeros(0, PLACE)

    def _bands(self, node: int, even: EvenDraw) -> Iterator[np.ndarray]:
        for group in range(GROUPS):
            positions, values = even.drawn(node, group)
            chosen = self._apart(positions, "positions")
            yield self._places(node, FIRST_BAND + group, positions[chosen], values[chosen])

    def _near_misses(self, node: int, own: ReadMotif | None, firing: Firing) -> Iterator[np.ndarray]:
        if own is None:
            return
        fired, hits = firing.of_node(node), own.hits
        silent = np.searchsorted(fired, hits[:, 0]) == np.searchsorted(fired, hits[:, 1], side="right")
        middle = np.unique(hits[silent].sum(axis=1) // 2)
        inside = self.windows.inside[middle]
        self._count("hits left out: window over an end of its chromosome", int((~inside).sum()))
        middle = middle[inside]
        block, position = np.divmod(middle, self.sample.blocks.positions)
        score = own.best(np.ascontiguousarray(self.sample.blocks.windows()[block, position]))[0]
        middle = middle[np.argsort(-score, kind="stable")]
        chosen = self._apart(middle, "hits")
        yield self._places(node, NEAR_MISS, middle[chosen], np.float32(np.nan))

    def _apart(self, positions: np.ndarray, what: str) -> np.ndarray:
        """Numbers of the first positions that do not overlap."""
        picked = np.empty(self.most, np.int64)
        where = self.windows.chrom[positions], self.windows.start[positions]
        n, passed = pick_apart(*where, self.sample.blocks.window_bp, self.most, picked)
        self._count(f"{what} passed over: overlap an example of the same node and band", passed)
        return picked[:n]

    def _places(
        self, node: int, band: int, positions: np.ndarray, values: np.ndarray | np.float32
    ) -> np.ndarray:
        found = np.empty(len(positions), PLACE)
        found["kept"], found["band"], found["peak"] = node, band, values
        found["sequence"], found["position"] = np.divmod(self.windows.rows[positions], self.positions)
        return found

    def _count(self, what: str, n: int) -> None:
        self.counts[what] = self.counts.get(what, 0) + n
