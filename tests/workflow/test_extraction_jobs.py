"""Stores that the workflow makes itself, through a small network of the tests: one job a file."""

import shutil
from pathlib import Path

import helpers
import numpy as np
import pytest

from biosae.activations import ActivationStore

pytestmark = pytest.mark.workflow

UNIT = Path(__file__).resolve().parents[1] / "unit"
STORE = "results/tower.3/activations"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A project whose stores are extracted; its config and the result of that run."""
    folder = tmp_path_factory.mktemp("extraction") / 'it\'s a "test"'
    folder.mkdir()
    helpers.copy_project(folder)
    shutil.copy(UNIT / "helpers_hosts.py", folder / "my_models.py")
    rng = np.random.default_rng(0)
    chromosomes = {"chr1": 6000, "chr2": 3000}
    text = "".join(f">{name}\n{''.join(rng.choice(list('ACGT'), n))}\n" for name, n in chromosomes.items())
    (folder / "genome.fa").write_text(text)
    (folder / "train.bed").write_text("".join(f"chr1\t{at}\t{at + 1024}\n" for at in range(0, 5000, 1024)))
    (folder / "valid.bed").write_text("chr2\t0\t1024\n")
    geometry = {"channels": 6, "stride_bp": 4, "left_bp": 11, "right_bp": 15}
    config = {
        "layer": {"name": "tower.3", **geometry},
        "genome": "genome.fa",
        "model": {
            "factory": "my_models:tiny",
            "weights": "random:1",
            "arguments": {"width": 6},
            "device": "cpu",
        },
        "extract": {
            "train": "train.bed",
            "validation": "valid.bed",
            "files": 3,
            "strand": "both",
            "dtype": "float32",
            "encode": "valid.bed",
        },
        "sae": {"grid": {"expansion": [2], "k": [2], "learning_rate": [0.003]}},
        "baselines": ["raw"],
        "matching": {"database": "config/motifs/jaspar2026_vertebrates_256.meme"},
    }
    return folder, config, helpers.snakemake(folder, config, *files(3, "train", "validation", "encode"))


def files(n, *splits):
    """Targets: the files of these stores."""
    numbers = {"train": range(n)}
    return [f"{STORE}/{split}/activations_{i}.h5" for split in splits for i in numbers.get(split, range(1))]


def test_each_file_is_a_job_and_the_store_is_whole(made):
    folder, _, first = made
    assert first.returncode == 0, first.stderr[-3000:]
    store = ActivationStore.open(folder / STORE / "train", 0, 6, 4, "tower.3")
    assert (store.n_sequences, store.positions, len(store.files)) == (10, 256, 3)
    assert store.intervals["strand"].tolist() == ["+", "-"] * 5
    other = ActivationStore.open(folder / STORE / "validation")
    assert (other.n_sequences, other.intervals["strand"].tolist()) == (1, ["+"])
    log = folder / "results/logs/tower.3/extract_activations/train/activations_2.log"
    assert "of the time outside the model" in log.read_text()


def test_the_plan_knows_every_file_beforehand(made):
    folder, config, _ = made
    counts = helpers.planned(helpers.snakemake(folder, config, "-n"))
    assert "plan_extraction" not in counts and "extract_activations" not in counts
    assert counts["compute_statistics"] == 1


def test_a_file_that_is_missing_is_made_again_alone(made):
    folder, config, _ = made
    path = folder / files(3, "train")[1]
    before = path.read_bytes()
    path.unlink()
    targets = files(3, "train")
    assert helpers.planned(helpers.snakemake(folder, config, "-n", *targets)) == {"extract_activations": 1}
    done = helpers.snakemake(folder, config, *targets)
    assert done.returncode == 0 and path.read_bytes() == before


def test_what_changes_the_numbers_extracts_again(made):
    folder, config, _ = made
    targets = files(3, "train", "validation")
    for change, counts in (
        ({"extract": {**config["extract"], "piece_bp": 512}}, {"extract_activations": 4}),
        (
            {"model": {**config["model"], "weights": "random:2"}},
            {"plan_extraction": 2, "extract_activations": 4},
        ),
        (
            {"extract": {**config["extract"], "subsample_share": 0.5, "subsample_block": 16}},
            {"plan_extraction": 1, "extract_activations": 3},
        ),
    ):
        assert helpers.planned(helpers.snakemake(folder, {**config, **change}, "-n", *targets)) == counts


def test_a_random_model_is_extracted_beside_it(made):
    folder, config, _ = made
    extract = {key: value for key, value in config["extract"].items() if key not in ("encode", "strand")}
    changed = {**config, "extract": {**extract, "random_model_seed": 5}, "baselines": ["random_model"]}
    counts = helpers.planned(helpers.snakemake(folder, changed, "-n"))
    # the random model: three files of training, one of validation; and training anew, whose strand changed
    assert counts["plan_extraction"] == 3 and counts["extract_activations"] == 7


@pytest.mark.parametrize(
    ("section", "change", "message"),
    [
        ("model", {"weights": "some/hub-name"}, "the name of a model on a hub is not taken"),
        ("extract", {"train": "gone.bed"}, "extract.train: no such file: gone.bed"),
        ("extract", {"encode": None}, "seqlets are cut from the forward one"),
    ],
)
def test_faults_of_the_config_are_said_before_the_plan(made, section, change, message):
    folder, config, _ = made
    done = helpers.snakemake(folder, {**config, section: {**config[section], **change}}, "-n")
    assert done.returncode and message in done.stdout + done.stderr


def test_a_fault_of_the_intervals_stops_before_the_model_runs(made):
    folder, config, _ = made
    (folder / "far.bed").write_text("chr2\t2048\t3072\n")
    changed = {**config, "extract": {**config["extract"], "validation": "far.bed", "folder": "elsewhere"}}
    done = helpers.snakemake(folder, changed, "elsewhere/validation/activations_0.h5")
    assert done.returncode and "1 of 1 intervals reach beyond their chromosome, of 3000 bp" in done.stderr
    assert not (folder / "elsewhere/validation/store.json").exists()
