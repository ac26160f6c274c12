"""Random windows that look like the seqlets of a run: same GC and same repeat share, jointly.

Drawn uniformly from the store's core intervals (merged, so that doubly covered bases count
once), then thinned per stratum of (GC bin, repeat bin) until the strata have the shares that
they have among all seqlets of the run. Windows may overlap seqlets: with thousands of nodes the
seqlets cover most of the intervals, so leaving them out would leave an odd remainder.

All coordinates are 0-based, half-open, on the forward strand.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from biosae.artefacts import write_json, write_text
from biosae.errors import ConfigError, InputError
from biosae.genome import Genome, cut_windows, letter_counts

log = logging.getLogger(__name__)

GC_BINS = 20  # of 5 % each
REPEAT_BINS = 4  # lower-case share 0, (0, 1/2), [1/2, 1), 1: most windows are all or nothing
DRAWS_PER_WINDOW = 100  # candidates for one window asked for: fills a stratum 100 times rarer than wanted
_BLOCK = 2**18  # candidates looked at together: bounds memory to _BLOCK * window_bp bytes a step


@dataclass(frozen=True)
class Background:
    """Matched windows.

    Attributes:
        table: chrom, start, end; in the order of drawing.
        letters: (n, window_bp) uint8 ASCII codes, row by row of ``table``.
        report: counts for ``background.fa.json``.
    """

    table: pd.DataFrame
    letters: np.ndarray
    report: dict


def strata(letters: np.ndarray) -> np.ndarray:
    """Stratum of each window, (n,) int64 in [0, GC_BINS * REPEAT_BINS); letters (n, window_bp) uint8."""
    width = letters.shape[1]
    gc, lower = letter_counts(letters)
    gc_bin = np.minimum(gc * GC_BINS // width, GC_BINS - 1)
    repeat_bin = np.where(lower == 0, 0, np.where(lower == width, 3, np.where(2 * lower < width, 1, 2)))
    return gc_bin * REPEAT_BINS + repeat_bin


def merge_intervals(chrom: pd.Series, start: pd.Series, end: pd.Series) -> pd.DataFrame:
    """Union of intervals as sorted, disjoint chrom, start, end; touching ones are joined."""
    table = pd.DataFrame({"chrom": chrom, "start": start, "end": end}).sort_values(["chrom", "start", "end"])
    reach = table.groupby("chrom")["end"].cummax().groupby(table["chrom"]).shift()
    block = (~(table["start"] <= reach)).cumsum()  # a missing reach (first of its chromosome) opens a block
    merged = table.groupby(block.to_numpy()).agg({"chrom": "first", "start": "min", "end": "max"})
    return merged.reset_index(drop=True)


def apportion(shares: np.ndarray, total: int) -> np.ndarray:
    """Whole numbers that sum to ``total`` in proportion to ``shares`` (largest remainders), (n,) int64."""
    exact = shares / shares.sum() * total
    counts = np.floor(exact).astype(np.int64)
    extra = np.argsort(counts - exact, kind="stable")[: total - counts.sum()]
    counts[extra] += 1
    return counts


def draw_background(
    seqlets: np.ndarray, intervals: pd.DataFrame, genome: Genome, n_windows: int, seed: int
) -> Background:
    """Draw windows whose joint GC and repeat distribution is that of ``seqlets``.

    Args:
        seqlets: letters of all seqlets of the run, (n, window_bp) uint8.
        intervals: chrom, core_start, core_end of the store's sequences, inside their chromosomes.
        genome: where the letters come from.
        n_windows: windows asked for. Strata that the genome cannot fill stay short: see the report.
        seed: of the draw.

    Raises:
        ConfigError: n_windows below 1.
        InputError: no interval is as wide as a window.
    """
    width = seqlets.shape[1]
    if n_windows < 1:
        raise ConfigError("background_windows must be 1 or more", got=n_windows)
    wanted = np.zeros(GC_BINS * REPEAT_BINS, dtype=np.int64)
    chosen = pd.DataFrame({"chrom": pd.Series(dtype="str"), "start": pd.Series(dtype="int64")})
    n_candidates = n_other_letter = 0
    if len(seqlets):
        shares = np.bincount(strata(seqlets), minlength=len(wanted)).astype(np.float64)
        wanted = apportion(shares, n_windows)
        candidates = candidate_windows(
            intervals, width, n_windows * DRAWS_PER_WINDOW, np.random.default_rng(seed)
        )
        stratum = candidate_strata(candidates, width, genome)
        n_candidates, n_other_letter = len(candidates), int((stratum < 0).sum())
        chosen = candidates[_first_of_each(stratum, wanted)].reset_index(drop=True)
    letters = cut_windows(chosen["chrom"], chosen["start"].to_numpy(), width, genome)
    report = {"candidates": n_candidates, "candidates_with_n": n_other_letter, **_compare(wanted, letters)}
    _log_report(report, seqlets, letters)
    return Background(chosen.assign(end=chosen["start"] + width), letters, report)


def candidate_windows(
    intervals: pd.DataFrame, width: int, n_draws: int, generator: np.random.Generator
) -> pd.DataFrame:
    """Distinct window starts, uniform over the merged core intervals, in random order."""
    merged = merge_intervals(intervals["chrom"], intervals["core_start"], intervals["core_end"])
    n_starts = np.maximum((merged["end"] - merged["start"] - width + 1).to_numpy("int64"), 0)
    ends = np.cumsum(n_starts)
    if not len(ends) or ends[-1] == 0:
        raise InputError(
            "No interval of the activations is as wide as a seqlet, so no background can be drawn",
            got=f"widest interval {int((merged['end'] - merged['start']).max()) if len(merged) else 0} bp",
            expected=f"at least {width} bp",
        )
    drawn, first = np.unique(generator.integers(ends[-1], size=n_draws), return_index=True)
    drawn = drawn[np.argsort(first)]  # back to the order of drawing, each start once
    block = np.searchsorted(ends, drawn, side="right")
    start = merged["start"].to_numpy("int64")[block] + drawn - (ends - n_starts)[block]
    return pd.DataFrame({"chrom": merged["chrom"].to_numpy()[block], "start": start})


def candidate_strata(candidates: pd.DataFrame, width: int, genome: Genome) -> np.ndarray:
    """Stratum of each window (chrom, start), (n,) int64, -1 where it holds another letter than A, C, G, T."""
    stratum = np.full(len(candidates), -1, dtype=np.int64)
    start = candidates["start"].to_numpy()
    codes, names = pd.factorize(candidates["chrom"])
    for code, name in enumerate(names):
        rows = np.flatnonzero(codes == code)
        rows = rows[~genome.with_other_letter(name, start[rows], width)]
        for block in np.split(rows, range(_BLOCK, len(rows), _BLOCK)):
            stratum[block] = strata(genome.windows(name, start[block], width))
    return stratum


def _first_of_each(stratum: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Mask of the first ``wanted[s]`` entries of every stratum s; entries of -1 are never taken."""
    order = np.argsort(stratum, kind="stable")
    ordered = stratum[order]
    place = np.arange(len(ordered)) - np.searchsorted(ordered, ordered)  # 0, 1, 2 ... within its stratum
    mask = np.zeros(len(stratum), dtype=bool)
    mask[order] = (ordered >= 0) & (place < wanted[ordered])
    return mask


def _compare(wanted: np.ndarray, letters: np.ndarray) -> dict:
    got = np.bincount(strata(letters), minlength=len(wanted))
    short = wanted - got
    return {
        "windows_asked_for": int(wanted.sum()),
        "windows": len(letters),
        "strata": int((wanted > 0).sum()),
        "strata_short": int((short > 0).sum()),
        "windows_missing": int(short.sum()),
        # half the summed difference of shares: 0 where the background matches the seqlets exactly
        "distance_to_seqlets": float(
            np.abs(wanted / max(wanted.sum(), 1) - got / max(got.sum(), 1)).sum() / 2
        ),
    }


def _log_report(report: dict, seqlets: np.ndarray, letters: np.ndarray) -> None:
    log.info("background: %s", ", ".join(f"{name} {value}" for name, value in report.items()))
    if report["windows_missing"]:
        log.warning(
            "%d of %d background windows are missing: %d of %d strata of GC and repeat share are too rare",
            report["windows_missing"],
            report["windows_asked_for"],
            report["strata_short"],
            report["strata"],
        )
    if len(seqlets) and not letter_counts(seqlets)[1].any() and not letter_counts(letters)[1].any():
        log.info("no lower-case base in any window: the genome is not soft-masked, the repeat share is 0")


def write_background(background: Background, folder: Path, made_by: dict) -> None:
    """Write ``background.fa`` and its ``.json`` (provenance and counts) into ``folder``."""
    width = background.letters.shape[1]
    text = background.letters.tobytes().decode("ascii")
    columns = (background.table[name].tolist() for name in ("chrom", "start", "end"))
    lines = [
        f">{chrom}:{start}-{end}(+) background\n{text[i * width : (i + 1) * width]}\n"
        for i, (chrom, start, end) in enumerate(zip(*columns, strict=True))
    ]
    write_json(folder / "background.fa.json", {**made_by, "counts": background.report})
    write_text(folder / "background.fa", "".join(lines))
