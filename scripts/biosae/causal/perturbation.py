"""The sequence side: a seqlet's window is shuffled in its place, and the node and the tracks are read again.

Shuffles keep every dinucleotide (``biosae.motifs.shuffle``); there are several draws of each. Beside each
seqlet a window of the same width at a random place of the same input is shuffled as often: what any shuffle
of so many bases does. Effects of a seqlet are means over draws of (unchanged - shuffled); tracks as in
``biosae.causal.ablation``, the sum over bins in standard deviations of the track, here a seqlet. The node is
read at its seqlet's position.

No p is given: a node's strongest windows are unusual sequence, and also a network with random weights may
heed that more than other windows. The ablation is what tests a node. Floor: 1 + 2 x draws passes a node and
window.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
import pandas as pd
from torch import Tensor

from biosae.causal.changes import Directions
from biosae.causal.passes import Passes
from biosae.causal.places import node_windows
from biosae.causal.targets import Tracks
from biosae.causal.windows import bootstrap_weights, interval
from biosae.cli import progress
from biosae.errors import ConfigError
from biosae.hosts.onehot import encode
from biosae.motifs.packing import encode as pack_letters
from biosae.motifs.shuffle import shuffle_dinucleotides

log = logging.getLogger(__name__)

_LETTERS = np.frombuffer(b"ACGTN", np.uint8)


@dataclass(frozen=True)
class Settings:
    """windows, draws: seqlets a node and shuffles of each; bootstraps, seed: of intervals and of all
    draws."""

    windows: int = 8
    draws: int = 5
    bootstraps: int = 200
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.windows, self.draws, self.bootstraps) < 1:
            raise ConfigError("perturbation needs at least one window, draw and bootstrap", got=self)


def shuffled(letters: np.ndarray, copies: int, seed: int) -> np.ndarray:
    """Shuffles of letters (width,) uint8 that keep every dinucleotide, upper case, (copies, width) uint8."""
    codes, offsets = pack_letters([letters.tobytes().decode("ascii")])
    found, _ = shuffle_dinucleotides(codes, offsets, copies, seed)
    return _LETTERS[found[: copies * len(letters)]].reshape(copies, len(letters))


@dataclass
class Shuffles:
    """What shuffling did for one node, seqlets first.

    Attributes:
        before, after: (W,) activation at the seqlet's position as it is, and the mean over draws.
        own, other: (W, tracks) mean effects of shuffling the seqlet, and a window elsewhere.
    """

    before: np.ndarray
    after: np.ndarray
    own: np.ndarray
    other: np.ndarray


def shuffle_node(
    passes: Passes,
    directions: Directions,
    node: int,
    places: pd.DataFrame,
    scale: np.ndarray,
    settings: Settings,
) -> Shuffles:
    """All passes of one node: its strongest seqlet in each of its windows.

    Args:
        places: its rows of ``places.read_places``, strongest first.
    """
    rng = np.random.default_rng([settings.seed, node])
    found = []
    for rows in node_windows(places, settings.windows):
        seqlet = rows.iloc[0]
        chrom, start = seqlet["chrom"], int(seqlet["window_start"])
        letters = passes.genome.segment(chrom, start, start + passes.input_bp)
        width = int(seqlet["end"] - seqlet["start"])
        at = int(seqlet["start"]) - start
        elsewhere = _other_start(at, width, passes.input_bp, rng)
        windows = [letters]
        for place in (at, elsewhere):
            for shuffle in shuffled(letters[place : place + width], settings.draws, int(rng.integers(2**62))):
                changed = letters.copy()
                changed[place : place + width] = shuffle
                windows.append(changed)
        active, sums = _read(passes, directions, node, int(seqlet["position"]), np.stack(windows))
        lost = np.divide(sums[0] - sums[1:], scale, out=np.zeros_like(sums[1:]), where=scale > 0)
        own, other = lost[: settings.draws].mean(axis=0), lost[settings.draws :].mean(axis=0)
        found.append((active[0], active[1 : 1 + settings.draws].mean(), own, other))
    before, after, own, other = zip(*found, strict=True)
    return Shuffles(np.array(before), np.array(after), np.stack(own), np.stack(other))


def _other_start(at: int, width: int, input_bp: int, rng: np.random.Generator) -> int:
    """Start of a window of that width that does not overlap [at, at + width); anywhere if there is no
    room."""
    before, after = max(at - width + 1, 0), max(input_bp - at - 2 * width + 1, 0)
    if before + after == 0:
        return int(rng.integers(0, input_bp - width + 1))
    pick = int(rng.integers(0, before + after))
    return pick if pick < before else at + width + pick - before


def _read(
    passes: Passes, directions: Directions, node: int, position: int, letters: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The node's activation at a position (n,) and sums of tracks (n, tracks) of windows of letters."""
    active: list[np.ndarray] = []

    def look(layer: Tensor) -> Tensor:
        active.append(directions.activations(layer[:, position].float(), node).cpu().numpy())
        return layer

    sums = passes.sums(encode(letters), look)
    return np.concatenate(active), sums


def perturbation_rows(node: dict, found: Shuffles, tracks: Tracks, settings: Settings) -> list[dict]:
    """Rows of one node for the table ``perturbation``, one a group of tracks."""
    rng = np.random.default_rng([settings.seed, node["node"], 1])
    weights = bootstrap_weights(len(found.before), settings.bootstraps, rng)
    kept = weights @ found.after / np.maximum(weights @ found.before, 1e-12)
    kept_low, kept_high = interval(kept)
    about = {**node, "n_windows": len(found.before), "activation": found.before.mean()}
    about |= {"activation_shuffled": found.after.mean(), "activation_kept": np.nan}
    about |= {"activation_kept_low": np.nan, "activation_kept_high": np.nan}
    if found.before.mean() > 0:
        about |= {"activation_kept": found.after.mean() / found.before.mean()}
        about |= {"activation_kept_low": kept_low, "activation_kept_high": kept_high}
    rows = []
    for name, members in tracks.groups.items():
        signed = found.own[:, members].mean(axis=1)
        low, high = interval(weights @ signed)
        size, other = (np.sqrt(np.square(part[:, members]).mean(axis=1)) for part in (found.own, found.other))
        ratio = np.nan
        if other.mean() > 0:
            ratio = size.mean() / other.mean()
        effect = {"effect": signed.mean(), "effect_low": low, "effect_high": high}
        rows.append(
            {
                **about,
                "group": name,
                **effect,
                "size": size.mean(),
                "other_size": other.mean(),
                "ratio": ratio,
            }
        )
    return rows


def perturb_nodes(
    passes: Passes,
    directions: Directions,
    nodes: pd.DataFrame,
    places: pd.DataFrame,
    tracks: Tracks,
    scale: np.ndarray,
    settings: Settings,
) -> pd.DataFrame:
    """The table ``perturbation`` of some kept nodes.

    Args:
        nodes: rank and node.
        places: what ``read_places`` returned.
    """
    ends = places["window_start"] + passes.input_bp
    inside = (places["start"] >= places["window_start"]) & (places["end"] <= ends)
    if not inside.all():
        log.info("%d seqlets hang over the end of the input and are left out", int((~inside).sum()))
    by_node = dict(list(places[inside].groupby("node", sort=False)))
    rows: list[dict] = []
    pairs = list(zip(nodes["rank"].tolist(), nodes["node"].tolist(), strict=True))
    for rank, node in progress(pairs, what="nodes", unit="node"):
        if node in by_node:
            found = shuffle_node(passes, directions, node, by_node[node], scale, settings)
            rows += perturbation_rows({"rank": rank, "node": node}, found, tracks, settings)
    return pd.DataFrame(rows)
