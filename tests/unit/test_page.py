"""The page of a run: its rows and links, and that no text of a table can become markup."""

from __future__ import annotations

import base64
import hashlib
import re
import sys
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from helpers_page import DASH, EVIL, make_run

import build_page
import summarise_nodes
from biosae.artefacts import read_table, write_json, write_table
from biosae.errors import ContractError, InputError

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


def test_every_kept_node_has_a_row_with_the_values_of_nodes_tsv(tmp_path, monkeypatch):
    run, text = built(monkeypatch, tmp_path, n_nodes=12)
    nodes, page = read_table(run / "nodes.tsv", "nodes"), Page(text)
    assert page.open == []
    assert list(page.rows) == [f"n{node}" for node in nodes["node"]]
    for node in nodes.itertuples():
        cells = page.rows[f"n{node.node}"]["cells"]
        assert [float(cells[i]["v"]) for i in (0, 1)] == [node.rank, node.node]
        assert cells[2]["text"] == node.explained_by
        assert ("svg" in cells[3]) == (not pd.isna(node.best_motif_id))
        assert cells[4]["text"] == (DASH if pd.isna(node.consensus) else node.consensus)
        assert (
            cells[5]["v"] is None
            if pd.isna(node.motif_log10_e)
            else float(cells[5]["v"]) == node.motif_log10_e
        )
        match = DASH if pd.isna(node.best_match) else f"{node.target_name} {node.best_match}"
        assert cells[10]["text"] == match
        assert float(cells[14]["v"]) == node.mean_act
        assert float(cells[16]["v"]) == node.density
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
