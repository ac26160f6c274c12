"""score_runs, summarise_runs and print_scores: the files they leave, and what a reader is shown."""

from __future__ import annotations

import base64
import json
import re
import sys

import pandas as pd
import pytest
from helpers_scoreboard import KINDS, made_tables, write_empty_scoreboard, write_run
from matplotlib.image import imread

import print_scores
import score_runs
import summarise_runs
from biosae.artefacts import conform, load_schema, read_table, write_table
from biosae.errors import ConfigError, ContractError, InputError
from biosae.scoreboard.labels import blocks, difference_text
from biosae.scoreboard.page import render
from biosae.scoreboard.picture import scoreboard_figure
from biosae.scoreboard.text import format_scoreboard


def call(monkeypatch, program, *words) -> None:
    monkeypatch.setattr(sys, "argv", [program.__name__, *map(str, words)])
    program.main()


def scored(monkeypatch, folder, f1=(0.9, 0.3)):
    """Two SAEs and two nulls; the second SAE has no kept node."""
    made = (
        ("topk-x3", "sae", made_tables(12, 0.8, 0), f1[0]),
        ("dead-x3", "sae", made_tables(0, 0.8, 0), f1[1]),
        ("raw", "raw", made_tables(10, 0.2, 1), f1[1]),
        ("random-x3", "random", made_tables(11, 0.1, 2), f1[1]),
    )
    runs = [write_run(folder, name, role, tables, own) for name, role, tables, own in made]
    compare = ("--compare", "topk-x3", "raw", "random-x3", "--compare", "dead-x3", "raw")
    settings = ("--kinds", *KINDS, "--locus-bp", 200_000, "--replicates", 40, "--seed", 3)
    scoreboard = folder / "scoreboard.tsv"
    call(monkeypatch, score_runs, "--runs", *runs, *compare, *settings, "--output", scoreboard)
    call(monkeypatch, summarise_runs, "--runs", *runs, "--scoreboard", scoreboard, "--output", folder)
    return runs


NAMES = ("scoreboard.tsv", "summary.tsv", "summary.html", "scoreboard.svg", "scoreboard.png")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "a 'quoted' \"folder\""
    with pytest.MonkeyPatch.context() as monkeypatch:
        scored(monkeypatch, folder)
    return folder


def test_the_same_runs_and_seed_give_the_same_bytes(whole, tmp_path, monkeypatch):
    scored(monkeypatch, tmp_path)
    for name in (*NAMES, "scoreboard.tsv.json", "summary.tsv.json"):
        assert (tmp_path / name).read_bytes() == (whole / name).read_bytes(), name


def test_the_scoreboard_states_what_summary_tsv_counts(whole):
    summary = read_table(whole / "summary.tsv", "summary").set_index("run")
    assert summary["role"].tolist() == ["sae", "sae", "raw", "random"]
    assert (summary["density"] == 0.2).all()
    table = read_table(whole / "scoreboard.tsv", "scoreboard")
    assert table["run"].unique().tolist() == ["topk-x3", "dead-x3"]
    column = {"nodes_with_motif": "nodes_with_significant_motif"}
    for row in table.itertuples():
        name = column.get(row.figure, row.figure)
        assert row.value == pytest.approx(summary.loc[row.run, name]), row.figure
        assert row.null_value == pytest.approx(summary.loc[row.best_null, name]), row.figure
    assert set(table["figure"]) == set(load_schema("scoreboard")["properties"]["figure"]["enum"])


def test_summary_tsv_has_the_differences_of_the_scoreboard_and_none_for_baselines(whole):
    summary = read_table(whole / "summary.tsv", "summary").set_index("run")
    columns = [name for name in summary.columns if "_minus_best_null" in name]
    assert len(columns) == 3 * len(load_schema("scoreboard")["properties"]["figure"]["enum"])
    assert summary.loc[["raw", "random-x3"], columns].isna().all(axis=None)
    for row in read_table(whole / "scoreboard.tsv", "scoreboard").itertuples():
        name = {"nodes_with_motif": "nodes_with_significant_motif"}.get(row.figure, row.figure)
        own = summary.loc[row.run, [f"{name}_minus_best_null{end}" for end in ("", "_low", "_high")]]
        expected = [row.difference, row.ci_low, row.ci_high]
        assert own.tolist() == pytest.approx(expected, nan_ok=True), row.figure
    assert summary.loc["topk-x3", columns].notna().all()


def test_one_table_an_sae_is_printed_and_the_path_of_the_picture(whole, monkeypatch, capsys):
    call(monkeypatch, print_scores, "--results", whole)
    text = capsys.readouterr().out
    first, second, end = text.split("\n\n")
    lines = first.splitlines()
    assert lines[0] == "topk-x3"
    assert lines[1].split()[:3] == ["SAE", "raw", "random"]
    score = read_table(whole / "scoreboard.tsv", "scoreboard").set_index(["run", "figure"])
    named = score.loc[("topk-x3", "nodes_named")]
    (line,) = (line for line in lines if line.startswith("named nodes"))
    assert line.split()[2] == str(int(named["value"]))
    assert f"[{named['ci_low']:.3g}, {named['ci_high']:.3g}]" in line
    assert len({len(line) for line in lines if "[" in line}) == 1  # aligned
    assert lines[-1].split()[-3:] == ["seed", "-", "-"]
    assert "one seed" in lines[-1]
    assert second.splitlines()[0] == "dead-x3"
    assert second.splitlines()[-1].strip() == "no kept node"
    assert f"Picture: {whole / 'scoreboard.png'}" in end
    assert (whole / "scoreboard.png").is_file()


def test_the_page_holds_every_run_once_and_needs_nothing_else(whole):
    page = (whole / "summary.html").read_text()
    rows = re.findall(r'<tr class="(\w+)"><th scope="row">(?:<a href="([^"]*)">)?([^<]*)', page)
    assert [(css, name) for css, _, name in rows] == [
        ("sae", "topk-x3"), ("difference", "minus best null"), ("null", "raw"), ("null", "random-x3"),
        ("sae", "dead-x3"), ("difference", "minus best null"),
    ]  # fmt: skip
    # a null has no page of its own
    links = {name: link for _, link, name in rows if link}
    assert links == {name: f"conv1d_2/{name}/atlas/index.html" for name in ("topk-x3", "dead-x3")}
    assert page.count("beside raw") + page.count("beside random") > 8
    assert "one seed" in page
    assert "dead-x3: " in page
    assert "no kept node" in page
    assert "http" not in re.sub(r"data:image/svg\+xml;base64,[^\"]*", "", page).replace("http-equiv", "")
    (picture,) = re.findall(r'src="data:image/svg\+xml;base64,([^"]*)"', page)
    assert base64.b64decode(picture) == (whole / "scoreboard.svg").read_bytes()


def test_the_provenance_names_every_file_read(whole):
    inputs = [entry["name"] for entry in json.loads((whole / "scoreboard.tsv.json").read_text())["inputs"]]
    of_run = ["manifest.tsv", "motifs.tsv", "matches.tsv", "held_out.tsv.gz", "motif_clusters.tsv"]
    assert inputs[:11] == [*of_run, *["status.tsv", "motifs.tsv"] * 2, "recovery.json", "recovery_loci.tsv"]
    assert len(inputs) == 4 * 11


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ((18.66, 17.25, 19.7), "+18.7 [17.2, 19.7]"),
        ((1234.5, 999.7, 20_100.2), "+1,234 [1,000, 20,100]"),
        ((-0.0123, None, None), "-0.0123"),
        ((None, None, None), ""),
    ],
)
def test_differences_have_three_digits_and_no_exponent(numbers, text):
    assert (
        difference_text(pd.Series(dict(zip(("difference", "ci_low", "ci_high"), numbers, strict=True))))
        == text
    )


def test_layers_may_have_runs_of_one_name_and_a_lost_null_is_named(whole):
    summary = read_table(whole / "summary.tsv", "summary")
    scoreboard = read_table(whole / "scoreboard.tsv", "scoreboard")
    both = [pd.concat([table, table.assign(layer="other")]) for table in (summary, scoreboard)]
    found = blocks(*both)
    assert [block.sae["layer"] for block in found] == ["conv1d_2", "conv1d_2", "other", "other"]
    assert {null["layer"] for null in found[3].nulls} == {"other"}
    with pytest.raises(ContractError, match=r"no row in the summary.*conv1d_2/random-x3.*summarise_runs"):
        blocks(summary[summary["run"] != "random-x3"], scoreboard)


def test_text_of_a_name_cannot_become_markup(whole):
    summary = read_table(whole / "summary.tsv", "summary")
    evil = summary.assign(run=summary["run"].replace({"raw": "<script>x</script>"}))
    assert "<script>" not in render(evil, empty_scoreboard(), b"")


def empty_scoreboard() -> pd.DataFrame:
    return conform(pd.DataFrame(columns=list(load_schema("scoreboard")["properties"])), "scoreboard")


def test_no_run_and_no_comparison_are_valid(whole, tmp_path):
    summary = read_table(whole / "summary.tsv", "summary")
    assert format_scoreboard(summary, empty_scoreboard()) == ""
    page = render(summary.iloc[:0], empty_scoreboard(), b"")
    assert "There is no run." in page
    assert "<img" not in page
    assert scoreboard_figure(summary, empty_scoreboard()).axes
    assert read_table(write_empty_scoreboard(tmp_path), "scoreboard").empty


def test_with_several_seeds_the_cosine_stands_in_place_of_one_seed(whole):
    summary = read_table(whole / "summary.tsv", "summary")
    scoreboard = read_table(whole / "scoreboard.tsv", "scoreboard")
    several = summary.copy()
    several.loc[0, ["siblings", "stability", "null_stability"]] = [4, 0.91, 0.3]
    first = format_scoreboard(several, scoreboard).split("\n\n")[0]
    assert "0.91 (chance 0.30)" in first
    assert "one seed" not in first
    assert "0.91 (chance 0.30)" in render(several, scoreboard, b"")


def test_the_picture_shows_every_value_and_difference(whole):
    summary = read_table(whole / "summary.tsv", "summary")
    scoreboard = read_table(whole / "scoreboard.tsv", "scoreboard")
    values, differences = scoreboard_figure(summary, scoreboard).axes
    lines = {line.get_label(): line.get_xdata() for line in values.lines}
    named = scoreboard.set_index(["run", "figure"]).loc[("topk-x3", "nodes_named")]
    kept = summary.set_index("run").loc["topk-x3", "kept_nodes"]
    assert lines["topk-x3"][2] == pytest.approx(named["value"] / kept)
    assert set(lines) == {"topk-x3", "dead-x3", "raw", "random"}
    drawn = [tuple(line.get_xdata()) for line in differences.lines]
    per_node = named[["ci_low", "ci_high"]].astype(float) / named["matched_nodes"]
    assert any(pair == pytest.approx(tuple(per_node)) for pair in drawn if len(pair) == 2)
    assert imread(whole / "scoreboard.png").shape[1] > 1000


def test_faults_of_score_runs(tmp_path, monkeypatch, capsys):
    run = write_run(tmp_path, "raw", "raw", made_tables(2, 0.5, 0))
    words = ("--runs", run, "--output", tmp_path / "s.tsv")
    with pytest.raises(InputError, match=r"not among the runs given.*topk"):
        call(monkeypatch, score_runs, *words, "--compare", "topk", "raw")
    with pytest.raises(ConfigError, match="not named after their kinds"):
        call(monkeypatch, score_runs, *words, "--kinds", "shuffled", "scrambled")
    with pytest.raises(ConfigError, match="replicates >= 20"):
        call(monkeypatch, score_runs, *words, "--replicates", 2)
    with pytest.raises(InputError, match=r"motif_status.*filter"):
        call(monkeypatch, score_runs, *words, "--kinds", "filter")
    with pytest.raises(ConfigError, match="2 folders with 1 names, of conv1d_1, conv1d_2"):
        other = tmp_path / "conv1d_1" / "raw"
        other.mkdir(parents=True)
        call(monkeypatch, score_runs, "--runs", run, other, "--output", tmp_path / "s.tsv")
    evidence = read_table(run / "held_out.tsv.gz", "held_out")
    first = evidence["motif_id"].iloc[0]
    write_table(evidence[evidence["motif_id"] != first], run / "held_out.tsv.gz", "held_out")
    with pytest.raises(ContractError, match=rf"evidence.*{first}.*collect"):
        call(monkeypatch, score_runs, *words)
    assert not (tmp_path / "s.tsv").exists()
