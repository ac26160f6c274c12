"""A tiny self-test: one world of four motifs, trained in seconds."""

from __future__ import annotations

from pathlib import Path

import yaml

from biosae.ladder.config import load_ladder

ROOT = Path(__file__).resolve().parents[2]
DATABASE = ROOT / "config" / "motifs" / "jaspar2026_vertebrates_256.meme"
SCHEMA = ROOT / "workflow" / "schemas" / "ladder_config.schema.yaml"


def tiny_config(**changes: object) -> dict:
    """A configuration of one world and one seed, before it is checked."""
    config = {
        "results": "ladder",
        "database": "config/motifs/jaspar2026_vertebrates_256.meme",
        "seeds": [3],
        "motif_seeds": [],
        "recipes": [
            {
                "name": "topk",
                "kind": "topk",
                "n_nodes": 24,
                "settings": {"k": 2, "k_of": "absolute", "batch_rows": 512, "max_positions": 60_000},
            }
        ],
        "baselines": ["raw", "random", "permuted", "random_model"],
        "motifs": {"background_windows": 500, "min_nonzero": 20, "min_above_half": 10},
        "axes": {"superposition": {"label": "superposition"}},
        "base": {
            "motif_ids": ["MA0139.2", "MA0062.4", "MA0046.3", "MA0113.4"],
            "genome_bp": 200_000,
            "chromosomes": 2,
            "superposition": 2,
            "noise": 0.05,
            "instances_per_motif": 200,
            "rarest_share": 1.0,
            "repeat_copies": 40,
            "low_complexity_tracts": 20,
            "gaps": 4,
            "distractors": 0,
            "files_per_split": 1,
        },
        "worlds": {"easy": {"axes": {"superposition": 2}}},
    }
    return {**config, **changes}


def checked(**changes: object) -> dict:
    """The same, checked and complete."""
    return load_ladder(tiny_config(**changes), SCHEMA)


def selftest_config() -> dict:
    """The configuration that ``make selftest`` runs."""
    return load_ladder(yaml.safe_load((ROOT / "config" / "selftest.yaml").read_text()), SCHEMA)
