"""From a finished run to the examples of its nodes: what is read, in which order work is done.

The store is read twice in part: the sample of specificity.tsv, then the rows below the chosen windows. Memory
beside that of the two (``examples_sample``, ``examples_rows``): the letters of all windows, 1 byte a base.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from biosae.activations import ActivationStore
from biosae.artefacts import read_table
from biosae.checkpoint import load_checkpoint
from biosae.encoding import Encoder
from biosae.errors import ContractError, InputError
from biosae.examples import (
    MAX_CHROMS,
    MAX_WINDOW_BP,
    NO_MOTIF,
    Examples,
    Settings,
    Windows,
    no_examples,
    write_examples,
)
from biosae.examples_kernels import NO_PLACE
from biosae.examples_rows import Asked, asked_activations, check_agreement
from biosae.examples_sample import (
    NEAR_MISS,
    SPARE,
    EvenDraw,
    ReadMotif,
    SampleExamples,
    read_motifs,
    sample_windows,
    stream_codes,
)
from biosae.examples_top import TopSeqlets, check_store, locate_seqlets, read_top_seqlets
from biosae.genome import Genome, cut_windows
from biosae.geometry import Layer
from biosae.letter_codes import letter_codes
from biosae.motif_sample import MotifSample
from biosae.motifs.formats import Motif
from biosae.runs import find_device
from biosae.specificity_run import read_best_matrices
from biosae.stream_sample import StrongestCodes, cut_blocks, sample_codes

log = logging.getLogger(__name__)

RUN_INPUTS = (
    "selected_nodes.tsv",
    "motifs.tsv",
    "motifs.meme",
    "specificity.tsv",
    "seqlets/manifest.tsv",
    "seqlets/seqlets.bed.gz",
    "top_activations.parquet",
)


@dataclass
class Inputs:
    """What the stage reads, opened and checked.

    Attributes:
        nodes: selected_nodes.tsv by rank.
        motifs: best motif of each.
        specificity: its rows, in the same order.
    """

    run: Path
    model: Encoder
    layer: Layer
    store: ActivationStore
    genome: Genome
    nodes: pd.DataFrame
    motifs: list[Motif | None]
    specificity: pd.DataFrame
    settings: Settings
    threads: int

    @classmethod
    def open(
        cls,
        run: Path,
        activations: Path,
        genome: Path,
        settings: Settings,
        pad_bp: int,
        device: str,
        threads: int,
    ) -> Inputs:
        """Raises InputError or ContractError where two of them do not fit."""
        torch.set_num_threads(threads)
        model = load_checkpoint(run / "checkpoint").to(find_device(device))
        layer = Layer.from_dict(model.config.get("layer"))
        store = ActivationStore.open(activations, pad_bp, layer.channels, layer.stride_bp, layer.name)
        nodes = read_table(run / "selected_nodes.tsv", "selected_nodes").sort_values(
            "rank", ignore_index=True
        )
        matrices = read_best_matrices(run, nodes["node"])
        motifs = [matrices.get(node) for node in nodes["node"].tolist()]
        specificity = read_table(run / "specificity.tsv", "specificity")
        _check_specificity(specificity, nodes, motifs, run)
        opened = run, model, layer, store, Genome(genome), nodes, motifs, specificity
        return cls(*opened, settings, threads)

    @property
    def numbers(self) -> np.ndarray:
        """Numbers of the kept nodes, int64."""
        return self.nodes["node"].to_numpy(np.int64)


def _check_specificity(table: pd.DataFrame, nodes: pd.DataFrame, motifs: list, run: Path) -> None:
    expected = [(node, motif and motif.id) for node, motif in zip(nodes["node"], motifs, strict=True)]
    ids = table["motif_id"].astype(object).where(table["motif_id"].notna(), None)
    if list(zip(table["node"], ids, strict=True)) != expected:
        raise ContractError(
            "specificity.tsv is of other nodes, or of other best motifs, than the run's tables",
            where=run / "specificity.tsv",
            mend="re-run measure_specificity",
        )


def collect_examples(
    run: Path,
    activations: Path,
    genome: Path,
    settings: Settings,
    output: Path,
    made_by: dict,
    *,
    pad_bp: int = 0,
    device: str = "auto",
    threads: int = 1,
) -> Examples:
    """Choose the examples of a run, and write them.

    Args:
        run: run folder with ``RUN_INPUTS`` and ``checkpoint/``.
        activations: the store that the run was encoded from.
        genome: FASTA.
        output: ``examples.h5``.
        made_by: provenance.

    Raises:
        InputError: a file cannot be read, or is of another store, genome or layer.
        ContractError: two tables of the run contradict each other.
    """
    given = Inputs.open(run, activations, genome, settings, pad_bp, device, threads)
    seqlets = read_top_seqlets(run, given.nodes[["rank", "node"]], settings.top_examples)
    window_bp = seqlets.window_bp or given.layer.window_bp
    if (reason := _why_none(given, window_bp)) is not None:
        log.warning("no examples: %s", reason)
        numbers = given.numbers, given.nodes["rank"].to_numpy(np.int64)
        examples, windows = no_examples(*numbers, window_bp, given.layer.stride_bp, reason), None
    else:
        examples, windows = _examples(given, seqlets, window_bp)
        log.info("examples: %s", ", ".join(f"{what} {n}" for what, n in examples.counts.items()))
    write_examples(output, examples, windows, made_by)
    return examples


def _examples(given: Inputs, seqlets: TopSeqlets, window_bp: int) -> tuple[Examples, Windows]:
    """The examples, and their letters and activations by rows."""
    counts: dict[str, int] = {}
    places, motifs = _choose(given, seqlets, window_bp, counts)
    asked, values = _encode(given, places, window_bp, counts)
    examples, letters, order = _order(given, places, motifs, asked, window_bp, counts)

    def windows(low: int, high: int) -> tuple[np.ndarray, np.ndarray]:
        rows = order[low:high]
        return letters[rows], asked.of_bases(rows, values[rows])

    return examples, windows


def _why_none(given: Inputs, window_bp: int) -> str | None:
    """Why there can be no example; None where there may be."""
    if not len(given.nodes):
        return "no node was kept"
    if given.store.positions == 1:
        return "the store is pooled: a sequence has one position, so an activation has no place in it"
    if window_bp > MAX_WINDOW_BP:
        return f"windows of {window_bp} bp are too wide to be shown base by base ({MAX_WINDOW_BP} at most)"
    return None


def _choose(
    given: Inputs, seqlets: TopSeqlets, window_bp: int, counts: dict[str, int]
) -> tuple[np.ndarray, list[ReadMotif | None]]:
    """Places of all examples (``PLACE``), and each node's motif; the peak of a near miss is NaN."""
    settings, store, layer, numbers = given.settings, given.store, given.layer, given.numbers
    path = given.run / "top_activations.parquet"
    check_store(path, store)
    top = locate_seqlets(path, seqlets, numbers, store, layer)
    width = None if window_bp == layer.window_bp else window_bp
    blocks, places = cut_blocks(store, layer, given.genome, settings.sample_positions, width)
    sample = MotifSample(blocks)
    hit = settings.hit_p, settings.site_share, settings.strand
    motifs = read_motifs(given.motifs, given.specificity, sample, hit, given.threads)
    windows = sample_windows(blocks, places, store, layer, given.genome)
    max_act = given.nodes["max_act"].to_numpy(np.float64)
    even = EvenDraw(numbers, max_act, windows, SPARE * max(settings.band_examples, 1))
    holding = [0 if own is None else sample.n_holding([own.hits]) for own in motifs]
    strongest = StrongestCodes(np.array(holding, dtype=np.int64))
    stream_codes(sample_codes(given.model, store, places, blocks.positions, numbers), strongest, even)
    firing = strongest.firing(blocks.n_positions)[0]
    chooser = SampleExamples(sample, windows, store.positions, settings.band_examples, counts)
    return np.concatenate([top, chooser.choose(motifs, even, firing)]), motifs


def _encode(
    given: Inputs, places: np.ndarray, window_bp: int, counts: dict[str, int]
) -> tuple[Asked, np.ndarray]:
    """What windows ask for and the activations there; fills in the peaks that are not known."""
    asked = Asked.of(places, given.layer, given.store.positions, window_bp)
    values = asked_activations(given.model, given.store, asked, places, given.numbers)
    own = asked.of_own(places, values)
    differing = check_agreement(places["peak"], own, given.store)
    counts["windows whose own activation is not that of the first encoding"] = differing
    places["peak"] = np.where(np.isnan(places["peak"]), own, places["peak"])
    return asked, values


def _order(
    given: Inputs,
    places: np.ndarray,
    motifs: list[ReadMotif | None],
    asked: Asked,
    window_bp: int,
    counts: dict[str, int],
) -> tuple[Examples, np.ndarray, np.ndarray]:
    """The examples in the order of the file; letters of ``places``, (n, window_bp); and that order."""
    intervals = given.store.intervals
    chrom = intervals["chrom"].iloc[places["sequence"]].reset_index(drop=True)
    start = intervals["start"].to_numpy(np.int64)[places["sequence"]] + asked.before
    letters = letter_codes(cut_windows(chrom, start, window_bp, given.genome))
    score, at, strand, has = _motif_places(places["kept"], letters, motifs)
    strength = np.where(places["band"] == NEAR_MISS, score, places["peak"])
    order = np.lexsort((places["position"], places["sequence"], -strength, places["band"], places["kept"]))
    codes, names = pd.factorize(chrom)
    if len(names) > MAX_CHROMS:
        raise InputError(
            "Examples lie on too many chromosomes", got=len(names), expected=f"up to {MAX_CHROMS}"
        )
    found = {"band": places["band"], "chrom": codes.astype(np.uint16), "start": start.astype(np.int32)}
    found |= {"peak": places["peak"], "motif_at": at, "motif_strand": strand}
    found |= {"motif_score": score, "has_motif": has}
    best = [0 if own is None else int(own.strands[0].weights[:, :4].max(axis=1).sum()) for own in motifs]
    counts["nodes without a motif"] = sum(own is None for own in motifs)
    examples = Examples(
        node=given.numbers,
        rank=given.nodes["rank"].to_numpy(np.int64),
        edges=np.searchsorted(places["kept"][order], np.arange(len(motifs) + 1)),
        columns={name: column[order] for name, column in found.items()},
        motif_best_score=np.array(best, dtype=np.int32),
        chroms=list(names),
        window_bp=window_bp,
        stride_bp=given.layer.stride_bp,
        counts=counts,
    )
    return examples, letters, order


def _motif_places(
    kept: np.ndarray, letters: np.ndarray, motifs: list[ReadMotif | None]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Score, first base and strand of the best place of each window's motif, and whether it is a hit."""
    score, at = np.zeros(len(kept), np.int32), np.full(len(kept), NO_PLACE, np.int16)
    strand, has = np.zeros(len(kept), np.uint8), np.full(len(kept), NO_MOTIF, np.uint8)
    order = np.argsort(kept, kind="stable")
    edges = np.searchsorted(kept[order], np.arange(len(motifs) + 1))
    for node, own in enumerate(motifs):
        rows = order[edges[node] : edges[node + 1]]
        if own is not None and len(rows):
            score[rows], at[rows], strand[rows] = own.best(letters[rows])
            has[rows] = (at[rows] != NO_PLACE) & (score[rows] >= own.strands[0].threshold)
    return score, at, strand, has
