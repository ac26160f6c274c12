"""Graded worlds: pairs, partners, strands, strength and superposition lie where the truth tables say."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import torch
from helpers_synthetic import CTCF, DATABASE, ESRRB, MEF2A, NR3C1, PLANTED, graded, small
from pyfaidx import Fasta

from biosae.artefacts import read_table
from biosae.errors import ConfigError
from biosae.motifs.formats import read_meme
from biosae.synthetic.simulate import simulate

PAIR = f"{CTCF}_5bp_{ESRRB}"
CLASSES = ["chrom", "start", "end", "name", "score", "class"]
PLACE = ["chrom", "sequence_start", "position"]
SITES = ["chrom", "start", "end", "motif", "score", "strand"]
PROGRAM = Path(__file__).resolve().parents[2] / "scripts" / "simulate_activations.py"
# SHA-256 (first 16 digits) of what was written before graded worlds came; activations are compared as
# numbers, since the last bits of a convolution depend on the processor
BEFORE = {
    "genome.fa": "7727747ac4ca5a73",
    "genome.fa.fai": "f26aee7a3ac704b8",
    "truth/instances.bed": "a1bbc81756235224",
    "truth/annotations.bed": "0d74856c9f6c37ea",
    "truth/sequences.bed": "0f959fedad68f248",
    "truth/motifs.meme": "2299c2b2ff3fba95",
    "truth/targets.meme": "86d60b32f76e69e2",
    "activations/train/train_seqs.bed": "7df3666db6d21471",
    "activations/validation/valid_seqs.bed": "c5539ce63e3c95b8",
}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    output = tmp_path_factory.mktemp("graded") / "set"
    simulate(graded(), DATABASE, output)
    return output


@pytest.fixture(scope="module")
def detectors(folder: Path) -> pd.DataFrame:
    return read_table(folder / "truth" / "detectors.tsv", "detectors").set_index("name")


@pytest.fixture(scope="module")
def firings(folder: Path, detectors: pd.DataFrame) -> pd.DataFrame:
    names = dict(zip(detectors["detector"], detectors.index, strict=True))
    table = pd.read_parquet(folder / "truth" / "detections.parquet")
    return table.assign(name=table["detector"].map(names))


def bed(path: Path, names: list[str]) -> pd.DataFrame:
    return pd.read_csv(path, sep="\t", header=None, names=names)


def test_the_default_world_is_what_it_was(tmp_path: Path) -> None:
    simulate(small(), DATABASE, tmp_path / "x")
    digests = {name: hashlib.sha256((tmp_path / "x" / name).read_bytes()).hexdigest()[:16] for name in BEFORE}
    assert digests == BEFORE
    with h5py.File(tmp_path / "x" / "activations" / "train" / "activations_0.h5") as handle:
        stored = handle["activations"][:].astype(float)
    assert stored.shape == (6, 2200, 10)
    assert stored[0, 1000, :4] == pytest.approx([0.34521484, -0.51416016, -1.21875, -1.86035156], abs=2e-3)
    assert (stored.mean(), stored.std()) == pytest.approx((-0.72327946, 0.97032869), abs=1e-5)
    table = read_table(tmp_path / "x" / "truth" / "detectors.tsv", "detectors")
    counts = [34, 43, 79, 38, 37, 76, 71, 13, 17, 12, 17, 12, 16, 26, 26, 31, 30]
    assert table["n_train"].dropna().tolist() == counts
    assert table["partner"].isna().all()
    provenance = json.loads((tmp_path / "x" / "network.json").read_text())["provenance"]
    assert "pairs" not in provenance["settings"]
    assert not (tmp_path / "x" / "activations" / "random_model").exists()


def test_same_settings_same_bytes(folder: Path, tmp_path: Path) -> None:
    simulate(graded(), DATABASE, tmp_path / "again")
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        assert path.read_bytes() == (tmp_path / "again" / path.relative_to(folder)).read_bytes(), path.name


def test_pairs_lie_at_their_spacing_on_one_strand(folder: Path) -> None:
    sites = bed(folder / "truth" / "instances.bed", SITES)
    annotations = bed(
        folder / "truth" / "annotations.bed", ["chrom", "start", "end", "name", "score", "class"]
    )
    pairs = annotations[annotations["class"] == "pair"]
    assert len(pairs) == 150
    assert set(pairs["name"]) == {PAIR}
    strands = []
    for pair in pairs.itertuples():
        inside = sites[
            (sites["chrom"] == pair.chrom) & (sites["start"] >= pair.start) & (sites["end"] <= pair.end)
        ]
        left, right = inside.itertuples()
        assert (left.start, right.end) == (pair.start, pair.end)
        assert right.start - left.end == 5
        assert left.strand == right.strand
        strands.append(left.strand)
        assert [left.motif, right.motif] == ([CTCF, ESRRB] if left.strand == "+" else [ESRRB, CTCF])
    assert set(strands) == {"+", "-"}
    # the partner is planted nowhere else; the other motifs are planted alone as before, 120 times each
    assert sites["motif"].value_counts().to_dict() == {CTCF: 270, ESRRB: 150, NR3C1: 120, MEF2A: 120}


def test_sites_of_pairs_read_as_their_motifs(folder: Path) -> None:
    """The letters at the listed sites of a pair, read on their strand, score as sites of their matrix."""
    genome = Fasta(str(folder / "genome.fa"))
    sites = bed(folder / "truth" / "instances.bed", SITES)
    motif = next(m for m in read_meme(folder / "truth" / "motifs.meme") if m.id == ESRRB)
    odds = np.log2((motif.matrix + 0.01) / 1.04 / 0.25)
    own = sites[sites["motif"] == ESRRB]
    scores = []
    for site in own.itertuples():
        window = genome[site.chrom][site.start : site.end]
        text = (window if site.strand == "+" else window.reverse.complement).seq.upper()
        scores.append(odds[np.arange(len(text)), ["ACGT".index(c) for c in text]].sum())
    assert np.mean(scores) == pytest.approx((motif.matrix * odds).sum(), abs=0.5)


def test_detectors_say_partner_spacing_and_strand(detectors: pd.DataFrame) -> None:
    kinds = detectors.groupby("kind").size().to_dict()
    assert kinds == {"motif": 6, "repeat": 6, "low_complexity": 4, "pair": 2, "distractor": 4}
    for strand in "+-":
        row = detectors.loc[f"{PAIR}{strand}"]
        assert (row["anchor"], row["partner"], row["spacing_bp"]) == (CTCF, ESRRB, 5)
        assert (row["motif"], row["strand"], row["strand_class"]) == (PAIR, strand, "paired")
        assert row["width"] == detectors.loc[f"{CTCF}+", "width"]
        only = detectors.loc[f"{ESRRB}{strand}"]
        assert (only["partner"], only["spacing_bp"]) == (CTCF, 5)
    assert detectors.loc[[f"{CTCF}+", f"{NR3C1}+", f"{MEF2A}+"], "partner"].isna().all()
    classes = detectors["strand_class"].to_dict()
    assert (classes[f"{NR3C1}+"], classes[f"{MEF2A}+"]) == ("palindromic", "strand_specific")
    assert f"{MEF2A}-" not in detectors.index


def test_a_pair_fires_where_both_halves_do_and_nowhere_else(
    folder: Path, detectors: pd.DataFrame, firings: pd.DataFrame
) -> None:
    """From the halves' own firings at single sites: the pair fires exactly where both fire at its spacing."""
    width = detectors["width"]
    for strand in "+-":
        halves = {name: firings[firings["name"] == f"{name}{strand}"] for name in (CTCF, ESRRB)}
        step = width[f"{CTCF}+"] + 5 if strand == "+" else -5 - width[f"{ESRRB}+"]
        beside = set(zip(halves[ESRRB]["chrom"], halves[ESRRB]["site_start"], strict=True))
        first = halves[CTCF]
        both = [(c, s + step) in beside for c, s in zip(first["chrom"], first["site_start"], strict=True)]
        own = firings[firings["name"] == f"{PAIR}{strand}"]
        every, expected, found = (
            set(table[PLACE].itertuples(index=False, name=None)) for table in (first, first[both], own)
        )
        assert found >= expected  # a window may hold two starts, of which a half shows its best one only
        assert len(found - expected) <= 0.05 * len(found)
        assert found <= every  # a pair's firing is also one of its first motif
        assert len(every) > 1.5 * len(found)
        assert 20 < len(found) < 75  # of 75 planted; each half misses a quarter of its sites
        assert own["activation"].mean() == pytest.approx(1, abs=0.25)


def test_a_strand_specific_motif_fires_on_forward_sites_only(folder: Path, firings: pd.DataFrame) -> None:
    sites = bed(folder / "truth" / "instances.bed", SITES)
    fired = firings[firings["name"] == f"{MEF2A}+"]
    hit = {}
    for strand in "+-":
        own = sites[(sites["motif"] == MEF2A) & (sites["strand"] == strand)]
        assert len(own) > 40  # planted on both strands
        found = own.merge(fired, left_on=["chrom", "start"], right_on=["chrom", "site_start"])
        hit[strand] = len(found) / len(own)
    assert hit["+"] > 0.5
    assert hit["-"] < 0.1


@pytest.mark.parametrize(("ratio", "channels"), [(1.0, 18), (2.0, 9), (4.0, 4), (8.0, 2), (18.0, 1)])
def test_superposition_sets_the_channels(ratio: float, channels: int, folder: Path) -> None:
    from biosae.synthetic.network import channel_count

    assert channel_count(graded(superposition=ratio), 18) == channels
    if ratio == 2:
        layer = json.loads((folder / "network.json").read_text())["layer"]
        assert layer["channels"] == channels
        with h5py.File(folder / "activations" / "train" / "activations_0.h5") as handle:
            assert handle["activations"].shape[2] == channels


def test_too_much_superposition_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"leaves the synthetic network no channel.*40 for 18"):
        simulate(graded(superposition=40.0), DATABASE, tmp_path / "x")


def test_sites_that_are_all_alike_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"sites of a motif are too alike[\s\S]*MA[\s\S]*motif_strength"):
        simulate(small(motif_strength=8.0), DATABASE, tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_weak_sites_are_planted_from_the_weakened_matrix(tmp_path: Path) -> None:
    """Written and planted matrix are the same one: base frequencies of the sites follow motifs.meme."""
    simulate(small(motif_strength=0.5, gaps=0), DATABASE, tmp_path / "x")
    genome = Fasta(str(tmp_path / "x" / "genome.fa"))
    sites = bed(tmp_path / "x" / "truth" / "instances.bed", SITES)
    original = {m.id: m for m in read_meme(DATABASE)}
    for motif in read_meme(tmp_path / "x" / "truth" / "motifs.meme"):
        counts = np.zeros_like(motif.matrix)
        for site in sites[sites["motif"] == motif.id].itertuples():
            window = genome[site.chrom][site.start : site.end]
            text = (window if site.strand == "+" else window.reverse.complement).seq.upper()
            counts[np.arange(len(text)), ["ACGT".index(c) for c in text]] += 1
        away = np.abs(counts / 120 - motif.matrix).mean()
        assert away < 0.04
        assert away < 0.5 * np.abs(counts / 120 - original[motif.id].matrix).mean()


def test_a_palindrome_has_no_strand_to_be_read_on(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"same on both strands.*{NR3C1}"):
        simulate(graded(strand_specific=(NR3C1,)), DATABASE, tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


def test_program_takes_the_grammar(tmp_path: Path) -> None:
    command = [sys.executable, PROGRAM, "--database", DATABASE, "--motif-ids", *PLANTED]
    command += ["--genome-bp", "90000", "--chromosomes", "1", "--sequence-bp", "8000", "--pad-bp", "200"]
    command += [
        "--files-per-split",
        "1",
        "--instances-per-motif",
        "20",
        "--repeat-copies",
        "5",
        "--gaps",
        "0",
    ]
    command += ["--low-complexity-tracts", "5", "--superposition", "2", "--pair-instances", "10"]
    command += ["--strand-specific", "--random-model", "--output", tmp_path / "x"]
    subprocess.run([*command, "--pairs", f"{CTCF}:{ESRRB}:3"], capture_output=True, check=True)
    table = read_table(tmp_path / "x" / "truth" / "detectors.tsv", "detectors")
    assert (table["kind"] == "pair").sum() == 2
    assert (tmp_path / "x" / "activations" / "random_model" / "train" / "activations_0.h5").is_file()
    wrong = subprocess.run([*command, "--pairs", f"{CTCF}+{ESRRB}"], capture_output=True, text=True)
    assert wrong.returncode == 2
    assert "not written as it must" in wrong.stderr


def test_a_layer_that_is_not_the_networks_is_refused(tmp_path: Path) -> None:
    """Pairs widen the window: a config that still states the old one would cut seqlets wrongly."""
    stated = {"channels": 9, "left_bp": 9, "right_bp": 13}
    with pytest.raises(ConfigError, match=r"layer is not that of the synthetic network.*'left_bp': 22"):
        simulate(graded(), DATABASE, tmp_path / "x", stated)
    assert list(tmp_path.iterdir()) == []
    command = [sys.executable, PROGRAM, "--database", DATABASE, "--motif-ids", *PLANTED, "--n-channels", "10"]
    command += ["--channels", "10", "--left-bp", "8", "--right-bp", "13", "--output", tmp_path / "x"]
    wrong = subprocess.run(command, capture_output=True, text=True)
    assert wrong.returncode == 2
    assert "'left_bp': 9" in wrong.stderr
