"""The index of the atlas: every column of every node, small logos, and what is said of the run."""

from __future__ import annotations

import platform
import zlib
from importlib import metadata

import numpy as np
import pandas as pd

from biosae import __version__
from biosae.atlas.columns import column_payload, descriptions, records
from biosae.atlas.downloads import Download
from biosae.atlas.examples import Examples
from biosae.atlas.payload import Arrays
from biosae.atlas.run_data import RunData

FORMAT = 1
_OF_UMAP = ("umap1", "umap2", "coact1", "coact2", "cluster")
LIMITS = (
    "A significant motif says that the node's strongest windows share a pattern beyond their background. It "
    "does not say that the model uses the node, nor that any factor binds there.",
    "A name is the closest matrix of the database. Factors of one family share motifs; a match tells the "
    "family at best.",
    "Dictionaries of untrained networks, and raw channels, give significant nodes too. Read every count "
    "beside the same count of the baselines.",
    "Motifs come from the strongest activations of a node; weaker ones may mean something else. The lower "
    "bands of the examples show them.",
    "Repeats and low complexity give strong motifs, which resemble the matrices of factors. A node that they "
    "explain says so first. Repeats that the genome does not mask and no annotation lists are not seen.",
    "E-values of different engines are not comparable, and those of MEME do not hold for genomic windows.",
    "Distances between far points mean little in a UMAP.",
)


def run_content(data: RunData, examples: Examples) -> dict:
    """What the index says of the run, without arrays."""
    return {
        "layer": data.layer,
        "run": data.run,
        "window_bp": examples.window_bp,
        "stride_bp": examples.stride_bp,
        "curve": records(data.curve),
        "evaluation": data.evaluation,
        "recovery": data.recovery,
        "settings": flat(data.config),
        "nulls": records(data.nulls),
        "scoreboard": records(data.scoreboard),
        "enrichment_sets": sorted(data.overlaps["annotation"].unique().tolist()),
        "bands": examples.bands,
        "band_text": examples.band_text,
        "made_by": _versions(),
    }


def node_content(data: RunData, arrays: Arrays) -> dict:
    """Columns and logos of all nodes."""
    columns = []
    for table, schema, names in ((data.nodes, "nodes", data.nodes.columns), (data.umap, "umap", _OF_UMAP)):
        rules = descriptions(schema)
        columns += [column_payload(name, table[name], rules[name], arrays) for name in names]
    return {"n_nodes": len(data.nodes), "columns": columns, "logos": _logos(data, arrays)}


def _logos(data: RunData, arrays: Arrays) -> dict:
    """The best motif of each row, probability x 255."""
    empty = np.zeros((0, 4))
    found = [empty if pd.isna(name) else data.matrices[name] for name in data.nodes["best_motif_id"]]
    widths = np.array([len(matrix) for matrix in found], dtype=np.int64)
    levels = np.rint(np.concatenate([empty, *found]) * 255)
    return {"widths": arrays.add(widths, "u1"), "matrices": arrays.add(levels, "u1")}


def download_content(downloads: list[Download]) -> list[dict]:
    """The files that the page offers."""
    return [{"path": f"files/{d.name}", "text": d.text, "bytes": len(d.data)} for d in downloads]


def flat(settings: dict, before: str = "") -> dict:
    """Nested settings as one level, ``recipe.epochs``; lists of settings by number."""
    found: dict[str, object] = {}
    for key, value in settings.items():
        if isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
            value = {str(at): item for at, item in enumerate(value)}
        if isinstance(value, dict):
            found |= flat(value, f"{before}{key}.")
        else:
            found[f"{before}{key}"] = value
    return found


def _versions() -> dict[str, str]:
    """Of what the bytes of the data depend on."""
    return {
        "biosae": __version__,
        "python": platform.python_version(),
        "numpy": metadata.version("numpy"),
        "pandas": metadata.version("pandas"),
        "zlib": zlib.ZLIB_RUNTIME_VERSION,
    }
