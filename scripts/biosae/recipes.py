"""Recipes: every choice of a training run in one place, with two presets.

``default`` was chosen on planted truth (tests/benchmarks/RESULTS.md, "Training recipes").
``published`` is the recipe of the published SAE on Borzoi (calico/sae-borzoi): x / max, per-position
LayerNorm, no tied start, no schedule, Adam at 1e-5, and batches of two quarter sequences drawn at
random, so that a step sees half a sequence's positions.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, fields, replace

from biosae.errors import ConfigError

K_OF = ("absolute", "input_channels", "hidden_units")


def _choice(default: object, text: str, *, kind: type, among: tuple = (), zero: bool = False):
    """A field of ``Recipe``: default, description, type, allowed values, and whether a number may be 0."""
    return field(default=default, metadata={"help": text, "kind": kind, "among": among, "zero": zero})


@dataclass(frozen=True)
class Recipe:
    """How a sparse autoencoder is made. Each field's description is what ``train_sae.py --help`` shows.

    Shares are of all steps. None is explained where it is allowed.
    """

    expansion: float = _choice(4, "nodes per channel", kind=float)
    k: float = _choice(0.05, "active nodes a position, counted as --k-of says", kind=float)
    k_of: str = _choice(
        "input_channels",
        "k is a count (absolute), or a fraction of the input channels or of the hidden units; "
        "a whole k without --k-of is a count",
        kind=str,
        among=K_OF,
    )
    normaliser: str = _choice(
        "standard",
        "how channels are scaled, from the statistics",
        kind=str,
        among=("standard", "max", "absmax", "none"),
    )
    layer_norm: bool = _choice(False, "per-position LayerNorm, undone at the output", kind=bool)
    unit_norm_decoder: bool = _choice(False, "decoder columns have norm 1 after every step", kind=bool)
    frozen_decoder: bool = _choice(
        False,
        "a null: decoder columns stay the random directions of norm 1 that they start as",
        kind=bool,
    )
    tied_initialisation: bool = _choice(
        True,
        "the encoder starts as random directions of norm 1, decoder columns as the same of norm decoder_norm",
        kind=bool,
    )
    decoder_norm: float = _choice(
        0.1,
        "norm of decoder columns at a tied start; small: first reconstructions do not overshoot",
        kind=float,
    )
    pre_bias_init: str = _choice(
        "zero", "start of pre_bias: 0, or the mean of the first batch", kind=str, among=("zero", "mean")
    )
    learning_rate: float = _choice(2e-3, "Adam's learning rate at its peak", kind=float)
    warmup_share: float = _choice(
        0.05, "share of all steps over which the learning rate rises from 0", kind=float, zero=True
    )
    decay_share: float = _choice(
        0.2, "share of all steps over which the learning rate falls to 0 at the end", kind=float, zero=True
    )
    decay: str = _choice("linear", "shape of that fall", kind=str, among=("linear", "cosine"))
    batch_rows: int | None = _choice(1024, "positions a step; None: half a sequence", kind=int)
    epochs: int = _choice(20, "passes over the training store at most", kind=int)
    max_positions: int | None = _choice(
        20_000_000,
        "training positions over all epochs, rounded up to whole batches; None: no limit",
        kind=int,
    )
    patience: int | None = _choice(
        None,
        "stop after so many evaluations in a row without a lower validation MSE, and keep the best weights; "
        "None: never, and keep the last",
        kind=int,
    )
    evaluations: int | None = _choice(
        20, "validation passes during the run, evenly spread; None: one at each epoch's end", kind=int
    )
    curve_positions: int | None = _choice(
        100_000, "validation positions of each such pass; None: --evaluation-positions", kind=int
    )
    auxk_coefficient: float = _choice(
        0.0,
        "weight of the AuxK loss over dead nodes; 0: off; 1/32 in Gao et al., arXiv 2406.04093, appendix A.2",
        kind=float,
        zero=True,
    )
    auxk_k: int | None = _choice(
        None, "dead nodes that AuxK activates a position; None: half the channels (same appendix)", kind=int
    )
    dead_after_positions: int = _choice(
        1_000_000, "training positions after which a silent node is dead to AuxK", kind=int
    )
    l1_coefficient: float = _choice(
        1.0,
        "kind relu: weight of the L1 term, the mean over positions of values times decoder norms, divided by "
        "the number of channels as the squared error is",
        kind=float,
        zero=True,
    )
    matryoshka_groups: int = _choice(
        5, "kind matryoshka: nested prefixes, each half as many nodes as the next", kind=int
    )
    precision: str = _choice(
        "auto",
        "type of the encoder's product in training; with bfloat16 it proposes the active nodes, and values, "
        "gradients and weights stay float32. auto: bfloat16 where the processor has it",
        kind=str,
        among=("auto", "float32", "bfloat16"),
    )
    shuffle: bool = _choice(True, "shuffle positions over blocks drawn from all files", kind=bool)
    block_rows: int | None = _choice(
        1024, "neighbouring positions read at once when shuffling; None: a quarter sequence", kind=int
    )
    pool_blocks: int = _choice(64, "blocks held in memory and shuffled together", kind=int)
    seed: int = _choice(0, "seed of initialisation and shuffling", kind=int, zero=True)
    shuffle_seed: int | None = _choice(
        None,
        "seed of shuffling alone; None: the seed. Dictionaries trained together share it",
        kind=int,
        zero=True,
    )

    def __post_init__(self) -> None:
        wrong = {f.name: value for f in fields(self) if not _fits(value := getattr(self, f.name), f)}
        if not wrong and self.warmup_share + self.decay_share > 1:
            wrong = {"warmup_share": self.warmup_share, "decay_share": self.decay_share}
        if wrong:
            raise ConfigError(
                "A training recipe holds values that make no sense",
                got=wrong,
                expected={f.name: f.metadata["help"] for f in fields(self) if f.name in wrong},
                mend="numbers must be positive, and warmup_share + decay_share at most 1",
            )

    def as_dict(self) -> dict:
        """Plain values, as written into ``config.json``."""
        return asdict(self)

    def nodes(self, channels: int) -> int:
        """Number of nodes; ConfigError if expansion x channels is not whole."""
        count = self.expansion * channels
        whole = round(count)
        if abs(count - whole) > 1e-9 * count:  # 192 / 66 * 66 need not be 192 to the last bit
            raise ConfigError("expansion x channels must be whole", got=f"{self.expansion} x {channels}")
        return whole

    def for_store(self, positions: int) -> Recipe:
        """This recipe with ``batch_rows`` and ``block_rows`` resolved for sequences of ``positions``."""
        batch_rows = self.batch_rows or max(1, positions // 2)
        return replace(self, batch_rows=batch_rows, block_rows=self.block_rows or max(1, positions // 4))


def _fits(value: object, rule) -> bool:
    """Whether a value is allowed for a field of ``Recipe``."""
    if value is None:
        return "None" in str(rule.type)
    if rule.metadata["kind"] in (bool, str):
        return isinstance(value, rule.metadata["kind"]) and (value in (rule.metadata["among"] or (value,)))
    whole = rule.metadata["kind"] is float or value == int(value)
    return math.isfinite(value) and whole and (value > 0 or (value == 0 and rule.metadata["zero"]))


PRESETS = {
    "default": Recipe(),
    "published": Recipe(
        normaliser="max",
        layer_norm=True,
        tied_initialisation=False,
        learning_rate=1e-5,
        warmup_share=0.0,
        decay_share=0.0,
        batch_rows=None,
        epochs=100,
        max_positions=None,
        patience=2,
        evaluations=None,
        curve_positions=None,
        block_rows=None,
        pool_blocks=2,
        precision="float32",
    ),
}


def recipe_of(preset: str, given: dict) -> Recipe:
    """A preset with the values of ``given`` (None: keep the preset's) in place of its own.

    Giving ``k`` without ``k_of`` means: as a count if it is whole, else as the preset counts it.

    Raises:
        ConfigError: unknown preset, unknown key or a value that makes no sense.
    """
    if preset not in PRESETS:
        raise ConfigError("Unknown preset", got=preset, expected=sorted(PRESETS))
    chosen = {name: value for name, value in given.items() if value is not None}
    unknown = set(chosen) - {field.name for field in fields(Recipe)}
    if unknown:
        raise ConfigError("Unknown key of a training recipe", got=sorted(unknown))
    if chosen.get("k", 0) >= 1 and "k_of" not in chosen and float(chosen["k"]).is_integer():
        chosen["k_of"] = "absolute"
    return replace(PRESETS[preset], **chosen)


def resolve_k(k: float, k_of: str, channels: int, n_nodes: int) -> int:
    """Active nodes a position: ``k`` itself, or int(k x channels), or int(k x n_nodes).

    The published k is int(0.05 x input channels): 36 of 736 channels.

    Raises:
        ConfigError: unknown ``k_of``, a count that is not whole, or a result outside [1, n_nodes].
    """
    if k_of not in K_OF:
        raise ConfigError("Unknown k_of", got=k_of, expected=f"one of {K_OF}")
    count = k * {"absolute": 1, "input_channels": channels, "hidden_units": n_nodes}[k_of]
    whole = math.isfinite(count) and (k_of != "absolute" or count == int(count))
    if not whole or not 1 <= int(count) <= n_nodes:
        raise ConfigError(
            f"k = {k:g} counted as '{k_of}' gives no usable number of active nodes",
            got=count,
            expected=f"1 to {n_nodes} (the number of nodes), whole when absolute",
            mend="give a count with k_of absolute, or a fraction with input_channels or hidden_units",
        )
    return int(count)


class Schedule:
    """Steps, learning rate and evaluations of a run, as functions of the step alone.

    Args:
        recipe: with ``batch_rows`` resolved.
        n_rows: positions of the training store.
    """

    def __init__(self, recipe: Recipe, n_rows: int):
        self.recipe, self.n_rows = recipe, n_rows
        self.steps_per_epoch = math.ceil(n_rows / recipe.batch_rows)
        limit = recipe.max_positions or math.inf
        self.positions = int(min(recipe.epochs * n_rows, limit))
        epochs, rest = divmod(self.positions, n_rows)
        self.steps = epochs * self.steps_per_epoch + math.ceil(rest / recipe.batch_rows)

    def learning_rate(self, step: int) -> float:
        """Of the step after ``step`` steps were taken; never 0."""
        peak, recipe = self.recipe.learning_rate, self.recipe
        warm, decay, left = (
            recipe.warmup_share * self.steps,
            recipe.decay_share * self.steps,
            self.steps - step,
        )
        if step < warm:
            return peak * min(1.0, (step + 1) / warm)
        if left >= decay:
            return peak
        share = left / decay
        return peak * (share if recipe.decay == "linear" else 0.5 - 0.5 * math.cos(math.pi * share))

    def evaluates(self, step: int) -> bool:
        """Whether a validation pass follows the ``step``-th step (counted from 1)."""
        if step == self.steps:
            return True
        if self.recipe.evaluations is None:
            return step % self.steps_per_epoch == 0
        count = self.recipe.evaluations
        return step * count // self.steps > (step - 1) * count // self.steps
