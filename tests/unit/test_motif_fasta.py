"""FASTA, the names of a node's files, and what is removed when nodes are no longer kept."""

from __future__ import annotations

import pandas as pd
import pytest
from helpers_meme_suite import DATA

from biosae.errors import InputError
from biosae.motifs.fasta import node_name, parse_file_name, parse_motif_id, read_fasta, remove_stale_nodes


def test_names_of_files_and_motifs():
    assert parse_file_name("a folder/3_n127.fa") == (3, 127)
    assert parse_file_name(node_name(12, 0)) == (12, 0)
    assert parse_motif_id("3_n127_m2") == (3, 127, 2)
    for bad in ("background.fa", "0_n1.fa", "3_n0127.fa", "3_n127.bed", "x3_n127.fa", "3_n127_m1.fa"):
        with pytest.raises(InputError, match="not named after a node"):
            parse_file_name(bad)
    for other in ("3_n127", "3_n127_m0", "3_n127_m1x", "CTAATCT"):
        assert parse_motif_id(other) == (None, None, None)


def test_fasta(tmp_path):
    path = tmp_path / "a b'.fa"
    path.write_text(">chr1:0-6(+) node=1\nACg\nTNa\n\n>second\nA\n")
    assert read_fasta(path) == [("chr1:0-6(+) node=1", "ACgTNa"), ("second", "A")]
    assert len(read_fasta(DATA / "3_n127.fa")) == 200
    path.write_text("")
    assert read_fasta(path) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ACGT\n", "not FASTA.*:1"),
        (">a\n>b\nAC\n", "no sequence.*:1.*Got: a"),
        (">a\nAC\nMEEPQ\n", "no nucleotide.*:3"),
        (">a\nAC GT\n", "no nucleotide.*:2"),
    ],
)
def test_fasta_faults(tmp_path, text, message):
    (tmp_path / "x.fa").write_text(text)
    with pytest.raises(InputError, match=message):
        read_fasta(tmp_path / "x.fa")


def test_folders_of_nodes_that_are_no_longer_kept_are_removed_and_nothing_else(tmp_path):
    for name in ("1_n5", "2_n7", "3_n9", "notes"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "meme.txt").write_text("x")
    (tmp_path / "3_n9" / "meme.txt").rename(tmp_path / "3_n9" / "other.txt")
    (tmp_path / "settings.json").write_text("{}")
    manifest = pd.DataFrame({"rank": [1], "node": [5]})
    assert remove_stale_nodes(tmp_path, manifest, "meme.txt") == 1
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["1_n5", "3_n9", "notes", "settings.json"]
    assert remove_stale_nodes(tmp_path / "none", manifest, "meme.txt") == 0
