"""The seqlets of a run as bigBed: exactly BED9, coloured by activation, for genome browsers.

https://genome.ucsc.edu/goldenPath/help/bigBed.html
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pybigtools

from biosae.artefacts import atomic_path
from biosae.errors import BiosaeError, InputError

AUTOSQL = """table seqlets
"Seqlets of the kept nodes of a biosae run"
(
string chrom;      "Chromosome"
uint   chromStart; "Start, 0-based"
uint   chromEnd;   "End, not included"
string name;       "Node, {rank}_n{node}"
uint   score;      "Activation over the highest of the node's seqlets, times 1,000"
char[1] strand;    "Strand that the network read"
uint   thickStart; "Same as chromStart"
uint   thickEnd;   "Same as chromEnd"
uint   reserved;   "Colour: the darker, the higher the score"
)
"""
_SLAB = 100_000
_PALE, _DARK = np.array([198, 219, 239]), np.array([8, 48, 107])  # at score 0 and at 1,000


def bed9(windows: pd.DataFrame) -> Iterator[tuple[str, int, int, str]]:
    """(chrom, start, end, the other six fields) of each window, sorted by chrom and start as bigBed needs.

    Args:
        windows: chrom, start, end, name, score (0 to 1,000), strand; in any order.
    """
    rows = windows.sort_values(["chrom", "start", "end"], kind="stable")
    for first in range(0, len(rows), _SLAB):  # as Python objects, 20 million windows would take gigabytes
        slab = rows.iloc[first : first + _SLAB]
        shares = slab["score"].to_numpy()[:, None] / 1000
        colours = np.rint(_PALE + shares * (_DARK - _PALE)).astype(int).tolist()
        fields = (slab[name].tolist() for name in ("chrom", "start", "end", "name", "score", "strand"))
        for chrom, start, end, name, score, strand, rgb in zip(*fields, colours, strict=True):
            colour = ",".join(map(str, rgb))
            yield chrom, start, end, f"{name}\t{score}\t{strand}\t{start}\t{end}\t{colour}"


def write_bigbed(path: Path, windows: pd.DataFrame, lengths: dict[str, int]) -> None:
    """Write windows, one at least, as bigBed; the same windows give the same bytes.

    Args:
        windows: as for ``bed9``.
        lengths: bases per chromosome of the genome.

    Raises:
        InputError: a chromosome is not in the genome.
        BiosaeError: the file does not read back; pybigtools states no error, or panics, when a disk is full.
    """
    unknown = sorted(set(windows["chrom"].unique()) - set(lengths))
    if unknown:
        raise InputError(
            f"{len(unknown)} chromosomes of the seqlets are not in the genome",
            got=unknown[:5],
            mend="give the genome that the seqlets were cut from",
        )
    with atomic_path(path) as temporary:
        named = temporary.with_suffix(".bb")  # by which pybigtools tells a bigBed from a bigWig
        try:
            _write(named, bed9(windows), lengths, path)
            _check_whole(named, len(windows), path)
            os.replace(named, temporary)
        finally:
            named.unlink(missing_ok=True)


def _write(named: Path, records: Iterator, lengths: dict[str, int], path: Path) -> None:
    try:
        pybigtools.open(str(named), "w").write(lengths, records, AUTOSQL)
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # Rust's, of no module that could be imported
            raise
        raise BiosaeError(
            "A bigBed file was not written whole", got=error, where=path, mend="make space on the disk"
        ) from error


def _check_whole(written: Path, expected: int, path: Path) -> None:
    try:
        reader = pybigtools.open(str(written))
        found = sum(1 for chrom in reader.chroms() for _ in reader.records(chrom))
    except (OSError, ValueError, pybigtools.BBIReadError) as error:
        raise BiosaeError("A bigBed file was not written whole", got=error, where=path) from error
    if found != expected:
        raise BiosaeError(
            "A bigBed file was not written whole", got=f"{found} records", expected=expected, where=path
        )
