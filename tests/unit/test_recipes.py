"""Recipes, presets, k, and schedules."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from biosae.errors import ConfigError
from biosae.recipes import PRESETS, Recipe, Schedule, recipe_of, resolve_k


@pytest.mark.parametrize(("channels", "k"), [(608, 30), (736, 36), (896, 44), (1056, 52)])
def test_published_k(channels, k):
    recipe = PRESETS["published"]
    assert resolve_k(recipe.k, recipe.k_of, channels, 4 * channels) == k
    assert recipe.nodes(channels) == 4 * channels


@pytest.mark.parametrize(
    ("k", "k_of", "expected"),
    [(36, "absolute", 36), (0.05, "input_channels", 36), (0.01, "hidden_units", 29)],
)
def test_what_k_is_counted_over(k, k_of, expected):
    assert resolve_k(k, k_of, 736, 2944) == expected


@pytest.mark.parametrize(
    ("k", "k_of"),
    [(0.5, "absolute"), (0, "absolute"), (3000, "absolute"), (0.0001, "input_channels"), (1, "x")],
)
def test_unusable_k_is_refused(k, k_of):
    with pytest.raises(ConfigError, match="k"):
        resolve_k(k, k_of, 736, 2944)


def test_published_preset_is_the_published_recipe():
    """x / max, LayerNorm, Adam 1e-5 flat, two quarter sequences a batch, 100 epochs, patience 2."""
    recipe = recipe_of("published", {}).for_store(positions=262144)
    assert recipe.batch_rows == 131072  # half of conv1d_1's positions
    assert (recipe.block_rows, recipe.pool_blocks) == (65536, 2)  # two random quarter sequences a batch
    assert (recipe.normaliser, recipe.layer_norm, recipe.learning_rate) == ("max", True, 1e-5)
    assert (recipe.epochs, recipe.patience, recipe.evaluations) == (100, 2, None)
    assert not (recipe.tied_initialisation or recipe.unit_norm_decoder or recipe.auxk_coefficient)
    schedule = Schedule(recipe, 10**6)
    assert {schedule.learning_rate(step) for step in range(schedule.steps)} == {1e-5}


def test_given_values_replace_the_preset():
    recipe = recipe_of(
        "published", {"learning_rate": 0.5, "seed": 3, "layer_norm": False, "batch_rows": None}
    )
    assert (recipe.learning_rate, recipe.seed, recipe.layer_norm, recipe.normaliser) == (0.5, 3, False, "max")


def test_a_whole_k_is_a_count_unless_said():
    assert recipe_of("default", {"k": 36}).k_of == "absolute"
    assert recipe_of("default", {"k": 0.1}).k_of == "input_channels"
    assert recipe_of("default", {"k": 1.0, "k_of": "input_channels"}).k_of == "input_channels"


@pytest.mark.parametrize(
    ("given_values", "message"),
    [
        ({"learning_rate": -1.0}, "learning_rate.*-1.0"),
        ({"learning_rate": float("nan")}, "learning_rate"),
        ({"batch_rows": 0}, "batch_rows"),
        ({"epochs": 1.5}, "epochs"),
        ({"normaliser": "zscore"}, "zscore.*'normaliser'"),
        ({"layer_norm": 1}, "layer_norm"),
        ({"warmup_share": 0.6, "decay_share": 0.6}, "warmup_share.*decay_share.*at most 1"),
        ({"learning_rat": 1.0}, "Unknown key.*learning_rat"),
    ],
)
def test_nonsense_is_refused(given_values, message):
    with pytest.raises(ConfigError, match=message):
        recipe_of("default", given_values)
    with pytest.raises(ConfigError, match=r"Unknown preset.*mine"):
        recipe_of("mine", {})


def test_expansion_must_give_whole_nodes():
    assert Recipe(expansion=1.5).nodes(6) == 9
    with pytest.raises(ConfigError, match="whole"):
        Recipe(expansion=1.5).nodes(7)
    with pytest.raises(ConfigError, match="whole"):
        Recipe(expansion=4.0001).nodes(736)


def test_any_whole_number_of_nodes_has_an_expansion():
    for channels in range(1, 200):
        assert Recipe(expansion=192 / channels).nodes(channels) == 192


def test_literal_schedule():
    recipe = Recipe(learning_rate=1.0, warmup_share=0.2, decay_share=0.4, batch_rows=10, epochs=1)
    schedule = Schedule(recipe, n_rows=95)
    rates = [schedule.learning_rate(step) for step in range(schedule.steps)]
    assert rates == pytest.approx([0.5, 1, 1, 1, 1, 1, 1, 0.75, 0.5, 0.25])


def test_cosine_decay_is_above_linear_first_and_below_later():
    linear, cosine = (
        Schedule(Recipe(learning_rate=1.0, decay_share=0.95, batch_rows=1, epochs=1, decay=decay), 100)
        for decay in ("linear", "cosine")
    )
    assert cosine.learning_rate(20) > linear.learning_rate(20)
    assert 0 < cosine.learning_rate(95) < linear.learning_rate(95)


@settings(max_examples=60, deadline=None)
@given(
    n_rows=st.integers(1, 500),
    batch_rows=st.integers(1, 60),
    epochs=st.integers(1, 4),
    limit=st.none() | st.integers(1, 1500),
    evaluations=st.none() | st.integers(1, 30),
)
def test_schedule_counts_the_batches_that_the_shuffler_gives(n_rows, batch_rows, epochs, limit, evaluations):
    recipe = Recipe(batch_rows=batch_rows, epochs=epochs, max_positions=limit, evaluations=evaluations)
    schedule = Schedule(recipe, n_rows)
    seen = steps = 0
    for _ in range(epochs):  # count batch by batch: the slow way
        for low in range(0, n_rows, batch_rows):
            if limit is None or seen < limit:
                seen, steps = seen + min(batch_rows, n_rows - low), steps + 1
    assert schedule.steps == steps
    evaluated = [step for step in range(1, steps + 1) if schedule.evaluates(step)]
    assert evaluated[-1] == steps
    if evaluations is not None:
        assert len(evaluated) == min(evaluations, steps)
    assert all(0 < schedule.learning_rate(step) <= recipe.learning_rate for step in range(steps))
