"""Motif discovery over a folder of nodes, a chunk of it, or one FASTA; a node's result never differs."""

from __future__ import annotations

import argparse
import logging
import shlex
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from biosae.artefacts import provenance, read_table, write_table
from biosae.cli import progress
from biosae.errors import BiosaeError, ConfigError, InputError
from biosae.motifs.external import FEWEST_SEQUENCES, ExternalSettings, ToolError, discover_external, find_tool
from biosae.motifs.fasta import node_name, parse_file_name, read_fasta
from biosae.motifs.formats import write_meme
from biosae.motifs.tables import (
    NodeResult,
    add_batched,
    add_external,
    chunk_table,
    status_table,
    with_q_values,
)

log = logging.getLogger(__name__)

BACKGROUND = "background.fa"  # stands beside the FASTA files of the nodes
_STATUS = {"ok": "ok", "no motif": "no_motif", "too few sequences": "too_few", "too short": "too_short"}


@dataclass(frozen=True)
class NodeInput:
    """The FASTA of one node: {rank}_n{node}.fa."""

    rank: int
    node: int
    path: Path

    @property
    def name(self) -> str:
        """``{rank}_n{node}``."""
        return node_name(self.rank, self.node)


@dataclass(frozen=True)
class Discovery:
    """What is asked of discovery, for any engine; see DiscoverySettings and ExternalSettings."""

    engine: str
    motifs_per_node: int
    strand: str
    min_width: int
    max_width: int | None
    background_order: int
    seed: int
    extra: tuple[str, ...] = ()

    @classmethod
    def of(cls, options: argparse.Namespace) -> Discovery:
        """From parsed options of the same names; ``extra`` is the engine's own ``{engine}_arguments``."""
        names = [field.name for field in fields(cls) if field.name != "extra"]
        extra = shlex.split(getattr(options, f"{options.engine}_arguments", ""))
        return cls(**{name: getattr(options, name) for name in names}, extra=tuple(extra))

    @property
    def strands(self) -> str:
        """As a MEME file states it."""
        return "+ -" if self.strand == "both" else "+"


def nodes_of_folder(folder: Path) -> list[NodeInput]:
    """The FASTA files of a folder by rank, ``background.fa`` left out.

    Raises:
        InputError: a FASTA not named after a node, a rank or node twice, or none at all and no manifest.tsv,
            which would say that the selection was empty.
    """
    paths = [path for path in sorted(folder.glob("*.fa")) if path.name != BACKGROUND]
    if not paths and not (folder / "manifest.tsv").is_file():
        raise InputError("A folder holds no FASTA of a node", where=folder, expected="{rank}_n{node}.fa")
    nodes = sorted((NodeInput(*parse_file_name(path), path) for path in paths), key=lambda node: node.rank)
    for key in ("rank", "node"):
        values = [getattr(node, key) for node in nodes]
        twice = sorted({value for value in values if values.count(value) > 1})
        if twice:
            raise InputError(f"Two FASTA files have the same {key}", got=twice[:5], where=folder)
    return nodes


def nodes_of_chunk(folder: Path, manifest: Path, chunk: int, chunks: int) -> list[NodeInput]:
    """The manifest's nodes with (rank - 1) % chunks == chunk.

    Raises:
        ConfigError: no such chunk.
        InputError: a FASTA of the manifest is missing.
    """
    if not 0 <= chunk < chunks:
        raise ConfigError(
            "No such chunk of nodes", got=f"{chunk} of {chunks}", expected="0 <= chunk < chunks"
        )
    table = read_table(manifest, "seqlet_manifest")
    table = table[(table["rank"] - 1) % chunks == chunk].sort_values("rank")
    nodes = [NodeInput(int(row.rank), int(row.node), folder / row.file) for row in table.itertuples()]
    missing = [node.path.name for node in nodes if not node.path.is_file()]
    if missing:
        raise InputError(
            "FASTA files of the manifest are missing",
            got=f"{len(missing)}, first {missing[:3]}",
            where=folder,
            mend="run write_seqlets again",
        )
    return nodes


def discover_nodes(
    nodes: Sequence[NodeInput], wanted: Discovery, background: Path | None, meme_dir: Path, threads: int
) -> list[NodeResult]:
    """Discover motifs in each node, write {meme_dir}/{rank}_n{node}/meme.txt; failures are in the results."""
    if wanted.engine == "batched":
        return _batched(nodes, wanted, background, meme_dir, threads)
    return _external(nodes, wanted, meme_dir, threads)


def _batched(
    nodes: Sequence[NodeInput], wanted: Discovery, background: Path | None, meme_dir: Path, threads: int
) -> list[NodeResult]:
    from biosae.motifs.batched import DiscoverySettings, discover_many, loci_of  # compiles: only when used

    settings = DiscoverySettings(
        motifs_per_node=wanted.motifs_per_node,
        strand=wanted.strand,
        min_width=wanted.min_width,
        max_width=wanted.max_width,
        background_order=wanted.background_order,
    )
    controls = [sequence for _, sequence in read_fasta(background)] if background else []
    records = {node.name: read_fasta(node.path) for node in nodes}
    # the engine knows a node by its hidden unit: its random choices must not change with its rank
    found = discover_many(
        [(f"n{node.node}", [sequence for _, sequence in records[node.name]]) for node in nodes],
        controls,
        settings,
        wanted.seed,
        threads=threads,
        groups={f"n{node.node}": loci_of([header for header, _ in records[node.name]]) for node in nodes},
        show_progress=True,
    )
    results = []
    for node in nodes:
        motifs = found[f"n{node.node}"]
        result = NodeResult(node.rank, node.node, _STATUS[motifs.status], len(records[node.name]))
        results.append(add_batched(result, motifs))
        write_meme(meme_dir / node.name / "meme.txt", result.motifs, strands=wanted.strands)
    return results


def _external(
    nodes: Sequence[NodeInput], wanted: Discovery, meme_dir: Path, threads: int
) -> list[NodeResult]:
    settings = ExternalSettings(
        wanted.engine,
        wanted.motifs_per_node,
        wanted.strand,
        wanted.min_width,
        wanted.max_width,
        wanted.background_order,
        wanted.seed,
        wanted.extra,
    )
    tool = find_tool(wanted.engine)

    def work(node: NodeInput) -> NodeResult:
        lengths = [len(sequence) for _, sequence in read_fasta(node.path)]
        result = NodeResult(node.rank, node.node, "ok", len(lengths))
        if len(lengths) < FEWEST_SEQUENCES or max(lengths) < wanted.min_width:
            result.status = "too_few" if len(lengths) < FEWEST_SEQUENCES else "too_short"
            write_meme(meme_dir / node.name / "meme.txt", [], strands=wanted.strands)
            return result
        try:
            motifs = discover_external(node.path, max(lengths), meme_dir / node.name, tool, settings)
        except (ToolError, InputError) as error:  # the other nodes go on; the chunk fails when all are done
            log.error("node %s: %s", node.name, error)
            result.status, result.message = "failed", " ".join(str(error).split())
            return result
        return add_external(result, motifs, wanted.engine)

    with ThreadPoolExecutor(max(1, threads)) as workers:
        return list(progress(workers.map(work, nodes), what=wanted.engine, total=len(nodes), unit="node"))


def nodes_of(fasta: Path, manifest: Path | None, part: tuple[int, int] | None) -> list[NodeInput]:
    """The nodes of one FASTA, of a folder, or of part (chunk, chunks) of a folder's manifest."""
    if fasta.is_file():
        return [NodeInput(*parse_file_name(fasta), fasta)]
    return nodes_of_chunk(fasta, manifest, *part) if part else nodes_of_folder(fasta)


def write_results(
    results: Sequence[NodeResult],
    wanted: Discovery,
    folder: Path,
    part: tuple[int, int] | None,
    inputs: Sequence[Path],
    significance: float,
) -> None:
    """Write chunk_{i}.tsv, .meme, status_{i}.tsv; for all nodes motifs.tsv, motifs.meme, status.tsv.

    Raises:
        BiosaeError: an external program failed on a node; only the status table is written then.
    """
    stem, suffix, schema, table = "motifs", "", "motifs", chunk_table(results)
    settings = {**asdict(wanted), "significance": significance}
    if part:
        stem, suffix, schema = "chunk", f"_{part[0]}", "motif_chunk"
        settings = {**asdict(wanted), "chunk": part[0], "chunks": part[1]}
    else:
        table = with_q_values(table, significance)
    made_by = provenance("discover_motifs", settings, inputs, wanted.seed)
    write_table(status_table(results), folder / f"status{suffix}.tsv", "motif_status", made_by)
    refuse_failures(results)
    motifs = [motif for result in results for motif in result.motifs]
    write_meme(folder / f"{stem}{suffix}.meme", motifs, strands=wanted.strands)
    write_table(table, folder / f"{stem}{suffix}.tsv", schema, made_by)


def refuse_failures(results: Sequence[NodeResult]) -> None:
    """InputError where an external program failed on a node."""
    failed = [result for result in results if result.status == "failed"]
    if failed:
        raise BiosaeError(
            f"Motif discovery failed for {len(failed)} of {len(results)} nodes",
            got=f"{[result.name for result in failed[:5]]}; first: {failed[0].message}",
            mend="see the log; a new run reads the finished nodes again and repeats the failed ones only",
        )
