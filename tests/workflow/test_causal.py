"""Nodes tested in the model, in the workflow: what is asked for is planned, made, and in the node table."""

import shutil
from pathlib import Path

import helpers
import numpy as np
import pytest

from biosae import artefacts

pytestmark = pytest.mark.workflow

UNIT = Path(__file__).resolve().parents[1] / "unit"
RUN = "results/tower.3/topk-x2-k2-lr0.003-s0"
TESTED = ["ablation.tsv", "perturbation.tsv", "variants.tsv"]
TARGETS = [*(f"{RUN}/{name}" for name in TESTED), "results/tower.3/fidelity.tsv"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A project that was taken to the causal tables; its config and the result of that run."""
    folder = tmp_path_factory.mktemp("causal") / 'it\'s a "test"'
    folder.mkdir()
    helpers.copy_project(folder)
    shutil.copy(UNIT / "helpers_hosts.py", folder / "my_models.py")
    rng = np.random.default_rng(0)
    letters = "".join(rng.choice(list("ACGT"), 12_000))
    (folder / "genome.fa").write_text(f">chr1\n{letters}\n")
    (folder / "train.bed").write_text("".join(f"chr1\t{at}\t{at + 1024}\n" for at in range(0, 9216, 1024)))
    (folder / "valid.bed").write_text("chr1\t9216\t10240\n")
    (folder / "targets.txt").write_text("identifier\tdescription\nE1\tDNASE:a\nE2\tRNA:b\n")
    alt = "A" if letters[2000] != "A" else "C"
    (folder / "v.vcf").write_text(f"#CHROM\tPOS\tID\tREF\tALT\nchr1\t2001\tv\t{letters[2000]}\t{alt}\n")
    config = {
        "layer": {"name": "tower.3", "channels": 6, "stride_bp": 4, "left_bp": 11, "right_bp": 15},
        "genome": "genome.fa",
        "model": {
            "factory": "my_models:tiny",
            "weights": "random:1",
            "device": "cpu",
            "targets": "targets.txt",
        },
        "extract": {"train": "train.bed", "validation": "valid.bed", "context_bp": 256, "dtype": "float32"},
        "sae": {
            "grid": {"expansion": [2], "k": [2], "learning_rate": [0.003]},
            "max_positions": 20_000,
            "evaluations": 2,
        },
        "baselines": ["random"],
        "select": {"min_nonzero": 20, "min_above_half": 10},
        "seqlets": {"per_node": 50, "background_windows": 500},
        "matching": {"database": "config/motifs/jaspar2026_vertebrates_256.meme"},
        "fidelity": {"windows": 4, "bootstraps": 20},
        "ablation": {"windows": 3, "controls": 2, "doses": [2.0], "chunks": 2, "bootstraps": 20},
        "perturbation": {"windows": 2, "draws": 2, "bootstraps": 20},
        "variants": {"vcf": "v.vcf"},
    }
    return folder, config, helpers.snakemake(folder, config, *TARGETS)


def read(folder, name):
    """A table of the run."""
    return artefacts.read_table(folder / RUN / f"{name}.tsv", name)


def test_what_is_asked_for_is_made(made):
    folder, _, done = made
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-4000:]
    kept = len(read(folder, "selected_nodes"))
    groups = read(folder, "ablation")
    assert len(groups) == 2 * kept and set(groups["group"]) == {"DNASE", "RNA"}
    assert set(read(folder, "ablation_doses")["dose"]) == {0.0, 2.0}
    assert set(read(folder, "ablation_tracks")["identifier"]) == {"E1", "E2"}
    assert set(read(folder, "perturbation")["node"]) <= set(groups["node"])
    assert read(folder, "variants")["id"].tolist() == ["v"]
    runs = artefacts.read_table(folder / "results/tower.3/fidelity.tsv", "fidelity_runs")
    assert set(runs["run"]) == {Path(RUN).name, "random-x2-k2-s0"} and "(all)" in set(runs["group"])
    assert (folder / "results/tower.3/figures/fidelity.png").stat().st_size > 0
    assert not (folder / RUN / "ablation").exists()  # parts go when they are joined


def test_activations_are_those_of_the_store(made):
    """The context of the extraction is fed to the whole passes too, so the nodes read what they read."""
    folder, _, _ = made
    bed = artefacts.read_table(folder / RUN / "ablation.tsv", "ablation")
    assert (bed["read_activation"] > 0).all()


def test_sections_plan_their_rules_and_no_others(made):
    folder, config, _ = made
    names = {"measure_fidelity", "ablate_nodes", "join_ablation", "perturb_seqlets", "score_variants"}
    without = {key: value for key, value in config.items() if key not in ("ablation", "perturbation")}
    fresh = {**without, "results": "elsewhere"}
    planned = helpers.planned(helpers.snakemake(folder, fresh, "-n"))
    assert names & set(planned) == {"measure_fidelity", "score_variants"}
    assert planned["measure_fidelity"] == 2 and planned["score_variants"] == 1
    whole = helpers.planned(helpers.snakemake(folder, {**config, "results": "elsewhere"}, "-n"))
    assert names <= set(whole) and whole["ablate_nodes"] == 2


def test_a_changed_setting_ablates_again_and_the_node_table_follows(made):
    folder, config, _ = made
    changed = {**config, "ablation": {**config["ablation"], "controls": 3}}
    targets = [f"{RUN}/{name}" for name in TESTED]
    assert helpers.planned(helpers.snakemake(folder, config, "-n", *targets)) == {}
    planned = helpers.planned(helpers.snakemake(folder, changed, "-n", *targets))
    assert planned == {"ablate_nodes": 2, "join_ablation": 1}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": None, "extract": None}, "Nodes cannot be tested in the model"),
        ({"variants": {"vcf": "gone.vcf"}}, "variants.vcf: no such file: gone.vcf"),
        ({"ablation": {"dose": [1]}}, "'dose' was unexpected"),
    ],
)
def test_faults_of_the_config_are_said_before_the_plan(made, change, message):
    folder, config, _ = made
    activations = {
        "train": "results/tower.3/activations/train",
        "validation": "results/tower.3/activations/validation",
    }
    given = {**config, **change} | ({"activations": activations} if "model" in change else {})
    done = helpers.snakemake(folder, given, "-n")
    assert done.returncode and message in done.stdout + done.stderr


def test_a_table_of_tracks_of_another_length_stops_before_the_first_node(made):
    folder, config, _ = made
    (folder / "short.txt").write_text("identifier\tdescription\nE1\tDNASE:a\n")
    changed = {**config, "model": {**config["model"], "targets": "short.txt"}, "ablation": {}}
    done = helpers.snakemake(folder, changed, f"{RUN}/ablation.tsv")
    assert "1 rows" in done.stdout + done.stderr and "one for each output track" in done.stdout + done.stderr


def test_a_node_that_was_not_kept_is_named(made):
    folder, config, _ = made
    changed = {**config, "ablation": {"nodes": [0, 4000]}}
    done = helpers.snakemake(folder, changed, f"{RUN}/ablation.tsv")
    assert "nodes asked for were not kept" in done.stdout + done.stderr
