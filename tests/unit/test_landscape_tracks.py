"""Annotations: BED files as users have them, or an error that names the line."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from biosae.errors import ConfigError, InputError
from biosae.landscape.tracks import parse_annotations, read_annotation


def bed(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_reads_bed(tmp_path):
    text = 'track name="x"\n#chrom\tstart\nchr1\t5\t9\tn\t0\tLINE\textra\n\n'
    text += "chr2\t1\t2\tn\t0\tNA\r\ntrack7\t3\t4\tn\t0\tA\n"
    for path in (bed(tmp_path / "a b.bed", text), tmp_path / "a.bed.gz"):
        if path.suffix == ".gz":
            path.write_bytes(gzip.compress(text.encode()))
        rows = read_annotation("x", path, 6).features.to_numpy().tolist()
        assert rows == [["chr1", 5, 9, "LINE"], ["chr2", 1, 2, "NA"], ["track7", 3, 4, "A"]]


def test_other_class_column(tmp_path):
    path = bed(tmp_path / "a.bed", "chr1\t5\t9\tpromoter\nchr1\t6\t9\tenhancer\n")
    assert read_annotation("x", path, 4).features["class"].tolist() == ["promoter", "enhancer"]


GOOD = "# header\nchr1\t5\t9\tn\t0\tA\n"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("chr1\t5\t9\tn\t0", "fewer than 6 tab-separated columns"),
        ("chr1 5 9 n 0 A", "fewer than 6 tab-separated columns"),
        ("chr1\t5\t9\tn\t0\t\t", "an empty class"),
        ("\t5\t9\tn\t0\tA", "an empty chromosome"),
        ("chr1\tfive\t9\tn\t0\tA", "not a whole number"),
        ("chr1\t5\t9.5\tn\t0\tA", "not a whole number"),
        ("chr1\t-5\t9\tn\t0\tA", "start below 0"),
        ("chr1\t10\t9\tn\t0\tA", "end before start"),
    ],
)
def test_malformed_bed_names_the_line(tmp_path, line, message):
    path = bed(tmp_path / "a.bed", f"{GOOD}\n{line}\n{GOOD}")
    with pytest.raises(InputError, match=f"{message}.*a.bed, line 4"):
        read_annotation("x", path, 6)


def test_features_without_width_are_counted(tmp_path, caplog):
    path = bed(tmp_path / "a.bed", "chr1\t5\t5\tn\t0\tA\nchr1\t6\t9\tn\t0\tA\n")
    assert len(read_annotation("x", path, 6).features) == 1
    assert "1 of 2 features are 0 bp wide" in caplog.text


def test_unreadable_bed(tmp_path):
    with pytest.raises(InputError, match=r"Cannot read an annotation.*none\.bed"):
        read_annotation("x", tmp_path / "none.bed")
    (tmp_path / "a.bed.gz").write_bytes(b"not gzip")
    with pytest.raises(InputError, match=r"Cannot read an annotation.*a\.bed\.gz"):
        read_annotation("x", tmp_path / "a.bed.gz")
    assert len(read_annotation("x", bed(tmp_path / "empty.bed", "")).features) == 0


def test_annotation_options():
    assert parse_annotations([["a", "x.bed"], ["b", "y.bed", "4"]]) == [
        ("a", Path("x.bed"), 6),
        ("b", Path("y.bed"), 4),
    ]
    for entries, message in (
        ([["a"]], r"NAME PATH \[CLASS_COLUMN\]"),
        ([["a", "x.bed", "3"]], "class column of annotation 'a' must be a number from 4 on"),
        ([["a", "x.bed"], ["a", "y.bed"]], "Two annotations have the same name"),
    ):
        with pytest.raises(ConfigError, match=message):
            parse_annotations(entries)
