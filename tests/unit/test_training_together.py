"""Several dictionaries on one stream: each ends as it would have ended alone, whatever the others do."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers_store import write_store
from helpers_training import CHANNELS, make_recipe, planted

from biosae import training_group
from biosae.activations import ActivationStore
from biosae.distributed import Ranks
from biosae.errors import ConfigError, InputError
from biosae.evaluation import evaluate
from biosae.states import TrainingError
from biosae.trainer import Trainer
from biosae.training import new_model, remove_state, train_many

# different in everything that does not shape the stream
RECIPES = {
    "plain": make_recipe(),
    "wide": make_recipe(expansion=3, k=5, seed=1, shuffle_seed=0, learning_rate=1e-3, pre_bias_init="mean"),
    "auxk": make_recipe(seed=2, shuffle_seed=0, auxk_coefficient=0.1, dead_after_positions=200),
    "patient": make_recipe(layer_norm=True, unit_norm_decoder=True, patience=1, evaluations=6),
}
KINDS = {"wide": "batchtopk", "patient": "relu"}


@pytest.fixture(scope="module")
def stores(tmp_path_factory) -> tuple[ActivationStore, ActivationStore]:
    folder = tmp_path_factory.mktemp("stores")
    write_store(folder / "train", [planted(4, 0)[1], planted(3, 1)[1]])
    write_store(folder / "valid", [planted(2, 2)[1]])
    return ActivationStore.open(folder / "train"), ActivationStore.open(folder / "valid")


def run(stores, folder: Path, *names: str, recipes=RECIPES, **options) -> dict[str, tuple]:
    """Train these runs together: name -> (weights, curve)."""
    train_store, valid_store = stores
    chosen = [recipes[name] for name in names]
    models = [
        new_model(recipe, CHANNELS, np.full(CHANNELS, 2.0), None, KINDS.get(name, "topk"))
        for name, recipe in zip(names, chosen, strict=True)
    ]
    validates = [lambda model: evaluate(model, valid_store, 10**9)] * len(names)
    outputs = [folder / name for name in names]
    curves = train_many(models, train_store, validates, chosen, outputs, **options)
    return {n: (m.state_dict(), curve) for n, m, curve in zip(names, models, curves, strict=True)}


@pytest.fixture(scope="module")
def alone(stores, tmp_path_factory) -> dict[str, tuple]:
    folder = tmp_path_factory.mktemp("alone")
    found = {name: run(stores, folder, name)[name] for name in RECIPES}
    steps = {name: curve[-1]["step"] for name, (_, curve) in found.items()}
    assert steps["plain"] == steps["wide"] == steps["auxk"] == 30
    assert steps["patient"] < 30, "this run is meant to stop early"
    return found


def assert_same(found: dict[str, tuple], expected: dict[str, tuple]) -> None:
    for name, (weights, curve) in found.items():
        for key, value in expected[name][0].items():
            assert torch.equal(weights[key], value), (name, key)
        assert curve == expected[name][1], name


def step_of(folder: Path) -> int:
    return torch.load(folder / "state.pt", weights_only=True)["step"]


def test_each_ends_as_alone(stores, alone, tmp_path):
    assert_same(run(stores, tmp_path, *RECIPES), alone)


def test_the_store_is_read_once(stores, tmp_path, monkeypatch):
    given = []

    def counting(*arguments):
        for batch in original(*arguments):
            given.append(len(batch))
            yield batch

    original = training_group.epoch_batches
    monkeypatch.setattr(training_group, "epoch_batches", counting)
    run(stores, tmp_path, "plain", "auxk")
    assert sum(given) == 3000


class _Killed(Exception):
    pass


@pytest.mark.parametrize(
    ("victim", "step", "turn"),
    [("plain", 0, 0), ("wide", 7, 0), ("wide", 12, 8), ("auxk", 21, 21), ("plain", 29, 29)],
)
def test_all_go_on_together(stores, alone, tmp_path, monkeypatch, victim, step, turn):
    """From the turn of up to TURN steps in which one died: 0 to 20 and 21 to 29 are the epochs."""
    assert training_group.TURN == 8
    original = Trainer.train_step

    def dying(self, batch):
        if self.name == victim and self.step == step:
            raise _Killed
        original(self, batch)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "train_step", dying)
        with pytest.raises(_Killed):
            run(stores, tmp_path, *RECIPES, checkpoint_seconds=0)
    taken = []

    def counting(self, batch):
        taken.append((self.name, self.step))
        original(self, batch)

    monkeypatch.setattr(Trainer, "train_step", counting)
    assert_same(run(stores, tmp_path, *RECIPES), alone)
    assert min(number for _, number in taken) == turn
    assert len(set(taken)) == len(taken)
    for name in RECIPES:
        remove_state(tmp_path / name)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_states_of_different_steps_are_brought_together(stores, alone, tmp_path, monkeypatch):
    """Killed between two states, or a run that is new: the stream begins at the lowest step."""
    monkeypatch.setattr(Trainer, "train_step", dying_at := _dying_at(12))
    with pytest.raises(_Killed):
        run(stores, tmp_path, "plain", checkpoint_seconds=0)
    monkeypatch.setattr(Trainer, "train_step", _dying_at(25, dying_at.original))
    with pytest.raises(_Killed):
        run(stores, tmp_path, "auxk", checkpoint_seconds=0)
    assert (step_of(tmp_path / "plain"), step_of(tmp_path / "auxk")) == (12, 25)
    taken = []

    def counting(self, batch):
        taken.append((self.name, self.step))
        dying_at.original(self, batch)

    monkeypatch.setattr(Trainer, "train_step", counting)
    assert_same(run(stores, tmp_path, "plain", "auxk", "wide"), alone)
    expected = {"wide": range(30), "plain": range(12, 30), "auxk": range(25, 30)}
    assert sorted(taken) == sorted((name, step) for name, steps in expected.items() for step in steps)


def _dying_at(step: int, original=None):
    original = original or Trainer.train_step

    def dying(self, batch):
        if self.step == step:
            raise _Killed
        original(self, batch)

    dying.original = original
    return dying


def test_one_that_diverges_stops_all_and_costs_the_others_nothing(stores, alone, tmp_path, monkeypatch):
    original = Trainer._update

    def spoil(self):
        original(self)
        if self.name == "auxk" and self.step == 10:
            with torch.no_grad():
                self.model.pre_bias[0] = float("nan")

    monkeypatch.setattr(Trainer, "_update", spoil)
    with pytest.raises(TrainingError, match=r"loss is not finite.*: auxk, step 12 of 30"):
        run(stores, tmp_path, "plain", "auxk", "wide")
    assert not (tmp_path / "auxk").exists()
    assert (step_of(tmp_path / "plain"), step_of(tmp_path / "wide")) == (16, 8)
    assert_same(run(stores, tmp_path, "plain", "wide"), alone)


class _Asked(Ranks):
    """Another process of the job got a signal before the third turn."""

    calls = 0

    def agree(self, error, *flags):
        self.calls += bool(flags)
        return [self.calls == 3 or flag for flag in super().agree(error, *flags)]


def test_a_signal_to_another_process_stops_this_one(stores, alone, tmp_path):
    with pytest.raises(
        TrainingError, match=r"asked to stop \(by a signal to another process\).*step 16 of 30"
    ):
        run(stores, tmp_path, "plain", "wide", ranks=_Asked())
    assert (step_of(tmp_path / "plain"), step_of(tmp_path / "wide")) == (16, 16)
    assert_same(run(stores, tmp_path, "plain", "wide"), alone)


def test_a_failed_state_names_its_run(stores, tmp_path):
    run(stores, tmp_path, "plain", checkpoint_seconds=0)
    (tmp_path / "auxk").mkdir()
    (tmp_path / "auxk" / "state.pt").write_bytes(b"damaged")
    with pytest.raises(InputError, match=r"Cannot read a training state.*auxk/state\.pt"):
        run(stores, tmp_path, "plain", "auxk")


@pytest.mark.parametrize(
    "change",
    [
        {"batch_rows": 50},
        {"block_rows": 60},
        {"pool_blocks": 5},
        {"epochs": 3},
        {"max_positions": 2900},
        {"shuffle": False},
        {"seed": 3},
        {"shuffle_seed": 3},
    ],
)
def test_runs_of_different_streams_are_refused(stores, tmp_path, change):
    recipes = {"plain": make_recipe(), "other": make_recipe(**change)}
    name = re.sub("shuffle_seed", "seed", next(iter(change)))
    with pytest.raises(ConfigError, match=rf"share one stream.*'{name}': \["):
        run(stores, tmp_path, "plain", "other", recipes=recipes)
    assert not (tmp_path / "plain").exists()


def test_the_bar_shows_every_run(stores, tmp_path, capsys):
    run(stores, tmp_path, "plain", "wide")
    text = capsys.readouterr().err
    assert "pos/s" in text
    assert re.search(r"3\.00k/3\.00k .*pos/s, loss=\d.*\.\.\d.*, fvu=\d.*\.\.\d.*, dead=\d", text), text
