"""What is asked of motif discovery, and its options: the keys of the config's section ``motifs``."""

from __future__ import annotations

import argparse
import shlex
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from biosae.errors import ConfigError
from biosae.motifs.quality import MIN_INFORMATION_BITS
from biosae.motifs.settings import DiscoverySettings

if TYPE_CHECKING:  # external reads tables: too heavy for --help
    from biosae.motifs.external import ExternalSettings

ENGINES = ("batched", "meme", "streme")


def add_discovery_options(parser: argparse.ArgumentParser) -> None:
    """Add what is asked of discovery; ``jobs.Discovery.of`` reads it back."""
    add, default = parser.add_argument, DiscoverySettings()
    add("--engine", choices=ENGINES, default="batched", help="what searches")
    add("--motifs-per-node", type=int, default=default.motifs_per_node, help="motifs searched per node")
    add("--strand", choices=("given", "both"), default=default.strand, help="strands that are read")
    add("--min-width", type=int, default=default.min_width, help="narrowest motif, bp")
    add(
        "--max-width",
        type=int,
        help="widest motif, bp; else the sequence, at most 30 (batched, streme) or 200 (meme)",
    )
    add(
        "--background-order",
        type=int,
        default=default.background_order,
        help="order of the Markov background",
    )
    add(
        "--held-out-share",
        type=float,
        default=default.held_out_share,
        help="share of a node's seqlets kept for the test; meme and streme build on the rest; "
        "0 (not with batched): they read all, and their own E stands",
    )
    add(
        "--controls-per-seqlet",
        type=int,
        default=default.controls_per_seqlet,
        help="control sequences for each seqlet",
    )
    add(
        "--min-information-bits",
        type=float,
        default=MIN_INFORMATION_BITS,
        help="motifs with less are flagged, bits against uniform bases",
    )
    for tool in ENGINES[1:]:
        add(f"--{tool}-arguments", default="", help=f"more for {tool}: --{tool}-arguments='-seed 1'")


@dataclass(frozen=True)
class Discovery:
    """What is asked of discovery, for any engine; see DiscoverySettings and ExternalSettings.

    ``held_out_share`` 0 (meme and streme only): the tool reads every seqlet and there is no test of ours.
    """

    engine: str
    motifs_per_node: int
    strand: str
    min_width: int
    max_width: int | None
    background_order: int
    seed: int
    held_out_share: float
    controls_per_seqlet: int
    min_information_bits: float
    extra: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.engine == "batched" and self.held_out_share == 0:
            raise ConfigError(
                "Engine batched has no other test than the held-out one",
                got="held_out_share 0",
                expected="0 < held_out_share < 1",
                mend="set motifs.held_out_share, or take engine meme or streme, whose own E then stands",
            )
        if self.min_information_bits < 0:
            raise ConfigError("A bound on information is negative", got=self.min_information_bits)
        if self.held_out_share != 0:
            self.settings()  # refuses what does not fit

    @classmethod
    def of(cls, options: argparse.Namespace) -> Discovery:
        """From parsed options of the same names; ``extra`` is the engine's own ``{engine}_arguments``."""
        names = [field.name for field in fields(cls) if field.name != "extra"]
        extra = shlex.split(getattr(options, f"{options.engine}_arguments", ""))
        return cls(**{name: getattr(options, name) for name in names}, extra=tuple(extra))

    def settings(self) -> DiscoverySettings:
        """For engine batched, and for the held-out test of any engine."""
        names = {field.name for field in fields(DiscoverySettings)}
        return DiscoverySettings(**{key: value for key, value in vars(self).items() if key in names})

    def external(self) -> ExternalSettings:
        """For the MEME Suite's programs, which are not to find what the held-out test cannot read."""
        from biosae.motifs.external import WIDEST_TESTED_BP, ExternalSettings

        widest = self.max_width
        if self.held_out_share:
            widest = min(widest or WIDEST_TESTED_BP, WIDEST_TESTED_BP)
        names = {field.name for field in fields(ExternalSettings)}
        given = {key: value for key, value in vars(self).items() if key in names}
        return ExternalSettings(**given | {"max_width": widest})

    @property
    def strands(self) -> str:
        """As a MEME file states it."""
        return "+ -" if self.strand == "both" else "+"
