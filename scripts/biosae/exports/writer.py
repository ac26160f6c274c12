"""All exports of a run, and the table that says what each holds or why it is not there."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from biosae.artefacts import provenance, write_json, write_table
from biosae.cli import progress
from biosae.directions import read_directions
from biosae.errors import ConfigError
from biosae.exports.anndata_file import write_h5ad
from biosae.exports.bigbed import write_bigbed
from biosae.exports.modisco import Pattern, write_modisco
from biosae.exports.multiqc import write_general_statistics, write_training_curve
from biosae.exports.node_tables import write_parquet
from biosae.exports.run_files import BED, NEEDED, RunFiles, load_run, read_codes
from biosae.exports.sites import find_sites
from biosae.genome import Genome
from biosae.motif_scan import composition, prepare
from biosae.summary import count_nodes, load_evaluation

log = logging.getLogger(__name__)

BIGBED, MODISCO, PARQUET, H5AD = "seqlets.bb", "motifs.h5", "nodes.parquet", "nodes.h5ad"
GENERAL, TRAINING, TABLE = "biosae_mqc.tsv", "training_mqc.yaml", "exports.tsv"


@dataclass(frozen=True)
class Settings:
    """How exports are made.

    Args:
        seqlets_per_motif: of each motif in motifs.h5 at most, the strongest first.
        strand: ``given`` or ``both``, as motifs were discovered.
        hit_p, site_share: what a hit of a motif is, see ``motif_scan.prepare``.
    """

    seqlets_per_motif: int = 100
    strand: str = "given"
    hit_p: float = 1e-4
    site_share: float = 0.9

    def __post_init__(self) -> None:
        shares = self.hit_p, self.site_share
        good = min(shares) > 0 and max(shares) <= 1 and self.seqlets_per_motif >= 0
        if not good or self.strand not in ("given", "both"):
            raise ConfigError(
                "The exports cannot be made with these settings",
                got=self,
                expected="shares above 0 and at most 1, seqlets_per_motif of 0 or more, strand given or both",
            )


def export_run(folder: Path, genome: Path, output: Path, settings: Settings) -> pd.DataFrame:
    """Write every export of one run into ``output``, ``exports.tsv`` last; returns its rows.

    Args:
        folder: results/{layer}/{run}.
        genome: the FASTA that the seqlets were cut from, for the lengths of its chromosomes.

    Raises:
        InputError: a file of the run is missing or unreadable.
        ContractError: files of the run that do not belong together.
    """
    run = load_run(folder)
    read = [folder / name for name in (*NEEDED, BED) if (folder / name).is_file()]
    made_by = provenance("export_run.py", vars(settings), [*read, genome])
    (output / TABLE).unlink(missing_ok=True)  # not of the exports that are about to be replaced
    rows = [
        _seqlets(run, genome, output),
        _motifs(run, output, settings, made_by),
        *_nodes(run, output, made_by),
        *_multiqc(run, output),
    ]
    table = pd.DataFrame(rows, columns=["file", "holds", "rows", "left_out", "reason"])
    for name in table.loc[~table["file"].isin([GENERAL, TRAINING]), "file"]:
        if (output / name).is_file():  # MultiQC would read the provenance of its tables as data
            write_json(output / f"{name}.json", made_by)
    write_table(table, output / TABLE, "exports", made_by)
    for row in table[table["left_out"] > 0].itertuples():
        log.info("%s: %d left out: %s", row.file, row.left_out, row.reason)
    return table


def _seqlets(run: RunFiles, genome: Path, output: Path) -> tuple:
    """The bigBed; none without windows, since an empty one is no valid file."""
    path = output / BIGBED
    if run.windows is not None and len(run.windows):
        write_bigbed(path, run.windows, Genome(genome).lengths)
        return BIGBED, "seqlets", len(run.windows), 0, None
    path.unlink(missing_ok=True)  # of an earlier selection
    Path(f"{path}.json").unlink(missing_ok=True)
    reason = (
        f"not written: the run has no coordinates (no {BED})"
        if run.windows is None
        else "not written: no kept node has a seqlet, and a bigBed holds one at least"
    )
    return BIGBED, "seqlets", 0, run.n_seqlets, reason


def _motifs(run: RunFiles, output: Path, settings: Settings, made_by: dict) -> tuple:
    width = max((motif.width for motif in run.motifs), default=0)
    background = read_codes(run.folder / "seqlets" / "background.fa")
    has_windows = run.windows is not None and len(run.windows)
    first = run.windows.iloc[0] if has_windows else {"start": 0, "end": background.shape[1]}
    counts = {"left_out": 0}
    patterns = _patterns(run, composition(background), settings, counts)
    example = (
        f"row of {BED}, from 0; start and end count from the start of that window"
        if run.windows is not None
        else "seqlets numbered by rank of the node, then by strength, from 0; the run has no coordinates"
    )
    notes = {"example_idx_is": example, "run": f"{run.layer}/{run.run}", "provenance": made_by}
    n = write_modisco(output / MODISCO, patterns, width, int(first["end"] - first["start"]), notes)
    reason = f"seqlets with a motif beyond the strongest {settings.seqlets_per_motif} of each motif"
    return MODISCO, "motifs", n, counts["left_out"], reason if counts["left_out"] else None


def _patterns(
    run: RunFiles, background: np.ndarray, settings: Settings, counts: dict[str, int]
) -> Iterator[Pattern]:
    """The motifs with their sites, in order; counts in ``counts`` the sites that are left out."""
    numbers = _example_numbers(run)
    files = dict(zip(run.manifest["node"].tolist(), run.manifest["file"].tolist(), strict=True))
    last, codes = None, np.zeros((0, 0), dtype=np.uint8)
    rows = run.motif_rows.itertuples()
    for motif, row in progress(zip(run.motifs, rows, strict=True), what="motifs", total=len(run.motifs)):
        if row.node != last:
            last, codes = row.node, read_codes(run.folder / "seqlets" / files[row.node])
        ready = prepare(motif, background, settings.hit_p, settings.site_share)
        sites = find_sites(codes, ready, settings.strand == "both", settings.seqlets_per_motif)
        counts["left_out"] += sites.n_all - len(sites.seqlet)
        notes = {"rank": int(row.rank), "node": int(row.node), "significant": bool(row.significant)}
        notes |= {"q_value": float(row.q_value), "consensus": row.consensus, "n_sites": float(motif.n_sites)}
        yield Pattern(motif, notes, sites, codes, numbers[row.node])


def _example_numbers(run: RunFiles) -> dict[int, np.ndarray]:
    """For each kept node the numbers of its seqlets, strongest first, by which motifs.h5 names them."""
    nodes, counts = run.manifest["node"].tolist(), run.manifest["n_seqlets"].tolist()
    if run.windows is None:
        first = np.cumsum([0, *counts])
        return {node: first[i] + np.arange(counts[i]) for i, node in enumerate(nodes)}
    names = run.windows["name"].cat
    known = np.array([int(name.rpartition("_n")[2]) for name in names.categories], dtype=np.int64)
    node = known[names.codes.to_numpy()]
    order = np.lexsort((run.windows["seqlet_rank"].to_numpy(), node))
    starts = np.searchsorted(node[order], nodes)
    return {
        own: order[first : first + n] for own, first, n in zip(nodes, starts.tolist(), counts, strict=True)
    }


def _nodes(run: RunFiles, output: Path, made_by: dict) -> list[tuple]:
    write_parquet(output / PARQUET, run.nodes, "nodes", made_by)
    directions = read_directions(run.folder / "checkpoint", run.nodes["node"].to_numpy(np.int64))
    write_h5ad(output / H5AD, run.nodes, run.umap, directions, made_by)
    return [(name, "nodes", len(run.nodes), 0, None) for name in (PARQUET, H5AD)]


def _multiqc(run: RunFiles, output: Path) -> list[tuple]:
    sample = f"{run.layer} {run.run}"  # MultiQC keeps of a name with / its last part
    figures = {**load_evaluation(run.folder), **count_nodes(run.nodes, run.null_sets)}
    write_general_statistics(output / GENERAL, sample, figures)
    points, without = write_training_curve(output / TRAINING, sample, run.curve)
    reason = "evaluations without a validation FVU" if without else None
    return [(GENERAL, "runs", 1, 0, None), (TRAINING, "evaluations", points, without, reason)]
