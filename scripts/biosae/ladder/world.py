"""One world of the ladder in a folder: simulated, opened, with the statistics that dictionaries need."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix, vstack

from biosae.activations import ActivationStore
from biosae.geometry import Layer
from biosae.motifs.formats import Motif, read_meme
from biosae.permuting import permute_store
from biosae.statistics import ChannelStatistics, compute_statistics
from biosae.synthetic import scoring
from biosae.synthetic.settings import SyntheticSettings
from biosae.synthetic.simulate import simulate

SPLITS = ("train", "validation")


@dataclass(frozen=True)
class Stores:
    """Activations of one kind: the given ones, the permuted ones or those of random weights.

    Attributes:
        train, validation: the stores; all kinds have the same sequences in the same order.
        statistics: of the channels of ``train``.
    """

    train: ActivationStore
    validation: ActivationStore
    statistics: ChannelStatistics


@dataclass
class World:
    """A simulated world.

    Attributes:
        folder: where it was simulated.
        layer: geometry of the network.
        truth: what was planted.
        fires: (rows of the validation store, detectors) bool.
        targets: matrices that motifs are matched with.
    """

    folder: Path
    settings: SyntheticSettings
    layer: Layer
    truth: scoring.Truth
    fires: csr_matrix
    targets: list[Motif]
    _stores: dict[str, Stores] = field(default_factory=dict)

    def stores(self, data: str) -> Stores:
        """Stores of ``given``, ``permuted`` or ``random_model`` activations, made when first asked for."""
        if data not in self._stores:
            self._stores[data] = self._open(data)
        return self._stores[data]

    def _open(self, data: str) -> Stores:
        root = self.folder / "activations"
        pad_bp = self.settings.pad_bp
        if data == "permuted":
            for split in SPLITS:
                given = getattr(self.stores("given"), split)
                permute_store(given, root / data / split, given.n_rows, self.settings.seed)
            pad_bp = 0  # its intervals are the whole ones
        folder = root if data == "given" else root / data
        train, validation = (ActivationStore.open(folder / split, pad_bp) for split in SPLITS)
        return Stores(train, validation, compute_statistics(train, [0.5]))

    def displaced_fires(self) -> csr_matrix:
        """``fires`` moved by half the store, so that nothing can know where detectors fire."""
        half = self.fires.shape[0] // 2
        return vstack([self.fires[half:], self.fires[:half]]).tocsr()


def make_world(settings: SyntheticSettings, database: Path, folder: Path) -> World:
    """Simulate into ``folder`` and open what was written."""
    simulate(settings, database, folder)
    truth = scoring.load_truth(folder / "truth")
    layer = Layer.from_dict(json.loads((folder / "network.json").read_text())["layer"])
    validation = ActivationStore.open(folder / "activations" / "validation", settings.pad_bp)
    fires = scoring.truth_matrix(truth, validation.intervals, validation.positions)
    return World(folder, settings, layer, truth, fires, read_meme(folder / "truth" / "targets.meme"))


def windows_of(store: ActivationStore, layer: Layer, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Chromosome (object) and start (int64) of the receptive field of rows of a store, each (n,)."""
    sequence, position = store.locate(rows)
    start, _ = layer.window(store.intervals["start"].to_numpy()[sequence], position)
    return store.intervals["chrom"].to_numpy(object)[sequence], start
