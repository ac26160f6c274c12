"""Maps and clusters: planted groups stay together, the seed decides, small runs do not crash."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from scipy import sparse

from biosae.artefacts import read_table
from biosae.directions import read_directions
from biosae.errors import ConfigError, InputError
from biosae.landscape.umap import cluster, embed
from unit.helpers_seqlets import write_seqlet_folder

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "embed_nodes.py"


def planted(
    n_groups: int = 3, size: int = 12, channels: int = 8, noise: float = 0.1
) -> tuple[np.ndarray, np.ndarray]:
    """Unit directions around axes, and the group of each."""
    generator = np.random.default_rng(0)
    group = np.repeat(np.arange(n_groups), size)
    points = np.eye(channels)[group] + generator.normal(scale=noise, size=(len(group), channels))
    return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32), group


def neighbours_in_group(places: np.ndarray, group: np.ndarray) -> float:
    """Share of points whose nearest other point on the map is of their group."""
    distance = np.linalg.norm(places[:, None] - places[None], axis=2)
    np.fill_diagonal(distance, np.inf)
    return float((group[distance.argmin(axis=1)] == group).mean())


def write_checkpoint(folder: Path, weights: np.ndarray) -> Path:
    """A checkpoint with the decoder (channels, n_nodes); what the landscape does not read is left out."""
    folder.mkdir(parents=True)
    channels, n_nodes = weights.shape
    config = {"kind": "topk", "n_nodes": n_nodes, "channels": channels}
    (folder / "config.json").write_text(json.dumps(config))
    decoder = np.ascontiguousarray(weights, dtype=np.float32)
    save_file({"decoder.weight": decoder}, folder / "model.safetensors")
    return folder


def test_planted_groups_stay_together_and_noise_does_not():
    points, group = planted()
    places = embed(points, n_neighbors=8, seed=1)
    assert places.shape == (36, 2)
    assert neighbours_in_group(places, group) > 0.95
    shuffled = np.random.default_rng(0).permutation(group)
    assert neighbours_in_group(places, shuffled) < 0.7  # 0.33 expected: the measure can fail


def test_sparse_equals_dense_and_seed_decides():
    points = (np.random.default_rng(3).random((20, 30)) < 0.3).astype(np.int32)
    dense = embed(points.astype(np.float32), n_neighbors=5, seed=4)
    assert np.array_equal(dense, embed(points.astype(np.float32), n_neighbors=5, seed=4))
    assert not np.array_equal(dense, embed(points.astype(np.float32), n_neighbors=5, seed=5))
    loci = sparse.csr_array(points)
    assert np.array_equal(embed(loci, n_neighbors=5, seed=4), embed(loci, n_neighbors=5, seed=4))


@pytest.mark.parametrize("n", [0, 1, 4])
def test_too_few_nodes_are_said_not_drawn(n, caplog):
    places = embed(planted()[0][:n])
    assert places.shape == (n, 2)
    assert np.isnan(places).all()
    assert f"No map is drawn: {n} nodes" in caplog.text


@pytest.mark.parametrize("n", [5, 6, 9])
def test_few_nodes_are_drawn(n):
    assert np.isfinite(embed(planted(size=3)[0][:n])).all()


def test_rows_without_a_direction_are_left_out():
    points, _ = planted(size=4)
    points[2] = 0
    places = embed(points)
    assert np.isnan(places[2]).all()
    assert np.isfinite(np.delete(places, 2, axis=0)).all()


def test_nodes_without_loci():
    assert np.isnan(embed(sparse.csr_array((7, 0), dtype=np.int32))).all()


@pytest.mark.parametrize("option", [{"n_neighbors": 1}, {"min_dist": 1.5}])
def test_nonsense_options(option):
    with pytest.raises(ConfigError, match=r"n_neighbors >= 2 and 0 <= min_dist <= 1"):
        embed(planted()[0], **option)


def test_clusters_are_the_planted_groups():
    points, group = planted()
    assert cluster(points, 3).tolist() == group.tolist()  # numbered by first appearance
    assert cluster(points[::-1], 3).tolist() == group.tolist()


def test_clusters_at_most_as_many_as_directions():
    points = np.eye(4, dtype=np.float32)[[2, 2, 0, 2, 0]]
    assert cluster(points, 25).tolist() == [0, 0, 1, 0, 1]
    assert cluster(points[:0], 25).tolist() == []
    with pytest.raises(ConfigError, match="n_clusters must be 1 or more"):
        cluster(points, 0)


def test_directions_are_decoder_columns(tmp_path):
    weights = np.array([[3.0, 0.0, 0.0], [4.0, 0.0, -2.0]])
    directions = read_directions(write_checkpoint(tmp_path / "c", weights), np.array([2, 0, 1]))
    assert directions.tolist() == pytest.approx(np.array([[0, -1], [0.6, 0.8], [0, 0]]))


def test_directions_of_a_raw_run_are_signed_channels(tmp_path, caplog):
    from biosae.checkpoint import save_checkpoint
    from biosae.model import RawChannels

    save_checkpoint(RawChannels(3, np.zeros(3, np.float32), np.ones(3, np.float32)), tmp_path / "c")
    assert read_directions(tmp_path / "c", np.array([1, 4, 3])).tolist() == [
        [0, 1, 0],
        [0, -1, 0],
        [-1, 0, 0],
    ]
    assert "single channels" in caplog.text


def test_bad_checkpoints(tmp_path):
    with pytest.raises(InputError, match="Cannot read the decoder"):
        read_directions(tmp_path / "none", np.array([0]))
    folder = write_checkpoint(tmp_path / "c", np.ones((2, 3)))
    with pytest.raises(InputError, match=r"Node 3 is not in the checkpoint.*0 to 2"):
        read_directions(folder, np.array([1, 3]))
    (folder / "config.json").write_text(json.dumps({"kind": "topk", "n_nodes": 2, "channels": 3}))
    with pytest.raises(InputError, match=r"shape that its config states.*\(2, 3\).*\(3, 2\)"):
        read_directions(folder, np.array([0]))
    (folder / "model.safetensors").write_bytes(b"half a file")
    with pytest.raises(InputError, match="Cannot read the decoder"):
        read_directions(folder, np.array([0]))


def run_program(monkeypatch, run: Path, output: Path, *options: str) -> None:
    monkeypatch.setattr(sys, "argv", ["x", "--run", str(run), "--output", str(output), *options])
    runpy.run_path(str(SCRIPT), run_name="__main__")


def test_program_same_seed_same_bytes(monkeypatch, tmp_path):
    points, group = planted(size=4)
    sites = {node: [(f"chr{group[node]}", 50 * i) for i in range(node % 3 + 1)] for node in range(12)}
    run = write_seqlet_folder(tmp_path / "a run", sites)
    write_checkpoint(run / "checkpoint", points.T)
    run_program(monkeypatch, run, run / "umap.tsv", "--n-clusters", "3")
    run_program(monkeypatch, run, tmp_path / "again.tsv", "--n-clusters", "3")
    assert (run / "umap.tsv").read_bytes() == (tmp_path / "again.tsv").read_bytes()
    assert (run / "umap.tsv.json").read_bytes() == (tmp_path / "again.tsv.json").read_bytes()
    table = read_table(run / "umap.tsv", "umap")
    assert table["cluster"].tolist() == group.tolist()
    assert table[["umap1", "umap2", "coact1", "coact2"]].notna().all(axis=None)


def test_program_without_nodes(monkeypatch, tmp_path):
    run = write_seqlet_folder(tmp_path / "run", {})
    write_checkpoint(run / "checkpoint", np.ones((2, 3)))
    run_program(monkeypatch, run, run / "umap.tsv")
    assert len(read_table(run / "umap.tsv", "umap")) == 0


def test_what_is_compiled_for_a_map_is_kept():
    import umap

    embed(planted()[0], n_neighbors=5)
    kept = umap.umap_.smooth_knn_dist.stats
    assert kept.cache_path is not None
    assert sum(kept.cache_hits.values()) + sum(kept.cache_misses.values()) > 0
