"""Write the folder of an atlas: page, downloads, shards and, last, the index that knows them all."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pandas as pd

from biosae.artefacts import write_json
from biosae.atlas import index
from biosae.atlas.downloads import FIRST, THEN, Download, read_downloads
from biosae.atlas.left_out import LeftOut
from biosae.atlas.loci import gene_shard, locus_shards
from biosae.atlas.node_shards import Shards
from biosae.atlas.payload import Arrays, encode, script, short_hash
from biosae.atlas.plan import FIRST_SHARE, Limits, fitting_share, nodes_a_shard, shard_ranges
from biosae.cli import progress

_REST = 500_000  # bytes of the index beside its columns, and of schema.json


class AtlasWriter:
    """One atlas while it is written.

    Args:
        folder: an empty folder.
        shards: what the data are made from.
        limits: of the folder.
        assembly: name at UCSC, or None.
    """

    def __init__(self, folder: Path, shards: Shards, limits: Limits, assembly: str | None) -> None:
        self._folder, self._shards, self._limits, self._assembly = folder, shards, limits, assembly
        self._data, self._examples = shards.data, shards.examples
        self._shard_nodes = nodes_a_shard(len(self._data.nodes), limits.shard_nodes)
        self._ranges = shard_ranges(len(self._data.nodes), self._shard_nodes)
        self._arrays = Arrays()
        self._columns = index.node_content(self._data, self._arrays)
        self._chroms = list(self._examples.chroms)
        self._downloads: list[Download] = []
        self._too_large: list[str] = []
        self._files: list[dict] = []
        self._hashes: dict[str, str] = {}

    def write(self, pages: dict[str, bytes], genes: pd.DataFrame | None, made_by: dict) -> None:
        """Write everything; ``pages`` are bytes by name, ``genes`` rows of a BED or None."""
        for name in ("data", "files"):
            (self._folder / name).mkdir()
        for name, content in pages.items():
            (self._folder / name).write_bytes(content)
        self._copy(FIRST, int(self._limits.bytes * FIRST_SHARE))
        self._add("targets", self._shards.encode_targets(), len(self._shards.rows.targets))
        if genes is not None:
            self._chroms = list(dict.fromkeys([*self._chroms, *sorted(set(genes["chrom"]))]))
            self._add("genes", gene_shard(self._shards.atlas, genes, self._chroms), len(genes))
        share = self._fit()
        names = [f"nodes_{number:04}" for number in range(len(self._ranges))]
        pairs = zip(names, self._ranges, strict=True)
        for name, (first, last) in progress(pairs, what="nodes", total=len(names), unit="shard"):
            self._add(name, self._shards.encode(name, first, last), last - first)
        loci = self._write_loci()
        self._copy(THEN, self._room())
        said = {"shards": names, "loci": loci, "has_genes": genes is not None}
        self._write_index(said, LeftOut(self._limits, self._shard_nodes, share, self._too_large))
        self._write_schema(made_by)

    def _copy(self, offered: tuple, room: int) -> None:
        """Copy what has room of the files of the run."""
        downloads, too_large = read_downloads(self._data.folder, offered, room)
        for download in downloads:
            (self._folder / "files" / download.name).write_bytes(download.data)
        self._downloads += downloads
        self._too_large += too_large

    def _room(self) -> int:
        """Bytes that are left of the folder, the index taken off."""
        written = sum(file.stat().st_size for file in self._folder.rglob("*") if file.is_file())
        return self._limits.bytes - written - len(encode(self._columns, self._arrays)) - _REST

    def _add(self, name: str, text: str, rows: int) -> None:
        """Write one payload (base64) as ``data/<name>.js``."""
        data = script(name, text).encode()
        (self._folder / "data" / f"{name}.js").write_bytes(data)
        entry = {"name": f"{name}.js", "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        self._files.append({**entry, "rows": rows})
        self._hashes[name] = short_hash(text)

    def _fit(self) -> float:
        """Let as many examples be shown as there is room for; returns their share."""
        windows = self._examples.top_windows()
        loci = locus_shards(self._shards.atlas, *windows)
        a_window = sum(len(shard.text) for shard in loci) / max(len(windows[0]), 1)
        return fitting_share(
            self._examples,
            self._ranges,
            lambda first, last: len(self._shards.encode("nodes_0000", first, last)),
            a_window,
            self._room(),
        )

    def _write_loci(self) -> dict | None:
        shards = locus_shards(self._shards.atlas, *self._examples.top_windows())
        for shard in shards:
            self._add(shard.name, shard.text, shard.n)
        if not shards:
            return None
        return {"shards": [shard.name for shard in shards], "first": [shard.first for shard in shards]}

    def _write_index(self, said: dict, left: LeftOut) -> None:
        content = {"format": index.FORMAT, "atlas": self._shards.atlas, "name": "index"}
        content |= {**index.run_content(self._data, self._examples), **self._columns, **said}
        content |= {"assembly": self._assembly, "chroms": self._chroms, "sha256": dict(self._hashes)}
        content["shard_nodes"] = left.shard_nodes
        content["downloads"] = index.download_content(self._downloads)
        content |= {"counts": left.counts(self._shards), "limits": [*left.notes(self._shards), *index.LIMITS]}
        self._add("index", encode(content, self._arrays), len(self._data.nodes))

    def _write_schema(self, made_by: dict) -> None:
        content = {
            "format": index.FORMAT,
            "atlas": self._shards.atlas,
            "files": self._files,
            "made_by": made_by,
        }
        write_json(self._folder / "data" / "schema.json", content)
