"""From a dictionary to motifs of its nodes, in memory, with the stages of the workflow; and their score."""

from __future__ import annotations

import pandas as pd

from biosae.activations import ActivationStore
from biosae.backgrounds import draw_background
from biosae.dictionary import Dictionary
from biosae.encoding import encode_store
from biosae.genome import Genome, interval_table
from biosae.ladder.world import World
from biosae.motifs.batched import discover_many, loci_of
from biosae.motifs.collection import with_q_values
from biosae.motifs.formats import Motif
from biosae.motifs.matching import MatchSettings, match
from biosae.motifs.quality import MIN_INFORMATION_BITS
from biosae.motifs.settings import DiscoverySettings
from biosae.motifs.tables import STATUS, NodeResult, add_batched, chunk_table
from biosae.nodes import select_nodes
from biosae.seqlets import Seqlets, collect_seqlets
from biosae.synthetic import scoring

SIGNIFICANCE = 0.05  # the workflow's default: q over all motifs of a run
PARTS_PER_SEQUENCE = 4  # as the workflow's default
INTERVAL_COLUMNS = ["chrom", "start", "end", "core_start", "core_end"]


def motif_scores(model: Dictionary, world: World, data: str, settings: dict, seed: int) -> dict:
    """``scoring.motif_figures`` of a dictionary, from the training store.

    Args:
        settings: top_per_part, min_nonzero, min_above_half, per_node, background_windows, motifs_per_node.
        seed: of background and discovery.
    """
    store, genome = world.stores(data).train, Genome(world.folder / "genome.fa")
    nodes = encode_store(model, store, settings["top_per_part"], PARTS_PER_SEQUENCE)
    rules = {name: settings[name] for name in ("min_nonzero", "min_above_half")}
    selected = select_nodes(nodes.stats, **rules).table
    top = with_windows(nodes.top, store, world)
    seqlets = collect_seqlets(top, selected, world.layer, genome, per_node=settings["per_node"])
    intervals = interval_table(store.intervals[INTERVAL_COLUMNS].to_numpy(object).tolist(), genome)
    windows = draw_background(seqlets.letters, intervals, genome, settings["background_windows"], seed)
    motifs, significant = discovered(seqlets, texts(windows.letters), settings["motifs_per_node"], seed)
    named = {}
    if significant:
        wanted = MatchSettings(significance=scoring.TOMTOM_Q, report_q=scoring.TOMTOM_Q)
        queries = [motifs[name] for name in significant]
        matches = match(queries, world.targets, "batched", wanted, 1, "targets.meme")
        named = scoring.name_motifs(matches, world.truth.motifs)
    figures = scoring.motif_figures(significant, named, world.truth.motifs)
    return {name: figures[name] for name in ("motif_recall", "motif_precision", "n_significant_motifs")}


def with_windows(top: pd.DataFrame, store: ActivationStore, world: World) -> pd.DataFrame:
    """Top activations with the columns that seqlets are cut by: chrom, start, end, strand."""
    sequence = top["sequence"].to_numpy()
    begins = store.intervals["start"].to_numpy()[sequence]
    start, end = world.layer.window(begins, top["position"].to_numpy())
    chrom = store.intervals["chrom"].to_numpy(object)[sequence]
    return top.assign(chrom=chrom, start=start, end=end, strand="+")


def texts(letters) -> list[str]:
    """Windows (n, width) uint8 as strings."""
    width, text = letters.shape[1], letters.tobytes().decode("ascii")
    return [text[at : at + width] for at in range(0, len(text), width)]


def discovered(
    seqlets: Seqlets, background: list[str], motifs_per_node: int, seed: int
) -> tuple[dict[str, Motif], list[str]]:
    """Motifs of all nodes by id, and the ids of those that are significant over the run."""
    if not len(seqlets.table):
        return {}, []
    table = seqlets.table.assign(text=texts(seqlets.letters))
    table["header"] = [f"{row.chrom}:{row.start}-{row.end}(+)" for row in table.itertuples()]
    nodes = {(int(rank), int(node)): own for (rank, node), own in table.groupby(["rank", "node"])}
    found = discover_many(
        [(f"n{node}", own["text"].tolist()) for (_, node), own in nodes.items()],
        background,
        DiscoverySettings(motifs_per_node=motifs_per_node),
        seed,
        groups={f"n{node}": loci_of(own["header"].tolist()) for (_, node), own in nodes.items()},
    )
    results = []
    for (rank, node), own in nodes.items():
        motifs = found[f"n{node}"]
        result = NodeResult(rank, node, STATUS[motifs.status], len(own))
        results.append(add_batched(result, motifs, MIN_INFORMATION_BITS))
    chunk = with_q_values(chunk_table(results), SIGNIFICANCE)
    significant = chunk.loc[chunk["significant"].astype(bool), "motif_id"].tolist()
    return {motif.id: motif for result in results for motif in result.motifs}, significant
