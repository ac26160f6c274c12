"""One training run's model, optimiser and counters: a step, a row of the curve, save and load.

``biosae.training`` drives it. The state holds all that the next step depends on; where the stream
stands follows from the step.
"""

from __future__ import annotations

import math
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from biosae.distributed import ALONE, Bucket, Ranks
from biosae.model import SAE, BatchTopKSAE
from biosae.optimiser import Adam
from biosae.recipes import Schedule
from biosae.states import TrainingError, all_finite, read_state, write_state
from biosae.step import TrainingStep

# a check of the loss waits for the device; on a GPU a bad step is found at most this late
_CHECK_STEPS = {"cpu": 1, "cuda": 20}
_SAVED = ("step", "positions", "last_active", "sums", "curve", "best", "without_gain")


class Trainer:
    """Model, optimiser and counters of a run, and how they are saved.

    Args:
        model: on the device where it is to be trained.
        schedule: with the resolved recipe.
        ranks: the processes that share each batch; all hold the same Trainer.
        name: of the run, for messages.
    """

    def __init__(self, model: SAE, schedule: Schedule, ranks: Ranks = ALONE, name: str = ""):
        self.model, self.schedule, self.recipe = model, schedule, schedule.recipe
        self.ranks, self.name = ranks, name
        self.device = model.shift.device
        self.step = self.positions = 0
        self.last_active = torch.zeros(model.n_nodes, dtype=torch.int64, device=self.device)  # in positions
        self.sums = torch.zeros(3, dtype=torch.float64, device=self.device)  # since the curve's last row
        self.curve: list[dict] = []
        self.best: dict | None = None
        self.without_gain = 0
        self.last_loss: float | None = None
        self._unchecked: list[Tensor] = []
        self._engine = TrainingStep(model, self.recipe)
        frozen = [model.decoder] if self.recipe.frozen_decoder else []
        self.optimiser = Adam(p for p in model.parameters() if not any(p is other for other in frozen))
        self._bucket = Bucket(ranks, model.parameters())

    @property
    def done(self) -> bool:
        """Whether all steps are done, or validation has not improved for ``patience`` evaluations."""
        patience = self.recipe.patience
        exhausted = patience is not None and self.without_gain >= patience
        return exhausted or self.step >= self.schedule.steps

    @torch.no_grad()
    def initialise(self, sample) -> None:
        """Set what depends on data, from (this rank's share of) the first batch of raw rows."""
        inner = self.model._inner(self.model.normalise(sample))[0]
        sums = torch.cat([inner.sum(0), inner.new_tensor([len(inner)])])
        self.ranks.sum(sums)
        self.model.pre_bias.copy_(sums[:-1] / sums[-1])

    def train_step(self, batch) -> None:
        """One optimiser step on raw rows (n, channels): the batch, or this rank's share of it."""
        rows = torch.as_tensor(batch)
        n = len(rows) if self.ranks.world == 1 else self._whole_batch()
        result = self._engine.gradients(rows, self._dead(), n)
        active = self._bucket.sum(result.active)
        figures = result.loss, result.total, result.squares
        if self.ranks.world > 1:
            figures = self._bucket.sum_figures(*figures, self.model.normalise(rows))
            if isinstance(self.model, BatchTopKSAE):  # each rank has followed its own share
                self.ranks.sum(self.model.threshold).div_(self.ranks.world)
        self._update()
        self._count(n, *figures, active)
        if len(self._unchecked) >= _CHECK_STEPS.get(self.device.type, 20):
            self.check()

    def _whole_batch(self) -> int:
        """Rows of this step's batch over all ranks."""
        taken = self.step % self.schedule.steps_per_epoch * self.recipe.batch_rows
        return min(self.recipe.batch_rows, self.schedule.n_rows - taken)

    def _dead(self) -> Tensor | None:
        """Indices of the nodes that AuxK is to revive; None if there are none."""
        if not self.recipe.auxk_coefficient:
            return None
        dead = torch.nonzero(self.silent()).flatten()
        return dead if len(dead) else None

    @torch.no_grad()
    def _update(self) -> None:
        decoder = self.model.decoder
        unit_norm = self.recipe.unit_norm_decoder and not self.recipe.frozen_decoder
        if unit_norm:
            # a step along a row would be undone by the renormalisation, and would mislead Adam
            decoder.grad -= (decoder.grad * decoder).sum(1, keepdim=True) * decoder
        self.optimiser.step(self.schedule.learning_rate(self.step))
        if unit_norm:
            decoder.copy_(F.normalize(decoder, dim=1))

    @torch.no_grad()
    def _count(self, n: int, loss: Tensor, total: Tensor, squares: Tensor, active: Tensor) -> None:
        self.step += 1
        self.positions += n
        self.last_active.masked_fill_(active, self.positions)
        error = loss.double() * (n * self.model.channels)
        self.sums += torch.stack([error, squares.double(), torch.full_like(error, n)])
        self._unchecked.append(total.detach().clone())

    def silent(self) -> Tensor:
        """Nodes (n_nodes,) not active in the last ``dead_after_positions`` positions."""
        return self.positions - self.last_active >= self.recipe.dead_after_positions

    def check(self) -> None:
        """Raise TrainingError at the first loss that is not finite since the last check."""
        losses = torch.stack(self._unchecked).tolist() if self._unchecked else []
        self.last_loss = losses[-1] if losses else self.last_loss
        for i, loss in enumerate(losses):
            if not math.isfinite(loss):
                self._refuse("training loss is", loss, self.step - len(losses) + i + 1)
        self._unchecked = []

    def check_weights(self) -> None:
        """Raise TrainingError unless the losses so far and all that would be saved are finite."""
        self.check()
        if not all_finite([self.model.state_dict(), self.optimiser.state()]):
            self._refuse("weights are", "NaN or infinity in them or in Adam's moments", self.step)

    def _refuse(self, what: str, got: object, step: int) -> None:
        run = f"{self.name}, " if self.name else ""
        raise TrainingError(
            f"The {what} not finite; training stops, and the last good state is kept",
            got=got,
            where=f"{run}step {step} of {self.schedule.steps}, "
            f"epoch {(step - 1) // self.schedule.steps_per_epoch}",
            mend="lower learning_rate or raise warmup_share, and check the normaliser",
        )

    def add_row(self, figures: dict) -> None:
        """Add a row of the training curve, note the best weights, and start new sums."""
        self.check()
        error, squares, rows = self.sums.tolist()
        row = {
            "step": self.step,
            "positions": self.positions,
            "epoch": self.positions / self.schedule.n_rows,
            "learning_rate": self.schedule.learning_rate(self.step - 1) if self.step else 0.0,
            "train_mse": error / (rows * self.model.channels) if rows else None,
            "train_fvu": error / squares if squares > 0 else None,
            "train_silent_fraction": float(self.silent().double().mean()) if rows else None,
            **validation_columns(figures),
        }
        self.curve.append(row)
        self.sums.zero_()
        if self.recipe.patience is None or not self.step:
            return
        self.without_gain += 1
        if self.best is None or row["validation_mse"] < self.best["mse"]:
            weights = {name: value.detach().clone() for name, value in self.model.state_dict().items()}
            self.best = {"mse": row["validation_mse"], "step": self.step, "weights": weights}
            self.without_gain = 0

    def save(self, path: Path, identity: dict) -> None:
        """Write everything that the next step depends on, atomically; ``check_weights`` comes first."""
        content = {name: getattr(self, name) for name in _SAVED}
        content |= {"model": self.model.state_dict(), "optimiser": self.optimiser.state()}
        write_state(path, content, identity)

    def load(self, path: Path, identity: dict) -> None:
        """Continue from ``save``'s file; InputError if it is damaged or of another run."""
        state = read_state(path, identity, self.device)
        self.model.load_state_dict(state["model"])
        self.optimiser.load(state["optimiser"])
        for name in _SAVED:
            setattr(self, name, state[name])


def validation_columns(figures: dict) -> dict:
    """The curve's columns out of ``evaluation.evaluate``'s figures."""
    errors = ("mse", "fvu", "fvu_without_layer_norm")
    columns = {f"validation_{name}": figures[name] for name in errors}
    return columns | {name: figures[name] for name in ("l0", "dead_fraction", "density_median")}
