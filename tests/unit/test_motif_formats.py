"""MEME text: what the real suite writes is read, what we write reads back exactly, faults are named."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest
from Bio import motifs as bio_motifs
from helpers_meme_suite import DATA, DATABASE, MEME_TEXT, STREME_TEXT
from hypothesis import given, settings
from hypothesis import strategies as st
from memelite.io import read_meme as memelite_read_meme

from biosae.errors import ContractError, InputError
from biosae.motifs.formats import (
    Motif,
    format_meme,
    parse_motif_id,
    read_meme,
    write_meme,
)
from biosae.motifs.numbers import format_scientific, parse_scientific

MINIMAL = """MEME version 4

ALPHABET= ACGT

MOTIF one first
letter-probability matrix: alength= 4 w= 2 nsites= 7 E= 1.5e-03
 0.1 0.2 0.3 0.4
 1.0 0.0 0.0 0.0
"""


def parsed(tmp_path, text):
    path = tmp_path / "m.meme"
    path.write_text(text)
    return read_meme(path)


def test_full_meme_text_of_the_real_program():
    first, second = read_meme(MEME_TEXT)
    assert (first.id, first.name, first.width, first.n_sites) == ("CTAATCT", "MEME-1", 7, 139)
    assert (second.id, second.name, second.width, second.n_sites) == ("CCMCDCCC", "MEME-2", 8, 86)
    assert first.e_value == 7.8e-124
    assert first.log10_e == pytest.approx(math.log10(7.8) - 124)
    np.testing.assert_array_equal(first.matrix[0], [0.035971, 0.956835, 0.0, 0.007194])
    np.testing.assert_array_equal(second.matrix[-1], [0, 1, 0, 0])


def test_null_meme_text_has_large_e_values():
    assert read_meme(DATA / "meme" / "9_n42_null" / "meme.txt")[0].e_value == 3.7e5


def test_streme_text_of_the_real_program():
    first, second = read_meme(STREME_TEXT)
    assert (first.id, first.name, first.n_sites, first.e_value) == ("1-NCCMCRCCCN", "STREME-1", 76, 0.047)
    assert (second.id, second.width, second.e_value) == ("2-HAGATTAG", 8, 0.065)


def test_database_of_jaspar():
    motifs = read_meme(DATABASE)
    assert len(motifs) == 24
    assert (motifs[0].id, motifs[0].name, motifs[0].consensus) == ("MA0004.1", "Arnt", "CACGTG")
    assert (motifs[0].e_value, motifs[0].log10_e) == (0.0, None)  # "E= 0" says nothing


def test_consensus_is_that_of_the_suite():
    motifs = (
        read_meme(MEME_TEXT) + read_meme(DATA / "meme" / "9_n42_null" / "meme.txt") + read_meme(STREME_TEXT)
    )
    assert [m.consensus for m in motifs] == [m.id.split("-")[-1] for m in motifs]
    assert read_meme(MEME_TEXT)[1].likeliest_letters == "CCCCGCCC"  # as tomtom.tsv has it


@pytest.mark.parametrize(
    ("text", "value", "log10"),
    [
        ("7.8e-124", 7.8e-124, math.log10(7.8) - 124),
        ("1.2e-400", 0.0, math.log10(1.2) - 400),
        ("2.7e+003", 2700.0, math.log10(2.7) + 3),
        ("3.0e+400", 1e308, math.log10(3) + 400),
        ("0", 0.0, None),
        ("0.0e-10", 0.0, None),
    ],
)
def test_numbers_beyond_a_double(text, value, log10):
    got, got_log10 = parse_scientific(text)
    assert got == value
    assert got_log10 == (None if log10 is None else pytest.approx(log10, abs=1e-12))


@pytest.mark.parametrize("text", ["-1", "nan", "inf", "1e", "", "1.2.3"])
def test_not_a_number(text):
    with pytest.raises(ValueError, match="not a non-negative number"):
        parse_scientific(text)


@given(mantissa=st.integers(10**5, 10**6 - 1), exponent=st.integers(-5000, 200))
@settings(max_examples=60, deadline=None)
def test_scientific_numbers_round_trip(mantissa, exponent):
    text = f"{mantissa / 10**5}e{exponent}"
    once = parse_scientific(text)
    again = parse_scientific(format_scientific(*once))
    assert again[0] == once[0]
    assert again[1] == pytest.approx(once[1], abs=1e-10)
    assert format_scientific(*again) == format_scientific(*once)


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_written_motifs_read_back_exactly(tmp_path_factory, data):
    width = data.draw(st.integers(1, 12))
    seed = data.draw(st.integers(0, 2**32 - 1))
    matrix = np.random.default_rng(seed).dirichlet([0.05] * 4, width)
    log10_e = data.draw(st.none() | st.floats(-290, 20))
    motif = Motif("3_n127_m1", "NAME::x", matrix, data.draw(st.integers(1, 5000)), log10_e=log10_e)
    path = tmp_path_factory.mktemp("round") / "m.meme"
    write_meme(path, [motif, motif])
    back = read_meme(path)[1]
    np.testing.assert_array_equal(back.matrix, motif.matrix)
    assert (back.id, back.name, back.n_sites, back.e_value) == (
        motif.id,
        motif.name,
        motif.n_sites,
        motif.e_value,
    )
    assert path.read_text() == format_meme(read_meme(path))


@pytest.mark.parametrize("path", [MEME_TEXT, STREME_TEXT, DATABASE, DATA / "queries_100.meme"])
def test_real_files_round_trip(tmp_path, path):
    motifs = read_meme(path)
    write_meme(tmp_path / "copy.meme", motifs)
    for before, after in zip(motifs, read_meme(tmp_path / "copy.meme"), strict=True):
        np.testing.assert_array_equal(after.matrix, before.matrix)
        assert (after.id, after.name, after.n_sites) == (before.id, before.name, before.n_sites)
        assert (after.e_value, after.log10_e) == (before.e_value, before.log10_e)


def test_other_readers_take_what_we_write(tmp_path):
    write_meme(tmp_path / "m.meme", read_meme(MEME_TEXT))
    theirs = memelite_read_meme(str(tmp_path / "m.meme"))
    assert list(theirs) == ["CTAATCT MEME-1", "CCMCDCCC MEME-2"]
    np.testing.assert_array_equal(theirs["CTAATCT MEME-1"].T, read_meme(MEME_TEXT)[0].matrix)
    biopython = bio_motifs.parse(io.StringIO((tmp_path / "m.meme").read_text()), "minimal")
    assert [motif.name for motif in biopython] == ["CTAATCT", "CCMCDCCC"]
    assert " E= 7.8e-124\n" in (tmp_path / "m.meme").read_text()


def test_no_motifs_are_a_valid_file(tmp_path):
    write_meme(tmp_path / "none.meme", [])
    assert read_meme(tmp_path / "none.meme") == []
    assert memelite_read_meme(str(tmp_path / "none.meme")) == {}


def test_odd_but_valid_texts(tmp_path):
    text = MINIMAL.replace(" nsites= 7 E= 1.5e-03", "").replace("0.1 0.2 0.3 0.4", "\t0.1\t0.2  0.3 0.4\t ")
    text += "URL http://x\nMOTIF one first\n\nletter-probability matrix:\n\n0 0 1 0\n"
    first, second = parsed(tmp_path, text)
    assert (first.n_sites, first.e_value, first.log10_e) == (20, None, None)
    assert (second.id, second.width) == ("one", 1)  # ids may repeat, w= may be missing
    (p_only,) = parsed(tmp_path, MINIMAL.replace("E= 1.5e-03", "P= 1.0e-500"))
    assert (p_only.e_value, p_only.log10_p) == (None, -500)


@pytest.mark.parametrize(
    ("old", "new", "message", "line"),
    [
        ("MEME version 4", "#motifs", "not in MEME motif format", None),
        ("MEME version 4", "MEME version 3.0", "not in MEME motif format", None),
        ("ALPHABET= ACGT", "ALPHABET= ACDEFGHIKLMNPQRSTVWY", "not about DNA", 3),
        ("ALPHABET= ACGT", "ALPHABET= ACGU", "not about DNA", 3),
        ("ALPHABET= ACGT", 'ALPHABET "RNA" RNA-LIKE', "not about DNA", 3),
        ("alength= 4", "alength= 20", "not about DNA", 6),
        ("w= 2", "w= 3", "wrong number of rows", 6),
        ("w= 2", "w= 1", "wrong number of rows", 6),
        ("w= 2", "w= 0", "no valid width", 6),
        ("0.1 0.2 0.3 0.4", "0.1 0.2 0.3 0.1", "does not sum to 1", 7),
        ("0.1 0.2 0.3 0.4", "0 0 0 0", "all zero", 7),
        ("0.1 0.2 0.3 0.4", "0.3 0.3 0.4", "four probabilities", 7),
        ("0.1 0.2 0.3 0.4", "-0.1 0.4 0.3 0.4", "no probability", 7),
        ("0.1 0.2 0.3 0.4", "nan 0.2 0.3 0.4", "no probability", 7),
        ("0.1 0.2 0.3 0.4", "0.1 0.2 0.3 x", "not numbers", 7),
        ("letter-probability matrix", "log-odds matrix", "has no matrix", 5),
        ("MOTIF one first", "MOTIF two\nMOTIF one first", "'two' has no matrix", 5),
        ("MOTIF one first", "", "follows no MOTIF line", 6),
        ("MOTIF one first", "MOTIF  ", "names no motif", 5),
        ("E= 1.5e-03", "E= small", "unreadable", 6),
        (" 0.1 0.2 0.3 0.4\n 1.0 0.0 0.0 0.0\n", "", "wrong number of rows", 6),
    ],
)
def test_faults_name_file_and_line(tmp_path, old, new, message, line):
    assert old in MINIMAL
    with pytest.raises(InputError) as error:
        parsed(tmp_path, MINIMAL.replace(old, new))
    assert message in str(error.value)
    assert "m.meme" + (f":{line}." if line else ".") in str(error.value)


@pytest.mark.parametrize(
    ("alphabet", "mend"),
    [
        ("ALPHABET= ACGU", "RNA reads as DNA with U as T"),
        ('ALPHABET "RNA" RNA-LIKE', "RNA reads as DNA with U as T"),
        ("ALPHABET= ACDEFGHIKLMNPQRSTVWY", "give a file of DNA motifs"),
    ],
)
def test_other_alphabets_say_how_to_mend(tmp_path, alphabet, mend):
    with pytest.raises(InputError, match=mend):
        parsed(tmp_path, MINIMAL.replace("ALPHABET= ACGT", alphabet))
    assert parsed(tmp_path, MINIMAL.replace("ALPHABET= ACGT", 'ALPHABET "DNA" DNA-LIKE'))


def test_archetype_databases_are_read(tmp_path):
    """Ids with any printable character, trailing tabs, no nsites, ids that repeat."""
    rows = "0.97\t0.01\t0.01\t0.01\t\n0.25\t0.25\t0.25\t0.25\t\n"
    head = "letter-probability matrix: alength= 4 w= 2\t\n"
    ids = ["AC0001:DLX/LHX:Homeodomain", "AC0002:[x],'y'\"z\"", "AC0001:DLX/LHX:Homeodomain", "../../x"]
    text = "MEME version 4\n\nALPHABET= ACGT\t\n\n" + "".join(f"MOTIF {i}\t\n{head}{rows}\n" for i in ids)
    motifs = parsed(tmp_path, text)
    assert [motif.id for motif in motifs] == ids
    assert {(motif.name, motif.width, motif.n_sites) for motif in motifs} == {("", 2, 20.0)}
    write_meme(tmp_path / "copy.meme", motifs)
    assert [motif.id for motif in read_meme(tmp_path / "copy.meme")] == ids


@pytest.mark.parametrize("content", [b"", b">fasta\nACGT\n", b"\x89PNG\xff\xfe"])
def test_not_a_motif_file_at_all(tmp_path, content):
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(InputError, match=r"MEME motif format|Cannot read a motif file"):
        read_meme(tmp_path / "x")
    with pytest.raises(InputError, match="Cannot read a motif file"):
        read_meme(tmp_path / "missing")


def test_odd_ids_stay_data(tmp_path):
    odd = "AC/../x:1,[2]'q\""
    write_meme(tmp_path / "m.meme", [Motif(odd, "", np.full((3, 4), 0.25))])
    assert read_meme(tmp_path / "m.meme")[0].id == odd
    assert [path.name for path in tmp_path.iterdir()] == ["m.meme"]
    assert parse_motif_id(odd) == (None, None, None)
    for bad in ("two words", "", "line\nbreak"):
        with pytest.raises(ContractError, match="one word"):
            format_meme([Motif(bad, "", np.full((3, 4), 0.25))])


@pytest.mark.parametrize("shape", [(4, 3), (0, 4), (4,)])
def test_a_matrix_has_four_columns(shape):
    with pytest.raises(ContractError, match="wrong shape"):
        Motif("x", "", np.zeros(shape))


def test_reverse_complement():
    motif = read_meme(MEME_TEXT)[0]
    assert motif.reverse_complement().consensus == "AGATTAG"
    np.testing.assert_array_equal(motif.reverse_complement().reverse_complement().matrix, motif.matrix)
