"""The scorer on tables small enough to check by hand, and on a whole small run."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from helpers_synthetic import DATABASE, small
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from biosae.activations import ActivationStore
from biosae.artefacts import conform, load_schema, read_table, write_table, write_text
from biosae.checkpoint import save_checkpoint
from biosae.errors import InputError
from biosae.model import SAE, RawChannels
from biosae.motifs.formats import read_meme, write_meme
from biosae.synthetic import recovery, scoring
from biosae.synthetic.simulate import simulate

PROGRAM = Path(__file__).resolve().parents[2] / "scripts" / "score_recovery.py"
PLANTED_AND_REPEAT = {"A": "motif", "B": "motif", "R": "repeat"}


def truth_of(firing: list[list[int]], rows: int) -> csr_matrix:
    """(rows, detectors) bool from the rows on which each detector fires."""
    dense = np.zeros((rows, len(firing)), dtype=bool)
    for detector, own in enumerate(firing):
        dense[own, detector] = True
    return csr_matrix(dense)


def codes_of(nodes: dict[int, dict[int, float]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(rows, nodes, values) from node -> row -> activation."""
    flat = [(row, node, value) for node, own in nodes.items() for row, value in own.items()]
    rows, numbers, values = zip(*flat, strict=True)
    return np.array(rows), np.array(numbers), np.array(values, dtype=np.float32)


def slow_f1(active: set[int], fires: set[int]) -> float:
    return 2 * len(active & fires) / (len(active) + len(fires)) if active or fires else 0.0


def test_perfect_nodes_score_one_whatever_their_order() -> None:
    truth = truth_of([[1, 5], [2, 9], [7]], 12)
    codes = codes_of({8: {2: 1.0, 9: 3.0}, 3: {7: 0.5}, 5: {5: 2.0, 1: 1.0}})
    f1, threshold = scoring.best_f1(*codes, np.array([3, 5, 8]), truth)
    chosen = scoring.assign(f1)
    assert chosen.tolist() == [1, 2, 0]  # detector 0 by node 5, detector 1 by node 8, detector 2 by node 3
    assert f1[chosen, [0, 1, 2]].tolist() == [1.0, 1.0, 1.0]
    assert threshold[chosen, [0, 1, 2]].tolist() == [1.0, 1.0, 0.5]


def test_threshold_cuts_off_what_is_weak() -> None:
    """The two strongest of node 0's four rows are the detector's: F1 is 1 at 3, 2/3 without threshold."""
    codes = codes_of({0: {0: 4.0, 1: 3.0, 2: 2.0, 3: 1.0}})
    f1, threshold = scoring.best_f1(*codes, np.array([0]), truth_of([[0, 1], [3]], 4))
    assert f1[0].tolist() == [1.0, pytest.approx(2 / 5)]
    assert threshold[0].tolist() == [3.0, 1.0]


def test_equal_activations_go_together() -> None:
    """A threshold cannot part rows of one value: the single hit among four equal ones gives 2 / (4 + 1)."""
    codes = codes_of({0: {0: 1.0, 1: 1.0, 2: 1.0, 3: 1.0}})
    f1, _ = scoring.best_f1(*codes, np.array([0]), truth_of([[0]], 4))
    assert f1[0, 0] == pytest.approx(2 / 5)


def test_one_to_one_counts_a_node_once() -> None:
    """One node serves two detectors best; one-to-one leaves the second the next best, or nothing."""
    f1 = np.array([[0.9, 0.8], [0.4, 0.0]])
    chosen = scoring.assign(f1)
    assert chosen.tolist() == [1, 0]  # 0.4 + 0.8 beats 0.9 + 0.0
    assert scoring.assign(np.array([[0.9, 0.8]])).tolist() == [0, -1]
    assert scoring.assign(np.array([[0.9, 0.0], [0.0, 0.0]])).tolist() == [0, -1]  # no overlap, no assignment
    assert scoring.assign(np.empty((0, 2))).tolist() == [-1, -1]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_best_f1_and_assignment_equal_slow_references(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows, detectors, n_nodes = 20, 3, 4
    truth = rng.random((rows, detectors)) < 0.3
    values = np.round(rng.random((rows, n_nodes)) * 4) * (rng.random((rows, n_nodes)) < 0.7)
    row, node = np.nonzero(values)
    order = rng.permutation(len(row))
    row, node = row[order], node[order]
    kept = np.array([0, 2, 3])
    f1, threshold = scoring.best_f1(row, node, values[row, node], kept, csr_matrix(truth))
    for i, d in itertools.product(range(len(kept)), range(detectors)):
        fires = set(np.flatnonzero(truth[:, d]))
        levels = sorted(set(values[:, kept[i]]) - {0})
        tried = {level: slow_f1(set(np.flatnonzero(values[:, kept[i]] >= level)), fires) for level in levels}
        assert f1[i, d] == pytest.approx(max(tried.values(), default=0))
        if tried:
            assert tried[threshold[i, d]] == pytest.approx(f1[i, d])
    chosen = scoring.assign(f1)
    total = sum(f1[node, d] for d, node in enumerate(chosen) if node >= 0)
    best = max(sum(f1[p[d], d] for d in range(detectors)) for p in itertools.permutations(range(len(kept))))
    assert total == pytest.approx(best)


def test_site_distance() -> None:
    seqlets = pd.DataFrame({"chrom": ["a", "a", "a", "b", "c"], "start": [0, 95, 900, 0, 0]})
    seqlets["end"] = seqlets["start"] + 10
    sites = pd.DataFrame({"chrom": ["a", "a", "b"], "centre": [104.0, 8.0, 5.0]})
    distance = scoring.site_distance(seqlets, sites, cap_bp=500)
    assert distance.tolist() == [3.0, 4.0, 500.0, 0.0, 500.0]  # 905 - 104 is capped; c has no site


def test_position_errors_take_the_strongest_seqlets_of_the_assigned_node() -> None:
    detectors = pd.DataFrame({"width": [10, 6], "motif": ["A", "R"], "kind": ["motif", "repeat"]})
    detections = pd.DataFrame(
        {
            "detector": [0, 0, 1],
            "chrom": "a",
            "site_start": [100, 300, 50],
            "sequence_start": 0,
            "position": 0,
        }
    )
    sequences = pd.DataFrame({"chrom": ["a"], "start": [0], "end": [1000], "split": ["train"]})
    truth = scoring.Truth(detectors, detections, sequences)
    # detector 0 has sites centred on 105 and 305; node 4's three seqlets are centred on 106, 308 and 700
    seqlets = pd.DataFrame({"chrom": "a", "start": [96, 298, 690], "end": [116, 318, 710], "node": 4})
    seqlets["seqlet_rank"] = [1, 2, 3]
    assert scoring.position_errors(truth, seqlets, np.array([4, -1])).tolist() == [3.0, 1000.0]
    late = seqlets.assign(seqlet_rank=[1, 2, scoring.TOP_SEQLETS + 1])
    assert scoring.position_errors(truth, late, np.array([4, 9])).tolist() == [2.0, 1000.0]


def matches_of(*rows: tuple[str, str, float, float]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["query", "target", "p_value", "q_value"])


def test_a_motif_names_the_truth_motif_of_lowest_p() -> None:
    matches = matches_of(
        ("1_n0_m1", "database", 1e-9, 1e-7),  # not a truth motif: says nothing
        ("1_n0_m1", "B", 1e-5, 1e-3),
        ("1_n0_m1", "A", 1e-8, 1e-6),
        ("2_n1_m1", "B", 1e-3, 0.05),  # q must be below 0.05
        ("3_n2_m1", "R", 1e-6, 1e-4),
    )
    assert scoring.name_motifs(matches, PLANTED_AND_REPEAT) == {"1_n0_m1": "A", "3_n2_m1": "R"}


def test_motif_recall_counts_planted_and_precision_counts_every_truth() -> None:
    named = {"x": "A", "y": "A", "z": "R", "not significant": "B"}
    figures = scoring.motif_figures(["x", "y", "z", "w"], named, PLANTED_AND_REPEAT)
    assert figures["motif_recall"] == 1 / 2
    assert figures["motif_precision"] == 3 / 4
    assert figures["n_planted_motifs"] == 2
    assert figures["planted_motifs_missed"] == ["B"]
    assert figures["other_truth_found"] == ["R"]


def test_no_significant_motif_is_recall_zero_and_no_precision() -> None:
    figures = scoring.motif_figures([], {}, PLANTED_AND_REPEAT)
    assert figures["motif_recall"] == 0
    assert figures["motif_precision"] is None


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
    figures, table = recovery.score_run(run, data / "truth", data / "activations" / "train", pad_bp=400)
    best = scores["oracle"][0]
    assert figures["assignment_f1"] == pytest.approx(best["assignment_f1"])
    assert figures["position_error_bp"] == best["position_error_bp"]
    assert table["node"].tolist() != scores["oracle"][1]["node"].tolist()


def test_an_empty_selection_scores_zero(data: Path, tmp_path: Path) -> None:
    run = write_run(tmp_path / "empty", oracle(data), data, [], 0)
    figures, table = recovery.score_run(run, data / "truth", data / "activations" / "train", pad_bp=400)
    assert figures["assignment_f1"] == figures["motif_recall"] == 0
    assert figures["position_error_bp"] == figures["position_error_cap_bp"] == 8_800
    recovery.write_recovery(figures, table, run / "recovery.json", {})
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
    table = read_table(run / "recovery_detectors.tsv", "recovery_detectors")
    assert table["f1"].mean() == pytest.approx(figures["assignment_f1"])
    assert str(tmp_path) not in (run / "recovery.json").read_text()
