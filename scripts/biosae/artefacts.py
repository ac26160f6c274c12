"""What every stage uses to write: atomic files, provenance and table contracts.

An output exists only when it is whole: it is written under a temporary name in the same folder
and renamed. A table is checked against its schema (``workflow/schemas/<name>.schema.yaml``, one
JSON Schema object per row) before it is written. Provenance stands beside a text artefact as
``<file>.json``, and inside HDF5, Parquet and safetensors files. It holds no time stamp and no
absolute path, so that the same input and seed give the same bytes.
"""

from __future__ import annotations

import glob
import gzip
import hashlib
import json
import os
import platform
import shutil
import socket
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib import metadata
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from biosae import __version__
from biosae.errors import ContractError, InputError
from biosae.locking import is_running

SCHEMA_FOLDER = Path(__file__).resolve().parents[2] / "workflow" / "schemas"
_WHOLE_FILE_BYTES = 64 * 2**20  # larger files are fingerprinted by size and both ends only
_END_BYTES = 2**20
_VERSIONED = ("numpy", "pandas", "h5py", "torch")
_PANDAS_TYPES = {"integer": "Int64", "number": "float64", "string": "string", "boolean": "boolean"}


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it to ``path`` on success, delete on failure."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_directory(path: str | Path) -> Iterator[Path]:
    """Yield a temporary folder beside ``path``; it replaces ``path`` whole on success.

    What a process of this machine that was killed left of it is removed.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    mark = f".{path.name}.{socket.gethostname()}."
    for left in path.parent.glob(f"{glob.escape(mark)}*.tmp*"):
        if not is_running(int(left.name.removeprefix(mark).split(".")[0])):
            shutil.rmtree(left)
    temporary = Path(tempfile.mkdtemp(prefix=f"{mark}{os.getpid()}.", suffix=".tmp", dir=path.parent))
    old = temporary.with_name(f"{temporary.name}.old")
    temporary.chmod(0o755)  # mkdtemp makes 0700, which would hide results from a group
    try:
        yield temporary
        if path.exists():  # moved, not removed: half of an old folder could pass for a whole one
            os.replace(path, old)
        os.replace(temporary, path)
    finally:
        for folder in (temporary, old):
            shutil.rmtree(folder, ignore_errors=True)


def write_text(path: str | Path, text: str) -> None:
    """Write ``text`` (UTF-8) atomically; a name that ends in ``.gz`` is compressed, without a time stamp."""
    with atomic_path(path) as temporary:
        data = text.encode()
        if str(path).endswith(".gz"):
            data = gzip.compress(data, mtime=0)
        temporary.write_bytes(data)


def write_json(path: str | Path, content: object) -> None:
    """Write ``content`` as indented JSON with sorted keys; NaN and infinity are refused."""
    text = json.dumps(content, indent=2, sort_keys=True, allow_nan=False, default=_plain)
    write_text(path, text + "\n")


def _plain(value: object) -> object:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"cannot write a {type(value).__name__} as JSON")


def fingerprint(path: str | Path) -> dict:
    """Name, size in bytes and sha256 of a file (above 64 MiB: of its first and last MiB)."""
    path = Path(path)
    if not path.is_file():
        raise InputError("A file is missing", where=path, mend="check the path")
    size = path.stat().st_size
    digest = hashlib.sha256()
    with path.open("rb") as handle:
        if size <= _WHOLE_FILE_BYTES:
            digest.update(handle.read())
        else:
            digest.update(handle.read(_END_BYTES))
            handle.seek(-_END_BYTES, os.SEEK_END)
            digest.update(handle.read(_END_BYTES))
    return {"name": path.name, "bytes": size, "sha256": digest.hexdigest()}


def provenance(
    program: str, settings: dict, inputs: Iterable[str | Path] = (), seed: int | None = None
) -> dict:
    """What made an artefact: program, versions, settings used, seed and input fingerprints."""
    versions = {"biosae": __version__, "python": platform.python_version()}
    for name in _VERSIONED:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue  # an analysis environment holds no torch: it then took no part
    return {
        "program": program,
        "versions": versions,
        "settings": json.loads(json.dumps(settings, default=_plain)),
        "seed": seed,
        "inputs": [fingerprint(path) for path in inputs],
    }


@cache
def load_schema(name: str) -> dict:
    """The schema of one table, by name (``nodes`` -> ``workflow/schemas/nodes.schema.yaml``)."""
    path = SCHEMA_FOLDER / f"{name}.schema.yaml"
    if not path.is_file():
        raise ContractError("A table schema is missing", where=path)
    return yaml.load(path.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def _column_type(rule: dict) -> tuple[str, bool]:
    kinds = rule["type"] if isinstance(rule["type"], list) else [rule["type"]]
    return next(kind for kind in kinds if kind != "null"), "null" in kinds


def _offenders(column: pd.Series, rule: dict) -> dict[str, np.ndarray]:
    """For each rule of a column, which rows break it, (n,) bool."""
    kind, nullable = _column_type(rule)
    missing = column.isna().to_numpy(bool)
    broken = {} if nullable else {"value missing": missing}
    if kind in ("integer", "number"):
        broken |= _wrong_numbers(column, missing, kind, rule)
    if kind == "boolean":
        broken["not a boolean"] = ~column.isin([True, False]).to_numpy(bool) & ~missing
    if "enum" in rule:
        broken[f"not one of {rule['enum']}"] = ~column.isin(rule["enum"]).to_numpy(bool) & ~missing
    if "pattern" in rule:
        fits = column.astype("string").str.fullmatch(rule["pattern"])
        broken[f"does not match {rule['pattern']}"] = ~fits.fillna(True).to_numpy(bool)
    return broken


def _wrong_numbers(column: pd.Series, missing: np.ndarray, kind: str, rule: dict) -> dict[str, np.ndarray]:
    """The same of the rules of numbers."""
    values = pd.to_numeric(column, errors="coerce").to_numpy(np.float64, na_value=np.nan)
    known = ~np.isnan(values)
    broken = {"not a number": ~known & ~missing}
    with np.errstate(invalid="ignore"):  # the remainder of an infinity, which is refused below
        if kind == "integer":
            broken["not an integer"] = (values % 1 != 0) & known
    for key, compare in (
        ("minimum", np.less),
        ("maximum", np.greater),
        ("exclusiveMinimum", np.less_equal),
    ):
        if key in rule:
            broken[f"{key} {rule[key]}"] = compare(values, rule[key])
    broken["infinite"] = np.isinf(values)
    return broken


def check_table(table: pd.DataFrame, schema_name: str, where: object = None) -> None:
    """Check ``table`` against its schema, column by column.

    Raises:
        ContractError: names the first column at fault, counts its offenders, shows three of them.
    """
    schema = load_schema(schema_name)
    columns = list(schema["properties"])
    if list(table.columns) != columns:
        raise ContractError(
            f"Table '{schema_name}' has the wrong columns",
            got=list(table.columns),
            expected=columns,
            where=where,
        )
    for name, rule in schema["properties"].items():
        for what, mask in _offenders(table[name], rule).items():
            if mask.any():
                at_fault = table.loc[mask, name]
                raise ContractError(
                    f"Table '{schema_name}', column '{name}': "
                    f"{len(at_fault)} of {len(table)} rows at fault ({what})",
                    got=f"rows {at_fault.index[:3].tolist()}, values {at_fault.head(3).tolist()}",
                    where=where,
                )
    key = schema.get("x-key")
    if key and (count := int(table.duplicated(key).sum())):
        raise ContractError(
            f"Table '{schema_name}': {count} of {len(table)} rows repeat an earlier {key}", where=where
        )


def conform(table: pd.DataFrame, schema_name: str) -> pd.DataFrame:
    """``table`` with the schema's columns, in the schema's order and types."""
    rules = load_schema(schema_name)["properties"]
    missing = [name for name in rules if name not in table.columns]
    if missing:
        raise ContractError(f"Table '{schema_name}' lacks columns", got=list(table.columns), expected=missing)
    return table[list(rules)].astype({n: _PANDAS_TYPES[_column_type(r)[0]] for n, r in rules.items()})


def write_table(table: pd.DataFrame, path: str | Path, schema_name: str, made_by: dict | None = None) -> None:
    """Check ``table`` and write it as TSV (9 significant digits; empty = missing), provenance beside it."""
    check_table(table, schema_name, where=path)
    text = _as_text(conform(table, schema_name))
    if made_by is not None:
        write_json(f"{path}.json", made_by)
    write_text(path, text)


def write_parts(table: pd.DataFrame, parts: dict[Path, np.ndarray], schema_name: str) -> None:
    """Check ``table`` once and write some of its rows, by number, to each path; no provenance.

    Many small tables take a fifth of the time that ``write_table`` takes for each.
    """
    check_table(table, schema_name)
    whole = conform(table, schema_name)
    for path, rows in parts.items():
        write_text(path, _as_text(whole.iloc[rows]))


def _as_text(table: pd.DataFrame) -> str:
    return table.to_csv(sep="\t", index=False, float_format="%.9g", lineterminator="\n")


def read_table(path: str | Path, schema_name: str) -> pd.DataFrame:
    """Read a TSV that ``write_table`` wrote, typed by its schema.

    Raises:
        InputError: the file is missing or not a table.
        ContractError: its columns or values do not fit the schema.
    """
    rules = load_schema(schema_name)["properties"]
    try:
        # only the empty field is missing: a node may be labelled "NA" or "None"
        text = {name: "string" for name, rule in rules.items() if _column_type(rule)[0] == "string"}
        table = pd.read_csv(path, sep="\t", keep_default_na=False, na_values=[""], dtype=text)
    except (OSError, ValueError) as error:
        raise InputError(
            f"Cannot read table '{schema_name}'", got=error, where=path, mend="re-run the rule that writes it"
        ) from error
    check_table(table, schema_name, where=path)
    return table.astype({n: _PANDAS_TYPES[_column_type(r)[0]] for n, r in rules.items()})
