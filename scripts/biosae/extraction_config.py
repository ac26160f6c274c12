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
        name: train, validation, encode, random_model/train or random_model/validation.
        folder: where it is written.
        intervals: the BED that it is made from.
        weights: of the model.
    """

    name: str
    folder: str
    intervals: str
    weights: str


def extraction_folder(config: dict) -> str:
    """The folder below which extracted stores lie."""
    default = f"{config['results'].rstrip('/')}/{config['layer']['name']}/activations"
    return (config["extract"]["folder"] or default).rstrip("/")


def name_stores(config: dict) -> None:
    """Fill ``activations`` with the folders of the stores that are extracted, where nothing else is named.

    Called before the configuration is checked: what is not of its type is left to that.
    """
    extract, given = config.get("extract"), config.get("activations")
    if not all(isinstance(one, dict) for one in (extract, config.get("layer"), given)):
        return
    if not isinstance(config["results"], str) or "name" not in config["layer"]:
        return
    folder = extraction_folder({**config, "extract": {"folder": None, **extract}})
    for split in ("train", "validation"):
        given.setdefault(split, f"{folder}/{split}")
    if extract.get("encode") is not None and given.get("encode") == "train":
        given["encode"] = f"{folder}/encode"
    if extract.get("random_model_seed") is not None and given.get("random_model") is None:
        names = ("train", "validation")
        given["random_model"] = {split: f"{folder}/random_model/{split}" for split in names}


def made_stores(config: dict) -> dict[str, MadeStore]:
    """The stores that the workflow extracts, by name; none without a section ``extract``."""
    extract = config["extract"]
    if extract is None:
        return {}
    folder, seed = extraction_folder(config), extract["random_model_seed"]
    found = {
        name: (extract[name], config["model"]["weights"]) for name in SPLITS if extract[name] is not None
    }
    if seed is not None:
        found |= {f"random_model/{name}": (extract[name], f"random:{seed}") for name in SPLITS[:2]}
    return {name: MadeStore(name, f"{folder}/{name}", *of) for name, of in found.items()}


def store_numbers(config: dict) -> dict[str, range]:
    """The numbers of the files of each store that is extracted, by its folder."""
    return {store.folder: file_numbers(config, store) for store in made_stores(config).values()}


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


def weights_path(config: dict, weights: str | None = None) -> list[str]:
    """The file of the model's weights (or of others), as the inputs of a rule; none where they are random."""
    weights = weights or (config["model"] or {"weights": "random:"})["weights"]
    path = Path(weights)
    return (
        [] if weights.startswith("random:") else [str(path / "model.safetensors" if path.is_dir() else path)]
    )


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
    """Refuse folders in ``activations`` that are not those of the stores that are extracted."""
    given, made = config["activations"], made_stores(config)
    named = {"train": given["train"], "validation": given["validation"]}
    if "encode" in made:
        named["encode"] = given["encode"]
    if "random_model/train" in made:
        named |= {f"random_model/{split}": folder for split, folder in given["random_model"].items()}
    wrong = {name: folder for name, folder in named.items() if folder.rstrip("/") != made[name].folder}
    if wrong:
        raise ConfigError(
            "Section activations names other folders than those that extract writes",
            got=wrong,
            expected={name: made[name].folder for name in wrong},
            mend="leave these keys of activations out; extract.folder says where the stores lie",
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
    if store.name.endswith("train"):
        words |= {key: extract[key] for key in ("strand", "subsample_share", "subsample_block")}
    return [
        word
        for key, value in words.items()
        if value is not None
        for word in ("--" + key.replace("_", "-"), str(value))
    ]
