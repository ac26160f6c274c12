"""Bad input of the causal tests: tables of tracks, VCFs, layers, sections of the config."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from biosae.artefacts import check_table
from biosae.causal import config as causal
from biosae.causal.node_columns import COLUMNS, node_columns
from biosae.causal.options import _check_geometry
from biosae.causal.targets import read_tracks
from biosae.causal.vcf import read_vcf
from biosae.config import load_config
from biosae.errors import ConfigError, ContractError, InputError
from biosae.genome import Genome
from unit.helpers_seqlets import write_genome

SCHEMA = Path(__file__).resolve().parents[2] / "workflow" / "schemas" / "config.schema.yaml"
HEADER = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
MINIMAL = {
    "layer": {"name": "conv1d_2"},
    "activations": {"train": "a", "validation": "b"},
    "genome": "g.fa",
    "matching": {"database": "d.meme"},
}


def write(path, text):
    path.write_text(text)
    return path


def targets(path, rows, columns="identifier\tdescription\tgroup"):
    return write(path, f"{columns}\n" + "".join("\t".join(row) + "\n" for row in rows))


def test_tracks_keep_their_order_and_groups(tmp_path):
    path = targets(tmp_path / "t", [("a", "x", "DNASE"), ("b", "y", "RNA"), ("c", "z", "DNASE")])
    tracks = read_tracks(path, 3)
    assert tracks.count == 3
    assert {name: rows.tolist() for name, rows in tracks.groups.items()} == {"DNASE": [0, 2], "RNA": [1]}


def test_groups_of_borzois_table_are_from_the_description(tmp_path):
    rows = [("0", "E1+", "CAGE:lung"), ("1", "E2", "CHIP:CTCF:liver")]
    path = targets(tmp_path / "t", rows, "\tidentifier\tdescription")
    assert list(read_tracks(path, 2).groups) == ["CAGE", "CHIP"]


def test_without_a_table_tracks_are_numbered():
    assert read_tracks(None, 2).table["identifier"].tolist() == ["track_0", "track_1"]
    assert {name: len(rows) for name, rows in read_tracks(None, 2).groups.items()} == {"all": 2}


@pytest.mark.parametrize(
    "rows, columns, words",
    [
        ([("a", "x", "g")], "identifier\tdescription\tgroup", "1 rows.*2, one for each output track"),
        (
            [("a", "x", "g"), ("a", "y", "g")],
            "identifier\tdescription\tgroup",
            "1 repeated identifier.*row 3",
        ),
        ([("a", "x", "g"), ("", "y", "g")], "identifier\tdescription\tgroup", "1 empty identifier.*row 3"),
        (
            [("a", "x", "g"), ("b", "y", "")],
            "identifier\tdescription\tgroup",
            "1 output tracks have no group",
        ),
        ([("a", "x", "g"), ("b", "y", "g")], "name\tdescription\tgroup", "lacks columns"),
    ],
)
def test_a_table_of_tracks_that_does_not_fit_is_refused(tmp_path, rows, columns, words):
    with pytest.raises(InputError, match=words):
        read_tracks(targets(tmp_path / "t", rows, columns), 2)


@pytest.fixture
def genome(tmp_path):
    return Genome(write_genome(tmp_path / "g.fa", {"chr1": "ACGTNacgtACGT", "chr2": "TTTTGGGG"}))


@pytest.mark.parametrize("zipped", [False, True])
def test_a_vcf_is_read_in_its_order(tmp_path, genome, zipped):
    text = HEADER + "chr2\t5\trs1\tG\tA,GT\t.\t.\t.\nchr1\t6\t.\tacg\tA\n"
    path = tmp_path / "v.vcf.gz"
    path.write_bytes(gzip.compress(text.encode()) if zipped else text.encode())
    table, counts = read_vcf(path, genome)
    assert table.to_numpy().tolist() == [
        ["chr2", 4, "rs1", "G", "A"],
        ["chr2", 4, "rs1", "G", "GT"],
        ["chr1", 5, ".", "ACG", "A"],
    ]
    assert counts == {"read": 3, "symbolic": 0, "reference_mismatch": 0}


def test_symbolic_alleles_are_counted_and_left_out(tmp_path, genome):
    path = write(tmp_path / "v.vcf", HEADER + "chr1\t1\t.\tA\t<DEL>,*,G\nchr1\t2\t.\tC\t.\n")
    table, counts = read_vcf(path, genome)
    assert table["alt"].tolist() == ["G"] and counts["symbolic"] == 3


def test_references_that_disagree_are_counted_and_the_first_is_named(tmp_path, genome):
    path = write(tmp_path / "v.vcf", HEADER + "chr1\t1\t.\tA\tC\nchr1\t2\t.\tT\tA\nchr2\t8\t.\tGG\tG\n")
    with pytest.raises(
        InputError, match=r"2 of 3 reference alleles.*chr1:2, T where the genome has C.*line 4"
    ):
        read_vcf(path, genome)
    table, counts = read_vcf(path, genome, "drop")
    assert table["start"].tolist() == [0] and counts["reference_mismatch"] == 2


@pytest.mark.parametrize(
    "text, words",
    [
        ("chr1\t1\t.\tA\tC\n", "no header line before"),
        ("", "no header line #CHROM"),
        (HEADER + "chr1\t0\t.\tA\tC\n", "no record of a VCF.*line 3"),
        (HEADER + "chr1\t1\t.\tA\n", "no record of a VCF.*line 3"),
        (HEADER + "chr9\t1\t.\tA\tC\n", "'chr9' of the VCF is missing.*line 3"),
        (HEADER, "no variant that can be scored"),
        (HEADER + "chr2\t1\t.\tA\tC\n", "1 of 1 reference alleles"),
    ],
)
def test_what_is_no_vcf_is_refused_with_its_line(tmp_path, genome, text, words):
    with pytest.raises(InputError, match=words):
        read_vcf(write(tmp_path / "v.vcf", text), genome)


def test_a_truncated_gzip_is_said(tmp_path, genome):
    path = tmp_path / "v.vcf.gz"
    whole = gzip.compress((HEADER + "chr1\t1\t.\tA\tC\n" * 200).encode())
    path.write_bytes(whole[:-20])
    with pytest.raises(InputError, match="Cannot read a VCF"):
        read_vcf(path, genome)


@pytest.mark.parametrize("name", causal.SECTIONS)
def test_sections_need_a_model(name):
    section = {"vcf": "v.vcf"} if name == "variants" else {}
    with pytest.raises(ConfigError, match=f"no section model.*{name}"):
        load_config({**MINIMAL, name: section}, SCHEMA)
    full = load_config({**MINIMAL, name: section, "model": {"weights": "random:0"}}, SCHEMA)
    assert causal.asked_for(full) == [name]


def test_nothing_is_asked_for_by_default():
    full = load_config({**MINIMAL, "model": {"weights": "random:0"}}, SCHEMA)
    assert causal.asked_for(full) == [] and causal.needed_files(full) == {}


def test_raw_inputs_of_the_sections_are_named():
    model = {"weights": "random:0", "targets": "t.txt"}
    full = load_config({**MINIMAL, "model": model, "variants": {"vcf": "v.vcf"}}, SCHEMA)
    assert causal.needed_files(full) == {"model.targets": "t.txt", "variants.vcf": "v.vcf"}


def test_the_input_is_as_long_as_what_was_extracted():
    extract = {"train": "t.bed", "validation": "v.bed", "context_bp": 4096}
    config = {key: value for key, value in MINIMAL.items() if key != "activations"}
    core = load_config({**config, "model": {"weights": "random:0"}, "extract": extract}, SCHEMA)
    assert causal.input_options(core) == ["--context-bp", "4096"]
    window = load_config(
        {**config, "model": {"weights": "random:0"}, "extract": {**extract, "keep": "window"}}, SCHEMA
    )
    assert causal.input_options(window) == ["--context-bp", "0"]
    given = load_config({**MINIMAL, "model": {"weights": "random:0", "input_bp": 512}}, SCHEMA)
    assert causal.input_options(given) == ["--input-bp", "512"]


def test_a_run_of_another_geometry_is_refused(tmp_path):
    layer = {"name": "a", "module": "m", "channels": 4, "stride_bp": 4, "left_bp": 1, "right_bp": 5}
    _check_geometry({**layer, "module": "other"}, layer, tmp_path)
    with pytest.raises(ContractError, match="'left_bp': 2"):
        _check_geometry({**layer, "left_bp": 2}, layer, tmp_path)


def ablation_table(rows):
    return pd.DataFrame(rows, columns=["node", "group", "q_value", "ratio", "effect", "causal"]).astype(
        {"causal": "boolean"}
    )


def test_columns_of_the_node_table():
    groups = ablation_table(
        [
            (3, "DNASE", 0.2, 1.5, 0.1, False),
            (3, "CAGE", 0.01, 9.0, -0.5, True),
            (3, "RNA", 0.001, 20.0, 0.7, True),
            (8, "DNASE", 0.5, 1.0, 0.2, False),
            (9, "DNASE", np.nan, np.nan, 0.2, pd.NA),
        ]
    )
    tracks = pd.DataFrame(
        [(3, 1, "RNA:liver", 0.9), (3, 2, "CAGE:lung", -0.4), (8, 1, "x", 0.1), (3, 4, "far", 1.0)],
        columns=["node", "track_rank", "description", "effect"],
    )
    table = node_columns(groups, tracks).set_index("node")
    assert table.columns.tolist() == COLUMNS
    first = table.loc[3]
    assert (first["causal_groups"], first["causal_q"], first["causal_ratio"]) == ("RNA, CAGE", 0.001, 20.0)
    assert first["top_tracks"] == "+ RNA:liver; - CAGE:lung" and bool(first["causal"])
    assert not table.loc[8, "causal"] and pd.isna(table.loc[8, "causal_groups"])
    assert pd.isna(table.loc[9, "causal"])


def test_a_table_of_no_variants_nodes_fits_its_schema():
    columns = ["variant", "node", "forward_ref", "forward_alt", "reverse_ref", "reverse_alt"]
    check_table(pd.DataFrame(columns=columns), "variant_nodes")
