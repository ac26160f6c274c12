"""Examples: what the file says, what cannot be shown, and bad input."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from biosae.artefacts import write_table
from biosae.errors import BiosaeError, ConfigError, ContractError, InputError
from biosae.examples import BAND_TEXT, BANDS, MAX_WINDOW_BP, Settings
from biosae.geometry import Layer
from biosae.model import RawChannels
from unit.helpers_examples import Collected, SmallRun, motif_table
from unit.helpers_seqlets import random_dna, selected_table
from unit.helpers_specificity import sharp_motif
from unit.helpers_store import random_arrays, write_store
from unit.test_examples import toy

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "collect_examples.py"


def test_attributes_say_what_the_file_is(tmp_path):
    made = toy(tmp_path, "raw")
    attributes = made.collect().attributes
    assert (attributes["window_bp"], attributes["stride_bp"]) == (18, 4)
    assert (list(attributes["bands"]), list(attributes["band_text"])) == (list(BANDS), list(BAND_TEXT))
    assert len(BANDS) == len(BAND_TEXT) and json.loads(attributes["provenance"])["program"] == "test"
    assert "reason" not in attributes


def test_no_band_but_the_top(tmp_path):
    found = toy(tmp_path, "topk").collect(band_examples=0, top_examples=3)
    assert set(found.arrays["band"]) == {0} and np.diff(found.arrays["edges"]).max() == 3


def test_a_motif_longer_than_the_window_fits_nowhere(tmp_path):
    made = toy(tmp_path, "raw")
    long = replace(made, motifs=[sharp_motif("", "ACGTACGTACGTACGTACGT"), *made.motifs[1:]])
    long.write_tables()
    found = long.collect()
    top = found.of(0, 0)
    assert len(top["peak"]) and (top["motif_at"] == -(2**15)).all() and (top["has_motif"] == 0).all()


def no_examples(found: Collected, reason: str, nodes: int) -> None:
    assert reason in found.attributes["reason"]
    assert found.arrays["edges"].tolist() == [0] * (nodes + 1)
    assert len(found.arrays["node"]) == nodes and len(found.arrays["sequence"]) == 0


def test_no_kept_node(tmp_path):
    made = replace(toy(tmp_path, "raw"), kept=[], motifs=[])
    write_table(selected_table([]), made.run / "selected_nodes.tsv", "selected_nodes")
    shutil.rmtree(made.run / "seqlets")
    made.write_tables()
    made.measure()
    no_examples(made.collect(), "no node was kept", 0)


def test_a_pooled_store(tmp_path):
    layer = Layer("pooled", "", 3, 40, 0, 40)
    arrays = random_arrays([30], positions=1, channels=3)
    intervals = [("chr1", 40 * i, 40 * i + 40) for i in range(30)]
    letters = {"chr1": random_dna(1200, 0)}
    made = SmallRun(tmp_path, RawChannels(3), layer, arrays, intervals, letters, [0, 4], [None, None])
    no_examples(made.write().collect(), "pooled", 2)


def test_windows_too_wide_to_show(tmp_path, monkeypatch):
    made = toy(tmp_path, "raw")
    assert np.iinfo(np.int16).max == MAX_WINDOW_BP
    monkeypatch.setattr("biosae.examples_run.MAX_WINDOW_BP", 17)
    no_examples(made.collect(), "18 bp are too wide", 4)


def cut_file(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def set_nan(made: SmallRun) -> None:
    with h5py.File(made.folder / "store/activations_0.h5", "a") as file:
        file["x"][1, 30, 2] = np.nan


def move_seqlet(made: SmallRun) -> None:
    path = made.run / "seqlets/seqlets.bed.gz"
    lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    words = lines[0].split("\t")
    words[1], words[2] = str(int(words[1]) + 1), str(int(words[2]) + 1)
    path.write_bytes(gzip.compress("\n".join(["\t".join(words), *lines[1:]]).encode()))


def drop_seqlet(made: SmallRun) -> None:
    path = made.run / "seqlets/seqlets.bed.gz"
    lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    path.write_bytes(gzip.compress("\n".join(lines[1:]).encode()))


def other_store(made: SmallRun) -> None:
    shutil.rmtree(made.folder / "store")
    write_store(made.folder / "store", [-array for array in made.arrays], made.intervals)


def moved_store(made: SmallRun) -> None:
    shutil.rmtree(made.folder / "store")
    moved = [(name, start + 4, end + 4) for name, start, end in made.intervals[:2]]
    write_store(made.folder / "store", made.arrays, [*moved, *made.intervals[2:]])


FAULTS = {
    "a store file that is cut": (
        lambda made: cut_file(made.folder / "store/activations_1.h5"),
        InputError,
        "activations_1",
    ),
    "NaN in the store": (set_nan, InputError, r"NaN.*row 1, position 30, channel 2"),
    "a cut BED": (
        lambda made: cut_file(made.run / "seqlets/seqlets.bed.gz"),
        InputError,
        "Cannot read the seqlets",
    ),
    "a seqlet that lies elsewhere": (move_seqlet, ContractError, "no top activations of their nodes"),
    "a seqlet that is missing": (drop_seqlet, ContractError, "lacks seqlets that the manifest counts"),
    "cut top activations": (
        lambda made: cut_file(made.run / "top_activations.parquet"),
        InputError,
        "Cannot read the top activations",
    ),
    "a store of other numbers": (other_store, InputError, "are not those of top_activations"),
    "a store of other places": (moved_store, InputError, "of another store"),
    "a genome without a chromosome": (
        lambda made: (made.folder / "genome.fa").write_text(f">chr1\n{made.chromosomes['chr1']}\n"),
        InputError,
        "Chromosome 'chr2'",
    ),
    "other motifs": (
        lambda made: write_table(motif_table([]), made.run / "motifs.tsv", "motifs"),
        ContractError,
        "of other nodes, or of other best motifs",
    ),
    "no checkpoint": (lambda made: shutil.rmtree(made.run / "checkpoint"), InputError, "checkpoint"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_bad_input_is_named_and_nothing_is_left_behind(tmp_path, fault):
    made = toy(tmp_path, "raw")
    spoil, kind, words = FAULTS[fault]
    spoil(made)
    with pytest.raises(kind, match=words) as raised:
        made.collect()
    assert isinstance(raised.value, BiosaeError)
    assert not [path for path in made.run.iterdir() if "examples" in path.name]


@pytest.mark.parametrize("wrong", [{"top_examples": 0}, {"band_examples": -1}])
def test_settings_that_make_no_sense(wrong):
    with pytest.raises(ConfigError, match="Examples cannot be collected"):
        Settings(**wrong)


def test_the_program_gives_the_same_bytes_each_time(tmp_path):
    made = toy(tmp_path / "a 'b", "topk")
    command = [sys.executable, SCRIPT, "--run", made.run, "--activations", made.folder / "store"]
    command += ["--genome", made.folder / "genome.fa", "--sample-positions", 10**6, "--device", "cpu"]
    files = []
    for name in ("a.h5", "b.h5"):
        words = [str(word) for word in [*command, "--output", tmp_path / name]]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        files.append((tmp_path / name).read_bytes())
    assert files[0] == files[1] and str(tmp_path).encode() not in files[0]
    made_by = json.loads(Collected.read(tmp_path / "a.h5").attributes["provenance"])
    assert made_by["settings"]["top_examples"] == 100
    assert "top_activations.parquet" in [entry["name"] for entry in made_by["inputs"]]
    (made.run / "specificity.tsv").unlink()
    done = subprocess.run(
        [str(word) for word in command] + ["--output", str(tmp_path / "c.h5")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2 and done.stderr.splitlines()[-1].startswith("error: ")
