"""The self-test's configuration: what is refused, and what one rung depends on."""

import json

import helpers_ladder
import pytest

from biosae.errors import ConfigError
from biosae.ladder.config import ladder_places, rung_settings
from biosae.ladder.settings import synthetic_settings


def test_the_shipped_configuration_has_every_axis_and_fits_in_the_time():
    full = helpers_ladder.selftest_config()
    assert {"superposition", "strength", "density", "pairs", "partner", "repeat", "strand"} <= set(
        full["axes"]
    )
    places = {row["difficulty"] for row in ladder_places(full) if row["axis"] == "superposition"}
    assert places == {"1", "2", "4", "8"}
    assert full["seeds"] == [0, 1, 2, 3, 4]
    assert 18 <= len(full["worlds"]) <= 24


def test_defaults_are_filled_in_below_names_that_the_config_chooses():
    full = helpers_ladder.checked()
    assert full["axes"]["superposition"] == {
        "label": "superposition",
        "hardest": "high",
        "kinds": None,
        "motifs": None,
    }
    assert full["worlds"]["easy"]["settings"] == {}


def test_a_rung_depends_on_its_own_world_and_seed_alone():
    worlds = {
        "easy": {"axes": {"superposition": 2}},
        "hard": {"axes": {"superposition": 4}, "settings": {"superposition": 4}},
    }
    full = helpers_ladder.checked(worlds=worlds, seeds=[0, 1], motif_seeds=[1])
    easy = rung_settings(full, "easy", 0)
    assert easy["synthetic"]["superposition"] == 2
    assert easy["synthetic"]["random_model"] is True
    assert easy["synthetic"]["seed"] == easy["seed"] == 0
    assert easy["motifs"] is None
    assert rung_settings(full, "hard", 1)["motifs"]["background_windows"] == 500
    assert json.loads(json.dumps(easy)) == easy
    without = helpers_ladder.checked(worlds={"easy": worlds["easy"]}, seeds=[0, 1], motif_seeds=[1])
    assert rung_settings(without, "easy", 0) == easy


def test_the_twin_network_is_simulated_only_for_its_baseline():
    full = helpers_ladder.checked(baselines=["raw"])
    assert "random_model" not in rung_settings(full, "easy", 3)["synthetic"]


def test_numbers_are_ordered_by_difficulty_and_words_as_they_stand():
    worlds = {
        "b": {"axes": {"sites": 100, "grammar": "with its partner"}},
        "a": {"axes": {"sites": 400, "grammar": "alone"}},
        "c": {"axes": {"sites": 200}},
    }
    axes = {"sites": {"label": "sites", "hardest": "low"}, "grammar": {"label": "grammar"}}
    rows = ladder_places(helpers_ladder.checked(worlds=worlds, axes=axes))
    assert [row["world"] for row in rows if row["axis"] == "sites"] == ["a", "c", "b"]
    assert [row["world"] for row in rows if row["axis"] == "grammar"] == ["b", "a"]
    assert [row["place"] for row in rows] == [0, 1, 2, 0, 1]


def test_lists_of_the_configuration_become_the_tuples_of_the_simulation():
    settings = synthetic_settings({"motif_ids": ["a", "b"], "pairs": [["a", "b", 4]]})
    assert settings.pairs == (("a", "b", 4),)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"worlds": {"easy": {"axes": {"hight": 1}}}}, "at least one of the axes"),
        ({"worlds": {"easy": {"axes": {}}}}, "at least one of the axes"),
        ({"axes": {"superposition": {"label": "s"}, "empty": {"label": "e"}}}, "Axis 'empty' needs worlds"),
        (
            {"worlds": {name: {"axes": {"superposition": 2}} for name in ("one", "two")}},
            "each at a place of its own",
        ),
        ({"base": {"motif_ids": ["MA0139.2"], "genom_bp": 3}}, "genom_bp"),
        ({"base": {"genome_bp": 200_000}}, "motif_ids"),
        ({"motif_seeds": [9]}, "among seeds"),
        ({"recipes": []}, "recipes"),
        ({"baselines": ["nmf"]}, "nmf"),
        ({"seed": 3}, "'seed' was unexpected"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_runs(changes, said):
    with pytest.raises(ConfigError, match=said):
        helpers_ladder.checked(**changes)


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        ({"name": "raw"}, "should not be valid"),
        ({"kind": "pca"}, "Unknown kind"),
        ({"settings": {"expansion": 4}}, "n_nodes says it"),
        ({"settings": {"learning_rte": 4}}, "learning_rte"),
        ({"settings": {"learning_rate": -1}}, "make no sense"),
    ],
)
def test_recipes_that_cannot_be_trained_are_refused(recipe, said):
    own = {"name": "topk", "kind": "topk", "n_nodes": 24, **recipe}
    with pytest.raises(ConfigError, match=said):
        helpers_ladder.checked(recipes=[own])


def test_two_recipes_of_one_name_are_refused():
    recipe = helpers_ladder.tiny_config()["recipes"][0]
    with pytest.raises(ConfigError, match="one name"):
        helpers_ladder.checked(recipes=[recipe, recipe])
