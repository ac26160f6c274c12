"""Small networks whose outputs are known to need some nodes, or none, and finished runs on them."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from biosae.activations import ActivationStore
from biosae.artefacts import provenance, read_table, write_table, write_text
from biosae.checkpoint import save_checkpoint
from biosae.encoding import encode_part, encoding_notes, write_encoded
from biosae.genome import Genome
from biosae.geometry import Layer
from biosae.hosts.host import Host
from biosae.hosts.onehot import encode
from biosae.model import SAE
from biosae.nodes import select_nodes
from biosae.seqlets import collect_seqlets, write_seqlets
from biosae.top_activations import read_top_activations
from unit.helpers_seqlets import random_dna, write_genome
from unit.helpers_store import write_files

SEQUENCE_BP, STRIDE, WORD_BP = 1024, 4, 10


class PlantedNetwork(nn.Module):
    """Detectors of words, mixed into the channels of ``mixed``, read out again, summed into two tracks.

    Track 0 needs the detectors of ``drivers[0]``, track 1 those of ``drivers[1]``; all others leak a little
    into both.
    """

    def __init__(self, words: list[str], channels: int, drivers: list[list[int]], seed: int = 0):
        super().__init__()
        rng = torch.Generator().manual_seed(seed)
        n = len(words)
        self.detect = nn.Conv1d(4, n, WORD_BP)
        self.pool = nn.MaxPool1d(STRIDE)
        self.mixed = nn.Conv1d(n, channels, 1)
        self.unmix = nn.Conv1d(channels, n, 1)
        self.head = nn.Conv1d(n, 2, 1)
        letters = np.stack([encode(np.frombuffer(word.encode(), np.uint8))[0] for word in words])
        mixing = torch.randn(n, channels, generator=rng)
        mixing /= mixing.norm(dim=1, keepdim=True)
        readout = 0.01 * torch.randn(2, n, generator=rng)
        for track, detectors in enumerate(drivers):
            readout[track, detectors] = 1.0
        with torch.no_grad():
            self.detect.weight.copy_(torch.from_numpy(letters))
            self.detect.bias.fill_(1.0 - WORD_BP)
            self.mixed.weight.copy_(mixing.t()[:, :, None])
            self.mixed.bias.copy_(torch.randn(channels, generator=rng))
            back = torch.linalg.pinv(mixing)  # (channels, n)
            self.unmix.weight.copy_(back.t()[:, :, None])
            self.unmix.bias.copy_(-(self.mixed.bias @ back))
            self.head.weight.copy_(readout[:, :, None])
            self.head.bias.zero_()

    def forward(self, x):
        found = torch.relu(self.detect(nn.functional.pad(x, (0, WORD_BP - 1))))
        layer = self.mixed(self.pool(found))
        return nn.functional.softplus(nn.functional.avg_pool1d(self.head(self.unmix(layer)), 8))

    def dictionary(self, k: int = 6) -> SAE:
        """The SAE whose nodes are the detectors, exactly."""
        mixing = self.mixed.weight[:, :, 0].t()
        model = SAE(mixing.shape[1], len(mixing), k, layer_norm=False)
        with torch.no_grad():
            model.decoder.copy_(mixing)
            model.encoder.copy_(torch.linalg.pinv(mixing).t())
            model.pre_bias.copy_(self.mixed.bias)
            model.latent_bias.fill_(-1e-4)  # rounding is no activation
        return model.eval()


class RandomNetwork(nn.Module):
    """Convolutions with random weights, GELU between them: a null. ``mixed`` is read."""

    def __init__(self, channels: int = 32, tracks: int = 6, seed: int = 0):
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.first = nn.Conv1d(4, 24, 9, padding=4)
            self.pool = nn.MaxPool1d(STRIDE)
            self.mixed = nn.Conv1d(24, channels, 1)
            self.rest = nn.Sequential(
                nn.GELU(), nn.Conv1d(channels, 48, 5, padding=2), nn.GELU(), nn.MaxPool1d(4),
                nn.Conv1d(48, 48, 5, padding=2), nn.GELU(), nn.Conv1d(48, tracks, 1), nn.Softplus(),
            )  # fmt: skip

    def forward(self, x):
        return self.rest(self.mixed(self.pool(self.first(x))))


def data_dictionary(rows: torch.Tensor, n_nodes: int, k: int, seed: int, layer_norm: bool = False) -> SAE:
    """An SAE whose directions are rows of the data less their mean: fitted to the data, not to any output."""
    mean, spread = rows.mean(0), rows.std(0)
    model = SAE(rows.shape[1], n_nodes, k, layer_norm, mean.numpy(), spread.numpy(), seed)
    chosen = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))[:n_nodes]
    inner = model._inner(model.normalise(rows[chosen]))[0]
    with torch.no_grad():
        model.decoder.copy_(nn.functional.normalize(inner, dim=1))
        model.encoder.copy_(model.decoder)
        model.pre_bias.zero_()
        model.latent_bias.zero_()
    return model.eval()


@dataclass(frozen=True)
class World:
    """A network, a genome and a finished run.

    Attributes:
        drivers: (node, track) pairs that the network needs.
    """

    host: Host
    genome: Genome
    run: Path
    model: SAE
    drivers: set[tuple[int, int]]


def reverse_complement(word: str) -> str:
    return word[::-1].translate(str.maketrans("ACGT", "TGCA"))


def planted_genome(folder: Path, words: list[str], sequences: int, sites: int, seed: int) -> Genome:
    """Two chromosomes of random DNA with each word planted ``sites`` times, nowhere overlapping."""
    rng = np.random.default_rng(seed)
    length = sequences // 2 * SEQUENCE_BP
    letters = np.frombuffer(random_dna(2 * length, seed).encode(), np.uint8).copy()
    slots = rng.permutation(2 * length // 24)[: sites * len(words)] * 24 + 4
    for at, word in zip(slots.tolist(), words * sites, strict=False):
        letters[at : at + len(word)] = np.frombuffer(word.encode(), np.uint8)
    text = letters.tobytes().decode()
    return Genome(write_genome(folder / "genome.fa", {"chr1": text[:length], "chr2": text[length:]}))


def read_layer(host: Host, genome: Genome, sequences: int) -> np.ndarray:
    """Activations (sequences, positions, channels) of the whole genome."""
    starts = range(0, sequences // 2 * SEQUENCE_BP, SEQUENCE_BP)
    windows = [encode(genome.segment(c, s, s + SEQUENCE_BP)) for c in ("chr1", "chr2") for s in starts]
    return host.activations(torch.from_numpy(np.concatenate(windows))).numpy()


def finish_run(folder: Path, model: SAE, layer: Layer, genome: Genome, activations: np.ndarray) -> Path:
    """Encode, select and cut, as the programs do."""
    write_files(folder / "store", [activations.astype(np.float32)])
    half = len(activations) // 2
    places = [(c, i * SEQUENCE_BP) for c in ("chr1", "chr2") for i in range(half)]
    rows = [f"{c}\t{s}\t{s + SEQUENCE_BP}\t0\t{i}\n" for i, (c, s) in enumerate(places)]
    write_text(folder / "store" / "intervals.tsv", "chrom\tstart\tend\tfile\trow\n" + "".join(rows))
    run = folder / "run"
    save_checkpoint(model, run / "checkpoint", {"layer": layer.as_dict(), "role": "sae"})
    store = ActivationStore.open(folder / "store", 0, layer.channels, layer.stride_bp, layer.name)
    settings = {"top_per_part": 4, "parts_per_sequence": 4}
    notes = encoding_notes(run / "checkpoint", store, layer, settings, "cpu")
    with tempfile.TemporaryDirectory() as scratch:
        part = Path(scratch) / "part.h5"
        encode_part(model, store, part, **settings, sequences=(0, store.n_sequences), notes=notes)
        write_encoded([part], run)
    selected = select_nodes(read_table(run / "node_stats.tsv", "node_stats"), 8, 4, "mean", None).table
    write_table(selected, run / "selected_nodes.tsv", "selected_nodes")
    top, _ = read_top_activations(run / "top_activations.parquet")
    seqlets = collect_seqlets(top, selected, layer, genome, per_node=100)
    write_seqlets(seqlets, run / "seqlets", provenance("test", {}))
    return run


def planted_world(folder: Path, n_words: int = 24, seed: int = 0) -> World:
    """Words 0 and 1 are each other's reverse complement and drive track 0; 2 and 3 likewise track 1."""
    rng = np.random.default_rng(seed)
    words = ["".join(rng.choice(list("ACGT"), WORD_BP)) for _ in range(n_words)]
    words[1], words[3] = reverse_complement(words[0]), reverse_complement(words[2])
    network = PlantedNetwork(words, channels=n_words + 8, drivers=[[0, 1], [2, 3]], seed=seed)
    layer = Layer("mixed", "mixed", n_words + 8, STRIDE, 0, STRIDE + WORD_BP - 1)
    host = Host(network, layer)
    genome = planted_genome(folder, words, sequences=40, sites=40, seed=seed)
    model = network.dictionary()
    run = finish_run(folder, model, layer, genome, read_layer(host, genome, 40))
    return World(host, genome, run, model, {(0, 0), (1, 0), (2, 1), (3, 1)})


def random_world(folder: Path, seed: int = 0, n_nodes: int = 48, layer_norm: bool = False) -> World:
    """A network with random weights; no node is any different from others."""
    network = RandomNetwork(seed=seed)
    layer = Layer("mixed", "mixed", 32, STRIDE, 4, STRIDE + 4)
    host = Host(network, layer)
    genome = planted_genome(folder, [], sequences=40, sites=0, seed=seed)
    activations = read_layer(host, genome, 40)
    rows = torch.from_numpy(activations.reshape(-1, 32))
    model = data_dictionary(rows, n_nodes, k=6, seed=seed, layer_norm=layer_norm)
    run = finish_run(folder, model, layer, genome, activations)
    return World(host, genome, run, model, set())
