"""Made-up runs with held-out evidence, for the scoreboard: what of a run hits is planted or chance."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from helpers_page import cluster_rows, fill, manifest, match_rows, motif_rows, nodes_from, null_count_rows
from helpers_page import selected as selected_rows

from biosae.artefacts import conform, load_schema, write_json, write_table
from biosae.motifs.calibration import Null, calibrate
from biosae.motifs.collection import with_q_values
from biosae.motifs.exact_test import log10_p_in_strata
from biosae.scoreboard.run_figures import RunTables, sorted_motifs

KINDS = ("genome", "shuffled")
SEQLETS, CONTROLS, STRATA = 40, 160, 3  # of each motif
SETS = 60  # null sets of each kind
SEQUENCES = [f"chr1:{at}-{at + 1000}" for at in range(0, 40_000, 1000)]


def write_empty_scoreboard(folder: Path) -> Path:
    """scoreboard.tsv without a row."""
    table = pd.DataFrame(columns=list(load_schema("scoreboard")["properties"]))
    write_table(conform(table, "scoreboard"), folder / "scoreboard.tsv", "scoreboard")
    return folder / "scoreboard.tsv"


def evidence_of(motif_id: str, rate: float, rng: np.random.Generator) -> pd.DataFrame:
    """Rows of held_out: seqlets hit at ``rate``, controls at 0.1; the loci lie on 4 Mb."""
    start = rng.choice(4_000_000, SEQLETS, replace=False)
    stratum = rng.integers(STRATA, size=SEQLETS)
    seqlets = pd.DataFrame({"chrom": "chr1", "start": start, "stratum": stratum, "n": 1})
    seqlets["n_hit"] = (rng.random(SEQLETS) < rate).astype(int)
    n = rng.multinomial(CONTROLS, [1 / STRATA] * STRATA)
    controls = pd.DataFrame({"stratum": range(STRATA), "n": n, "n_hit": rng.binomial(n, 0.1)})
    controls = controls.assign(chrom=None, start=pd.NA)
    parts = [seqlets.assign(population="seqlets"), controls.assign(population="controls")]
    return pd.concat([conform(p.assign(motif_id=motif_id), "held_out") for p in parts], ignore_index=True)


def log10_p_of(evidence: pd.DataFrame, weight: dict[int, int] | None = None, locus_bp: int = 1) -> float:
    """The test from single sequences, each locus as often as its weight says: slow and plain."""
    columns = {"seqlets": ([], []), "controls": ([], [])}
    for row in evidence.itertuples():
        times = 1
        if row.population == "seqlets" and weight is not None:
            times = weight[row.start // locus_bp]
        hit, stratum = columns[row.population]
        hit += ([True] * row.n_hit + [False] * (row.n - row.n_hit)) * times
        stratum += [row.stratum] * (row.n * times)
    (hit, stratum), (control_hit, control_stratum) = columns.values()
    return log10_p_in_strata(
        np.array(hit, bool), np.array(stratum, int), np.array(control_hit, bool), np.array(control_stratum)
    )


def judged(motifs: pd.DataFrame, log10_p: list[float]) -> pd.DataFrame:
    """Motif rows with these p, and E, q and significance that follow."""
    per_node = motifs.groupby("node")["node"].transform("size")
    p = np.array(log10_p, dtype=float)
    log10_e = p + np.log10(per_node)
    told = {"log10_p": p, "p_value": 10.0**p, "log10_e": log10_e, "e_value": 10.0**log10_e}
    return with_q_values(motifs.assign(**told), 0.05)


def null_sets(rng: np.random.Generator) -> list[Null]:
    """Sets of each kind with one motif each, E of 1e-2 at the best, no match."""
    nulls = []
    for kind in KINDS:
        rows = [(i + 1, i, 1, float(rng.uniform(-2, 1)), 50, False) for i in range(SETS)]
        nulls.append(Null(kind, list(range(SETS)), motif_rows(rows), match_rows([])))
    return nulls


def made_tables(n_nodes: int, planted: float, seed: int) -> dict:
    """All tables of a run: each node has two motifs; the first is planted in a share of nodes, and named."""
    rng = np.random.default_rng(seed)
    nodes = list(range(100, 100 + n_nodes))
    rows, rates, matches = [], [], []
    for rank, node in enumerate(nodes, 1):
        real = rng.random() < planted
        rates += [rng.choice([0.3, 0.7]) if real else 0.1, 0.1]
        rows += [(rank, node, 1, 0.0, int(rng.integers(30, 60)), False), (rank, node, 2, 0.0, 40, False)]
        if real:
            for target in rng.choice(9, 2, replace=False):
                p_value = float(rng.choice([1e-6, 1e-5]))
                matches.append((f"{rank}_n{node}_m1", f"MA{target}", f"T{target}", p_value, 1e-3))
            matches.append((f"{rank}_n{node}_m2", "MA99", "T99", 1e-7, 1e-4))
    motifs = motif_rows(rows)
    pairs = zip(motifs["motif_id"], rates, strict=True)
    parts = [evidence_of(name, rate, rng) for name, rate in pairs]
    empty = pd.DataFrame(columns=list(load_schema("held_out")["properties"]))
    evidence = pd.concat(parts, ignore_index=True) if parts else conform(empty, "held_out")
    motifs = judged(motifs, [log10_p_of(part) for part in parts])
    clusters = cluster_rows(motifs).assign(cluster=lambda table: 1 + table["node"] % 7)
    nulls = null_sets(rng)
    calibration, matches = calibrate(nodes, motifs, match_rows(matches), nulls, 0.05)
    return {
        "nodes": nodes, "motifs": motifs, "matches": matches, "clusters": conform(clusters, "motif_clusters"),
        "calibration": calibration, "nulls": nulls, "evidence": evidence,
    }  # fmt: skip


def node_table(tables: dict) -> pd.DataFrame:
    """nodes.tsv of these tables."""
    nodes = tables["nodes"]
    names = ("motifs", "matches", "calibration", "clusters")
    return nodes_from(selected_rows(nodes), manifest(nodes), *(tables[name] for name in names))


def run_tables(tables: dict) -> RunTables:
    """What ``load_tables`` reads of a run that was written."""
    nodes = np.array(tables["nodes"])
    return RunTables(
        nodes,
        sorted_motifs(tables["motifs"], nodes),
        tables["matches"],
        dict(zip(tables["clusters"]["motif_id"], tables["clusters"]["cluster"], strict=True)),
        [np.sort(null.motifs["log10_e"].to_numpy("float64")) for null in tables["nulls"]],
        tables["evidence"],
    )


def write_run(
    folder: Path, name: str, role: str, tables: dict, f1: float | None = None, held_out: bool = True
) -> Path:
    """Write ``folder``/conv1d_2/``name`` for score_runs and summarise_runs; ``f1`` of its detectors."""
    run = folder / "conv1d_2" / name
    write_table(manifest(tables["nodes"]), run / "seqlets" / "manifest.tsv", "seqlet_manifest")
    write_table(node_table(tables), run / "nodes.tsv", "nodes")
    write_table(null_count_rows(len(tables["nodes"])), run / "null_counts.tsv", "null_counts")
    motifs, evidence = tables["motifs"], tables["evidence"]
    if not held_out:
        motifs, evidence = motifs.assign(log10_p=None, log10_e=None, tool_log10_e=-9.0), evidence.iloc[:0]
    for table, file, schema in (
        (conform(motifs, "motifs"), "motifs.tsv", "motifs"),
        (evidence, "held_out.tsv.gz", "held_out"),
        (tables["matches"], "matches.tsv", "matches"),
        (tables["clusters"], "motif_clusters.tsv", "motif_clusters"),
    ):
        write_table(table, run / file, schema)
    for null in tables["nulls"]:
        status = fill(pd.DataFrame({"rank": range(1, SETS + 1), "node": null.sets}), "motif_status")
        write_table(status, run / "nulls" / null.kind / "status.tsv", "motif_status")
        write_table(null.motifs, run / "nulls" / null.kind / "motifs.tsv", "motifs")
    structure = {"kind": "topk", "n_nodes": 300, "channels": 24, "k": 3}
    figures = dict.fromkeys(("fvu", "fvu_without_layer_norm", "fvu_channel_mean", "density_median"), 0.2)
    write_json(run / "evaluation.json", {**structure, **figures, "l0": 3.0, "dead_fraction": 0.0})
    write_json(run / "checkpoint" / "config.json", {**structure, "role": role})
    if f1 is not None:
        _write_recovery(run, f1)
    return run


def _write_recovery(run: Path, f1: float) -> None:
    """Twelve detectors of about this F1 and twelve planted motifs, of which a share ``f1`` is found."""
    rng = np.random.default_rng(12)
    rows = []
    for detector in range(12):
        for sequence in SEQUENCES:
            n = int(rng.integers(1, 9))
            true = int(rng.binomial(n, f1))
            rows.append((detector, sequence, true, n - true, n - true))
    loci = pd.DataFrame(rows, columns=list(load_schema("recovery_loci")["properties"]))
    write_table(loci, run / "recovery_loci.tsv", "recovery_loci")
    total = loci.groupby("detector")[["true_positive", "false_positive", "false_negative"]].sum()
    true, wrong = total["true_positive"], total["false_positive"] + total["false_negative"]
    own = 2 * true / (2 * true + wrong)
    names = [f"MA{i}" for i in range(12)]
    n_found = round(12 * f1)
    score = {
        "motif_recall": n_found / 12, "motif_precision": f1, "assignment_f1": float(own.mean()),
        "position_error_bp": 1.0, "n_planted_motifs": 12, "n_detectors": 12,
        "detectors_found": float((own >= 0.7).mean()), "n_significant_motifs": 40,
        "planted_motifs_found": names[:n_found], "planted_motifs_missed": names[n_found:],
    }  # fmt: skip
    write_json(run / "recovery.json", score)
