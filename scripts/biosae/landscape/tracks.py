"""Annotations that a user brings: BED files with a class column.

Coordinates are 0-based, half-open.
"""

from __future__ import annotations

import csv
import gzip
import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from biosae.errors import ConfigError, InputError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Annotation:
    """A named BED: features has chrom, start, end, class."""

    name: str
    path: Path
    features: pd.DataFrame


def parse_annotations(entries: list[list[str]]) -> list[tuple[str, Path, int]]:
    """NAME PATH [CLASS_COLUMN] of each annotation on the command line -> name, path, column counted from 1.

    The class stands in column 6 of the published copies of cCRE and RepeatMasker (SAE-Borzoi).
    """
    parsed: list[tuple[str, Path, int]] = []
    for words in entries:
        if len(words) not in (2, 3):
            raise ConfigError("An annotation is NAME PATH [CLASS_COLUMN]", got=words)
        column = words[2] if len(words) == 3 else "6"
        if not column.isdecimal() or int(column) < 4:
            raise ConfigError(
                f"The class column of annotation '{words[0]}' must be a number from 4 on", got=column
            )
        if words[0] in [name for name, _, _ in parsed]:
            raise ConfigError("Two annotations have the same name", got=words[0])
        parsed.append((words[0], Path(words[1]), int(column)))
    return parsed


def read_annotation(name: str, path: Path, class_column: int = 6) -> Annotation:
    """Read a BED file, plain or gzip.

    Args:
        name: how the annotation is called in tables.
        path: tab-separated BED; comment, track and browser lines are skipped.
        class_column: column of the class, counted from 1.

    Raises:
        InputError: unreadable, or a line that is not a BED feature with a class; names the line.
    """
    raw, lines = _read_columns(path, class_column)
    start, end = (pd.to_numeric(raw[name], errors="coerce") for name in ("start", "end"))
    faults = {
        f"fewer than {class_column} tab-separated columns, or an empty class": raw["class"].isna(),
        "an empty chromosome": raw["chrom"].isna(),
        "start or end is not a whole number": ~((start % 1 == 0) & (end % 1 == 0)),
        "start below 0": start < 0,
        "end before start": end < start,
    }
    first = min(((int(np.argmax(mask)), what) for what, mask in faults.items() if mask.any()), default=None)
    if first is not None:
        row, what = first
        raise InputError(
            f"Annotation '{name}' has a line that is not a BED feature: {what}",
            got=raw.iloc[row].tolist(),
            expected=f"chrom, start, end, ..., class in column {class_column}, separated by tabs",
            where=f"{path}, line {lines[row]}",
            mend="mend the line, or give the column that holds the class",
        )
    features = raw.assign(start=start.astype("int64"), end=end.astype("int64"))
    empty = features["start"] == features["end"]
    if empty.any():
        log.warning(
            "annotation '%s': %d of %d features are 0 bp wide and dropped", name, empty.sum(), len(empty)
        )
    return Annotation(name, path, features[~empty].reset_index(drop=True))


def _read_columns(path: Path, class_column: int) -> tuple[pd.DataFrame, np.ndarray]:
    """chrom, start, end, class as text, and the line number of each feature."""
    names = {0: "chrom", 1: "start", 2: "end", class_column - 1: "class"}
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rt") as handle:
            first = handle.read(1)
        if not first:
            return pd.DataFrame({name: pd.Series(dtype="str") for name in names.values()}), np.zeros(0, int)
        table = pd.read_csv(
            path,
            sep="\t",
            header=None,
            names=range(class_column),
            usecols=list(names),
            dtype="str",
            quoting=csv.QUOTE_NONE,
            skip_blank_lines=False,
            keep_default_na=False,
            na_values=[""],
        )
    except (OSError, EOFError, ValueError) as error:
        raise InputError("Cannot read an annotation", got=error, where=path, expected="a BED file") from error
    table = table.rename(columns=names)
    blank = table.isna().all(axis=1)
    comment = table["chrom"].str.startswith("#").eq(True)
    # a chromosome may well be called track7: a feature has a start after its name
    setting = table["chrom"].str.startswith(("track", "browser")).eq(True) & table["start"].isna()
    keep = ~(blank | comment | setting).to_numpy(bool)
    return table[keep].reset_index(drop=True), np.flatnonzero(keep) + 1
