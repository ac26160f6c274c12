"""Hosts: early exit, replacement, one module a pass, geometry by gradient, weights that fit."""

import json

import numpy as np
import pytest
import torch
from helpers_hosts import LAYERS, TINY, Attending, Tiny, Unpadded, random_onehot, tiny_host
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from biosae.errors import ConfigError, ContractError, InputError
from biosae.geometry import Layer
from biosae.hosts.host import Host
from biosae.hosts.loading import HostSpec, find_factory, load_host
from biosae.hosts.measured_geometry import Measured, compare, measure
from biosae.hosts.modules import find_module
from biosae.hosts.onehot import encode, reverse_complement, reverse_complement_letters, unknown
from biosae.hosts.weights import load_weights, random_seed, weights_hash


def whole_pass(host, onehot):
    """What the module gives in a pass that goes on to the end."""
    seen = []
    handle = host.hooked.register_forward_hook(lambda *call: seen.append(call[-1].clone()))
    with torch.no_grad():
        host.module(onehot)
    handle.remove()
    return seen[0].transpose(1, 2)


@pytest.mark.parametrize("path", LAYERS)
def test_early_exit_equals_the_whole_pass_bit_for_bit(path):
    host, onehot = tiny_host(path), random_onehot(3, 64)
    found = host.activations(onehot)
    assert found.shape == (3, 64 // host.stride_bp, 6)
    assert torch.equal(found, whole_pass(host, onehot))


def test_early_exit_ends_the_pass():
    host = tiny_host("tower.0")
    host.module.head.forward = None  # calling it would fail
    assert host.activations(random_onehot(1, 64)).shape == (1, 32, 6)


def test_a_failed_pass_leaves_no_hook_behind():
    host = tiny_host()
    with pytest.raises(RuntimeError):
        host.activations(torch.zeros(1, 5, 64))
    assert not host.hooked._forward_hooks


def test_a_replacement_by_itself_changes_nothing_and_by_zeros_does():
    host, onehot = tiny_host(), random_onehot(2, 64)
    plain = host.outputs(onehot)
    assert plain.shape == (2, 16, 2)  # bins of 4 bp, then tracks
    assert torch.equal(plain, host.outputs(onehot, lambda x: x))
    zero = host.outputs(onehot, torch.zeros_like)
    assert not torch.allclose(plain, zero)
    assert torch.allclose(zero, zero[:, :1].expand_as(zero))  # nothing of the sequence is left


def test_what_a_replacement_is_given_is_what_activations_gives():
    host, onehot, seen = tiny_host(), random_onehot(2, 64), []
    host.outputs(onehot, lambda x: seen.append(x.clone()) or x)
    assert torch.equal(seen[0], host.activations(onehot))


def test_a_replacement_of_another_shape_is_refused():
    with pytest.raises(ContractError, match="another shape"):
        tiny_host().outputs(random_onehot(1, 64), lambda x: x[:, :1])


def test_bins_lie_in_the_middle_of_the_input():
    host = Host(Tiny(), LAYERS["tower.3"], bin_bp=4)
    assert host.bins(64, 16) == (0, 4)
    assert host.bins(64, 10) == (12, 4)
    assert tiny_host().bins(64, 16) == (0, 4)


@pytest.mark.parametrize("length", [63, 66, 2])
def test_a_length_that_a_pool_rounds_down_is_refused(length):
    with pytest.raises(ConfigError, match=r"multiple of the stride"):
        tiny_host().activations(torch.zeros(1, 4, length))


def test_a_module_that_is_not_there_names_the_nearest():
    with pytest.raises(ConfigError, match=r"tower\.7.*nearest: tower\."):
        find_module(Tiny(), "tower.7")


@pytest.mark.parametrize("path", ["pool", "tower.2"])
def test_a_shared_pool_is_refused_under_each_of_its_names(path):
    with pytest.raises(ConfigError, match="the same module as"):
        find_module(Tiny(), path)


def test_a_module_that_runs_twice_a_pass_is_refused():
    host = Host(Tiny(), Layer("act", "act", 6, 4, 11, 15))
    assert host.count_calls(random_onehot(1, 64)) == 2
    with pytest.raises(ConfigError, match="runs 2 times"):
        host.outputs(random_onehot(1, 64))


def test_another_number_of_channels_is_refused():
    with pytest.raises(ConfigError, match="does not have the channels"):
        Host(Tiny(), Layer("tower.3", "tower.3", 7, 4, 11, 15))


def test_channels_are_told_from_positions_of_the_same_number():
    # 128 positions of 4 bp in the length that is tried first
    host = Host(Tiny(width=128), Layer("tower.3", "tower.3", 128, 4, 11, 15))
    assert host.activations(random_onehot(1, 512)).shape == (1, 128, 128)
    assert torch.equal(host.activations(random_onehot(1, 512)), whole_pass(host, random_onehot(1, 512)))


def test_channels_that_are_last_stay_so():
    host = Host(Attending(), Layer("last", "last", 5, 4, 0, 4), tracks_first=False)
    assert host.activations(random_onehot(1, 64)).shape == (1, 16, 5)
    assert host.outputs(random_onehot(1, 64)).shape == (1, 16, 5)


def test_a_gpu_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="No CUDA device"):
        load_host(HostSpec(LAYERS["tower.3"], "random:0", factory="helpers_hosts:tiny", device="cuda"))


@pytest.mark.parametrize("path", LAYERS)
def test_the_gradient_shows_the_geometry_that_counting_gives(path):
    layer = LAYERS[path]
    for seed in range(3):
        found = measure(tiny_host(path, seed), seed=seed)
        assert found == Measured(layer.stride_bp, layer.left_bp, layer.right_bp, False)
    assert compare(layer, found) is None


def test_a_network_without_padding_is_measured_too():
    host = Host(Unpadded(), Layer("only", "only", 3, 2, 0, 6))
    assert measure(host) == Measured(2, 0, 6, False)


def test_a_layer_that_reads_everything_is_called_so():
    found = measure(Host(Attending(), Layer("last", "last", 5, 4, 0, 4)), longest_bp=4096)
    assert found.whole_window and found.stride_bp == 4
    assert "reads the whole input" in compare(Layer("last", "last", 5, 4, 0, 4), found)


@pytest.mark.parametrize(("stride", "left", "right"), [(4, 10, 15), (4, 11, 14), (8, 11, 15), (4, 15, 11)])
def test_a_claim_that_leaves_out_bases_is_refused(stride, left, right):
    with pytest.raises(InputError, match="not what its gradient shows"):
        compare(Layer("mine", "tower.3", 6, stride, left, right), Measured(4, 11, 15, False))


def test_a_wider_claim_is_warned_of():
    assert "wider" in compare(Layer("mine", "tower.3", 6, 4, 12, 15), Measured(4, 11, 15, False))


def test_random_weights_are_of_their_seed_and_leave_other_random_numbers_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    hashes = [weights_hash(load_host(spec).module) for spec in (TINY, TINY)]
    assert torch.equal(torch.rand(3), expected)
    other = weights_hash(load_host(HostSpec(TINY.layer, "random:2", factory=TINY.factory)).module)
    assert hashes[0] == hashes[1] != other


@pytest.mark.parametrize("weights", ["johahi/borzoi-replicate-0", "gone.safetensors"])
def test_weights_are_a_local_path_or_a_seed(weights):
    with pytest.raises(ConfigError, match="not there") as caught:
        random_seed(weights)
    assert ("hub" in str(caught.value)) == ("/" in weights)


def test_a_seed_must_be_a_number():
    with pytest.raises(ConfigError, match="need a seed"):
        random_seed("random:x")


@pytest.mark.parametrize("form", ["safetensors", "pt", "folder", "wrapped"])
def test_weights_come_from_a_file(tmp_path, form):
    state = tiny_host(seed=7).module.state_dict()
    path = tmp_path / ("model.safetensors" if form in ("safetensors", "folder") else "weights.pt")
    if path.suffix == ".pt":
        torch.save({"state_dict": state} if form == "wrapped" else state, path)
    else:
        save_file(state, path)
    named = str(tmp_path if form == "folder" else path)
    host = load_host(HostSpec(TINY.layer, named, factory=TINY.factory, device="cpu"))
    assert weights_hash(host.module) == weights_hash(tiny_host(seed=7).module)


def test_weights_that_do_not_fit_are_counted_and_named(tmp_path):
    state = Tiny(width=5).state_dict()
    state["extra"] = state.pop("first.bias")
    save_file(state, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({"dim": 1536, "other": 1}))
    with pytest.raises(InputError) as caught:
        load_weights(Tiny(), tmp_path / "model.safetensors")
    message = str(caught.value)
    assert "1 tensors missing in the file: first.bias" in message
    assert "1 tensors not in the model: extra" in message
    assert "3 tensors of another shape: head.weight (2, 5, 1), the model's (2, 6, 1)" in message
    assert "{'dim': 1536}" in message


@pytest.mark.parametrize("content", [b"no weights", b""])
@pytest.mark.parametrize("name", ["w.safetensors", "w.pt"])
def test_a_damaged_file_of_weights_is_refused(tmp_path, content, name):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match="Cannot read the weights"):
        load_weights(Tiny(), tmp_path / name)


def test_a_pickle_with_code_is_refused(tmp_path):
    torch.save({"first.weight": print}, tmp_path / "w.pt")
    with pytest.raises(InputError, match="Cannot read the weights"):
        load_weights(Tiny(), tmp_path / "w.pt")


@pytest.mark.parametrize("name", ["tiny", "helpers_hosts:gone", "no_such_package:tiny", ":x"])
def test_a_factory_that_cannot_be_had_is_refused(name):
    with pytest.raises(ConfigError):
        find_factory(name)


def test_arguments_that_a_factory_does_not_take_are_refused():
    with pytest.raises(ConfigError, match="does not take these arguments"):
        load_host(HostSpec(TINY.layer, "random:0", factory=TINY.factory, arguments={"depth": 3}))


def test_letters_become_numbers():
    found = encode(np.frombuffer(b"ACGTacgtNR", np.uint8))
    assert found.shape == (1, 4, 10)
    assert found[0].argmax(0)[:8].tolist() == [0, 1, 2, 3, 0, 1, 2, 3]
    assert found.sum() == 8 and not found[0, :, 8:].any()
    assert unknown(np.frombuffer(b"aCNrT", np.uint8)).tolist() == [False, False, True, True, False]


@settings(max_examples=50, deadline=None)
@given(st.text(alphabet="ACGTNacgtn", min_size=1, max_size=40))
def test_the_other_strand_is_the_same_by_letters_and_by_numbers(text):
    letters = np.frombuffer(text.encode(), np.uint8)
    other = reverse_complement_letters(letters)
    assert np.array_equal(encode(other), reverse_complement(encode(letters)))
    assert np.array_equal(reverse_complement_letters(other), letters)
    if set(text) <= set("AC"):
        assert other.tobytes().decode() == text[::-1].translate(str.maketrans("AC", "TG"))
