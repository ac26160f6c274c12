"""Figures: the same bytes from the same table, and the table's numbers in the picture."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from helpers_page import training_curve
from matplotlib.image import imread

import plot_training
from biosae.artefacts import write_table
from biosae.figures import new_figure, save_figure, training_figure


def drawn():
    figure = new_figure(3, 2)
    axis = figure.subplots()
    axis.plot([1, 2, 3], [3, 1, 2], label="a <b>")
    axis.legend()
    return figure


def test_the_same_figure_gives_the_same_bytes_and_no_time_stamp(tmp_path):
    first, second = (save_figure(drawn(), tmp_path / name, "f") for name in ("a", "b"))
    assert [path.name for path in first] == ["f.svg", "f.png"]
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()
    svg = first[0].read_text()
    assert "<dc:date>" not in svg
    assert "a &lt;b&gt;" in svg  # text stays text, escaped
    assert imread(first[1]).shape[:2] == (300, 450)


def test_a_figure_that_cannot_be_drawn_leaves_nothing(tmp_path):
    figure = drawn()
    figure.axes[0].set_title("$\\unknown{$")  # mathtext that does not parse
    with pytest.raises(ValueError, match="unknown"):
        save_figure(figure, tmp_path, "f")
    assert list(tmp_path.iterdir()) == []


def test_the_training_figure_shows_the_curve_of_the_table():
    curve = training_curve(20)
    figure = training_figure(curve, "a run")
    fvu, l0, dead, rate = figure.axes
    training, validation = fvu.lines
    assert np.array_equal(validation.get_xydata(), curve[["positions", "validation_fvu"]].to_numpy(float))
    assert len(training.get_xydata()) == 19  # no training figure before the first step
    assert l0.lines[0].get_ydata()[0] == curve["l0"].iloc[0]
    assert dead.lines[0].get_label() == "not active in validation"
    assert rate.lines[0].get_ydata().tolist() == curve["learning_rate"].tolist()
    assert figure.get_suptitle() == "a run"


def test_the_fvu_inside_layer_norm_is_drawn_where_it_is_another():
    curve = training_curve(20)
    curve["validation_fvu_without_layer_norm"] *= 1.4
    labels = [line.get_label() for line in training_figure(curve, "a run").axes[0].lines]
    assert labels == ["training", "validation", "validation, inside LayerNorm"]


@pytest.mark.parametrize("lowest", [0.0, 1e-4, 0.06, 3.0])
def test_every_fvu_down_to_the_lowest_is_inside_the_axis_and_its_scale_has_marks(lowest):
    curve = training_curve(20)
    curve["validation_fvu"] = curve["train_fvu"] = np.linspace(4, lowest, 20)
    axis = training_figure(curve, "a run").axes[0]
    low, high = axis.get_ylim()
    assert low <= min(lowest, 1) <= high
    assert sum(low <= tick <= high for tick in axis.get_yticks()) >= 2


@pytest.mark.parametrize("rows", [0, 1])
def test_a_run_that_was_not_trained_says_so(tmp_path, rows):
    figure = training_figure(training_curve(rows), "raw")
    assert figure.get_suptitle() == "raw: not trained"
    assert figure.texts[-1].get_text().startswith("validation: FVU 4.08, L0 36" if rows else "no curve")
    save_figure(figure, tmp_path, "training_curve")


def test_the_program_writes_both_files(tmp_path, monkeypatch):
    run = tmp_path / 'a "run"'
    write_table(training_curve(5), run / "training_curve.tsv", "training_curve")
    arguments = ["plot_training", "--run", str(run), "--output", str(run / "figures")]
    monkeypatch.setattr(sys, "argv", arguments)
    plot_training.main()
    assert sorted(p.name for p in (run / "figures").iterdir()) == ["training_curve.png", "training_curve.svg"]
    assert 'a "run"' in (run / "figures" / "training_curve.svg").read_text().replace("&quot;", '"')
