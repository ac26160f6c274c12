"""A synthetic genome with planted truth.

Background of order 1 with isochores, so that GC is not uniform; a soft-masked mutated repeat family;
low-complexity tracts; runs of N; and motif instances sampled from their matrices on both strands, at known
loci without overlap.
Coordinates are 0-based half-open on the forward strand. Bases are int8: A 0, C 1, G 2, T 3, N 4.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from biosae.errors import ConfigError
from biosae.motifs.formats import Motif
from biosae.synthetic.settings import SyntheticSettings

UPPER = np.frombuffer(b"ACGTN", dtype=np.uint8)
LOWER = np.frombuffer(b"acgtn", dtype=np.uint8)
N_BASE = 4
BLOCK_BP = 1024  # length of one independent Markov chain; short against an isochore, long against a motif
ISOCHORE_BLOCKS = (16, 64)  # 16 to 64 kb: several isochores even on a chromosome of half a megabase
GC_RANGE = (0.36, 0.54)  # roughly the span of human isochores (L1 to H3)
CPG_DEPLETION = 0.4  # mammalian genomes hold a fraction of the CpG that base composition predicts
SAME_BASE = 1.15  # homopolymers slightly above chance
REPEAT_BP = 300
REPEAT_NAME = "SYNR1"
REPEAT_SHORTEST_BP = 110  # copies lose their 5' end, as LINE and SINE copies do; the 3' end is always there
REPEAT_DIVERGENCE = 0.15
LOW_COMPLEXITY = {
    "poly_A": ((0,), (20, 40)),
    "CA_repeat": ((1, 0), (24, 48)),
}  # unit, shortest and longest bp
LOW_COMPLEXITY_ERROR = 0.03
ENHANCER_BP = 300
ENHANCER_SITES = 4
ENHANCER_MOTIFS = 4  # the first motifs of the list; half of their instances lie in enhancer-like regions
GAP_BP = 60
TAIL_N_BP = 500
SPACING_BP = 8  # least background between two elements
CONTROL_REGIONS = 500


@dataclass(frozen=True)
class Element:
    """A stretch to be planted: its bases, what it is, and the motif sites inside it.

    ``sites`` holds (offset in the element, width, motif id, strand) per site.
    """

    kind: str
    name: str
    strand: str
    bases: np.ndarray
    sites: tuple = ()
    masked: bool = False


@dataclass(frozen=True)
class Genome:
    """Chromosomes and what was planted in them.

    Attributes:
        bases: per chromosome name, (length,) int8.
        masked: per chromosome name, (length,) bool; True is written in lower case.
        instances: DataFrame chrom, start, end, motif, strand; one row per planted site, 0-based half-open.
        elements: DataFrame chrom, start, end, kind, name, strand; one row per planted element.
        consensus: (REPEAT_BP,) int8, the repeat family's consensus.
        controls: DataFrame chrom, start, end: random regions that nothing was planted by.
    """

    bases: dict[str, np.ndarray]
    masked: dict[str, np.ndarray]
    instances: pd.DataFrame
    elements: pd.DataFrame
    consensus: np.ndarray
    controls: pd.DataFrame

    def text(self, chrom: str) -> str:
        """The chromosome as letters, lower case where masked."""
        letters = np.where(self.masked[chrom], LOWER[self.bases[chrom]], UPPER[self.bases[chrom]])
        return letters.astype(np.uint8).tobytes().decode()


def reverse_complement(bases: np.ndarray) -> np.ndarray:
    """Reverse complement of int8 bases along the last axis; N stays N."""
    return np.where(bases == N_BASE, N_BASE, 3 - bases)[..., ::-1].astype(np.int8)


def sample_sites(matrix: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """``count`` sites drawn from a (width, 4) probability matrix: (count, width) int8."""
    edges = np.cumsum(matrix / matrix.sum(axis=1, keepdims=True), axis=1)[:, :3]
    draws = rng.random((count, len(matrix), 1))
    return (draws > edges).sum(axis=2).astype(np.int8)


def background(length_bp: int, rng: np.random.Generator) -> np.ndarray:
    """Order-1 background with isochores, (length_bp,) int8; blocks of BLOCK_BP are independent chains."""
    blocks = -(-length_bp // BLOCK_BP)
    gc = np.empty(0)
    while len(gc) < blocks:
        gc = np.append(gc, np.full(rng.integers(*ISOCHORE_BLOCKS, endpoint=True), rng.uniform(*GC_RANGE)))
    gc = gc[:blocks]
    marginal = np.stack([(1 - gc) / 2, gc / 2, gc / 2, (1 - gc) / 2], axis=1)
    steps = np.repeat(marginal[:, None, :], 4, axis=1)  # (block, previous, next)
    steps[:, 1, 2] *= CPG_DEPLETION
    steps[:, range(4), range(4)] *= SAME_BASE
    edges = np.cumsum(steps / steps.sum(axis=2, keepdims=True), axis=2)[:, :, :3]
    chains = np.empty((blocks, BLOCK_BP), dtype=np.int8)
    chains[:, 0] = (rng.random((blocks, 1)) > np.cumsum(marginal, axis=1)[:, :3]).sum(axis=1)
    draws = rng.random((BLOCK_BP, blocks, 1))
    row = np.arange(blocks)
    for i in range(1, BLOCK_BP):
        chains[:, i] = (draws[i] > edges[row, chains[:, i - 1]]).sum(axis=1)
    return chains.ravel()[:length_bp]


def mutate(bases: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Replace each base by another one with probability ``share``."""
    shift = np.where(rng.random(bases.shape) < share, rng.integers(1, 4, bases.shape), 0)
    return ((bases + shift) % 4).astype(np.int8)


def _strand(rng: np.random.Generator) -> str:
    return "+" if rng.random() < 0.5 else "-"


def _turn(bases: np.ndarray, strand: str) -> np.ndarray:
    return bases if strand == "+" else reverse_complement(bases)


def _repeats(consensus: np.ndarray, copies: int, rng: np.random.Generator) -> list[Element]:
    elements = []
    for _ in range(copies):
        length = int(rng.integers(REPEAT_SHORTEST_BP, REPEAT_BP, endpoint=True))
        strand = _strand(rng)
        bases = _turn(mutate(consensus[-length:], REPEAT_DIVERGENCE, rng), strand)
        elements.append(Element("repeat", REPEAT_NAME, strand, bases, masked=True))
    return elements


def _low_complexity(tracts: int, rng: np.random.Generator) -> list[Element]:
    elements = []
    for name, (unit, (shortest, longest)) in LOW_COMPLEXITY.items():
        for _ in range(tracts):
            bases = np.resize(np.array(unit, dtype=np.int8), rng.integers(shortest, longest, endpoint=True))
            strand = _strand(rng)
            bases = _turn(mutate(bases, LOW_COMPLEXITY_ERROR, rng), strand)
            elements.append(Element("low_complexity", name, strand, bases, masked=True))
    return elements


def instance_counts(motifs: int, most: int, rarest_share: float) -> list[int]:
    """Sites of each matrix: ``most`` of the first, falling geometrically to ``rarest_share`` of it."""
    exponent = np.arange(motifs) / max(motifs - 1, 1)
    return np.round(most * rarest_share**exponent).astype(int).tolist()


def _instances(motifs: list[Motif], counts: list[int], rng: np.random.Generator) -> list[Element]:
    elements = []
    for motif, count in zip(motifs, counts, strict=True):
        for site in sample_sites(motif.matrix, count, rng):
            strand = _strand(rng)
            sites = ((0, motif.width, motif.id, strand),)
            elements.append(Element("instance", motif.id, strand, _turn(site, strand), sites))
    return elements


def _join(kind: str, parts: list[Element], spacers: list[np.ndarray]) -> Element:
    """One element out of spacer, part, spacer, part, ..., spacer."""
    pieces, sites, at = [], [], 0
    for spacer, part in zip(spacers, parts, strict=False):
        at += len(spacer)
        sites += [(at + offset, *rest) for offset, *rest in part.sites]
        pieces += [spacer, part.bases]
        at += len(part.bases)
    return Element(kind, kind, "+", np.concatenate([*pieces, spacers[len(parts)]]), tuple(sites))


def _group(
    instances: list[Element], motifs: list[Motif], gaps: int, rng: np.random.Generator
) -> list[Element]:
    """Put half of the first motifs' instances into enhancer-like regions, and a few beside a run of N."""
    chosen = {motif.id for motif in motifs[:ENHANCER_MOTIFS]}
    order = rng.permutation(len(instances))
    beside_n, rest = order[:gaps], order[gaps:]
    nothing = np.empty(0, dtype=np.int8)
    n_run = np.full(GAP_BP, N_BASE, dtype=np.int8)
    grouped = [_join("gap", [instances[i]], [n_run, nothing]) for i in beside_n]
    pool = [i for i in rest if instances[i].name in chosen]
    pool = pool[: len(pool) // 2 // ENHANCER_SITES * ENHANCER_SITES]
    for first in range(0, len(pool), ENHANCER_SITES):
        parts = [instances[i] for i in pool[first : first + ENHANCER_SITES]]
        free = ENHANCER_BP - sum(len(part.bases) for part in parts)
        cuts = np.sort(rng.integers(0, free - SPACING_BP * len(parts), len(parts)))
        lengths = np.diff(np.concatenate([[0], cuts, [free - SPACING_BP * len(parts)]]))
        lengths[1:] += SPACING_BP
        spacers = [rng.integers(0, 4, length).astype(np.int8) for length in lengths]
        grouped.append(_join("enhancer", parts, spacers))
    used = set(pool)
    return grouped + [instances[i] for i in rest if i not in used]


def _place(
    bases: np.ndarray, elements: list[Element], rng: np.random.Generator
) -> tuple[np.ndarray, list[int]]:
    """Write the elements into one chromosome, uniform over placements without overlap; (masked, starts)."""
    lengths = np.array([len(element.bases) + SPACING_BP for element in elements])
    free = len(bases) - TAIL_N_BP - int(lengths.sum())
    if free < 0:
        raise ConfigError(
            "The planted elements do not fit into the synthetic genome",
            got=f"{int(lengths.sum())} bp of elements on a chromosome of {len(bases)} bp",
            mend="raise genome_bp, or lower instances_per_motif, repeat_copies or low_complexity_tracts",
        )
    cuts = np.sort(rng.integers(0, free, len(elements), endpoint=True))
    starts = cuts + np.concatenate([[0], np.cumsum(lengths)[:-1]])
    masked = np.zeros(len(bases), dtype=bool)
    for start, element in zip(starts, elements, strict=True):
        bases[start : start + len(element.bases)] = element.bases
        masked[start : start + len(element.bases)] = element.masked
    bases[-TAIL_N_BP:] = N_BASE
    return masked, starts.tolist()


def _controls(bases: dict[str, np.ndarray], rng: np.random.Generator) -> pd.DataFrame:
    names = list(bases)
    chrom = rng.integers(0, len(names), CONTROL_REGIONS)
    start = [int(rng.integers(0, len(bases[names[c]]) - ENHANCER_BP)) for c in chrom]
    table = pd.DataFrame({"chrom": [names[c] for c in chrom], "start": start})
    return table.assign(end=table["start"] + ENHANCER_BP).sort_values(["chrom", "start"], ignore_index=True)


def build_genome(chromosome_bp: list[int], motifs: list[Motif], settings: SyntheticSettings) -> Genome:
    """Make the genome; same settings, same genome.

    Args:
        chromosome_bp: length of each chromosome in bp; they are called chr1, chr2, ...
        motifs: the matrices to plant.
        settings: how much of everything.

    Raises:
        ConfigError: the elements do not fit.
    """
    rng = np.random.default_rng(settings.seed)
    consensus = rng.integers(0, 4, REPEAT_BP).astype(np.int8)
    counts = instance_counts(len(motifs), settings.instances_per_motif, settings.rarest_share)
    sites = _instances(motifs, counts, rng)
    elements = _group(sites, motifs, settings.gaps, rng)
    elements += _repeats(consensus, settings.repeat_copies, rng)
    elements += _low_complexity(settings.low_complexity_tracts, rng)
    elements = [elements[i] for i in rng.permutation(len(elements))]
    ends = np.round(np.cumsum(chromosome_bp) / np.sum(chromosome_bp) * len(elements)).astype(int)
    bases, masked, rows, sites = {}, {}, [], []
    for number, length in enumerate(chromosome_bp):
        chrom = f"chr{number + 1}"
        own = elements[ends[number - 1] if number else 0 : ends[number]]
        bases[chrom] = background(length, rng)
        masked[chrom], starts = _place(bases[chrom], own, rng)
        for at, e in zip(starts, own, strict=True):
            rows.append((chrom, at, at + len(e.bases), e.kind, e.name, e.strand))
            sites += [(chrom, at + offset, at + offset + width, *what) for offset, width, *what in e.sites]
    return Genome(
        bases,
        masked,
        pd.DataFrame(sites, columns=["chrom", "start", "end", "motif", "strand"]),
        pd.DataFrame(rows, columns=["chrom", "start", "end", "kind", "name", "strand"]),
        consensus,
        _controls(bases, rng),
    )
