"""What a made-up run holds beside its nodes, for ``atlas_synthetic``: dictionary, training, scores, genes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from atlas_synthetic_examples import CHROM_BP
from safetensors.numpy import save_file

from biosae.artefacts import conform, load_schema, write_json, write_table

LAYER, RUN = "conv1d_2", "topk-x4-k36"
CHROMS = [*(f"chr{number}" for number in range(1, 23)), "chrX"]
CHANNELS = 736
_FILL = {"integer": 0, "number": 0.5, "string": "x", "boolean": True}


def filled(table: pd.DataFrame, schema: str) -> pd.DataFrame:
    """The table with the schema's other columns: missing where that is allowed, else a value that fits."""
    added = {}
    for name, rule in load_schema(schema)["properties"].items():
        if name in table:
            continue
        kinds = rule["type"] if isinstance(rule["type"], list) else [rule["type"]]
        added[name] = None if "null" in kinds else rule.get("enum", [_FILL[kinds[0]]])[0]
    return conform(table.assign(**added), schema)


def write_training(run: Path, dictionary: int, rng: np.random.Generator) -> None:
    """Checkpoint, training curve, evaluation and statistics of all nodes of the dictionary."""
    config = {"kind": "topk", "n_nodes": dictionary, "channels": CHANNELS, "k": 36, "layer_norm": False}
    config |= {"role": "sae", "seed": 0, "layer": {"name": LAYER, "stride_bp": 4}, "recipe": {"epochs": 20}}
    write_json(run / "checkpoint" / "config.json", config)
    centres = rng.normal(size=(max(1, dictionary // 8), CHANNELS)).astype(np.float32)
    noise = rng.normal(size=(dictionary, CHANNELS)).astype(np.float32)
    decoder = centres[rng.integers(0, len(centres), dictionary)] + 0.8 * noise
    save_file({"decoder.weight": np.ascontiguousarray(decoder.T)}, run / "checkpoint" / "model.safetensors")
    figures = {"fvu": 0.0831, "l0": 36.0, "dead_fraction": 0.041, "density_median": 0.012}
    write_json(
        run / "evaluation.json",
        {**figures, **{name: config[name] for name in ("kind", "n_nodes", "channels", "k")}},
    )
    step = np.arange(40) * 250
    fvu = 0.08 + 4 * np.exp(-step / 300)
    curve = pd.DataFrame(
        {"step": step, "positions": 4096 * step, "epoch": step / 5000, "learning_rate": 1e-3}
    )
    curve = curve.assign(validation_fvu=fvu, l0=36.0, dead_fraction=0.04 + 0.5 * np.exp(-step / 2000))
    write_table(filled(curve, "training_curve"), run / "training_curve.tsv", "training_curve")
    counts = rng.integers(0, 9000, (dictionary, 32)) * (np.abs(np.arange(32) - 16) < 5)
    texts = [",".join(map(str, row)) for row in counts.tolist()]
    rows = pd.DataFrame({"node_id": np.arange(dictionary), "histogram": texts})
    write_table(filled(rows, "node_stats"), run / "node_stats.tsv", "node_stats")
    nulls = [
        (name, kind, 100, 60, 1000, 5, 0.5)
        for name in ("motif", "match", "named")
        for kind in ("shuffled", "filter")
    ]
    columns = list(load_schema("null_counts")["properties"])
    write_table(pd.DataFrame(nulls, columns=columns), run / "null_counts.tsv", "null_counts")


def write_others(folder: Path, rng: np.random.Generator) -> None:
    """The scoreboard, and genes."""
    rows = pd.DataFrame({"figure": ["nodes_with_motif", "nodes_named"], "value": [9000.0, 700.0]})
    rows = rows.assign(
        layer=LAYER, run=RUN, nulls="raw,random", best_null="raw", null_value=300.0, replicates=500
    )
    rows = rows.assign(
        matched_nodes=1000,
        value_matched=450.0,
        null_value_matched=300.0,
        difference=150.0,
        ci_low=90.0,
        ci_high=210.0,
    )
    write_table(filled(rows, "scoreboard"), folder / "scoreboard.tsv", "scoreboard")
    lines = []
    for at in range(20_000):
        start = int(rng.integers(0, CHROM_BP - 50_000))
        lines.append(
            f"{CHROMS[at % len(CHROMS)]}\t{start}\t{start + int(rng.integers(1000, 50_000))}\tGENE{at}\n"
        )
    (folder / "genes.bed").write_text("".join(lines))
