"""What the config sections ``model`` and ``extract`` ask for: stores that the workflow makes itself.

Read while Snakemake parses, in every job anew: this module imports nothing heavy.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from biosae.errors import ConfigError

SPLITS = ("train", "validation", "encode")
_OF_PLAN = ("context_bp", "length_bp", "keep", "dtype", "assembly", "seed")
_NO_INTERVAL = ("#", "track", "browser")  # begin a line of a BED that is no interval


@dataclass(frozen=True)
class MadeStore:
    """One store that is extracted.

    Attributes:
        folder: where it is written.
        split: train, validation or encode.
        intervals: the BED that it is made from.
        weights: of the model.
    """

    folder: str
    split: str
    intervals: str
    weights: str


def made_stores(config: dict) -> dict[str, MadeStore]:
    """The stores that the workflow extracts, by folder; none without a section ``extract``."""
    extract, given = config["extract"], config["activations"]
    if extract is None:
        return {}
    found = [
        MadeStore(given[split].rstrip("/"), split, extract[split], config["model"]["weights"])
        for split in SPLITS
        if extract[split] is not None
    ]
    if extract["random_model_seed"] is not None:
        weights = f"random:{extract['random_model_seed']}"
        found += [
            MadeStore(folder.rstrip("/"), split, extract[split], weights)
            for split, folder in (given["random_model"] or {}).items()
        ]
    return {store.folder: store for store in found}


def count_intervals(path: str | Path) -> int:
    """Intervals of a BED, without looking at what they say; 0 where it cannot be read."""
    try:
        lines = Path(path).read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        return 0  # said with the other inputs that are missing, or by the job that reads it
    return sum(1 for line in lines if line.strip() and not line.startswith(_NO_INTERVAL))


def file_numbers(config: dict, store: MadeStore) -> range:
    """Numbers of the files of a store: ``extract.files``, or one an interval where there are fewer."""
    return range(max(1, min(config["extract"]["files"], count_intervals(store.intervals))))


def needed_files(config: dict) -> dict[str, str]:
    """Raw inputs that the two sections name, by key: BED files, and weights where they are a path."""
    found = {}
    if config["extract"] is not None:
        found = {f"extract.{split}": config["extract"][split] for split in SPLITS}
    return {key: path for key, path in found.items() if path is not None}


def settle(config: dict) -> None:
    """Check the two sections, and set ``activations.pad_bp`` to what the extraction makes of it.

    Raises:
        ConfigError: the first thing that cannot be made.
    """
    model, extract = config["model"], config["extract"]
    if model is not None:
        _check_weights(model["weights"])
    if extract is None:
        return
    if model is None or config["synthetic"] is not None:
        raise ConfigError(
            "Section extract needs a section model, and no section synthetic",
            got=[key for key in ("model", "extract", "synthetic") if config[key] is not None],
        )
    _check_stores(config)
    _check_rows(config)
    pad = extract["context_bp"] if extract["keep"] == "window" else 0
    if config["activations"]["pad_bp"] not in (0, pad):
        raise ConfigError(
            "activations.pad_bp is not what the extraction keeps around each interval",
            got=f"{config['activations']['pad_bp']} bp",
            expected=f"{pad} bp: extract.context_bp where extract.keep is window, else 0",
            mend="leave activations.pad_bp out",
        )
    config["activations"]["pad_bp"] = pad


def _check_weights(weights: str) -> None:
    """Refuse weights that are neither there nor random, without PyTorch; the job says more of a file."""
    if weights.startswith("random:"):
        if not weights.removeprefix("random:").isdecimal():
            raise ConfigError(
                "Random weights need a seed", got=f"model.weights: {weights}", expected="random:0"
            )
    elif not Path(weights).exists():
        raise ConfigError(
            "The weights of the model are not there; the name of a model on a hub is not taken",
            got=f"model.weights: {weights}",
            expected="a local file or folder, or random:<seed>",
            mend="fetch the weights yourself and give the path of model.safetensors",
        )


def _check_stores(config: dict) -> None:
    """Refuse stores that would be written twice, or that nothing is told of."""
    extract, given = config["extract"], config["activations"]
    if extract["random_model_seed"] is not None and given["random_model"] is None:
        raise ConfigError(
            "extract.random_model_seed needs folders for the stores of the random model",
            expected="activations.random_model: {train: FOLDER, validation: FOLDER}",
        )
    if extract["encode"] is not None and given["encode"] in ("train", "validation"):
        raise ConfigError(
            "extract.encode makes a third store, which activations.encode must name as a folder",
            got=f"activations.encode: {given['encode']}",
        )
    wanted = sum(extract[split] is not None for split in SPLITS)
    wanted += 2 * (extract["random_model_seed"] is not None)
    if len(made_stores(config)) != wanted:
        raise ConfigError(
            "Two of the stores that are extracted lie in one folder", got=sorted(made_stores(config))
        )


def _check_rows(config: dict) -> None:
    """Refuse what the store, or what reads nodes from it, cannot hold."""
    extract = config["extract"]
    if extract["subsample_share"] is not None and extract["keep"] == "window" and extract["context_bp"]:
        raise ConfigError(
            "A subsample of positions cannot be taken from windows with their context",
            got="extract.keep: window",
            expected="extract.keep: core",
            mend="activations.pad_bp holds for whole windows; blocks of one have no context of their own",
        )
    encode = config["activations"]["encode"]
    read = [encode if encode in SPLITS else "encode"]
    if extract["random_model_seed"] is not None and read == ["encode"]:
        read.append("train")  # of a random model the training store is encoded then
    if extract["strand"] != "forward" and "train" in read:
        raise ConfigError(
            "Nodes would be read from a store with reverse strands, and seqlets are cut from the forward one",
            got=f"extract.strand: {extract['strand']}, activations.encode: {encode}",
            expected="nodes are read from forward strands; extract.strand is of the training store alone",
            mend="set activations.encode to validation, or to a folder that extract.encode makes",
        )


def model_options(config: dict, weights: str | None = None) -> list[str]:
    """Command-line options of ``hosts.options`` for the section ``model``; other weights, if given."""
    model = config["model"]
    words = ["--factory", model["factory"], "--arguments", json.dumps(model["arguments"], sort_keys=True)]
    words += ["--weights", weights or model["weights"], "--head", model["head"]]
    words += ["--tracks-first" if model["tracks_first"] else "--no-tracks-first"]
    words += ["--device", model["device"], "--precision", model["precision"]]
    for key in ("module", "bin_bp"):
        words += ["--" + key.replace("_", "-"), str(model[key])] if model[key] is not None else []
    return words


def plan_options(config: dict, store: MadeStore) -> list[str]:
    """Command-line options of ``plan_extraction`` for one store, without the model's."""
    extract = config["extract"]
    words = {key: extract[key] for key in _OF_PLAN}
    words["files"] = len(file_numbers(config, store))
    if store.split == "train":
        words |= {key: extract[key] for key in ("strand", "subsample_share", "subsample_block")}
    return [
        word
        for key, value in words.items()
        if value is not None
        for word in ("--" + key.replace("_", "-"), str(value))
    ]
