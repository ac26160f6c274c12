"""The ladder's tables: differences of SAE and best null with intervals, axes, and the summary in words."""

import numpy as np
import pandas as pd
import pytest

from biosae.artefacts import check_table, conform
from biosae.errors import ContractError
from biosae.ladder import summary, table
from biosae.ladder.figure import figures_grid, ladder_figure

PLACE = {"axis": "size", "label": "size", "place": 0, "difficulty": "1", "kinds": None, "motifs": None}


def detectors_of(world="w", seeds=(0, 1, 2), n=20, **f1):
    """Rows of ladder_detectors: the F1 of each run, a number or one per detector; runs are named by role."""
    parts = []
    for seed in seeds:
        for run, value in f1.items():
            parts.append(
                pd.DataFrame(
                    {
                        "world": world,
                        "seed": seed,
                        "run": run,
                        "role": run,
                        "detector": range(n),
                        "name": [f"m{i}+" for i in range(n)],
                        "kind": ["motif" if i < n - 4 else "repeat" for i in range(n)],
                        "motif": [f"m{i}" for i in range(n)],
                        "strand": "+",
                        "n_fires": 50,
                        "f1": value,
                        "best_f1": value,
                    }
                )
            )
    return pd.concat(parts, ignore_index=True)


def runs_of(detectors):
    """Rows of ladder that go with ``detectors_of``."""
    found = table.with_figures(detectors).groupby(["world", "seed", "run", "role"], as_index=False)
    figures = found[["detectors_found", "assignment_f1"]].mean()
    extra = dict.fromkeys(("best_f1", "splitting", "merging", "absorption", "detectors_found_best"), 0.1)
    missing = dict.fromkeys(("fvu", "l0", "dead_fraction", "motif_recall", "motif_precision"))
    sizes = {"n_detectors": 20, "n_nodes": 30, "n_kept_nodes": 30, "n_significant_motifs": None}
    return conform(figures.assign(**extra, **missing, **sizes, position_error_bp=3.0), "ladder")


def test_a_clear_difference_has_an_interval_above_0_and_names_the_best_null():
    detectors = detectors_of(sae=0.9, raw=0.1, pca=0.3, chance=0.99)
    result = table.difference_table(detectors, [{**PLACE, "world": "w"}])
    check_table(conform(result, "ladder_differences"), "ladder_differences")
    row = result.set_index("figure").loc["assignment_f1"]
    assert row["best_null"] == "pca"
    assert row["difference"] == pytest.approx(0.6)
    assert row["beats_null"]
    assert (row["n_seeds"], row["n_detectors"]) == (3, 20)


def test_two_equal_runs_are_not_told_apart():
    rng = np.random.default_rng(5)
    lower = 0
    for trial in range(20):
        parts = [detectors_of(seeds=(seed,), sae=rng.random(20), raw=rng.random(20)) for seed in range(5)]
        result = table.difference_table(pd.concat(parts), [{**PLACE, "world": "w"}], seed=trial)
        lower += int(result["beats_null"].sum())
    assert lower <= 4  # 40 intervals, 2.5 % above 0 by chance


def test_the_interval_is_that_of_the_means_of_drawn_seeds_and_motifs():
    values = np.random.default_rng(0).random((4, 10))
    strands = [np.array(own) for own in ([0], [1, 2], [3, 4], [5], [6, 7], [8, 9])]
    groups = np.repeat(list("abcdef"), [len(own) for own in strands])
    low, high = table.crossed_interval(values, groups, seed=1, replicates=20_000)
    rng = np.random.default_rng(2)
    slow = []
    for _ in range(20_000):
        drawn = np.concatenate([strands[i] for i in rng.integers(6, size=6)])
        slow.append(values[rng.integers(4, size=4)][:, drawn].mean())
    np.testing.assert_allclose([low, high], np.quantile(slow, [0.025, 0.975]), atol=0.01)


def test_a_second_strand_that_says_the_same_narrows_no_interval():
    values, motifs = np.random.default_rng(3).random((4, 7)), np.arange(7)
    once = table.crossed_interval(values, motifs, seed=1)
    twice = table.crossed_interval(np.hstack([values, values]), np.tile(motifs, 2), seed=1)
    assert twice == pytest.approx(once)
    apart = table.crossed_interval(np.hstack([values, values]), np.arange(14), seed=1)
    assert apart[1] - apart[0] < 0.9 * (once[1] - once[0])


def test_a_difference_draws_the_two_strands_of_a_motif_together():
    rng = np.random.default_rng(4)
    sae, raw = rng.random(20), rng.random(20)
    once, again = detectors_of(sae=sae, raw=raw), detectors_of(sae=sae, raw=raw)
    again["name"] = again["name"].str.replace("+", "-")
    rows = [
        table.difference(own, "sae", "f1", seed=0)
        for own in (once, pd.concat([once, again], ignore_index=True))
    ]
    assert rows[0]["n_detectors"] * 2 == rows[1]["n_detectors"]
    assert [rows[1][end] for end in ("ci_low", "ci_high")] == pytest.approx(
        [rows[0][end] for end in ("ci_low", "ci_high")]
    )


def test_one_seed_draws_motifs_alone():
    values = np.array([[0.0, 1.0, 0.0, 1.0]])
    low, high = table.crossed_interval(values, np.arange(4), seed=0)
    assert low < 0.5 < high
    assert table.crossed_interval(np.ones((1, 4)), np.arange(4), seed=0) == (1.0, 1.0)


def test_an_axis_about_some_detectors_counts_those_alone():
    detectors = detectors_of(sae=[0.9] * 16 + [0.1] * 4, raw=0.2)
    place = {**PLACE, "world": "w", "kinds": ["repeat"]}
    axes = table.axis_table(detectors, [place])
    check_table(conform(axes, "ladder_axes"), "ladder_axes")
    assert set(axes["n_detectors"]) == {4}
    assert axes.set_index("run").loc["sae", "detectors_found"].max() == 0
    result = table.difference_table(detectors, [place])
    found = result[result["figure"] == "detectors_found"].set_index("detectors")["value"]
    assert found.to_dict() == {"all": pytest.approx(0.8), "size": 0}


def test_an_axis_about_detectors_that_its_world_lacks_is_refused():
    with pytest.raises(ContractError, match="has none of the detectors that axis 'size' is about"):
        table.axis_table(detectors_of(sae=1.0), [{**PLACE, "world": "w", "kinds": ["pair"]}])


def test_seeds_with_other_detectors_are_refused():
    detectors = detectors_of(sae=1.0, raw=0.0)
    with pytest.raises(ContractError, match="do not hold the same detectors"):
        table.difference_table(detectors.iloc[1:], [{**PLACE, "world": "w"}])


def test_without_a_baseline_there_is_no_difference():
    result = table.difference_table(detectors_of(sae=1.0, chance=0.1), [{**PLACE, "world": "w"}])
    check_table(conform(result, "ladder_differences"), "ladder_differences")
    assert result["best_null"].isna().all()
    detectors = detectors_of(sae=1.0, chance=0.1)
    axes = table.axis_table(detectors, [{**PLACE, "world": "w"}])
    text = summary.summary_text(runs_of(detectors), axes, conform(result, "ladder_differences"))
    assert text.rstrip().endswith("There is no baseline to compare with.")


def two_worlds():
    """An easy world, and one in which the SAE loses."""
    easy = detectors_of("easy", sae=0.9, raw=0.1, random=0.3, chance=0.02)
    hard = detectors_of("hard", sae=0.2, raw=0.1, random=0.75, chance=0.02)
    detectors = pd.concat([easy, hard], ignore_index=True)
    places = [{**PLACE, "world": "easy"}, {**PLACE, "world": "hard", "place": 1, "difficulty": "2"}]
    axes = conform(table.axis_table(detectors, places), "ladder_axes")
    differences = conform(table.difference_table(detectors, places), "ladder_differences")
    return runs_of(detectors), axes, differences


def test_the_summary_names_where_the_sae_does_not_win():
    text = summary.summary_text(*two_worlds())
    lines = {line.split()[0]: line for line in text.splitlines() if line}
    assert lines["hard"].endswith("NOT above its best null")
    assert "NOT" not in lines["easy"]
    assert "In 1 of 2 comparisons" in text
    assert text.rstrip().endswith(": hard.")


def test_titles_say_whose_shape_the_nulls_of_a_further_sae_have():
    detectors = detectors_of(sae=0.9, wide=0.8, raw=0.1)
    detectors.loc[detectors["run"] == "wide", "role"] = "sae"
    places = [{**PLACE, "world": "w"}]
    ladder, axes = runs_of(detectors), conform(table.axis_table(detectors, places), "ladder_axes")
    differences = conform(table.difference_table(detectors, places), "ladder_differences")
    lines = summary.summary_text(ladder, axes, differences).splitlines()
    titles = [line for line in lines if line.startswith("Share")]
    said = "; nulls have the shape of sae"
    assert [title.endswith(said) for title in titles] == [False, True]
    for figure in (ladder_figure(axes, differences), figures_grid(ladder, axes)):
        assert figure.get_suptitle().endswith(said)
    alone = axes[axes["run"] != "wide"]
    assert said not in ladder_figure(alone, differences[differences["run"] == "sae"]).get_suptitle()


def test_the_picture_marks_where_the_sae_does_not_win_and_hides_no_run(tmp_path):
    from biosae.figures import save_figure

    ladder, axes, differences = two_worlds()
    figure = ladder_figure(axes, differences)
    panel = next(axis for axis in figure.axes if axis.get_title().startswith("size"))
    crosses = next(line for line in panel.lines if line.get_marker() == "x")
    assert crosses.get_xdata().tolist() == [1]
    assert len(panel.lines) == 1 + 4  # sae, raw, random, chance
    text = save_figure(figure, tmp_path, "ladder")[0].read_text()
    for word in ("raw", "random", "chance (truth displaced)", "SAE not above its best null", "easy", "hard"):
        assert word in text
    again = save_figure(ladder_figure(axes, differences), tmp_path, "again")[0].read_text()
    assert again == text
    grid = figures_grid(ladder, axes)
    assert {axis.get_ylabel() for axis in grid.axes} >= {"splitting", "merging", "absorption"}
    assert "motif recall" not in {axis.get_ylabel() for axis in grid.axes}  # no run has it here
