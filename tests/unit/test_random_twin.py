"""The random twin: its channels tell nothing of motifs, and all but the filters is the network's."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from helpers_synthetic import DATABASE, small

from biosae.activations import ActivationStore
from biosae.synthetic import scoring
from biosae.synthetic.elements import reverse_complement
from biosae.synthetic.genome import background
from biosae.synthetic.network import build_network, detect
from biosae.synthetic.simulate import planted_motifs, simulate
from biosae.synthetic.twin import random_twin

SETTINGS = small(random_model=True, n_channels=16)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    output = tmp_path_factory.mktemp("twin") / "set"
    simulate(SETTINGS, DATABASE, output)
    return output


def read(folder: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Channels and motif firings of a store, (rows, channels) and (rows, motif detectors)."""
    truth = scoring.load_truth(folder / "truth")
    store = ActivationStore.open(folder / "activations" / split, pad_bp=400)
    channels = np.concatenate([block for _, block in store.slabs(8192)]).astype(np.float64)
    fires = scoring.truth_matrix(truth, store.intervals, store.positions).toarray()
    return channels, fires[:, (truth.detectors["kind"] == "motif").to_numpy()].astype(np.float64)


def read_out(folder: Path, data: str) -> np.ndarray:
    """R2, on held-out rows, of the best linear reading of each motif detector from the channels."""
    (train, fires), (other, held_out) = (read(folder, f"{data}{split}") for split in ("train", "validation"))
    mean = train.mean(axis=0)
    design, test = (np.column_stack([part - mean, np.ones(len(part))]) for part in (train, other))
    weights = np.linalg.lstsq(design, fires, rcond=None)[0]
    return 1 - ((test @ weights - held_out) ** 2).sum(axis=0) / len(held_out) / held_out.var(axis=0)


def test_the_twins_channels_tell_nothing_of_motifs(folder: Path) -> None:
    assert read_out(folder, "").mean() > 0.1
    assert read_out(folder, "random_model/").max() < 0.02
    for data, least, most in (("", 0.2, 1.0), ("random_model/", 0.0, 0.08)):
        channels, fires = read(folder, f"{data}train")
        both = np.abs(np.corrcoef(channels.T, fires.T)[: channels.shape[1], channels.shape[1] :])
        assert least <= both.max() <= most


def test_noise_means_and_scales_are_the_networks(folder: Path) -> None:
    """Where no detector of either network fires the stored channels are equal: the same noise, unmixed."""
    given, random = (
        h5py.File(folder / "activations" / data / "train" / "activations_0.h5")["activations"][:]
        for data in ("", "random_model")
    )
    assert given.shape == random.shape
    equal = (given == random).all(axis=2).mean()
    assert 0.6 < equal < 0.95
    names = sorted(p.name for p in (folder / "activations" / "train").iterdir())
    assert names == sorted(p.name for p in (folder / "activations" / "random_model" / "train").iterdir())
    tables = [
        (folder / "activations" / data / "train" / "train_seqs.bed").read_bytes()
        for data in ("", "random_model")
    ]
    assert tables[0] == tables[1]


def test_the_given_activations_do_not_hang_on_the_twin(folder: Path, tmp_path: Path) -> None:
    simulate(small(n_channels=16), DATABASE, tmp_path / "x")
    for name in ("activations/train/activations_0.h5", "truth/detections.parquet", "genome.fa"):
        assert (tmp_path / "x" / name).read_bytes() == (folder / name).read_bytes()


def test_the_twin_is_deterministic_in_its_seed(folder: Path, tmp_path: Path) -> None:
    simulate(SETTINGS, DATABASE, tmp_path / "x")
    name = "activations/random_model/validation/activations_0.h5"
    assert (tmp_path / "x" / name).read_bytes() == (folder / name).read_bytes()


def test_densities_are_those_asked_for_and_places_stay() -> None:
    settings = small(pairs=(("MA0139.2", "MA0141.4", 4),))
    planted, _ = planted_motifs(DATABASE, settings.motif_ids)
    network = build_network(planted, np.arange(300, dtype=np.int8) % 4, settings)
    sequences = [background(40_000, np.random.default_rng(i)) for i in range(6)]
    density = np.geomspace(0.001, 0.03, len(network.detectors))
    twin = random_twin(network, density, sequences[:4], seed=1)
    fired = np.mean([(detect(twin, bases)[0] > 0).mean(axis=0) for bases in sequences[4:]], axis=0)
    assert (np.abs(np.log2(fired / density)) < 1).all()  # on sequences that the thresholds have not seen
    strong = np.concatenate([detect(twin, bases)[0] for bases in sequences[:4]])
    means = [column[column > 0].mean() for column in strong.T]
    assert means == pytest.approx([d.gain for d in network.detectors], rel=1e-3)
    for own, other in zip(twin.detectors, network.detectors, strict=True):
        assert (own.name, own.gain, own.kind) == (other.name, other.gain, other.kind)
        assert own.partner is None
        assert own.filter.any(axis=1).sum() == own.width
        if other.partner is None:
            assert (own.offset, own.width) == (other.offset, other.width)
        assert abs(np.corrcoef(own.filter.ravel(), other.filter.ravel())[0, 1]) < 0.6
    assert twin.layer == network.layer
    assert twin.mixing is network.mixing
    assert reverse_complement(np.array([0, 1, 4], dtype=np.int8)).tolist() == [4, 2, 3]
