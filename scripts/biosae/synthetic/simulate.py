"""Write a synthetic data set: genome, activations in the published layout, and the truth behind both.

Coordinates are 0-based half-open. Files under the output folder:

    genome.fa, genome.fa.fai              soft-masked
    activations/train/activations_<i>.h5, train_seqs.bed        core intervals, pad_bp narrower on each side
    activations/validation/activations_<i>.h5, valid_seqs.bed   every VALIDATION_EVERY-th interval
    activations/random_model/{train,validation}/   the same of the random twin, where it is asked for
    truth/                                see ``biosae.synthetic.truth``
    network.json                          geometry, detectors, mixing
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

from biosae.artefacts import atomic_directory, provenance, write_json, write_text
from biosae.cli import progress
from biosae.errors import ConfigError, InputError
from biosae.motifs.formats import Motif, read_meme
from biosae.synthetic.genome import Genome, build_genome
from biosae.synthetic.matrices import strengthened
from biosae.synthetic.network import Network, build_network, detect, mix
from biosae.synthetic.settings import VALIDATION_EVERY, SyntheticSettings, check_settings, recorded
from biosae.synthetic.truth import describe, write_truth
from biosae.synthetic.twin import CALIBRATION_SEQUENCES, random_twin

PROGRAM = "simulate_activations"
LINE_BP = 60
CONTENTS = {"genome.fa", "genome.fa.fai", "activations", "truth", "network.json"}
TABLES = {"train": "train_seqs.bed", "validation": "valid_seqs.bed"}
log = logging.getLogger(__name__)


def planted_motifs(database: Path, motif_ids: tuple[str, ...]) -> tuple[list[Motif], list[Motif]]:
    """The matrices to plant, in the order asked for, and the whole database.

    Raises:
        ConfigError: no id given, an id given twice, or an id that the database lacks or holds twice.
    """
    motifs = read_meme(database)
    found = {motif.id: motif for motif in motifs}
    missing = [name for name in motif_ids if name not in found]
    if missing or not motif_ids or len(set(motif_ids)) < len(motif_ids) or len(found) < len(motifs):
        raise ConfigError(
            "The matrices to plant cannot be taken from the motif database",
            got=f"motif_ids {list(motif_ids)}, not in the database: {missing}",
            expected="at least one id, each once, of a database with unique ids",
            where=Path(database).name,
        )
    return [found[name] for name in motif_ids], motifs


def chromosome_lengths(settings: SyntheticSettings) -> list[int]:
    """Lengths of about genome_bp in all, each a multiple of the padded interval; earlier ones are longer."""
    parts = np.array_split(np.arange(settings.genome_bp // settings.padded_bp), settings.chromosomes)
    return [len(part) * settings.padded_bp for part in parts]


def tile(settings: SyntheticSettings, chromosome_bp: list[int]) -> pd.DataFrame:
    """Padded intervals that tile the chromosomes without overlap: chrom, start, end, split, file, row."""
    rows = [
        (f"chr{number + 1}", start, start + settings.padded_bp)
        for number, length in enumerate(chromosome_bp)
        for start in range(0, length, settings.padded_bp)
    ]
    table = pd.DataFrame(rows, columns=["chrom", "start", "end"])
    held_out = np.arange(len(table)) % VALIDATION_EVERY == VALIDATION_EVERY - 1
    table["split"] = np.where(held_out, "validation", "train")
    table[["file", "row"]] = 0
    for _, own in table.groupby("split"):
        for number, part in enumerate(np.array_split(own.index.to_numpy(), settings.files_per_split)):
            table.loc[part, "file"] = number
            table.loc[part, "row"] = np.arange(len(part))
    return table


def write_genome(genome: Genome, folder: Path) -> None:
    """Write ``genome.fa`` and its index (samtools' .fai: name, length, offset, bases and bytes a line)."""
    index, text, at = [], [], 0
    for chrom in genome.bases:
        sequence = genome.text(chrom)
        header = f">{chrom}\n"
        lines = [sequence[i : i + LINE_BP] for i in range(0, len(sequence), LINE_BP)]
        index.append(f"{chrom}\t{len(sequence)}\t{at + len(header)}\t{LINE_BP}\t{LINE_BP + 1}\n")
        text.append(header + "\n".join(lines) + "\n")
        at += len(text[-1])
    write_text(folder / "genome.fa", "".join(text))
    write_text(folder / "genome.fa.fai", "".join(index))


def _write_store(
    settings: SyntheticSettings, network: Network, genome: Genome, sequences: pd.DataFrame, folder: Path
) -> Iterator[tuple[object, np.ndarray, np.ndarray]]:
    """Write the HDF5 files and interval tables of both splits; yield each sequence with its ``detect``."""
    rng = np.random.default_rng([settings.seed, 1])
    bar = progress(what="simulate", total=len(sequences), unit="sequence")
    for (split, number), own in sequences.groupby(["split", "file"]):
        target = folder / split
        target.mkdir(parents=True, exist_ok=True)
        shape = (len(own), settings.positions, network.layer.channels)
        with h5py.File(target / f"activations_{number}.h5", "w") as handle:
            data = handle.create_dataset("activations", shape, "float16")
            for one in own.itertuples():
                activation, site_start = detect(network, genome.bases[one.chrom][one.start : one.end])
                data[one.row] = mix(network, activation, rng).astype(np.float16)
                yield one, activation, site_start
                bar.update()
    bar.close()
    for split, name in TABLES.items():
        own = sequences[sequences["split"] == split]
        write_text(folder / split / name, interval_table(settings, own))


def _write_activations(
    settings: SyntheticSettings, network: Network, genome: Genome, sequences: pd.DataFrame, folder: Path
) -> pd.DataFrame:
    """Write the stores, and those of the random twin; return every firing of a scored detector."""
    scored = np.array([d.kind != "distractor" for d in network.detectors])
    found, fires = [], np.zeros(len(scored))
    for one, activation, site_start in _write_store(settings, network, genome, sequences, folder):
        found.append(_detections(one, activation[:, scored], site_start[:, scored]))
        fires += (activation > 0).sum(axis=0)
    if settings.random_model:
        every = max(len(sequences) // CALIBRATION_SEQUENCES, 1)
        some = [genome.bases[one.chrom][one.start : one.end] for one in sequences[::every].itertuples()]
        density = fires / (len(sequences) * settings.positions)
        twin = random_twin(network, density, some, settings.seed)
        for _ in _write_store(settings, twin, genome, sequences, folder / "random_model"):
            pass  # what the twin's filters fire on is no truth
    return pd.concat(found, ignore_index=True)


def _detections(sequence: object, activation: np.ndarray, site_start: np.ndarray) -> pd.DataFrame:
    """Firings in one sequence; scored detectors come first, so their numbers are their columns."""
    position, detector = np.nonzero(activation > 0)
    return pd.DataFrame(
        {
            "detector": detector.astype(np.int32),
            "split": sequence.split,
            "chrom": sequence.chrom,
            "sequence_start": np.full(len(position), sequence.start, dtype=np.int64),
            "position": position.astype(np.int32),
            "activation": activation[position, detector],
            "site_start": site_start[position, detector] + sequence.start,
        }
    )


def interval_table(settings: SyntheticSettings, own: pd.DataFrame) -> str:
    """The published interval table as text: core intervals, file number, row in the file."""
    table = pd.DataFrame(
        {
            "0": own["chrom"],
            "1": own["start"] + settings.pad_bp,
            "2": own["end"] - settings.pad_bp,
            "chunk_ind": own["file"],
            "inner_ind": own["row"],
        }
    )
    return table.to_csv(sep="\t", index=False, lineterminator="\n")


def _refuse_foreign(output: Path) -> None:
    """The output folder is replaced whole: refuse one that holds anything this program does not write."""
    foreign = sorted({path.name for path in output.iterdir()} - CONTENTS) if output.is_dir() else []
    if foreign or output.is_file():
        raise InputError(
            "The output folder would be replaced, but holds files that this program does not write",
            got=foreign[:5] or "a file",
            where=output,
            mend="name a new folder, or empty this one",
        )


def _check_layer(network: Network, stated: dict[str, int]) -> None:
    """Refuse a geometry that is stated elsewhere and is not the network's: windows would be cut wrongly."""
    own = {name: getattr(network.layer, name) for name in stated}
    if own != stated:
        raise ConfigError(
            "The layer is not that of the synthetic network, whose geometry follows from what it reads",
            got=stated,
            expected=own,
            mend="state these values in the section layer",
        )


def simulate(
    settings: SyntheticSettings,
    database: str | Path,
    output: str | Path,
    stated_layer: dict[str, int] | None = None,
) -> None:
    """Write the data set into ``output`` (replaced whole).

    Args:
        settings: see SyntheticSettings.
        database: motif database in MEME format that holds ``settings.motif_ids``.
        output: folder to make.
        stated_layer: channels, left_bp, right_bp as the config states them; any of them.

    Raises:
        ConfigError, InputError: before anything is written.
    """
    check_settings(settings)
    planted, motifs = planted_motifs(Path(database), settings.motif_ids)
    planted = [
        replace(motif, matrix=strengthened(motif.matrix, settings.motif_strength)) for motif in planted
    ]
    _refuse_foreign(Path(output))
    chromosome_bp = chromosome_lengths(settings)
    genome = build_genome(chromosome_bp, planted, settings)
    network = build_network(planted, genome.consensus, settings)
    _check_layer(network, stated_layer or {})
    sequences = tile(settings, chromosome_bp)
    made_by = provenance(PROGRAM, recorded(settings), [database], settings.seed)
    with atomic_directory(output) as folder:
        write_genome(genome, folder)
        detections = _write_activations(settings, network, genome, sequences, folder / "activations")
        write_truth(
            folder / "truth", planted, motifs, network, genome, sequences, detections, settings, made_by
        )
        write_json(folder / "network.json", {"provenance": made_by, **describe(network)})
    log.info(
        "%d sequences, %d firings, %d planted sites", len(sequences), len(detections), len(genome.instances)
    )
