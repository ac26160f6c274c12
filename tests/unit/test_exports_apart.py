"""Exports opened by what cannot share biosae's environment: MultiQC and anndata (`make consumers`)."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from biosae.artefacts import read_table
from biosae.directions import read_directions
from biosae.exports.writer import Settings, export_run
from unit.helpers_exports import CHANNELS, finished_run

PROGRAMS = Path(__file__).resolve().parents[2] / ".venv-consumers" / "bin"
READ_H5AD = """
import json, sys
import anndata, pandas
data = anndata.read_h5ad(sys.argv[1])
data.write_h5ad(sys.argv[2])
plain = {name: data.obs[name].astype(object) for name in data.obs}
obs = {name: [None if pandas.isna(cell) else cell for cell in column] for name, column in plain.items()}
found = {"obs": obs, "names": data.obs_names.tolist(), "var": data.var_names.tolist(), "X": data.X.tolist()}
found |= {"umap": data.obsm["X_umap"].tolist(), "X_is": str(data.uns["X_is"])}
print(json.dumps(found))
"""
pytestmark = pytest.mark.skipif(
    not (PROGRAMS / "multiqc").exists(), reason="MultiQC and anndata are not installed: make consumers"
)


def call(*command: object) -> str:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def exported(folder: Path, monkeypatch, **options) -> Path:
    run, genome, _ = finished_run(folder, monkeypatch, **options)
    export_run(run, genome, run / "exports", Settings())
    return run


@pytest.mark.parametrize("n_nodes", [6, 0])
def test_anndata_reads_the_nodes_as_they_stand_in_the_table(tmp_path, monkeypatch, n_nodes):
    run = exported(tmp_path, monkeypatch, n_nodes=n_nodes)
    path = run / "exports" / "nodes.h5ad"
    read = json.loads(call(PROGRAMS / "python", "-c", READ_H5AD, path, tmp_path / "again.h5ad"))
    nodes, umap = read_table(run / "nodes.tsv", "nodes"), read_table(run / "umap.tsv", "umap")
    assert list(read["obs"]) == [*nodes.columns, "cluster"]
    for name in nodes.columns:
        assert read["obs"][name] == [None if pd.isna(cell) else cell for cell in nodes[name].tolist()], name
    assert read["obs"]["cluster"] == umap["cluster"].tolist()
    assert read["names"] == [f"{r}_n{n}" for r, n in zip(nodes["rank"], nodes["node"], strict=True)]
    assert read["var"] == [f"channel_{i}" for i in range(CHANNELS)]
    directions = read_directions(run / "checkpoint", nodes["node"].to_numpy(np.int64))
    np.testing.assert_array_equal(np.array(read["X"], np.float32).reshape(-1, CHANNELS), directions)
    np.testing.assert_array_equal(np.array(read["umap"]).reshape(-1, 2), umap[["umap1", "umap2"]])
    assert "decoder directions" in read["X_is"]
    assert (tmp_path / "again.h5ad").stat().st_size > 0


def multiqc(results: Path, output: Path) -> tuple[dict, str]:
    """MultiQC's data of all that it finds below ``results``, and what it printed."""
    command = [str(PROGRAMS / "multiqc"), "--no-ai", "--outdir", str(output), str(results)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads((output / "multiqc_data" / "multiqc_data.json").read_text()), done.stdout + done.stderr


def test_multiqc_finds_every_run_below_the_results(tmp_path, monkeypatch):
    trained = exported(tmp_path / "results", monkeypatch)
    raw = exported(tmp_path / "other", monkeypatch, n_nodes=2, trained=False)
    raw = raw.rename(trained.parent / "raw")
    export_run(raw, tmp_path / "other" / "genome of the run.fa", raw / "exports", Settings())
    data, said = multiqc(tmp_path / "results", tmp_path / "report")
    assert "No data found" not in said
    assert "not able" not in said.lower()
    names = {"conv1d_2 topk-x4-k36", "conv1d_2 raw"}
    text = (tmp_path / "report/multiqc_data/multiqc_general_stats.txt").read_text().splitlines()
    rows = {line.split("\t")[0]: line.split("\t") for line in text}
    assert set(rows) == {"Sample", *names}
    at = {title.split("-")[-1]: i for i, title in enumerate(rows["Sample"])}
    assert float(rows["conv1d_2 topk-x4-k36"][at["fvu"]]) == 0.0831
    assert [float(rows[name][at["kept_nodes"]]) for name in sorted(names)] == [2, 6]
    nodes = read_table(trained / "nodes.tsv", "nodes")
    assert float(rows["conv1d_2 topk-x4-k36"][at["nodes_named"]]) == nodes["named"].sum() > 0
    curve = read_table(trained / "training_curve.tsv", "training_curve")
    (lines,) = data["report_plot_data"]["biosae_training_fvu"]["datasets"]
    pairs = {line["name"]: line["pairs"] for line in lines["lines"]}
    assert set(pairs) == names
    expected = curve[["positions", "validation_fvu"]].to_numpy(float)
    np.testing.assert_allclose(pairs["conv1d_2 topk-x4-k36"], expected, rtol=1e-8)
    np.testing.assert_allclose(pairs["conv1d_2 raw"], expected[:1], rtol=1e-8)
