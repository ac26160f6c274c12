"""The recipes that ``train_quality.py`` compares: a preset and what is changed in it."""

from __future__ import annotations

from typing import NamedTuple


class Row(NamedTuple):
    """preset, changes to it, and kind of model."""

    preset: str
    changes: dict
    kind: str = "topk"


PUBLISHED, PUBLISHED_FASTER, DEFAULT = "published, lr 1e-5", "published, lr 5e-4", "default"
# of the published recipe at another learning rate, one step at a time towards the default
_STANDARD = {"normaliser": "standard", "layer_norm": False}
_BATCH = {"batch_rows": 1024, "block_rows": 1024, "pool_blocks": 64}


def _default(kind: str = "topk", **changes) -> Row:
    return Row("default", changes, kind)


ROWS: dict[str, Row] = {
    PUBLISHED: Row("published", {}),
    PUBLISHED_FASTER: Row("published", {"learning_rate": 5e-4}),
    "published, lr 2e-3": Row("published", {"learning_rate": 2e-3}),
    "published, lr 2e-3, batch 1,024": Row("published", {"learning_rate": 2e-3, **_BATCH}),
    "  + tied": Row("published", {"learning_rate": 2e-3, **_BATCH, "tied_initialisation": True}),
    "  + standard, no LayerNorm": Row("published", {"learning_rate": 2e-3, **_BATCH, **_STANDARD}),
    "  + both": Row("published", {"learning_rate": 2e-3, **_BATCH, **_STANDARD, "tied_initialisation": True}),
    DEFAULT: _default(),
    "default, float32": _default(precision="float32"),
    "default, bf16": _default(precision="bfloat16"),
    "default, lr 5e-4": _default(learning_rate=5e-4),
    "default, lr 1e-3": _default(learning_rate=1e-3),
    "default, lr 1e-3, batch 512": _default(learning_rate=1e-3, batch_rows=512),
    "default, lr 4e-3": _default(learning_rate=4e-3),
    "default, batch 512": _default(batch_rows=512),
    "default, batch 2,048": _default(batch_rows=2048),
    "default, batch 4,096": _default(batch_rows=4096),
    "default, batch 4,096, lr 4e-3": _default(batch_rows=4096, learning_rate=4e-3),
    "default, untied": _default(tied_initialisation=False),
    "default, decoder norm 1": _default(decoder_norm=1.0),
    "default, decoder norm 0.03": _default(decoder_norm=0.03),
    "default, no warm-up, no decay": _default(warmup_share=0.0, decay_share=0.0),
    "default, cosine decay": _default(decay="cosine"),
    "default, decay over half": _default(decay_share=0.5),
    "default, unit norm": _default(unit_norm_decoder=True),
    "default, pre-bias at the mean": _default(pre_bias_init="mean"),
    "default, AuxK 1/32": _default(auxk_coefficient=1 / 32, dead_after_positions=100_000),
    "default, AuxK 1/32, dead after 20,000": _default(auxk_coefficient=1 / 32, dead_after_positions=20_000),
    "default, LayerNorm": _default(layer_norm=True),
    "default, normaliser max": _default(normaliser="max"),
    "default, not shuffled": _default(shuffle=False),
    "default, expansion 2": _default(expansion=2),
    "default, expansion 8": _default(expansion=8),
    "default, half k": _default(k="half"),
    "default, twice k": _default(k="twice"),
    "batchtopk": _default("batchtopk"),
    "matryoshka": _default("matryoshka"),
    "relu, L1 1": _default("relu", l1_coefficient=1.0),
    "relu, L1 3": _default("relu", l1_coefficient=3.0),
}
QUICK = (PUBLISHED, PUBLISHED_FASTER, DEFAULT)
