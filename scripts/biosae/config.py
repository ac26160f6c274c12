"""The workflow's configuration: checked whole against its schema, and turned into runs and options.

Read while Snakemake parses, in every job anew: this module imports nothing heavy.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import fields
from pathlib import Path

import yaml
from jsonschema import Draft202012Validator

from biosae.errors import ConfigError
from biosae.geometry import Layer, find_layer
from biosae.recipes import PRESETS, Recipe, recipe_of, resolve_k

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
_FILE_NUMBER = re.compile(r"activations_(\d+)\.h5")
TRAINED_KINDS = ("topk", "batchtopk", "matryoshka", "relu")


def load_config(config: dict, schema_path: Path) -> dict:
    """Check ``config`` against the schema and return it with every default filled in.

    Numbers that YAML reads as text (``1e-3`` without a point) are read as numbers where the
    schema wants a number.

    Raises:
        ConfigError: lists every fault at once, each with its key.
    """
    schema = yaml.safe_load(schema_path.read_text())
    full = _complete(config, schema)
    faults = sorted(
        Draft202012Validator(schema).iter_errors(full), key=lambda fault: list(fault.absolute_path)
    )
    if faults:
        lines = "\n".join(f"  {_key(fault)}: {_say(fault)}" for fault in faults)
        raise ConfigError(
            f"The configuration has {len(faults)} fault(s):\n{lines}\n",
            mend="name a config with --configfile; config/README.md describes every key",
        )
    layer_of(full)  # an unknown geometry is a fault of the configuration too
    runs(full)
    _check_training(full["sae"])
    return full


def _check_training(sae: dict) -> None:
    """Refuse what a training job would refuse, before anything runs."""
    names = {field.name for field in fields(Recipe)}
    recipe_of(sae["preset"], {name: value for name, value in sae.items() if name in names - {"k_of"}})
    if sae["gpus"] > 1 and sae["device"] == "cpu":
        raise ConfigError(
            "sae.gpus asks for several GPUs, but sae.device is cpu",
            got=sae["gpus"],
            mend="set sae.device to auto or cuda, or sae.gpus to 1",
        )


def _key(fault) -> str:
    return ".".join(str(part) for part in fault.absolute_path) or "(top level)"


def _say(fault) -> str:
    unit = fault.schema.get("description", "") if isinstance(fault.schema, dict) else ""
    about_a_value = fault.validator not in ("additionalProperties", "required")
    return fault.message + (f" ({unit})" if unit and about_a_value else "")


def _wants_number(schema: dict) -> bool:
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    return "number" in kinds and "string" not in kinds


def _complete(value: object, schema: dict) -> object:
    """``value`` with the schema's defaults, and with text that spells a number made one."""
    if isinstance(value, str) and _wants_number(schema) and _NUMBER.fullmatch(value):
        return float(value)
    if isinstance(value, list) and "items" in schema:
        return [_complete(item, schema["items"]) for item in value]
    if not isinstance(value, dict) or "properties" not in schema:
        return value
    full = dict(value)
    for name, rule in schema["properties"].items():
        if name in full:
            full[name] = _complete(full[name], rule)
        elif "default" in rule:
            full[name] = _complete(rule["default"], rule)
    return full


def layer_of(config: dict) -> Layer:
    """The layer that the configuration names."""
    given = {key: value for key, value in config["layer"].items() if key != "name"}
    return find_layer(config["layer"]["name"], given)


def runs(config: dict) -> dict[str, dict]:
    """Every run of the configuration: name -> what distinguishes it, in the order of the grid.

    A trained run has kind, expansion, k (resolved to a count; kind relu has none, and is there once
    whatever the k of the others), learning_rate and seed; a baseline has kind only.
    """
    layer = layer_of(config)
    found: dict[str, dict] = {}
    for kind, expansion, (k, k_of), rate, seed in itertools.product(*_axes(config["sae"])):
        size, part = {}, ""
        if kind != "relu":
            size = {"k": resolve_k(k, k_of, layer.channels, expansion * layer.channels)}
            part = f"-k{size['k']}"
        name = f"{kind}-x{expansion}{part}-lr{rate:g}-s{seed}"
        if name in found and kind != "relu":
            raise ConfigError(
                "Two runs of the grid have one name",
                got=name,
                mend="leave out one of two k of the same count, or of two nearly equal learning rates",
            )
        found[name] = {"kind": kind, "expansion": expansion, **size, "learning_rate": rate, "seed": seed}
    for kind in config["baselines"]:
        found[kind] = {"kind": kind}
    return found


def _axes(sae: dict) -> tuple[list, ...]:
    """Kinds, expansions, (k, what it is counted of), learning rates and seeds; null is the preset's value."""
    grid, preset = sae["grid"], PRESETS[sae["preset"]]
    sizes = [(k, sae["k_of"]) for k in grid["k"]] if grid["k"] else [(preset.k, preset.k_of)]
    expansions = grid["expansion"] or [preset.expansion]
    return grid["kind"], expansions, sizes, grid["learning_rate"] or [preset.learning_rate], grid["seed"]


def options(values: dict, only: tuple[str, ...] | None = None) -> list[str]:
    """Command-line options for a section: ``top_per_part: 8`` -> ``["--top-per-part", "8"]``.

    Null is left out, true is ``--key``, false is ``--no-key``, a list is ``--key a b c``.
    """
    words: list[str] = []
    for key, value in values.items():
        if value is None or (only is not None and key not in only):
            continue
        flag = "--" + key.replace("_", "-")
        if isinstance(value, bool):
            words.append(flag if value else "--no-" + flag[2:])
        elif isinstance(value, list):
            words += [flag, *map(str, value)]
        elif isinstance(value, str) and value.startswith("-"):
            words.append(f"{flag}={value}")  # argparse would read a leading dash as an option
        else:
            words += [flag, str(value)]
    return words


def run_options(config: dict, name: str) -> list[str]:
    """Command-line options of ``train_sae`` for one run."""
    return options({**_shared(config), **runs(config)[name]})


def together_options(config: dict) -> list[str]:
    """Command-line options of ``train_sae`` for all trained runs, on one stream."""
    words = options(_shared(config))
    for name, run in runs(config).items():
        if run["kind"] in TRAINED_KINDS:
            words += ["--dictionary", name, *(f"{key}={value}" for key, value in run.items())]
    return words


def _shared(config: dict) -> dict:
    """What all trained runs are given."""
    sae = config["sae"]
    shared = {
        key: value for key, value in sae.items() if key not in ("grid", "k_of", "train_together", "gpus")
    }
    if sae["train_together"] and sae["shuffle_seed"] is None and len(sae["grid"]["seed"]) > 1:
        shared["shuffle_seed"] = sae["grid"]["seed"][0]
    return shared


def launcher(config: dict) -> list[str]:
    """What starts ``train_sae``: python, or with several GPUs one process for each."""
    gpus = config["sae"]["gpus"]
    return ["python"] if gpus == 1 else ["torchrun", "--standalone", "--nproc-per-node", str(gpus)]


def layer_options(config: dict) -> list[str]:
    """Command-line options that name the layer."""
    layer = layer_of(config)
    words = {"layer": layer.name}
    if config["layer"].get("channels") is not None:
        words |= {key: getattr(layer, key) for key in ("channels", "stride_bp", "left_bp", "right_bp")}
    return options(words)


def annotation_options(config: dict) -> list[str]:
    """One ``--annotation NAME PATH CLASS_COLUMN`` for each annotation."""
    return [
        word
        for entry in config["landscape"]["annotations"]
        for word in ("--annotation", entry["name"], entry["path"], str(entry["class_column"]))
    ]


def encoded_store(config: dict) -> str:
    """The folder of the store that is encoded."""
    split = config["activations"]["encode"]
    return config["activations"].get(split, split) if split in ("train", "validation") else split


def store_files(folder: str | Path) -> list[str]:
    """The files of an activation store: HDF5 files by number, then the interval table and ``store.json``."""
    folder = Path(folder)
    numbered = sorted(
        (int(m[1]), p) for p in folder.glob("activations_*.h5") if (m := _FILE_NUMBER.fullmatch(p.name))
    )
    tables = sorted(p for p in folder.glob("*.bed") if p.name.endswith("_seqs.bed"))
    extra = [folder / name for name in ("intervals.tsv", "store.json") if (folder / name).is_file()]
    return [str(path) for path in [*(p for _, p in numbered), *tables, *extra]]


def _store_problems(key: str, folder: str) -> list[str]:
    files = [Path(file).name for file in store_files(folder)]
    numbers = sorted(int(m[1]) for file in files if (m := _FILE_NUMBER.fullmatch(file)))
    if not Path(folder).is_dir():
        return [f"{key}: no such folder: {folder}"]
    if not numbers:
        return [f"{key}: no file activations_<number>.h5 in {folder}"]
    problems = []
    gaps = sorted(set(range(numbers[0], numbers[-1] + 1)) - set(numbers))
    if numbers[0] > 1:
        gaps = list(range(1, numbers[0])) + gaps
    if gaps:
        problems.append(
            f"{key}: activations_{gaps[0]}.h5 is missing in {folder} ({len(gaps)} gap(s) in the numbers)"
        )
    tables = [file for file in files if file.endswith("_seqs.bed") or file == "intervals.tsv"]
    if len(tables) != 1:
        problems.append(
            f"{key}: {folder} holds {len(tables)} interval tables, expected one *_seqs.bed or intervals.tsv"
        )
    return problems


def check_inputs(config: dict, made_here: str | None = None) -> None:
    """Check that every raw input is there, cheaply, before the plan is made.

    Snakemake says "Nothing to be done" when a final file exists and a raw input is gone.

    Args:
        made_here: a folder whose files the workflow makes itself (the demo's); they are not raw.

    Raises:
        ConfigError: lists every missing input.
    """
    problems: list[str] = []
    made = str(made_here) + "/" if made_here else "\0"
    stores = {
        "activations.train": config["activations"]["train"],
        "activations.validation": config["activations"]["validation"],
    }
    stores["activations.encode"] = encoded_store(config)
    for key, folder in stores.items():
        if not folder.startswith(made):
            problems += _store_problems(key, folder)
    files = {"genome": config["genome"], "matching.database": config["matching"]["database"]}
    for index, entry in enumerate(config["landscape"]["annotations"]):
        files[f"landscape.annotations.{index}.path"] = entry["path"]
    problems += [
        f"{key}: no such file: {path}"
        for key, path in files.items()
        if not path.startswith(made) and not Path(path).is_file()
    ]
    if problems:
        raise ConfigError(
            f"{len(problems)} raw input(s) are not there:\n"
            + "\n".join(f"  {line}" for line in problems)
            + "\n ",
            mend="correct the paths in the config; they are relative to the folder where snakemake runs",
        )
