"""Simulated nodes for the motif benchmarks: planted JASPAR matrices on real or random windows, and nulls.

Families (a planted site lies anywhere in the window, on either strand when asked; bits against uniform bases;
only matrices that fit the window, and at most ``WIDEST`` bp):

- ``strong``, ``medium``: a matrix of >= 14 or 10 to 14 bits in 60 or 40 % of the seqlets.
- ``weak``: 7.5 to 10 bits in 25 to 40 % of the seqlets (drawn for each node).
- ``dual``: a strong matrix in 80 % of one half of the seqlets, a medium one in 80 % of the other.
- ``repeat``: as medium, and 30 % of the windows are diverged pieces of one repeat family.
- ``lowcomplexity``: as medium, and half of the windows hold an A run or a CA repeat of 8 to 15 bp.
- ``null``, ``repeat_null``, ``lowcomplexity_null``: windows as they come from the population.

Decoys are part of the population of windows: background and nulls of the repeat families hold pieces of five
repeat families in ``REPEAT_BASE`` of the windows, those of the low-complexity families runs in
``LOW_COMPLEXITY_BASE``. In ``repeat`` and ``lowcomplexity`` they are enriched, so a motif of a decoy is no
false positive there, and r says whether the planted matrix is found beside it; in the nulls they are not.
Pieces of repeats are lower case, as a repeat masker leaves them.
"""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

DATABASE = Path(__file__).resolve().parents[2] / "config" / "motifs" / "jaspar2026_vertebrates_256.meme"
FAMILIES = (
    "strong",
    "medium",
    "weak",
    "dual",
    "repeat",
    "lowcomplexity",
    "null",
    "repeat_null",
    "lowcomplexity_null",
)
NULLS = tuple(family for family in FAMILIES if family.endswith("null"))
BITS = {"strong": (14.0, 30.0), "medium": (10.0, 14.0), "weak": (7.5, 10.0)}  # of the matrices drawn
RATES = {"strong": (0.6, 0.6), "medium": (0.4, 0.4), "weak": (0.25, 0.4)}  # share of seqlets with a site
WIDEST = 30  # bp; the engine's default is to look no further
REPEAT_FAMILIES, REPEAT_BP, DIVERGENCE = 5, 300, 0.15  # number, length, share of bases drawn anew
REPEAT_BASE, REPEAT_SEQLETS = 0.1, 0.3  # share of windows that are pieces: of all families, of one
LOW_COMPLEXITY_BASE, LOW_COMPLEXITY_SEQLETS = 0.2, 0.5  # share of windows with a run
LETTERS = np.array(list("ACGT"))


@dataclass(frozen=True)
class SimulatedNode:
    """Sequences of one node, its family, the planted matrices (w, 4) and the base shares of the sites drawn.

    ``sites`` (w, 4 each) is what a perfect method would report: it differs from ``planted`` by sampling only.
    """

    name: str
    family: str
    sequences: list[str]
    planted: list[np.ndarray] = field(default_factory=list)
    sites: list[np.ndarray] = field(default_factory=list)


def read_matrices(path: Path) -> list[np.ndarray]:
    """Matrices of a MEME text file (w, 4)."""
    matrices: list[list[list[float]]] = []
    reading = False
    for line in path.read_text().splitlines():
        fields = line.split()
        if line.startswith("letter-probability"):
            matrices.append([])
            reading = True
        elif reading and len(fields) == 4:
            matrices[-1].append([float(x) for x in fields])
        else:
            reading = False
    return [np.array(m) / np.array(m).sum(axis=1, keepdims=True) for m in matrices]


def information(matrix: np.ndarray) -> float:
    """Bits against uniform bases, all columns."""
    return float((matrix * np.log2(np.maximum(matrix, 1e-9) * 4)).sum())


def read_genome(path: Path) -> str:
    """The text of a gzipped FASTA of one sequence, case kept."""
    with gzip.open(path, "rt") as handle:
        return "".join(line.strip() for line in handle if not line.startswith(">"))


def genome_windows(path: Path, length: int) -> list[str]:
    """All windows of a gzipped FASTA side by side (none overlap), those with N left out; case kept."""
    text = read_genome(path)
    windows = (text[start : start + length] for start in range(0, len(text) - length + 1, length))
    return [window for window in windows if "N" not in window.upper()]


def markov_codes(
    length: int, n: int, rng: np.random.Generator, at_share: float = 0.6, order: int = 2
) -> np.ndarray:
    """Codes (n, length) of a chain whose rows are drawn once from a Dirichlet around the composition."""
    base = np.array([at_share, 1 - at_share, 1 - at_share, at_share]) / 2
    cumulative = rng.dirichlet(base * 40, size=4**order).cumsum(axis=1)
    codes = rng.integers(4, size=(n, order + length))
    draws = rng.random((n, length))
    powers = 4 ** np.arange(order)[::-1]
    for i in range(length):
        rows = cumulative[codes[:, i : i + order] @ powers]
        codes[:, i + order] = np.minimum((draws[:, i, None] > rows).sum(axis=1), 3)
    return codes[:, order:]


def markov_windows(
    length: int, n: int, rng: np.random.Generator, at_share: float = 0.6, order: int = 2
) -> list[str]:
    """Windows of ``markov_codes`` as text."""
    return ["".join(row) for row in LETTERS[markov_codes(length, n, rng, at_share, order)]]


def plant(
    windows: Sequence[str], matrix: np.ndarray, rate: float, both_strands: bool, rng: np.random.Generator
) -> list[str]:
    """Write a drawn site over a random place of a share of the windows."""
    return plant_sites(windows, matrix, rate, both_strands, rng)[0]


def plant_sites(
    windows: Sequence[str], matrix: np.ndarray, rate: float, both_strands: bool, rng: np.random.Generator
) -> tuple[list[str], np.ndarray]:
    """As ``plant``, and the base shares (w, 4) of the sites drawn (the matrix where there is none)."""
    out, counts = [], np.zeros_like(matrix)
    cumulative = matrix.cumsum(axis=1)
    for window in windows:
        if rng.random() < rate and len(window) >= len(matrix):
            site = np.minimum((rng.random(len(matrix))[:, None] > cumulative).sum(axis=1), 3)
            counts[np.arange(len(matrix)), site] += 1
            if both_strands and rng.random() < 0.5:
                site = 3 - site[::-1]
            at = int(rng.integers(len(window) - len(matrix) + 1))
            window = window[:at] + "".join(LETTERS[site]) + window[at + len(matrix) :]
        out.append(window)
    n_sites = counts.sum() / len(matrix)
    return out, counts / n_sites if n_sites else matrix


def draw_matrix(
    matrices: list[np.ndarray], family: str, max_width: int, rng: np.random.Generator
) -> np.ndarray:
    """A matrix of the family's information, at most ``max_width`` bp."""
    low, high = BITS[family]
    fit = [m for m in matrices if low <= information(m) < high and len(m) <= max_width]
    if not fit:
        raise ValueError(f"no matrix of {low} to {high} bits and at most {max_width} bp to plant")
    return fit[int(rng.integers(len(fit)))]


def simulate(
    family: str,
    name: str,
    windows: list[str],
    matrices: list[np.ndarray],
    both_strands: bool,
    rng: np.random.Generator,
    elements: Sequence[np.ndarray] = (),
) -> SimulatedNode:
    """One node on plain windows; the repeat families need ``elements``, those of the background."""
    windows = population(family, windows, elements, rng)
    if family == "repeat":
        windows = with_repeats(windows, [elements[int(rng.integers(len(elements)))]], REPEAT_SEQLETS, rng)
    elif family == "lowcomplexity":
        rest = (LOW_COMPLEXITY_SEQLETS - LOW_COMPLEXITY_BASE) / (1 - LOW_COMPLEXITY_BASE)
        windows = decoys(windows, rng, rest)
    elif family in NULLS:
        return SimulatedNode(name, family, list(windows))
    widest = min(WIDEST, len(windows[0]))
    if family != "dual":
        kind = family if family in BITS else "medium"
        planted = [draw_matrix(matrices, kind, widest, rng)]
        texts, sites = plant_sites(windows, planted[0], rng.uniform(*RATES[kind]), both_strands, rng)
        return SimulatedNode(name, family, texts, planted, [sites])
    planted = [draw_matrix(matrices, kind, widest, rng) for kind in ("strong", "medium")]
    half = len(windows) // 2
    first, second = (
        plant_sites(part, matrix, 0.8, both_strands, rng)
        for part, matrix in zip((windows[:half], windows[half:]), planted, strict=True)
    )
    return SimulatedNode(name, family, first[0] + second[0], planted, [first[1], second[1]])


def population(
    family: str, windows: list[str], elements: Sequence[np.ndarray], rng: np.random.Generator
) -> list[str]:
    """Windows of the population that a family's background and seqlets come from: with decoys, if any."""
    if family.startswith("repeat"):
        return with_repeats(windows, elements, REPEAT_BASE, rng)
    if family.startswith("lowcomplexity"):
        return decoys(windows, rng, LOW_COMPLEXITY_BASE)
    return list(windows)


def decoys(windows: Sequence[str], rng: np.random.Generator, share: float = 0.5) -> list[str]:
    """An A run or a CA repeat in a share of the windows."""
    out = []
    for window in windows:
        if rng.random() < share:
            length = int(rng.integers(8, 16))
            at = int(rng.integers(len(window) - length + 1))
            text = ("A" * length) if rng.random() < 0.5 else ("CA" * length)[:length]
            window = window[:at] + text + window[at + length :]
        out.append(window)
    return out


def repeat_elements(rng: np.random.Generator) -> list[np.ndarray]:
    """Codes (REPEAT_BP,) of the repeat families of a genome."""
    return list(rng.integers(4, size=(REPEAT_FAMILIES, REPEAT_BP)))


def with_repeats(
    windows: Sequence[str], elements: Sequence[np.ndarray], share: float, rng: np.random.Generator
) -> list[str]:
    """The windows, a share of them replaced by diverged pieces (lower case, either strand) of an element."""
    out = []
    for window in windows:
        if rng.random() < share:
            element = elements[int(rng.integers(len(elements)))]
            at = int(rng.integers(len(element) - len(window) + 1))
            piece = element[at : at + len(window)].copy()
            changed = rng.random(len(piece)) < DIVERGENCE
            piece[changed] = rng.integers(4, size=int(changed.sum()))
            piece = 3 - piece[::-1] if rng.random() < 0.5 else piece
            window = "".join(LETTERS[piece]).lower()
        out.append(window)
    return out


def aligned_correlation(found: np.ndarray, planted: np.ndarray, both_strands: bool = True) -> float:
    """Best Pearson r over offsets (and strands); planted columns without a partner meet 0.25."""
    best = -1.0
    for matrix in (found, found[::-1, ::-1]) if both_strands else (found,):
        for offset in range(1 - len(matrix), len(planted)):
            other = np.full(planted.shape, 0.25)
            low, high = max(0, offset), min(len(planted), offset + len(matrix))
            other[low:high] = matrix[low - offset : high - offset]
            if other.std() > 0:
                best = max(best, float(np.corrcoef(other.ravel(), planted.ravel())[0, 1]))
    return best
