"""The MEME Suite's engines, tested as the batched engine is: on seqlets that they have not seen.

``meme`` or ``streme`` reads part A of a node only. Each of its matrices gets its threshold on part A and part
A's controls, and is tested once on part B and part B's controls (``heldout``). Parts and controls are those
of engine batched for the same node and seed (``parts.prepare``), so that p, E and q mean the same for all
engines. Two things differ: the matrix reported stays the tool's own, made from part A alone, where engine
batched refits its matrix on everything; and the tool names all its motifs before the first is tested, so
that our erasing (as in ``node``, for the test of the next motif) has no part in its search.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from biosae.errors import InputError
from biosae.motifs import background, controls, em, heldout
from biosae.motifs.external import FEWEST_SEQUENCES, WIDEST_TESTED_BP
from biosae.motifs.formats import Motif
from biosae.motifs.packing import longest_clean
from biosae.motifs.parts import NodeParts, prepare
from biosae.motifs.settings import DiscoverySettings, NodeMotifs
from biosae.motifs.tables import HeldOut

log = logging.getLogger(__name__)

Records = list[tuple[str, str]]  # (FASTA header without >, sequence)

# Pseudo-sites of a matrix in all, spread as the background, so that a zero does not forbid a base: what the
# MEME Suite adds to a matrix it scans with (fimo --motif-pseudo, https://meme-suite.org/meme/doc/fimo.html).
PSEUDOSITES = 0.1


def discover_node(
    name: str,
    records: Records,
    pool: controls.ControlPool | None,
    settings: DiscoverySettings,
    seed: int,
    search: Callable[[Records], list[Motif]],
) -> tuple[str, list[Motif], list[HeldOut]]:
    """Motifs of one node and their held-out tests.

    Args:
        name: as engine batched names it, for messages.
        records: the node's seqlets.
        pool: background, or None for shuffles.
        settings: as engine batched would get them; what speaks of its own search is not used.
        seed: the node's own seed (``batched.node_seed``).
        search: runs the tool on the records of part A.

    Returns:
        Status (as of ``NodeMotifs``), the tool's motifs, and one test for each.
    """
    places, groups = _usable(records, settings.min_width)
    used = [records[i] for i in places]
    if records and not used:
        return "too short", [], []
    parts = None
    if len(used) >= settings.min_sequences:
        sequences = [sequence for _, sequence in used]
        parts = prepare(name, sequences, groups, pool, settings, seed, NodeMotifs())
    if parts is None or parts.n_a < FEWEST_SEQUENCES:
        return "too few sequences", [], []
    motifs = search(part_a(parts, used))
    tests = [
        replace(test, evidence=test.evidence.among(places))
        for test in held_out_tests(parts, motifs, settings.strand == "both")
    ]
    return ("ok" if motifs else "no motif"), motifs, tests


def _usable(records: Records, min_width: int) -> tuple[list[int], list[str]]:
    """Places of the records that can hold a motif, as ``node`` takes them, and their loci."""
    loci = heldout.loci_of([header for header, _ in records])
    used = [i for i, (_, sequence) in enumerate(records) if longest_clean(sequence) >= min_width]
    return used, [loci[i] for i in used]


def part_a(parts: NodeParts, records: Records) -> Records:
    """The records of part A as they were given (strand, letters), in their order in the FASTA.

    A header without a word becomes ``seqlet_{place}``, 1-based: the tools need one.
    """
    return [
        (records[row][0] or f"seqlet_{row + 1}", records[row][1])
        for row in sorted(parts.rows[: parts.n_a].tolist())
    ]


def held_out_tests(parts: NodeParts, motifs: Sequence[Motif], both_strands: bool) -> list[HeldOut]:
    """Test a tool's motifs in its order; the sites of one are erased (in ``parts``) before the next.

    Raises:
        InputError: a motif is wider than the kernels read (an argument given by hand can ask for it).
    """
    _refuse_wide(motifs)
    tests = []
    composition = background.composition(parts.tables)
    for motif in motifs:
        rate = np.clip(motif.n_sites / parts.n_a, 1.0 / (parts.n_a + 1), em.MAX_RATE)
        state = em.Fit(with_pseudosites(motif, composition), float(rate), 0.0)
        test, threshold = _test(parts, state, both_strands)
        tests.append(test)
        for packed in (parts.seqlets, parts.controls):
            em.erase_sites(packed, state, both_strands, threshold)
    return tests


def _test(parts: NodeParts, state: em.Fit, both_strands: bool) -> tuple[HeldOut, float]:
    """The test of one matrix, and the threshold on the odds."""
    sites = em.best_sites(parts.seqlets, state, both_strands)
    control_odds = em.best_sites(parts.controls, state, both_strands).odds
    threshold, _ = heldout.choose_threshold(sites.odds[: parts.n_a], control_odds[: parts.n_controls_a])
    hits = sites.odds >= threshold
    test = parts.test(sites.odds, control_odds, threshold)
    forward = (sites.forward != parts.flipped)[hits]
    share = float(forward.mean()) if both_strands and len(forward) else None
    return HeldOut(parts.n_a, share, test.log10_p, test.table, test.evidence), threshold


def _refuse_wide(motifs: Sequence[Motif]) -> None:
    wide = [motif.width for motif in motifs if motif.width > WIDEST_TESTED_BP]
    if wide:
        raise InputError(
            "A motif is too wide for the held-out test",
            got=f"{wide[0]} bp",
            expected=f"<= {WIDEST_TESTED_BP} bp",
        )


def with_pseudosites(motif: Motif, composition: np.ndarray) -> np.ndarray:
    """The matrix (w, 4) with PSEUDOSITES added to the sites behind it; no probability is 0."""
    n_sites = max(motif.n_sites, 1.0)
    smooth = (motif.matrix * n_sites + PSEUDOSITES * composition) / (n_sites + PSEUDOSITES)
    return smooth / smooth.sum(axis=1, keepdims=True)
