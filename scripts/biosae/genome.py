"""The genome as letters: a FASTA file read a chromosome at a time, and checked against the store's intervals.

All coordinates are 0-based, half-open, on the forward strand.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyfaidx

from biosae.artefacts import atomic_path
from biosae.errors import InputError


def _letters(text: bytes) -> np.ndarray:
    table = np.zeros(256, dtype=bool)
    table[list(text)] = True
    return table


_IS_BASE = _letters(b"ACGTacgt")
_IS_GC = _letters(b"CGcg")
_IS_LOWER = _letters(b"acgt")


class Genome:
    """A FASTA file read a chromosome at a time; the last chromosome read stays in memory.

    Attributes:
        path: the FASTA file.
        lengths: bases per chromosome, by name.
    """

    def __init__(self, path: str | Path) -> None:
        """Open ``path`` (plain FASTA, or bgzip) and build the ``.fai`` index where it is missing or old.

        Raises:
            InputError: missing, compressed with plain gzip, not FASTA, or the index cannot be written.
        """
        self.path = Path(path)
        if not self.path.is_file():
            raise InputError("The genome FASTA is missing", where=path, mend="check the path")
        self._fasta = _open_fasta(self.path)
        self.lengths = {name: len(record) for name, record in self._fasta.records.items()}
        self._last: tuple[str | None, np.ndarray] = (None, np.zeros(0, dtype=np.uint8))

    def letters(self, chrom: str) -> np.ndarray:
        """All letters of one chromosome as ASCII codes, (length,) uint8, case kept."""
        if self._last[0] != chrom:
            text = str(self._fasta[chrom][:]) if self.lengths[chrom] else ""
            if len(text) != self.lengths[chrom]:
                raise InputError(
                    f"Chromosome '{chrom}' is shorter than its index says",
                    got=f"{len(text)} bases",
                    expected=f"{self.lengths[chrom]} bases",
                    where=self.path,
                    mend="fetch the whole FASTA again and delete its .fai",
                )
            self._last = (chrom, np.frombuffer(text.encode("ascii", "replace"), dtype=np.uint8))
        return self._last[1]

    def windows(self, chrom: str, start: np.ndarray, window_bp: int) -> np.ndarray:
        """Letters of the windows [start, start + window_bp), (n, window_bp) uint8; all must lie inside."""
        if len(start) == 0:
            return np.zeros((0, window_bp), dtype=np.uint8)
        return np.lib.stride_tricks.sliding_window_view(self.letters(chrom), window_bp)[start]

    def segment(self, chrom: str, start: int, end: int) -> np.ndarray:
        """Letters [start, end), (end - start,) uint8, N beyond the chromosome; nothing else is read."""
        letters = np.full(end - start, ord("N"), np.uint8)
        low, high = max(start, 0), min(end, self.lengths[chrom])
        if low < high:
            text = str(self._fasta[chrom][low:high]).encode("ascii", "replace")
            letters[low - start : low - start + len(text)] = np.frombuffer(text, np.uint8)
        return letters

    def with_other_letter(self, chrom: str, start: np.ndarray, window_bp: int) -> np.ndarray:
        """Which windows hold a letter other than A, C, G, T, (n,) bool."""
        others = np.flatnonzero(~_IS_BASE[self.letters(chrom)])
        return np.searchsorted(others, start) < np.searchsorted(others, start + window_bp)


def _open_fasta(path: Path) -> pyfaidx.Fasta:
    index = Path(f"{path}.fai")
    options = {"as_raw": True, "sequence_always_upper": False}
    try:
        compressed = path.suffix in (".gz", ".bgz")
        stale = not index.exists() or index.stat().st_mtime < path.stat().st_mtime
        if stale and not compressed:
            # written elsewhere and renamed: runs that start together must not read half an index
            with atomic_path(index) as part:
                pyfaidx.Faidx(path, indexname=part).close()
        return pyfaidx.Fasta(path, **options)
    except pyfaidx.UnsupportedCompressionFormat as error:
        raise InputError(
            "The genome FASTA is compressed with gzip, which allows no random access",
            where=path,
            expected="plain FASTA, or bgzip",
            mend=f"gunzip it, or 'gunzip -c {path.name} | bgzip > genome.fa.gz'",
        ) from error
    except ImportError as error:
        raise InputError(
            "A bgzip genome needs the package biopython",
            got=error,
            where=path,
            mend="install it, or gunzip the genome",
        ) from error
    except OSError as error:
        raise InputError(
            "The genome FASTA has no current index, and it cannot be written",
            got=error,
            where=index,
            mend="make the folder writable or link the FASTA into a folder of yours",
        ) from error
    except (pyfaidx.FastaIndexingError, ValueError) as error:
        raise InputError(
            "The genome is not a FASTA file that can be indexed",
            got=error,
            where=path,
            mend="re-wrap its lines",
        ) from error


def interval_table(intervals: list[list], genome: Genome) -> pd.DataFrame:
    """The store's intervals, checked against the genome before any work.

    Args:
        intervals: chrom, start, end (as the network saw it), core_start, core_end; one a sequence.

    Returns:
        DataFrame with these five columns.

    Raises:
        InputError: a chromosome is not in the FASTA, or a core interval reaches beyond its chromosome.
            (The widened interval may: those windows are dropped and counted.)
    """
    table = pd.DataFrame(intervals, columns=["chrom", "start", "end", "core_start", "core_end"])
    length = table["chrom"].map(genome.lengths)
    if (unknown := length.isna()).any():
        first = table["chrom"][unknown].iloc[0]
        raise InputError(
            f"Chromosome '{first}' of the activations is missing from the genome FASTA",
            got=f"chromosomes {list(genome.lengths)[:5]} ...",
            expected=f"{sorted(set(table['chrom'][unknown]))[:5]} ({int(unknown.sum())} intervals)",
            where=genome.path,
            mend="give the assembly that the activations were computed on, with the same names",
        )
    beyond = (table["core_start"] < 0) | (table["core_end"] > length)
    if beyond.any():
        first = table[beyond].iloc[0]
        raise InputError(
            f"{int(beyond.sum())} of {len(table)} intervals of the activations reach beyond their chromosome",
            got=f"{first['chrom']}:{first['core_start']}-{first['core_end']}",
            expected=f"inside 0-{genome.lengths[first['chrom']]}",
            where=genome.path,
            mend="give the assembly that the activations were computed on",
        )
    return table


def cut_windows(chrom: pd.Series, start: np.ndarray, window_bp: int, genome: Genome) -> np.ndarray:
    """Letters of windows on any chromosomes, (n, window_bp) uint8; each chromosome is read once."""
    letters = np.zeros((len(start), window_bp), dtype=np.uint8)
    codes, names = pd.factorize(chrom)
    for code, name in enumerate(names):
        rows = np.flatnonzero(codes == code)
        letters[rows] = genome.windows(name, start[rows], window_bp)
    return letters


def letter_counts(windows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of G or C and of lower-case letters of windows (n, width) uint8: two (n,) int64."""
    return _IS_GC[windows].sum(axis=1), _IS_LOWER[windows].sum(axis=1)
