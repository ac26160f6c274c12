"""Ablation and dose: what each output track loses when a node is taken out of the layer at its seqlets.

For a node, in each of its windows (those that hold its strongest seqlets), at the positions of all its
seqlets there, these changes go through the network, each on its own:

    own       the node's activation a is set to 0: -a times what a unit of it adds (``biosae.causal.changes``)
    controls  the same at the same places with the directions of K other nodes, matched in activation and
              density and made as large in normalised channels
    moved     the node's own change, as a whole at another place of the same window
    doses     the node's activation is set to d * a

The effect e of a change on a track in a window is the sum over bins of (unchanged - changed) output, in
standard deviations of the track over bins, and for each position changed. Effects over windows: their mean. S
of a group of tracks: mean over its tracks of the squared mean effect; sizes in tables are its square root.
What counts as an effect stands in ``biosae.causal.law``.

Floor: 2 + K + doses (+ 1 for moved) passes of the network a node and window; ``biosae.causal.passes``.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from biosae.causal.changes import Directions
from biosae.causal.law import lower_median
from biosae.causal.passes import Change, Passes
from biosae.causal.places import node_windows
from biosae.causal.targets import Tracks
from biosae.causal.windows import bootstrap_weights, interval, within_window_p
from biosae.errors import ConfigError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Settings:
    """See ``ablation`` in the config.

    Attributes:
        windows: windows a node at most.
        neighbours: positions on each side of a seqlet's that are changed too.
        doses: multiples of its activation that the node is set to as well; 0 is always done.
        moved: whether the node's change is also put at another place.
        tracks_per_node: tracks listed a node, those of largest effect.
        permutations, bootstraps: draws.
        seed: of all of them.
    """

    windows: int = 8
    neighbours: int = 0
    doses: tuple[float, ...] = ()
    moved: bool = True
    tracks_per_node: int = 20
    permutations: int = 999
    bootstraps: int = 200
    seed: int = 0

    def __post_init__(self) -> None:
        least = min(self.windows, self.tracks_per_node, self.permutations, self.bootstraps)
        if least < 1 or self.neighbours < 0:
            raise ConfigError(
                "ablation needs at least one window, track, permutation and bootstrap", got=self
            )
        if any(dose < 0 or dose == 0 for dose in self.doses):
            raise ConfigError(
                "Doses are multiples above 0 of an activation; 0 is always done", got=self.doses
            )


@dataclass
class NodeEffects:
    """Effects of one node, float32, windows first.

    Attributes:
        own: (W, tracks). controls: (W, K, tracks). moved: (W, tracks) or None. doses: (W, D, tracks).
        positions: (W,) positions changed. stored, read: (W,) mean activation in the store and in these
            passes.
    """

    own: np.ndarray
    controls: np.ndarray
    moved: np.ndarray | None
    doses: np.ndarray
    positions: np.ndarray
    stored: np.ndarray
    read: np.ndarray


class NodeChanges:
    """The changes of one node in one window, as ``Passes.changed`` takes them.

    Args:
        directions: of the dictionary.
        node: the node.
        places: rows of ``places.read_places`` of this node in this window.
        n_positions: positions of the layer's output.
        settings: neighbours.
        rng: draws the other place.
    """

    def __init__(
        self,
        directions: Directions,
        node: int,
        places: pd.DataFrame,
        n_positions: int,
        settings: Settings,
        rng: np.random.Generator,
    ) -> None:
        self.directions, self.node = directions, node
        centre = places["position"].to_numpy("int64")
        beside = np.arange(-settings.neighbours, settings.neighbours + 1)
        positions = np.unique(centre[:, None] + beside)
        self.positions = positions[(positions >= 0) & (positions < n_positions)]
        self.centre, self.n_positions = centre, n_positions
        self.shift = _other_place(self.positions, n_positions, rng)
        self.read = np.nan

    def dose(self, dose: float, node: int | None = None) -> Change:
        """The node at ``dose`` times its activation; with ``node`` along that node's direction instead."""

        def change(layer: Tensor) -> tuple[Tensor, Tensor]:
            positions = torch.from_numpy(self.positions).to(layer.device)
            return positions, self._change(layer[positions], dose, node)

        return change

    def elsewhere(self) -> Change:
        """The ablation's change of the layer, at another place of the window."""

        def change(layer: Tensor) -> tuple[Tensor, Tensor]:
            positions = torch.from_numpy(self.positions).to(layer.device)
            moved = (positions + self.shift) % self.n_positions
            return moved, self._change(layer[positions], 0.0, None)

        return change

    def _change(self, rows: Tensor, dose: float, node: int | None) -> Tensor:
        active = self.directions.activations(rows, self.node)
        if node is None and dose == 0:
            at_centre = np.isin(self.positions, self.centre)
            self.read = float(active.cpu().numpy()[at_centre].mean())
        size_of = None if node is None else self.node
        unit = self.directions.unit_change(rows, self.node if node is None else node, size_of)
        return (dose - 1) * active[:, None] * unit


def _other_place(positions: np.ndarray, n_positions: int, rng: np.random.Generator) -> int:
    """A shift round the window after which no position changed is one that was; any other where there is
    none."""
    taken = set(positions.tolist())
    for shift in rng.permutation(np.arange(1, max(n_positions, 2))).tolist():
        if not taken & set(((positions + shift) % n_positions).tolist()):
            return int(shift)
    return 1


def node_effects(
    passes: Passes,
    directions: Directions,
    node: int,
    controls: np.ndarray,
    places: pd.DataFrame,
    scale: np.ndarray,
    settings: Settings,
) -> NodeEffects:
    """All passes of one node.

    Args:
        controls: nodes whose directions are its controls, (K,).
        places: its rows of ``places.read_places``, strongest first.
        scale: (tracks,) ``Passes.track_scale``.
    """
    rng = np.random.default_rng([settings.seed, node])
    n_positions = passes.input_bp // passes.host.stride_bp
    found, about = [], []
    for rows in node_windows(places, settings.windows):
        own = NodeChanges(directions, node, rows, n_positions, settings, rng)
        changes = [own.dose(0.0), *(own.dose(0.0, int(m)) for m in controls)]
        changes += [own.elsewhere()] if settings.moved else []
        changes += [own.dose(dose) for dose in settings.doses]
        where = rows["chrom"].iloc[0], int(rows["window_start"].iloc[0])
        lost = passes.changed(*where, changes) / len(own.positions)
        found.append(np.divide(lost, scale, out=np.zeros_like(lost), where=scale > 0).astype(np.float32))
        about.append((len(own.positions), rows["activation"].mean(), own.read))
    effects, k = np.stack(found), len(controls)
    numbers = np.array(about)
    moved = effects[:, 1 + k] if settings.moved else None
    doses = effects[:, 1 + k + settings.moved :]
    return NodeEffects(effects[:, 0], effects[:, 1 : 1 + k], moved, doses, *numbers.T)


def group_rows(node: dict, effects: NodeEffects, tracks: Tracks, settings: Settings) -> list[dict]:
    """Rows of one node for the table ``ablation_part``, one a group of tracks.

    Args:
        node: rank and node, and further columns that all its rows have.
    """
    rng = np.random.default_rng([settings.seed, node["node"], 1])
    weights = bootstrap_weights(len(effects.own), settings.bootstraps, rng)
    every = np.concatenate([effects.own[:, None], effects.controls], axis=1).astype(np.float64)
    rows = []
    for name, members in tracks.groups.items():
        part = every[:, :, members]
        squares = np.square(part.mean(axis=0)).mean(axis=1)
        drawn = np.stack([np.square(weights @ part[:, i]).mean(axis=1) for i in range(part.shape[1])], axis=1)
        signed = part[:, 0].mean(axis=1)
        effect_low, effect_high = interval(weights @ signed)
        row = {**node, "group": name, "n_tracks": len(members)}
        row |= {"effect": signed.mean(), "effect_low": effect_low, "effect_high": effect_high}
        row |= {"size": np.sqrt(squares[0]), "control_size": np.nan, "ratio": np.nan}
        row |= {"ratio_low": np.nan, "ratio_high": np.nan, "window_p": np.nan}
        if part.shape[1] > 1:
            row |= _against_controls(squares, drawn)
            sizes = np.sqrt(np.square(part).mean(axis=2))
            row["window_p"] = within_window_p(sizes, settings.permutations, rng)
        row["moved_size"] = np.nan
        if effects.moved is not None:
            moved = effects.moved[:, members].astype(np.float64).mean(axis=0)
            row["moved_size"] = np.sqrt(np.square(moved).mean())
        row["control_squares"] = ",".join(f"{value:.9g}" for value in squares[1:])
        row["square"] = squares[0]
        rows.append(row)
    return rows


def _against_controls(squares: np.ndarray, drawn: np.ndarray) -> dict:
    """Size of the median control, and the ratio to it with its interval over windows; null where that is
    0."""
    median = lower_median(squares[1:])
    found = {"control_size": np.sqrt(median)}
    if median > 0:
        medians = lower_median(drawn[:, 1:])
        ratios = np.sqrt(drawn[:, 0] / np.where(medians > 0, medians, median))
        low, high = interval(ratios)
        found |= {"ratio": np.sqrt(squares[0] / median), "ratio_low": low, "ratio_high": high}
    return found


def dose_rows(node: dict, effects: NodeEffects, tracks: Tracks, settings: Settings) -> list[dict]:
    """Rows of one node for the table ``ablation_doses``: dose 0 and those of the settings, by group."""
    rng = np.random.default_rng([settings.seed, node["node"], 2])
    weights = bootstrap_weights(len(effects.own), settings.bootstraps, rng)
    by_dose = [(0.0, effects.own), *((d, effects.doses[:, i]) for i, d in enumerate(settings.doses))]
    rows = []
    for name, members in tracks.groups.items():
        for dose, values in by_dose:
            part = values[:, members].astype(np.float64)
            signed = part.mean(axis=1)
            low, high = interval(weights @ signed)
            size = np.sqrt(np.square(part.mean(axis=0)).mean())
            effect = {"effect": signed.mean(), "effect_low": low, "effect_high": high, "size": size}
            rows.append({**node, "group": name, "dose": dose, **effect})
    return rows


def track_rows(node: dict, effects: NodeEffects, tracks: Tracks, settings: Settings) -> list[dict]:
    """Rows of one node for the table ``ablation_tracks``: its tracks of largest mean effect."""
    rng = np.random.default_rng([settings.seed, node["node"], 3])
    weights = bootstrap_weights(len(effects.own), settings.bootstraps, rng)
    mean = effects.own.mean(axis=0, dtype=np.float64)
    order = np.argsort(-np.abs(mean), kind="stable")[: settings.tracks_per_node]
    low, high = interval(weights @ effects.own[:, order].astype(np.float64))
    control = np.full(len(order), np.nan)
    if effects.controls.shape[1]:
        sizes = np.abs(effects.controls[:, :, order].mean(axis=0, dtype=np.float64))
        control = lower_median(sizes.T)
    rows = []
    for place, track in enumerate(order.tolist()):
        about = tracks.table.iloc[track]
        row = {**node, "track_rank": place + 1, "track": track}
        row |= {name: about[name] for name in ("identifier", "description", "group")}
        row |= {"effect": mean[track], "effect_low": low[place], "effect_high": high[place]}
        rows.append({**row, "control_effect": control[place]})
    return rows
