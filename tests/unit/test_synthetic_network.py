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


@pytest.fixture(scope="module")
def paired() -> networks.Network:
    """Pairs with a palindrome, without spacing, and of one motif with itself."""
    ctcf, nr3c1, esrrb, _ = PLANTED
    pairs = ((nr3c1, ctcf, 0), (esrrb, esrrb, 3), (ctcf, esrrb, 7))
    planted, _ = planted_motifs(DATABASE, PLANTED)
    consensus = np.random.default_rng(0).integers(0, 4, elements.REPEAT_BP).astype(np.int8)
    return networks.build_network(planted, consensus, small(pairs=pairs))


def test_pairs_equal_a_slow_reference(paired: networks.Network) -> None:
    """A pair's activation from its halves' scores at every start of the window, on a planted pair."""
    rng = np.random.default_rng(5)
    pairs = [(i, d) for i, d in enumerate(paired.detectors) if d.kind == "pair"]
    assert len(pairs) == 6
    layer, fired = paired.layer, 0
    for number, d in pairs:
        bases = rng.integers(0, 4, 160).astype(np.int8)
        for half in (d.filter, d.partner.filter):  # the best word of each half, at its place in the frame
            at = np.flatnonzero(half.any(axis=1))
            bases[41 + at] = half.argmax(axis=1)[at]
        activation, site_start = networks.detect(paired, bases)
        for j in range(len(activation)):
            starts = range(layer.stride_bp * j - layer.left_bp, layer.stride_bp * (j + 1) - layer.left_bp)
            least = [
                min(
                    (_score(half.filter, bases, start) - half.threshold) / half.scale
                    for half in (d, d.partner)
                )
                for start in starts
            ]
            expected = max(max(least), 0) * d.gain
            assert activation[j, number] == pytest.approx(expected, abs=1e-4)
            if expected > 0:
                assert site_start[j, number] == starts[int(np.argmax(least))] + d.offset
                fired += 1
    assert fired >= len(pairs)


def _score(weights: np.ndarray, bases: np.ndarray, start: int) -> float:
    inside = [i for i in range(len(weights)) if 0 <= start + i < len(bases)]
    return float(sum(weights[i, bases[start + i]] for i in inside))


def test_a_pairs_halves_lie_at_its_spacing_inside_the_frame(paired: networks.Network) -> None:
    singles = {(d.motif, d.strand): d for d in paired.detectors if d.kind == "motif"}
    for d in paired.detectors:
        if d.kind != "pair":
            continue
        own, other = (np.flatnonzero(half.any(axis=1)) for half in (d.filter, d.partner.filter))
        gap = other[0] - own[-1] - 1 if d.strand == "+" else own[0] - other[-1] - 1
        assert gap == d.partner.spacing_bp
        parent = singles.get((d.anchor, d.strand), singles[d.anchor, "+"])
        assert (d.offset, d.threshold) == (parent.offset, parent.threshold)  # so that it fires where it does
        assert (d.filter == parent.filter).all()
    assert paired.layer.window_bp == 15 + 2 * (7 + 10) + 4 - 1  # room for the widest pair on either side


def test_a_network_without_pairs_keeps_its_window() -> None:
    planted, _ = planted_motifs(DATABASE, PLANTED)
    consensus = np.zeros(elements.REPEAT_BP, dtype=np.int8)
    one = networks.build_network(planted, consensus, small(superposition=1.0))
    scored = [d for d in one.detectors if d.kind != "distractor"]
    assert one.mixing.shape == (len(one.detectors), len(scored))
    assert np.linalg.matrix_rank(one.mixing[: len(scored)]) == len(scored)  # as many directions as detectors
    assert one.layer == Layer("synthetic", "", len(scored), 4, 9, 13)
