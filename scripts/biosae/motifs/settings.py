"""What the batched engine is told and what it answers: plain records, no computation."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from biosae.errors import ConfigError

DEFAULT_MAX_WIDTH = (
    30  # widest motif in bp when max_width is None; vertebrate JASPAR matrices: 99 % are narrower
)


@dataclass(frozen=True)
class DiscoverySettings:
    """Settings of one discovery; the same for every node of a run.

    Args:
        motifs_per_node: motifs looked for in a node, one after another (find, erase, repeat).
        strand: ``given`` reads each sequence as it is written, ``both`` also its reverse complement.
        min_width: narrowest motif in bp (3 or more).
        max_width: widest motif in bp, at most 200; None for the longest sequence of the node, but at most 30.
        background_order: order of the Markov background, 0 to 5.
        held_out_share: share of the seqlets (by locus) kept for the test, never seen by discovery.
        controls_per_seqlet: control sequences for each seqlet, in either part.
        min_sequences: nodes with fewer usable seqlets get no motif (a 2x2 test on fewer says nothing).
        seeds: seed words tried with a short EM per motif (search.SCREENED of them with a longer one).
        refined: best of these seeds that get a full EM and a width search.
    """

    motifs_per_node: int = 2
    strand: str = "given"
    min_width: int = 6
    max_width: int | None = None
    background_order: int = 2
    held_out_share: float = 0.4
    controls_per_seqlet: int = 5
    min_sequences: int = 10
    seeds: int = 16
    refined: int = 4

    def __post_init__(self) -> None:
        widest = self.max_width if self.max_width is not None else DEFAULT_MAX_WIDTH
        rules = {
            "motifs_per_node >= 1": self.motifs_per_node >= 1,
            "strand given or both": self.strand in ("given", "both"),
            "3 <= min_width <= max_width": 3 <= self.min_width <= widest,
            "max_width <= 200": widest <= 200,
            "0 <= background_order <= 5": 0 <= self.background_order <= 5,
            "0 < held_out_share < 1": 0.0 < self.held_out_share < 1.0,
            "controls_per_seqlet >= 1": self.controls_per_seqlet >= 1,
            "min_sequences >= 4": self.min_sequences >= 4,
            "1 <= refined <= seeds": 1 <= self.refined <= self.seeds,
        }
        broken = [rule for rule, holds in rules.items() if not holds]
        if broken:
            raise ConfigError("Motif discovery settings do not fit", got=self, expected="; ".join(broken))


@dataclass(frozen=True, eq=False)
class Evidence:
    """The held-out test of one motif, sequence by sequence, one of each locus.

    Attributes:
        rows: (n,) int64, place of each seqlet of the test among the sequences given.
        strata: (n,) int64, its stratum, see ``controls.strata``.
        hit: (n,) bool, it has the motif.
        control_strata, control_hit: (m,) the same of the controls.
    """

    rows: np.ndarray
    strata: np.ndarray
    hit: np.ndarray
    control_strata: np.ndarray
    control_hit: np.ndarray

    def among(self, places: np.ndarray) -> Evidence:
        """The same where the sequence at row i is the one at ``places[i]`` of a longer list."""
        return replace(self, rows=np.asarray(places, dtype=np.int64)[self.rows])


@dataclass(frozen=True)
class DiscoveredMotif:
    """One motif of a node.

    Attributes:
        matrix: (w, 4) probabilities of A, C, G, T, refitted on all seqlets of the node.
        width: w in bp.
        n_sites: seqlets with a site (posterior of the final model above one half).
        n_seqlets: usable seqlets of the node, the population of n_sites.
        share_forward: share of the sites on the strand as written; None with strand ``given``.
        log10_p: log10 of the one-sided p of ``exact_test`` on part B (matrix and threshold are of part A).
        p_value: 10**log10_p; 0.0 where that underflows.
        e_value: p x motifs tested in this node. This is not a MEME E-value.
        log10_e: log10 of e_value; may exceed 0.
        llr: log likelihood ratio of the ZOOPS model on all seqlets against background alone, in nats.
        held_out: (seqlets hit, seqlets, controls hit, controls) of the test, counted once a locus.
        controls: ``background`` or ``shuffled`` (keeps dinucleotides only: see batched).
        evidence: the same test, sequence by sequence.
    """

    matrix: np.ndarray
    width: int
    n_sites: int
    n_seqlets: int
    share_forward: float | None
    log10_p: float
    p_value: float
    e_value: float
    log10_e: float
    llr: float
    held_out: tuple[int, int, int, int]
    controls: str
    evidence: Evidence | None = field(default=None, compare=False, repr=False)


class NodeMotifs(list):
    """The motifs of one node, a list of DiscoveredMotif, best search order first.

    Attributes:
        status: ``ok``; ``too few sequences``, below min_sequences or so few loci that none can be held out;
            ``too short``, none holds min_width bases free of N; ``no motif``, no word is enriched.
        n_sequences: sequences given.
        n_used: sequences long enough to hold a motif of min_width free of N.
        n_controls: control sequences of both parts.
        n_controls_short: controls that the background could not supply.
        n_without_control: held-out seqlets that no control is like in GC and repeat share: not in the test.
    """

    def __init__(
        self, motifs: list[DiscoveredMotif] | None = None, *, status: str = "ok", n_sequences: int = 0
    ) -> None:
        super().__init__(motifs or [])
        self.status = status
        self.n_sequences = n_sequences
        self.n_used = 0
        self.n_controls = 0
        self.n_controls_short = 0
        self.n_without_control = 0
