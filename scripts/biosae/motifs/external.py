"""The MEME Suite's programs, run only when a user asks for them.

The suite is free for non-profit use only. A program is judged by what it wrote, not by its exit code:
``meme`` and ``tomtom`` exit with 1 when no more than their HTML converters are missing. Each runs in a
scratch folder on relative names, so that no path of this machine gets into its output.
"""

from __future__ import annotations

import json
import logging
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from biosae.artefacts import atomic_directory, fingerprint, write_json
from biosae.errors import ConfigError, InputError
from biosae.motifs.formats import Motif, read_meme, write_meme
from biosae.motifs.matching import MatchSettings, Pairs
from biosae.motifs.significance import benjamini_hochberg, log10_of

log = logging.getLogger(__name__)

VERSIONS = ((5, 4), (5, 5))  # of the MEME Suite; their text formats are the ones we have tested
FEWEST_SEQUENCES = 2  # meme refuses fewer
WIDEST_TESTED_BP = (
    200  # the widest that DiscoverySettings allow, which the held-out test can read (packing.PAD)
)
STREME_WIDTHS = (3, 30)  # bp; what streme --minw and --maxw accept
_TEXT = {"meme": "meme.txt", "streme": "streme.txt"}
_TOMTOM_COLUMNS = [
    *("Query_ID", "Target_ID", "Optimal_offset", "p-value", "E-value", "q-value", "Overlap"),
    *("Query_consensus", "Target_consensus", "Orientation"),
]


class ToolError(InputError):
    """A program ran and left no complete output."""


@dataclass(frozen=True)
class Tool:
    """A program found on the PATH and its version."""

    name: str
    path: str
    version: str


def find_tool(name: str) -> Tool:
    """``meme``, ``streme`` or ``tomtom`` on the PATH.

    Raises:
        InputError: it is missing, or not of the versions whose output we read.
    """
    path = shutil.which(name)
    if path is None:
        raise InputError(
            f"The MEME Suite's program '{name}' is not on the PATH",
            mend="run the workflow with --sdm conda (envs/motifs.yaml holds the MEME Suite), or install it, "
            "or take the engines that need nothing (motifs.engine: batched, matching.engine: batched)",
        )
    flag = "--version" if name == "streme" else "-version"
    answer = subprocess.run([path, flag], capture_output=True, text=True, check=False)
    match = re.search(r"([0-9]+)\.([0-9]+)(\.[0-9]+)?", answer.stdout + answer.stderr)
    if match is None or (int(match[1]), int(match[2])) not in VERSIONS:
        raise InputError(
            f"The version of '{name}' is not one whose output is known",
            where=path,
            got=match[0] if match else (answer.stdout + answer.stderr).strip()[:80] or "no answer",
            expected="MEME Suite 5.4 or 5.5",
            mend="install MEME Suite 5.5, as envs/motifs.yaml does",
        )
    return Tool(name, path, match[0])


@dataclass(frozen=True)
class ExternalSettings:
    """What a discovery with ``meme`` or ``streme`` is asked for; names and units as in DiscoverySettings.

    Args:
        extra: further arguments, put last.
    """

    engine: str
    motifs_per_node: int = 2
    strand: str = "given"
    min_width: int = 6
    max_width: int | None = None
    background_order: int = 2
    seed: int = 0
    extra: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.engine == "streme" and self.strand != "both":
            raise ConfigError(
                "Engine streme reads both strands of DNA and has no option for one",
                got=f"strand {self.strand}",
                expected="strand both",
                mend="set motifs.strand: both, or take engine meme or batched",
            )

    def arguments(self, longest_bp: int) -> list[str]:
        """The explicit arguments, without files; ``longest_bp`` is the longest sequence of the node."""
        widest = min(self.max_width or longest_bp, longest_bp)
        given = {
            "nmotifs": self.motifs_per_node,
            "minw": min(self.min_width, widest),
            "maxw": widest,
        }
        if self.engine == "meme":
            words = ["-dna", "-mod", "zoops"] + (["-revcomp"] if self.strand == "both" else [])
            given |= {"markov_order": self.background_order, "seed": self.seed}
            dash = "-"
        else:
            words, dash = ["--dna"], "--"
            low, high = STREME_WIDTHS
            given["minw"], given["maxw"] = (min(max(given[key], low), high) for key in ("minw", "maxw"))
            given |= {"order": self.background_order, "seed": self.seed}
        return (
            words
            + [str(word) for key, value in given.items() for word in (dash + key, value)]
            + list(self.extra)
        )


def discover_external(
    fasta: Path,
    longest_bp: int,
    folder: Path,
    tool: Tool,
    settings: ExternalSettings,
    keep_input: bool = False,
) -> list[Motif]:
    """Run ``meme`` or ``streme`` on one FASTA and keep its whole output, with ``meme.txt``, in ``folder``.

    A folder with the complete output of the same sequences, arguments and version is read, not made again.
    ``keep_input`` keeps the FASTA there too: with it the command line of the log can be repeated.

    Raises:
        ToolError: the program left no complete, readable text.
    """
    made_by = {
        "engine": tool.name,
        "version": tool.version,
        "arguments": settings.arguments(longest_bp),
        "sequences_sha256": fingerprint(fasta)["sha256"],
    }
    text = _TEXT[tool.name]
    if _made_by(folder) == made_by and (folder / "meme.txt").is_file() and _is_complete(folder / text):
        log.info("%s: complete output of the same settings found, read again", folder.name)
        motifs = read_meme(folder / text)
        if tool.name == "streme":  # another engine may have written its own meme.txt since
            write_meme(folder / "meme.txt", motifs)
        return motifs
    return _into(folder, fasta, tool, made_by, keep_input)


def _into(folder: Path, fasta: Path, tool: Tool, made_by: dict, keep_input: bool) -> list[Motif]:
    """Run the tool with the arguments of ``made_by``; its output replaces ``folder`` whole."""
    text = _TEXT[tool.name]
    with atomic_directory(folder) as kept, tempfile.TemporaryDirectory(prefix="biosae_") as name:
        scratch = Path(name)
        shutil.copyfile(fasta, scratch / fasta.name)
        files, out = ([fasta.name], "-oc") if tool.name == "meme" else (["--p", fasta.name], "--oc")
        _run(
            [tool.path, *files, *made_by["arguments"], out, "output"], scratch, f"output/{text}", _is_complete
        )
        for path in [
            *sorted((scratch / "output").iterdir()),
            *([scratch / fasta.name] if keep_input else []),
        ]:
            shutil.move(path, kept / path.name)
        motifs = read_meme(kept / text)
        if tool.name == "streme":
            write_meme(kept / "meme.txt", motifs)
        write_json(kept / "settings.json", made_by)
    return motifs


def _made_by(folder: Path) -> dict | None:
    try:
        return json.loads((folder / "settings.json").read_text())
    except (OSError, ValueError):
        return None  # nothing there, or cut short: made again


def _is_complete(text: Path) -> bool:
    """meme.txt and streme.txt say at their end why they stopped."""
    return (
        text.is_file()
        and re.search(r"^Stopped because", text.read_text(errors="replace"), re.MULTILINE) is not None
    )


def _run(command: list[str], scratch: Path, text: str, is_complete: Callable[[Path], bool]) -> None:
    """Run ``command`` in ``scratch``; ToolError unless ``is_complete`` says so of its file ``text``."""
    name = Path(command[0]).name
    log.info("running: %s", shlex.join(command))
    done = subprocess.run(command, cwd=scratch, capture_output=True, text=True, errors="replace", check=False)
    said = " / ".join((done.stderr or done.stdout).strip().splitlines()[-3:]) or "nothing"
    if not is_complete(scratch / text):
        raise ToolError(
            f"{name} left no complete {Path(text).name}",
            got=f"exit code {done.returncode}, last words: {said}",
            where=shlex.join([name, *command[1:]]),  # goes into a table, which holds no path of a machine
        )
    if done.returncode != 0:
        log.warning(
            "%s exited with %d, but its %s is complete and is used (are its HTML converters missing?): %s",
            *(name, done.returncode, Path(text).name, said),
        )


def tomtom_pairs(motifs: Sequence[Motif], database: Sequence[Motif], settings: MatchSettings) -> Pairs:
    """Compare with the MEME Suite's ``tomtom``; p, E and q are as it reports them.

    Motifs go to it under plain numbers: ids may repeat and may hold any character.
    """
    tool = find_tool("tomtom")
    with tempfile.TemporaryDirectory(prefix="biosae_") as name:
        scratch = Path(name)
        for letter, group in (("q", motifs), ("t", database)):
            numbered = [Motif(f"{letter}{i}", m.id, m.matrix, m.n_sites) for i, m in enumerate(group)]
            write_meme(scratch / f"{letter}.meme", numbered)
        options = {
            "-dist": settings.distance,
            "-thresh": settings.report_q,
            "-min-overlap": settings.min_overlap,
        }
        words = [str(word) for pair in options.items() for word in pair]
        command = [tool.path, "-no-ssc", "-oc", "output", *words, "q.meme", "t.meme"]
        _run(command, scratch, "output/tomtom.tsv", _is_complete_tomtom)
        rows = read_tomtom(scratch / "output" / "tomtom.tsv")
    rows["query"] = rows.pop("Query_ID").str[1:].astype("int64")
    rows["target"] = rows.pop("Target_ID").str[1:].astype("int64")
    rows = rows.sort_values(["query", "p_value", "target"], kind="stable", ignore_index=True)
    rows["log10_p"] = log10_of(rows["p_value"].to_numpy())
    rows["log10_q_run"] = benjamini_hochberg(rows["log10_p"].to_numpy(), len(motifs) * len(database))
    return Pairs(rows)


def _is_complete_tomtom(text: Path) -> bool:
    return text.is_file() and "# Tomtom" in text.read_text(errors="replace")


def read_tomtom(path: str | Path) -> pd.DataFrame:
    """A ``tomtom.tsv`` of the MEME Suite, with or without its footer of ``#`` lines.

    Returns:
        Query_ID, Target_ID, offset, p_value, e_value, q_value, overlap, orientation (and both consensus).

    Raises:
        InputError: another header, or values that are no numbers.
    """
    try:
        lines = [line for line in Path(path).read_text().splitlines() if line and not line.startswith("#")]
        cells = [line.split("\t") for line in lines]
        if not cells or cells[0] != _TOMTOM_COLUMNS:
            raise ValueError(f"header {lines[:1]}")
        table = pd.DataFrame(cells[1:], columns=_TOMTOM_COLUMNS)
        kinds = {"Optimal_offset": "int64", "Overlap": "int64"} | dict.fromkeys(
            _TOMTOM_COLUMNS[3:6], "float64"
        )
        table = table.astype(kinds)
    except (OSError, ValueError) as error:
        raise InputError(
            "Cannot read a table of TomTom", got=error, expected=_TOMTOM_COLUMNS, where=path
        ) from error
    names = ["offset", "p_value", "e_value", "q_value", "overlap"]
    return table.rename(
        columns=dict(zip([*_TOMTOM_COLUMNS[2:6], "Overlap"], names, strict=True))
        | {"Orientation": "orientation"}
    )
