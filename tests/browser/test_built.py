"""The page over an atlas that the builder made: both sides of docs/atlas_format.md meet here."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from test_node import close, drawn

from biosae.artefacts import read_table
from biosae.atlas.builder import Sources, build_atlas
from biosae.atlas.payload import decode
from biosae.motifs.formats import read_meme
from conftest import MISSING, Page

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))

from atlas_synthetic import write_run

N = 70  # two shards


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("built") / "results of a run"
    run = write_run(folder, N, 20, (22, 4), 8, 1)
    sources = Sources(run, folder / "database.meme", folder / "genes.bed", folder / "scoreboard.tsv", "hg38")
    build_atlas(sources, run / "atlas")
    return run


@pytest.fixture
def built(browser, run):
    page = Page(browser, run / "atlas" / "index.html")
    yield page
    assert browser.complaints() == []
    assert browser.requests() == []


def test_the_page_equals_the_tables_cell_by_cell(built, run):
    nodes = read_table(run / "nodes.tsv", "nodes")
    umap = read_table(run / "umap.tsv", "umap")
    for row in (0, 1, 5, 33, 64, N - 1):
        node = int(nodes["node"].iloc[row])
        built.open(f"#n={node}")
        cells = built.values()
        assert [name for name in cells if name in nodes] == list(nodes.columns)
        for name, text in cells.items():
            table = nodes if name in nodes else umap
            x = table[name].iloc[row]
            if pd.isna(x):
                assert text == MISSING, name
            elif isinstance(x, (bool, np.bool_)):
                assert text == ("yes" if x else "no"), name
            elif isinstance(x, (float, np.floating)):
                assert float(text) == pytest.approx(float(x), rel=1e-6), name
            else:
                assert text == str(x), name


def test_the_rows_of_the_table_are_those_of_nodes_tsv(built, run):
    nodes = read_table(run / "nodes.tsv", "nodes")
    built.open("#cols=rank,node,n_seqlets,explained_by")
    assert built.js("[...table.view].map(row => A.column.node.values[row])") == nodes["node"].tolist()
    assert built.column("n_seqlets")[:15] == [str(x) for x in nodes["n_seqlets"][:15]]
    assert built.column("explained_by")[:15] == nodes["explained_by"][:15].tolist()


def test_logos_and_alignments_are_those_of_the_files(built, run):
    motifs = {motif.id: motif.matrix for motif in read_meme(run / "motifs.meme")}
    database = {motif.id: motif.matrix for motif in read_meme(run.parents[1] / "database.meme")}
    matches = read_table(run / "matches.tsv", "matches")
    first = matches.sort_values("p_value", kind="stable").groupby("query", sort=False).head(1)
    first = first[~first["target"].duplicated(keep=False)].head(8)
    assert len(first) > 3
    assert set(first["orientation"]) == {"+", "-"}
    for match in first.itertuples():
        built.open(f"#n={match.node}")
        at = f'[data-motif="{match.query}"] '
        close(drawn(built, at + ".head svg"), motifs[match.query])
        target = database[match.target]
        close(drawn(built, at + ".target svg"), target if match.orientation == "+" else target[::-1, ::-1])
        edges = [
            built.js(f"document.querySelector('{at}.{name} svg').getBoundingClientRect().x")
            for name in ("query", "target")
        ]
        width = built.js(f"document.querySelector('{at}.target svg').getBoundingClientRect().width") / len(
            target
        )
        assert (edges[0] - edges[1]) / width == pytest.approx(match.offset, abs=0.02)


def test_examples_are_those_of_examples_h5(built, run):
    import h5py

    with h5py.File(run / "examples.h5") as file:
        node, edges = file["node"][:], file["edges"][:]
        sequence, band, start = file["sequence"][:], file["band"][:], file["start"][:]
    for row in (0, 66):
        built.open(f"#n={node[row]}")
        mine = slice(edges[row], edges[row + 1])
        top = ["".join("ACGTN"[c] for c in codes) for codes in sequence[mine][band[mine] == 0]]
        shown = built.js(
            "[...document.querySelectorAll('.band')[0].querySelectorAll('.bases')].map(e => e.textContent)"
        )
        assert shown == top
        places = built.texts(".locus")
        assert f":{start[mine][0] + 1}-{start[mine][0] + 22} +" in places[0]


def test_a_place_of_an_example_finds_its_node(built, run):
    index = decode((run / "atlas" / "data" / "index.js").read_text())
    built.open(f"#n={index['columns'][1]['values'][3]}")
    place = built.texts(".locus")[0].split(" ")[0]
    built.go(f"#q={place}")
    built.wait(f"table.state.q === '{place}'")
    assert index["columns"][1]["values"][3] in built.js(
        "[...table.view].map(row => A.column.node.values[row])"
    )


def test_a_rebuild_shows_the_same_bytes(run, tmp_path):
    folder = run.parents[1]
    sources = Sources(run, folder / "database.meme", folder / "genes.bed", folder / "scoreboard.tsv", "hg38")
    build_atlas(sources, tmp_path / "again")
    first, again = (
        {p.relative_to(d): p.read_bytes() for p in d.rglob("*") if p.is_file()}
        for d in (run / "atlas", tmp_path / "again")
    )
    assert first == again
