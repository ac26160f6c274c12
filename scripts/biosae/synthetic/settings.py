"""What a synthetic data set is made of: one frozen record, checked before anything is written."""

from __future__ import annotations

from dataclasses import dataclass, field

from biosae.errors import ConfigError

VALIDATION_EVERY = (
    5  # every fifth interval is held out, so that both splits see all chromosomes and isochores
)
_AT_LEAST_ONE = (
    "genome_bp",
    "chromosomes",
    "sequence_bp",
    "stride_bp",
    "n_channels",
    "instances_per_motif",
    "files_per_split",
)


def _setting(default: float, text: str) -> object:
    return field(default=default, metadata={"help": text})


@dataclass(frozen=True)
class SyntheticSettings:
    """What to simulate; the defaults are the demo's. Each field's ``metadata['help']`` says what it is.

    Sizes of activations (``noise``, gains) are in units of a motif detector's mean activation at gain 1.
    """

    motif_ids: tuple[str, ...]
    genome_bp: int = _setting(2_000_000, "length of the genome in bp, rounded down to whole sequences")
    chromosomes: int = _setting(3, "number of chromosomes")
    sequence_bp: int = _setting(14_336, "length of a listed (core) interval in bp")
    pad_bp: int = _setting(1_024, "bp that activations cover beyond the core interval, on each side")
    stride_bp: int = _setting(4, "bp between output positions")
    n_channels: int = _setting(24, "channels of the network; fewer than its detectors")
    noise: float = _setting(0.15, "standard deviation of a channel's noise, in mean motif activations")
    instances_per_motif: int = _setting(1_200, "planted sites of the first matrix, over both strands")
    rarest_share: float = _setting(
        0.08, "sites of the last matrix as a share of the first one's; between them a geometric fall"
    )
    repeat_copies: int = _setting(1_000, "copies of the mutated repeat family")
    low_complexity_tracts: int = _setting(400, "tracts of each low-complexity kind")
    gaps: int = _setting(24, "runs of N with a planted site beside them")
    motif_gain: float = _setting(1.0, "mean activation of motif detectors")
    repeat_gain: float = _setting(3.0, "mean activation of repeat detectors")
    low_complexity_gain: float = _setting(3.0, "mean activation of low-complexity detectors")
    distractor_gain: float = _setting(1.0, "mean activation of distractors")
    distractors: int = _setting(8, "number of distractors: filters of random words, never scored")
    distractor_density: float = _setting(0.03, "share of positions on which one distractor fires")
    files_per_split: int = _setting(2, "HDF5 files per split")
    seed: int = _setting(0, "seed of every random choice")

    @property
    def padded_bp(self) -> int:
        """Bases that the activations of one sequence cover."""
        return self.sequence_bp + 2 * self.pad_bp

    @property
    def positions(self) -> int:
        """Output positions per sequence."""
        return self.padded_bp // self.stride_bp

    @property
    def gains(self) -> dict[str, float]:
        """Mean activation per kind of detector."""
        return {
            "motif": self.motif_gain,
            "repeat": self.repeat_gain,
            "low_complexity": self.low_complexity_gain,
            "distractor": self.distractor_gain,
        }


def check_settings(settings: SyntheticSettings) -> None:
    """Refuse settings that cannot be simulated.

    Raises:
        ConfigError: names the setting.
    """
    for name, value in vars(settings).items():
        least = 1 if name in _AT_LEAST_ONE else 0
        if name != "motif_ids" and value < least:
            raise ConfigError(f"Setting {name} is too small", got=value, expected=f"at least {least}")
    for name in ("distractor_density", "rarest_share"):
        if not 0 < getattr(settings, name) <= 1:
            raise ConfigError(
                f"Setting {name} is no share", got=getattr(settings, name), expected="above 0, at most 1"
            )
    if settings.pad_bp % settings.stride_bp or settings.sequence_bp % settings.stride_bp:
        raise ConfigError(
            "sequence_bp and pad_bp must be multiples of stride_bp",
            got=f"{settings.sequence_bp}, {settings.pad_bp}, {settings.stride_bp}",
        )
    sequences = settings.genome_bp // settings.padded_bp
    needed = max(settings.chromosomes, VALIDATION_EVERY * settings.files_per_split)
    if sequences < needed:
        raise ConfigError(
            "The synthetic genome is too small for its files",
            got=f"{sequences} sequences of {settings.padded_bp} bp",
            expected=f"at least {needed}",
            mend="raise genome_bp, or lower sequence_bp, pad_bp, chromosomes or files_per_split",
        )
