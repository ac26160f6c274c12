"""What the atlas and the exports both ask of a run's folder: that its files are there, and its embedding."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from biosae.artefacts import read_table
from biosae.errors import ContractError, InputError


def require_files(run: Path, names: Sequence[str]) -> None:
    """Check that files are there; ``names`` are relative to the run's folder.

    Raises:
        InputError: with all that are missing.
    """
    missing = [name for name in names if not (run / name).is_file()]
    if missing:
        raise InputError(
            "Files of the run are missing", got=missing, where=run, mend="run the rules that write them"
        )


def read_embedding(run: Path, nodes: pd.DataFrame) -> pd.DataFrame:
    """Rows of the run's umap.tsv in the order of ``nodes`` (column node).

    Raises:
        ContractError: it holds other nodes.
    """
    path = run / "umap.tsv"
    umap = read_table(path, "umap").set_index("node")
    if set(umap.index) != set(nodes["node"]):
        raise ContractError(
            "The embedding and nodes.tsv hold different nodes",
            got=f"{len(umap)} nodes",
            expected=f"the {len(nodes)} nodes of nodes.tsv",
            where=path,
            mend="re-run embed_nodes",
        )
    return umap.loc[nodes["node"].tolist()].reset_index()
