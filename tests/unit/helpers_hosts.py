"""Small networks that read DNA, whose geometry is known by counting, and a genome to run them on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from biosae.extraction_plan import Extraction
from biosae.geometry import Layer
from biosae.hosts.host import Host
from biosae.hosts.loading import HostSpec


class Tiny(nn.Module):
    """Two strides of 2 by one shared pool, as Borzoi's tower; outputs (n, 2 tracks, bins of 4 bp).

    first reads [j - 3, j + 4); tower.0, after a pool of pairs, [2j - 7, 2j + 9); tower.3 [4j - 11, 4j + 15).
    """

    def __init__(self, width: int = 6) -> None:
        super().__init__()
        self.first = nn.Conv1d(4, 8, 7, padding="same")
        self.pool = nn.MaxPool1d(2)
        self.tower = nn.Sequential(
            nn.Conv1d(8, 6, 5, padding="same"), nn.GELU(), self.pool, nn.Conv1d(6, width, 3, padding="same")
        )
        self.act = nn.GELU()
        self.head = nn.Conv1d(width, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.act(self.tower(self.pool(self.first(x))))
        return nn.functional.softplus(self.act(self.head(x)))


class Attending(nn.Module):
    """Every position reads every base."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv1d(4, 8, 4, stride=4)
        self.mix = nn.MultiheadAttention(8, 2, batch_first=True)
        self.last = nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x).transpose(1, 2)
        return self.last(x + self.mix(x, x, x, need_weights=False)[0])


class Unpadded(nn.Module):
    """A convolution without padding: position j reads [2j, 2j + 6)."""

    def __init__(self) -> None:
        super().__init__()
        self.only = nn.Conv1d(4, 3, 6, stride=2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.only(x)


def tiny(width: int = 6) -> nn.Module:
    """A factory, as a config names one."""
    return Tiny(width)


LAYERS = {
    "tower.0": Layer("tower.0", "tower.0", 6, 2, 7, 9),
    "tower.3": Layer("tower.3", "tower.3", 6, 4, 11, 15),
}
TINY = HostSpec(LAYERS["tower.3"], "random:1", factory="helpers_hosts:tiny", device="cpu")
OPTIONS = [
    *("--factory", "helpers_hosts:tiny", "--weights", "random:1", "--layer", "tower.3", "--channels", "6"),
    *("--stride-bp", "4", "--left-bp", "11", "--right-bp", "15", "--device", "cpu"),
]


def tiny_host(path: str = "tower.3", seed: int = 1) -> Host:
    """A host around ``Tiny`` with weights of a seed."""
    torch.manual_seed(seed)
    return Host(Tiny(), LAYERS[path])


def random_onehot(n: int, length: int, seed: int = 0) -> torch.Tensor:
    """One-hot bases (n, 4, length)."""
    codes = np.random.default_rng(seed).integers(4, size=(n, length))
    return torch.from_numpy(np.eye(4, dtype=np.float32)[codes].transpose(0, 2, 1).copy())


def write_genome(folder: Path, lengths: tuple[int, ...] = (3000, 1500), seed: int = 0) -> Path:
    """A FASTA of random letters, chr1, chr2, ...; lines of 60."""
    rng, lines = np.random.default_rng(seed), []
    for number, length in enumerate(lengths, start=1):
        text = rng.choice(list("ACGTacgt"), length)
        lines += [f">chr{number}", *("".join(text[at : at + 60]) for at in range(0, length, 60))]
    path = folder / "genome.fa"
    path.write_text("\n".join(lines) + "\n")
    return path


def write_bed(folder: Path, *intervals: tuple[str, int, int], name: str = "intervals.bed") -> Path:
    """A BED of three columns."""
    path = folder / name
    path.write_text("".join("\t".join(map(str, interval)) + "\n" for interval in intervals))
    return path


def asked(**changes: object) -> Extraction:
    """An extraction in float32, so that numbers can be compared."""
    return replace(Extraction(dtype="float32"), **changes)
