"""A synthetic genome with planted truth.

Background of order 1 with isochores, so that GC is not uniform; a soft-masked mutated repeat family;
low-complexity tracts; runs of N; and motif instances, alone or in pairs, sampled from their matrices on both
strands, at known loci without overlap.
Coordinates are 0-based half-open on the forward strand. Bases are int8: A 0, C 1, G 2, T 3, N 4.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from biosae.errors import ConfigError
from biosae.motifs.formats import Motif
from biosae.synthetic import elements as planting
from biosae.synthetic.elements import ENHANCER_BP, N_BASE, REPEAT_BP, SPACING_BP, Element
from biosae.synthetic.settings import SyntheticSettings

UPPER = np.frombuffer(b"ACGTN", dtype=np.uint8)
LOWER = np.frombuffer(b"acgtn", dtype=np.uint8)
BLOCK_BP = 1024  # length of one independent Markov chain; short against an isochore, long against a motif
ISOCHORE_BLOCKS = (16, 64)  # 16 to 64 kb: several isochores even on a chromosome of half a megabase
GC_RANGE = (0.36, 0.54)  # roughly the span of human isochores (L1 to H3)
CPG_DEPLETION = 0.4  # mammalian genomes hold a fraction of the CpG that base composition predicts
SAME_BASE = 1.15  # homopolymers slightly above chance
TAIL_N_BP = 500
CONTROL_REGIONS = 500


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
            mend="raise genome_bp, or lower instances_per_motif, pair_instances, repeat_copies or "
            "low_complexity_tracts",
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


def _elements(
    motifs: list[Motif], consensus: np.ndarray, settings: SyntheticSettings, rng: np.random.Generator
) -> list[Element]:
    """Everything to be planted, in random order."""
    counts = planting.instance_counts(len(motifs), settings.instances_per_motif, settings.rarest_share)
    alone = [0 if m.id in settings.partner_only else n for m, n in zip(motifs, counts, strict=True)]
    elements = planting.group(planting.instances(motifs, alone, rng), motifs, settings.gaps, rng)
    elements += planting.repeats(consensus, settings.repeat_copies, rng)
    elements += planting.low_complexity(settings.low_complexity_tracts, rng)
    elements += planting.pair_sites(settings.pairs, motifs, settings.pair_instances, rng)
    return [elements[i] for i in rng.permutation(len(elements))]


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
    elements = _elements(motifs, consensus, settings, rng)
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
