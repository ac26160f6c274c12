"""Adam equals PyTorch's, whatever the number of threads, and goes on from its state."""

from __future__ import annotations

import pytest
import torch

from biosae.optimiser import Adam

SHAPES = [(700, 130), (700,), (130,), (3, 130)]


def parameters() -> list[torch.nn.Parameter]:
    generator = torch.Generator().manual_seed(0)
    found = [torch.nn.Parameter(torch.randn(shape, generator=generator)) for shape in SHAPES]
    for parameter in found:
        parameter.grad = torch.zeros_like(parameter)
    return found


def take_steps(own: list[torch.nn.Parameter], optimiser: Adam, steps: range) -> None:
    for step in steps:
        generator = torch.Generator().manual_seed(100 + step)
        for parameter in own:
            parameter.grad.copy_(torch.randn(parameter.shape, generator=generator))
        optimiser.step(1e-2 / (step + 1))


def test_equals_torch():
    own, theirs = parameters(), parameters()
    reference = torch.optim.Adam(theirs, lr=1.0)
    take_steps(own, Adam(own), range(5))
    for step in range(5):
        generator = torch.Generator().manual_seed(100 + step)
        for parameter in theirs:
            parameter.grad = torch.randn(parameter.shape, generator=generator)
        reference.param_groups[0]["lr"] = 1e-2 / (step + 1)
        reference.step()
    for mine, wanted in zip(own, theirs, strict=True):
        torch.testing.assert_close(mine, wanted)


@pytest.mark.parametrize("threads", [2, 3])
def test_same_bits_on_any_number_of_threads(threads, monkeypatch):
    monkeypatch.setattr("biosae.optimiser._SHARE", 100)
    alone, shared, before = parameters(), parameters(), torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        take_steps(alone, Adam(alone), range(4))
        torch.set_num_threads(threads)
        take_steps(shared, Adam(shared), range(4))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(a, b) for a, b in zip(alone, shared, strict=True))


def test_goes_on_from_its_state():
    whole, resumed = parameters(), parameters()
    take_steps(whole, Adam(whole), range(6))
    first = Adam(resumed)
    take_steps(resumed, first, range(3))
    second = Adam(resumed)
    second.load({name: value for name, value in first.state().items()})
    take_steps(resumed, second, range(3, 6))
    assert all(torch.equal(a, b) for a, b in zip(whole, resumed, strict=True))
