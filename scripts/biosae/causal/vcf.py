"""Variants from a VCF file (plain or gzip): the five columns that say what is where, read strictly.

Nothing else of the format is needed here (no genotypes, no INFO), which is why no htslib is. Positions are
1-based in the file and 0-based here. A record with several alternatives is as many variants. Alleles that
are no letters (``<DEL>``, ``*``, breakends, ``.``) have no sequence to feed: they are counted and left out.
"""

from __future__ import annotations

import gzip
import logging
import re
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from biosae.errors import InputError
from biosae.genome import Genome

log = logging.getLogger(__name__)

COLUMNS = ["chrom", "start", "id", "ref", "alt"]
_HEADER = ["#CHROM", "POS", "ID", "REF", "ALT"]
_LETTERS = re.compile("[ACGTNacgtn]+")


def read_vcf(
    path: str | Path, genome: Genome, reference_mismatch: str = "refuse"
) -> tuple[pd.DataFrame, dict]:
    """Variants in the order of the file, and counts of what was left out.

    Args:
        path: the file.
        genome: of the assembly that the positions are of.
        reference_mismatch: ``refuse`` or ``drop`` variants whose reference allele is not what the genome has.

    Returns:
        DataFrame ``COLUMNS``, letters upper case; counts read, symbolic and reference_mismatch.

    Raises:
        InputError: not a VCF; a line that is not one; an unknown chromosome; no variant; a mismatch to be
            refused.
    """
    table, symbolic = _variants(Path(path), genome)
    wrong = _mismatches(table, genome)
    if wrong.any() and reference_mismatch == "refuse":
        raise _mismatch_error(table, wrong, genome)
    counts = {"read": len(table) + symbolic, "symbolic": symbolic, "reference_mismatch": int(wrong.sum())}
    if wrong.any():
        log.warning("%s; they are left out", _say_mismatch(table, wrong, genome))
    if symbolic:
        log.warning("%d alleles of %s without letters (<DEL>, *, .) were left out", symbolic, path)
    table = table.loc[~wrong, COLUMNS].reset_index(drop=True)
    if table.empty:
        raise InputError("The VCF holds no variant that can be scored", got=counts, where=path)
    return table, counts


def _variants(path: Path, genome: Genome) -> tuple[pd.DataFrame, int]:
    """``COLUMNS`` and the place in the file of every allele of letters, and how many were of none."""
    records, symbolic = [], 0
    for place, chrom, start, name, ref, alternatives in _records(path):
        if chrom not in genome.lengths:
            raise InputError(
                f"Chromosome '{chrom}' of the VCF is missing from the genome FASTA",
                got=f"chromosomes {list(genome.lengths)[:5]} ...",
                where=place,
                mend="give the assembly that the variants were called on, with the same names",
            )
        for alt in alternatives:
            if _LETTERS.fullmatch(ref) and _LETTERS.fullmatch(alt):
                records.append((chrom, start, name, ref.upper(), alt.upper(), place))
            else:
                symbolic += 1
    return pd.DataFrame(records, columns=[*COLUMNS, "place"]), symbolic


def _records(path: Path) -> Iterator[tuple[str, str, int, str, str, list[str]]]:
    """Where, chromosome, 0-based start, id, reference, alternatives of each record."""
    header = None
    for number, line in enumerate(_lines(path), 1):
        place, fields = f"{path}, line {number}", line.split("\t")
        if line.startswith("##") or not line:
            continue
        if line.startswith("#"):
            header = fields[:5]
            continue
        if header != _HEADER:
            raise InputError(
                "A VCF has no header line before its first record",
                got=line[:60],
                expected="a line that begins with " + "\t".join(_HEADER),
                where=place,
            )
        if len(fields) < 5 or not fields[1].isdigit() or int(fields[1]) < 1 or not all(fields[:5]):
            raise InputError(
                "A line is no record of a VCF",
                got=line[:60],
                expected="CHROM, POS from 1, ID, REF and ALT, tab-separated",
                where=place,
            )
        yield place, fields[0], int(fields[1]) - 1, fields[2], fields[3], fields[4].split(",")
    if header is None:
        raise InputError("A file is not a VCF: it has no header line #CHROM ...", where=path)


def _lines(path: Path) -> Iterator[str]:
    try:
        with path.open("rb") as raw:
            compressed = raw.read(2) == b"\x1f\x8b"
        with gzip.open(path, "rt") if compressed else path.open() as handle:
            for line in handle:
                yield line.rstrip("\r\n")
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise InputError("Cannot read a VCF", got=error, where=path, mend="check the path") from error


def _reference(genome: Genome, chrom: str, start: int, length: int) -> str:
    return genome.segment(chrom, start, start + length).tobytes().decode().upper()


def _mismatches(table: pd.DataFrame, genome: Genome) -> np.ndarray:
    """Which variants' reference allele is not what the genome has, (n,) bool; chromosome by chromosome."""
    wrong = np.zeros(len(table), dtype=bool)
    for chrom, rows in table.groupby("chrom", sort=False).indices.items():
        for row, start, ref in zip(rows, table["start"].iloc[rows], table["ref"].iloc[rows], strict=True):
            wrong[row] = _reference(genome, str(chrom), int(start), len(ref)) != ref
    return wrong


def _say_mismatch(table: pd.DataFrame, wrong: np.ndarray, genome: Genome) -> str:
    first = table[wrong].iloc[0]
    there = _reference(genome, first["chrom"], int(first["start"]), len(first["ref"]))
    return (
        f"{int(wrong.sum())} of {len(table)} reference alleles disagree with the genome, the first at "
        f"{first['chrom']}:{first['start'] + 1}, {first['ref']} where the genome has {there}"
    )


def _mismatch_error(table: pd.DataFrame, wrong: np.ndarray, genome: Genome) -> InputError:
    return InputError(
        _say_mismatch(table, wrong, genome),
        where=table["place"][wrong].iloc[0],
        mend="give the assembly that the variants were called on, or set variants.reference_mismatch to drop",
    )
