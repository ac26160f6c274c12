"""The tracks of one run: which nodes, what they are called, and the folder that holds them."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from biosae import artefacts
from biosae.activations import ActivationStore
from biosae.checkpoint import load_checkpoint
from biosae.devices import find_device
from biosae.errors import ConfigError
from biosae.genome import Genome
from biosae.geometry import Layer
from biosae.node_tracks import write_node_tracks
from biosae.track_hub import write_hub


def chosen_nodes(nodes: pd.DataFrame, top: int, further: list[int]) -> pd.DataFrame:
    """rank, node, label of the nodes that are drawn, by rank.

    Args:
        nodes: ``nodes.tsv``.
        top: kept nodes, by rank.
        further: numbers of other kept nodes.

    Raises:
        ConfigError: nothing is chosen, or a node that was not kept.
    """
    unknown = sorted(set(further) - set(nodes["node"]))
    if unknown or not (top or further):
        raise ConfigError(
            "The nodes to be drawn are not kept nodes of the run" if unknown else "No node is to be drawn",
            got=unknown or None,
            expected=f"nodes of nodes.tsv ({len(nodes)} of them)",
            mend="set tracks.top_nodes or tracks.nodes",
        )
    chosen = nodes[(nodes["rank"] <= top) | nodes["node"].isin(further)].sort_values("rank")
    label = chosen["target_name"].where(chosen["named"].fillna(False), "").fillna("").astype(str)
    return pd.DataFrame({"rank": chosen["rank"], "node": chosen["node"], "label": label}).reset_index(
        drop=True
    )


def write_run_tracks(
    run: Path,
    activations: Path,
    genome_path: Path,
    output: Path,
    choice: tuple[int, list[int]],
    hub: dict[str, str],
    pad_bp: int = 0,
    device: str = "auto",
) -> None:
    """Write the bigWig files, ``tracks.tsv``, the hub and the session; files of an earlier choice go.

    Args:
        choice: top and further of ``chosen_nodes``.
        hub: assembly and email of ``write_hub``.

    Raises:
        ConfigError, InputError: see ``chosen_nodes`` and ``write_node_tracks``.
    """
    nodes = artefacts.read_table(run / "nodes.tsv", "nodes")
    chosen = chosen_nodes(nodes, *choice)
    model = load_checkpoint(run / "checkpoint").to(find_device(device))
    layer = Layer.from_dict(model.config.get("layer"))
    store = ActivationStore.open(activations, pad_bp, layer.channels, layer.stride_bp, layer.name)
    genome = Genome(genome_path)
    names = [f"{rank}_n{node}.bw" for rank, node in zip(chosen["rank"], chosen["node"], strict=True)]
    chosen["file"] = [f"{hub['assembly']}/{name}" for name in names]
    files = {int(node): output / file for node, file in zip(chosen["node"], chosen["file"], strict=True)}
    settings = {"nodes": chosen["node"].tolist(), **hub, "pad_bp": pad_bp, "layer": layer.as_dict()}
    inputs = [run / "nodes.tsv", run / "checkpoint" / "model.safetensors"]
    made_by = artefacts.provenance("write_tracks.py", settings, inputs)
    drawn = write_node_tracks(model, store, layer, genome.lengths, files)
    table = chosen.merge(drawn, on="node", validate="1:1")
    _remove_others(output / hub["assembly"], set(names))
    write_hub(output, table, run.name, hub["assembly"], hub["email"])
    artefacts.write_table(table, output / "tracks.tsv", "tracks", {**made_by, "store": store.fingerprint()})


def _remove_others(folder: Path, names: set[str]) -> None:
    """Remove tracks of nodes that are no longer chosen."""
    for path in folder.glob("*_n*.bw"):
        if path.name not in names:
            path.unlink()
