"""One training run's model, optimiser and counters: a step, a row of the curve, save and load.

``biosae.training`` drives it. The state file holds all that the next step depends on.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from biosae.artefacts import atomic_path
from biosae.errors import BiosaeError, InputError
from biosae.model import SAE, Reconstruction
from biosae.recipes import Schedule

STATE = "state.pt"
# a check of the loss waits for the device; on a GPU a bad step is found at most this late
_CHECK_STEPS = {"cpu": 1, "cuda": 20}
_RESTART = f"delete {STATE} (or use --no-resume) to train from the start"
_SAVED = ("step", "epoch", "batch", "positions", "last_active", "sums", "curve", "best", "without_gain")


class TrainingError(BiosaeError):
    """Training went out of bounds."""


def auxiliary_loss(model: SAE, result: Reconstruction, dead: Tensor, k: int) -> Tensor:
    """AuxK: how badly the k most active dead nodes explain the error of the living (a scalar).

    Mean squared difference, in normalised channels, between the error of ``result`` (held fixed) and
    its reconstruction from dead nodes alone (Gao et al., arXiv 2406.04093, appendix A.2).

    Args:
        dead: indices of dead nodes; k: how many of them a row may use.
    """
    bias = model.latent_bias[dead] - model.encoder[dead] @ model.pre_bias
    pre = F.relu(F.linear(result.inner_target, model.encoder[dead], bias))
    kept = pre.topk(min(k, len(dead)), dim=1)
    sparse = torch.zeros_like(pre).scatter(1, kept.indices, kept.values)
    explained = sparse @ model.decoder[dead]
    error = (result.target - result.output).detach()
    return F.mse_loss(explained if result.std is None else explained * result.std, error)


class Trainer:
    """Model, optimiser and counters of a run, and how they are saved.

    Args:
        model: on the device where it is to be trained.
        schedule: with the resolved recipe.
    """

    def __init__(self, model: SAE, schedule: Schedule):
        self.model, self.schedule, self.recipe = model, schedule, schedule.recipe
        device = model.shift.device
        self.optimiser = torch.optim.Adam(model.parameters(), lr=self.recipe.learning_rate, fused=True)
        self.step = self.epoch = self.batch = self.positions = 0
        self.last_active = torch.zeros(model.n_nodes, dtype=torch.int64, device=device)  # in positions seen
        self.sums = torch.zeros(3, dtype=torch.float64, device=device)  # since the last row of the curve
        self.curve: list[dict] = []
        self.best: dict | None = None
        self.without_gain = 0
        self.last_loss: float | None = None
        self._unchecked: list[Tensor] = []

    @property
    def done(self) -> bool:
        """Whether all steps are done, or validation has not improved for ``patience`` evaluations."""
        patience = self.recipe.patience
        exhausted = patience is not None and self.without_gain >= patience
        return exhausted or self.step >= self.schedule.steps

    def initialise(self, sample) -> None:
        """Set what depends on data, from the first batch of raw rows."""
        if self.recipe.pre_bias_init == "mean":
            with torch.no_grad():
                self.model.pre_bias.copy_(self.model(sample).inner_target.mean(0))

    def train_step(self, batch) -> None:
        """One optimiser step on raw rows (n, channels)."""
        for group in self.optimiser.param_groups:
            group["lr"] = self.schedule.learning_rate(self.step)
        result = self.model(batch)
        loss = F.mse_loss(result.output, result.target)
        total = loss
        if self.recipe.auxk_coefficient:
            dead = torch.nonzero(self.silent()).flatten()
            if len(dead):
                k = self.recipe.auxk_k or max(1, self.model.channels // 2)
                total = loss + self.recipe.auxk_coefficient * auxiliary_loss(self.model, result, dead, k)
        self.optimiser.zero_grad(set_to_none=True)
        total.backward()
        self._update()
        self._count(result, loss.detach())
        self._unchecked.append(total.detach())
        if len(self._unchecked) >= _CHECK_STEPS.get(self.model.shift.device.type, 20):
            self.check()

    @torch.no_grad()
    def _update(self) -> None:
        decoder = self.model.decoder
        if self.recipe.unit_norm_decoder:
            # a step along a row would be undone by the renormalisation, and would mislead Adam
            decoder.grad -= (decoder.grad * decoder).sum(1, keepdim=True) * decoder
        self.optimiser.step()
        if self.recipe.unit_norm_decoder:
            decoder.copy_(F.normalize(decoder, dim=1))

    @torch.no_grad()
    def _count(self, result: Reconstruction, loss: Tensor) -> None:
        n = len(result.target)
        self.step += 1
        self.batch += 1
        self.positions += n
        seen = torch.where(result.values > 0, self.positions, -1).flatten()
        self.last_active.scatter_reduce_(0, result.indices.flatten(), seen, "amax")
        squares = result.target.var(0, correction=0).sum() * n
        error = loss * result.target.numel()
        self.sums += torch.stack([error.double(), squares.double(), torch.full_like(squares, n).double()])

    def silent(self) -> Tensor:
        """Nodes (n_nodes,) not active in the last ``dead_after_positions`` positions."""
        return self.positions - self.last_active >= self.recipe.dead_after_positions

    def check(self) -> None:
        """Raise TrainingError at the first loss that is not finite since the last check."""
        losses = torch.stack(self._unchecked).tolist() if self._unchecked else []
        self._unchecked = []
        self.last_loss = losses[-1] if losses else self.last_loss
        for i, loss in enumerate(losses):
            if not math.isfinite(loss):
                step = self.step - len(losses) + i + 1
                raise TrainingError(
                    "The training loss is not finite; training stops",
                    got=loss,
                    where=f"step {step} of {self.schedule.steps}, "
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
        """Write everything that the next step depends on, atomically."""
        self.check()
        content = {name: getattr(self, name) for name in _SAVED}
        content |= {"identity": json.dumps(identity, sort_keys=True), "model": self.model.state_dict()}
        with atomic_path(path) as temporary:
            torch.save({**content, "optimiser": self.optimiser.state_dict()}, temporary)

    def load(self, path: Path, identity: dict) -> None:
        """Continue from ``save``'s file; InputError if it is damaged or of another run."""
        try:
            state = torch.load(path, map_location=self.model.shift.device, weights_only=True)
            saved = json.loads(state["identity"])
        except Exception as error:  # torch reports damage as many kinds of error
            raise InputError("Cannot read a training state", got=error, where=path, mend=_RESTART) from error
        expected = json.loads(json.dumps(identity))
        if saved != expected:
            keys = [key for key in sorted({*saved, *expected}) if saved.get(key) != expected.get(key)]
            raise InputError(
                f"A training state was left here by another run: it differs in {', '.join(keys)}",
                where=path,
                got={key: _brief(saved.get(key), expected.get(key)) for key in keys},
                expected={key: _brief(expected.get(key), saved.get(key)) for key in keys},
                mend=_RESTART,
            )
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        for name in _SAVED:
            setattr(self, name, state[name])


def _brief(value: object, other: object) -> object:
    """``value`` without what it shares with ``other``, short enough to read."""
    if isinstance(value, dict) and isinstance(other, dict):
        value = {key: item for key, item in value.items() if other.get(key) != item}
    text = str(value)
    return text if len(text) <= 300 else text[:300] + "..."


def validation_columns(figures: dict) -> dict:
    """The curve's columns out of ``evaluation.evaluate``'s figures."""
    errors = ("mse", "fvu", "fvu_without_layer_norm")
    columns = {f"validation_{name}": figures[name] for name in errors}
    return columns | {name: figures[name] for name in ("l0", "dead_fraction", "density_median")}
