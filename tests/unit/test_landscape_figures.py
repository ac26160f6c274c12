"""Figures of the landscape: same bytes for the same tables, something readable for empty ones."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from biosae.artefacts import load_schema, write_table
from biosae.landscape.overlaps import COLUMNS, add_statistics

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "plot_landscape.py"
NAMES = {f"{name}.{kind}" for name in ("umap", "jaccard", "overlaps") for kind in ("svg", "png")}


def draw(monkeypatch, run: Path, output: Path) -> dict[str, bytes]:
    monkeypatch.setattr(sys, "argv", ["x", "--run", str(run), "--output", str(output)])
    runpy.run_path(str(SCRIPT), run_name="__main__")
    return {path.name: path.read_bytes() for path in output.iterdir()}


def write_tables(run: Path, umap: pd.DataFrame, jaccard: pd.DataFrame, overlaps: pd.DataFrame) -> Path:
    for name, table in (("umap", umap), ("jaccard", jaccard), ("overlaps", overlaps)):
        write_table(table, run / f"{name}.tsv", name)
    return run


def full_run(run: Path, n_nodes: int = 30) -> Path:
    generator = np.random.default_rng(0)
    nodes = np.arange(n_nodes)
    umap = pd.DataFrame({"rank": nodes + 1, "node": nodes, "umap1": generator.random(n_nodes)})
    umap = umap.assign(umap2=umap["umap1"] ** 2, cluster=nodes % 4, coact1=np.nan, coact2=np.nan)
    jaccard = pd.DataFrame({"node_a": nodes[:-1], "node_b": nodes[1:], "n_a": 10, "n_b": 10})
    jaccard = jaccard.assign(n_shared=5, jaccard=1 / 3)
    overlaps = pd.DataFrame({"rank": nodes + 1, "node": nodes, "annotation": "repeats", "class": "LINE <1>"})
    overlaps = overlaps.assign(n_seqlets=20, n_overlap=nodes % 20, n_background=100, n_background_overlap=5)
    add_statistics(overlaps)
    return write_tables(run, umap, jaccard, overlaps[COLUMNS])


def test_figures_are_the_same_bytes_twice(monkeypatch, tmp_path):
    run = full_run(tmp_path / "a run")
    first = draw(monkeypatch, run, tmp_path / "one")
    assert set(first) == NAMES
    assert first == draw(monkeypatch, run, tmp_path / "two")
    assert "30 of 30 nodes" in first["umap.svg"].decode()
    assert "too few nodes for a map" in first["umap.svg"].decode()  # the co-activation panel
    assert "29 pairs of nodes" in first["jaccard.svg"].decode()
    assert "repeats: LINE &lt;1&gt;" in first["overlaps.svg"].decode()


def test_tables_change_the_figures(monkeypatch, tmp_path):
    first = draw(monkeypatch, full_run(tmp_path / "a"), tmp_path / "one")
    other = draw(monkeypatch, full_run(tmp_path / "b", n_nodes=20), tmp_path / "two")
    assert all(first[name] != other[name] for name in NAMES)


def test_empty_tables(monkeypatch, tmp_path):
    empty = [
        pd.DataFrame(columns=list(load_schema(n)["properties"])) for n in ("umap", "jaccard", "overlaps")
    ]
    files = draw(monkeypatch, write_tables(tmp_path / "run", *empty), tmp_path / "figures")
    assert set(files) == NAMES
    for name in ("umap.svg", "jaccard.svg", "overlaps.svg"):
        assert "no node was kept" in files[name].decode()


def test_one_node_without_map_pairs_or_annotations(monkeypatch, tmp_path):
    umap = pd.DataFrame({"rank": [1], "node": [4], "umap1": [np.nan], "umap2": [np.nan], "cluster": [0]})
    umap = umap.assign(coact1=np.nan, coact2=np.nan)
    empty = [pd.DataFrame(columns=list(load_schema(n)["properties"])) for n in ("jaccard", "overlaps")]
    files = draw(monkeypatch, write_tables(tmp_path / "run", umap, *empty), tmp_path / "figures")
    assert "no pair of nodes is listed" in files["jaccard.svg"].decode()
    assert "no annotation overlaps" in files["overlaps.svg"].decode()
