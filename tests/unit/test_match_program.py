"""match_motifs: a run and a single node give the same bytes, faults are named."""

from __future__ import annotations

import runpy
import shutil
import subprocess
import sys
from dataclasses import fields

import numpy as np
import pytest
from helpers_meme_suite import DATA, DATABASE, MEME_TEXT, SCRIPTS, files_of, run_program

from biosae.artefacts import read_table
from biosae.errors import InputError
from biosae.motifs.formats import Motif, format_meme, read_meme, write_meme
from biosae.motifs.matching import MatchSettings
from biosae.motifs.quality import MIN_INFORMATION_BITS
from biosae.motifs.tables import renamed


@pytest.fixture
def run(tmp_path):
    """A run's motifs: those that MEME found in two nodes, planted and null."""
    nodes = {(2, 42): DATA / "meme/9_n42_null/meme.txt", (3, 127): MEME_TEXT}
    motifs = [renamed(read_meme(path), *node) for node, path in nodes.items()]
    write_meme(tmp_path / "run/motifs.meme", motifs[0] + motifs[1])
    write_meme(tmp_path / "run/meme/3_n127/meme.txt", motifs[1])
    return tmp_path / "run"


def test_match_program(run, tmp_path, monkeypatch):
    motifs = run / "motifs.meme"
    out = ("--output", tmp_path / "matches.tsv", "--tomtom-dir", tmp_path / "tomtom")
    run_program(monkeypatch, "match_motifs", "--motifs", motifs, "--database", DATABASE, *out)
    table = read_table(tmp_path / "matches.tsv", "matches")
    assert "MA0035.5" in set(table.loc[table["significant"].astype(bool) & (table["node"] == 127), "target"])
    folders = {
        path.name: read_table(path / "tomtom.tsv", "tomtom") for path in (tmp_path / "tomtom").iterdir()
    }
    assert set(folders) == {"2_n42", "3_n127"}  # nodes with motifs, matched or not
    assert sum(len(rows) for rows in folders.values()) == len(table)
    header = (DATA / "tomtom/3_n127/tomtom.tsv").read_text().splitlines()[0]
    assert (tmp_path / "tomtom/3_n127/tomtom.tsv").read_text().splitlines()[0] == header
    one = ("--motifs", run / "meme/3_n127/meme.txt", "--database", DATABASE)
    run_program(monkeypatch, "match_motifs", *one, "--tomtom-dir", tmp_path / "single")
    assert files_of(tmp_path / "single") == {
        "3_n127/tomtom.tsv": (tmp_path / "tomtom/3_n127/tomtom.tsv").read_bytes()
    }


def test_a_node_without_motif_gets_its_table(tmp_path, monkeypatch):
    write_meme(tmp_path / "meme/4_n7/meme.txt", [])
    base = ("--motifs", tmp_path / "meme/4_n7/meme.txt", "--database", DATABASE)
    run_program(monkeypatch, "match_motifs", *base, "--tomtom-dir", tmp_path / "tomtom")
    assert read_table(tmp_path / "tomtom/4_n7/tomtom.tsv", "tomtom").empty


def test_a_node_without_match_gets_a_header(tmp_path, monkeypatch):
    write_meme(tmp_path / "m.meme", [Motif("1_n5_m1", "flat", np.full((6, 4), 0.25))])
    base = ("match_motifs", "--motifs", tmp_path / "m.meme", "--database", DATABASE)
    run_program(monkeypatch, *base, "--tomtom-dir", tmp_path / "tomtom", "--report-q", "0.01")
    assert read_table(tmp_path / "tomtom/1_n5/tomtom.tsv", "tomtom").empty


def test_a_meme_folder_names_its_motifs_by_node(tmp_path, monkeypatch):
    """meme calls motifs by their consensus; the node is in the folder's name."""
    (tmp_path / "meme/3_n127").mkdir(parents=True)
    shutil.copy(MEME_TEXT, tmp_path / "meme/3_n127/meme.txt")
    (tmp_path / "tomtom/9_n9").mkdir(parents=True)
    (tmp_path / "tomtom/9_n9/tomtom.tsv").write_text("of another node")
    base = ("match_motifs", "--motifs", tmp_path / "meme/3_n127/meme.txt", "--database", DATABASE)
    run_program(monkeypatch, *base, "--output", tmp_path / "m.tsv", "--tomtom-dir", tmp_path / "tomtom")
    assert set(read_table(tmp_path / "m.tsv", "matches")["query"]) == {"3_n127_m1", "3_n127_m2"}
    assert not read_table(tmp_path / "tomtom/3_n127/tomtom.tsv", "tomtom").empty
    assert (tmp_path / "tomtom/9_n9/tomtom.tsv").exists(), "only a run's manifest may remove other nodes"


def test_odd_ids_stay_in_the_tables(tmp_path, monkeypatch):
    """They are never file names, and an id that repeats is reported as often."""
    odd = "../AC0001:[x],'y'\"z\"/w"
    gata = read_meme(MEME_TEXT)[0].matrix
    others = [Motif(odd, f"with spaces {i}", motif.matrix) for i, motif in enumerate(read_meme(DATABASE))]
    write_meme(tmp_path / "db.meme", [Motif(odd, "a name: with/all, [of] it", gata), *others])
    write_meme(tmp_path / "m.meme", [Motif("1_n5_m1", "", gata), Motif(odd, "", gata)])
    (tmp_path / "out").mkdir()
    out = ("--output", tmp_path / "out/matches.tsv", "--tomtom-dir", tmp_path / "out/tomtom", "--report-q", 1)
    base = ("match_motifs", "--motifs", tmp_path / "m.meme", "--database", tmp_path / "db.meme")
    run_program(monkeypatch, *base, *out, "--distance", "ed")
    table = read_table(tmp_path / "out/matches.tsv", "matches")
    assert len(table) == 2 * 25
    assert set(table["target"]) == {odd}
    assert table["target_name"][0] == "a name: with/all, [of] it"
    written = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert written == {
        *("db.meme", "m.meme", "out/matches.tsv", "out/matches.tsv.json", "out/tomtom/1_n5/tomtom.tsv")
    }


def test_default_of_the_bound_is_that_of_the_library(monkeypatch, tmp_path):
    monkeypatch.setattr(
        sys, "argv", ["x", "--motifs", str(MEME_TEXT), "--database", str(DATABASE), "--output", "o"]
    )
    options = runpy.run_path(str(SCRIPTS / "match_motifs.py"))["arguments"]()
    assert options.min_information_bits == MIN_INFORMATION_BITS
    assert MatchSettings() == MatchSettings(
        **{field.name: getattr(options, field.name) for field in fields(MatchSettings)}
    )


def test_faults_of_matching(tmp_path, monkeypatch):
    (tmp_path / "db.meme").write_text(">MA0001\n1 2 3 4\n")
    out = ("--output", tmp_path / "m.tsv")
    with pytest.raises(InputError, match=r"not in MEME motif format.*MA0001.*JASPAR"):
        run_program(
            monkeypatch, "match_motifs", "--motifs", MEME_TEXT, "--database", tmp_path / "db.meme", *out
        )
    (tmp_path / "db.meme").write_text(format_meme([]))
    with pytest.raises(InputError, match="holds no motif"):
        run_program(
            monkeypatch, "match_motifs", "--motifs", MEME_TEXT, "--database", tmp_path / "db.meme", *out
        )
    bad = ("--distance", "allr")
    with pytest.raises(SystemExit):
        run_program(monkeypatch, "match_motifs", "--motifs", MEME_TEXT, "--database", DATABASE, *out, *bad)
    with pytest.raises(SystemExit):
        run_program(monkeypatch, "match_motifs", "--motifs", MEME_TEXT, "--database", DATABASE)
    assert not (tmp_path / "m.tsv").exists()


def test_a_user_error_prints_one_paragraph_and_exits_2(tmp_path):
    (tmp_path / "it's a db.meme").write_text("nothing")
    command = [
        sys.executable,
        SCRIPTS / "match_motifs.py",
        "--motifs",
        MEME_TEXT,
        "--output",
        tmp_path / "m.tsv",
    ]
    done = subprocess.run(
        [*command, "--database", tmp_path / "it's a db.meme"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: A file is not in MEME motif format")
    assert "Traceback" not in done.stderr
