"""What a rung is told of its world, as the simulation's own settings."""

from __future__ import annotations

from dataclasses import MISSING, fields

from biosae.errors import ConfigError
from biosae.synthetic.settings import SyntheticSettings


def synthetic_settings(plain: dict) -> SyntheticSettings:
    """SyntheticSettings of plain values (lists for tuples).

    Raises:
        ConfigError: a key that it has not, or motif_ids is missing.
    """
    known = {field.name: field for field in fields(SyntheticSettings)}
    unknown = sorted(set(plain) - set(known))
    missing = [name for name, field in known.items() if field.default is MISSING and name not in plain]
    if unknown or missing:
        raise ConfigError(
            "The settings of a world are not those of the simulation",
            got={"unknown": unknown, "missing": missing},
            expected=sorted(known),
        )
    return SyntheticSettings(**{name: _frozen(value) for name, value in plain.items()})


def _frozen(value: object) -> object:
    return tuple(_frozen(item) for item in value) if isinstance(value, list | tuple) else value
