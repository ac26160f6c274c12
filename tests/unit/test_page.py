"""The page of a run: its numbers, its drawings, and that no text of a table can become markup."""

from __future__ import annotations

import base64
import hashlib
import re
import sys
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from helpers_page import make_run

import build_page
import summarise_nodes
from biosae.artefacts import read_table, write_json, write_table
from biosae.atlas.logos import COLUMN_WIDTH, HEIGHT, LETTERS, letter_heights, logo_svg, stack_letters
from biosae.atlas.numbers import format_log10, format_number, format_share
from biosae.atlas.plots import Point, line_svg, nice_ticks, scatter_svg
from biosae.errors import ContractError, InputError

EVIL = "<img src=x onerror=alert(1)>"
DASH = "\u2013"  # what a missing value is shown as
VOID = {"meta", "input", "br", "img", "link", "hr"}


class Page(HTMLParser):
    """Elements, rows of the node table, and the text of style and script, as a browser would see them."""

    def __init__(self, text: str):
        super().__init__(convert_charrefs=True)
        self.tags, self.attributes, self.rows, self.text = [], [], {}, []
        self.open, self.inline = [], {"style": [], "script": []}
        self._row = self._cell = None
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attrs]
        if tag not in VOID:
            self.open.append(tag)
        attributes = dict(attrs)
        if tag == "tr" and re.fullmatch(r"n\d+", attributes.get("id", "")):
            self._row = self.rows.setdefault(attributes["id"], {"class": attributes["class"], "cells": []})
        if tag == "td" and self._row is not None:
            self._cell = {"text": "", "v": attributes.get("data-v"), "class": attributes.get("class", "")}
            self._row["cells"].append(self._cell)
        if tag == "svg" and self._cell is not None:
            self._cell["svg"] = True

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"{tag} is not closed in order"
        if tag == "tr":
            self._row = None
        if tag == "td":
            self._cell = None

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attrs]

    def handle_data(self, data):
        if self.open and self.open[-1] in self.inline:
            self.inline[self.open[-1]].append(data)
            return
        self.text.append(data)
        if self._cell is not None and self.open[-1] != "title":
            self._cell["text"] += data


def program(monkeypatch, module, *arguments) -> None:
    monkeypatch.setattr(sys, "argv", [module.__name__, *map(str, arguments)])
    module.main()


def built(monkeypatch, folder, change=None, **options):
    """Make a run, let `change` spoil it, and build nodes.tsv and the page; returns (run, page text)."""
    run = make_run(folder, **options)
    program(monkeypatch, summarise_nodes, "--run", run, "--output", run / "nodes.tsv")
    if change:
        change(run)
    page = run / "atlas" / "index.html"
    program(monkeypatch, build_page, "--run", run, "--output", page)
    return run, page.read_text()


def rewrite(path, schema, **columns) -> None:
    write_table(read_table(path, schema).assign(**columns), path, schema)


# --- the page -------------------------------------------------------------------------------------


def test_every_kept_node_has_a_row_with_the_values_of_nodes_tsv(tmp_path, monkeypatch):
    run, text = built(monkeypatch, tmp_path, n_nodes=12)
    nodes, page = read_table(run / "nodes.tsv", "nodes"), Page(text)
    assert page.open == []
    assert list(page.rows) == [f"n{node}" for node in nodes["node"]]
    for node in nodes.itertuples():
        cells = page.rows[f"n{node.node}"]["cells"]
        assert [float(cells[i]["v"]) for i in (0, 1)] == [node.rank, node.node]
        assert ("svg" in cells[2]) == (not pd.isna(node.best_motif_id))
        assert cells[3]["text"] == (DASH if pd.isna(node.consensus) else node.consensus)
        assert (
            cells[4]["v"] is None
            if pd.isna(node.motif_log10_e)
            else float(cells[4]["v"]) == node.motif_log10_e
        )
        match = DASH if pd.isna(node.best_match) else f"{node.target_name} {node.best_match}"
        assert cells[7]["text"] == match
        assert float(cells[10]["v"]) == node.mean_act
        assert float(cells[12]["v"]) == node.density
        expected = "named" if node.named else "motif" if node.n_significant_motifs else "plain"
        assert page.rows[f"n{node.node}"]["class"] == expected
    assert "12 planted motifs" in "".join(page.text)
    assert "83 %" in "".join(page.text)


def test_a_label_with_markup_stays_inert_everywhere(tmp_path, monkeypatch):
    def spoil(run):
        rewrite(run / "nodes.tsv", "nodes", target_name=EVIL, best_match=f'"{EVIL}', consensus=f"'{EVIL}")
        rewrite(run / "overlaps.tsv", "overlaps", annotation=EVIL, **{"class": "</td><script>x</script>"})
        write_json(run / "checkpoint" / "config.json", {"note": f"</pre></script>{EVIL}"})

    folder = tmp_path / f'{EVIL.replace("/", "")}"&amp;'
    _, text = built(monkeypatch, folder, spoil, n_nodes=7)
    page = Page(text)
    assert page.open == []
    assert "img" not in page.tags
    assert page.tags.count("script") == 1
    assert [entry for entry in page.attributes if entry[1].startswith("on")] == []
    assert EVIL in "".join(page.text)
    assert "</td><script>x</script>" in "".join(page.text)


def test_a_run_name_with_markup_stays_inert(tmp_path, monkeypatch):
    run, _ = built(monkeypatch, tmp_path / "a", n_nodes=3)
    other = run.rename(run.parent / '"><img src=x onerror=alert(1)>')
    program(monkeypatch, build_page, "--run", other, "--output", other / "atlas" / "index.html")
    page = Page((other / "atlas" / "index.html").read_text())
    assert "img" not in page.tags
    assert '"><img src=x onerror=alert(1)>' in page.text


def test_nothing_is_fetched_and_only_the_page_s_own_style_and_script_may_run(tmp_path, monkeypatch):
    _, text = built(monkeypatch, tmp_path, n_nodes=7)
    page = Page(text)
    policy = next(
        value for tag, name, value in page.attributes if tag == "meta" and "default-src" in str(value)
    )
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for kind in ("style", "script"):
        digest = base64.b64encode(hashlib.sha256("".join(page.inline[kind]).encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    names = {name for _, name, _ in page.attributes}
    assert not names & {"src", "style", "srcset", "action", "xlink:href"}
    links = [value for _, name, value in page.attributes if name == "href"]
    assert links
    assert all(re.match(r"#n\d+$|\.\./", link) for link in links)
    assert "http" not in "".join(page.inline["style"]) + "".join(page.inline["script"])


def test_links_are_relative_and_lead_to_files_that_are_there(tmp_path, monkeypatch):
    run, text = built(monkeypatch, tmp_path / "a b", n_nodes=3)
    links = [
        value for _, name, value in Page(text).attributes if name == "href" and not value.startswith("#")
    ]
    files = {link for link in links if not re.search(r"/\d+_n\d+", link)}
    assert {"../nodes.tsv", "../motifs.meme", "../matches.tsv", "../seqlets/manifest.tsv"} <= files
    assert "../node_stats.tsv" not in files  # this run has none
    for link in files:
        assert (run / "atlas" / link).exists()
    first = read_table(run / "nodes.tsv", "nodes")["node"].iloc[0]
    assert {f"../seqlets/1_n{first}.fa", f"../meme/1_n{first}/meme.txt"} <= set(links)


def test_a_rebuild_elsewhere_gives_the_same_bytes(tmp_path, monkeypatch):
    one, first = built(monkeypatch, tmp_path / "one", n_nodes=9)
    two, second = built(monkeypatch, tmp_path / "two" / "deeper", n_nodes=9)
    assert first == second
    assert str(tmp_path) not in first
    made_by = [(run / "atlas" / "index.html.json").read_text() for run in (one, two)]
    assert made_by[0] == made_by[1]
    assert str(tmp_path) not in made_by[0]
    assert "overlaps.tsv" in made_by[0]


def test_a_run_without_kept_nodes_gives_a_valid_page_that_says_so(tmp_path, monkeypatch):
    _, text = built(monkeypatch, tmp_path, n_nodes=0, trained=False, recovery=False)
    page = Page(text)
    assert page.open == []
    assert page.rows == {}
    words = "".join(page.text)
    assert "No node of this run passed the selection" in words
    assert "This run was not trained" in words
    assert "planted truth" not in words.replace("score against the planted truth", "")


def test_every_link_of_the_embedding_has_its_row(tmp_path, monkeypatch):
    _, text = built(monkeypatch, tmp_path, n_nodes=8)
    page = Page(text)
    targets = {value[1:] for _, name, value in page.attributes if name == "href" and value.startswith("#")}
    assert targets == set(page.rows)
    assert page.tags.count("circle") == 2 * 8 + 4  # two embeddings, and the last point of four curves


def test_nodes_without_coordinates_are_counted_and_no_embedding_is_said(tmp_path, monkeypatch):
    def drop_one(run):
        table = read_table(run / "umap.tsv", "umap")
        table.loc[0, ["umap1", "umap2"]] = np.nan
        write_table(table, run / "umap.tsv", "umap")

    def drop_all(run):
        rewrite(run / "umap.tsv", "umap", umap1=np.nan, umap2=np.nan, coact1=np.nan, coact2=np.nan)

    _, text = built(monkeypatch, tmp_path / "a", drop_one, n_nodes=6)
    assert "Decoder directions; 1 nodes have no coordinates" in re.sub(r"\s+", " ", "".join(Page(text).text))
    _, text = built(monkeypatch, tmp_path / "b", drop_all, n_nodes=3)
    assert "Too few nodes for an embedding" in text


def test_overlaps_are_the_strongest_first_and_the_rest_is_counted(tmp_path, monkeypatch):
    _, text = built(monkeypatch, tmp_path, n_nodes=40)
    section = text[text.index('<section id="overlaps">') :]
    assert section.count("SINE/Alu") == 30
    assert "The 30 strongest of 40" in section
    assert "27 (22 to 33)" in section[: section.index("SINE/Alu") + 400]
    run = make_run(tmp_path / "none", n_nodes=2)
    (run / "overlaps.tsv").unlink()
    program(monkeypatch, summarise_nodes, "--run", run, "--output", run / "nodes.tsv")
    program(monkeypatch, build_page, "--run", run, "--output", run / "atlas" / "index.html")
    assert "Annotation overlaps" not in (run / "atlas" / "index.html").read_text()


def test_a_node_costs_little(tmp_path, monkeypatch):
    _, few = built(monkeypatch, tmp_path / "few", n_nodes=10)
    _, many = built(monkeypatch, tmp_path / "many", n_nodes=210)
    assert (len(many) - len(few)) / 200 < 5000  # so that 3,000 nodes stay below 15 MB


def test_faults_name_the_file(tmp_path, monkeypatch):
    def without(name):
        return lambda run: (run / name).unlink()

    for name in ("umap.tsv", "motifs.meme", "training_curve.tsv", "evaluation.json"):
        with pytest.raises(InputError, match=re.escape(name)):
            built(monkeypatch, tmp_path / name, without(name), n_nodes=2)
    with pytest.raises(ContractError, match=r"best motifs of nodes\.tsv are not in the motif file.*9_n9_m9"):
        built(
            monkeypatch,
            tmp_path / "motif",
            lambda run: rewrite(run / "nodes.tsv", "nodes", best_motif_id="9_n9_m9"),
            n_nodes=2,
        )

    def other_nodes(run):
        table = read_table(run / "umap.tsv", "umap")
        write_table(table.iloc[1:], run / "umap.tsv", "umap")

    with pytest.raises(ContractError, match=r"different nodes.*umap\.tsv.*1 nodes.*2 nodes"):
        built(monkeypatch, tmp_path / "nodes", other_nodes, n_nodes=2)


# --- numbers as text ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (12345, "12,345"), (0.083149, "0.0831"), (1e-6, "1e-6"), (2.5e-12, "2.5e-12"), (None, DASH),
     (float("nan"), DASH), (1e30, "1e+30"), (pd.NA, DASH)],
)  # fmt: skip
def test_format_number(value, text):
    assert format_number(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(-400.3, "5.0e-401"), (-5, "1.0e-5"), (0, "1"), (2, "100"), (-4.0000001, "1.0e-4"), (6, "1.0e+6"),
     (None, DASH), (-10.00001, "1.0e-10")],
)  # fmt: skip
def test_format_log10(value, text):
    assert format_log10(value) == text


def test_format_share():
    assert [format_share(v) for v in (0.43, 0.00123, 1.0, None)] == ["43 %", "0.12 %", "100 %", DASH]


# --- logos ----------------------------------------------------------------------------------------


def boxes(svg: str) -> dict[tuple[str, int], tuple[float, float]]:
    """(letter, column) -> (top, bottom) of the drawn outlines: the picture read back into numbers."""
    found: dict[tuple[str, int], tuple[float, float]] = {}
    for letter, path in re.findall(r'<path class="l(\w)" d="([^"]*)"/>', svg):
        for part in path.split("z")[:-1]:
            steps = np.array([int(n) for n in re.findall(r"-?\d+", part)]).reshape(-1, 2)
            points = steps.cumsum(axis=0)
            column = int(points[:, 0].mean() // COLUMN_WIDTH)
            assert column * COLUMN_WIDTH < points[:, 0].min()
            assert points[:, 0].max() < (column + 1) * COLUMN_WIDTH
            top, bottom = found.get((letter.upper(), column), (np.inf, -np.inf))
            found[letter.upper(), column] = (min(top, points[:, 1].min()), max(bottom, points[:, 1].max()))
    return found


def test_letter_heights_are_probability_times_information():
    matrix = np.array([[1, 0, 0, 0], [0.25, 0.25, 0.25, 0.25], [0.5, 0.5, 0, 0], [0.7, 0.1, 0.1, 0.1]])
    heights = letter_heights(matrix)
    # 2 bits, none, one bit shared, and 2 - H(0.7, 0.1, 0.1, 0.1) = 2 - 1.35678 by hand
    assert heights.sum(axis=1) == pytest.approx([2, 0, 1, 0.64322], abs=1e-5)
    assert heights[2].tolist() == [0.5, 0.5, 0, 0]
    assert heights[3] == pytest.approx([0.450254, 0.064322, 0.064322, 0.064322], abs=1e-5)


def test_the_drawing_has_the_heights_of_the_matrix():
    matrix = np.array(
        [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [0.5, 0.5, 0, 0], [0, 0.2, 0.8, 0]]
    )
    drawn = boxes(logo_svg(matrix, ""))
    assert {key for key in drawn if key[1] < 4} == {("A", 0), ("C", 1), ("G", 2), ("T", 3)}
    for column in range(4):
        top, bottom = drawn[LETTERS[column], column]
        assert abs(top) <= 6  # the bowls of C and G are polygons: a little inside the box
        assert abs(bottom - HEIGHT) <= 6
    assert drawn["A", 4] == (HEIGHT * 3 / 4, HEIGHT)  # one bit in two equal halves, A below C
    assert drawn["C", 4][1] <= HEIGHT * 3 / 4 + 1
    assert drawn["G", 5][1] <= drawn["C", 5][0] + 1  # the likelier letter is on top


def test_stacked_letters_never_overlap_and_low_ones_are_left_out():
    matrix = np.random.default_rng(0).dirichlet([0.3] * 4, 30)
    heights = letter_heights(matrix) * HEIGHT / 2
    placed = stack_letters(matrix)
    assert len(placed) == (heights >= 4).sum()
    for column in range(30):
        stack = [(top, height) for _, c, top, height in placed if c == column]
        for (low_top, _), (high_top, high) in pairwise(stack):
            assert high_top + high <= low_top + 1e-9
        total = heights[column].sum()
        assert not stack or min(top for top, _ in stack) == pytest.approx(HEIGHT - total)


def test_a_logo_is_as_wide_as_its_matrix_and_escapes_its_title():
    svg = logo_svg(np.full((7, 4), 0.25), EVIL)
    assert f'viewBox="0 0 {7 * COLUMN_WIDTH} {HEIGHT}"' in svg
    assert "<path" not in svg  # no information, no letter
    assert "<img" not in svg


# --- plots ----------------------------------------------------------------------------------------


def test_scatter_keeps_the_order_of_both_axes_and_escapes():
    points = [
        Point(0, 0, "named", EVIL, "n1"),
        Point(10, 5, "plain", "b", "n2"),
        Point(5, 10, "motif", "c", "n3"),
    ]
    svg = scatter_svg(points, 'a "label"')
    assert "<img" not in svg
    assert 'aria-label="a &quot;label&quot;"' in svg
    place = [tuple(map(float, found)) for found in re.findall(r'cx="([\d.]+)" cy="([\d.]+)"', svg)]
    assert place[0][0] < place[2][0] < place[1][0]
    assert place[0][1] > place[1][1] > place[2][1]  # y grows upwards
    assert re.findall(r'href="#(n\d)"><circle class="(\w+)"', svg) == [
        ("n1", "named"), ("n2", "plain"), ("n3", "motif")
    ]  # fmt: skip


def test_a_single_point_stands_in_the_middle():
    assert 'cx="210.0" cy="170.0"' in scatter_svg([Point(3, 4, "plain", "", "n1")], "")


@pytest.mark.parametrize(
    ("low", "high", "about", "ticks"),
    [(0, 1, 4, [0, 0.5, 1]), (0, 1, 5, [0, 0.2, 0.4, 0.6, 0.8, 1]), (0, 9750, 3, [0, 5000]), (3, 3, 4, [3]),
     (-1, 1, 4, [-1, -0.5, 0, 0.5, 1])],
)  # fmt: skip
def test_nice_ticks(low, high, about, ticks):
    assert nice_ticks(low, high, about) == ticks


def test_a_line_leaves_out_what_is_missing_and_says_what_is_too_high():
    svg = line_svg([0, 1, 2, 3], [9.0, 0.5, np.nan, 0.25], "FVU", ceiling=1.25)
    assert "FVU (1 above 1.25 not shown)" in svg
    assert len(re.search(r'class="line" d="M([^"]*)"', svg)[1].split("L")) == 2
    assert "last value 0.25" in svg
    assert line_svg([0], [np.nan], "x") == ""
    assert line_svg([], [], "x") == ""
