"""Layer geometry: which bases an output position of a layer reads. The only source of windows.

All coordinates are 0-based and half-open on the forward strand.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from biosae.errors import ConfigError


@dataclass(frozen=True)
class Layer:
    """One activation source.

    Output position j reads the forward bases [stride_bp*j - left_bp, stride_bp*j + right_bp),
    counted from the start of the sequence that the model was given.

    Args:
        name: how results are filed, ``conv1d_2``.
        module: module path in the model, ``res_tower.2``; may be empty.
        channels: number of channels.
        stride_bp: bases between neighbouring output positions.
        left_bp: bases read before stride_bp*j.
        right_bp: bases read from stride_bp*j on.
    """

    name: str
    module: str
    channels: int
    stride_bp: int
    left_bp: int
    right_bp: int

    def __post_init__(self) -> None:
        if min(self.channels, self.stride_bp) < 1 or self.window_bp < 1:
            raise ConfigError(
                "A layer needs channels >= 1, stride_bp >= 1 and left_bp + right_bp >= 1", got=asdict(self)
            )

    @property
    def window_bp(self) -> int:
        """Width of the receptive field in bases."""
        return self.left_bp + self.right_bp

    def window(
        self, start: np.ndarray, position: np.ndarray, window_bp: int | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Genomic window that output positions read.

        Args:
            start: genomic start of each position's sequence, (n,) or scalar.
            position: output position in that sequence, (n,).
            window_bp: None for the receptive field; else a width, centred on
                stride_bp*j + stride_bp/2 (an odd remainder goes to the right).

        Returns:
            (start, end), each (n,) int64, 0-based half-open. Not clipped to the chromosome.
        """
        origin = np.asarray(start, dtype=np.int64) + self.stride_bp * np.asarray(position, dtype=np.int64)
        if window_bp is None:
            return origin - self.left_bp, origin + self.right_bp
        left = origin + self.stride_bp // 2 - window_bp // 2
        return left, left + window_bp

    def as_dict(self) -> dict:
        """Plain values, as written into ``config.json``, ``store.json`` and provenance."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict) -> Layer:
        """The inverse of ``as_dict``; ConfigError on missing or unknown keys."""
        try:
            return cls(**values)
        except TypeError as error:
            raise ConfigError("A layer description is incomplete", got=values, expected=str(error)) from error


def _borzoi(number: int, channels: int, stride_bp: int, left_bp: int, right_bp: int) -> Layer:
    return Layer(f"conv1d_{number}", f"res_tower.{2 * number - 2}", channels, stride_bp, left_bp, right_bp)


# Measured by gradient on Borzoi (borzoi-pytorch 0.5.1): an input base is inside the window when
# the gradient of the output position with respect to it is not zero.
BORZOI_LAYERS = {
    layer.name: layer
    for layer in (
        _borzoi(1, 608, 2, 11, 13),
        _borzoi(2, 736, 4, 19, 23),
        _borzoi(3, 896, 8, 35, 43),
        _borzoi(4, 1056, 16, 67, 83),
        _borzoi(5, 1280, 32, 131, 163),
    )
}


def find_layer(name: str, given: dict | None = None) -> Layer:
    """The layer called ``name``: a known Borzoi layer, or one described in full by ``given``.

    Args:
        name: name of the layer.
        given: channels, stride_bp, left_bp, right_bp (and module) of a layer that is not in the
            table. Values that contradict a known layer are refused.
    """
    given = {key: value for key, value in (given or {}).items() if value is not None}
    known = BORZOI_LAYERS.get(name)
    if known is None:
        needed = {"channels", "stride_bp", "left_bp", "right_bp"}
        if not needed <= set(given):
            raise ConfigError(
                f"The geometry of layer '{name}' is not known",
                got=sorted(given),
                expected=f"one of {sorted(BORZOI_LAYERS)}, or {sorted(needed)} given",
                mend="give the missing values under 'layer' in the config, or as options",
            )
        return Layer(**{"module": "", **given, "name": name})
    clash = {key: value for key, value in given.items() if getattr(known, key) != value}
    if clash:
        raise ConfigError(
            f"The geometry given for '{name}' contradicts the measured one",
            got=clash,
            expected={key: getattr(known, key) for key in clash},
            mend="leave these keys out, or give the layer another name",
        )
    return known
