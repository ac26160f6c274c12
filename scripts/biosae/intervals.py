"""Interval tables of an activation store: which sequence every row of every HDF5 file was made from.

Two layouts are read. The published one, ``*_seqs.bed``: tab-separated with a header of numbers
(``0``, ``1``, ``2``: chromosome, core start, core end; ..., ``chunk_ind``, ``inner_ind``: file number
and row), where the network saw each core widened by ``pad_bp`` on both sides. Ours,
``intervals.tsv``: ``chrom, start, end, file, row``, where start and end cover exactly the positions
of the activations, the padding included; a column ``strand``, where there is one, says which strand the
network read (``-``: the other; its positions stand in the forward order all the same). Coordinates are
0-based and half-open.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from biosae.errors import InputError

_PUBLISHED = {"0": "chrom", "1": "start", "2": "end", "chunk_ind": "file", "inner_ind": "row"}
_OURS = {name: name for name in ("chrom", "start", "end", "file", "row")}
COLUMNS = ("sequence", "chrom", "start", "end", "core_start", "core_end", "file", "row", "strand")


def find_interval_table(folder: Path) -> Path:
    """The one interval table of a store's folder.

    Raises:
        InputError: there is none, or more than one.
    """
    found = sorted(folder.glob("*_seqs.bed"))
    if (folder / "intervals.tsv").is_file():
        found.append(folder / "intervals.tsv")
    if len(found) != 1:
        raise InputError(
            "An activation store needs exactly one interval table",
            where=folder,
            got=[path.name for path in found] or "none",
            expected="one '*_seqs.bed' (published layout) or one 'intervals.tsv'",
            mend="put the table beside the HDF5 files, or move the others out of the folder",
        )
    return found[0]


def read_intervals(path: Path, pad_bp: int = 0) -> pd.DataFrame:
    """Read an interval table of either layout, ordered by (file number, row in file).

    Args:
        path: ``*_seqs.bed`` or ``intervals.tsv``.
        pad_bp: bases that the network saw on each side of the core interval. The published table
            lists cores, which are widened; ours lists the whole, of which the core is the inside.

    Returns:
        DataFrame with the columns of ``COLUMNS``; ``sequence`` counts from 0.

    Raises:
        InputError: columns missing, values that are not whole numbers, empty or repeated rows.
    """
    published = path.name != "intervals.tsv"
    table = _read_columns(path, _PUBLISHED if published else _OURS)
    for name in ("start", "end", "file", "row"):
        table[name] = _whole_numbers(table[name], path)
    pad = int(pad_bp)
    inward = 0 if published else pad
    table["core_start"], table["core_end"] = table["start"] + inward, table["end"] - inward
    table["start"], table["end"] = table["core_start"] - pad, table["core_end"] + pad
    _refuse(table, ~table["strand"].isin(["+", "-"]), "has a strand that is neither + nor -", path)
    _refuse(table, table["core_start"] >= table["core_end"], "has no bases between start and end", path)
    _refuse(table, (table["file"] < 0) | (table["row"] < 0), "has a negative file number or row", path)
    _refuse(table, table.duplicated(["file", "row"]), "names a file and row that an earlier one names", path)
    table = table.sort_values(["file", "row"], kind="stable", ignore_index=True)
    table["sequence"] = range(len(table))
    return table[list(COLUMNS)]


def _read_columns(path: Path, names: dict[str, str]) -> pd.DataFrame:
    try:
        table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise InputError("Cannot read the interval table", where=path, got=error) from error
    table.columns = [str(name).strip().lstrip("#") for name in table.columns]
    missing = [name for name in names if name not in table.columns]
    if missing:
        raise InputError(
            "The interval table lacks columns",
            where=path,
            got=list(table.columns)[:12],
            expected=f"a tab-separated header with {list(names)}",
            mend="keep the header line; the published layout is '0 1 2 ... chunk_ind inner_ind'",
        )
    if table.empty:
        raise InputError("The interval table has no rows", where=path)
    strand = table["strand"] if "strand" in table.columns else "+"
    return table[list(names)].rename(columns=names).assign(strand=strand)


def _whole_numbers(column: pd.Series, path: Path) -> pd.Series:
    # a table that once held a missing value has '12.0' for 12: accepted, while '12.5' is not
    values = pd.to_numeric(column, errors="coerce")
    bad = values.isna() | (values % 1 != 0)
    if bad.any():
        raise InputError(
            f"Column '{column.name}' of the interval table holds something that is not a whole number",
            where=f"{path}, line {int(bad.idxmax()) + 2}",
            got=repr(column[bad].iloc[0]),
        )
    return values.astype("int64")


def _refuse(table: pd.DataFrame, bad: pd.Series, what: str, path: Path) -> None:
    if bad.any():
        line = int(bad.idxmax())
        raise InputError(
            f"A row of the interval table {what} ({int(bad.sum())} in all)",
            where=f"{path}, line {line + 2}",
            got=table.loc[line, ["chrom", "start", "end", "file", "row"]].to_dict(),
        )


def match_intervals(
    table: pd.DataFrame, rows_in_file: dict[int, int], names: dict[int, str], path: Path
) -> None:
    """Check that intervals and HDF5 rows are the same set.

    Args:
        table: from ``read_intervals``.
        rows_in_file: file number -> number of rows (sequences) in that file.
        names: file number -> file name, for the messages.
        path: the interval table, for the messages.

    Raises:
        InputError: an interval without a file or row, a file or row without an interval.
    """
    known = table["file"].isin(list(rows_in_file))
    if not known.all():
        absent = sorted(set(table.loc[~known, "file"]))
        raise InputError(
            f"The interval table names {len(absent)} files that are not there",
            where=path,
            got=f"file numbers {absent[:5]} ({int((~known).sum())} intervals)",
            expected=f"only file numbers {sorted(rows_in_file)[:10]}",
            mend="add the missing files, or take their intervals out of the table",
        )
    for number, n_rows in rows_in_file.items():
        rows = set(table.loc[table["file"] == number, "row"])
        without = sorted(set(range(n_rows)) - rows)
        beyond = sorted(rows - set(range(n_rows)))
        if without:
            _contradiction(
                f"{names[number]} holds rows without an interval", path, without, len(rows), n_rows
            )
        if beyond:
            _contradiction(f"Intervals name rows that {names[number]} lacks", path, beyond, len(rows), n_rows)


def _contradiction(problem: str, path: Path, rows: list[int], n_intervals: int, n_rows: int) -> None:
    raise InputError(
        problem,
        where=path,
        got=f"{len(rows)} such rows, the first {rows[:5]}; {n_intervals} intervals for this file",
        expected=f"one interval for each of its {n_rows} rows, counted from 0",
        mend="make the table and the HDF5 file from the same run of the extractor",
    )


def check_widths(table: pd.DataFrame, width_bp: int, pad_bp: int, path: Path) -> None:
    """Check that every widened interval is ``width_bp`` = positions x stride_bp long.

    Raises:
        InputError: names the first interval at fault.
    """
    bad = table["end"] - table["start"] != width_bp
    if bad.any():
        first = table[bad].iloc[0]
        raise InputError(
            f"{int(bad.sum())} of {len(table)} intervals do not span the positions of their activations",
            where=f"{path}, file {first['file']}, row {first['row']}",
            got=f"{first['chrom']}:{first['core_start']}-{first['core_end']} with pad_bp={pad_bp} a side "
            f"is {first['end'] - first['start']} bp",
            expected=f"{width_bp} bp (positions x stride)",
            mend="set activations.pad_bp and the layer's stride to what the extractor used",
        )
