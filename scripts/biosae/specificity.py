"""How specific a node is for its motif, on the seqlets and on a sample of the stream.

seqlets_with_motif   share of the node's seqlets that carry a hit: recall. Of all its seqlets, also those in
                     which the motif was found, so it describes and proves nothing (the held-out test does)
hits_fired           share of the motif's hits in the sample on which the node fires: precision
motif_f1             harmonic mean of the two
motif_auroc          chance that a window where the node fires holds a better motif score than one of the same
                     GC where it does not (ties count half): the mean over the positions that fire

A hit is a place that scores as ``motif_scan.prepare`` says. A node fires on it when it fires at any position
whose window holds the whole hit (``stream_sample``). Strands are the matter of ``strand``.

A node *fires* at its strongest positions of the sample, as many as there are positions whose window holds a
hit of its motif, and only where its activation is above 0. So all nodes are held to the same: one that is a
little active everywhere (a raw channel, a TopK node where nothing is there) does not "fire on every hit", and
one that is active at its sites alone fires at all of them. A threshold on the activation serves one or the
other: at twice the node's mean, clean detectors lose most of their sites; at 0, raw channels fire on 99 % of
all hits; and the weakest seqlet rises with the size of the store. A node without a motif fires nowhere.

With motifs of one strand (``strand`` given) all this looks at the strand that the node reads: that of more of
its seqlets, as a rule the motif's own. With ``both``, hits of either strand count, as they did in discovery.

Floor: three scans of the sample a node. Memory: the sample, its firing and, for each thread, a row of scores.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pandas as pd

from biosae.artefacts import conform, load_schema
from biosae.cli import progress
from biosae.errors import ConfigError, InputError
from biosae.motif_sample import MotifSample, fired_on
from biosae.motif_scan import ScanMotif, carriers, prepare
from biosae.motifs.formats import Motif
from biosae.strand import UNKNOWN, StrandRead, palindrome_correlation, read_strands
from biosae.stream_sample import Blocks, Firing


@dataclass(frozen=True)
class Settings:
    """What a specificity is measured with.

    Args:
        hit_p, site_share: what a hit is, see ``motif_scan.prepare``.
        min_hits: fewest hits (and, for AUROC, positions that fire) for a figure.
        strand: ``given`` or ``both``, as motifs were discovered.
        strand_ratio: see ``strand``.
    """

    hit_p: float = 1e-4
    site_share: float = 0.9
    min_hits: int = 20
    strand: str = "given"
    strand_ratio: float = 0.5

    def __post_init__(self) -> None:
        shares = self.hit_p, self.site_share, self.strand_ratio
        good = min(shares) > 0 and max(shares) <= 1 and self.min_hits >= 1
        if not good or self.strand not in ("given", "both"):
            raise ConfigError(
                "The specificity of nodes cannot be measured with these settings",
                got=self,
                expected="shares above 0 and at most 1, min_hits of 1 or more, strand given or both",
            )

    @property
    def n_read(self) -> int:
        """Strands of a motif that count as its hits."""
        return 1 if self.strand == "given" else 2


@dataclass(frozen=True)
class NodeMotif:
    """A kept node, its best motif and its seqlets.

    Attributes:
        node: its number.
        motif: None where it has none.
        seqlets: (n, width) uint8 codes.
    """

    node: int
    motif: Motif | None
    seqlets: np.ndarray


@dataclass(frozen=True)
class Found:
    """A node's motif in the sample.

    Attributes:
        strands: the motif as the node reads it, and its reverse complement.
        turned: the node reads the reverse complement of the written matrix.
        hits: of each strand, see ``MotifSample.hits``.
        carried: share of the node's seqlets that carry it, None without seqlets.
        n_holding: positions whose window holds a hit: at so many the node is asked to fire.
    """

    strands: list[ScanMotif]
    turned: bool
    hits: list[np.ndarray]
    carried: float | None
    n_holding: int


def find_motifs(
    nodes: list[NodeMotif], sample: MotifSample, settings: Settings, threads: int = 1
) -> list[Found | None]:
    """Where the motif of each node lies in the sample; None for a node without.

    Raises:
        InputError: a motif is wider than the window of a position.
    """
    _check_widths(nodes, sample.blocks)

    def find(place: int) -> Found | None:
        entry = nodes[place]
        if entry.motif is None:
            return None
        forward = prepare(entry.motif, sample.background, settings.hit_p, settings.site_share)
        strands = [forward, forward.reverse_complement()]
        carry = [carriers(entry.seqlets, motif) for motif in strands]
        turned = bool(carry[1].sum() > carry[0].sum())
        if turned:
            strands, carry = strands[::-1], carry[::-1]
        hits = [sample.hits(motif) for motif in strands]
        carried = np.logical_or.reduce(carry[: settings.n_read])
        share = float(carried.mean()) if len(carried) else None
        return Found(strands, turned, hits, share, int(sample.n_holding(hits[: settings.n_read])))

    return _each(find, len(nodes), threads, "motif hits")


def _check_widths(nodes: list[NodeMotif], blocks: Blocks) -> None:
    wide = [entry for entry in nodes if entry.motif and entry.motif.width > blocks.window_bp]
    if wide:
        raise InputError(
            f"{len(wide)} motifs are wider than the window of a position, so no position can hold a hit",
            got=f"{wide[0].motif.id} of node {wide[0].node}, {wide[0].motif.width} bp",
            expected=f"at most {blocks.window_bp} bp",
            mend="give motifs that were found in the seqlets of this run and layer",
        )


def _each(function: Callable[[int], object], n: int, threads: int, what: str) -> list:
    with ThreadPoolExecutor(threads) as pool:
        return list(progress(pool.map(function, range(n)), what=what, total=n, unit="node"))


def measure(
    nodes: list[NodeMotif],
    found: list[Found | None],
    sample: MotifSample,
    firing: Firing,
    fires_at: np.ndarray,
    settings: Settings,
    threads: int = 1,
) -> pd.DataFrame:
    """The table of specificity (schema ``specificity``), one row per kept node in the order given.

    Args:
        nodes: kept nodes, numbered as in ``firing``.
        found: from ``find_motifs``.
        firing: where each node fires: at its ``n_holding`` strongest positions.
        fires_at: weakest activation at which each node fires, (n_nodes,), NaN where nowhere.
    """
    widths = sorted({entry.motif.width for entry in nodes if entry.motif})
    chance = {width: sample.chance(width, firing) for width in widths}

    def one(place: int) -> dict:
        own = found[place]
        if own is None:
            return {"strand": StrandRead(UNKNOWN, None)}
        return _row(place, nodes[place], own, sample, firing, chance[own.strands[0].width], settings)

    rows = _each(one, len(nodes), threads, "specificity")
    for place, (row, entry) in enumerate(zip(rows, nodes, strict=True)):
        row |= {"node": entry.node, "n_seqlets": len(entry.seqlets)}
        row |= {"n_positions": sample.blocks.n_positions, "n_fired": len(firing.of_node(place))}
        row["fires_at"] = None if np.isnan(fires_at[place]) else float(fires_at[place])
    return conform(_table(rows, nodes), "specificity")


def _row(
    place: int,
    entry: NodeMotif,
    own: Found,
    sample: MotifSample,
    firing: Firing,
    chance: np.ndarray,
    settings: Settings,
) -> dict:
    """What is known of a node with a motif; ``chance``: see ``MotifSample.chance``."""
    fired = [(fired_on(hits, firing), len(hits)) for hits in own.hits]
    strand = read_strands(place, *fired, chance, settings.min_hits, settings.strand_ratio)
    auroc, n = sample.auroc(own.strands[: settings.n_read], firing.of_node(place))
    return {
        "motif_id": entry.motif.id,
        "hit_p": own.strands[0].hit_p,
        "hit_site_share": own.strands[0].site_share,
        "motif_strand": "-" if own.turned else "+",
        "n_hits": fired[0][1],
        "n_reverse_hits": fired[1][1],
        "seqlets_with_motif": own.carried,
        "palindrome_correlation": palindrome_correlation(entry.motif.matrix),
        "hits_fired_chance": chance[place],
        "motif_auroc": auroc if n >= settings.min_hits else None,
        "strand": strand,
        **_shares(place, own, fired, strand, settings),
    }


def _shares(
    place: int, own: Found, fired: list[tuple[np.ndarray, int]], strand: StrandRead, settings: Settings
) -> dict:
    """Shares of hits on which the node, and its partner, fire; nothing where there are too few hits.

    Args:
        fired: of the strand that the node reads and of the other: on how many hits each node fires, and
            their number.
    """
    shares = {}
    read = fired[: settings.n_read]
    n_hits = sum(n for _, n in read)
    if n_hits >= settings.min_hits:
        precision = sum(int(counts[place]) for counts, _ in read) / n_hits
        shares["hits_fired"] = precision
        if own.carried is not None:
            total = precision + own.carried
            shares["motif_f1"] = 2 * precision * own.carried / total if total else 0.0
    counts, n_reverse = fired[1]
    if n_reverse >= settings.min_hits:
        shares["own_reverse_share"] = counts[place] / n_reverse
        if strand.partner is not None:
            shares["partner_share"] = counts[strand.partner] / n_reverse
    return shares


def _table(rows: list[dict], nodes: list[NodeMotif]) -> pd.DataFrame:
    """One row a node; what a row does not hold is missing."""
    names = [name for name in load_schema("specificity")["properties"] if name not in _OF_STRANDS]
    table = pd.DataFrame({name: pd.Series([row.get(name) for row in rows], dtype=object) for name in names})
    reads = [row["strand"] for row in rows]
    partner = [read.partner for read in reads]
    number = [None if place is None else nodes[place].node for place in partner]
    mutual = [None if other is None else partner[other] == place for place, other in enumerate(partner)]
    return table.assign(
        strand_class=pd.Series([read.strand_class for read in reads], dtype="string"),
        partner_node=pd.Series(number, dtype="Int64"),
        partner_mutual=pd.Series(mutual, dtype="boolean"),
    )


_OF_STRANDS = ("strand_class", "partner_node", "partner_mutual")


def counts_of(table: pd.DataFrame, settings: Settings) -> dict[str, int]:
    """How many nodes there are, of each strand class, and how many lack a figure, and why."""
    motif = table["motif_id"].notna()
    counts = {"nodes": len(table)}
    counts |= {
        f"strand {name}": int(n) for name, n in table["strand_class"].value_counts().sort_index().items()
    }
    counts["without a motif"] = int((~motif).sum())
    counts[f"with fewer than {settings.min_hits} hits"] = int((motif & table["hits_fired"].isna()).sum())
    counts[f"AUROC over fewer than {settings.min_hits} positions"] = int(
        (motif & table["motif_auroc"].isna()).sum()
    )
    above = table["hit_p"] > settings.hit_p * (1 + 1e-9)
    counts[f"with a motif whose best word has p above {settings.hit_p:g}"] = int(above.sum())
    return counts
