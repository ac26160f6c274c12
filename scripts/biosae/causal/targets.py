"""The output tracks of a network: names and groups, from a table like Borzoi's ``targets.txt``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from biosae.errors import InputError

COLUMNS = ("identifier", "description", "group")


@dataclass(frozen=True)
class Tracks:
    """Names of output tracks, in the order of the outputs.

    Attributes:
        table: identifier, description, group; one row a track.
        groups: rows of each group, by name in the order of first appearance.
    """

    table: pd.DataFrame
    groups: dict[str, np.ndarray]

    @property
    def count(self) -> int:
        """Number of tracks."""
        return len(self.table)


def read_tracks(path: str | Path | None, n_tracks: int) -> Tracks:
    """The tracks of a network with ``n_tracks`` outputs.

    Args:
        path: tab-separated with a header; columns identifier, description and group, others are ignored. A
            table without ``group`` has the part of the description before its first colon as group
            (Borzoi's: CAGE, DNASE, ATAC, CHIP, RNA). None: tracks are called track_0, track_1, ... and are
            one group, all.

    Raises:
        InputError: not such a table; another number of tracks; an empty or repeated identifier.
    """
    if path is None:
        names = [f"track_{i}" for i in range(n_tracks)]
        return _tracks(pd.DataFrame({"identifier": names, "description": names, "group": "all"}))
    try:
        table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise InputError("Cannot read the table of output tracks", got=error, where=path) from error
    if "group" not in table and "description" in table:
        table["group"] = table["description"].str.split(":").str[0]
    missing = [name for name in COLUMNS if name not in table]
    if missing:
        raise InputError(
            "The table of output tracks lacks columns",
            got=list(table.columns),
            expected=f"{', '.join(COLUMNS)} (tab-separated, with a header)",
            where=path,
        )
    _check(table, path, n_tracks)
    return _tracks(table[list(COLUMNS)])


def _check(table: pd.DataFrame, path: str | Path, n_tracks: int) -> None:
    if len(table) != n_tracks:
        raise InputError(
            "The table of output tracks does not fit the model",
            got=f"{len(table)} rows",
            expected=f"{n_tracks}, one for each output track of the model, in the same order",
            where=path,
            mend="give the table of this model's head, or none (model.targets: null)",
        )
    for what, wrong in (
        ("empty", table["identifier"].str.strip() == ""),
        ("repeated", table["identifier"].duplicated()),
    ):
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            raise InputError(
                f"The table of output tracks has {int(wrong.sum())} {what} identifier(s)",
                got=repr(table["identifier"].iloc[row]),
                where=f"{path}, row {row + 2}",
            )
    if (bare := table["group"].str.strip() == "").any():
        raise InputError(
            f"{int(bare.sum())} output tracks have no group", where=f"{path}, row {int(bare.argmax()) + 2}"
        )


def _tracks(table: pd.DataFrame) -> Tracks:
    codes, names = pd.factorize(table["group"])
    groups = {str(name): np.flatnonzero(codes == code) for code, name in enumerate(names)}
    return Tracks(table.reset_index(drop=True), groups)
