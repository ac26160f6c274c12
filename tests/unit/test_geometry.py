"""Geometry: literal windows, and the same windows measured by gradient on small networks."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from biosae.errors import ConfigError
from biosae.geometry import BORZOI_LAYERS, Layer, find_layer

BORZOI_TABLE = [  # name, module, channels, stride_bp, left_bp, right_bp, width
    ("conv1d_1", "res_tower.0", 608, 2, 11, 13, 24),
    ("conv1d_2", "res_tower.2", 736, 4, 19, 23, 42),
    ("conv1d_3", "res_tower.4", 896, 8, 35, 43, 78),
    ("conv1d_4", "res_tower.6", 1056, 16, 67, 83, 150),
]


def bases_read(network: torch.nn.Module, length_bp: int, position: int) -> tuple[int, int]:
    """First and last + 1 input base with a gradient at one output position."""
    x = torch.rand(1, 4, length_bp, requires_grad=True)
    network(x)[0, :, position].sum().backward()
    read = torch.nonzero(x.grad.abs().sum(dim=(0, 1))).ravel()
    return int(read[0]), int(read[-1]) + 1


def positive(network: torch.nn.Sequential) -> torch.nn.Sequential:
    """The network with positive weights, so that no two paths of the gradient cancel."""
    for values in network.parameters():
        torch.nn.init.uniform_(values, 0.5, 1.0)
    return network


def borzoi_like(depth: int) -> torch.nn.Sequential:
    """Borzoi's first layers in miniature: width 15, then `depth` times (pool 2, width 5).

    Average pools stand for its max pools: same bases, and every one has a gradient.
    """
    steps: list[torch.nn.Module] = [torch.nn.Conv1d(4, 3, 15, padding=7)]
    for _ in range(depth):
        steps += [torch.nn.AvgPool1d(2), torch.nn.Conv1d(3, 3, 5, padding=2)]
    return positive(torch.nn.Sequential(*steps))


@pytest.mark.parametrize(("name", "module", "channels", "stride", "left", "right", "width"), BORZOI_TABLE)
def test_borzoi_table(name, module, channels, stride, left, right, width):
    layer = find_layer(name)
    assert layer == Layer(name, module, channels, stride, left, right)
    assert layer.window_bp == width


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_borzoi_windows_by_gradient(depth):
    layer = BORZOI_LAYERS[f"conv1d_{depth}"]
    network = borzoi_like(depth)
    for position in (10, 17):
        start, end = layer.window(0, np.array([position]))
        assert bases_read(network, 1024, position) == (start[0], end[0])


@pytest.mark.parametrize(
    ("network", "stride", "left", "right"),
    [
        # one convolution of width 7, stride 3, no padding: output j reads [3j, 3j + 7)
        (torch.nn.Sequential(torch.nn.Conv1d(4, 2, 7, stride=3)), 3, 0, 7),
        # width 5 with padding 2, then pool 4, then width 3 with padding 1:
        # the last reads pools j-1..j+1, that is bases 4(j-1)-2 .. 4(j+1)+3+2
        (
            torch.nn.Sequential(
                torch.nn.Conv1d(4, 2, 5, padding=2),
                torch.nn.AvgPool1d(4),
                torch.nn.Conv1d(2, 2, 3, padding=1),
            ),
            4,
            6,
            10,
        ),
        # dilation: width 3 at dilation 4, padding 4, stride 2 reads 2j-4, 2j, 2j+4
        (torch.nn.Sequential(torch.nn.Conv1d(4, 2, 3, stride=2, padding=4, dilation=4)), 2, 4, 5),
    ],
)
def test_other_networks_by_gradient(network, stride, left, right):
    layer = find_layer("mine", {"channels": 2, "stride_bp": stride, "left_bp": left, "right_bp": right})
    for position in (5, 9):
        start, end = layer.window(0, np.array([position]))
        assert bases_read(positive(network), 120, position) == (start[0], end[0])


def test_max_pool_reads_no_other_bases():
    torch.manual_seed(0)
    network = positive(
        torch.nn.Sequential(
            torch.nn.Conv1d(4, 3, 15, padding=7), torch.nn.MaxPool1d(2), torch.nn.Conv1d(3, 3, 5, padding=2)
        )
    )
    spans = [bases_read(network, 128, 20) for _ in range(40)]  # a pool passes its largest input only
    assert (min(first for first, _ in spans), max(last for _, last in spans)) == (2 * 20 - 11, 2 * 20 + 13)


def test_literal_windows():
    layer = find_layer("conv1d_2")
    start, end = layer.window(np.array([1000, 1000, 500]), np.array([0, 3, 1]))
    assert start.tolist() == [981, 993, 485]
    assert end.tolist() == [1023, 1035, 527]
    start, end = layer.window(np.array([1000]), np.array([3]), window_bp=18)  # published width: centre 1014
    assert (start.tolist(), end.tolist()) == ([1005], [1023])
    start, end = layer.window(np.array([1000]), np.array([3]), window_bp=5)  # odd remainder to the right
    assert (start.tolist(), end.tolist()) == ([1012], [1017])


def test_windows_are_not_clipped():
    start, _ = find_layer("conv1d_1").window(0, np.array([0]))
    assert start.tolist() == [-11]


def test_unknown_layer_says_what_is_needed():
    with pytest.raises(ConfigError, match=r"layer 'mine' is not known.*stride_bp"):
        find_layer("mine", {"channels": 3})


def test_contradicted_layer_is_refused():
    with pytest.raises(
        ConfigError, match=r"contradicts the measured one.*\{'left_bp': 8\}.*\{'left_bp': 19\}"
    ):
        find_layer("conv1d_2", {"left_bp": 8})
    assert find_layer("conv1d_2", {"left_bp": 19, "right_bp": None}).window_bp == 42


def test_nonsense_layers_are_refused():
    with pytest.raises(ConfigError, match="channels >= 1, stride_bp >= 1"):
        Layer("x", "", 3, 0, 1, 1)
    with pytest.raises(ConfigError, match="left_bp \\+ right_bp >= 1"):
        Layer("x", "", 3, 2, 5, -5)
    with pytest.raises(ConfigError, match="incomplete"):
        Layer.from_dict({"name": "x", "channels": 3})


def test_layer_survives_its_dict():
    layer = find_layer("conv1d_3")
    assert Layer.from_dict(layer.as_dict()) == layer
