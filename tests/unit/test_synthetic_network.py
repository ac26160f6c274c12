"""The simulated network: a geometry that is measured, detections as a slow reference, superposition."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers_synthetic import DATABASE, PLANTED, small

from biosae.geometry import Layer
from biosae.synthetic import elements
from biosae.synthetic import network as networks
from biosae.synthetic.detectors import Detector
from biosae.synthetic.matrices import BACKGROUND
from biosae.synthetic.simulate import planted_motifs


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def network() -> networks.Network:
    planted, _ = planted_motifs(DATABASE, PLANTED)
    consensus = np.random.default_rng(0).integers(0, 4, elements.REPEAT_BP).astype(np.int8)
    return networks.build_network(planted, consensus, small())


def test_geometry_is_exact(network: networks.Network) -> None:
    """A base outside the window changes nothing at all; the first and last base inside change something."""
    layer = network.layer
    assert layer == Layer("synthetic", "", 10, 4, 9, 13)
    rng = np.random.default_rng(1)
    changed = np.zeros(layer.window_bp + 20, dtype=int)
    position = 20
    first = layer.stride_bp * position - layer.left_bp - 10
    open_gates = [
        Detector(**{**vars(d), "threshold": -1e3}) for d in network.detectors
    ]  # every detector passes its score on, so that every base that is read shows
    open_network = networks.Network(**{**vars(network), "detectors": open_gates})
    for _ in range(12):
        bases = rng.integers(0, 4, 200).astype(np.int8)
        before, _ = networks.detect(open_network, bases)
        for i in range(len(changed)):
            other = bases.copy()
            other[first + i] = (other[first + i] + rng.integers(1, 4)) % 4
            after, _ = networks.detect(open_network, other)
            changed[i] += int((after[position] != before[position]).any())
    assert (changed[:10] == 0).all()
    assert (changed[-10:] == 0).all()
    assert (changed[10:-10] > 0).all()


def test_detect_equals_a_slow_reference(network: networks.Network) -> None:
    rng = np.random.default_rng(2)
    bases = rng.integers(0, 4, 120).astype(np.int8)
    bases[40:48] = elements.N_BASE
    planted = network.detectors[0]
    site = planted.filter.argmax(axis=1)[planted.offset : planted.offset + planted.width]
    bases[61 : 61 + planted.width] = site
    activation, site_start = networks.detect(network, bases)
    left, stride, width = network.layer.left_bp, network.layer.stride_bp, len(planted.filter)
    for j in range(len(activation)):
        for number, detector in enumerate(network.detectors):
            scores = [
                sum(
                    detector.filter[i, bases[p + i]]
                    for i in range(width)
                    if 0 <= p + i < len(bases) and bases[p + i] < 4
                )
                for p in range(stride * j - left, stride * j - left + stride)
            ]
            expected = max(max(scores) - detector.threshold, 0) / detector.scale * detector.gain
            assert activation[j, number] == pytest.approx(expected, abs=1e-4)
            if expected > 0:
                assert site_start[j, number] == stride * j - left + int(np.argmax(scores)) + detector.offset
    assert 61 in site_start[activation[:, 0] > 0, 0]


def test_superposition_and_palindromes(network: networks.Network) -> None:
    scored = [d for d in network.detectors if d.kind != "distractor"]
    assert len(scored) > network.layer.channels
    strands = {name: {d.strand for d in scored if d.motif == name} for name in PLANTED}
    assert strands == {name: {"+"} if name == "MA0113.4" else {"+", "-"} for name in PLANTED}
    assert np.linalg.norm(network.mixing, axis=1) == pytest.approx(1)
    mates = {d.name: d for d in scored}
    turned = mates["MA0139.2-"].filter[::-1, ::-1]
    kept = turned[turned.any(axis=1)]
    other = mates["MA0139.2+"].filter
    assert np.allclose(BACKGROUND, BACKGROUND[::-1])  # so that both strands score alike
    assert kept == pytest.approx(other[other.any(axis=1)])
