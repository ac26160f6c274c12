"""The figure of a run's quality: the artefacts' numbers in the picture."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import pytest
from helpers_page import fill

import plot_quality
from biosae.artefacts import write_json, write_table
from biosae.errors import ContractError
from biosae.figures import save_figure
from biosae.quality import quality_figure

EDGES = [round(-7 + 0.5 * i, 1) for i in range(15)]
FIGURES = {
    "n_nodes": 40, "fvu": 0.2, "fvu_channel_mean": 0.3, "l0": 3.5, "dead_fraction": 0.25,
    "l0_quantiles": {"0.05": 2.0, "0.95": 6.0}, "density_median": 0.01,
    "log10_density_histogram": {"edges": EDGES, "counts": [0] * 8 + [4, 6, 10, 8, 2, 0]},
}  # fmt: skip


def channels(values) -> pd.DataFrame:
    table = pd.DataFrame({"channel": range(len(values)), "fvu": values, "mse": 0.1, "variance": 1.0})
    return fill(table, "channel_fvu")


def stability(n: int = 40) -> pd.DataFrame:
    table = pd.DataFrame({"node": range(n), "dead": np.arange(n) < 10, "siblings": 2})
    values = np.where(table["dead"], np.nan, 0.95)
    return fill(table.assign(stability=values, null_stability=values - 0.7), "stability")


def words(axis) -> str:
    legend = axis.get_legend()
    entries = [text.get_text() for text in legend.get_texts()] if legend else []
    return "\n".join([text.get_text() for text in axis.texts] + entries)


def test_densities_channels_and_stability_are_those_of_the_tables(tmp_path):
    figure = quality_figure(FIGURES, channels([0.5, 0.1, None, 2.0, 0.25]), "a run", stability())
    density, by_channel, seeds = figure.axes
    assert figure.get_suptitle() == "a run: FVU 0.2, L0 3.5 (5 % to 95 % of positions: 2 to 6)"
    drawn = density.patches[0].get_data()
    assert (drawn.values.tolist(), drawn.edges.tolist()) == (
        FIGURES["log10_density_histogram"]["counts"],
        EDGES,
    )
    assert "dead: 10 of 40 nodes (25 %)" in words(density)
    assert by_channel.patches[0].get_data().values.tolist() == [
        0.1,
        0.25,
        0.5,
        1.25,
    ]  # sorted, cut at the top
    for text in ("all channels together: 0.2", "1 of 5 channels above 1.25", "1 of 5 channels constant"):
        assert text in words(by_channel)
    real, null = (patch.get_data() for patch in seeds.patches)
    assert (real.values.sum(), null.values.sum()) == (30, 30)
    assert real.edges[real.values.argmax()] == pytest.approx(0.95)
    assert null.edges[null.values.argmax()] == pytest.approx(0.25)
    assert "2 other seeds" in seeds.get_title()
    save_figure(figure, tmp_path, "quality")


@pytest.mark.parametrize("values", [[0.0, 0.0], [None, None], [3.0]])
def test_perfect_constant_and_hopeless_channels_are_drawn(tmp_path, values):
    undefined = values[0] is None
    figures = FIGURES | dict.fromkeys(("fvu", "fvu_channel_mean"), None if undefined else values[0])
    figure = quality_figure(figures, channels(values), "x")
    assert len(figure.axes) == 2
    assert ("FVU undefined" in figure.get_suptitle()) == undefined
    save_figure(figure, tmp_path, "quality")


def test_all_nodes_dead(tmp_path):
    none = {"dead_fraction": 1.0, "log10_density_histogram": {"edges": EDGES, "counts": [0] * 14}}
    table = stability().assign(dead=True, stability=np.nan, null_stability=np.nan)
    figure = quality_figure(FIGURES | none, channels([0.5]), "x", table)
    assert "dead: 40 of 40 nodes (100 %)" in words(figure.axes[0])
    save_figure(figure, tmp_path, "quality")


def test_the_program_writes_both_files_with_and_without_stability(tmp_path, monkeypatch):
    run = tmp_path / 'a "run"'
    write_json(run / "evaluation.json", FIGURES)
    write_table(channels([0.5, 0.25]), run / "channel_fvu.tsv", "channel_fvu")
    write_table(stability(), run / "stability.tsv", "stability")
    for folder, more in (("one", []), ("two", ["--stability", str(run / "stability.tsv")])):
        command = ["plot_quality", "--run", str(run), "--output", str(run / folder), *more]
        monkeypatch.setattr(sys, "argv", command)
        plot_quality.main()
        assert sorted(path.name for path in (run / folder).iterdir()) == ["quality.png", "quality.svg"]
        text = (run / folder / "quality.svg").read_text()
        assert ("random directions" in text) == bool(more)
    write_json(run / "evaluation.json", {"fvu": 1})
    with pytest.raises(ContractError, match=r"lacks keys.*log10_density_histogram"):
        plot_quality.main()
