"""Adam (Kingma and Ba, arXiv 1412.6980, algorithm 1), in PyTorch's fused kernel, spread over threads by us.

PyTorch's own spreading waits at a barrier that spins: where other work takes a core, a step of a small
model took 24 ms instead of 0.1. Here rows of the weights are shared out as ``biosae.parallel`` does it;
Adam works on each number alone, so results do not depend on how.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from biosae.parallel import run_chunks

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8  # the paper's, section 2
_SHARE = 2**16  # numbers that are worth handing to another thread
_ALIGNED = 64  # rows


class Adam:
    """First and second moments of parameters that keep their tensors and their ``grad`` tensors.

    Args:
        parameters: with ``grad`` already there (``biosae.step`` makes it).
    """

    def __init__(self, parameters: Iterable[Tensor]):
        self.parameters = list(parameters)
        self.first = [torch.zeros_like(parameter) for parameter in self.parameters]
        self.second = [torch.zeros_like(parameter) for parameter in self.parameters]
        self.steps = 0

    @torch.no_grad()
    def step(self, learning_rate: float) -> None:
        """Move every parameter by its gradient."""
        self.steps += 1
        columns = [p.detach() for p in self.parameters], [p.grad for p in self.parameters]
        rows = list(zip(*columns, self.first, self.second, strict=True))
        numbers = sum(parameter.numel() for parameter in self.parameters)
        on_cpu = self.parameters[0].device.type == "cpu"
        shares = max(1, min(torch.get_num_threads(), numbers // _SHARE)) if on_cpu else 1

        def move(share: int, _: int) -> None:
            parts = [[_slice(tensor, share, shares) for tensor in row] for row in rows]
            parts = [part for part in parts if len(part[0])]
            tensors = [list(column) for column in zip(*parts, strict=True)]
            steps = [torch.full((), float(self.steps), device=part[0].device) for part in parts]
            torch._fused_adam_(
                *tensors, [], steps,
                amsgrad=False, lr=learning_rate, beta1=BETA1, beta2=BETA2,
                weight_decay=0.0, eps=EPSILON, maximize=False,
            )  # fmt: skip

        run_chunks(move, [(share, share + 1) for share in range(shares)])

    def state(self) -> dict:
        """What ``load`` takes: moments and the number of steps."""
        return {"first": self.first, "second": self.second, "steps": self.steps}

    @torch.no_grad()
    def load(self, state: dict) -> None:
        """Continue from ``state``."""
        for own, saved in zip(self.first + self.second, state["first"] + state["second"], strict=True):
            own.copy_(saved)
        self.steps = state["steps"]


def _slice(tensor: Tensor, share: int, shares: int) -> Tensor:
    """Rows of one of ``shares`` nearly equal pieces; may be empty.

    Pieces begin at multiples of 64 rows: the kernel's vectors then end where they would end in the
    whole, and the last bits are the same.
    """
    blocks = -(-len(tensor) // _ALIGNED)
    return tensor[blocks * share // shares * _ALIGNED : blocks * (share + 1) // shares * _ALIGNED]
