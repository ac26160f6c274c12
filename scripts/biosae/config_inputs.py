"""Which stores and raw files a configuration names, and whether they are there."""

from __future__ import annotations

import os
import re
from pathlib import Path

from biosae.causal import config as causal
from biosae.errors import ConfigError
from biosae.extraction_config import needed_files, store_numbers

_FILE_NUMBER = re.compile(r"activations_(\d+)\.h5")


def encoded_store(config: dict) -> str:
    """The folder of the store that is encoded."""
    split = config["activations"]["encode"]
    return config["activations"].get(split, split) if split in ("train", "validation") else split


def data_store(config: dict, split: str, data: str = "given") -> str:
    """The folder of the store that runs of ``data`` read as ``split``: train, validation or encode.

    A network with random weights has no third store: where ``activations.encode`` is a folder, its training
    store is encoded. Permuted stores are made by the workflow below ``permuted/`` of the layer.
    """
    given = config["activations"]
    named = given["encode"] if split == "encode" and given["encode"] in ("train", "validation") else split
    if data == "permuted":
        return f"{config['results'].rstrip('/')}/{config['layer']['name']}/permuted/{named}"
    if data == "random_model":
        return given["random_model"]["train" if named == "encode" else named]
    return given[named]


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


def _all_store_problems(config: dict, made: str) -> list[str]:
    """What is wrong with the stores; those below ``made`` the workflow makes itself."""
    stores = {f"activations.{split}": config["activations"][split] for split in ("train", "validation")}
    stores["activations.encode"] = encoded_store(config)
    extracted = store_numbers(config)
    problems: list[str] = []
    if "random_model" in config["baselines"]:
        for split, folder in config["activations"]["random_model"].items():
            key = f"activations.random_model.{split}"
            stores[key] = folder
            if config["synthetic"] and folder.startswith(made) and not config["synthetic"]["random_model"]:
                problems.append(f"{key}: {folder} needs synthetic.random_model: true")
    for key, folder in stores.items():
        if not folder.startswith(made) and folder.rstrip("/") not in extracted:
            problems += _store_problems(key, folder)
    return problems


def check_inputs(config: dict, made_here: str | None = None) -> None:
    """Check that every raw input is there, cheaply, before the plan is made.

    Snakemake says "Nothing to be done" when a final file exists and a raw input is gone.

    Args:
        made_here: a folder whose files the workflow makes itself (the demo's); they are not raw.

    Raises:
        ConfigError: lists every missing input.
    """
    made = str(made_here) + "/" if made_here else "\0"
    problems = _all_store_problems(config, made)
    files = {"genome": config["genome"], "matching.database": config["matching"]["database"]}
    files |= needed_files(config) | causal.needed_files(config)
    for index, entry in enumerate(config["landscape"]["annotations"]):
        files[f"landscape.annotations.{index}.path"] = entry["path"]
    if config["atlas"]["genes"] is not None:
        files["atlas.genes"] = config["atlas"]["genes"]
    problems += [
        f"{key}: no such file: {path}"
        for key, path in files.items()
        if not path.startswith(made) and not Path(path).is_file()
    ]
    mend = "correct the paths in the config; they are relative to the folder where snakemake runs"
    refuse_missing(problems, "raw input(s)", mend)


def refuse_missing(problems: list[str], what: str, mend: str) -> None:
    """ConfigError where there are problems: counts them as ``what``, lists them, says how to mend them."""
    if problems:
        lines = "\n".join(f"  {line}" for line in problems)
        raise ConfigError(f"{len(problems)} {what} are not there:\n{lines}\n ", mend=mend)


def check_results(config: dict) -> None:
    """Check that the folders of results can be made, or written into, without making any.

    Raises:
        ConfigError: names what stands in the way.
    """
    results = Path(config["results"])
    for folder in (results, results / config["layer"]["name"]):
        # the nearest thing that is there; a link that leads nowhere is there too, and in the way
        there = next(path for path in (folder, *folder.absolute().parents) if os.path.lexists(path))
        if not there.is_dir():
            got = f"{there} is a link that leads nowhere" if there.is_symlink() else f"{there} is no folder"
        elif not os.access(there, os.W_OK | os.X_OK):
            got = f"{there} may not be written to by this user, or its file system is read-only"
        else:
            continue
        raise ConfigError(
            "The results cannot be written",
            got=got,
            where=f"results: {config['results']}",
            mend="set results in the config to a folder that you may write to",
        )
