"""The two parts of a node: seqlets and controls to discover in (A), and those held out for the test (B)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from biosae.motifs import background, controls, heldout
from biosae.motifs.exact_test import log10_p_in_strata
from biosae.motifs.packing import Packed, encode, pack, reverse_complement, turn_canonical
from biosae.motifs.settings import DiscoverySettings, Evidence, NodeMotifs

log = logging.getLogger(__name__)


class HeldOutTest(NamedTuple):
    """log10 p, (seqlets hit, seqlets, controls hit, controls) over all strata, and what they are counts of.

    The rows of the evidence are places among the sequences given to ``prepare``.
    """

    log10_p: float
    table: tuple[int, int, int, int]
    evidence: Evidence


@dataclass
class NodeParts:
    """Seqlets and controls of a node, part A first in each.

    Attributes:
        seqlets, controls: packed, of both parts.
        n_a, n_controls_a: how many of each are part A.
        rows: (n seqlets,) int64, place of each among the sequences given to ``prepare``.
        strata, control_strata: (n seqlets,) and (n controls,) int64, see ``controls.strata``.
        counted: (n seqlets,) bool, one of each locus.
        flipped: (n seqlets,) bool, packed as the reverse complement of what was given.
        tables: background model.
        kind: ``background`` or ``shuffled`` controls.
    """

    seqlets: Packed
    controls: Packed
    n_a: int
    n_controls_a: int
    rows: np.ndarray
    strata: np.ndarray
    control_strata: np.ndarray
    counted: np.ndarray
    flipped: np.ndarray
    tables: np.ndarray
    kind: str

    def test(self, odds: np.ndarray, control_odds: np.ndarray, threshold: float) -> HeldOutTest:
        """The test of part B, at a threshold on the best odds of seqlets and of controls."""
        counted = self.counted.copy()
        counted[: self.n_a] = False
        hit, control_hit = odds[counted] >= threshold, control_odds[self.n_controls_a :] >= threshold
        evidence = Evidence(
            self.rows[counted],
            self.strata[counted],
            hit,
            self.control_strata[self.n_controls_a :],
            control_hit,
        )
        log10_p = log10_p_in_strata(hit, evidence.strata, control_hit, evidence.control_strata)
        table = int(hit.sum()), len(hit), int(control_hit.sum()), len(control_hit)
        return HeldOutTest(log10_p, table, evidence)


def prepare(
    name: str,
    sequences: Sequence[str],
    groups: Sequence[str] | None,
    pool: controls.ControlPool | None,
    settings: DiscoverySettings,
    seed: int,
    result: NodeMotifs,
) -> NodeParts | None:
    """Sort, split, draw controls, fit the background; None when a part would be empty.

    ``groups``: locus of each usable seqlet, or None; no ``pool``: shuffles; ``result`` gets the counts.
    """
    both = settings.strand == "both"
    texts, flipped = _canonical(sequences, both)
    held_out, counted = heldout.split(texts, groups, settings.held_out_share, seed)
    if not (held_out & counted).any() or held_out.all():
        return None
    rng = np.random.default_rng(seed % 2**64)
    n_a = int((~held_out).sum())
    order = _order(texts, held_out, counted, flipped, rng)
    codes, offsets = encode([texts[i] for i in order])
    cased = [_oriented(sequences[i], flipped[i]) for i in order]
    lower = controls.lower_case(cased) & (pool is None or pool.masked)
    strata = controls.strata(codes, offsets, lower)
    part_a, part_b, kind = _controls(name, codes, offsets, strata, n_a, pool, settings, rng, result)
    tables = background.fit(*part_a[:2], settings.background_order, both)
    return NodeParts(
        seqlets=pack(codes, offsets, tables, settings.background_order),
        controls=pack(*_joined(part_a, part_b, both), tables, settings.background_order),
        n_a=n_a,
        n_controls_a=len(part_a[1]) - 1,
        rows=np.array(order),
        strata=strata,
        control_strata=np.concatenate([part_a[2], part_b[2]]),
        counted=counted[order],
        flipped=flipped[order],
        tables=tables,
        kind=kind,
    )


def _order(texts, held_out, counted, flipped, rng: np.random.Generator) -> list[int]:
    """Part A in random order (the first of it are a sample of it), then part B, whatever the order given."""
    order = sorted(range(len(texts)), key=lambda i: (held_out[i], texts[i], not counted[i], flipped[i]))
    n_a = int((~held_out).sum())
    return [order[i] for i in rng.permutation(n_a)] + order[n_a:]


def _canonical(sequences: Sequence[str], both_strands: bool) -> tuple[list[str], np.ndarray]:
    """Upper case; with both strands the smaller of text and reverse complement, and which were turned."""
    texts = [s.upper() for s in sequences]
    if not both_strands:
        return texts, np.zeros(len(texts), bool)
    turned = [reverse_complement(s) for s in texts]
    flipped = np.array([other < s for s, other in zip(texts, turned, strict=True)], bool)
    return [min(pair) for pair in zip(texts, turned, strict=True)], flipped


def _joined(first: tuple[np.ndarray, ...], second: tuple[np.ndarray, ...], both_strands: bool):
    """Codes and offsets of two parts of controls as one; with both strands turned as the seqlets are.

    The odds of a place depend a little on the strand that is packed: without this, decoys on one strand only
    tell seqlets from controls.
    """
    codes = np.concatenate([first[0][: first[1][-1]], second[0]])
    offsets = np.concatenate([first[1], first[1][-1] + second[1][1:]])
    if both_strands:
        turn_canonical(codes, offsets)
    return codes, offsets


def _oriented(sequence: str, flip: bool) -> str:
    """The sequence, or its reverse complement with the case of each base kept."""
    return reverse_complement(sequence) if flip else sequence


def _controls(name, codes, offsets, strata, n_a, pool, settings, rng, result):
    """Controls of parts A and B, and their kind; the counts go into ``result``."""
    copies = settings.controls_per_seqlet
    lengths = np.diff(offsets)
    if pool is not None:
        parts, short = pool.draw([(strata[:n_a], lengths[:n_a]), (strata[n_a:], lengths[n_a:])], copies, rng)
        enough = all(len(o) - 1 >= n for (_, o, _), n in zip(parts, (n_a, len(lengths) - n_a), strict=True))
        if enough:
            result.n_controls, result.n_controls_short = sum(len(o) - 1 for _, o, _ in parts), short
            result.n_without_control = int((~np.isin(strata[n_a:], parts[1][2])).sum())
            if 2 * result.n_without_control > len(lengths) - n_a:
                log.warning(
                    "node %s: %d of %d held-out seqlets have no control of their GC and repeat share and do "
                    "not count in the test",
                    *(name, result.n_without_control, len(lengths) - n_a),
                )
            return *parts, "background"
        log.warning(
            "node %s: the background has too few windows of its length and GC; shuffled seqlets serve", name
        )
    split_at = offsets[n_a]
    parts = controls.shuffled(
        [(codes[:split_at], offsets[: n_a + 1]), (codes[split_at:], offsets[n_a:] - split_at)], copies, rng
    )
    result.n_controls = sum(len(o) - 1 for _, o in parts)
    of_parents = (np.repeat(part, copies) for part in (strata[:n_a], strata[n_a:]))
    return *((*part, of) for part, of in zip(parts, of_parents, strict=True)), "shuffled"
