"""A run whose selection is empty: programs between the motifs and nodes.tsv pass, and write no row."""

from __future__ import annotations

import sys

import pytest
from helpers_page import (
    calibration_rows,
    cluster_rows,
    manifest,
    match_rows,
    motif_rows,
    selected,
)

import collect_examples
import compare_layers
import measure_repeats
import measure_specificity
import summarise_nodes
from biosae.artefacts import read_table, write_table
from biosae.motifs.formats import write_meme
from unit.helpers_seqlets import write_run, write_seqlet_folder
from unit.helpers_specificity import planted_world, write_world


def call(monkeypatch, program, run, name: str, *words) -> None:
    command = [program.__name__, "--run", run, *words, "--output", run / name]
    monkeypatch.setattr(sys, "argv", [str(word) for word in command])
    program.main()


@pytest.fixture
def empty_run(tmp_path):
    """Store, genome, a run without kept nodes as its first stages leave it, and a run to compare with."""
    world = planted_world(bases=2048, chromosomes=1, sites=10)
    made = write_world(tmp_path, world)
    run = made.rename(tmp_path / "s0")
    intervals = [["chr1", 0, 2048, 0, 2048]]
    for folder, sites in ((run, {}), (tmp_path / "s1", {3: [("chr1", 100), ("chr1", 400)]})):
        write_run(folder, [], list(sites), intervals, world.layer)
        write_seqlet_folder(folder, sites, world.layer.window_bp)
    motifs = motif_rows([])
    tables = {"selected_nodes": selected([]), "motifs": motifs, "matches": match_rows([])}
    tables |= {"calibration": calibration_rows([]), "motif_clusters": cluster_rows(motifs)}
    for name, table in tables.items():
        write_table(table, run / f"{name}.tsv", name)
    write_table(manifest([]), run / "seqlets" / "manifest.tsv", "seqlet_manifest")
    write_meme(run / "motifs.meme", [])
    return run


def test_a_run_whose_kept_nodes_are_none_passes_every_program(empty_run, monkeypatch):
    run, genome = empty_run, empty_run.parent / "genome.fa"
    store = ["--activations", run.parent / "store", "--sample-positions", 200, "--device", "cpu"]
    call(monkeypatch, measure_specificity, run, "specificity.tsv", *store, "--genome", genome)
    call(monkeypatch, collect_examples, run, "examples.h5", *store, "--genome", genome)
    call(monkeypatch, measure_repeats, run, "repeats.tsv", "--genome", genome)
    call(monkeypatch, compare_layers, run, "coactivation.tsv", "--others", run.parent / "s1")
    call(monkeypatch, summarise_nodes, run, "nodes.tsv", "--coactivation", run / "coactivation.tsv")
    for name in ("specificity", "repeats", "coactivation", "nodes"):
        assert read_table(run / f"{name}.tsv", name).empty
