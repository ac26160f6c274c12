"""A small world with planted motifs whose detectors are the nodes, and a finished run on it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from biosae.artefacts import load_schema, write_table, write_text
from biosae.geometry import Layer
from biosae.motifs.formats import Motif, write_meme
from unit.helpers_store import write_files

STRIDE, LEFT, RIGHT = (
    4,
    7,
    11,
)  # right - left = stride: the reverse complement of a genome has the same windows
LETTERS = "ACGT"
PAIR, PALINDROME, ONE_STRAND = "GATTACAGTC", "GGTCATGACC", "TTGCCAAGTA"


def sharp_motif(name: str, consensus: str, share: float = 0.97) -> Motif:
    """A matrix with ``share`` for the letters of a consensus."""
    matrix = np.full((len(consensus), 4), (1 - share) / 3)
    matrix[np.arange(len(consensus)), [LETTERS.index(letter) for letter in consensus]] = share
    return Motif(name, name, matrix, n_sites=100)


def reverse_complement(text: str) -> str:
    return text[::-1].translate(str.maketrans("ACGTN", "TGCAN"))


@dataclass(frozen=True)
class World:
    """One sequence per chromosome; node i reads ``words[i]`` on the forward strand, with a mismatch at most.

    Attributes:
        chromosomes: letters of each, a multiple of the stride long.
        words: what each node reads.
    """

    chromosomes: list[str]
    words: list[str]

    @property
    def layer(self) -> Layer:
        return Layer("test", "", len(self.words), STRIDE, LEFT, RIGHT)

    @property
    def positions(self) -> int:
        return len(self.chromosomes[0]) // STRIDE

    def activations(self) -> np.ndarray:
        """(n_sequences, positions, n_nodes) float32: 2 where a window holds the word, 1 with a mismatch."""
        return np.stack([self._of(letters) for letters in self.chromosomes])

    def _of(self, letters: str) -> np.ndarray:
        padded = np.frombuffer(f"{'N' * LEFT}{letters}{'N' * RIGHT}".encode(), np.uint8)
        found = np.zeros((self.positions, len(self.words)), np.float32)
        for node, word in enumerate(self.words):
            places = np.lib.stride_tricks.sliding_window_view(padded, len(word))
            same = (places == np.frombuffer(word.encode(), np.uint8)).sum(axis=1)
            value = np.maximum(same - len(word) + 2, 0)
            windows = np.lib.stride_tricks.sliding_window_view(value, LEFT + RIGHT - len(word) + 1)
            found[:, node] = windows[::STRIDE][: self.positions].max(axis=1)
        return found

    def turned(self) -> World:
        """The reverse complement of the genome; nodes read what they read."""
        return replace(self, chromosomes=[reverse_complement(letters) for letters in self.chromosomes])


def planted_world(bases: int = 16_384, chromosomes: int = 2, sites: int = 60, seed: int = 0) -> World:
    """Both strands of PAIR have a node, PALINDROME has one, ONE_STRAND only its forward strand."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(chromosomes):
        letters = rng.choice(list("ACGT"), bases)
        places = rng.permutation(bases // 32)[: 5 * sites] * 32 + 8
        words = [PAIR, reverse_complement(PAIR), PALINDROME, ONE_STRAND, reverse_complement(ONE_STRAND)]
        for at, word in zip(places, words * sites, strict=True):
            letters[at : at + len(word)] = list(word)
        made.append("".join(letters))
    return World(made, [PAIR, reverse_complement(PAIR), PALINDROME, ONE_STRAND])


def filled(schema: str, rows: list[dict]) -> pd.DataFrame:
    """Rows of a table; what a test does not name is null where that is allowed, else 1, True or text."""
    plain = {"integer": 1, "number": 1.0, "string": "x", "boolean": True}
    table = {}
    for name, rule in load_schema(schema)["properties"].items():
        kinds = rule["type"] if isinstance(rule["type"], list) else [rule["type"]]
        value = None if "null" in kinds else rule.get("enum", [plain[kinds[0]]])[0]
        table[name] = [row.get(name, value) for row in rows]
    return pd.DataFrame(table)


def write_world(folder: Path, world: World, motifs: list[Motif | None] | None = None) -> Path:
    """Store, genome, and a finished run whose nodes are the channels; returns the run's folder."""
    from biosae.checkpoint import save_checkpoint
    from biosae.model import RawChannels

    write_files(folder / "store", [world.activations()])
    names = [f"chr{i + 1}" for i in range(len(world.chromosomes))]
    rows = [f"{name}\t0\t{len(world.chromosomes[0])}\t0\t{i}\n" for i, name in enumerate(names)]
    write_text(folder / "store" / "intervals.tsv", "chrom\tstart\tend\tfile\trow\n" + "".join(rows))
    text = "".join(f">{name}\n{letters}\n" for name, letters in zip(names, world.chromosomes, strict=True))
    write_text(folder / "genome.fa", text)
    run = folder / "run"
    save_checkpoint(RawChannels(len(world.words)), run / "checkpoint", {"layer": world.layer.as_dict()})
    write_run_tables(run, world, motifs)
    return run


def write_run_tables(run: Path, world: World, motifs: list[Motif | None] | None = None) -> None:
    """selected_nodes.tsv, motifs.tsv, motifs.meme and seqlets of the nodes, rank = node + 1."""
    nodes = range(len(world.words))
    write_table(
        filled("selected_nodes", [{"rank": n + 1, "node": n, "histogram": "0" + ",0" * 31} for n in nodes]),
        run / "selected_nodes.tsv",
        "selected_nodes",
    )
    motifs = [sharp_motif("", word) for word in world.words] if motifs is None else motifs
    named = [None if m is None else replace(m, id=f"{n + 1}_n{n}_m1") for n, m in enumerate(motifs)]
    rows = [
        {"motif_id": m.id, "rank": n + 1, "node": n, "motif": 1, "log10_e": -50.0, "consensus": m.consensus}
        for n, m in enumerate(named)
        if m is not None
    ]
    write_table(filled("motifs", rows), run / "motifs.tsv", "motifs")
    write_meme(run / "motifs.meme", [m for m in named if m is not None])
    for node, seqlets in enumerate(seqlets_of(world)):
        text = "".join(f">chr1:{i}-{i + 18}(+)\n{letters}\n" for i, letters in enumerate(seqlets))
        write_text(run / "seqlets" / f"{node + 1}_n{node}.fa", text)


def seqlets_of(world: World, most: int = 80) -> list[list[str]]:
    """Windows of each node's first positions at full activation, letters as read on the forward strand."""
    found: list[list[str]] = []
    activations = world.activations()
    for node in range(len(world.words)):
        sequence, position = np.nonzero(activations[:, 2:-3, node] == 2)
        starts = zip(sequence.tolist(), ((position + 2) * STRIDE - LEFT).tolist(), strict=True)
        windows = [world.chromosomes[s][at : at + LEFT + RIGHT] for s, at in starts]
        found.append(windows[:most])
    return found
