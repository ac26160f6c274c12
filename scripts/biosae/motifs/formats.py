"""Motifs as text: MEME motif format 4 and 5 (FASTA and the names of a node's files: see ``fasta``).

The reader takes minimal MEME (databases), a full ``meme.txt`` of MEME 5 and ``streme.txt``: all three hold
``MOTIF`` lines and letter-probability matrices (https://meme-suite.org/meme/doc/meme-format.html).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from biosae.artefacts import write_text
from biosae.errors import ContractError, InputError
from biosae.motifs.fasta import node_name, parse_file_name, parse_motif_id, read_fasta, read_lines
from biosae.motifs.numbers import format_scientific, parse_scientific, power_of_ten

__all__ = [
    "Motif",
    "format_meme",
    "node_name",
    "parse_file_name",
    "parse_motif_id",
    "read_fasta",
    "read_meme",
    "write_meme",
]

LETTERS = "ACGT"
UNIFORM = (0.25, 0.25, 0.25, 0.25)
DEFAULT_SITES = 20.0  # what the format document prescribes where a matrix states no nsites=
ROW_TOLERANCE = 0.01  # four probabilities of two decimals can miss 1 by this much
_IUPAC = dict(zip(range(1, 16), "ACMGRSVTWYHKDBN", strict=True))  # bits: A 1, C 2, G 4, T 8
_ROW_START = re.compile(r"\s*[-+]?(\.?[0-9]|nan|inf)", re.IGNORECASE)
_RNA = (
    "RNA reads as DNA with U as T: write 'ALPHABET= ACGT' in that line of a copy (and mind that matching "
    "looks at both strands, while RNA has one)"
)
_FULL_TAIL = re.compile(r"\s+width\s*=.*$")  # what meme.txt says after the name on a MOTIF line


@dataclass(frozen=True, eq=False)
class Motif:
    """One motif.

    Attributes:
        id: first word of the MOTIF line; not unique in meme.txt, where it is the consensus.
        name: the rest of the line.
        matrix: (width, 4) float64, probabilities of A, C, G, T.
        n_sites: number of sites behind the matrix.
        e_value: as stated; 0.0 where a double cannot hold it (see ``log10_e``) or where the file says 0.
        log10_e: its decimal logarithm, exact far below 1e-308; None where E is absent or stated as 0.
        log10_p: set where the file states ``P=`` in place of ``E=`` (STREME with a held-out set).
    """

    id: str
    name: str
    matrix: np.ndarray
    n_sites: float = DEFAULT_SITES
    e_value: float | None = None
    log10_e: float | None = None
    log10_p: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "matrix", np.asarray(self.matrix, dtype=np.float64))
        if self.matrix.ndim != 2 or self.matrix.shape[0] == 0 or self.matrix.shape[1] != 4:
            raise ContractError(
                "A motif matrix has a wrong shape", got=self.matrix.shape, expected="(width, 4)"
            )
        if self.e_value is None and self.log10_e is not None:
            object.__setattr__(self, "e_value", power_of_ten(self.log10_e))
        elif self.e_value and self.log10_e is None:
            object.__setattr__(self, "log10_e", math.log10(self.e_value))

    @property
    def width(self) -> int:
        """Number of columns, in bp."""
        return len(self.matrix)

    @property
    def consensus(self) -> str:
        """IUPAC letters: in a column, those at least half as probable as the likeliest (MEME's rule)."""
        likely = self.matrix >= 0.5 * self.matrix.max(axis=1, keepdims=True)
        return "".join(_IUPAC[int(bits)] for bits in likely @ np.array([1, 2, 4, 8]))

    @property
    def likeliest_letters(self) -> str:
        """The likeliest letter of each column, as TomTom writes a consensus."""
        return "".join(LETTERS[i] for i in self.matrix.argmax(axis=1))

    def reverse_complement(self) -> Motif:
        """The same motif read on the other strand."""
        return Motif(
            self.id,
            self.name,
            self.matrix[::-1, ::-1],
            self.n_sites,
            self.e_value,
            self.log10_e,
            self.log10_p,
        )


def read_meme(path: str | Path) -> list[Motif]:
    """All DNA motifs of a file in MEME text format, in its order; ids may repeat; no motif at all gives [].

    Raises:
        InputError: not MEME format, not DNA, or a matrix at fault; names the file and the line.
    """
    lines = read_lines(path, "motif")
    _check_header(lines, path)
    motifs: list[Motif] = []
    heading: tuple[int, str, str] | None = None  # line number, id, name of a motif whose matrix is to come
    at = 0
    while at < len(lines):
        line = lines[at]
        at += 1
        if re.match(r"MOTIF\s", line):
            _no_matrix_missing(heading, path)
            heading = _heading(line, at, path)
        elif line.startswith("letter-probability matrix:"):
            if heading is None:
                raise InputError("A matrix follows no MOTIF line", got=line, where=f"{path}:{at}")
            fields = _matrix_fields(line, f"{path}:{at}")
            rows, after = _matrix_rows(lines, at, path)
            if "w" in fields and len(rows) != int(fields["w"]):
                raise InputError(
                    f"The matrix of motif '{heading[1]}' has a wrong number of rows",
                    got=len(rows),
                    expected=f"w= {fields['w']}",
                    where=f"{path}:{at}",
                )
            motifs.append(_motif(heading, rows, fields, f"{path}:{at}"))
            heading, at = None, after
    _no_matrix_missing(heading, path)
    return motifs


def _check_header(lines: list[str], path: str | Path) -> None:
    """Refuse what is not MEME text format 4 or 5, or not DNA."""
    version = next((line for line in lines if line.startswith("MEME version")), None)
    if version is None or not re.match(r"MEME version\s+[45](\.|\s|$)", version):
        raise InputError(
            "A file is not in MEME motif format",
            got=version or (lines[0][:60] if lines else "an empty file"),
            expected="a line 'MEME version 4' (or 5)",
            where=path,
            mend="convert the motifs to MEME text format, as JASPAR offers for download",
        )
    for number, line in enumerate(lines, 1):
        if re.match(r"MOTIF\s", line):
            return  # the alphabet stands before the first motif, or nowhere
        if match := re.match(r'ALPHABET(=?)\s*"?([^"\s]*)', line):
            if match[2].upper() != ("ACGT" if match[1] else "DNA"):
                raise InputError(
                    "A motif file is not about DNA",
                    got=line.strip(),
                    expected="ALPHABET= ACGT",
                    where=f"{path}:{number}",
                    mend=_RNA if re.search("ACGU|RNA", line.upper()) else "give a file of DNA motifs",
                )
            return


def _heading(line: str, number: int, path: str | Path) -> tuple[int, str, str]:
    words = _FULL_TAIL.sub("", line[len("MOTIF") :]).split()
    if not words:
        raise InputError("A MOTIF line names no motif", where=f"{path}:{number}")
    return number, words[0], " ".join(words[1:])


def _no_matrix_missing(heading: tuple[int, str, str] | None, path: str | Path) -> None:
    if heading is not None:
        raise InputError(
            f"Motif '{heading[1]}' has no matrix",
            expected="a line 'letter-probability matrix:' and one row per base",
            where=f"{path}:{heading[0]}",
        )


def _matrix_fields(line: str, where: str) -> dict[str, str]:
    """``{"alength": "4", "w": "7", "nsites": "139", "E": "7.8e-124"}`` of a matrix line; all are optional."""
    fields = dict(re.findall(r"(\w+)=\s*(\S+)", line))
    if fields.get("alength", "4") != "4":
        raise InputError(
            "A motif matrix is not about DNA", got=line.strip(), expected="alength= 4", where=where
        )
    if not re.fullmatch("[1-9][0-9]*", fields.get("w", "1")):
        raise InputError("A motif has no valid width", got=line.strip(), expected="w= 1 or more", where=where)
    return fields


def _matrix_rows(lines: list[str], at: int, path: str | Path) -> tuple[list[list[float]], int]:
    """The rows from line index ``at`` on, and the index of the line after them."""
    while at < len(lines) and not lines[at].strip():
        at += 1
    rows: list[list[float]] = []
    while at < len(lines) and _ROW_START.match(lines[at]):
        where = f"{path}:{at + 1}"
        try:
            row = [float(word) for word in lines[at].split()]
        except ValueError:
            raise InputError(
                "A row of a motif matrix is not numbers", got=lines[at].strip(), where=where
            ) from None
        _check_row(row, where)
        rows.append(row)
        at += 1
    return rows, at


def _check_row(row: list[float], where: str) -> None:
    problem = None
    if len(row) != 4:
        problem = "A row of a motif matrix does not hold four probabilities"
    elif not all(0 <= value <= 1 for value in row):
        problem = "A row of a motif matrix holds a value that is no probability"
    elif sum(row) == 0:
        problem = "A row of a motif matrix is all zero"
    elif abs(sum(row) - 1) > ROW_TOLERANCE:
        problem = "A row of a motif matrix does not sum to 1"
    if problem:
        raise InputError(problem, got=row, expected="four probabilities (A C G T) that sum to 1", where=where)


def _motif(
    heading: tuple[int, str, str], rows: list[list[float]], fields: dict[str, str], where: str
) -> Motif:
    if not rows:
        raise InputError(f"The matrix of motif '{heading[1]}' has no rows", where=where)
    try:
        n_sites = parse_scientific(fields["nsites"])[0] if "nsites" in fields else DEFAULT_SITES
        e_value, log10_e = parse_scientific(fields["E"]) if "E" in fields else (None, None)
        log10_p = parse_scientific(fields["P"])[1] if "P" in fields else None
    except ValueError as error:
        raise InputError(
            f"Motif '{heading[1]}' has an unreadable nsites=, E= or P=", got=error, where=where
        ) from None
    return Motif(heading[1], heading[2], np.array(rows), n_sites, e_value, log10_e, log10_p)


def format_meme(motifs: Iterable[Motif], background: Sequence[float] = UNIFORM, strands: str = "+ -") -> str:
    """MEME text format 4: probabilities with the digits that read back exactly, at least six of them."""
    frequencies = " ".join(
        f"{letter} {_digits(value, 1)}" for letter, value in zip(LETTERS, background, strict=True)
    )
    parts = [
        f"MEME version 4\n\nALPHABET= {LETTERS}\n\nstrands: {strands}\n\n"
        f"Background letter frequencies\n{frequencies}\n"
    ]
    for motif in motifs:
        if not motif.id or motif.id.split() != [motif.id] or "\n" in motif.name:
            raise ContractError("A motif id must be one word", got=motif.id or "an empty id")
        n_sites = int(motif.n_sites) if motif.n_sites == int(motif.n_sites) else repr(float(motif.n_sites))
        head = f"letter-probability matrix: alength= 4 w= {motif.width} nsites= {n_sites}"
        if motif.e_value is not None:
            head += f" E= {format_scientific(motif.e_value, motif.log10_e)}"
        elif motif.log10_p is not None:
            head += f" P= {format_scientific(power_of_ten(motif.log10_p), motif.log10_p)}"
        rows = "".join(f" {'  '.join(_digits(value, 6) for value in row)}\n" for row in motif.matrix)
        parts.append(f"\nMOTIF {' '.join([motif.id, *motif.name.split()])}\n{head}\n{rows}")
    return "".join(parts)


def _digits(value: float, at_least: int) -> str:
    """Decimal digits without an exponent, which some readers of MEME files do not take."""
    return np.format_float_positional(value, unique=True, min_digits=at_least, trim="k")


def write_meme(
    path: str | Path, motifs: Iterable[Motif], background: Sequence[float] = UNIFORM, strands: str = "+ -"
) -> None:
    """Write ``motifs`` as MEME text format 4, atomically; no motifs give a valid file without any."""
    write_text(path, format_meme(motifs, background, strands))
