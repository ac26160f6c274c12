"""What is planted in a synthetic genome: repeats, low-complexity tracts, sites, pairs of sites, enhancers.

Bases are int8: A 0, C 1, G 2, T 3, N 4. Offsets inside an element are 0-based.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from biosae.motifs.formats import Motif

N_BASE = 4
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
SPACING_BP = 8  # least background between two elements


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


def reverse_complement(bases: np.ndarray) -> np.ndarray:
    """Reverse complement of int8 bases along the last axis; N stays N."""
    return np.where(bases == N_BASE, N_BASE, 3 - bases)[..., ::-1].astype(np.int8)


def sample_sites(matrix: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """``count`` sites drawn from a (width, 4) probability matrix: (count, width) int8."""
    edges = np.cumsum(matrix / matrix.sum(axis=1, keepdims=True), axis=1)[:, :3]
    draws = rng.random((count, len(matrix), 1))
    return (draws > edges).sum(axis=2).astype(np.int8)


def mutate(bases: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Replace each base by another one with probability ``share``."""
    shift = np.where(rng.random(bases.shape) < share, rng.integers(1, 4, bases.shape), 0)
    return ((bases + shift) % 4).astype(np.int8)


def _strand(rng: np.random.Generator) -> str:
    return "+" if rng.random() < 0.5 else "-"


def _turn(bases: np.ndarray, strand: str) -> np.ndarray:
    return bases if strand == "+" else reverse_complement(bases)


def repeats(consensus: np.ndarray, copies: int, rng: np.random.Generator) -> list[Element]:
    elements = []
    for _ in range(copies):
        length = int(rng.integers(REPEAT_SHORTEST_BP, REPEAT_BP, endpoint=True))
        strand = _strand(rng)
        bases = _turn(mutate(consensus[-length:], REPEAT_DIVERGENCE, rng), strand)
        elements.append(Element("repeat", REPEAT_NAME, strand, bases, masked=True))
    return elements


def low_complexity(tracts: int, rng: np.random.Generator) -> list[Element]:
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


def instances(motifs: list[Motif], counts: list[int], rng: np.random.Generator) -> list[Element]:
    elements = []
    for motif, count in zip(motifs, counts, strict=True):
        for site in sample_sites(motif.matrix, count, rng):
            strand = _strand(rng)
            sites = ((0, motif.width, motif.id, strand),)
            elements.append(Element("instance", motif.id, strand, _turn(site, strand), sites))
    return elements


def pair_sites(
    pairs: tuple[tuple[str, str, int], ...], motifs: list[Motif], count: int, rng: np.random.Generator
) -> list[Element]:
    """``count`` elements of each pair: a site of either motif, and the spacing of random bases between."""
    by_id = {motif.id: motif for motif in motifs}
    elements = []
    for first, second, spacing in pairs:
        left, right = (sample_sites(by_id[name].matrix, count, rng) for name in (first, second))
        between = rng.integers(0, 4, (count, spacing)).astype(np.int8)
        for bases in np.concatenate([left, between, right], axis=1):
            strand = _strand(rng)
            ends = (0, len(bases) - right.shape[1]) if strand == "+" else (len(bases) - left.shape[1], 0)
            sites = (
                (ends[0], left.shape[1], first, strand),
                (ends[1], right.shape[1], second, strand),
            )
            name = pair_name(first, second, spacing)
            elements.append(Element("pair", name, strand, _turn(bases, strand), sites))
    return elements


def pair_name(first: str, second: str, spacing_bp: int) -> str:
    """Id of a pair's own truth motif."""
    return f"{first}_{spacing_bp}bp_{second}"


def _join(kind: str, parts: list[Element], spacers: list[np.ndarray]) -> Element:
    """One element out of spacer, part, spacer, part, ..., spacer."""
    pieces, sites, at = [], [], 0
    for spacer, part in zip(spacers, parts, strict=False):
        at += len(spacer)
        sites += [(at + offset, *rest) for offset, *rest in part.sites]
        pieces += [spacer, part.bases]
        at += len(part.bases)
    return Element(kind, kind, "+", np.concatenate([*pieces, spacers[len(parts)]]), tuple(sites))


def group(sites: list[Element], motifs: list[Motif], gaps: int, rng: np.random.Generator) -> list[Element]:
    """Put half of the first motifs' instances into enhancer-like regions, and a few beside a run of N."""
    chosen = {motif.id for motif in motifs[:ENHANCER_MOTIFS]}
    order = rng.permutation(len(sites))
    beside_n, rest = order[:gaps], order[gaps:]
    nothing = np.empty(0, dtype=np.int8)
    n_run = np.full(GAP_BP, N_BASE, dtype=np.int8)
    grouped = [_join("gap", [sites[i]], [n_run, nothing]) for i in beside_n]
    pool = [i for i in rest if sites[i].name in chosen]
    pool = pool[: len(pool) // 2 // ENHANCER_SITES * ENHANCER_SITES]
    for first in range(0, len(pool), ENHANCER_SITES):
        parts = [sites[i] for i in pool[first : first + ENHANCER_SITES]]
        free = ENHANCER_BP - sum(len(part.bases) for part in parts)
        cuts = np.sort(rng.integers(0, free - SPACING_BP * len(parts), len(parts)))
        lengths = np.diff(np.concatenate([[0], cuts, [free - SPACING_BP * len(parts)]]))
        lengths[1:] += SPACING_BP
        spacers = [rng.integers(0, 4, length).astype(np.int8) for length in lengths]
        grouped.append(_join("enhancer", parts, spacers))
    used = set(pool)
    return grouped + [sites[i] for i in rest if i not in used]
