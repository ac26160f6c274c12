"""What an extraction will write, checked whole before a model runs over the genome.

A BED of intervals becomes the store's interval table: each interval is a window that the model is given
(widened by its context), on one strand or both, of which the whole, the core or some blocks of positions are
kept, one row each. Rows are dealt to files in whole windows, in the order of the BED. A block of a subsample
is an interval of its own, exactly positions x stride long, so the contract of the store locates every row.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from biosae.cli import progress
from biosae.errors import ConfigError, InputError
from biosae.genome import Genome
from biosae.geometry import Layer
from biosae.hosts.onehot import unknown

_log = logging.getLogger(__name__)

_NO_INTERVAL = ("#", "track", "browser")
STRANDS = {"forward": "+", "reverse": "-", "both": "+-"}


@dataclass(frozen=True)
class Extraction:
    """What is asked for, beside the model and its layer.

    Attributes:
        context_bp: bases that the model sees on each side of an interval.
        length_bp: every interval is cut or widened to this about its middle; None takes them as they are.
        keep: window (positions over the context too) or core.
        strand: forward, reverse or both.
        dtype: float16 or float32.
        files: files of the store.
        subsample_share: of the positions, in blocks; None keeps all.
        subsample_block: positions a block.
        seed: of the choice of blocks.
        assembly: name of the genome, only written down.
    """

    context_bp: int = 0
    length_bp: int | None = None
    keep: str = "core"
    strand: str = "forward"
    dtype: str = "float16"
    files: int = 1
    subsample_share: float | None = None
    subsample_block: int = 256
    seed: int = 0
    assembly: str | None = None


def read_bed(path: Path) -> pd.DataFrame:
    """chrom, start, end of each line of a BED, in its order; what else it holds is not looked at.

    Raises:
        InputError: no intervals, or a line that is none.
    """
    rows = []
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError("Cannot read the intervals", where=path, got=error) from error
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith(_NO_INTERVAL):
            continue
        words = line.split("\t")
        if len(words) < 3 or not (words[1].isdecimal() and words[2].strip().isdecimal()):
            raise InputError(
                "A line of the intervals is not BED",
                where=f"{path}, line {number}",
                got=line[:80],
                expected="chromosome, start and end, tab-separated, without a header",
            )
        rows.append((words[0], int(words[1]), int(words[2])))
    if not rows:
        raise InputError("The file of intervals holds none", where=path)
    return pd.DataFrame(rows, columns=["chrom", "start", "end"])


def plan_windows(
    bed: pd.DataFrame, asked: Extraction, layer: Layer, genome: Genome, path: Path
) -> pd.DataFrame:
    """chrom, core_start, core_end, start, end (what the model is given) of each interval, checked.

    Raises:
        InputError: everything that is wrong with the intervals, each fault counted, its first line shown.
    """
    table = bed.rename(columns={"start": "core_start", "end": "core_end"})
    if asked.length_bp is not None:
        middle = (table["core_start"] + table["core_end"]) // 2
        table["core_start"] = middle - asked.length_bp // 2
        table["core_end"] = table["core_start"] + asked.length_bp
    table["start"] = table["core_start"] - asked.context_bp
    table["end"] = table["core_end"] + asked.context_bp
    faults = _faults(table, asked, layer, genome)
    if faults:
        lines = "\n".join(f"  {line}" for line in faults)
        raise InputError(
            f"The intervals cannot be extracted:\n{lines}\n ",
            where=path,
            mend="mend the BED, or set extract.length_bp: one length for all, each about its middle",
        )
    return table


def _faults(table: pd.DataFrame, asked: Extraction, layer: Layer, genome: Genome) -> list[str]:
    length = table["chrom"].map(genome.lengths)
    width = table["end"] - table["start"]
    usual = int(width.mode().iloc[0])
    kept = width if asked.keep == "window" else table["core_end"] - table["core_start"]
    checks: list[tuple[pd.Series, Callable[[pd.Series], str]]] = [
        (length.isna(), lambda row: f"lie on a chromosome that the genome lacks: {row['chrom']}"),
        (
            (table["core_start"] < 0) | (table["core_end"] > length),
            lambda row: f"reach beyond their chromosome, of {genome.lengths.get(row['chrom'])} bp",
        ),
        (
            width < layer.window_bp,
            lambda _: f"are shorter than the {layer.window_bp} bp of a receptive field",
        ),
        (
            (width % layer.stride_bp != 0) | (kept % layer.stride_bp != 0),
            lambda _: (
                f"are not a multiple of the stride of {layer.stride_bp} bp (context {asked.context_bp} bp)"
            ),
        ),
        (width != usual, lambda _: f"differ in length from the others, of {usual} bp with context"),
    ]
    faults = []
    for bad, what in checks:
        if bad.any():
            row = table[bad].iloc[0]
            first = f"the first {row['chrom']}:{row['core_start']}-{row['core_end']}"
            faults.append(f"{int(bad.sum())} of {len(table)} intervals {what(row)}; {first}")
    if asked.keep == "core" and asked.context_bp % layer.stride_bp:
        faults.append(
            f"a context of {asked.context_bp} bp is not a multiple of the stride {layer.stride_bp} bp"
        )
    if asked.files > len(table):
        faults.append(f"{asked.files} files are asked for, more than the {len(table)} intervals")
    return faults


def count_unknown(windows: pd.DataFrame, genome: Genome) -> dict:
    """Bases of the windows that the model sees as zeros: N and the like, and beyond a chromosome's ends.

    Returns:
        intervals, bases; with_n (intervals), n_bases; beyond (intervals), beyond_bases; core_bases (of
        n_bases, those in a core), worst (the interval with the largest share of N), worst_share.
    """
    counts = {"n": [], "core": [], "beyond": []}
    for row in progress(windows.itertuples(), what="count N", total=len(windows), unit="interval"):
        letters = genome.segment(row.chrom, row.start, row.end)
        beyond = max(0, -row.start) + max(0, row.end - genome.lengths[row.chrom])
        counts["beyond"].append(beyond)
        counts["n"].append(int(unknown(letters).sum()) - beyond)
        core = letters[row.core_start - row.start : row.core_end - row.start]
        counts["core"].append(int(unknown(core).sum()))
    n, beyond = np.array(counts["n"]), np.array(counts["beyond"])
    widths = (windows["end"] - windows["start"]).to_numpy()
    worst = windows.iloc[int((n / widths).argmax())]
    return {
        "intervals": len(windows),
        "bases": int(widths.sum()),
        "with_n": int((n > 0).sum()),
        "n_bases": int(n.sum()),
        "core_bases": int(np.sum(counts["core"])),
        "beyond": int((beyond > 0).sum()),
        "beyond_bases": int(beyond.sum()),
        "worst": f"{worst['chrom']}:{worst['core_start']}-{worst['core_end']}",
        "worst_share": float((n / widths).max()),
    }


def say_unknown(counts: dict) -> None:
    """Log what ``count_unknown`` counted; runs of N change nothing but what the model sees."""
    if counts["with_n"]:
        _log.warning(
            "%d of %d windows hold letters that are not A, C, G or T: %d of %d bases (%d of them in an "
            "interval itself), which the model sees as zeros; the most, %.1f %%, %s",
            counts["with_n"],
            counts["intervals"],
            counts["n_bases"],
            counts["bases"],
            counts["core_bases"],
            100 * counts["worst_share"],
            counts["worst"],
        )
    if counts["beyond"]:
        _log.warning(
            "%d of %d windows reach beyond their chromosome with their context: %d bases of zeros",
            counts["beyond"],
            counts["intervals"],
            counts["beyond_bases"],
        )


def plan_rows(windows: pd.DataFrame, asked: Extraction, stride_bp: int) -> pd.DataFrame:
    """The store's interval table (schema ``intervals``) for the windows of ``plan_windows``.

    Raises:
        ConfigError: a subsample of no block, or of blocks longer than what is kept.
    """
    whole = asked.keep == "window"
    first = 0 if whole else asked.context_bp // stride_bp
    width = windows["end"] - windows["start"] if whole else windows["core_end"] - windows["core_start"]
    positions = int(width.iloc[0]) // stride_bp
    block = positions if asked.subsample_share is None else asked.subsample_block
    if not 1 <= block <= positions:
        raise ConfigError(
            "A block of the subsample is longer than what is kept of an interval",
            got=f"extract.subsample_block: {block}",
            expected=f"at most {positions} positions",
        )
    rows = []
    for file in range(asked.files):
        low, high = (len(windows) * number // asked.files for number in (file, file + 1))
        row = 0
        for index, window in enumerate(windows.iloc[low:high].itertuples(), start=low):
            for strand in STRANDS[asked.strand]:
                for at in _blocks(positions, block, asked, index):
                    start = window.start + stride_bp * (first + at)
                    place = (window.chrom, start, start + stride_bp * block, file, row)
                    rows.append((*place, strand, window.start, window.end))
                    row += 1
    names = ["chrom", "start", "end", "file", "row", "strand", "input_start", "input_end"]
    return pd.DataFrame(rows, columns=names)


def _blocks(positions: int, block: int, asked: Extraction, index: int) -> list[int]:
    """First positions of the blocks that are kept of one interval, both strands the same."""
    if asked.subsample_share is None:
        return [0]
    every = positions // block
    count = max(1, round(asked.subsample_share * every))
    chosen = np.random.default_rng([asked.seed, index]).choice(every, count, replace=False)
    return [int(number) * block for number in np.sort(chosen)]


def asked_of(values: dict) -> Extraction:
    """An ``Extraction`` of plain values.

    Raises:
        ConfigError: a value without sense.
    """
    asked = Extraction(**values)
    known = {"keep": ("core", "window"), "strand": tuple(STRANDS), "dtype": ("float16", "float32")}
    for name, words in known.items():
        if getattr(asked, name) not in words:
            raise ConfigError(f"Unknown {name}", got=getattr(asked, name), expected=f"one of {words}")
    share = asked.subsample_share
    if asked.files < 1 or asked.context_bp < 0 or (share is not None and not 0 < share <= 1):
        raise ConfigError(
            "An extraction needs files, no negative context, and a share above 0 and at most 1",
            got=asdict(asked),
        )
    if share is not None and asked.keep == "window" and asked.context_bp:
        raise ConfigError(
            "A subsample of positions is taken from cores", got="--keep window", mend="use --keep core"
        )
    return asked
