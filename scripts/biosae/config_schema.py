"""A configuration against its JSON schema: defaults filled in, and every fault at once.

Read while Snakemake parses, in every job anew: this module imports nothing heavy.
"""

from __future__ import annotations

import re

from jsonschema import Draft202012Validator

from biosae.errors import ConfigError

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")


def _wants_number(schema: dict) -> bool:
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    return "number" in kinds and "string" not in kinds


def complete(value: object, schema: dict) -> object:
    """``value`` with the schema's defaults; text that spells a number becomes one where wanted."""
    if isinstance(value, str) and _wants_number(schema) and _NUMBER.fullmatch(value):
        return float(value)
    if isinstance(value, list) and "items" in schema:
        return [complete(item, schema["items"]) for item in value]
    if not isinstance(value, dict) or "properties" not in schema:
        return value
    full = dict(value)
    for name, rule in schema["properties"].items():
        if name in full:
            full[name] = complete(full[name], rule)
        elif "default" in rule:
            full[name] = complete(rule["default"], rule)
    return full


def refuse_faults(full: dict, schema: dict, what: str, mend: str) -> None:
    """Check a complete configuration.

    Args:
        what: what has the faults, the subject of the message.
        mend: what the user can do.

    Raises:
        ConfigError: lists every fault, each with its key.
    """
    faults = sorted(
        Draft202012Validator(schema).iter_errors(full), key=lambda fault: list(fault.absolute_path)
    )
    if faults:
        lines = "\n".join(f"  {_key(fault)}: {_say(fault)}" for fault in faults)
        raise ConfigError(f"{what} has {len(faults)} fault(s):\n{lines}\n", mend=mend)


def _key(fault) -> str:
    return ".".join(str(part) for part in fault.absolute_path) or "(top level)"


def _say(fault) -> str:
    unit = fault.schema.get("description", "") if isinstance(fault.schema, dict) else ""
    about_a_value = fault.validator not in ("additionalProperties", "required")
    return fault.message + (f" ({unit})" if unit and about_a_value else "")
