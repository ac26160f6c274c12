"""Trainers that step on the same batches: the loop, their states, and what happens when one fails."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor
from tqdm import tqdm

from biosae.activations import ActivationStore
from biosae.cli import progress
from biosae.distributed import Ranks
from biosae.feeding import epoch_batches
from biosae.model import SAE
from biosae.states import STATE, TrainingError
from biosae.stopping import StopRequest
from biosae.trainer import Trainer

_log = logging.getLogger(__name__)

# Batches that each run of several takes at a time: its weights, moments and gradients (47 MB of 2,432 nodes
# and 608 channels) are fetched into the cache once for all of them. Costs TURN batches of memory.
TURN = 8


@dataclass
class Member:
    """One run of a group: how it is validated, where its state lies and what that must agree with."""

    trainer: Trainer
    validate: Callable[[SAE], dict]
    path: Path
    identity: dict
    saved_step: int = 0


class Group:
    """The runs of one job. One run is a group of one.

    A state may be of any step, one a run: the stream goes on at the lowest step, and a run takes
    the steps that it has not taken.

    Args:
        members: the runs.
        ranks: the processes that share each batch; each holds the same group.
        every_seconds: least time between two rounds of saving.
    """

    def __init__(self, members: list[Member], ranks: Ranks, every_seconds: float):
        self.members, self.ranks, self.every_seconds = members, ranks, every_seconds
        self.trainers = [member.trainer for member in members]
        self._saved_at, self._has_states = time.monotonic(), False

    @property
    def step(self) -> int | None:
        """The lowest step of the runs that are not done; None if all are."""
        return min((trainer.step for trainer in self.trainers if not trainer.done), default=None)

    def run(self, store: ActivationStore, resume: bool, keep_last_state: bool) -> None:
        """Train to the end; see ``training.train_many`` for the arguments and errors."""
        for member in self.members:
            if resume and member.path.exists():
                self._continue(member)
            else:
                self._begin(member, store)
        total = self.trainers[0].schedule.positions
        bar = progress(what="train", total=total, unit="pos") if self.ranks.is_main else tqdm(disable=True)
        with bar, StopRequest() as stop:
            while (first := self.step) is not None:
                with closing(self._batches(store, first)) as batches:
                    self._run_epoch(first, batches, stop, bar)
        self._finish(keep_last_state)

    def _begin(self, member: Member, store: ActivationStore) -> None:
        if member.trainer.recipe.pre_bias_init == "mean":
            with closing(self._batches(store, 0)) as batches:
                member.trainer.initialise(next(batches))
        self._validate(member)

    def _continue(self, member: Member) -> None:
        trainer = member.trainer
        trainer.load(member.path, member.identity)
        member.saved_step, self._has_states = trainer.step, True
        _log.info("%s: resuming at step %d of %d", trainer.name, trainer.step, trainer.schedule.steps)
        if trainer.curve[-1]["step"] != trainer.step and trainer.schedule.evaluates(trainer.step):
            self._validate(member)  # it had failed

    def _run_epoch(self, first: int, batches: Iterator[Tensor], stop: StopRequest, bar: tqdm) -> None:
        """Steps from ``first`` on, to the end of its epoch or until the stream must begin elsewhere."""
        length = self.trainers[0].schedule.steps_per_epoch
        end = max(trainer.schedule.steps for trainer in self.trainers)
        step, last = first, min((first // length + 1) * length, end)
        while step < last:
            turn, error = self._read_turn(batches, last - step)
            self._agree(None if turn else error, stop)
            self._take(step, turn)
            self._show(bar)
            step += len(turn)
            if error is not None:  # what was read before it is not lost
                self._agree(error, stop)
            if self.step != step:
                return

    def _read_turn(self, batches: Iterator[Tensor], left: int) -> tuple[list[Tensor], Exception | None]:
        """The next batches, and what went wrong in reading one of them (of any rank, it is told to all)."""
        size = TURN if len(self.members) > 1 and self.ranks.world == 1 else 1
        turn: list[Tensor] = []
        try:
            for _ in range(min(size, left)):
                batch = next(batches)
                turn.append(batch.clone() if size > 1 else batch)  # the stream reuses its memory
        except Exception as caught:
            return turn, caught
        return turn, None

    def _batches(self, store: ActivationStore, step: int) -> Iterator[Tensor]:
        one = self.trainers[0]
        epoch, batch = divmod(step, one.schedule.steps_per_epoch)
        return epoch_batches(store, one.recipe, epoch, batch, one.device, self.ranks)

    def _agree(self, error: Exception | None, stop: StopRequest) -> None:
        """Before a step: fail, stop or save if any process has to."""
        due = self.ranks.is_main and time.monotonic() - self._saved_at >= self.every_seconds
        try:
            stopping, due = self.ranks.agree(error, stop.name is not None, due)
        except Exception:
            self._save_good()
            raise
        if stopping or due:
            self._save()
        if stopping:
            raise TrainingError(
                f"Training was asked to stop ({stop.name or 'by a signal to another process'})",
                where=f"step {self.step} of {self.trainers[0].schedule.steps}",
                mend=f"give the same command again: it goes on from {STATE}, nothing is lost",
            )

    def _take(self, first: int, turn: list[Tensor]) -> None:
        """Each run in turn takes the steps from ``first`` on that it has not taken."""
        for member in self.members:
            trainer = member.trainer
            for step, batch in enumerate(turn, first):
                if trainer.step != step or trainer.done:
                    continue
                try:
                    trainer.train_step(batch)
                except TrainingError:
                    self._save_good()
                    raise
                if trainer.schedule.evaluates(trainer.step):
                    self._validate(member)

    def _validate(self, member: Member) -> None:
        """Add a row to the curve."""
        try:
            member.trainer.check()
            member.trainer.add_row(self.ranks.from_main(lambda: member.validate(member.trainer.model)))
        except Exception:
            self._save_good()
            raise

    def _save(self) -> None:
        """Save every run that has gone on since its last state; none if one is not finite."""
        try:
            for trainer in self.trainers:
                trainer.check_weights()
        except TrainingError:
            self._save_good()
            raise
        self._write(self.members)

    def _save_good(self) -> None:
        """Something went wrong: save the runs whose last step was good, so that no work is lost."""
        good = []
        for member in self.members:
            try:
                member.trainer.check_weights()
                good.append(member)
            except TrainingError:
                _log.warning("%s: not finite; its last good state is kept", member.trainer.name)
        try:
            self._write(good)
        except TrainingError as error:  # the first fault is what the user must hear of
            _log.error("%s", error)
            return
        for trainer in (member.trainer for member in good if member.trainer.step):
            _log.warning("%s: %s holds step %d; it goes on from there", trainer.name, STATE, trainer.step)

    def _write(self, members: list[Member]) -> None:
        def write() -> None:
            for member in members:
                if member.trainer.step != member.saved_step:
                    member.trainer.save(member.path, member.identity)
                    member.saved_step = member.trainer.step

        self.ranks.from_main(write)
        self._saved_at, self._has_states = time.monotonic(), True

    def _finish(self, keep_last_state: bool) -> None:
        """Check the last step; save it if asked, or if there are states; keep the best weights."""
        if keep_last_state or self._has_states:
            self._save()
        for trainer in self.trainers:
            trainer.check_weights()
            if trainer.best is not None:
                trainer.model.load_state_dict(trainer.best["weights"])
                step = trainer.best["step"]
                _log.info("%s: keeping the weights of step %d, the lowest validation MSE", trainer.name, step)

    def _show(self, bar: tqdm) -> None:
        rows = [trainer.curve[-1] for trainer in self.trainers]
        shown = {
            "loss": [trainer.last_loss for trainer in self.trainers],
            "fvu": [row["validation_fvu"] for row in rows],
            "dead": [row["dead_fraction"] for row in rows],
        }
        bar.set_postfix({name: _span(values) for name, values in shown.items()}, refresh=False)
        bar.update(max(trainer.positions for trainer in self.trainers) - bar.n)


def _span(values: list[float | None]) -> str:
    """``0.12``, or ``0.12..0.34`` over several runs."""
    low_high = {f"{f([value for value in values if value is not None], default=0):.4g}" for f in (min, max)}
    return "..".join(sorted(low_high, key=float))
