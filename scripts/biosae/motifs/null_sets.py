"""The null sets of a run on disk: which node each mirrors, and its FASTA."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from biosae.artefacts import conform, write_text
from biosae.cli import progress
from biosae.errors import ConfigError, InputError
from biosae.genome import Genome
from biosae.motifs import nulls
from biosae.motifs.calibration import KINDS
from biosae.motifs.fasta import node_name, read_fasta
from biosae.seqlets import clear_folder

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class NullSettings:
    """What null sets of one kind are drawn with.

    Args:
        kind: one of ``KINDS``.
        sets: number of sets.
        pool_windows: random windows that kinds genome and filter choose from.
        filter_bp: width of the random filters, bp.
        seed: of every draw.
    """

    kind: str
    sets: int = 1000
    pool_windows: int = 200_000
    filter_bp: int = nulls.FILTER_BP
    seed: int = 0

    def __post_init__(self) -> None:
        fits = self.kind in KINDS and min(self.sets, self.pool_windows, self.filter_bp) >= 1
        if not fits:
            raise ConfigError(
                "Settings of null sets do not fit",
                got=self,
                expected=f"kind one of {KINDS}; sets, pool_windows and filter_bp 1 or more",
            )

    def as_dict(self) -> dict:
        """For provenance."""
        return asdict(self)


def plan_sets(manifest: pd.DataFrame, n_sets: int) -> pd.DataFrame:
    """Which kept node each null set mirrors.

    Fewer sets than nodes: nodes at even distances of rank; more: every node in turn, again and again.

    Args:
        manifest: schema ``seqlet_manifest``.

    Returns:
        Columns set (from 1), mirrored_rank, mirrored_node, file, n_wanted; none where no node was kept.
    """
    nodes = manifest.sort_values("rank", ignore_index=True)
    numbers = np.arange(n_sets if len(nodes) else 0)
    picked = (2 * numbers + 1) * len(nodes) // (2 * n_sets) if n_sets < len(nodes) else numbers % len(nodes)
    chosen = nodes.iloc[picked].reset_index(drop=True)
    return pd.DataFrame(
        {
            "set": numbers + 1,
            "mirrored_rank": chosen["rank"],
            "mirrored_node": chosen["node"],
            "file": chosen["file"],
            "n_wanted": chosen["n_seqlets"],
        }
    )


def write_sets(
    seqlets: Path,
    manifest: pd.DataFrame,
    intervals: pd.DataFrame,
    genome: Genome,
    settings: NullSettings,
    folder: Path,
) -> pd.DataFrame:
    """Write ``{set}_n{set - 1}.fa`` for each set into ``folder``.

    Args:
        seqlets: folder of the run's FASTA files and background.fa.
        manifest: schema ``seqlet_manifest``.
        intervals: chrom, core_start, core_end of the store's sequences.

    Returns:
        Table of schema ``null_sets``.
    """
    clear_folder(folder)
    table = plan_sets(manifest, settings.sets)
    sizes = table["n_wanted"].tolist()
    written = []
    records = _sets(seqlets, table, sizes, intervals, genome, settings) if sizes else iter(())
    for number, some in enumerate(progress(records, what=settings.kind, total=len(sizes), unit="set"), 1):
        text = "".join(f">{header}\n{sequence}\n" for header, sequence in some)
        write_text(folder / f"{node_name(number, number - 1)}.fa", text)
        written.append(len(some))
    table = conform(table.drop(columns="file").assign(n_sequences=written), "null_sets")
    if short := int((table["n_sequences"] < table["n_wanted"]).sum()):
        log.warning("%d of %d sets are smaller than their node: too few windows apart", short, len(table))
    return table


def _sets(seqlets, table, sizes, intervals, genome, settings) -> Iterator[list[nulls.Record]]:
    if settings.kind == "shuffled":
        for number, file in zip(table["set"], table["file"], strict=True):
            seed = nulls.set_seed(settings.seed, settings.kind, int(number))
            yield nulls.shuffled_records(read_fasta(seqlets / file), seed)
        return
    background = [sequence for _, sequence in read_fasta(seqlets / "background.fa")]
    widths = sorted({len(sequence) for sequence in background})
    if len(widths) != 1:
        raise InputError(
            "The background's windows are not of one width",
            got=f"{len(background)} windows of {widths[:5]} bp",
            where=seqlets / "background.fa",
            mend="run write_seqlets again",
        )
    like = np.frombuffer("".join(background).encode("ascii"), np.uint8).reshape(len(background), -1)
    pool = nulls.draw_pool(intervals, genome, like.shape[1], settings.pool_windows, settings.seed)
    if settings.kind == "genome":
        yield from nulls.genome_sets(pool, like, sizes, settings.seed)
    else:
        yield from nulls.filter_sets(pool, sizes, settings.seed, settings.filter_bp)
