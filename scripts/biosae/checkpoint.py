"""Checkpoints that explain themselves: ``model.safetensors`` and ``config.json`` in one folder.

Tensors (float32): ``shift``, ``scale`` (channels,) of the normaliser and ``decoder.weight``
(channels, n_nodes) for every kind; every kind but ``raw`` also has ``encoder.weight`` (n_nodes, channels).
Kinds ``pca`` and ``ica`` have ``mean`` (channels,); the others ``pre_bias`` (channels,) and ``latent_bias``
(n_nodes,), and kinds ``batchtopk`` and ``matryoshka`` a scalar ``threshold``. ``config.json`` holds the
structure (kind, n_nodes, channels, k, layer_norm) and what its maker added: role (``sae``, or which null
the run is), layer, store fingerprint, recipe, seed, versions. No stage downstream needs anything else.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from biosae.artefacts import atomic_directory, write_json
from biosae.errors import ConfigError, InputError
from biosae.linear import LINEAR, LinearNodes, build_linear
from biosae.model import KINDS, SAE, BatchTopKSAE, Dictionary, RawChannels, build

WEIGHTS, CONFIG = "model.safetensors", "config.json"
_STRUCTURE = {"kind": str, "n_nodes": int, "channels": int, "k": int, "layer_norm": bool}


def model_tensors(model: Dictionary) -> dict[str, torch.Tensor]:
    """The tensors of a checkpoint by name, on the CPU, contiguous, float32."""
    tensors = {"shift": model.shift, "scale": model.scale}
    tensors["decoder.weight"] = torch.from_numpy(model.decoder_directions()).t()
    if isinstance(model, SAE):
        tensors |= {
            "encoder.weight": model.encoder,
            "pre_bias": model.pre_bias,
            "latent_bias": model.latent_bias,
        }
    if isinstance(model, BatchTopKSAE):
        tensors["threshold"] = model.threshold
    if isinstance(model, LinearNodes):
        tensors |= {"encoder.weight": model.encoder_weights(), "mean": model.mean}
    return {name: tensor.detach().float().cpu().contiguous() for name, tensor in tensors.items()}


def build_model(structure: dict, tensors: dict[str, torch.Tensor], where: object = None) -> Dictionary:
    """A model of the given structure with the given tensors (names as in the module's docstring).

    Raises:
        InputError: a tensor is missing, unknown, not finite or of the wrong shape.
    """
    channels, n_nodes = structure["channels"], structure["n_nodes"]
    shapes = {"shift": (channels,), "scale": (channels,), "decoder.weight": (channels, n_nodes)}
    kind = structure["kind"]
    if kind in KINDS:
        shapes |= {"encoder.weight": (n_nodes, channels), "pre_bias": (channels,), "latent_bias": (n_nodes,)}
    if issubclass(KINDS.get(kind, Dictionary), BatchTopKSAE):
        shapes["threshold"] = ()
    if kind in LINEAR:
        shapes |= {"encoder.weight": (n_nodes, channels), "mean": (channels,)}
    check_tensors(tensors, shapes, where)
    if kind == RawChannels.kind:
        return RawChannels(channels, tensors["shift"], tensors["scale"])
    if kind in LINEAR:
        return build_linear(kind, tensors, where)
    normaliser = tensors["shift"], tensors["scale"]
    model = build(kind, channels, n_nodes, structure["k"], structure["layer_norm"], *normaliser)
    with torch.no_grad():
        model.encoder.copy_(tensors["encoder.weight"])
        model.decoder.copy_(tensors["decoder.weight"].t())
        model.pre_bias.copy_(tensors["pre_bias"])
        model.latent_bias.copy_(tensors["latent_bias"])
        if isinstance(model, BatchTopKSAE):
            model.threshold.copy_(tensors["threshold"])
    return model


def check_tensors(tensors: dict[str, torch.Tensor], shapes: dict[str, tuple], where: object = None) -> None:
    """Names and shapes are exactly those of ``shapes`` and every value is finite; else InputError."""
    if set(tensors) != set(shapes):
        raise InputError(
            "A checkpoint holds the wrong tensors", got=sorted(tensors), expected=sorted(shapes), where=where
        )
    for name, shape in shapes.items():
        if tuple(tensors[name].shape) != tuple(shape):
            raise InputError(
                f"Tensor '{name}' of a checkpoint has the wrong shape",
                got=tuple(tensors[name].shape),
                expected=tuple(shape),
                where=where,
            )
        if not tensors[name].is_floating_point() or not bool(torch.isfinite(tensors[name]).all()):
            raise InputError(f"Tensor '{name}' of a checkpoint is not finite floating point", where=where)


def save_checkpoint(model: Dictionary, folder: str | Path, config: dict | None = None) -> None:
    """Write ``model`` and ``config`` (plain values) into ``folder``, whole or not at all.

    Raises:
        ConfigError: ``config`` contradicts the model's structure.
    """
    clash = {k: config[k] for k, v in model.structure().items() if config and config.get(k, v) != v}
    if clash:
        raise ConfigError(
            "A checkpoint's config contradicts its model", got=clash, expected=model.structure()
        )
    model.config = {**(config or {}), **model.structure()}
    with atomic_directory(folder) as temporary:
        try:
            save_file(model_tensors(model), temporary / WEIGHTS)
        except SafetensorError as error:  # how it reports a full disk
            raise OSError(str(error)) from error
        write_json(temporary / CONFIG, model.config)


def load_checkpoint(folder: str | Path, channels: int | None = None, layer: str | None = None) -> Dictionary:
    """Read a model back; ``model.config`` is its ``config.json``.

    Args:
        folder: a folder that ``save_checkpoint`` wrote.
        channels, layer: what the caller is about to feed it; not checked if None.

    Raises:
        InputError: missing or damaged files, or another number of channels or layer.
    """
    folder = Path(folder)
    config = _read_config(folder / CONFIG)
    if channels is not None and channels != config["channels"]:
        raise InputError(
            "The checkpoint does not fit the activations",
            got=f"activations of {channels} channels",
            expected=f"{config['channels']} channels",
            where=folder,
            mend="use the store of the layer that the checkpoint was trained on",
        )
    trained_on = (config.get("layer") or {}).get("name")
    if layer is not None and trained_on is not None and trained_on != layer:
        raise InputError("The checkpoint is of another layer", got=layer, expected=trained_on, where=folder)
    path = folder / WEIGHTS
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError, ValueError) as error:
        raise InputError("Cannot read a checkpoint's weights", got=error, where=path) from error
    model = build_model(config, tensors, where=path)
    model.config = config
    return model.eval()


def _read_config(path: Path) -> dict:
    try:
        config = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InputError(
            "Cannot read a checkpoint's config",
            got=error,
            where=path,
            mend="give the folder that holds model.safetensors and config.json",
        ) from error
    wrong = [
        name
        for name, kind in _STRUCTURE.items()
        if not isinstance(config, dict) or type(config.get(name)) is not kind
    ]
    known = [*KINDS, RawChannels.kind, *LINEAR]
    if wrong or config["kind"] not in known:
        raise InputError(
            "A checkpoint's config is incomplete or of an unknown kind",
            got=config if wrong else config["kind"],
            expected=f"{list(_STRUCTURE)}, kind one of {known}",
            where=path,
        )
    return config
