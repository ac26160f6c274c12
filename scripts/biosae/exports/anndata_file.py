"""Nodes as h5ad: observations are nodes, variables the layer's channels, X the decoder directions.

Written with h5py to AnnData's documented layout (https://anndata.readthedocs.io/en/stable/fileformat-prose.html)
and not with the package: no version of it for Python 3.11 is made for pandas 3.
"""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

from biosae.artefacts import atomic_path
from biosae.motifs.fasta import node_name

_TEXT = h5py.string_dtype("utf-8")
X_IS = "decoder directions of the nodes in normalised channels, unit vectors (zero where a node has none)"


def write_h5ad(
    path: Path, nodes: pd.DataFrame, umap: pd.DataFrame, directions: np.ndarray, made_by: dict
) -> None:
    """Write the nodes of a run.

    Args:
        nodes: rows of nodes.tsv as ``read_table`` gives them; they become ``obs`` with column ``cluster``.
        umap: rows of umap.tsv in the same order; ``obsm`` X_umap (directions) and X_coactivation.
        directions: (n, channels) float32.
        made_by: provenance, as JSON in ``uns``.
    """
    obs = nodes.assign(cluster=umap["cluster"].to_numpy())
    names = [node_name(*pair) for pair in zip(nodes["rank"], nodes["node"], strict=True)]
    channels = [f"channel_{i}" for i in range(directions.shape[1])]
    with atomic_path(path) as temporary, h5py.File(temporary, "w") as handle:
        _mark(handle, "anndata", "0.1.0")
        _array(handle, "X", directions)
        _frame(handle, "obs", obs, names)
        _frame(handle, "var", pd.DataFrame(index=range(len(channels))), channels)
        maps = _group(handle, "obsm", "dict", "0.1.0")
        _array(maps, "X_umap", umap[["umap1", "umap2"]].to_numpy(np.float64))
        _array(maps, "X_coactivation", umap[["coact1", "coact2"]].to_numpy(np.float64))
        notes = _group(handle, "uns", "dict", "0.1.0")
        for name, text in (("X_is", X_IS), ("biosae", json.dumps(made_by, sort_keys=True))):
            notes.create_dataset(name, data=text, dtype=_TEXT)
            _mark(notes[name], "string", "0.2.0")
        for name in ("layers", "obsp", "varm", "varp"):
            _group(handle, name, "dict", "0.1.0")


def _mark(item: h5py.Group | h5py.Dataset, kind: str, version: str) -> None:
    item.attrs["encoding-type"], item.attrs["encoding-version"] = kind, version


def _group(parent: h5py.Group, name: str, kind: str, version: str) -> h5py.Group:
    group = parent.create_group(name)
    _mark(group, kind, version)
    return group


def _array(parent: h5py.Group, name: str, values: np.ndarray) -> None:
    _mark(parent.create_dataset(name, data=values), "array", "0.2.0")


def _texts(parent: h5py.Group, name: str, values: list[str]) -> None:
    dataset = parent.create_dataset(name, data=np.array(values, dtype=object), dtype=_TEXT)
    _mark(dataset, "string-array", "0.2.0")


def _frame(parent: h5py.Group, name: str, table: pd.DataFrame, index: list[str]) -> None:
    group = _group(parent, name, "dataframe", "0.2.0")
    group.attrs["_index"] = "_index"
    group.attrs.create("column-order", np.array(list(table.columns), dtype=object), dtype=_TEXT)
    _texts(group, "_index", index)
    for column in table.columns:
        _column(group, column, table[column])


def _column(group: h5py.Group, name: str, values: pd.Series) -> None:
    """Texts as categories; whole numbers and booleans with a mask where any is missing; numbers with NaN."""
    if pd.api.types.is_bool_dtype(values.dtype) or pd.api.types.is_integer_dtype(values.dtype):
        boolean = pd.api.types.is_bool_dtype(values.dtype)
        missing = values.isna().to_numpy(bool)
        kind, empty = (bool, False) if boolean else (np.int64, 0)
        plain = values.fillna(empty).to_numpy(kind)
        if not missing.any():
            _array(group, name, plain)
            return
        part = _group(group, name, "nullable-boolean" if boolean else "nullable-integer", "0.1.0")
        _array(part, "values", plain)
        _array(part, "mask", missing)
    elif pd.api.types.is_float_dtype(values.dtype):
        _array(group, name, values.to_numpy(np.float64, na_value=np.nan))
    else:
        categories = pd.Categorical(values.astype(object))  # categories sorted, -1 where missing
        part = _group(group, name, "categorical", "0.2.0")
        part.attrs["ordered"] = False
        _array(part, "codes", categories.codes)
        _texts(part, "categories", [str(word) for word in categories.categories])
