"""From a genome and intervals, through a Borzoi with random weights, to the page of a run, small."""

import json
import re
import shlex
import sys

import helpers
import numpy as np
import pybigtools
import pytest
import yaml

from biosae import artefacts
from biosae.activations import ActivationStore
from biosae.atlas import payload

pytest.importorskip("borzoi_pytorch", reason="needs requirements-borzoi.txt (make test-borzoi installs it)")
pytestmark = [pytest.mark.workflow, pytest.mark.borzoi]

RUN = "results/conv1d_2/topk-x1-k16-lr0.002-s0"
SMALL = {
    "extract": {"train": "train.bed", "validation": "validation.bed", "files": 2, "assembly": "toy"},
    "sae": {
        "grid": {"expansion": [1], "k": [16], "learning_rate": [0.002]},
        "max_positions": 40_000,
        "epochs": 20,
        "batch_rows": 512,
        "evaluations": 2,
    },
    "baselines": [],
    "encode": {"top_per_part": 16},
    "select": {"min_nonzero": 40, "min_above_half": 20, "max_nodes": 12},
    "seqlets": {"per_node": 100, "background_windows": 1000},
    "motifs": {"chunks": 1},
    "nulls": {"kinds": ["shuffled"], "sets": 20},
    "repeats": {"pool_windows": 2000, "background_windows": 500},
    "landscape": {"n_clusters": 3},
    "specificity": {"sample_positions": 4000},
    "tracks": {"top_nodes": 2},
    "scoreboard": {"locus_bp": 4096, "replicates": 20},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A project that went the whole way with ``config/borzoi_random.yaml``, its sizes made small."""
    folder = tmp_path_factory.mktemp("borzoi")
    helpers.copy_project(folder)
    letters = np.random.default_rng(0).choice(list("ACGTacgt"), 40_000)
    (folder / "genome.fa").write_text(f">chr1\n{''.join(letters)}\n")
    (folder / "train.bed").write_text("".join(f"chr1\t{at}\t{at + 4096}\n" for at in range(0, 16_384, 4096)))
    (folder / "validation.bed").write_text("chr1\t20000\t24096\n")
    config = yaml.safe_load((folder / "config" / "borzoi_random.yaml").read_text())
    config |= {**SMALL, "results": "results", "genome": "genome.fa"}
    return folder, config, helpers.snakemake(folder, config)


def test_the_whole_path_ends_in_an_atlas(run):
    folder, _, done = run
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-6000:]
    nodes = artefacts.read_table(folder / RUN / "nodes.tsv", "nodes")
    assert len(nodes) == 12 and nodes["n_seqlets"].min() > 0
    index = payload.decode((folder / RUN / "atlas" / "data" / "index.js").read_text())
    assert (index["layer"], index["n_nodes"]) == ("conv1d_2", 12)
    assert {"causal", "top_tracks"} <= {column["name"] for column in index["columns"]}
    assert (folder / "results" / "summary.html").stat().st_size > 0


def test_random_weights_have_no_causal_node(run):
    folder, _, _ = run
    groups = artefacts.read_table(folder / RUN / "ablation.tsv", "ablation")
    nodes = artefacts.read_table(folder / RUN / "nodes.tsv", "nodes")
    assert len(groups) == 12 and (groups["read_activation"] > 0).all()
    assert nodes["causal"].notna().all() and nodes["causal"].mean() <= 0.05
    assert nodes["top_tracks"].notna().all()
    assert (folder / "results/conv1d_2/fidelity.tsv").is_file()


def test_nothing_is_left_to_do(run):
    folder, config, _ = run
    assert helpers.planned(helpers.snakemake(folder, config, "-n")) == {}


def test_fidelity_stands_beside_that_of_a_pca(run):
    folder, config, _ = run
    done = helpers.snakemake(folder, {**config, "baselines": ["pca"]}, "results/conv1d_2/fidelity.tsv")
    assert done.returncode == 0, done.stderr[-6000:]
    table = artefacts.read_table(folder / "results/conv1d_2/fidelity.tsv", "fidelity_runs")
    kept = table.set_index("run")["correlation"]
    assert set(kept.index) == {"pca", RUN.rpartition("/")[2]}
    assert ((kept > 0) & (kept < 1)).all()


def test_the_store_is_borzois(run):
    folder, _, _ = run
    store = ActivationStore.open(folder / "results/conv1d_2/activations/train", 0, 736, 4, "conv1d_2")
    assert (store.n_sequences, store.positions, len(store.files), store.dtype) == (4, 1024, 2, "float16")
    told = json.loads((store.folder / "store.json").read_text())
    assert told["module"] == "res_tower.2" and told["weights"]["source"] == "random:0"
    assert told["geometry"]["measured"] == {
        "stride_bp": 4,
        "left_bp": 19,
        "right_bp": 23,
        "whole_window": False,
    }
    assert np.isfinite(store.read(0, 1024)).all() and store.read(0, 1024).std() > 0.01


def test_tracks_are_what_the_strongest_seqlets_say(run):
    folder, _, _ = run
    tracks = artefacts.read_table(folder / RUN / "tracks" / "tracks.tsv", "tracks")
    assert tracks["rank"].tolist() == [1, 2]
    seqlets = artefacts.read_table(folder / RUN / "seqlets" / "manifest.tsv", "seqlet_manifest")
    for row in tracks.itertuples():
        reader = pybigtools.open(str(folder / RUN / "tracks" / row.file))
        name = seqlets.loc[seqlets["node"] == row.node, "file"].iloc[0]
        header = (folder / RUN / "seqlets" / name).read_text().splitlines()[0]
        start, value = int(re.search(r":(\d+)-", header)[1]), float(re.search(r"act=(\S+)", header)[1])
        # position j reads 19 bases before its own four
        found = reader.values("chr1", start + 19, start + 23)
        assert found == pytest.approx([value] * 4, rel=1e-3)
        assert row.max_activation == pytest.approx(value, rel=1e-3)


def test_the_readmes_commands_extract(run):
    folder, _, _ = run
    text = (helpers.ROOT / "README.md").read_text()
    block = re.search(r"or, step by step:\n\n```\n(.*?)```", text, re.S)[1].replace("\\\n", " ")
    swap = {"borzoi/model.safetensors": "random:0", "hg38.fa": "genome.fa", "163840": "512", "16": "2"}
    for line in block.strip().splitlines():
        words = [swap.get(word, word) for word in shlex.split(line)]
        small = ["--arguments", '{"depth": 0, "dim": 32}']
        done = helpers.run([sys.executable, *words[1:], *small], folder)
        if "plan_extraction.py" in line:
            assert done.returncode == 0, done.stderr
            assert "1 of 4 windows reach beyond their chromosome" in done.stderr
    assert done.returncode == 0, done.stderr
    store = ActivationStore.open(folder / "store", 0, 736, 4, "conv1d_2")
    assert (store.positions, len(store.files)) == (1024, 2)
