"""FASTA, and the names that tie a file or a motif to its node.

Headers and ids hold ``/ : , [ ] '`` and are only ever data: file names come from rank and node alone.
"""

from __future__ import annotations

import logging
import re
import shutil
from pathlib import Path

import pandas as pd

from biosae.errors import InputError

log = logging.getLogger(__name__)

_NODE_NAME = re.compile(r"([1-9][0-9]*)_n(0|[1-9][0-9]*)")
_MOTIF_ID = re.compile(_NODE_NAME.pattern + r"_m([1-9][0-9]*)")
_FASTA_LETTERS = re.compile(r"[ACGTUNRYSWKMBDHVacgtunryswkmbdhv]+")


def node_name(rank: int, node: int) -> str:
    """``{rank}_n{node}``, the name of a kept node's files; rank 1 is the highest mean activation."""
    return f"{rank}_n{node}"


def parse_file_name(name: str | Path) -> tuple[int, int]:
    """(rank, node) of ``3_n127.fa``, ``3_n127.fasta`` or ``3_n127``."""
    file = Path(name).name
    match = _NODE_NAME.fullmatch(re.sub(r"\.(fa|fasta)$", "", file))
    if match is None:
        raise InputError(
            "A file is not named after a node",
            got=file,
            expected="{rank}_n{node}.fa, as 3_n127.fa",
            where=name,
        )
    return int(match[1]), int(match[2])


def remove_stale_nodes(folder: Path, manifest: pd.DataFrame, file: str) -> int:
    """Remove the folders {rank}_n{node}/ of an earlier selection, whose nodes or ranks are no longer kept.

    Args:
        folder: holds one folder per node; other entries are left alone.
        manifest: schema ``seqlet_manifest``: the nodes that are kept.
        file: the result that such a folder must hold, ``meme.txt``; one without it is left alone.

    Returns:
        How many were removed; also logged.
    """
    kept = {node_name(*pair) for pair in zip(manifest["rank"], manifest["node"], strict=True)}
    stale = [
        entry
        for entry in (sorted(folder.iterdir()) if folder.is_dir() else [])
        if _NODE_NAME.fullmatch(entry.name) and entry.name not in kept and (entry / file).is_file()
    ]
    for entry in stale:
        shutil.rmtree(entry)
    if stale:
        log.info("%d folders of nodes that are no longer kept were removed from %s", len(stale), folder)
    return len(stale)


def parse_motif_id(motif_id: str) -> tuple[int | None, int | None, int | None]:
    """(rank, node, motif) of ``3_n127_m1``; three None for an id that is not ours."""
    match = _MOTIF_ID.fullmatch(motif_id)
    return tuple(int(part) for part in match.groups()) if match else (None, None, None)


def read_lines(path: str | Path, what: str) -> list[str]:
    """The lines of a UTF-8 text file; an InputError where it cannot be read."""
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"Cannot read a {what} file", got=error, where=path, mend="check the path"
        ) from error


def read_fasta(path: str | Path) -> list[tuple[str, str]]:
    """(header without ``>``, sequence) of every record, letters in their case; an empty file gives [].

    Raises:
        InputError: text before the first header, a record without sequence, a letter that is no nucleotide.
    """
    records: list[tuple[str, list[str], int]] = []
    for number, line in enumerate(read_lines(path, "FASTA"), 1):
        line = line.strip()
        if line.startswith(">"):
            records.append((line[1:].strip(), [], number))
        elif line and not records:
            raise InputError(
                "A file is not FASTA", got=line[:40], expected="> and a name", where=f"{path}:{number}"
            )
        elif line and not _FASTA_LETTERS.fullmatch(line):
            raise InputError(
                "A FASTA sequence holds a letter that is no nucleotide",
                got=line[:40],
                where=f"{path}:{number}",
            )
        elif line:
            records[-1][1].append(line)
    for header, parts, number in records:
        if not parts:
            raise InputError("A FASTA record has no sequence", got=header, where=f"{path}:{number}")
    return [(header, "".join(parts)) for header, parts, _ in records]
