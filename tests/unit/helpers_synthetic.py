"""A small simulated data set, shared by the tests of simulation and scoring."""

from __future__ import annotations

from pathlib import Path

from biosae.synthetic.settings import SyntheticSettings

DATABASE = Path(__file__).resolve().parents[2] / "config" / "motifs" / "jaspar2026_vertebrates_256.meme"
PLANTED = ("MA0139.2", "MA0113.4", "MA0141.4", "MA0052.5")  # CTCF, NR3C1 (palindrome), ESRRB, MEF2A

CTCF, NR3C1, ESRRB, MEF2A = PLANTED


def small(**changes: object) -> SyntheticSettings:
    """Settings of a genome of 120 kb that simulates in about a second."""
    values = {
        "motif_ids": PLANTED,
        "genome_bp": 120_000,
        "chromosomes": 2,
        "sequence_bp": 8_000,
        "pad_bp": 400,
        "n_channels": 10,
        "noise": 0.05,
        "instances_per_motif": 120,
        "rarest_share": 1.0,
        "repeat_copies": 40,
        "low_complexity_tracts": 20,
        "gaps": 6,
        "distractors": 4,
        "distractor_gain": 0.3,
        "seed": 3,
    }
    return SyntheticSettings(**{**values, **changes})


def graded(**changes: object) -> SyntheticSettings:
    """A world with a pair, a motif that is nowhere but in it, and a motif read on one strand."""
    values = {
        "genome_bp": 160_000,
        "pairs": ((CTCF, ESRRB, 5),),
        "pair_instances": 150,
        "partner_only": (ESRRB,),
        "strand_specific": (MEF2A,),
        "superposition": 2.0,
    }
    return small(**{**values, **changes})
