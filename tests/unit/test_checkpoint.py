"""A checkpoint explains itself, and refuses what does not fit."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from biosae.checkpoint import load_checkpoint, save_checkpoint
from biosae.errors import ConfigError, InputError
from biosae.linear import LINEAR, IndependentComponents
from biosae.model import KINDS, SAE, RawChannels, build

CONFIG = {"layer": {"name": "conv1d_2", "channels": 6}, "seed": 3}


@pytest.fixture
def model() -> SAE:
    rng = np.random.default_rng(0)
    return SAE(6, 12, 3, True, rng.normal(size=6), rng.random(6) + 0.5, seed=3)


def rows() -> np.ndarray:
    return np.random.default_rng(1).normal(3, 2, (40, 6)).astype(np.float32)


def edit_config(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def edit_weights(folder, **changes):
    path = folder / "model.safetensors"
    tensors = {**load_file(path), **changes}
    save_file({name: tensor for name, tensor in tensors.items() if tensor is not None}, path)


def test_round_trip(model, tmp_path):
    save_checkpoint(model, tmp_path / "a b'c", CONFIG)
    loaded = load_checkpoint(tmp_path / "a b'c", channels=6, layer="conv1d_2")
    for before, after in zip(model.encode_block(rows()), loaded.encode_block(rows()), strict=True):
        np.testing.assert_array_equal(before, after)
    assert loaded.config == {
        **CONFIG,
        "kind": "topk",
        "n_nodes": 12,
        "channels": 6,
        "k": 3,
        "layer_norm": True,
    }
    assert not loaded.training


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_round_trip_of_every_kind(kind, tmp_path):
    made = build(kind, 6, 12, 3, False, seed=1)
    if hasattr(made, "threshold"):
        made.threshold.fill_(0.4)
    save_checkpoint(made, tmp_path / "c")
    loaded = load_checkpoint(tmp_path / "c")
    assert type(loaded) is type(made)
    for before, after in zip(made.encode_block(rows()), loaded.encode_block(rows()), strict=True):
        np.testing.assert_array_equal(before, after)
    assert len(loaded.encode_block(rows()).values) > 0


def test_threshold_is_part_of_the_checkpoint(tmp_path):
    save_checkpoint(build("batchtopk", 6, 12, 3, False), tmp_path / "c")
    edit_weights(tmp_path / "c", threshold=None)
    with pytest.raises(InputError, match="wrong tensors"):
        load_checkpoint(tmp_path / "c")


def test_file_holds_the_named_tensors_and_the_normaliser(model, tmp_path):
    save_checkpoint(model, tmp_path / "c", CONFIG)
    tensors = load_file(tmp_path / "c" / "model.safetensors")
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    assert shapes == {
        "encoder.weight": (12, 6),
        "decoder.weight": (6, 12),
        "pre_bias": (6,),
        "latent_bias": (12,),
        "shift": (6,),
        "scale": (6,),
    }
    assert torch.equal(tensors["shift"], model.shift)
    np.testing.assert_array_equal(tensors["decoder.weight"].T.numpy(), model.decoder_directions())


def test_same_model_same_bytes(model, tmp_path):
    for name in "ab":
        save_checkpoint(model, tmp_path / name, CONFIG)
    for file in ("model.safetensors", "config.json"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_raw_round_trip(tmp_path):
    model = RawChannels(6, np.arange(6), np.arange(6) + 1.0)
    save_checkpoint(model, tmp_path / "c", {"normaliser": "standard"})
    loaded = load_checkpoint(tmp_path / "c")
    assert loaded.kind == "raw"
    np.testing.assert_array_equal(loaded.encode_block(rows()).values, model.encode_block(rows()).values)
    assert load_file(tmp_path / "c" / "model.safetensors")["decoder.weight"].shape == (6, 12)


@pytest.mark.parametrize("kind", sorted(LINEAR))
def test_linear_round_trip(kind, tmp_path):
    rng = np.random.default_rng(0)
    parts = rng.normal(size=(4, 6)), rng.normal(size=(4, 6)), rng.normal(size=6)
    model = LINEAR[kind](*parts, np.arange(6), np.arange(6) + 1.0)
    save_checkpoint(model, tmp_path / "c", {"role": kind})
    loaded = load_checkpoint(tmp_path / "c")
    assert type(loaded) is type(model)
    assert loaded.config == {**model.structure(), "role": kind}
    for before, after in zip(model.encode_block(rows()), loaded.encode_block(rows()), strict=True):
        np.testing.assert_array_equal(before, after)
    # arrays that lie otherwise in memory may be multiplied in another order: the last bit is the machine's
    torch.testing.assert_close(model(rows()).output, loaded(rows()).output, rtol=1e-6, atol=1e-6)
    shapes = {name: tuple(t.shape) for name, t in load_file(tmp_path / "c" / "model.safetensors").items()}
    assert shapes == {
        "decoder.weight": (6, 8),
        "encoder.weight": (8, 6),
        "mean": (6,),
        "shift": (6,),
        "scale": (6,),
    }


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda c: edit_weights(c, mean=None), "wrong tensors"),
        (lambda c: edit_weights(c, **{"encoder.weight": torch.ones(4, 3)}), "each component with both signs"),
        (lambda c: edit_weights(c, **{"decoder.weight": torch.ones(3, 4)}), "each component with both signs"),
        (lambda c: edit_config(c, kind="topk"), "wrong tensors"),
    ],
)
def test_damage_to_a_linear_dictionary_is_named(tmp_path, damage, message):
    parts = np.eye(2, 3), np.eye(2, 3), np.zeros(3)
    save_checkpoint(IndependentComponents(*parts), tmp_path / "c")
    damage(tmp_path / "c")
    with pytest.raises(InputError, match=message):
        load_checkpoint(tmp_path / "c")


def test_a_normaliser_is_not_lost(model, tmp_path):
    """Trap i: codes of raw activations after loading are those of training, not of unscaled input."""
    save_checkpoint(model, tmp_path / "c", CONFIG)
    codes = load_checkpoint(tmp_path / "c").encode_block(rows())
    edit_weights(tmp_path / "c", shift=torch.zeros(6), scale=torch.ones(6))
    unscaled = load_checkpoint(tmp_path / "c").encode_block(rows())
    np.testing.assert_array_equal(codes.values, model.encode_block(rows()).values)
    assert codes.values.sum() != unscaled.values.sum()


def test_wrong_channels_or_layer_are_refused(model, tmp_path):
    save_checkpoint(model, tmp_path / "c", CONFIG)
    with pytest.raises(InputError, match=r"does not fit the activations.*7 channels.*6 channels"):
        load_checkpoint(tmp_path / "c", channels=7)
    with pytest.raises(InputError, match=r"of another layer.*conv1d_1.*conv1d_2"):
        load_checkpoint(tmp_path / "c", layer="conv1d_1")


def test_a_config_that_contradicts_the_model_is_not_written(model, tmp_path):
    with pytest.raises(ConfigError, match="contradicts its model"):
        save_checkpoint(model, tmp_path / "c", {"k": 4})
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda c: (c / "config.json").unlink(), "Cannot read a checkpoint's config"),
        (lambda c: (c / "config.json").write_text("{"), "Cannot read a checkpoint's config"),
        (lambda c: (c / "config.json").write_text("[]"), "incomplete or of an unknown kind"),
        (lambda c: edit_config(c, kind="magic"), "unknown kind.*magic"),
        (lambda c: edit_config(c, k="3"), "incomplete"),
        (lambda c: edit_config(c, n_nodes=13), "'decoder.weight'.*wrong shape"),
        (lambda c: edit_weights(c, scale=None), "wrong tensors"),
        (lambda c: edit_weights(c, extra=torch.zeros(1)), "wrong tensors.*extra"),
        (lambda c: edit_weights(c, pre_bias=torch.full((6,), float("nan"))), "'pre_bias'.*not finite"),
        (lambda c: edit_weights(c, scale=torch.zeros(6)), "scale not 0"),
        (lambda c: (c / "model.safetensors").unlink(), "Cannot read a checkpoint's weights"),
        (lambda c: (c / "model.safetensors").write_bytes(b"x" * 100), "Cannot read a checkpoint's weights"),
    ],
)
def test_damage_is_named(model, tmp_path, damage, message):
    save_checkpoint(model, tmp_path / "c", CONFIG)
    damage(tmp_path / "c")
    with pytest.raises(InputError, match=message):
        load_checkpoint(tmp_path / "c")
