"""The simulator: planted where it says, the same bytes twice, and stored in the published layout."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import torch
from helpers_synthetic import DATABASE, PLANTED, small
from pyfaidx import Fasta

from biosae.activations import ActivationStore
from biosae.artefacts import read_table
from biosae.errors import ConfigError, InputError
from biosae.motifs.formats import read_meme
from biosae.synthetic import elements
from biosae.synthetic import genome as genomes
from biosae.synthetic.settings import check_settings
from biosae.synthetic.simulate import chromosome_lengths, simulate, tile

PROGRAM = Path(__file__).resolve().parents[2] / "scripts" / "simulate_activations.py"


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    output = tmp_path_factory.mktemp("simulated") / "set with a space"
    simulate(small(), DATABASE, output)
    return output


def bed(path: Path, names: list[str]) -> pd.DataFrame:
    return pd.read_csv(path, sep="\t", header=None, names=names)


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_same_seed_same_bytes_and_another_seed_other_bytes(folder: Path, tmp_path: Path) -> None:
    simulate(small(), DATABASE, tmp_path / "again")
    simulate(small(seed=4), DATABASE, tmp_path / "other")
    first, again, other = (files_of(f) for f in (folder, tmp_path / "again", tmp_path / "other"))
    assert first == again
    assert first.keys() == other.keys()
    for name in ("genome.fa", "activations/train/activations_0.h5", "network.json", "truth/instances.bed"):
        assert first[name] != other[name]


def test_planted_loci_hold_instances(folder: Path) -> None:
    """Sites drawn from a matrix score far above the same windows read on the other strand or elsewhere."""
    genome = Fasta(str(folder / "genome.fa"))
    sites = bed(folder / "truth" / "instances.bed", ["chrom", "start", "end", "motif", "score", "strand"])
    assert sites["motif"].value_counts().to_dict() == dict.fromkeys(PLANTED, 120)
    assert {"+", "-"} == set(sites["strand"])
    for motif in read_meme(folder / "truth" / "motifs.meme"):
        own = sites[sites["motif"] == motif.id]
        assert ((own["end"] - own["start"]) == motif.width).all()
        odds = np.log2((motif.matrix + 0.01) / 1.04 / 0.25)

        def score(shift: int, own: pd.DataFrame = own, odds: np.ndarray = odds) -> float:
            total = []
            for site in own.itertuples():
                window = genome[site.chrom][site.start + shift : site.end + shift]
                text = (window if site.strand == "+" else window.reverse.complement).seq.upper()
                if set(text) <= set("ACGT") and len(text) == len(odds):
                    total.append(odds[np.arange(len(text)), ["ACGT".index(c) for c in text]].sum())
            return float(np.mean(total))

        information = (motif.matrix * odds).sum()
        assert score(0) == pytest.approx(information, abs=0.8)
        assert score(3) < 0 < score(0)


def test_elements_do_not_overlap_and_are_where_the_annotations_say(folder: Path) -> None:
    sites = bed(folder / "truth" / "instances.bed", ["chrom", "start", "end", "motif", "score", "strand"])
    for _, own in sites.groupby("chrom"):
        assert (own["start"].to_numpy()[1:] >= own["end"].to_numpy()[:-1]).all()
    table = bed(folder / "truth" / "annotations.bed", ["chrom", "start", "end", "name", "score", "class"])
    counts = table["class"].value_counts()
    assert counts["repeat"] == 40
    assert counts["low_complexity"] == 40
    assert counts["enhancer"] == (4 * 120 - 6) // 2 // elements.ENHANCER_SITES  # half of what is not beside N
    assert counts["control"] == genomes.CONTROL_REGIONS
    genome = Fasta(str(folder / "genome.fa"))
    for row in table[table["class"] == "repeat"].itertuples():
        assert genome[row.chrom][row.start : row.end].seq.islower()
        assert genome[row.chrom][row.end : row.end + 1].seq.isupper()  # the spacer is not masked
    enhancers = table[table["class"] == "enhancer"].itertuples()
    inside = [
        ((sites["chrom"] == e.chrom) & (sites["start"] >= e.start) & (sites["end"] <= e.end)).sum()
        for e in enhancers
    ]
    assert set(inside) == {elements.ENHANCER_SITES}


def test_genome_has_n_runs_with_sites_beside_them_and_isochores(folder: Path) -> None:
    genome = Fasta(str(folder / "genome.fa"))
    for chrom in ("chr1", "chr2"):
        assert genome[chrom][-genomes.TAIL_N_BP :].seq == "N" * genomes.TAIL_N_BP
    sites = bed(folder / "truth" / "instances.bed", ["chrom", "start", "end", "motif", "score", "strand"])
    beside = [genome[s.chrom][s.start - 1 : s.start].seq == "N" for s in sites.itertuples() if s.start]
    assert sum(beside) == 6
    bases = genomes.background(400_000, np.random.default_rng(0))
    gc = np.isin(bases.reshape(-1, 20_000), [1, 2]).mean(axis=1)
    assert gc.std() > 0.03  # a homogeneous background of windows this long has 0.0035
    pairs = np.bincount(bases[:-1] * 4 + bases[1:], minlength=16).reshape(4, 4) / (len(bases) - 1)
    share = np.bincount(bases) / len(bases)
    assert pairs[1, 2] < 0.6 * share[1] * share[2]  # CpG is depleted


def test_instance_counts_fall_geometrically() -> None:
    assert elements.instance_counts(3, 400, 0.25) == [400, 200, 100]
    assert elements.instance_counts(2, 7, 1.0) == [7, 7]
    assert elements.instance_counts(1, 5, 0.1) == [5]


def test_sample_sites_draws_the_matrix() -> None:
    matrix = np.array([[0.7, 0.1, 0.1, 0.1], [0, 0, 1, 0], [0.25, 0.25, 0.25, 0.25]])
    sites = elements.sample_sites(matrix, 20_000, np.random.default_rng(0))
    drawn = np.stack([np.bincount(column, minlength=4) for column in sites.T]) / 20_000
    assert np.abs(drawn - matrix).max() < 0.015


def test_the_store_is_readable_in_the_published_layout(folder: Path) -> None:
    header = (folder / "activations" / "train" / "train_seqs.bed").read_text().splitlines()[0]
    assert header.split("\t") == ["0", "1", "2", "chunk_ind", "inner_ind"]
    known = []
    for split in ("train", "validation"):
        store = ActivationStore.open(folder / "activations" / split, pad_bp=400, channels=10, stride_bp=4)
        assert store.positions == (8_000 + 800) // 4
        assert len(store.files) == 2
        assert store.dtype == "float16"
        assert ((store.intervals["end"] - store.intervals["start"]) == 8_800).all()
        known += [(*row, split) for row in store.intervals[["chrom", "start", "end"]].itertuples(index=False)]
    listed = bed(folder / "truth" / "sequences.bed", ["chrom", "start", "end", "split"])
    assert sorted(known) == sorted(listed.itertuples(index=False, name=None))
    assert len(listed) == 120_000 // 8_800
    assert not listed.duplicated(["chrom", "start"]).any()


def test_detections_reproduce_the_activations(folder: Path) -> None:
    """Firings times mixing, plus what distractors and noise leave, explain the stored channels."""
    description = json.loads((folder / "network.json").read_text())
    table = read_table(folder / "truth" / "detectors.tsv", "detectors")
    scored = table["scored"].to_numpy(dtype=bool)
    assert scored[: scored.sum()].all()  # scored detectors come first: their number is their column
    mixing, scales, means = (np.array(description[key]) for key in ("mixing", "scales", "means"))
    firings = pd.read_parquet(folder / "truth" / "detections.parquet")
    for split, name in (("train", "n_train"), ("validation", "n_validation")):
        counts = firings.loc[firings["split"] == split, "detector"].value_counts().reindex(table["detector"])
        assert counts.fillna(0)[scored].tolist() == table.loc[scored, name].tolist()
        assert table.loc[~scored, name].isna().all()
    with h5py.File(folder / "activations" / "train" / "activations_0.h5") as handle:
        stored = (handle["activations"][0].astype(float) - means) / scales
    own = firings[(firings["chrom"] == "chr1") & (firings["sequence_start"] == 0)]
    dense = np.zeros((len(stored), len(mixing)))
    dense[own["position"], own["detector"]] = own["activation"]
    active = dense.any(axis=1)
    left = stored - dense @ mixing
    assert left[active].var() < 0.25 * stored[active].var()
    assert left[~active].std() == pytest.approx(0.06, abs=0.03)  # noise 0.05 and distractors


def test_site_starts_are_the_planted_sites(folder: Path) -> None:
    """Most planted sites (SENSITIVITY of them, on the strand planted) fire, exactly where they lie."""
    table = read_table(folder / "truth" / "detectors.tsv", "detectors").set_index("detector")
    firings = pd.read_parquet(folder / "truth" / "detections.parquet").join(
        table[["motif", "strand"]], on="detector"
    )
    sites = bed(folder / "truth" / "instances.bed", ["chrom", "start", "end", "motif", "score", "strand"])
    for name in ("MA0139.2", "MA0141.4", "MA0052.5"):
        for strand in "+-":
            own = sites[(sites["motif"] == name) & (sites["strand"] == strand)]
            fired = firings[(firings["motif"] == name) & (firings["strand"] == strand)]
            found = own.merge(fired, left_on=["chrom", "start"], right_on=["chrom", "site_start"])
            assert len(found) > 0.55 * len(own)


def test_the_database_holds_what_its_readme_says() -> None:
    motifs = read_meme(DATABASE)
    assert len(motifs) == len({motif.id for motif in motifs}) == 256
    assert [motif.id for motif in motifs] == sorted(motif.id for motif in motifs)
    assert all(8 <= motif.width <= 18 for motif in motifs)
    assert DATABASE.stat().st_size < 250_000
    readme = DATABASE.with_name("README.md").read_text()
    assert DATABASE.name in readme
    assert "CC BY 4.0" in readme
    for name in PLANTED:
        assert name in readme


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_channels": 0}, "n_channels is too small"),
        ({"pad_bp": 401}, "multiples of stride_bp"),
        ({"genome_bp": 20_000}, "too small for its files"),
        ({"noise": -0.1}, "noise is too small"),
        ({"rarest_share": 0.0}, "rarest_share is no share"),
        ({"distractor_density": 1.5}, "distractor_density is no share"),
    ],
)
def test_settings_that_cannot_be_simulated(changes: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_settings(small(**changes))


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="do not fit into the synthetic genome"):
        simulate(small(instances_per_motif=4_000), DATABASE, tmp_path / "x")
    with pytest.raises(ConfigError, match="has no superposition"):
        simulate(small(n_channels=40), DATABASE, tmp_path / "x")
    with pytest.raises(ConfigError, match=r"not in the database: \['MA9999.1'\]"):
        simulate(small(motif_ids=("MA9999.1",)), DATABASE, tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_other_files_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match=r"does not write.*thesis\.txt"):
        simulate(small(), DATABASE, tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_tiles_cover_the_chromosomes_and_files_differ_in_length() -> None:
    settings = small(genome_bp=140_000)
    lengths = chromosome_lengths(settings)
    table = tile(settings, lengths)
    assert [int((own["end"] - own["start"]).sum()) for _, own in table.groupby("chrom")] == lengths
    sizes = table.groupby(["split", "file"]).size()
    assert set(sizes.index) == {(s, f) for s in ("train", "validation") for f in (0, 1)}
    for _, own in table.groupby(["split", "file"]):
        assert own["row"].tolist() == list(range(len(own)))


def test_program_writes_and_explains_itself(tmp_path: Path) -> None:
    shown = subprocess.run([sys.executable, PROGRAM, "--help"], capture_output=True, text=True, check=True)
    assert "bp between output positions (default: 4)" in " ".join(shown.stdout.split())
    options = ["--genome-bp", "90000", "--chromosomes", "1", "--sequence-bp", "8000", "--pad-bp", "200"]
    options += ["--n-channels", "8", "--files-per-split", "1", "--instances-per-motif", "20"]
    options += ["--repeat-copies", "5", "--low-complexity-tracts", "5", "--gaps", "2"]
    command = [sys.executable, PROGRAM, "--database", DATABASE, "--motif-ids", *PLANTED, *options]
    output = tmp_path / "it's a folder"
    subprocess.run([*command, "--output", output], capture_output=True, check=True)
    assert json.loads((output / "network.json").read_text())["layer"]["channels"] == 8
    wrong = subprocess.run([*command, "--stride-bp", "3", "--output", output], capture_output=True, text=True)
    assert wrong.returncode == 2
    assert "multiples of stride_bp" in wrong.stderr
