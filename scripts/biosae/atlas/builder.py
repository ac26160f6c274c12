"""Build the atlas of a run: read it, find the neighbours of its nodes, and let ``writer`` write the folder.

The folder is written beside its place and renamed, so that it is whole or not there. Same inputs, settings
and version of zlib: same bytes, wherever it is written.

Floor: one read of the examples, one compression of what is shown; ``neighbours`` compares all pairs of nodes.
Memory: the tables, one shard, and band and place (not sequence) of all examples.
"""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from biosae import __version__
from biosae.artefacts import atomic_directory, provenance
from biosae.atlas.examples import open_examples
from biosae.atlas.index import FORMAT
from biosae.atlas.loci import read_genes
from biosae.atlas.neighbours import Neighbours, decoder_neighbours, locus_neighbours
from biosae.atlas.node_shards import Shards, rows_of_nodes
from biosae.atlas.page import FOLDER, page_files
from biosae.atlas.plan import MOST_FILES, Limits
from biosae.atlas.run_data import NEEDED, SHOWN, RunData, load_run
from biosae.atlas.writer import AtlasWriter
from biosae.directions import read_directions
from biosae.errors import ConfigError, ContractError, InputError
from biosae.landscape.loci import incidence, read_nodes, read_seqlets

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sources:
    """What an atlas is made from.

    Args:
        run: folder results/{layer}/{run}.
        database: motif database in MEME text format.
        genes: BED of genes, for search by gene.
        scoreboard: scoreboard.tsv of all runs.
        assembly: name of the assembly at UCSC, for links.
        limits: of the folder.
        page: folder of the page's files.
    """

    run: Path
    database: Path
    genes: Path | None = None
    scoreboard: Path | None = None
    assembly: str | None = None
    limits: Limits = field(default_factory=Limits)
    page: Path = FOLDER

    def files(self) -> list[Path]:
        """Every file that is read, in a fixed order."""
        own = [self.run / name for name in (*NEEDED, *SHOWN)]
        given = [path for path in (self.database, self.genes, self.scoreboard) if path is not None]
        return [path for path in (*own, *given) if path.is_file()]

    def settings(self) -> dict:
        """What else the bytes depend on."""
        return {
            "assembly": self.assembly,
            "shard_nodes": self.limits.shard_nodes,
            "max_mb": self.limits.max_mb,
        }


def build_atlas(sources: Sources, output: Path) -> dict[str, int]:
    """Write the atlas of a run into the folder ``output``; returns its nodes, files and bytes.

    Raises:
        InputError, ContractError: inputs that are missing, damaged or of another run.
        ConfigError: the limits leave no atlas.
    """
    pages = page_files(sources.page)
    if "index.html" not in pages:
        raise InputError("The page of the atlas is missing", expected="index.html", where=sources.page)
    data = load_run(sources.run, sources.database, sources.scoreboard)
    genes = read_genes(sources.genes) if sources.genes else None
    rows = rows_of_nodes(data)
    with open_examples(sources.run / "examples.h5", data.nodes["node"].to_numpy(np.int64)) as examples:
        shards = Shards(build_id(sources, data), data, rows, examples, find_neighbours(data))
        made_by = provenance("build_atlas.py", sources.settings(), sources.files())
        with atomic_directory(output) as folder:
            AtlasWriter(folder, shards, sources.limits, sources.assembly).write(pages, genes, made_by)
            sizes = [file.stat().st_size for file in folder.rglob("*") if file.is_file()]
            if len(sizes) > MOST_FILES:
                raise ConfigError(
                    "The atlas has too many files", got=len(sizes), expected=f"at most {MOST_FILES}"
                )
    return {"nodes": len(data.nodes), "files": len(sizes), "bytes": sum(sizes)}


def build_id(sources: Sources, data: RunData) -> str:
    """16 hexadecimal digits of the sha256 over all inputs and settings."""
    said = {
        "format": FORMAT,
        "biosae": __version__,
        "layer": data.layer,
        "run": data.run,
        **sources.settings(),
    }
    digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode())
    for path in sources.files():
        with path.open("rb") as handle:
            digest.update(path.name.encode() + hashlib.file_digest(handle, "sha256").digest())
    return digest.hexdigest()[:16]


def find_neighbours(data: RunData) -> dict[str, Neighbours]:
    """The nearest nodes of each node, by kind.

    Raises:
        ContractError: the seqlets are of other nodes than nodes.tsv.
    """
    numbers = data.nodes["node"].to_numpy(np.int64)
    listed = read_nodes(data.folder)
    if not np.array_equal(listed["node"], numbers):
        raise ContractError(
            "The seqlets are of other nodes than nodes.tsv",
            got=f"{len(listed)} nodes",
            expected=f"{len(numbers)} nodes",
            where=data.folder / "seqlets" / "manifest.tsv",
            mend="re-run write_seqlets and what is below it",
        )
    decoder = decoder_neighbours(read_directions(data.folder / "checkpoint", numbers))
    loci = incidence(read_seqlets(data.folder, listed), len(numbers))
    coactivation, jaccard = locus_neighbours(loci)
    return {"decoder": decoder, "coactivation": coactivation, "jaccard": jaccard}
