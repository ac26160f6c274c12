"""One node: find a motif on part A, test it on part B, refit it on everything, erase its sites, repeat."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from biosae.motifs import background, controls, em, heldout, search, seeds, width
from biosae.motifs.packing import longest_clean, prefix
from biosae.motifs.parts import HeldOutTest, NodeParts, prepare
from biosae.motifs.settings import DEFAULT_MAX_WIDTH, DiscoveredMotif, DiscoverySettings, NodeMotifs

log = logging.getLogger(__name__)

TRIM_BITS = (
    0.1  # end columns that tell less than this from the background go, however many sites measured them
)


def discover_node(
    name: str,
    sequences: Sequence[str],
    groups: Sequence[str] | None,
    pool: controls.ControlPool | None,
    settings: DiscoverySettings,
    seed: int,
) -> NodeMotifs:
    """Motifs of one node.

    Args:
        name: for messages.
        sequences: seqlets, any case; letters other than A, C, G, T are N.
        groups: locus of each, or None.
        pool: background, or None for shuffles.
        settings: as for the run.
        seed: the node's own seed.
    """
    result = NodeMotifs(n_sequences=len(sequences), status="too few sequences")
    used = [i for i, s in enumerate(sequences) if longest_clean(s) >= settings.min_width]
    result.n_used = len(used)
    if sequences and not used:
        result.status = "too short"
    if len(used) < settings.min_sequences:
        return result
    data = prepare(
        name, [sequences[i] for i in used], groups and [groups[i] for i in used], pool, settings, seed, result
    )
    if data is None:
        return result
    result[:] = _motifs(data, settings)
    result[:] = [
        replace(_with_e_value(motif, len(result)), evidence=motif.evidence.among(used)) for motif in result
    ]
    result.status = "ok" if result else "no motif"
    return result


def _motifs(data: NodeParts, settings: DiscoverySettings) -> list[DiscoveredMotif]:
    """Find, erase, repeat."""
    longest = int(np.diff(data.seqlets.offsets).max())
    widths = settings.min_width, min(settings.max_width or DEFAULT_MAX_WIDTH, longest)
    model = search.Background(
        background.composition(data.tables),
        seeds.word_probabilities(data.tables, settings.background_order, settings.strand == "both"),
    )
    motifs: list[DiscoveredMotif] = []
    while len(motifs) < settings.motifs_per_node:
        motif = _next_motif(data, model, settings, widths, len(motifs) + 1 == settings.motifs_per_node)
        if motif is None:
            break
        motifs.append(motif)
    return motifs


def _next_motif(
    data: NodeParts,
    model: search.Background,
    settings: DiscoverySettings,
    widths: tuple[int, int],
    last: bool,
) -> DiscoveredMotif | None:
    """The next motif, tested and refitted; unless it is the last its sites are erased.

    None when no word is enriched.
    """
    both = settings.strand == "both"
    part, part_controls = prefix(data.seqlets, data.n_a), prefix(data.controls, data.n_controls_a)
    found = search.search(part, part_controls, model, settings, widths)
    if found is None:
        return None
    state = found.state
    odds, control_odds = (em.best_sites(packed, state, both).odds for packed in (data.seqlets, data.controls))
    threshold, _ = heldout.choose_threshold(odds[: data.n_a], control_odds[: data.n_controls_a])
    test = data.test(odds, control_odds, threshold)
    data.seqlets.rival[:] = search.rival_ratio(data.seqlets, found.rival, both)
    motif = _refit(data, state, model.composition, settings, widths, test)
    data.seqlets.rival[:] = 1.0
    if not last:
        for packed in (data.seqlets, data.controls):
            em.erase_sites(packed, state, both, threshold)
    return motif


def _refit(
    data: NodeParts, state: em.Fit, composition, settings, widths, test: HeldOutTest
) -> DiscoveredMotif:
    """The motif as all seqlets show it, with the test of part B."""
    both = settings.strand == "both"
    final = width.refine(data.seqlets, state, composition, both, widths)
    sites = em.best_sites(data.seqlets, final, both)
    has_site = sites.posterior > 0.5
    first, last = width.trim_ends(final.matrix, composition, widths[0], TRIM_BITS)
    matrix, share_forward = final.matrix[first:last], None
    if both:
        forward = (sites.forward != data.flipped)[has_site]
        share_forward = float(forward.mean()) if len(forward) else 0.5
        if share_forward < 0.5:  # the motif is written as most of its sites are
            matrix, share_forward = matrix[::-1, ::-1], 1.0 - share_forward
    return DiscoveredMotif(
        matrix=np.ascontiguousarray(matrix),
        width=len(matrix),
        n_sites=int(has_site.sum()),
        n_seqlets=data.seqlets.n,
        share_forward=share_forward,
        log10_p=test.log10_p,
        p_value=10.0**test.log10_p,
        e_value=10.0**test.log10_p,
        log10_e=test.log10_p,
        llr=final.llr,
        held_out=test.table,
        controls=data.kind,
        evidence=test.evidence,
    )


def _with_e_value(motif: DiscoveredMotif, tested: int) -> DiscoveredMotif:
    """The same motif with E = p x motifs tested in the node."""
    return replace(motif, e_value=motif.p_value * tested, log10_e=motif.log10_p + math.log10(tested))
