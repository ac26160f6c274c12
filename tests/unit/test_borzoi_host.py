"""Borzoi as borzoi-pytorch builds it: what is known of its layers, and a guard for each of its traps."""

import pytest
import torch
from helpers_hosts import random_onehot

from biosae.errors import ConfigError
from biosae.geometry import BORZOI_LAYERS
from biosae.hosts import borzoi
from biosae.hosts.loading import HostSpec, load_host
from biosae.hosts.measured_geometry import Measured, compare, measure

pytest.importorskip("borzoi_pytorch", reason="needs requirements-borzoi.txt (make test-borzoi installs it)")
pytestmark = pytest.mark.borzoi

SMALL = {"depth": 0, "dim": 32, "bins_to_return": -1, "enable_human_head": False}


def small(layer="conv1d_2", module=None, **arguments):
    spec = HostSpec(
        BORZOI_LAYERS[layer], "random:0", arguments={**SMALL, **arguments}, module=module, device="cpu"
    )
    return load_host(spec)


@pytest.fixture(scope="module")
def attending():
    """A small Borzoi with one attention block and a head of its own width."""
    return small(depth=1, heads=2, enable_human_head=True)


@pytest.mark.parametrize("name", BORZOI_LAYERS)
def test_known_layers_have_the_geometry_that_their_gradient_shows(name):
    host = small(name)
    layer = BORZOI_LAYERS[name]
    found = measure(host)
    assert found == Measured(layer.stride_bp, layer.left_bp, layer.right_bp, False)
    assert compare(layer, found) is None
    assert host.activations(random_onehot(1, 1024)).shape == (1, 1024 // layer.stride_bp, layer.channels)


def test_early_exit_is_the_tower_cut_short_bit_for_bit():
    host, onehot = small(), random_onehot(1, 2048)
    with torch.no_grad():
        expected = host.module.res_tower[:3](host.module.conv_dna(onehot)).transpose(1, 2)
    assert torch.equal(host.activations(onehot), expected)


@pytest.mark.parametrize("module", ["res_tower.1", "_max_pool", "unet1.0", "upsample"])
def test_a_shared_module_of_the_tower_is_refused(module):
    with pytest.raises(ConfigError, match="stands at several places"):
        small(module=module)


def test_positions_of_another_length_are_forgotten(attending):
    long, short = random_onehot(1, 1024, 1), random_onehot(1, 512, 2)
    attending.outputs(long)
    after_another = attending.outputs(short)
    fresh = small(depth=1, heads=2, enable_human_head=True).outputs(short)
    assert torch.equal(after_another, fresh)


def test_without_the_guard_they_are_not():
    """The trap itself: where this fails, borzoi-pytorch has mended it and the guard can go."""
    host = small(depth=1, heads=2, enable_human_head=True)
    short = random_onehot(1, 512, 2)
    expected = host.outputs(short)
    attention = [m for m in host.module.modules() if hasattr(m, "num_rel_pos_features")]
    assert attention
    for module in attention:
        module._forward_pre_hooks.clear()
        module.positions = None
    host.outputs(random_onehot(1, 1024, 1))
    try:
        wrong = host.outputs(short)
    except RuntimeError:
        return  # refused: a fault as well, but not a silent one
    assert not torch.allclose(wrong, expected)


def test_outputs_have_bins_of_32_bp(attending):
    found = attending.outputs(random_onehot(1, 1024))
    assert found.shape == (1, 32, 7611)
    assert attending.bins(1024, 32) == (0, 32)


def test_a_length_that_does_not_fit_the_skip_connections_is_refused(attending):
    with pytest.raises(ConfigError, match="multiple of 128"):
        attending.outputs(random_onehot(1, 1024 + 32))


@pytest.mark.parametrize(("target", "length"), [(6144, 1024), (7, 256), (3, 256)])
def test_a_crop_that_does_not_fit_is_refused(target, length):
    host = small(enable_human_head=True, bins_to_return=target)
    with pytest.raises(ConfigError, match=r"bins_to_return: -1"):
        host.outputs(random_onehot(1, length))


def test_an_even_crop_is_taken_from_the_middle():
    host, onehot = small(enable_human_head=True, bins_to_return=4), random_onehot(1, 256)
    whole = small(enable_human_head=True).outputs(onehot)
    assert torch.equal(host.outputs(onehot), whole[:, 2:6])
    assert host.bins(256, 4) == (64, 32)


def test_activations_need_no_crop():
    assert small(bins_to_return=6144).activations(random_onehot(1, 512)).shape == (1, 128, 736)


@pytest.mark.parametrize("head", ["human", "mouse"])
def test_outputs_without_a_head_are_refused(head):
    spec = HostSpec(BORZOI_LAYERS["conv1d_1"], "random:0", arguments=SMALL, head=head, device="cpu")
    with pytest.raises(ConfigError, match=f"no {head} head"):
        load_host(spec).outputs(random_onehot(1, 256))


def test_the_mouse_head_has_its_own_tracks():
    arguments = {**SMALL, "enable_mouse_head": True}
    spec = HostSpec(BORZOI_LAYERS["conv1d_1"], "random:0", arguments=arguments, head="mouse", device="cpu")
    assert load_host(spec).outputs(random_onehot(1, 256)).shape == (1, 8, 2608)


def test_an_unknown_argument_is_refused():
    with pytest.raises(ConfigError, match=r"no such argument.*dept"):
        borzoi.build(dept=0)


def test_a_layer_that_is_not_there_names_the_nearest():
    with pytest.raises(ConfigError, match=r"res_tower\.22.*nearest: res_tower\.2"):
        small(module="res_tower.22")
