"""What a synthetic data set is made of: one frozen record, checked before anything is written."""

from __future__ import annotations

from collections.abc import Callable
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
    "superposition",
    "pair_instances",
)


# settings of graded worlds: what stands here is off, and an off setting leaves no trace in what is written
_OFF = {
    "superposition": None,
    "motif_strength": 1.0,
    "pairs": (),
    "pair_instances": 300,
    "partner_only": (),
    "strand_specific": (),
    "random_model": False,
}
_MISSING = object()


def parse_pair(text: str) -> tuple[str, str, int]:
    """A pair from ``A:B:spacing``, as the command line and the config write it.

    Raises:
        ConfigError: it is not of that form.
    """
    parts = text.split(":")
    if len(parts) != 3 or not all(parts) or not parts[2].isdigit():
        raise ConfigError(
            "A cooperative pair is not written as it must be",
            got=text,
            expected="'A:B:spacing': two motif ids and a whole number of bp",
        )
    return parts[0], parts[1], int(parts[2])


def _setting(default: object, text: str, of: Callable | None = None) -> object:
    """A field; ``of`` makes a value, or one item of a list, from text where the default's type does not."""
    return field(default=default, metadata={"help": text, "of": of or type(default)})


def _graded(name: str, text: str, of: Callable | None = None) -> object:
    return _setting(_OFF[name], text, of)


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
    superposition: float | None = _graded(
        "superposition",
        "scored detectors per channel, at least 1; given, it sets the number of channels and n_channels is "
        "not used",
        float,
    )
    motif_strength: float = _graded(
        "motif_strength",
        "exponent on the planted matrices' probabilities: below 1 sites are more alike to the background, "
        "above 1 more alike to the consensus; detectors read the matrices so changed",
    )
    pairs: tuple[tuple[str, str, int], ...] = _graded(
        "pairs",
        "cooperative pairs 'A:B:spacing': motif A, that many bp, motif B, read on the same strand; each has "
        "a detector that fires at A only where B is there",
        parse_pair,
    )
    pair_instances: int = _graded("pair_instances", "planted sites of each pair, over both strands")
    partner_only: tuple[str, ...] = _graded(
        "partner_only", "motifs of pairs that are planted nowhere but beside their partner", str
    )
    strand_specific: tuple[str, ...] = _graded(
        "strand_specific", "motifs that are planted on both strands, and read on the forward strand only", str
    )
    random_model: bool = _graded(
        "random_model", "whether to write the activations of a twin network with random filters as well"
    )

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
            "pair": self.motif_gain,
            "distractor": self.distractor_gain,
        }


def recorded(settings: SyntheticSettings) -> dict:
    """The settings that provenance holds: all but the graded worlds' settings that are off."""
    values = vars(settings)
    return {name: value for name, value in values.items() if _OFF.get(name, _MISSING) != value}


def check_settings(settings: SyntheticSettings) -> None:
    """Refuse settings that cannot be simulated.

    Raises:
        ConfigError: names the setting.
    """
    for name, value in vars(settings).items():
        least = 1 if name in _AT_LEAST_ONE else 0
        if isinstance(value, int | float) and value < least:
            raise ConfigError(f"Setting {name} is too small", got=value, expected=f"at least {least}")
    for name in ("distractor_density", "rarest_share"):
        if not 0 < getattr(settings, name) <= 1:
            raise ConfigError(
                f"Setting {name} is no share", got=getattr(settings, name), expected="above 0, at most 1"
            )
    if settings.motif_strength <= 0:
        raise ConfigError(
            "Setting motif_strength is too small", got=settings.motif_strength, expected="above 0"
        )
    if settings.pad_bp % settings.stride_bp or settings.sequence_bp % settings.stride_bp:
        raise ConfigError(
            "sequence_bp and pad_bp must be multiples of stride_bp",
            got=f"{settings.sequence_bp}, {settings.pad_bp}, {settings.stride_bp}",
        )
    _check_grammar(settings)
    _check_size(settings)


def _check_grammar(settings: SyntheticSettings) -> None:
    """Pairs of planted motifs, each once; partners of pairs; strands of planted motifs."""
    for pair in settings.pairs:
        if len(pair) != 3 or not isinstance(pair[2], int) or pair[2] < 0:
            raise ConfigError(
                "A cooperative pair is no (motif, motif, spacing in bp)",
                got=pair,
                expected="two planted motifs and a whole number of bp, at least 0",
            )
    known = {
        "pairs": (settings.motif_ids, [name for pair in settings.pairs for name in pair[:2]]),
        "strand_specific": (settings.motif_ids, settings.strand_specific),
        "partner_only": ([name for pair in settings.pairs for name in pair[:2]], settings.partner_only),
    }
    for name, (allowed, asked) in known.items():
        strange = sorted(set(asked) - set(allowed))
        if strange:
            raise ConfigError(
                f"Setting {name} names motifs that it cannot",
                got=", ".join(strange),
                expected="motifs of pairs" if name == "partner_only" else "ids that motif_ids lists",
            )
        twice = getattr(settings, name)
        if len(set(twice)) < len(twice):
            raise ConfigError(f"Setting {name} lists something twice", got=", ".join(map(str, twice)))


def _check_size(settings: SyntheticSettings) -> None:
    sequences = settings.genome_bp // settings.padded_bp
    needed = max(settings.chromosomes, VALIDATION_EVERY * settings.files_per_split)
    if sequences < needed:
        raise ConfigError(
            "The synthetic genome is too small for its files",
            got=f"{sequences} sequences of {settings.padded_bp} bp",
            expected=f"at least {needed}",
            mend="raise genome_bp, or lower sequence_bp, pad_bp, chromosomes or files_per_split",
        )
