"""From a finished run to the specificity of its nodes: what is read, in which order work is done."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from biosae.activations import ActivationStore
from biosae.artefacts import read_table
from biosae.checkpoint import load_checkpoint
from biosae.devices import find_device
from biosae.errors import ContractError, InputError
from biosae.genome import Genome
from biosae.geometry import Layer
from biosae.letter_codes import letter_codes
from biosae.motif_sample import MotifSample
from biosae.motifs.formats import Motif, node_name, read_fasta, read_meme
from biosae.node_table import best_motifs
from biosae.specificity import NodeMotif, Settings, counts_of, find_motifs, measure
from biosae.stream_sample import cut_blocks, encode_blocks

log = logging.getLogger(__name__)

RUN_INPUTS = (
    "selected_nodes.tsv",
    "motifs.tsv",
    "motifs.meme",
)  # and seqlets/{rank}_n{node}.fa of each kept node


def read_run(run: Path) -> tuple[list[NodeMotif], int | None]:
    """The kept nodes of a run, by rank, and the width of its seqlets in bp (None where there is none).

    Raises:
        ContractError: a best motif has no matrix.
        InputError: seqlets are missing, or of several widths.
    """
    selected = read_table(run / "selected_nodes.tsv", "selected_nodes").sort_values("rank")
    matrices = read_best_matrices(run, selected["node"])
    nodes = []
    for rank, node in zip(selected["rank"].tolist(), selected["node"].tolist(), strict=True):
        seqlets = read_seqlet_codes(run / "seqlets" / f"{node_name(rank, node)}.fa")
        nodes.append(NodeMotif(node, matrices.get(node), seqlets))
    return nodes, _one_width(nodes, run)


def read_best_matrices(run: Path, kept: pd.Series) -> dict[int, Motif]:
    """The best motif of each kept node that has one, by node.

    Raises:
        ContractError: it has no matrix in motifs.meme.
    """
    best = best_motifs(read_table(run / "motifs.tsv", "motifs")).set_index("node")["best_motif_id"]
    best = best[best.index.isin(kept)]
    matrices = {motif.id: motif for motif in read_meme(run / "motifs.meme")} if len(best) else {}
    if missing := sorted(set(best) - set(matrices)):
        raise ContractError(
            f"{len(missing)} motifs of motifs.tsv have no matrix in motifs.meme",
            got=missing[:5],
            where=run,
            mend="re-run collect_motifs",
        )
    return {int(node): matrices[motif_id] for node, motif_id in best.items()}


def read_seqlet_codes(path: Path) -> np.ndarray:
    """Codes of the sequences of a FASTA file, (n, width) uint8; (0, 0) of an empty one; InputError where
    their lengths differ."""
    sequences = [sequence for _, sequence in read_fasta(path)]
    lengths = {len(sequence) for sequence in sequences}
    if len(lengths) > 1:
        raise InputError("Seqlets of one node differ in length", got=sorted(lengths)[:5], where=path)
    text = "".join(sequences).encode("ascii")
    return letter_codes(np.frombuffer(text, dtype=np.uint8)).reshape(len(sequences), max(lengths, default=0))


def _one_width(nodes: list[NodeMotif], run: Path) -> int | None:
    widths = {entry.seqlets.shape[1] for entry in nodes if len(entry.seqlets)}
    if len(widths) > 1:
        raise InputError(
            "The seqlets of a run differ in width",
            got=f"{sorted(widths)[:5]} bp",
            where=run / "seqlets",
            mend="re-run write_seqlets",
        )
    return next(iter(widths), None)


def measure_run(
    run: Path,
    activations: Path,
    genome: Path,
    settings: Settings,
    *,
    sample_positions: int,
    pad_bp: int = 0,
    device: str = "auto",
    threads: int = 1,
) -> tuple[pd.DataFrame, dict]:
    """The specificity of the kept nodes of a run (schema ``specificity``), and counts of what is missing.

    Args:
        run: run folder.
        activations: the store that the run was encoded from.
        genome: FASTA.
        sample_positions: positions of the store that are looked at.

    Raises:
        InputError: the store is of another layer, the genome lacks a chromosome, or a motif does not fit.
    """
    torch.set_num_threads(threads)
    model = load_checkpoint(run / "checkpoint").to(find_device(device))
    layer = Layer.from_dict(model.config.get("layer"))
    store = ActivationStore.open(activations, pad_bp, layer.channels, layer.stride_bp, layer.name)
    nodes, width = read_run(run)
    window_bp = None if width == layer.window_bp else width
    blocks, places = cut_blocks(store, layer, Genome(genome), sample_positions, window_bp)
    sample = MotifSample(blocks)
    found = find_motifs(nodes, sample, settings, threads)
    holding = [0 if own is None else own.n_holding for own in found]
    numbers = [entry.node for entry in nodes]
    strongest = dict(zip(numbers, holding, strict=True))
    firing, fires_at = encode_blocks(model, store, places, blocks.positions, strongest)
    table = measure(nodes, found, sample, firing, fires_at, settings, threads)
    other = int((sample.stratum < 0).sum())
    counts = {**counts_of(table, settings), "windows with another letter than A, C, G, T": other}
    log.info("specificity: %s", ", ".join(f"{what} {n}" for what, n in counts.items()))
    return table, counts
