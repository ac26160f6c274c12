"""One node by ``meme`` or ``streme``: with the held-out test, or with the tool's own E alone."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path

from biosae.errors import InputError
from biosae.motifs.evidence import place_all
from biosae.motifs.external import FEWEST_SEQUENCES, Tool, ToolError, discover_external
from biosae.motifs.fasta import read_fasta
from biosae.motifs.formats import Motif, write_meme
from biosae.motifs.options import Discovery
from biosae.motifs.tables import STATUS, HeldOut, NodeInput, NodeResult, add_external

log = logging.getLogger(__name__)

Records = list[tuple[str, str]]  # (FASTA header without >, sequence)


def external_node(node: NodeInput, wanted: Discovery, pool, meme_dir: Path | None, tool: Tool) -> NodeResult:
    """Run the tool on a node; a failure is in the result, not raised.

    Args:
        pool: ControlPool of the run's background, or None for shuffles; not used without a held-out part.
        meme_dir: its folder {rank}_n{node} keeps the tool's output; None keeps nothing.
    """
    with tempfile.TemporaryDirectory(prefix="biosae_") as scratch:
        return _into(Path(meme_dir or scratch) / node.name, node, wanted, pool, tool)


def _into(folder: Path, node: NodeInput, wanted: Discovery, pool, tool: Tool) -> NodeResult:
    records = read_fasta(node.path)
    result = NodeResult(node.rank, node.node, "ok", len(records))
    find = _held_out if wanted.held_out_share else _all_read
    try:
        status, motifs, tests = find(node, records, wanted, pool, folder, tool)
    except (ToolError, InputError) as error:  # the other nodes go on; the chunk fails when all are done
        log.error("node %s: %s", node.name, error)
        result.status, result.message = "failed", " ".join(str(error).split())
        return result
    result.status = STATUS[status]
    if result.status in ("too_few", "too_short"):
        write_meme(folder / "meme.txt", [], strands=wanted.strands)
    add_external(result, motifs, wanted.engine, wanted.min_information_bits, tests)
    result.evidence = place_all(result, [test.evidence for test in tests or ()], records)
    return result


def _held_out(
    node: NodeInput, records: Records, wanted: Discovery, pool, folder: Path, tool: Tool
) -> tuple[str, list[Motif], list[HeldOut]]:
    """The tool reads part A, kept as ``{rank}_n{node}_part_a.fa`` beside its output."""
    from biosae.motifs.batched import node_seed  # compiles: only when used
    from biosae.motifs.held_out_external import discover_node

    def search(part: Records) -> list[Motif]:
        with tempfile.TemporaryDirectory(prefix="biosae_") as name:
            fasta = Path(name) / f"{node.name}_part_a.fa"
            fasta.write_text("".join(f">{header}\n{sequence}\n" for header, sequence in part))
            longest = max(len(sequence) for _, sequence in part)
            return discover_external(fasta, longest, folder, tool, wanted.external(), keep_input=True)

    seed = node_seed(wanted.seed, node.key)
    return discover_node(node.key, records, pool, wanted.settings(), seed, search)


def _all_read(
    node: NodeInput, records: Records, wanted: Discovery, pool, folder: Path, tool: Tool
) -> tuple[str, list[Motif], None]:
    """The tool reads the FASTA as it is."""
    from biosae.motifs.packing import longest_clean

    if len(records) < FEWEST_SEQUENCES:
        return "too few sequences", [], None
    if max(longest_clean(sequence) for _, sequence in records) < wanted.min_width:
        return "too short", [], None
    longest = max(len(sequence) for _, sequence in records)
    motifs = discover_external(node.path, longest, folder, tool, wanted.external())
    return ("ok" if motifs else "no motif"), motifs, None
