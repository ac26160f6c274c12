"""Training: planted truth is found, resuming gives the same bits, bad runs stop with a clear message."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers_store import write_store
from helpers_training import CHANNELS, make_recipe, planted

from biosae.activations import ActivationStore
from biosae.errors import InputError
from biosae.evaluation import evaluate
from biosae.recipes import Schedule, recipe_of
from biosae.states import TrainingError
from biosae.step import auxiliary_loss
from biosae.trainer import Trainer
from biosae.training import new_model, remove_state, train


@pytest.fixture(scope="module")
def stores(tmp_path_factory) -> tuple[ActivationStore, ActivationStore]:
    folder = tmp_path_factory.mktemp("stores")
    write_store(folder / "train", [planted(4, 0)[1], planted(3, 1)[1]])
    write_store(folder / "valid", [planted(2, 2)[1]])
    return ActivationStore.open(folder / "train"), ActivationStore.open(folder / "valid")


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def run(stores, folder, recipe, **options):
    train_store, valid_store = stores
    mean = planted(4, 0)[1].mean((0, 1))
    model = new_model(recipe, CHANNELS, mean, np.ones(CHANNELS))
    curve = train(model, train_store, lambda m: evaluate(m, valid_store, 10**9), recipe, folder, **options)
    return model, curve


def assert_same(first, second):
    for (name, a), b in zip(first[0].state_dict().items(), second[0].state_dict().values(), strict=True):
        assert torch.equal(a, b), name
    assert first[1] == second[1]


def test_planted_truth_is_found_and_a_frozen_start_is_not(stores, tmp_path):
    recipe = make_recipe(max_positions=30_000, epochs=100, expansion=3, learning_rate=0.01)
    model, curve = run(stores, tmp_path, recipe)
    true = planted(1, 0)[0]

    def found(directions):
        return ((true @ F.normalize(torch.tensor(directions), dim=1).numpy().T).max(1) > 0.9).sum()

    assert found(model.decoder_directions()) >= 9
    assert found(new_model(recipe, CHANNELS, None, None).decoder_directions()) <= 5
    assert curve[-1]["validation_fvu"] < 0.25 < 0.5 < curve[0]["validation_fvu"]


def test_curve_counts_what_was_seen(stores, tmp_path):
    _, curve = run(stores, tmp_path, make_recipe(epochs=1, max_positions=None))
    assert [row["positions"] for row in curve] == [0, 700, 1400, 2100]
    assert [row["step"] for row in curve] == [0, 7, 14, 21]
    assert curve[-1]["epoch"] == 1
    assert curve[0]["train_mse"] is None
    assert curve[1]["train_mse"] > 0
    assert {row["l0"] <= 2 for row in curve} == {True}


def test_train_mse_is_the_mean_over_its_batches(stores, tmp_path):
    recipe = make_recipe(evaluations=1, max_positions=300, precision="float32")
    _, curve = run(stores, tmp_path, recipe)
    model = new_model(recipe, CHANNELS, planted(4, 0)[1].mean((0, 1)), np.ones(CHANNELS))
    trainer = Trainer(model, Schedule(recipe, stores[0].n_rows))
    from biosae.activations import shuffled_batches

    batches = [b.clone() for b in shuffled_batches(stores[0], 100, 0, 0, block_rows=50, pool_blocks=4)][:3]
    losses, squares = [], []
    for batch in batches:
        result = model(batch)
        losses.append(F.mse_loss(result.output, result.target).item())
        squares.append(result.target.var(0, correction=0).mean().item())
        trainer.train_step(batch)
    assert curve[-1]["train_mse"] == pytest.approx(np.mean(losses), rel=1e-5)
    assert curve[-1]["train_fvu"] == pytest.approx(np.sum(losses) / np.sum(squares), rel=1e-5)


def test_same_seed_same_bits_other_seed_other_bits(stores, tmp_path):
    first, second = (run(stores, tmp_path, make_recipe()) for _ in range(2))
    assert_same(first, second)
    other = run(stores, tmp_path, make_recipe(seed=1))
    assert not torch.equal(first[0].encoder, other[0].encoder)


class _Killed(Exception):
    pass


@pytest.mark.parametrize("stop_at", [1, 20, 21, 22, 29])  # an epoch is 21 steps
@pytest.mark.parametrize("extra", [{}, {"auxk_coefficient": 0.1, "dead_after_positions": 200, "patience": 9}])
def test_resuming_gives_the_same_bits(stores, tmp_path, monkeypatch, stop_at, extra):
    recipe = make_recipe(**extra)
    expected = run(stores, tmp_path / "whole", recipe)
    original = Trainer.train_step

    def dying(self, batch):
        if self.step == stop_at:
            raise _Killed
        original(self, batch)

    monkeypatch.setattr(Trainer, "train_step", dying)
    with pytest.raises(_Killed):
        run(stores, tmp_path / "cut", recipe, checkpoint_seconds=0)
    monkeypatch.setattr(Trainer, "train_step", original)
    assert (tmp_path / "cut" / "state.pt").exists()
    assert_same(expected, run(stores, tmp_path / "cut", recipe))
    remove_state(tmp_path / "cut")
    assert list((tmp_path / "cut").iterdir()) == []


def test_resuming_does_not_start_again(stores, tmp_path, monkeypatch):
    """The test above would pass if the state were ignored: count the steps of the second half."""
    recipe = make_recipe()
    steps: list[int] = []
    original = Trainer.train_step

    def counting(self, batch):
        if self.step == 20 and not steps.count(20):
            steps.append(20)
            raise _Killed
        steps.append(self.step)
        original(self, batch)

    monkeypatch.setattr(Trainer, "train_step", counting)
    with pytest.raises(_Killed):
        run(stores, tmp_path, recipe, checkpoint_seconds=0)
    run(stores, tmp_path, recipe)
    assert steps == [*range(20), 20, *range(20, 30)]


def test_state_of_another_run_is_refused(stores, tmp_path):
    run(stores, tmp_path, make_recipe(), checkpoint_seconds=0)
    with pytest.raises(InputError, match=r"differs in recipe.*learning_rate.*0.005.*0.001.*--no-resume"):
        run(stores, tmp_path, make_recipe(learning_rate=1e-3))
    with pytest.raises(InputError, match="differs in training store"):
        run((stores[1], stores[1]), tmp_path, make_recipe())
    with pytest.raises(InputError, match="differs in validation"):
        run(stores, tmp_path, make_recipe(), validation_identity="other")
    run(stores, tmp_path, make_recipe(learning_rate=1e-3), resume=False)


def test_damaged_state_is_refused(stores, tmp_path):
    (tmp_path / "state.pt").write_bytes(b"not a state")
    with pytest.raises(InputError, match=r"Cannot read a training state.*state.pt"):
        run(stores, tmp_path, make_recipe())


@pytest.mark.parametrize(
    ("every_seconds", "message"),
    [
        (600, r"training loss is not finite.*: run, step 26 of 30, epoch 1.*nan.*learning_rate"),
        (0, r"weights are not finite.*: run, step 25 of 30, epoch 1.*learning_rate"),  # seen when saving
    ],
)
def test_what_is_not_finite_stops_at_once_and_is_not_saved(
    stores, tmp_path, monkeypatch, every_seconds, message
):
    original = Trainer._update

    def spoil(self):
        original(self)
        if self.step == 24:  # the 25th step goes wrong: its successor's loss is NaN
            with torch.no_grad():
                self.model.pre_bias[0] = float("nan")

    monkeypatch.setattr(Trainer, "_update", spoil)
    with pytest.raises(TrainingError, match=message):
        run(stores, tmp_path / "run", make_recipe(), checkpoint_seconds=every_seconds)
    if every_seconds:
        assert not (tmp_path / "run").exists()
        return
    state = torch.load(tmp_path / "run" / "state.pt", weights_only=True)
    assert state["step"] == 24
    assert all(bool(value.isfinite().all()) for value in state["model"].values())


def test_patience_keeps_the_best_weights(stores, tmp_path):
    figures = iter([9.0, 5.0, 3.0, 4.0, 3.5, 1.0])
    seen = []

    def validate(model):
        seen.append(model.encoder.detach().clone())
        found = evaluate(model, stores[1], 10**9)
        return {**found, "mse": next(figures)}

    recipe = make_recipe(patience=2, evaluations=5)
    model = new_model(recipe, CHANNELS, None, None)
    curve = train(model, stores[0], validate, recipe, tmp_path)
    assert [row["validation_mse"] for row in curve] == [9, 5, 3, 4, 3.5]
    assert torch.equal(model.encoder, seen[2])


def test_published_preset_trains(stores, tmp_path):
    recipe = recipe_of("published", {"k": 2, "epochs": 2})
    _, curve = run(stores, tmp_path, recipe)
    assert [row["positions"] for row in curve] == [0, 2100, 4200]
    assert curve[-1]["step"] == 28  # half a sequence of 300 positions a step
    assert curve[-1]["learning_rate"] == 1e-5


def test_unit_norm_holds_after_every_step(stores):
    recipe = make_recipe(unit_norm_decoder=True, tied_initialisation=False)
    trainer = Trainer(new_model(recipe, CHANNELS, None, None), Schedule(recipe, 1000))
    for seed in range(3):
        before = trainer.model.decoder.detach().clone()
        trainer.train_step(planted(1, seed)[1][0])
        norms = trainer.model.decoder.detach().norm(dim=1)
        torch.testing.assert_close(norms, torch.ones_like(norms))
        along = (trainer.model.decoder.grad * before).sum(1)
        torch.testing.assert_close(along, torch.zeros_like(along), atol=1e-6, rtol=0)


def test_tied_start():
    tied = new_model(make_recipe(tied_initialisation=True), CHANNELS, None, None)
    torch.testing.assert_close(tied.encoder.norm(dim=1), torch.ones(tied.n_nodes))
    torch.testing.assert_close(tied.decoder, tied.encoder * make_recipe().decoder_norm)
    untied = new_model(make_recipe(tied_initialisation=False), CHANNELS, None, None)
    assert not torch.equal(untied.encoder, untied.decoder)


def test_pre_bias_may_start_at_the_mean(stores, tmp_path):
    recipe = make_recipe(pre_bias_init="mean")
    trainer = Trainer(new_model(recipe, CHANNELS, None, None), Schedule(recipe, 1000))
    rows = planted(1, 0)[1][0]
    trainer.initialise(rows)
    np.testing.assert_allclose(trainer.model.pre_bias.detach(), rows.mean(0), rtol=1e-5)


@pytest.mark.parametrize("layer_norm", [True, False])
def test_auxk_equals_a_slow_reference_and_moves_dead_nodes_only(layer_norm):
    recipe = make_recipe(layer_norm=layer_norm, tied_initialisation=False)
    model = new_model(recipe, CHANNELS, None, np.full(CHANNELS, 2.0))
    rows = planted(1, 0)[1][0][:40]
    dead = torch.tensor([1, 4, 9, 13])
    result = model(rows)
    error = (result.target - result.output).detach()
    loss = auxiliary_loss(model, result.inner_target, error, result.std, dead, k=2) / rows.size
    encoder, pre_bias, total = model.encoder.detach(), model.pre_bias.detach(), 0.0
    for row in range(40):
        pre = {int(n): float(encoder[n] @ (result.inner_target[row] - pre_bias)) for n in dead}
        kept = sorted((n for n in pre if pre[n] > 0), key=lambda n: -pre[n])[:2]
        explained = sum((pre[n] * model.decoder[n] for n in kept), torch.zeros(CHANNELS))
        if layer_norm:
            explained = explained * result.std[row]
        total += float((explained - (result.target - result.output)[row]).detach().square().mean())
    assert float(loss.detach()) == pytest.approx(total / 40, rel=1e-4)
    loss.backward()
    moved = model.decoder.grad.abs().sum(1).nonzero().flatten().tolist()
    assert set(moved) <= set(dead.tolist())
    assert moved


def test_auxk_revives_dead_nodes(stores, tmp_path):
    """Half of the nodes start too weak to be among the top k: the loss alone never reaches them."""

    def outcome(coefficient):
        recipe = make_recipe(auxk_coefficient=coefficient, dead_after_positions=500, max_positions=15_000)
        model = new_model(recipe, CHANNELS, planted(4, 0)[1].mean((0, 1)), None)
        with torch.no_grad():
            model.encoder[:8] *= 0.1
        last = train(model, stores[0], lambda m: evaluate(m, stores[1], 10**9), recipe, tmp_path)[-1]
        return last["dead_fraction"], last["validation_fvu"]

    without, revived = outcome(0.0), outcome(1 / 32)
    assert without[0] >= 0.3
    assert revived[0] <= 0.2
    assert revived[1] < 0.9 * without[1]


def test_silent_nodes_are_counted_in_positions():
    recipe = make_recipe(dead_after_positions=150)
    trainer = Trainer(new_model(recipe, CHANNELS, None, None), Schedule(recipe, 1000))
    with torch.no_grad():
        trainer.model.latent_bias[3] = -1e6
    rows = planted(1, 0)[1][0][:100]
    trainer.train_step(rows)
    assert not bool(trainer.silent().any())  # 100 positions seen: too few to call a node dead
    trainer.train_step(rows)
    assert bool(trainer.silent()[3])
    assert int(trainer.silent().sum()) < trainer.model.n_nodes
