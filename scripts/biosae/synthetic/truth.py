"""Write what was planted: detectors, their firings, sites, annotations and TomTom's targets.

Coordinates are 0-based half-open. ``truth/`` holds:

    motifs.meme            the planted matrices
    targets.meme           TomTom's targets in scoring: the database, repeats, low complexity, pairs
    detectors.tsv          schema detectors
    detections.parquet     detector, split, chrom, sequence_start, position, activation, site_start
    instances.bed          planted sites: chrom, start, end, motif, 0, strand
    sequences.bed          padded intervals: chrom, start, end, split
    annotations.bed        class in column 6: repeat, low_complexity, enhancer, pair, control
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

from biosae.artefacts import write_table, write_text
from biosae.motifs.formats import Motif, write_meme
from biosae.synthetic.detectors import Detector
from biosae.synthetic.genome import Genome
from biosae.synthetic.matrices import truth_motifs
from biosae.synthetic.network import Network
from biosae.synthetic.settings import SyntheticSettings

_ANNOTATED = ["repeat", "low_complexity", "enhancer", "pair"]


def write_truth(
    folder: Path,
    planted: list[Motif],
    database: list[Motif],
    network: Network,
    genome: Genome,
    sequences: pd.DataFrame,
    detections: pd.DataFrame,
    settings: SyntheticSettings,
    made_by: dict,
) -> None:
    """Write ``truth/`` (see the module's text) into the new folder ``folder``."""
    folder.mkdir()
    kinds = truth_motifs(planted, genome.consensus, settings.pairs)
    others = [motif for kind, motif in kinds if kind != "motif"]
    write_meme(folder / "motifs.meme", planted)
    write_meme(folder / "targets.meme", [*database, *others])
    write_table(detector_table(network, detections, settings), folder / "detectors.tsv", "detectors", made_by)
    detections.to_parquet(folder / "detections.parquet", index=False)
    sites = genome.instances.sort_values(["chrom", "start"]).assign(score=0)
    _write_bed(sites[["chrom", "start", "end", "motif", "score", "strand"]], folder / "instances.bed")
    _write_bed(sequences[["chrom", "start", "end", "split"]], folder / "sequences.bed")
    _write_bed(annotations(genome), folder / "annotations.bed")


def _write_bed(table: pd.DataFrame, path: Path) -> None:
    write_text(path, table.to_csv(sep="\t", index=False, header=False, lineterminator="\n"))


def detector_table(network: Network, detections: pd.DataFrame, settings: SyntheticSettings) -> pd.DataFrame:
    """One row per detector (schema detectors); firings per split are missing for distractors."""
    names = ("name", "kind", "motif", "strand", "width", "threshold", "scale", "gain")
    table = pd.DataFrame({name: [getattr(d, name) for d in network.detectors] for name in names})
    table.insert(0, "detector", np.arange(len(table)))
    table["scored"] = table["kind"] != "distractor"
    for split in ("train", "validation"):
        counts = detections.loc[detections["split"] == split, "detector"].value_counts()
        fires = counts.reindex(table["detector"], fill_value=0).to_numpy(dtype=float)
        table[f"n_{split}"] = np.where(table["scored"], fires, np.nan)
    return _with_grammar(table, network, settings)


def _with_grammar(table: pd.DataFrame, network: Network, settings: SyntheticSettings) -> pd.DataFrame:
    """Add strand_class, anchor, partner and spacing_bp; the last two also for motifs never planted alone."""
    beside = {}
    for first, second, spacing in settings.pairs:
        for own, other in ((first, second), (second, first)):
            if own in settings.partner_only:
                beside.setdefault(own, (other, spacing))
    rows = []
    for d in network.detectors:
        half = (d.partner.motif, d.partner.spacing_bp) if d.partner else beside.get(d.motif, (None, None))
        rows.append((d.strand_class, d.anchor, *half))
    names = ["strand_class", "anchor", "partner", "spacing_bp"]
    return table.join(pd.DataFrame(rows, columns=names).astype({"spacing_bp": "Int64"}))


def annotations(genome: Genome) -> pd.DataFrame:
    """BED rows with the class in column 6: what was planted (but for single sites), and random controls."""
    planted = genome.elements[genome.elements["kind"].isin(_ANNOTATED)]
    control = genome.controls.assign(kind="control", name="control")
    table = pd.concat([planted[["chrom", "start", "end", "name", "kind"]], control])
    table = table.assign(score=0).sort_values(["chrom", "start", "end", "kind"])
    return table[["chrom", "start", "end", "name", "score", "kind"]]


def describe(network: Network) -> dict:
    """The network as plain values: geometry, detectors, mixing (detectors x channels), means, scales."""
    return {
        "layer": network.layer.as_dict(),
        "detectors": [_plain(d) for d in network.detectors],
        "mixing": network.mixing.astype(float).round(7).tolist(),
        "means": network.means.astype(float).round(7).tolist(),
        "scales": network.scales.astype(float).round(7).tolist(),
        "noise": network.noise,
    }


def _plain(detector: Detector) -> dict:
    """A detector as plain values; its partner only where it has one (its class stands in detectors.tsv)."""
    values = asdict(detector) | {"filter": detector.filter.round(6).tolist()}
    grammar = {name: values.pop(name) for name in ("strand_class", "anchor", "partner")}
    if detector.partner is None:
        return values
    half = grammar["partner"] | {"filter": detector.partner.filter.round(6).tolist()}
    return values | {"anchor": detector.anchor, "partner": half}
