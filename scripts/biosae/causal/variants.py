"""Variants in the network: reference against alternative, both strands, change of each node and each track.

The window is centred on the variant. The alternative window has its allele in the reference's place and is
cut, or filled up from the genome, at its right end, so that both are as long. A node's activation of an
allele is the largest over the layer's positions that read any of it (from one base before to one after, so
that a deletion has some); on the reverse strand the window is turned and so are the positions. A track's
change is the sum over its bins of alternative - reference, in the track's standard deviations. Floor: four
passes a variant.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from biosae.causal.passes import Passes
from biosae.causal.targets import Tracks
from biosae.cli import progress
from biosae.dictionary import Dictionary
from biosae.genome import Genome
from biosae.geometry import Layer
from biosae.hosts.onehot import encode, reverse_complement

STRANDS = ("forward", "reverse")


@dataclass(frozen=True)
class Settings:
    """nodes_per_variant, tracks_per_variant: rows listed a variant, those of largest change."""

    nodes_per_variant: int = 20
    tracks_per_variant: int = 20


def variant_letters(
    genome: Genome, chrom: str, start: int, ref: str, alt: str, input_bp: int
) -> tuple[np.ndarray, np.ndarray, int]:
    """Letters of both windows, (2, input_bp) uint8 reference first, and where in them the allele begins."""
    at = input_bp // 2 - len(ref) // 2
    window_start = start - at
    longer = max(0, len(ref) - len(alt))
    letters = genome.segment(chrom, window_start, window_start + input_bp + longer)
    allele = np.frombuffer(alt.encode("ascii"), np.uint8)
    changed = np.concatenate([letters[:at], allele, letters[at + len(ref) :]])
    return np.stack([letters[:input_bp], changed[:input_bp]]), at


def reading_positions(layer: Layer, at: int, length: int, n_positions: int) -> np.ndarray:
    """Positions whose receptive field holds a base of [at - 1, at + length + 1), (n,) int64."""
    low = (at - 1 - layer.right_bp) // layer.stride_bp + 1
    high = -((-(at + length + 1 + layer.left_bp)) // layer.stride_bp)
    return np.arange(max(low, 0), min(high, n_positions))


class AlleleReader:
    """Reads the nodes' activations at an allele while its window passes.

    Args:
        model: the dictionary, on the host's device.
        nodes: nodes whose activations are wanted, (n,).
    """

    def __init__(self, model: Dictionary, nodes: np.ndarray) -> None:
        self.model, self.nodes = model, nodes

    def strongest(self, rows: Tensor) -> np.ndarray:
        """Largest activation of each node over raw rows (n, channels), float64 (nodes,)."""
        codes = self.model.encode_block(rows)
        found = np.zeros(self.model.n_nodes)
        np.maximum.at(found, codes.nodes, codes.values)
        return found[self.nodes]


def score_variant(passes: Passes, reader: AlleleReader, variant: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """Activations (strands, alleles, nodes) and sums of tracks (strands, alleles, tracks) of one variant."""
    letters, at = variant_letters(
        passes.genome,
        variant["chrom"],
        int(variant["start"]),
        variant["ref"],
        variant["alt"],
        passes.input_bp,
    )
    forward = encode(letters)
    onehot = np.concatenate([forward, reverse_complement(forward)])  # ref, alt, then both turned
    n_positions = passes.input_bp // passes.host.stride_bp
    lengths = [len(variant["ref"]), len(variant["alt"])]
    starts = [at, at, *(passes.input_bp - at - length for length in lengths)]
    read: list[np.ndarray] = []

    def look(layer: Tensor) -> Tensor:
        for row in layer:
            number = len(read)
            chosen = reading_positions(passes.host.layer, starts[number], lengths[number % 2], n_positions)
            read.append(reader.strongest(row[torch.from_numpy(chosen).to(row.device)].float()))
        return layer

    sums = passes.sums(onehot, look)
    return np.stack(read).reshape(2, 2, -1), sums.reshape(2, 2, -1)


def score_variants(
    passes: Passes,
    reader: AlleleReader,
    variants: pd.DataFrame,
    tracks: Tracks,
    scale: np.ndarray,
    settings: Settings,
) -> dict[str, pd.DataFrame]:
    """Tables of schemas variants, variant_nodes and variant_tracks, by these names."""
    rows: dict[str, list[dict]] = {"variants": [], "variant_nodes": [], "variant_tracks": []}
    for number, (_, variant) in enumerate(
        progress(variants.iterrows(), what="variants", total=len(variants))
    ):
        activations, sums = score_variant(passes, reader, variant)
        change = activations[:, 1] - activations[:, 0]
        difference = sums[:, 1] - sums[:, 0]
        effect = np.divide(difference, scale, out=np.zeros_like(difference), where=scale > 0)
        about = {
            "variant": number,
            **{name: variant[name] for name in ("chrom", "start", "id", "ref", "alt")},
        }
        changed = np.flatnonzero(np.abs(change).max(axis=0) > 0)
        nodes = _strongest(np.abs(change).max(axis=0), settings.nodes_per_variant)
        nodes = nodes[np.isin(nodes, changed)]
        rows["variants"].append(about | _summary(reader.nodes, change, effect, changed, nodes, tracks))
        for place in nodes.tolist():
            values = {"variant": number, "node": int(reader.nodes[place])}
            for strand, name in enumerate(STRANDS):
                values |= {
                    f"{name}_ref": activations[strand, 0, place],
                    f"{name}_alt": activations[strand, 1, place],
                }
            rows["variant_nodes"].append(values)
        for track in _strongest(np.abs(effect.mean(axis=0)), settings.tracks_per_variant).tolist():
            values = {"variant": number, "track": track, **tracks.table.iloc[track]}
            values |= {name: effect[strand, track] for strand, name in enumerate(STRANDS)}
            rows["variant_tracks"].append({**values, "effect": effect[:, track].mean()})
    return {name: pd.DataFrame(found) for name, found in rows.items()}


def _strongest(values: np.ndarray, count: int) -> np.ndarray:
    return np.argsort(-values, kind="stable")[:count]


def _summary(
    nodes: np.ndarray,
    change: np.ndarray,
    effect: np.ndarray,
    changed: np.ndarray,
    order: Sequence[int],
    tracks: Tracks,
) -> dict:
    mean = effect.mean(axis=0)
    track = int(np.abs(mean).argmax())
    first = order[0] if len(order) else None
    by_strand = change[:, first] if first is not None else None
    return {
        "n_nodes_changed": len(changed),
        "top_node": None if first is None else int(nodes[first]),
        "top_node_change": None if first is None else by_strand[int(np.abs(by_strand).argmax())],
        "top_track": tracks.table["identifier"].iloc[track],
        "top_track_group": tracks.table["group"].iloc[track],
        "top_track_effect": mean[track],
        "size": float(np.sqrt(np.square(mean).mean())),
        "strand_correlation": _correlation(effect),
    }


def _correlation(effect: np.ndarray) -> float:
    """Pearson r over tracks of the two strands' effects; nan where one does not vary."""
    centred = effect - effect.mean(axis=1, keepdims=True)
    norm = np.sqrt(np.square(centred).sum(axis=1)).prod()
    return float((centred[0] * centred[1]).sum() / norm) if norm > 0 else float("nan")
