"""Null sets: the sequences that a kept node could have had, had it learnt nothing.

A set mirrors a kept node: as many sequences, of the same width. Three kinds, each asking a harder question:

shuffled  the node's own seqlets, each shuffled with its dinucleotides kept: what composition alone gives.
genome    random windows with the run's joint shares of GC and repeats: what chance alone gives.
filter    the windows that a filter of random weights likes best, of a pool of random windows: what any
          preference for sequence gives, learnt or not. Such sets have true motifs; only what goes beyond
          them tells a trained model from an untrained one.

Coordinates are 0-based, half-open, on the forward strand.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from biosae.backgrounds import candidate_windows, strata
from biosae.errors import InputError
from biosae.genome import Genome, cut_windows
from biosae.motifs.packing import encode
from biosae.motifs.shuffle import shuffle_dinucleotides
from biosae.seqlets import keep_strongest

log = logging.getLogger(__name__)

FILTER_BP = 15  # width of Borzoi's first kernel (borzoi-pytorch 0.5.1, conv_dna: Conv1d(4, 512, 15))
_WEIGHT_STEPS = 256  # weights are whole numbers of 1/256: sums are exact, whatever their order
_FILTERS_AT_A_TIME = 64  # bounds memory: pool x 64 scores of 4 bytes
_WINDOWS_AT_A_TIME = 2**14  # bounds memory: 16 bytes a window and bp
_SPARE = 4  # candidates looked at for each window that is kept: neighbours overlap and drop out
_LETTERS = np.frombuffer(b"ACGTN", dtype=np.uint8)

Record = tuple[str, str]  # header, sequence


@dataclass(frozen=True)
class WindowPool:
    """Distinct random windows without N.

    Attributes:
        chrom: names, (n,); code: their numbers, (n,) int64; start: (n,) int64.
        letters: (n, window_bp) uint8 ASCII, case kept.
    """

    chrom: np.ndarray
    code: np.ndarray
    start: np.ndarray
    letters: np.ndarray

    def records(self, rows: np.ndarray) -> list[Record]:
        """FASTA records of some windows."""
        width = self.letters.shape[1]
        text = self.letters[rows].tobytes().decode("ascii")
        return [
            (f"{self.chrom[row]}:{at}-{at + width}(+)", text[i * width : (i + 1) * width])
            for i, (row, at) in enumerate(zip(rows.tolist(), self.start[rows].tolist(), strict=True))
        ]


def draw_pool(
    intervals: pd.DataFrame, genome: Genome, window_bp: int, n_windows: int, seed: int
) -> WindowPool:
    """Random windows of the store's core intervals; those with a letter other than A, C, G, T are left out.

    Args:
        intervals: chrom, core_start, core_end of the store's sequences.
        n_windows: windows drawn; as many as there are distinct starts where those are fewer.

    Raises:
        InputError: no window without N.
    """
    # a stream of its own: the background's would give the very windows that serve as controls
    generator = np.random.default_rng(set_seed(seed, "pool", 0))
    drawn = candidate_windows(intervals, window_bp, n_windows, generator)
    letters = cut_windows(drawn["chrom"], drawn["start"].to_numpy(), window_bp, genome)
    clean = (encode_windows(letters) < 4).all(axis=1)
    if not clean.any():
        raise InputError(
            "No random window of the activations' intervals is free of N", got=f"{len(clean)} windows drawn"
        )
    chrom = drawn["chrom"].to_numpy()[clean]
    return WindowPool(chrom, pd.factorize(chrom)[0], drawn["start"].to_numpy("int64")[clean], letters[clean])


def encode_windows(letters: np.ndarray) -> np.ndarray:
    """ASCII letters as 0..3 for A, C, G, T in either case, 4 for any other; same shape."""
    table = np.full(256, 4, dtype=np.uint8)
    for code, pair in enumerate((b"Aa", b"Cc", b"Gg", b"Tt")):
        table[list(pair)] = code
    return table[letters]


def set_seed(seed: int, kind: str, number: int) -> int:
    """Seed of one set: it does not depend on how many sets there are."""
    return int.from_bytes(hashlib.blake2b(f"{seed}:{kind}:{number}".encode(), digest_size=7).digest(), "big")


def shuffled_records(records: Sequence[Record], seed: int) -> list[Record]:
    """Each sequence shuffled, its dinucleotides kept; a mostly lower-case one is lower case throughout."""
    texts = [text for _, text in records]
    codes, offsets = shuffle_dinucleotides(*encode(texts), 1, seed)
    letters = _LETTERS[codes[: offsets[-1]]].tobytes().decode("ascii")
    out = []
    for i, (header, text) in enumerate(records):
        new = letters[offsets[i] : offsets[i + 1]]
        repeat = 2 * sum(map(str.islower, text)) > len(text)
        out.append((header, new.lower() if repeat else new))
    return out


def genome_sets(
    pool: WindowPool, like: np.ndarray, sizes: Sequence[int], seed: int
) -> Iterator[list[Record]]:
    """Random windows with the shares of GC and repeats of ``like`` (n, window_bp), none overlapping.

    Raises:
        InputError: the pool holds no window like any of ``like``.
    """
    mine, theirs = strata(pool.letters), strata(like)
    lacking = float((~np.isin(theirs, mine)).mean())
    if lacking == 1.0:
        raise InputError(
            "No random window of the activations' intervals is like the background in GC and repeats",
            got=f"{len(mine)} windows",
            mend="raise nulls.pool_windows, or leave kind genome out",
        )
    if lacking:
        log.warning("%.2g %% of the background is like no window of the pool", 100 * lacking)
    size = int(max(mine.max(), theirs.max())) + 1
    share = np.bincount(theirs, minlength=size)
    weight = (share / np.maximum(np.bincount(mine, minlength=size), 1))[mine]
    usable = np.flatnonzero(weight)
    ends = np.cumsum(weight[usable])
    for number, size in enumerate(sizes, 1):
        rng = np.random.default_rng(set_seed(seed, "genome", number))
        drawn = np.searchsorted(ends, rng.random(_SPARE * size) * ends[-1], side="right")
        rows = usable[pd.unique(drawn)]
        yield pool.records(_apart(pool, rows, size))


def filter_sets(
    pool: WindowPool, sizes: Sequence[int], seed: int, filter_bp: int = FILTER_BP
) -> Iterator[list[Record]]:
    """For each set the windows that score highest under a filter of its own, none overlapping.

    A filter has independent normal weights for each base at ``filter_bp`` places in a row (the window, where
    that is narrower), at a random place in the window.
    """
    codes = encode_windows(pool.letters)
    for first in range(0, len(sizes), _FILTERS_AT_A_TIME):
        some = range(first, min(first + _FILTERS_AT_A_TIME, len(sizes)))
        seeds = [set_seed(seed, "filter", i + 1) for i in some]
        scores = _scores(codes, np.stack([_random_filter(codes.shape[1], filter_bp, one) for one in seeds]))
        for i, row in zip(some, scores, strict=True):
            near = min(_SPARE * sizes[i], len(row) - 1)
            bound = np.partition(row, len(row) - 1 - near)[len(row) - 1 - near]
            best = np.flatnonzero(row >= bound)
            yield pool.records(_apart(pool, best[np.argsort(-row[best], kind="stable")], sizes[i]))


def _scores(codes: np.ndarray, filters: np.ndarray) -> np.ndarray:
    """(filters, windows) float32 of codes (windows, width) and filters (filters, 4 * width)."""
    out = np.empty((len(filters), len(codes)), np.float32)
    for first in range(0, len(codes), _WINDOWS_AT_A_TIME):
        block = codes[first : first + _WINDOWS_AT_A_TIME]
        one_hot = block[:, :, None] == np.arange(4, dtype=np.uint8)
        out[:, first : first + len(block)] = filters @ one_hot.reshape(len(block), -1).T.astype(np.float32)
    return out


def _random_filter(width: int, filter_bp: int, seed: int) -> np.ndarray:
    """Weights (4 * width,) float32, whole numbers; zero outside the filter."""
    rng = np.random.default_rng(seed)
    filter_bp = min(filter_bp, width)
    at = int(rng.integers(width - filter_bp + 1))
    weights = np.zeros((width, 4), np.float32)
    weights[at : at + filter_bp] = np.round(rng.normal(size=(filter_bp, 4)) * _WEIGHT_STEPS)
    return weights.ravel()


def _apart(pool: WindowPool, rows: np.ndarray, size: int) -> np.ndarray:
    """The first ``size`` of the rows that overlap none before them."""
    if len(rows) == 0:
        return rows
    apart = keep_strongest(pool.code[rows], pool.start[rows], pool.letters.shape[1])
    return rows[apart][:size]
