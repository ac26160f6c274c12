"""Exports as targets: of a baseline when asked for, and of each run without the others."""

import shutil

import helpers
import pytest

from biosae import artefacts

pytestmark = pytest.mark.workflow

SAE, RAW = (f"results/tiny/{run}/exports/exports.tsv" for run in (helpers.SAE, "raw"))


def test_a_baselines_exports_are_made_when_asked_for(copy):
    folder, config = copy
    assert helpers.planned(helpers.snakemake(folder, config, "-n", RAW)) == {
        "embed_nodes": 1,
        "export_run": 1,
    }
    made = helpers.snakemake(folder, config, RAW)
    assert made.returncode == 0, made.stderr
    rows = artefacts.read_table(folder / RAW, "exports").set_index("file")["rows"]
    nodes = artefacts.read_table(folder / "results/tiny/raw/nodes.tsv", "nodes")
    assert rows["nodes.h5ad"] == rows["nodes.parquet"] == len(nodes) > 0
    assert rows["seqlets.bb"] == nodes["n_seqlets"].sum()
    assert rows["training_mqc.yaml"] == 1, "nothing was trained"


def test_exports_of_a_run_need_no_other_run(copy):
    folder, config = copy
    before = {p.name: p.read_bytes() for p in (folder / SAE).parent.iterdir()}
    shutil.rmtree(folder / "results/tiny/raw")
    shutil.rmtree((folder / SAE).parent)
    made = helpers.snakemake(folder, config, SAE)
    assert made.returncode == 0, made.stderr
    assert {p.name: p.read_bytes() for p in (folder / SAE).parent.iterdir()} == before
