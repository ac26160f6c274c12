"""The workflow's configuration: checked whole against its schema, and turned into runs and options.

Read while Snakemake parses, in every job anew: this module imports nothing heavy.
"""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import yaml

from biosae.causal.config import check_causal
from biosae.config_inputs import check_inputs, check_results, data_store, encoded_store, store_files
from biosae.config_schema import complete, refuse_faults
from biosae.errors import ConfigError
from biosae.extraction_config import (
    extraction_folder,
    made_stores,
    model_options,
    name_stores,
    needed_files,
    plan_options,
    settle,
    store_numbers,
    weights_path,
)
from biosae.recipes import Recipe, recipe_of
from biosae.roles import DATA, SHAPELESS, TRAINED_KINDS, TRAINED_ROLES
from biosae.run_grid import layer_of, nulls_of, runs, siblings_of

__all__ = [
    "DATA",
    "SHAPELESS",
    "TRAINED_KINDS",
    "TRAINED_ROLES",
    "check_inputs",
    "check_results",
    "data_store",
    "encoded_store",
    "extraction_folder",
    "layer_of",
    "made_stores",
    "model_options",
    "needed_files",
    "nulls_of",
    "plan_options",
    "runs",
    "siblings_of",
    "store_files",
    "store_numbers",
    "weights_path",
]


def read_yaml(path: Path) -> object:
    """The content of a YAML file, by libyaml where it is there: ten times as fast, and every job does it."""
    return yaml.load(path.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def load_config(config: dict, schema_path: Path) -> dict:
    """Check ``config`` against the schema and return it with every default filled in.

    Numbers that YAML reads as text (``1e-3`` without a point) are read as numbers where the
    schema wants a number.

    Raises:
        ConfigError: lists every fault at once, each with its key.
    """
    schema = read_yaml(schema_path)
    full = complete(config, schema)
    name_stores(full)
    mend = "name a config with --configfile; config/README.md describes every key"
    refuse_faults(full, schema, "The configuration", mend)
    layer_of(full)  # an unknown geometry is a fault of the configuration too
    runs(full)
    _check_training(full["sae"])
    _check_baselines(full)
    settle(full)
    check_causal(full)
    _settle_tracks(full)
    return full


def _settle_tracks(full: dict) -> None:
    """Give tracks the name of the genome that the extraction has; refuse tracks without one."""
    tracks = full["tracks"]
    if tracks["assembly"] is None and full["extract"] is not None:
        tracks["assembly"] = full["extract"]["assembly"]
    if (tracks["top_nodes"] or tracks["nodes"]) and tracks["assembly"] is None:
        raise ConfigError(
            "A track hub needs the name of the genome",
            got="tracks.assembly: null",
            expected="the name that UCSC and IGV have for it, such as hg38",
        )


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


def _check_baselines(full: dict) -> None:
    """Refuse baselines that cannot be made."""
    if "random_model" in full["baselines"] and full["activations"]["random_model"] is None:
        raise ConfigError(
            "Baseline random_model needs activations of the model with random weights",
            got="activations.random_model: null",
            expected="activations.random_model: {train: FOLDER, validation: FOLDER}",
            mend="give these stores, or take random_model out of baselines",
        )
    settings, channels = full["baseline_settings"], layer_of(full).channels
    components = settings["components"] or channels
    if {"pca", "ica"} & set(full["baselines"]) and components > min(channels, settings["sample_positions"]):
        raise ConfigError(
            "A baseline cannot have more components than channels, nor than positions it is fitted on",
            got=f"{components} components",
            expected=f"at most {channels} channels and {settings['sample_positions']} sampled positions",
            mend="lower baseline_settings.components or raise baseline_settings.sample_positions",
        )


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
    return options({**_shared(config), **_own(runs(config)[name])})


def together_options(config: dict) -> list[str]:
    """Command-line options of ``train_sae`` for the SAEs of the grid, on one stream."""
    words, found = options(_shared(config)), runs(config)
    for name in joint_runs(config):
        own = _own(found[name])
        words += ["--dictionary", name, *(f"{key}={str(value).lower()}" for key, value in own.items())]
    return words


def trained_runs(config: dict, *data: str) -> list[str]:
    """Names of the runs that are trained; only those of some ``data``, if given."""
    found = {name: run for name, run in runs(config).items() if run["role"] in TRAINED_ROLES}
    return [name for name, run in found.items() if not data or run["data"] in data]


def joint_runs(config: dict) -> list[str]:
    """The runs that ``train_together`` trains in one job: SAEs, so that a new baseline retrains none."""
    found = runs(config)
    return [name for name in trained_runs(config, "given") if found[name]["role"] == "sae"]


def _own(run: dict) -> dict:
    """What ``train_sae`` is told of one run beside what all share; a plain SAE's role is its default."""
    own = {key: value for key, value in run.items() if key not in ("data", "role")}
    if run["role"] != "sae":
        own["role"] = run["role"]
    return own | ({"frozen_decoder": True} if run["role"] == "frozen" else {})


def baseline_options(config: dict, name: str) -> list[str]:
    """Command-line options of ``build_baseline`` for one run: those alone that it uses. It needs no GPU."""
    run, settings = runs(config)[name], config["baseline_settings"]
    used = {"raw": (), "random": ("sample_positions",), "pca": ("sample_positions", "components")}
    used["ica"] = (*used["pca"], "seed")
    words = {"kind": run["role"], **{key: settings[key] for key in used[run["role"]]}, "device": "cpu"}
    if run["role"] == "random":
        words |= {key: run[key] for key in ("expansion", "k", "seed")}
        words["layer_norm"] = config["sae"]["layer_norm"]
    shared = ("preset", "normaliser", "evaluation_positions")
    return options({**words, **{key: config["sae"][key] for key in shared}})


def permuting_options(config: dict, split: str) -> list[str]:
    """Command-line options of ``permute_activations`` for the store of ``split``.

    As many sequences as a node needs to be kept and to fill its seqlets: each gives it
    ``top_per_part`` x ``parts_per_sequence`` top positions at most. For training, as many as give the
    permuted SAE the positions that the SAE has.
    """
    encode, settings, sae = config["encode"], config["baseline_settings"], config["sae"]
    wanted = max(config["select"]["min_nonzero"], config["seqlets"]["per_node"])
    least = -(-wanted // (encode["top_per_part"] * encode["parts_per_sequence"]))
    recipe = recipe_of(sae["preset"], {key: sae[key] for key in ("epochs", "max_positions")})
    trained = -(-(recipe.max_positions or 0) // recipe.epochs) if split == "train" else 0
    words = {"positions": max(settings["permuted_positions"], trained), "least_sequences": max(2, least)}
    return options({**words, "seed": settings["seed"]})


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
