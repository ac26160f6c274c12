"""The scorer on whole small runs: true directions, random ones, raw channels, and what is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from helpers_synthetic import DATABASE, small

from biosae.activations import ActivationStore
from biosae.artefacts import conform, load_schema, read_table, write_table, write_text
from biosae.checkpoint import save_checkpoint
from biosae.errors import InputError
from biosae.model import SAE, RawChannels
from biosae.motifs.formats import read_meme, write_meme
from biosae.synthetic import recovery, scoring
from biosae.synthetic.simulate import simulate

PROGRAM = Path(__file__).resolve().parents[2] / "scripts" / "score_recovery.py"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("scored") / "set"
    clean = {"n_channels": 16, "noise": 0.02, "repeat_gain": 1.0, "low_complexity_gain": 1.0}
    simulate(small(**clean), DATABASE, folder)
    return folder


def oracle(data: Path) -> SAE:
    """A dictionary whose nodes look for the detectors one by one: every direction is the true one."""
    network = json.loads((data / "network.json").read_text())
    mixing = torch.tensor([row for row, d in zip(network["mixing"], network["detectors"], strict=True)])
    scored = sum(d["kind"] != "distractor" for d in network["detectors"])
    model = SAE(16, scored, 2, layer_norm=False, shift=network["means"], scale=network["scales"])
    with torch.no_grad():
        model.encoder.copy_(mixing[:scored])
        model.decoder.copy_(mixing[:scored])
        model.latent_bias.fill_(-0.3)
    return model


def write_run(folder: Path, model: object, data: Path, motifs: list, nodes: int) -> Path:
    """The artefacts of a run that scoring reads; seqlets are the strongest training positions of a node."""
    save_checkpoint(model, folder / "checkpoint")
    ranks = pd.DataFrame({"rank": range(1, nodes + 1), "node": range(nodes)})
    write_table(_filled(ranks, "selected_nodes"), folder / "selected_nodes.tsv", "selected_nodes")
    store = ActivationStore.open(data / "activations" / "train", pad_bp=400)
    rows, node, value = recovery.encode_all(model, store)
    lines = []
    for k in range(nodes):
        own = np.flatnonzero(node == k)
        for rank, i in enumerate(own[np.argsort(-value[own], kind="stable")][:15], start=1):
            sequence, position = (int(part[0]) for part in store.locate(rows[i : i + 1]))
            start = int(store.intervals["start"][sequence]) + 4 * position - 9
            chrom = store.intervals["chrom"][sequence]
            lines.append(f"{chrom}\t{start}\t{start + 22}\t{k + 1}_n{k}\t0\t+\t{value[i]}\t{rank}\n")
    write_text(folder / "seqlets" / "seqlets.bed.gz", "".join(lines))
    ids = [f"{i + 1}_n{i}_m1" for i in range(len(motifs))]
    found = pd.DataFrame(
        {"motif_id": ids, "rank": range(1, len(ids) + 1), "node": range(len(ids)), "motif": 1}
    )
    write_table(_filled(found, "motifs"), folder / "motifs.tsv", "motifs")
    named = [type(m)(i, i, m.matrix, m.n_sites) for i, m in zip(ids, motifs, strict=True)]
    write_meme(folder / "motifs.meme", named)
    return folder


def _filled(table: pd.DataFrame, schema: str) -> pd.DataFrame:
    """Columns that scoring does not read, filled with values that their schema allows."""
    table = table.assign(histogram=",".join("0" * 32)) if schema == "selected_nodes" else table
    plain = {"integer": 1, "number": 0.5, "boolean": True, "string": "A"}
    for name, rule in load_schema(schema)["properties"].items():
        if name not in table:
            kind = rule["type"] if isinstance(rule["type"], str) else rule["type"][0]
            value = min(plain[kind], rule["maximum"]) if "maximum" in rule else plain[kind]
            table[name] = rule["enum"][0] if "enum" in rule else value
    return conform(table, schema)


@pytest.fixture(scope="module")
def scores(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[dict, pd.DataFrame]]:
    """Scores of the oracle (truth motifs found), raw channels, and a random dictionary (wrong motifs)."""
    folder = tmp_path_factory.mktemp("runs")
    network = json.loads((data / "network.json").read_text())
    planted = read_meme(data / "truth" / "motifs.meme")
    wrong = [m for m in read_meme(DATABASE) if m.id not in {p.id for p in planted}][:4]
    random = SAE(16, 17, 2, layer_norm=False, shift=network["means"], scale=network["scales"], seed=5)
    raw = RawChannels(16, network["means"], network["scales"])
    store = data / "activations" / "train"
    runs = {
        "oracle": write_run(folder / "oracle", oracle(data), data, planted, 17),
        "random": write_run(folder / "random", random, data, wrong, 17),
        "raw": write_run(folder / "raw", raw, data, [], 32),
    }
    return {name: recovery.score_run(run, data / "truth", store, pad_bp=400) for name, run in runs.items()}


def test_true_directions_score_well_and_random_ones_badly(scores: dict) -> None:
    best, random, raw = (scores[name][0] for name in ("oracle", "random", "raw"))
    assert best["assignment_f1"] > 0.6
    assert best["position_error_bp"] < 4
    assert best["motif_recall"] == best["motif_precision"] == 1
    assert best["n_detectors"] == 17
    assert best["n_planted_motifs"] == 4
    assert random["assignment_f1"] < 0.6 * best["assignment_f1"]
    assert raw["assignment_f1"] < 0.8 * best["assignment_f1"]
    assert random["position_error_bp"] > 20
    assert best["detectors_found"] > 0.4 > random["detectors_found"]
    assert best["detectors_found_best"] >= best["detectors_found"]
    assert raw["merging"] > best["merging"]
    assert raw["motif_precision"] is None
    assert random["motif_precision"] <= 0.25


def test_a_wrong_order_of_nodes_changes_no_figure_but_wrong_positions_do(
    data: Path, scores: dict, tmp_path: Path
) -> None:
    model = oracle(data)
    order = torch.tensor(np.random.default_rng(0).permutation(17))
    with torch.no_grad():
        model.encoder.copy_(model.encoder[order].clone())
        model.decoder.copy_(model.decoder[order].clone())
    run = write_run(tmp_path / "permuted", model, data, [], 17)
    figures, table, _ = recovery.score_run(run, data / "truth", data / "activations" / "train", pad_bp=400)
    best = scores["oracle"][0]
    assert figures["assignment_f1"] == pytest.approx(best["assignment_f1"])
    assert figures["position_error_bp"] == best["position_error_bp"]
    assert table["node"].tolist() != scores["oracle"][1]["node"].tolist()


def test_an_empty_selection_scores_zero(data: Path, tmp_path: Path) -> None:
    run = write_run(tmp_path / "empty", oracle(data), data, [], 0)
    figures, table, loci = recovery.score_run(run, data / "truth", data / "activations" / "train", pad_bp=400)
    assert figures["assignment_f1"] == figures["motif_recall"] == 0
    assert figures["position_error_bp"] == figures["position_error_cap_bp"] == 8_800
    assert figures["detectors_found"] == figures["detectors_found_best"] == figures["splitting"] == 0
    assert figures["merging"] is figures["absorption"] is None
    assert loci["false_negative"].sum() == table["n_fires"].sum()
    recovery.write_recovery(figures, table, loci, run / "recovery.json", {})
    assert read_table(run / "recovery_detectors.tsv", "recovery_detectors")["node"].isna().all()


def test_another_store_and_a_wrong_padding_are_refused(data: Path, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", oracle(data), data, [], 17)
    with pytest.raises(InputError, match="not those that the truth belongs to"):
        recovery.score_run(run, data / "truth", data / "activations" / "train", pad_bp=0)
    with pytest.raises(InputError, match=r"truth is incomplete.*detectors\.tsv"):
        recovery.score_run(run, tmp_path, data / "activations" / "train", pad_bp=400)
    few = RawChannels(9)
    save_checkpoint(few, run / "checkpoint")
    with pytest.raises(InputError, match="checkpoint"):
        recovery.score_run(run, data / "truth", data / "activations" / "train", pad_bp=400)


def test_program_writes_figures_and_table(data: Path, tmp_path: Path) -> None:
    run = write_run(tmp_path / "it's a run", oracle(data), data, [], 17)
    command = [sys.executable, PROGRAM, "--run", run, "--truth", data / "truth", "--pad-bp", "400"]
    command += ["--activations", data / "activations" / "validation", "--output", run / "recovery.json"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    figures = json.loads((run / "recovery.json").read_text())
    wanted = {"motif_recall", "motif_precision", "assignment_f1", "position_error_bp", "n_planted_motifs"}
    assert wanted | {"n_detectors"} <= figures.keys()
    assert f"assignment_f1\t{figures['assignment_f1']:.3f}" in shown
    loci = read_table(run / "recovery_loci.tsv", "recovery_loci")
    truth = scoring.load_truth(data / "truth")
    known = truth.sequences[truth.sequences["split"] == "validation"]
    assert set(loci["sequence"]) <= {f"{s.chrom}:{s.start}-{s.end}" for s in known.itertuples()}
    table = read_table(run / "recovery_detectors.tsv", "recovery_detectors")
    totals = loci.groupby("detector")[["true_positive", "false_positive", "false_negative"]].sum()
    totals = totals.reindex(table["detector"], fill_value=0)
    doubled = 2 * totals["true_positive"]
    f1 = doubled / (doubled + totals["false_positive"] + totals["false_negative"]).clip(lower=1)
    assert f1.to_numpy() == pytest.approx(table["f1"].to_numpy(), abs=1e-6)
    assert table["f1"].mean() == pytest.approx(figures["assignment_f1"])
    assert str(tmp_path) not in (run / "recovery.json").read_text()
