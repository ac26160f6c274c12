"""Ablation on networks whose truth is known: recall and precision, nulls, and passes against their floor.

    PYTHONPATH=scripts:tests python tests/benchmarks/causal.py --seeds 10

Prints one line a planted network (motifs drive two tracks) and a random one (no node should stand out), and
the time of the ablation over that of as many plain passes of the same network.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from biosae.causal import ablation, ablation_run
from biosae.causal.changes import Directions
from biosae.causal.passes import Passes, spread
from biosae.causal.places import read_places
from biosae.causal.targets import Tracks, read_tracks
from unit.helpers_causal import SEQUENCE_BP, World, planted_world, random_world


def tracks_in_groups(folder: Path, n_tracks: int, per_group: int) -> Tracks:
    """``n_tracks`` tracks in groups of ``per_group``."""
    path = folder / "targets.txt"
    rows = "".join(f"t{i}\tt{i}\tg{i // per_group}\n" for i in range(n_tracks))
    path.write_text("identifier\tdescription\tgroup\n" + rows)
    return read_tracks(path, n_tracks)


def ablate(world: World, folder: Path, per_group: int, windows: int, controls: int) -> dict:
    """The table of groups, passes, and CPU seconds of the ablation and of as many plain passes."""
    passes = Passes(world.host, world.genome, SEQUENCE_BP, 16)
    places, _ = read_places(world.run, SEQUENCE_BP)
    tracks = tracks_in_groups(folder, passes.tracks, per_group)
    where = list(places[["chrom", "window_start"]].drop_duplicates().itertuples(index=False, name=None))
    scale = passes.track_scale(spread(where, 16))
    settings = ablation.Settings(windows=windows)
    before, start = passes.count, time.process_time()
    given = world.run, passes, Directions(world.model), places, tracks, scale, settings
    part = ablation_run.measure_part(*given, n_controls=controls)
    spent, made = time.process_time() - start, passes.count - before
    onehot = np.repeat(passes.window("chr1", 0), 16, axis=0)
    start = time.process_time()
    for _ in range(made // 16):
        world.host.outputs(torch.from_numpy(onehot))
    plain = time.process_time() - start
    table = ablation_run.join_parts([part], 0.05)[0]["groups"]
    return {"table": table, "passes": made, "spent": spent, "plain": plain}


def say_planted(seed: int, arguments: argparse.Namespace) -> tuple[float, float]:
    """Recall and precision on one planted network."""
    with tempfile.TemporaryDirectory() as folder:
        world = planted_world(Path(folder), n_words=arguments.nodes, seed=seed)
        found = ablate(world, Path(folder), 1, arguments.windows, arguments.controls)
    table = found["table"]
    called = table[table["causal"].astype(bool)]
    pairs = {(node, int(group[1:])) for node, group in zip(called["node"], called["group"], strict=True)}
    right = len(pairs & world.drivers)
    recall, precision = right / len(world.drivers), right / max(len(pairs), 1)
    print(
        f"planted {seed}: recall {recall:.2f}, precision {precision:.2f}, {found['passes']} passes, "
        f"{found['spent']:.1f} CPU s, {found['spent'] / found['plain']:.2f} x plain passes",
        flush=True,
    )
    return recall, precision


def say_random(seed: int, arguments: argparse.Namespace) -> tuple[int, int, float]:
    """Nodes called causal, nodes, and the share of p below 0.05 on one random network."""
    with tempfile.TemporaryDirectory() as folder:
        world = random_world(Path(folder), seed, arguments.nodes * 2, layer_norm=bool(seed % 2))
        found = ablate(world, Path(folder), 2, arguments.windows, arguments.controls)
    table = found["table"]
    causal = table.groupby("node")["causal"].any()
    low = float((table["p_value"] < 0.05).mean())
    print(f"random {seed}: {causal.sum()} of {len(causal)} nodes, p < 0.05 in {low:.3f} of tests", flush=True)
    return int(causal.sum()), len(causal), low


def main() -> None:
    """All seeds, and their means."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--nodes", type=int, default=24)
    parser.add_argument("--windows", type=int, default=4)
    parser.add_argument("--controls", type=int, default=8)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    torch.set_num_threads(1)
    planted = np.array([say_planted(seed, arguments) for seed in range(arguments.seeds)])
    random = np.array([say_random(seed, arguments) for seed in range(arguments.seeds)])
    print(f"planted: recall {planted[:, 0].mean():.3f}, precision {planted[:, 1].mean():.3f}")
    share = random[:, 0].sum() / random[:, 1].sum()
    print(f"random: {share:.2%} of nodes causal, p < 0.05 in {random[:, 2].mean():.3f} of tests")


if __name__ == "__main__":
    main()
