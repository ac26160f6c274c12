"""A run up to specificity.tsv on a small store, the file of its examples read back, and a slow twin."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

from biosae.activations import ActivationStore
from biosae.artefacts import read_table, write_table
from biosae.checkpoint import save_checkpoint
from biosae.encoding import encode_part, encoding_notes, write_encoded
from biosae.examples import Settings
from biosae.examples_run import collect_examples
from biosae.genome import Genome
from biosae.geometry import Layer
from biosae.letter_codes import letter_codes
from biosae.model import Dictionary
from biosae.motif_scan import composition, prepare
from biosae.motifs.formats import Motif, write_meme
from biosae.seqlets import TOP_COLUMNS, collect_seqlets, write_seqlets
from biosae.specificity import Settings as HitSettings
from biosae.specificity_run import measure_run
from biosae.top_activations import read_top_activations
from unit.helpers_seqlets import selected_table, write_genome
from unit.helpers_store import write_store

COLUMNS = ("band", "chrom", "start", "peak", "motif_at", "motif_strand", "motif_score", "has_motif")
EVERYTHING = 10**6  # positions: the whole of any store here
MASK = 2**64 - 1


@dataclass
class SmallRun:
    """A run on a store, and what it was made of.

    Attributes:
        folder: holds store/, genome.fa and run/.
        arrays: activations of each file (n_sequences, positions, channels).
        intervals: chrom, start, end of each sequence.
        chromosomes: letters by name.
        kept: node numbers by rank.
        motifs: best motif of each kept node, or None.
        window_bp: width of the seqlets where it is not the receptive field.
    """

    folder: Path
    model: Dictionary
    layer: Layer
    arrays: list[np.ndarray]
    intervals: list[tuple[str, int, int]]
    chromosomes: dict[str, str]
    kept: list[int]
    motifs: list[Motif | None]
    window_bp: int | None = None
    strand: str = "given"

    @property
    def run(self) -> Path:
        return self.folder / "run"

    def write(self, sample_positions: int = EVERYTHING, per_node: int = 1000) -> SmallRun:
        """Every file that collect_examples reads, by the programs' own functions."""
        write_store(self.folder / "store", self.arrays, self.intervals, self.layer.stride_bp)
        write_genome(self.folder / "genome.fa", self.chromosomes)
        save_checkpoint(self.model, self.run / "checkpoint", {"layer": self.layer.as_dict()})
        self.encode()
        self.write_tables(per_node)
        self.measure(sample_positions)
        return self

    def encode(self) -> None:
        store, part = self.store(), self.folder / "part.h5"
        settings = {"top_per_part": 30, "parts_per_sequence": 2}
        notes = encoding_notes(self.run / "checkpoint", store, self.layer, settings, "cpu")
        encode_part(self.model, store, part, **settings, notes=notes)
        write_encoded([part], self.run)

    def write_tables(self, per_node: int = 1000) -> None:
        """selected_nodes.tsv, seqlets, motifs.tsv and motifs.meme."""
        stats = read_table(self.run / "node_stats.tsv", "node_stats").set_index("node_id")
        selected = selected_table(self.kept)
        selected["max_act"] = stats["max_act"].reindex(self.kept).to_numpy()
        write_table(selected, self.run / "selected_nodes.tsv", "selected_nodes")
        top = read_top_activations(self.run / "top_activations.parquet", TOP_COLUMNS)[0]
        genome, width = Genome(self.folder / "genome.fa"), self.window_bp
        seqlets = collect_seqlets(top, selected, self.layer, genome, per_node=per_node, window_bp=width)
        write_seqlets(seqlets, self.run / "seqlets", {})
        named = [
            replace(motif, id=f"{rank}_n{node}_m1", name="x")
            for rank, (node, motif) in enumerate(zip(self.kept, self.motifs, strict=True), start=1)
            if motif is not None
        ]
        rows = [(motif.id, *map(int, motif.id[:-3].split("_n")), motif.consensus) for motif in named]
        write_table(motif_table(rows), self.run / "motifs.tsv", "motifs")
        write_meme(self.run / "motifs.meme", named)

    def measure(self, sample_positions: int = EVERYTHING) -> pd.DataFrame:
        """specificity.tsv, by its own stage."""
        settings = HitSettings(strand=self.strand)
        paths = self.run, self.folder / "store", self.folder / "genome.fa"
        table, _ = measure_run(*paths, settings, sample_positions=sample_positions, device="cpu")
        write_table(table, self.run / "specificity.tsv", "specificity")
        return table

    def store(self) -> ActivationStore:
        return ActivationStore.open(self.folder / "store", 0, self.layer.channels, self.layer.stride_bp)

    def collect(self, output: str = "examples.h5", **settings) -> Collected:
        """Collect the examples, over the whole store unless told otherwise, and read them back."""
        chosen = Settings(**{"sample_positions": EVERYTHING, "strand": self.strand, **settings})
        paths = self.run, self.folder / "store", self.folder / "genome.fa"
        collect_examples(*paths, chosen, self.run / output, {"program": "test"}, device="cpu")
        return Collected.read(self.run / output)

    def dense(self) -> np.ndarray:
        """Activation of every node at every position, float32 (n_sequences, positions, n_nodes)."""
        sequences = [sequence for array in self.arrays for sequence in array]
        found = np.zeros((len(sequences), len(sequences[0]), self.model.n_nodes), np.float32)
        for number, sequence in enumerate(sequences):
            codes = self.model.encode_block(sequence.astype(np.float32))
            found[number, codes.rows, codes.nodes] = codes.values
        return found


def motif_table(rows: list[tuple]) -> pd.DataFrame:
    """motifs.tsv of (motif_id, rank, node, consensus)."""
    from unit.helpers_specificity import filled

    names = ("motif_id", "rank", "node", "consensus")
    return filled("motifs", [dict(zip(names, row, strict=True), motif=1, log10_e=-50.0) for row in rows])


@dataclass
class Collected:
    """``examples.h5``, read."""

    attributes: dict
    arrays: dict[str, np.ndarray]

    @classmethod
    def read(cls, path: Path) -> Collected:
        with h5py.File(path) as file:
            arrays = {name: file[name][()] for name in file}
            return cls(dict(file.attrs), arrays)

    @property
    def counts(self) -> dict[str, int]:
        return json.loads(self.attributes["counts"])

    def of(self, row: int, band: int) -> dict[str, np.ndarray]:
        """All columns of the examples of one kept node and band, chromosomes by name."""
        edges = self.arrays["edges"]
        rows = np.arange(edges[row], edges[row + 1])
        rows = rows[self.arrays["band"][rows] == band]
        found = {name: self.arrays[name][rows] for name in (*COLUMNS, "sequence", "activation")}
        names = [name.decode() for name in self.arrays["chroms"]]
        return found | {"chrom": [names[code] for code in found["chrom"]]}


def slow_mix(value: int) -> int:
    """splitmix64 in Python's integers."""
    value = (value + 0x9E3779B97F4A7C15) & MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & MASK
    return value ^ (value >> 31)


class SlowExamples:
    """What collect_examples must choose of one node, by loops over every position of the whole store."""

    def __init__(self, made: SmallRun, most: int = 20) -> None:
        self.made, self.most, self.dense = made, most, made.dense()
        self.positions = self.dense.shape[1]
        self.width = made.window_bp or made.layer.window_bp
        codes = [self.codes_of(sequence) for sequence in range(len(self.dense))]
        self.background = composition(np.stack(codes))

    def window(self, sequence: int, position: int) -> tuple[str, int]:
        """Chromosome and start of the window of a position."""
        chrom, start, _ = self.made.intervals[sequence]
        return chrom, int(self.made.layer.window(start, position, self.made.window_bp)[0])

    def letters(self, chrom: str, start: int, width: int) -> str:
        text = self.made.chromosomes[chrom]
        return "".join(text[at] if 0 <= at < len(text) else "-" for at in range(start, start + width))

    def codes_of(self, sequence: int) -> np.ndarray:
        """Codes of all bases that the windows of a sequence hold (its block, where it is one)."""
        chrom, first = self.window(sequence, 0)
        end = self.window(sequence, self.positions - 1)[1] + self.width
        return np.array([code(letter) for letter in self.letters(chrom, first, end - first)], np.uint8)

    def inside(self, sequence: int, position: int) -> bool:
        chrom, start = self.window(sequence, position)
        return start >= 0 and start + self.width <= len(self.made.chromosomes[chrom])

    def bases(self, node: int, sequence: int, position: int) -> list[float]:
        """Activation at each base of a window: of the position whose stride holds the base."""
        start = self.window(sequence, position)[1] - self.made.intervals[sequence][1]
        places = [base // self.made.layer.stride_bp for base in range(start, start + self.width)]
        own = self.dense[sequence, :, node]
        return [float(own[place]) if 0 <= place < self.positions else 0.0 for place in places]

    def apart(self, places: list[tuple[int, int]]) -> list[tuple[int, int]]:
        """The first places whose windows overlap no earlier one."""
        kept: list[tuple[int, int]] = []
        for place in places:
            chrom, start = self.window(*place)
            others = [self.window(*other) for other in kept]
            if all(chrom != name or abs(start - at) >= self.width for name, at in others):
                kept.append(place)
        return kept[: self.most]

    def drawn(self, node: int, low: float, high: float, spare: int) -> list[tuple[int, int]]:
        """(sequence, position) of the draw among activations in (low, high] of the highest."""
        own, salt = self.dense[:, :, node], slow_mix(node)
        top = float(f"{own.max():.9g}")
        active = [tuple(map(int, place)) for place in np.argwhere(own > 0)]
        fits = [p for p in active if low < float(own[p]) / top <= high and self.inside(*p)]
        fits.sort(key=lambda place: slow_mix((place[0] * self.positions + place[1]) ^ salt))
        return self.apart(fits[: spare * self.most])

    def strands(self, motif: Motif, turned: bool) -> list[np.ndarray]:
        """Weights of the strands that are read, and the threshold of a hit last."""
        ready = prepare(motif, self.background, 1e-4, 0.9)
        both = [ready, ready.reverse_complement()]
        return both if self.made.strand == "both" else both[turned : turned + 1]

    def hits(self, motif: Motif, turned: bool) -> list[list[tuple[int, int]]]:
        """The positions that hold each hit: all of its sequence whose window holds the whole of it."""
        found = []
        for ready in self.strands(motif, turned):
            for sequence in range(len(self.dense)):
                codes = self.codes_of(sequence)
                for at in range(len(codes) - ready.width + 1):
                    if place_score(codes[at : at + ready.width], ready.weights) >= ready.threshold:
                        found.append(self._holders(sequence, at, ready.width))
        return [held for held in found if held]

    def _holders(self, sequence: int, at: int, width: int) -> list[tuple[int, int]]:
        stride = self.made.layer.stride_bp
        starts = [(position, stride * position) for position in range(self.positions)]
        return [(sequence, p) for p, first in starts if first <= at and at + width <= first + self.width]

    def near_misses(self, node: int, motif: Motif, turned: bool) -> list[tuple[int, int]]:
        """(sequence, position) of the near misses, strongest first."""
        hits, own = self.hits(motif, turned), self.dense[:, :, node]
        holding = len({place for held in hits for place in held})
        active = sorted((float(v) for v in own[own > 0]), reverse=True)
        fires_at = active[min(holding, len(active)) - 1] if active and holding else np.inf
        silent = [held for held in hits if all(own[place] < fires_at for place in held)]
        middle = sorted({(held[0][0], (held[0][1] + held[-1][1]) // 2) for held in silent})
        middle = [place for place in middle if self.inside(*place)]
        middle.sort(key=lambda place: -self.best(motif, turned, *place)[0])
        return self.apart(middle)

    def best(self, motif: Motif, turned: bool, sequence: int, position: int) -> tuple[int, int, int]:
        """Score, first base and strand of the best place of a window."""
        return self.best_of(motif, turned, *self.window(sequence, position))

    def best_of(self, motif: Motif, turned: bool, chrom: str, start: int) -> tuple[int, int, int]:
        """The same of the window at ``start``."""
        codes = np.array([code(letter) for letter in self.letters(chrom, start, self.width)], np.uint8)
        flags = [0, 1] if self.made.strand == "both" else [int(turned)]
        places = [
            (place_score(codes[at : at + ready.width], ready.weights), -flag, -at)
            for ready, flag in zip(self.strands(motif, turned), flags, strict=True)
            for at in range(self.width - ready.width + 1)
            if (codes[at : at + ready.width] < 4).all()
        ]
        if not places:
            return 0, -(2**15), flags[0]
        score, flag, at = max(places)
        return score, -at, -flag


def code(letter: str) -> int:
    return int(letter_codes(np.frombuffer(letter.encode(), np.uint8))[0])


def place_score(codes: np.ndarray, weights: np.ndarray) -> int:
    return int(sum(int(weights[column, letter]) for column, letter in enumerate(codes)))
