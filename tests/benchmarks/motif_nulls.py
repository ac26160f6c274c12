"""False positives of the batched engine on sets without a motif. From the root of the repository:

    PYTHONPATH=scripts python tests/benchmarks/motif_nulls.py --genome genome.fa.gz --sets 500

Kinds of sets (42 bp windows of the genome, or of an order-2 chain without ``--genome``):

- ``independent``: windows side by side, drawn without replacement.
- ``neighbours``: clumps of 3 to 10 windows within 200 bp; overlapping windows are one locus (``loci_of``).
- ``neighbours_merged``: the same, windows less than ``--merge-bp`` apart are one locus.
- ``neighbours_apart``: the same with loci unknown, to see what they are for. Not run unless asked for.
- ``repeats``: as independent; a fifth of the windows of seqlets and background alike are diverged,
  lower-case pieces of five repeat families.
- ``shuffled_chain``, ``shuffled_genome``: no background is given, shuffled seqlets serve. Windows of an
  order-1 chain are a null of that test; genome windows are not (they hold more than dinucleotides), so the
  last says how far shuffles mislead. It needs ``--genome``.

Seqlets and background come from different kilobases, drawn anew for each 50 sets. Prints a markdown row per
kind and size: sets, sets whose first motif has held-out p < 0.05, and sets with a motif at E < 0.05, each
with its share and Wilson's 95 % interval; a set without any motif counts as not significant. The first row's
CPU time includes compilation, where kernels are not cached.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import simulate_motifs as simulated
from scipy.stats import binomtest

from biosae.motifs.batched import DiscoverySettings, discover_many, loci_of

KINDS = (
    "independent",
    "neighbours",
    "neighbours_merged",
    "neighbours_apart",
    "repeats",
    "shuffled_chain",
    "shuffled_genome",
)
BACKGROUND = 20000  # windows, as write_seqlets makes by default
SETS_AT_A_TIME = 50  # that share a background
PIECE_BP, CLUMP_BP = 1000, 200
REPEAT_SHARE = 0.2
LEVEL = np.log10(0.05)
HEADINGS = "kind | windows | seqlets | sets | first motif p < 0.05 | any motif E < 0.05 | CPU s a set"

Piece = tuple[str, int, str]  # sequence name, start, text
Record = tuple[str, str]  # FASTA header, text


def main() -> None:
    """Run the kinds at each size."""
    arguments = parse()
    settings = DiscoverySettings(strand=arguments.strand)
    print(f"| {HEADINGS} |\n|{'---|' * len(HEADINGS.split(' | '))}")
    for kind in arguments.kinds:
        if kind == "shuffled_genome" and not arguments.genome:
            continue
        for size in arguments.seqlets:
            run_cell(kind, size, settings, arguments)


def parse() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--genome", type=Path, help="gzipped FASTA of one sequence")
    default = [kind for kind in KINDS if kind != "neighbours_apart"]
    add("--kinds", nargs="+", choices=KINDS, default=default)
    add("--sets", type=int, default=500, help="of each kind and size")
    add("--seqlets", type=int, nargs="+", default=[100, 250], help="of a set")
    add("--length", type=int, default=42, help="of the windows, bp")
    add("--merge-bp", type=int, default=CLUMP_BP, help="of neighbours_merged")
    add("--strand", choices=("given", "both"), default="both")
    add("--seed", type=int, default=0)
    add("--threads", type=int, default=1)
    return parser.parse_args()


def run_cell(kind: str, size: int, settings: DiscoverySettings, arguments) -> None:
    """All sets of one kind and size, and their row."""
    rng = np.random.default_rng([arguments.seed, size, KINDS.index(kind)])
    pieces = pieces_of(kind, arguments.genome, rng)
    below_p = below_e = 0
    start = time.process_time()
    for first in range(0, arguments.sets, SETS_AT_A_TIME):
        n_sets = min(SETS_AT_A_TIME, arguments.sets - first)
        sets, background = make_sets(kind, pieces, n_sets, size, arguments.length, rng)
        groups = {name: loci(kind, records, arguments.merge_bp) for name, records in sets.items()}
        named = [(name, [text for _, text in records]) for name, records in sets.items()]
        found = discover_many(
            named, background, settings, arguments.seed + first, arguments.threads, groups=groups
        )
        below_p += sum(bool(motifs) and motifs[0].log10_p < LEVEL for motifs in found.values())
        below_e += sum(any(motif.log10_e < LEVEL for motif in motifs) for motifs in found.values())
    cpu_s = (time.process_time() - start) / arguments.sets
    source = "genome" if arguments.genome and kind != "shuffled_chain" else "chain"
    shares = " | ".join(with_interval(count, arguments.sets) for count in (below_p, below_e))
    print(f"| {kind} | {source} | {size} | {arguments.sets} | {shares} | {cpu_s:.3f} |", flush=True)


def with_interval(count: int, n: int) -> str:
    """``12: 0.024 (0.014 to 0.042)``."""
    interval = binomtest(count, n).proportion_ci(method="wilson")
    return f"{count}: {count / n:.3f} ({interval.low:.3f} to {interval.high:.3f})"


def loci(kind: str, records: list[Record], merge_bp: int) -> list[str]:
    """Locus of each record; each its own for ``neighbours_apart``."""
    headers = [header for header, _ in records]
    if kind == "neighbours_apart":
        return headers
    return loci_of(headers, merge_bp) if kind == "neighbours_merged" else loci_of(headers)


def pieces_of(kind: str, genome: Path | None, rng: np.random.Generator) -> list[Piece]:
    """Pieces of 1 kb without N that windows are drawn from."""
    if genome and kind != "shuffled_chain":
        text = simulated.read_genome(genome)
        found = [("chr1", start, text[start : start + PIECE_BP]) for start in range(0, len(text), PIECE_BP)]
        return [piece for piece in found if len(piece[2]) == PIECE_BP and "N" not in piece[2].upper()]
    order = 1 if kind == "shuffled_chain" else 2
    texts = simulated.markov_windows(PIECE_BP, 3000, rng, order=order)
    return [("chain", i * 2 * PIECE_BP, text) for i, text in enumerate(texts)]


def make_sets(
    kind: str, pieces: list[Piece], n_sets: int, size: int, length: int, rng: np.random.Generator
) -> tuple[dict[str, list[Record]], list[str]]:
    """Sets of seqlets from one half of the pieces, background windows from the other."""
    order = rng.permutation(len(pieces))
    ours, theirs = ([pieces[i] for i in half] for half in np.array_split(order, 2))
    tiles = [record for piece in ours for record in tiles_of(piece, length)]
    elements = simulated.repeat_elements(rng)
    sets = {}
    for i in range(n_sets):
        if kind.startswith("neighbours"):
            records = clumps(ours, size, length, rng)
        else:
            records = [tiles[k] for k in rng.choice(len(tiles), size, replace=False)]
        sets[f"set{i}"] = with_decoys(kind, records, elements, rng)
    if kind.startswith("shuffled"):
        return sets, []
    others = [record for piece in theirs for record in tiles_of(piece, length)]
    chosen = rng.choice(len(others), min(BACKGROUND, len(others)), replace=False)
    background = with_decoys(kind, [others[k] for k in chosen], elements, rng)
    return sets, [text for _, text in background]


def tiles_of(piece: Piece, length: int) -> list[Record]:
    """Windows side by side."""
    return [window(piece, at, length) for at in range(0, PIECE_BP - length + 1, length)]


def window(piece: Piece, at: int, length: int) -> Record:
    """The window that starts ``at`` bases into a piece."""
    name, start, text = piece
    return f"{name}:{start + at}-{start + at + length}(+)", text[at : at + length]


def clumps(pieces: list[Piece], size: int, length: int, rng: np.random.Generator) -> list[Record]:
    """Windows in clumps of 3 to 10 within 200 bp, one clump a piece."""
    records: list[Record] = []
    for i in rng.permutation(len(pieces)):
        at = int(rng.integers(PIECE_BP - CLUMP_BP + 1))
        starts = rng.choice(CLUMP_BP - length + 1, int(rng.integers(3, 11)), replace=False)
        records += [window(pieces[i], at + int(offset), length) for offset in starts]
        if len(records) >= size:
            break
    return records[:size]


def with_decoys(
    kind: str, records: list[Record], elements: list[np.ndarray], rng: np.random.Generator
) -> list[Record]:
    """The records, for kind ``repeats`` with pieces of repeats among them."""
    if kind != "repeats":
        return records
    texts = simulated.with_repeats([text for _, text in records], elements, REPEAT_SHARE, rng)
    return [(header, text) for (header, _), text in zip(records, texts, strict=True)]


if __name__ == "__main__":
    main()
