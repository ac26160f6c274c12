"""Motif discovery over a folder of nodes, a chunk of it, or one FASTA; a node's result never differs.

Memory: the background once (20,000 x 42 bp: some MB), the seqlets of SHARD_NODES nodes (or, for meme and
streme, of one node a thread) and the rows of all nodes (some kB each).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

from biosae.artefacts import provenance, read_table, write_table
from biosae.cli import progress
from biosae.errors import BiosaeError, ConfigError, InputError
from biosae.motifs.collection import with_q_values
from biosae.motifs.evidence import EVIDENCE_FILE, evidence_table, place_all
from biosae.motifs.external import find_tool
from biosae.motifs.external_node import external_node
from biosae.motifs.fasta import parse_file_name, read_fasta
from biosae.motifs.formats import write_meme
from biosae.motifs.options import Discovery
from biosae.motifs.tables import STATUS, NodeInput, NodeResult, add_batched, chunk_table, status_table

BACKGROUND = "background.fa"  # stands beside the FASTA files of the nodes
SHARD_NODES = 100  # nodes whose sequences are in memory at a time: 1,000 seqlets each are some 30 MB


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
        counts = Counter(getattr(node, key) for node in nodes)
        twice = sorted(value for value, count in counts.items() if count > 1)
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
    nodes: Sequence[NodeInput],
    wanted: Discovery,
    background: Path | None,
    meme_dir: Path | None,
    threads: int,
) -> list[NodeResult]:
    """Discover motifs in each node, write {meme_dir}/{rank}_n{node}/meme.txt; failures are in the results.

    Without ``meme_dir`` nothing is written.
    """
    if wanted.engine == "batched":
        return _batched(nodes, wanted, background, meme_dir, threads)
    return _external(nodes, wanted, background, meme_dir, threads)


def _pool(background: Path | None):
    """The ControlPool of a job, None without background sequences."""
    from biosae.motifs.batched import ControlPool

    sequences = [sequence for _, sequence in read_fasta(background)] if background else []
    return ControlPool(sequences) if sequences else None


def _batched(
    nodes: Sequence[NodeInput],
    wanted: Discovery,
    background: Path | None,
    meme_dir: Path | None,
    threads: int,
) -> list[NodeResult]:
    pool, results = _pool(background), []
    with progress(what="discovering motifs", total=len(nodes), unit="node") as bar:
        for first in range(0, len(nodes), SHARD_NODES):
            shard = nodes[first : first + SHARD_NODES]
            results += _shard(shard, wanted, pool, meme_dir, threads)
            bar.update(len(shard))
    return results


def _shard(nodes: Sequence[NodeInput], wanted: Discovery, pool, meme_dir: Path | None, threads: int):
    """Results of some nodes by engine batched; their sequences are gone when this returns."""
    from biosae.motifs.batched import discover_many, loci_of  # compiles: only when used

    records = {node.key: read_fasta(node.path) for node in nodes}
    found = discover_many(
        [(key, [sequence for _, sequence in group]) for key, group in records.items()],
        pool or [],
        wanted.settings(),
        wanted.seed,
        threads=threads,
        groups={key: loci_of([header for header, _ in group]) for key, group in records.items()},
    )
    results = []
    for node in nodes:
        motifs = found[node.key]
        result = NodeResult(node.rank, node.node, STATUS[motifs.status], len(records[node.key]))
        add_batched(result, motifs, wanted.min_information_bits)
        result.evidence = place_all(result, [motif.evidence for motif in motifs], records[node.key])
        results.append(result)
        if meme_dir:
            write_meme(meme_dir / node.name / "meme.txt", result.motifs, strands=wanted.strands)
    return results


def _external(
    nodes: Sequence[NodeInput],
    wanted: Discovery,
    background: Path | None,
    meme_dir: Path | None,
    threads: int,
) -> list[NodeResult]:
    tool, pool = find_tool(wanted.engine), _pool(background) if wanted.held_out_share else None

    def work(node: NodeInput) -> NodeResult:
        return external_node(node, wanted, pool, meme_dir, tool)

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
    evidence: bool = True,
) -> None:
    """Write chunk_{i}.tsv, .meme, status_{i}.tsv; for all nodes motifs.tsv, motifs.meme, status.tsv.

    With ``evidence`` also held_out_{i}.tsv.gz or held_out.tsv.gz (schema ``held_out``).

    Raises:
        BiosaeError: an external program failed on a node. Only the status table is written then, under the
            name failed_{i}.tsv: Snakemake removes the outputs of a job that fails.
    """
    stem, suffix, schema, table = "motifs", "", "motifs", chunk_table(results)
    settings = {**asdict(wanted), "significance": significance}
    if part:
        stem, suffix, schema = "chunk", f"_{part[0]}", "motif_chunk"
        settings = {**asdict(wanted), "chunk": part[0], "chunks": part[1]}
    else:
        table = with_q_values(table, significance)
    made_by = provenance("discover_motifs", settings, inputs, wanted.seed)
    status, failed = folder / f"status{suffix}.tsv", folder / f"failed{suffix}.tsv"
    if any(result.status == "failed" for result in results):
        write_table(status_table(results), failed, "motif_status", made_by)
        refuse_failures(results)
    for path in (failed, Path(f"{failed}.json")):  # of an earlier try
        path.unlink(missing_ok=True)
    write_table(status_table(results), status, "motif_status", made_by)
    motifs = [motif for result in results for motif in result.motifs]
    write_meme(folder / f"{stem}{suffix}.meme", motifs, strands=wanted.strands)
    if evidence:
        name = EVIDENCE_FILE.format(suffix)
        write_table(evidence_table(results), folder / name, "held_out", made_by)
    write_table(table, folder / f"{stem}{suffix}.tsv", schema, made_by)


def refuse_failures(results: Sequence[NodeResult]) -> None:
    """BiosaeError, with every node on which an external program failed and why."""
    failed = [result for result in results if result.status == "failed"]
    if failed:
        lines = "\n".join(f"  {result.name}: {result.message}" for result in failed)
        raise BiosaeError(
            f"Motif discovery failed for {len(failed)} of {len(results)} nodes:\n{lines}\n",
            mend="a new run reads the finished nodes again and repeats the failed ones only",
        )
