"""A made-up run folder: every file that the summary, the figures and the page read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from biosae.artefacts import conform, load_schema, provenance, write_json, write_table
from biosae.motifs.formats import Motif, write_meme
from biosae.node_table import NODE_INPUTS, build_nodes
from biosae.summary import RECOVERY

EVIL = "<img src=x onerror=alert(1)>"
DASH = "\u2013"  # what a missing value is shown as
_FILL = {"integer": 0, "number": 0.5, "string": "x", "boolean": True}
_NAMES = ("GATA1::TAL1", "CTCF", "SP1", "REST", "JUN", "NFYA", "ELK4", "HNF4A")


def fill(table: pd.DataFrame, schema: str) -> pd.DataFrame:
    """`table` with the schema's other columns: null where allowed, else a value that fits."""
    for name, rule in load_schema(schema)["properties"].items():
        if name in table:
            continue
        kinds = rule["type"] if isinstance(rule["type"], list) else [rule["type"]]
        value = None if "null" in kinds else rule.get("enum", [_FILL[kinds[0]]])[0]
        if "pattern" in rule and value is not None:
            value = {"histogram": ",".join(["1"] * 32)}.get(name, "ACGT")
        table = table.assign(**{name: value})
    return conform(table, schema)


def selected(nodes: list[int]) -> pd.DataFrame:
    """Selected nodes in the order given, ranks from 1."""
    ranks = np.arange(1, len(nodes) + 1)
    return fill(
        pd.DataFrame(
            {
                "rank": ranks,
                "node": nodes,
                "num_nonzero": 1000 + ranks,
                "mean_act": 10.0 / ranks,
                "max_act": 30.0 / ranks,
                "density": 0.02 / ranks,
                "n_sequences": 40,
            }
        ),
        "selected_nodes",
    )


def manifest(nodes: list[int]) -> pd.DataFrame:
    """The seqlet manifest of the same nodes."""
    ranks = range(1, len(nodes) + 1)
    return fill(
        pd.DataFrame(
            {
                "rank": ranks,
                "node": nodes,
                "file": [f"{r}_n{n}.fa" for r, n in zip(ranks, nodes, strict=True)],
                "n_seqlets": 400,
                "n_top": 500,
                "gc_share": 0.41,
                "repeat_share": 0.125,
            }
        ),
        "seqlet_manifest",
    )


def motif_rows(rows: list[tuple]) -> pd.DataFrame:
    """Rows of motifs.tsv from (rank, node, motif, log10_e, n_sites, significant)."""
    table = pd.DataFrame(rows, columns=["rank", "node", "motif", "log10_e", "n_sites", "significant"])
    table["motif_id"] = [
        f"{r}_n{n}_m{m}" for r, n, m in zip(table["rank"], table["node"], table["motif"], strict=True)
    ]
    table["e_value"] = 10.0 ** table["log10_e"].astype(float)
    table["q_value"] = np.where(table["significant"].astype(bool), 0.001, 0.6)
    table["width"], table["consensus"], table["n_seqlets"], table["engine"] = 8, "WGATAAGV", 100, "batched"
    return fill(table, "motifs")


def match_rows(rows: list[tuple]) -> pd.DataFrame:
    """Rows of matches.tsv from (query, target, target_name, p_value, q_value)."""
    table = pd.DataFrame(rows, columns=["query", "target", "target_name", "p_value", "q_value"])
    numbers = table["query"].str.extract(r"(\d+)_n(\d+)_m(\d+)").astype("Int64")
    table["rank"], table["node"], table["motif"] = (numbers[column] for column in range(3))
    table["e_value"] = table["p_value"].astype(float) * 200
    table["log10_p"] = np.log10(table["p_value"].astype(float))
    table["significant"] = table["q_value"].astype(float) < 0.05
    table["p_null"] = table["q_null"] = np.minimum(table["q_value"].astype(float) / 10, 1.0)
    table["database"], table["offset"], table["overlap"] = "jaspar.meme", 0, 8
    table["query_consensus"] = table["target_consensus"] = "TGATAAGA"
    return fill(table, "matches")


def calibration_rows(nodes: list[int], calibrated: bool = True) -> pd.DataFrame:
    """Rows of calibration.tsv: every node stands out from the nulls, or none does."""
    p = 0.001 if calibrated else 0.9
    figures = {f"{name}_{kind}_null": p for name in ("motif", "match") for kind in "pq"}
    flags = {"motif_calibrated": calibrated, "match_calibrated": calibrated}
    return fill(pd.DataFrame({"node": nodes}).assign(**figures, **flags), "calibration")


def null_count_rows(n_nodes: int) -> pd.DataFrame:
    """Rows of null_counts.tsv: of 100 sets 5 have a motif and 2 a name; the other kind has none."""
    rows = [
        (name, kind, n_nodes, n_nodes, 100, passing, n_nodes * passing / 100)
        for name, most in (("motif", 5), ("match", 3), ("named", 2))
        for kind, passing in (("genome", 0), ("shuffled", most))
    ]
    return pd.DataFrame(rows, columns=list(load_schema("null_counts")["properties"]))


def cluster_rows(motifs: pd.DataFrame) -> pd.DataFrame:
    """Rows of motif_clusters.tsv: the significant motifs, all of one cluster."""
    some = motifs.loc[motifs["significant"].astype(bool), ["motif_id", "rank", "node", "motif"]]
    return fill(some.assign(cluster=1, cluster_size=len(some)), "motif_clusters")


def repeat_rows(
    nodes: list[int], repeat: str | None = None, explained: tuple[int, ...] = (), masked: float = 0.1
) -> pd.DataFrame:
    """Rows of repeats.tsv: soft-masked as the background is; ``explained`` nodes lie in class ``repeat``."""
    rows = [("genome", "soft_masked", masked, 0.1, 0.0, 1.0, 0.9, False, node) for node in nodes]
    rows += [("bed", repeat, 0.9, 0.1, 0.89, 81.0, 1e-9, True, node) for node in explained]
    names = ["source", "class", "share", "background_share", "excess_share", "odds_ratio", "q_value"]
    table = pd.DataFrame(rows, columns=[*names, "explains", "node"])
    table["kind"] = np.where(table["class"].isin(["Simple_repeat"]), "low_complexity", "repeat")
    table["rank"] = table["node"].map({node: rank for rank, node in enumerate(nodes, 1)})
    counts = {"n_seqlets": 400, "n_background": 10000, "ci_low": 0.5, "ci_high": 2.0, "p_value": 0.5}
    return fill(table.assign(**counts), "repeats")


def specificity_rows(nodes: list[int], **columns) -> pd.DataFrame:
    """Rows of specificity.tsv: ``columns`` of every node, the others null where they may be."""
    table = pd.DataFrame({"node": nodes}).assign(strand_class="unknown", n_positions=1000, **columns)
    return fill(table, "specificity")


def nodes_from(*tables: pd.DataFrame, significance: float = 0.05, **others: pd.DataFrame) -> pd.DataFrame:
    """``build_nodes`` of tables in the order of NODE_INPUTS; the last two, left out, say nothing."""
    nodes = tables[0]["node"].tolist()
    silent = [repeat_rows(nodes), specificity_rows(nodes)]
    complete = [*tables, *silent[len(silent) + len(tables) - len(NODE_INPUTS) :]]
    named = dict(zip(NODE_INPUTS.values(), complete, strict=True))
    return build_nodes(named, significance, **others)


def make_run(
    folder: Path, n_nodes: int = 6, seed: int = 0, trained: bool = True, recovery: bool = True
) -> Path:
    """Write a run of `n_nodes` made-up nodes under `folder`/conv1d_2/topk-x4-k36; returns the run folder.

    Every third node has no significant motif, every fifth no motif at all, others are named.
    """
    run = folder / "conv1d_2" / "topk-x4-k36"
    rng = np.random.default_rng(seed)
    nodes = rng.permutation(4 * max(n_nodes, 1))[:n_nodes].tolist()
    write_table(selected(nodes), run / "selected_nodes.tsv", "selected_nodes")
    write_table(manifest(nodes), run / "seqlets" / "manifest.tsv", "seqlet_manifest")
    motifs, matches = _motifs_and_matches(nodes, rng)
    write_table(motifs, run / "motifs.tsv", "motifs")
    write_table(matches, run / "matches.tsv", "matches", provenance("made up", {}))
    write_table(calibration_rows(nodes), run / "calibration.tsv", "calibration")
    write_table(null_count_rows(len(nodes)), run / "null_counts.tsv", "null_counts")
    write_table(cluster_rows(motifs), run / "motif_clusters.tsv", "motif_clusters")
    write_table(repeat_rows(nodes), run / "repeats.tsv", "repeats")
    write_table(specificity_rows(nodes), run / "specificity.tsv", "specificity")
    widths = rng.integers(6, 16, len(motifs))
    matrices = [rng.dirichlet([0.15] * 4, width) for width in widths]
    write_meme(
        run / "motifs.meme",
        [Motif(name, "", matrix) for name, matrix in zip(motifs["motif_id"], matrices, strict=True)],
    )
    write_table(_umap(nodes, rng), run / "umap.tsv", "umap")
    write_table(_overlaps(nodes), run / "overlaps.tsv", "overlaps")
    write_table(training_curve(40 if trained else 1), run / "training_curve.tsv", "training_curve")
    structure = {"kind": "topk", "n_nodes": 2944, "channels": 736, "k": 36}
    figures = {"fvu": 0.0831, "fvu_without_layer_norm": 0.11, "fvu_channel_mean": 0.09, "l0": 35.2}
    figures |= {"dead_fraction": 0.041, "density_median": 0.012}
    write_json(run / "evaluation.json", {**structure, **figures})
    write_json(run / "checkpoint" / "config.json", {**structure, "seed": 0})
    for name in ("meme", "tomtom"):
        (run / name).mkdir()
    if recovery:
        values = (0.83, 0.91, 0.74, 1.5, 12, 40, 0.65)
        write_json(run / "recovery.json", dict(zip(RECOVERY, values, strict=True)))
    return run


def _motifs_and_matches(nodes: list[int], rng: np.random.Generator) -> tuple[pd.DataFrame, pd.DataFrame]:
    motifs, matches = [], []
    for rank, node in enumerate(nodes, 1):
        if rank % 5 == 0:
            continue
        significant = rank % 3 != 0
        motifs.append((rank, node, 1, -80.0 / rank if significant else 0.5, 200 + rank, significant))
        motifs.append((rank, node, 2, 1.5, 12, False))
        if rank % 4 != 3:
            name = _NAMES[rank % len(_NAMES)]
            matches.append((f"{rank}_n{node}_m1", f"MA{rank:04}.1", name, 1e-9 * rank, 1e-6 * rank))
            matches.append((f"{rank}_n{node}_m2", "MA9999.1", "weak", 0.01, float(rng.uniform(0.1, 0.4))))
    return motif_rows(motifs), match_rows(matches)


def _umap(nodes: list[int], rng: np.random.Generator) -> pd.DataFrame:
    centres = rng.normal(0, 6, (4, 2))
    cluster = rng.integers(0, 4, len(nodes))
    first, second = (centres[cluster] + rng.normal(0, 1, (len(nodes), 2)) for _ in range(2))
    columns = {"rank": range(1, len(nodes) + 1), "node": nodes, "cluster": cluster}
    columns |= {"umap1": first[:, 0], "umap2": first[:, 1], "coact1": second[:, 0], "coact2": second[:, 1]}
    return fill(pd.DataFrame(columns), "umap")


def _overlaps(nodes: list[int]) -> pd.DataFrame:
    ranks = np.arange(1, len(nodes) + 1)
    columns = {
        "rank": ranks, "node": nodes, "annotation": "repeats", "class": "SINE/Alu", "n_seqlets": 400,
        "n_overlap": 300, "n_background": 20000, "n_background_overlap": 2000, "odds_ratio": 27.0 / ranks,
        "ci_low": 22.0 / ranks, "ci_high": 33.0 / ranks, "p_value": 1e-9 * ranks, "q_value": 1e-8 * ranks,
    }  # fmt: skip
    return fill(pd.DataFrame(columns), "overlaps")


def training_curve(n_rows: int) -> pd.DataFrame:
    """A falling curve; the first row is the dictionary before any step."""
    step = 250 * np.arange(n_rows)
    fvu = 0.08 + 4.0 * np.exp(-step / 300.0)
    started = step > 0
    columns = {
        "step": step, "positions": 4096 * step, "epoch": step / 5000.0, "learning_rate": 1e-3,
        "train_mse": np.where(started, fvu, np.nan), "train_fvu": np.where(started, fvu * 1.02, np.nan),
        "train_silent_fraction": np.where(started, 0.03, np.nan), "validation_mse": fvu,
        "validation_fvu": fvu, "validation_fvu_without_layer_norm": fvu, "l0": 35.0 + np.exp(-step / 900.0),
        "dead_fraction": 0.04 + 0.5 * np.exp(-step / 2000.0), "density_median": 0.01,
    }  # fmt: skip
    return fill(pd.DataFrame(columns), "training_curve")
