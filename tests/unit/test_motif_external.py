"""The MEME Suite's programs, played by stand-ins that check their arguments and write the recorded output."""

from __future__ import annotations

import logging
import os

import numpy as np
import pytest
from helpers_meme_suite import DATA, DATABASE, MEME_BODY, MEME_TEXT, STREME_BODY, calls, stand_in

from biosae.errors import ConfigError, InputError
from biosae.motifs.external import (
    ExternalSettings,
    ToolError,
    discover_external,
    find_tool,
    read_tomtom,
)
from biosae.motifs.formats import read_meme
from biosae.motifs.matching import MatchSettings, match

FASTA = DATA / "3_n127.fa"
TOMTOM_BODY = """
def numbers(path):
    lines = pathlib.Path(path).read_text().splitlines()
    return {line.split()[2]: line.split()[1] for line in lines if line.startswith("MOTIF")}
queries, targets = numbers(args[-2]), numbers(args[-1])
with (out / "tomtom.tsv").open("w") as handle:
    for line in (recorded / "tomtom/3_n127/tomtom.tsv").read_text().splitlines():
        cells = line.split("\\t")
        if len(cells) == 10 and cells[0] != "Query_ID":
            cells[:2] = queries[cells[0]], targets[cells[1]]
        handle.write("\\t".join(cells) + "\\n")
"""


@pytest.fixture
def tools(tmp_path, monkeypatch):
    """A folder for stand-ins, first on the PATH; its name has a space and a quote."""
    folder = tmp_path / "bin of 'tools'"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


def run_meme(folder, settings=None):
    return discover_external(FASTA, 42, folder, find_tool("meme"), settings or ExternalSettings("meme"))


def test_a_missing_program_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match=r"'meme' is not on the PATH.*--sdm conda.*batched"):
        find_tool("meme")


@pytest.mark.parametrize(
    ("version", "good"), [("5.4.1", True), ("5.5.8", True), ("4.11.2", False), ("5.6.0", False)]
)
def test_versions(tools, version, good):
    for name in ("meme", "streme", "tomtom"):
        stand_in(tools, name, "", version)
        if good:
            assert find_tool(name).version == version
        else:
            with pytest.raises(InputError, match=rf"Got: {version}.*5\.4 or 5\.5"):
                find_tool(name)


def test_meme_arguments_and_result(tools, tmp_path, caplog):
    stand_in(tools, "meme", MEME_BODY)
    settings = ExternalSettings("meme", 2, "both", 6, 20, 0, 7, ("-evt", "0.05"))
    with caplog.at_level(logging.INFO):
        motifs = run_meme(tmp_path / "3_n127", settings)
    words = "3_n127.fa -dna -mod zoops -revcomp -nmotifs 2 -minw 6 -maxw 20 -markov_order 0 -seed 7"
    words += " -evt 0.05 -oc output"
    assert calls(tools, "meme") == [words.split()]
    assert words in caplog.text  # the exact command line is logged
    assert [motif.id for motif in motifs] == ["CTAATCT", "CCMCDCCC"]
    assert (tmp_path / "3_n127" / "meme.txt").read_bytes() == MEME_TEXT.read_bytes()


def test_one_strand_and_widths_by_default():
    words = ExternalSettings("meme").arguments(longest_bp=42)
    assert "-revcomp" not in words
    assert words[words.index("-maxw") + 1] == "42"
    words = ExternalSettings("streme", strand="both", min_width=2).arguments(longest_bp=42)
    assert (words[words.index("--minw") + 1], words[words.index("--maxw") + 1]) == ("3", "30")


def test_streme_reads_both_strands_or_not_at_all(tools, tmp_path):
    with pytest.raises(ConfigError, match=r"both strands.*strand given.*motifs\.strand: both"):
        ExternalSettings("streme")
    stand_in(tools, "streme", STREME_BODY)
    for _ in range(2):
        motifs = discover_external(
            FASTA, 42, tmp_path / "3_n127", find_tool("streme"), ExternalSettings("streme", strand="both")
        )
        assert [motif.consensus for motif in motifs] == ["NCCMCRCCCN", "HAGATTAG"]
        assert [motif.id for motif in read_meme(tmp_path / "3_n127" / "meme.txt")] == [
            motif.id for motif in motifs
        ]
    assert len(calls(tools, "streme")) == 1


def test_exit_code_1_with_complete_text_is_taken_with_a_warning(tools, tmp_path, caplog):
    stand_in(tools, "meme", MEME_BODY + "print('no meme_xml_to_html', file=sys.stderr)\nsys.exit(1)\n")
    assert len(run_meme(tmp_path / "3_n127")) == 2
    assert "exited with 1" in caplog.text
    assert "no meme_xml_to_html" in caplog.text


@pytest.mark.parametrize(
    "body",
    [
        "print('out of memory', file=sys.stderr)\nsys.exit(1)\n",
        "(out / 'meme.txt').write_text((recorded / 'meme/3_n127/meme.txt').read_text()[:40000])\n"
        "print('out of memory', file=sys.stderr)\n",
    ],
)
def test_incomplete_output_is_an_error_and_leaves_what_was_there(tools, tmp_path, body):
    stand_in(tools, "meme", body)
    with pytest.raises(ToolError, match=r"no complete meme\.txt.*out of memory") as caught:
        run_meme(tmp_path / "3_n127")
    assert str(tools) not in str(caught.value)  # goes into a table
    assert list(tmp_path.glob("*3_n127*")) == []


def test_finished_nodes_are_read_again_only_with_the_same_settings(tools, tmp_path):
    stand_in(tools, "meme", MEME_BODY)
    folder = tmp_path / "3_n127"
    first = run_meme(folder)
    again = run_meme(folder)
    assert [motif.id for motif in again] == [motif.id for motif in first]
    assert len(calls(tools, "meme")) == 1
    run_meme(folder, ExternalSettings("meme", seed=1))
    assert len(calls(tools, "meme")) == 2
    (folder / "meme.txt").write_text((folder / "meme.txt").read_text()[:40000])  # as after a kill
    run_meme(folder, ExternalSettings("meme", seed=1))
    assert len(calls(tools, "meme")) == 3
    (folder / "settings.json").write_text("{")
    run_meme(folder, ExternalSettings("meme", seed=1))
    assert len(calls(tools, "meme")) == 4


def test_tomtom_result_is_what_it_reports(tools):
    stand_in(tools, "tomtom", TOMTOM_BODY + "sys.exit(1)\n")
    settings = MatchSettings(report_q=0.3, min_overlap=4, distance="ed")
    match(read_meme(MEME_TEXT), read_meme(DATABASE), "tomtom", settings)
    table = match(read_meme(MEME_TEXT), read_meme(DATABASE), "tomtom", MatchSettings(report_q=0.5))
    for words, call in zip(
        ("ed -thresh 0.3 -min-overlap 4", "pearson -thresh 0.5 -min-overlap 5"),
        calls(tools, "tomtom"),
        strict=True,
    ):
        assert " ".join(call) == f"-no-ssc -oc output -dist {words} q.meme t.meme"
    assert table["query"].tolist() == ["CTAATCT", "CCMCDCCC", "CCMCDCCC"]
    assert table["target"].tolist() == ["MA0035.5", "MA0493.3", "MA0471.3"]
    assert table["p_value"].tolist() == [1.22471e-06, 1.22075e-10, 0.00547496]
    np.testing.assert_allclose(10 ** table["log10_p"], table["p_value"])
    assert table["q_value"].tolist() == [5.87862e-05, 5.85959e-09, 0.131399]
    assert table["orientation"].tolist() == ["+", "-", "-"]
    assert table["offset"].tolist() == [0, 0, 1]
    assert table["target_consensus"].tolist() == ["CTAATCT", "CCCCGCCC", "TTCCCGCC"]  # as tomtom wrote them
    assert table["significant"].tolist() == [True, True, False]
    np.testing.assert_allclose(table["q_value_run"], [1.22471e-06 * 24, 1.22075e-10 * 48, 0.00547496 * 16])


def test_a_tomtom_that_fails_is_an_error(tools):
    stand_in(tools, "tomtom", "(out / 'tomtom.tsv').write_text('Query_ID')\nsys.exit(1)\n")
    with pytest.raises(ToolError, match=r"tomtom left no complete tomtom\.tsv.*exit code 1"):
        match(read_meme(MEME_TEXT), read_meme(DATABASE), "tomtom")


def test_tomtom_tables(tmp_path):
    table = read_tomtom(DATA / "tomtom" / "3_n127" / "tomtom.tsv")
    assert len(table) == 3  # the footer of # lines is no row
    for text in (
        "",
        "Query_ID\tTarget_ID\n",
        (DATA / "tomtom/3_n127/tomtom.tsv").read_text().replace("1.22471e-06", "x"),
    ):
        (tmp_path / "t.tsv").write_text(text)
        with pytest.raises(InputError, match="Cannot read a table of TomTom"):
            read_tomtom(tmp_path / "t.tsv")
