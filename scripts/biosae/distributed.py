"""Several processes that train one model, each on its share of every batch (started by ``torchrun``).

Gradients of the shares are already divided by the rows of the whole batch, so that their sum is the
whole batch's gradient: one all-reduce a step of one flat buffer. Every process holds the same
weights and counters and takes the same decisions; rank 0 alone validates and writes. What is
decided (stop, save, an error on some rank) goes through a second, small all-reduce on the CPU at the
start of each step, so that no process waits for one that has failed.

Written for NCCL on GPUs and gloo on CPUs; tested with two CPU processes only, and not measured on
several GPUs. Kinds whose codes depend on the whole batch (batchtopk, matryoshka)
choose them within each share, and take the mean of the shares' thresholds.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor

from biosae.errors import BiosaeError, ConfigError

_TIMEOUT = timedelta(hours=2)  # ranks wait for as long as rank 0 validates


class PeerError(BiosaeError):
    """Another process of the job failed; its message is in this one."""


class Ranks:
    """The processes of a job. Alone (world 1) every method does nothing.

    Attributes:
        rank, world: this process and how many there are.
    """

    def __init__(self, rank: int = 0, world: int = 1):
        self.rank, self.world = rank, world

    @classmethod
    def start(cls, device: torch.device) -> tuple[Ranks, torch.device]:
        """Join the job that ``torchrun`` describes in the environment; this process's device.

        Raises:
            ConfigError: more processes on this machine than GPUs.
        """
        world = int(os.environ.get("WORLD_SIZE", "1"))
        if world == 1:
            return cls(), device
        if device.type == "cuda":
            local = int(os.environ["LOCAL_RANK"])
            if local >= torch.cuda.device_count():
                raise ConfigError(
                    "There are fewer GPUs than processes",
                    got=f"{torch.cuda.device_count()} GPUs, {os.environ['LOCAL_WORLD_SIZE']} processes",
                    mend="ask for as many GPUs as torchrun starts processes (sae.gpus)",
                )
            device = torch.device("cuda", local)
            torch.cuda.set_device(device)
        backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
        dist.init_process_group(backend, timeout=_TIMEOUT)
        return cls(dist.get_rank(), world), device

    @property
    def is_main(self) -> bool:
        """Whether this is rank 0, which validates and writes."""
        return self.rank == 0

    def close(self) -> None:
        """Leave the job; what follows runs on its own."""
        if self.world > 1:
            self.agree(None)  # wait for all
            dist.destroy_process_group()

    def sum(self, values: Tensor) -> Tensor:
        """Sum over all ranks, in place."""
        if self.world > 1:
            dist.all_reduce(values)
        return values

    def agree(self, error: Exception | None, *flags: bool) -> list[bool]:
        """Flags that are true on any rank. An error on any rank is raised on all.

        Raises:
            error itself where it happened, PeerError with its message on the other ranks.
        """
        if self.world > 1:
            raised = torch.tensor([error is not None, *flags], dtype=torch.int32)
            dist.all_reduce(raised, dist.ReduceOp.MAX)
            failed, *flags = raised.tolist()
            if failed and error is None:
                error = PeerError(self._message(None))
            elif failed:
                self._message(error)
        if error is not None:
            raise error
        return [bool(flag) for flag in flags]

    def _message(self, error: Exception | None) -> str:
        mine = None if error is None else f"Process {self.rank} of the job failed: {_say(error)}"
        found: list = [None] * self.world
        dist.all_gather_object(found, mine)
        return next(text for text in found if text)

    def from_main(self, work: Callable[[], object]) -> object:
        """What ``work`` gives on rank 0, on all ranks (plain values); its error is raised on all.

        Raises:
            the error itself on rank 0, PeerError elsewhere.
        """
        value, error = None, None
        if self.is_main:
            try:
                value = work()
            except Exception as caught:
                error = caught
        self.agree(error)
        if self.world == 1:
            return value
        shared = [value]
        dist.broadcast_object_list(shared, src=0, device=torch.device("cpu"))
        return shared[0]


def _say(error: Exception) -> str:
    return str(error) if isinstance(error, BiosaeError) else f"{type(error).__name__}: {error}"


ALONE = Ranks()


class Bucket:
    """One flat buffer for a model's gradients and its active nodes, summed over ranks in one piece.

    Args:
        ranks: the processes.
        parameters: of the model; their ``grad`` is read and written.
    """

    def __init__(self, ranks: Ranks, parameters: Iterable[Tensor]):
        self.ranks, self.parameters = ranks, list(parameters)
        self.flat: Tensor | None = None

    def sum(self, active: Tensor) -> Tensor:
        """Sum the gradients in place; ``active`` (n_nodes,) bool of all ranks."""
        if self.ranks.world == 1:
            return active
        parts = [parameter.grad for parameter in self.parameters]
        if self.flat is None:
            size = sum(part.numel() for part in parts) + len(active)
            self.flat = torch.empty(size, dtype=parts[0].dtype, device=parts[0].device)
        pieces = self.flat.split([*(part.numel() for part in parts), len(active)])
        for piece, part in zip(pieces, [*parts, active], strict=True):
            piece.copy_(part.reshape(-1))
        self.ranks.sum(self.flat)
        for piece, part in zip(pieces, parts, strict=False):
            part.copy_(piece.view_as(part))
        return pieces[-1] > 0

    def sum_figures(self, loss: Tensor, total: Tensor, squares: Tensor, rows: Tensor) -> tuple[Tensor, ...]:
        """Whole-batch loss, total and squares from those of the shares.

        Args:
            loss, total: already divided by the whole batch's rows.
            squares: sum over ``rows`` of the squared distance to their own mean.
            rows: this share, normalised (n, channels).
        """
        if self.ranks.world == 1:
            return loss, total, squares
        n = len(rows)
        mean = rows.double().sum(0) / max(n, 1)
        figures = torch.stack([loss.double(), total.double(), squares + n * mean.square().sum()])
        sums = self.ranks.sum(torch.cat([figures, n * mean, mean.new_tensor([n])]))
        # sum of squares around the common mean = around 0, less n |mean|^2
        spread = sums[2] - sums[3:-1].square().sum() / sums[-1]
        return sums[0], sums[1], spread.clamp_min(0)
