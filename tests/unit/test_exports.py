"""Exports of a run, opened by the programs they are for; what is planted is found, what is missing said."""

from __future__ import annotations

import hashlib
import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pybigtools
import pytest
from Bio import motifs as bio_motifs
from memelite.io import read_meme as memelite_read_meme

import export_run
from biosae.artefacts import load_schema, read_table, write_table
from biosae.directions import read_directions
from biosae.errors import BiosaeError, ConfigError, ContractError, InputError
from biosae.exports import bigbed
from biosae.exports.writer import Settings
from biosae.exports.writer import export_run as export
from biosae.motifs.formats import read_meme
from unit.helpers_exports import CHANNELS, exports_of, finished_run, windows_of

FILES = {"seqlets.bb", "motifs.h5", "nodes.parquet", "nodes.h5ad", "biosae_mqc.tsv", "training_mqc.yaml"}
BOTH = Settings(strand="both")


@pytest.fixture
def exported(tmp_path, monkeypatch):
    """A run with six nodes, its exports and the sites that were planted."""
    run, genome, planted = finished_run(tmp_path, monkeypatch)
    export(run, genome, run / "exports", BOTH)
    return run, run / "exports", planted


def test_the_program_writes_every_export_and_says_what_each_holds(tmp_path, monkeypatch):
    run, genome, _ = finished_run(tmp_path, monkeypatch)
    words = ["export_run", "--run", str(run), "--genome", str(genome), "--strand", "both"]
    monkeypatch.setattr(sys, "argv", words)
    export_run.main()
    table = exports_of(run)
    assert set(table.index) == FILES
    assert table["rows"].to_dict() == {
        "seqlets.bb": 45, "motifs.h5": 10, "nodes.parquet": 6, "nodes.h5ad": 6,
        "biosae_mqc.tsv": 1, "training_mqc.yaml": 40,
    }  # fmt: skip
    assert (table["left_out"] == 0).all()
    for name in ("exports.tsv", *FILES - {"biosae_mqc.tsv", "training_mqc.yaml"}):
        text = (run / "exports" / f"{name}.json").read_text()
        assert str(tmp_path) not in text
        assert "versions" in json.loads(text)


def test_bytes_are_the_same_each_time_and_wherever_the_run_lies(tmp_path, monkeypatch):
    digests = []
    for place in ("here", "there"):
        (tmp_path / place).mkdir()
        run, genome, _ = finished_run(tmp_path / place, monkeypatch)
        for _ in range(2):
            export(run, genome, run / "exports", BOTH)
            files = sorted((run / "exports").iterdir())
            digests.append({f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in files})
    assert set(digests[0]) >= FILES
    assert all(other == digests[0] for other in digests)


def test_the_bigbed_holds_the_rows_of_the_bed_as_bed9(exported):
    run, folder, _ = exported
    reader = pybigtools.open(str(folder / "seqlets.bb"))
    assert reader.sql() == bigbed.AUTOSQL
    assert bigbed.AUTOSQL.count(";") == 9
    fields, defined = struct.unpack("<HH", (folder / "seqlets.bb").read_bytes()[32:36])
    assert (fields, defined) == (9, 9)
    found = [(chrom, *record) for chrom in reader.chroms() for record in reader.records(chrom)]
    windows = windows_of(run)
    assert set(windows["chrom"]) == {"chr1", "chr\"2'"}
    expected = [
        (w.chrom, w.start, w.end, w.name_, str(w.score), w.strand, str(w.start), str(w.end))
        for w in windows.rename(columns={"name": "name_"}).itertuples()
    ]
    assert sorted(row[:8] for row in found) == sorted(expected)
    assert {len(row) for row in found} == {9}
    starts = [row[1] for row in found if row[0] == "chr1"]
    assert starts == sorted(starts)


def test_a_window_is_the_darker_the_stronger_it_is():
    table = pd.DataFrame({"chrom": "chr1", "start": [9, 0], "end": [12, 3], "name": "1_n2", "strand": "+"})
    rows = list(bigbed.bed9(table.assign(score=[1000, 0])))
    assert rows == [
        ("chr1", 0, 3, "1_n2\t0\t+\t0\t3\t198,219,239"),
        ("chr1", 9, 12, "1_n2\t1000\t+\t9\t12\t8,48,107"),
    ]


def test_a_bigbed_that_was_cut_short_is_no_export(tmp_path, monkeypatch):
    """pybigtools raises nothing on a full disk: what was written is read back."""
    table = pd.DataFrame({"chrom": "chr1", "start": range(0, 900, 9), "end": range(3, 903, 9)})
    table = table.assign(name="1_n2", strand="+", score=5)

    class Short:
        def __init__(self, path):
            self.path = path

        def write(self, lengths, records, sql):
            real(self.path, "w").write(lengths, iter(list(records)[:-1]), sql)

    real = pybigtools.open
    monkeypatch.setattr(bigbed.pybigtools, "open", lambda path, *m: Short(path) if m else real(path))
    with pytest.raises(BiosaeError, match="not written whole"):
        bigbed.write_bigbed(tmp_path / "s.bb", table, {"chr1": 2000})
    assert list(tmp_path.iterdir()) == []


FULL_DISK = """
import resource, signal, sys
import pandas as pd
from biosae.errors import BiosaeError
from biosae.exports.bigbed import write_bigbed
from pathlib import Path
rows = pd.DataFrame({"chrom": "chr1", "start": range(0, 900_000, 9), "end": range(3, 900_003, 9)})
rows = rows.assign(name="1_n2", strand="+", score=5)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
try:
    write_bigbed(Path(sys.argv[1]), rows, {"chr1": 10**6})
except BiosaeError as error:
    print(error)
"""


def test_a_disk_that_fills_leaves_no_bigbed(tmp_path):
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path / "s.bb")]
    scripts = Path(__file__).resolve().parents[2] / "scripts"
    environment = {**os.environ, "PYTHONPATH": str(scripts)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert "A bigBed file was not written whole" in done.stdout, done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_chromosome_that_the_genome_lacks_is_named(tmp_path, monkeypatch):
    run, genome, _ = finished_run(tmp_path, monkeypatch)
    genome.write_text(genome.read_text().replace(">chr1", ">1"))
    with pytest.raises(InputError, match=r"not in the genome.*chr1"):
        export(run, genome, run / "exports", BOTH)
    assert not (run / "exports" / "exports.tsv").exists()


def test_motifs_read_back_with_biopython_and_memelite(exported):
    run, _, _ = exported
    ours = read_meme(run / "motifs.meme")
    with (run / "motifs.meme").open() as handle:
        theirs = bio_motifs.parse(handle, "minimal")
    memes = memelite_read_meme(str(run / "motifs.meme"))
    assert [motif.name for motif in theirs] == [motif.id for motif in ours]
    for motif, other, matrix in zip(ours, theirs, memes.values(), strict=True):
        found = np.array([other.pwm[letter] for letter in "ACGT"]).T
        np.testing.assert_allclose(found, motif.matrix, atol=1 / motif.n_sites)  # it rounds to whole sites
        np.testing.assert_allclose(np.asarray(matrix).T, motif.matrix, atol=2e-6)


def test_parquet_equals_the_table_with_the_types_and_words_of_its_schema(exported):
    run, folder, _ = exported
    nodes, rules = read_table(run / "nodes.tsv", "nodes"), load_schema("nodes")["properties"]
    read = pq.read_table(folder / "nodes.parquet")
    assert read.column_names == list(nodes.columns)
    for name in nodes.columns:
        field, column = read.schema.field(name), read.column(name)
        assert field.metadata[b"description"].decode() == rules[name]["description"]
        assert column.null_count == int(nodes[name].isna().sum())
        assert column.to_pylist() == [None if pd.isna(v) else v for v in nodes[name].tolist()]
    assert {str(t) for t in read.schema.types} == {"int64", "double", "string", "bool"}
    assert json.loads(read.schema.metadata[b"biosae"])["program"] == "export_run.py"


def test_the_h5ad_has_the_layout_that_anndata_documents(exported):
    run, folder, _ = exported
    nodes = read_table(run / "nodes.tsv", "nodes")
    with h5py.File(folder / "nodes.h5ad") as handle:
        assert dict(handle.attrs) == {"encoding-type": "anndata", "encoding-version": "0.1.0"}
        expected = read_directions(run / "checkpoint", nodes["node"].to_numpy(np.int64))
        assert expected.shape == (6, CHANNELS)
        np.testing.assert_array_equal(handle["X"][:], expected)
        assert list(handle["obs"].attrs["column-order"]) == [*nodes.columns, "cluster"]
        codes, words = handle["obs/best_motif_id/codes"][:], handle["obs/best_motif_id/categories"].asstr()[:]
        found = [None if code < 0 else words[code] for code in codes]
        assert found == [None if pd.isna(v) else v for v in nodes["best_motif_id"]]
        assert None in found, "a node without a motif"
        mask = handle["obs/motif_width/mask"][:]
        assert mask.tolist() == nodes["motif_width"].isna().tolist()


def test_a_point_without_a_figure_is_left_out_of_the_curve_and_counted(tmp_path, monkeypatch):
    run, genome, _ = finished_run(tmp_path, monkeypatch)
    curve = read_table(run / "training_curve.tsv", "training_curve")
    curve.loc[3, "validation_fvu"] = np.nan
    write_table(curve, run / "training_curve.tsv", "training_curve")
    export(run, genome, run / "exports", BOTH)
    row = exports_of(run).loc["training_mqc.yaml"]
    assert (row["rows"], row["left_out"], row["reason"]) == (39, 1, "evaluations without a validation FVU")
    assert "nan" not in (run / "exports/training_mqc.yaml").read_text().lower()


def test_no_kept_node_gives_empty_exports_and_no_bigbed(tmp_path, monkeypatch, caplog):
    run, genome, _ = finished_run(tmp_path, monkeypatch)
    export(run, genome, run / "exports", BOTH)
    (tmp_path / "none").mkdir()
    empty, genome, _ = finished_run(tmp_path / "none", monkeypatch, n_nodes=0)
    (run / "exports").rename(empty / "exports")  # of an earlier selection
    export(empty, genome, empty / "exports", BOTH)
    table = exports_of(empty)
    assert not list((empty / "exports").glob("seqlets.bb*"))
    assert "no kept node has a seqlet" in table.loc["seqlets.bb", "reason"]
    assert table["rows"].drop(["biosae_mqc.tsv", "training_mqc.yaml"]).tolist() == [0, 0, 0, 0]
    with h5py.File(empty / "exports/motifs.h5") as handle:
        assert len(handle["pos_patterns"]) == 0
    assert pq.read_table(empty / "exports/nodes.parquet").num_rows == 0


def test_nodes_with_one_seqlet_and_with_none(tmp_path, monkeypatch):
    run, genome, planted = finished_run(tmp_path, monkeypatch, n_nodes=3, counts=[1, 0, 4])
    export(run, genome, run / "exports", BOTH)
    assert len(planted) == 5
    with h5py.File(run / "exports/motifs.h5") as handle:
        counts = {g.attrs["motif_id"]: g["seqlets/n_seqlets"][0] for g in handle["pos_patterns"].values()}
    ranks = {name.split("_")[0]: n for name, n in counts.items() if name.endswith("_m1")}
    assert ranks == {"1": 1, "2": 0, "3": 4}


def test_a_run_without_coordinates_has_no_bigbed_and_says_so(tmp_path, monkeypatch):
    run, genome, _ = finished_run(tmp_path, monkeypatch)
    export(run, genome, run / "exports", BOTH)
    (run / "seqlets" / "seqlets.bed.gz").unlink()
    export(run, genome, run / "exports", BOTH)
    row = exports_of(run).loc["seqlets.bb"]
    assert (row["rows"], row["left_out"]) == (0, 45)
    assert "no coordinates" in row["reason"]
    assert not (run / "exports" / "seqlets.bb").exists()
    with h5py.File(run / "exports/motifs.h5") as handle:
        assert "no coordinates" in handle.attrs["example_idx_is"]
        second = handle["pos_patterns/pattern_2"]
        assert second.attrs["rank"] == 2
        assert second["seqlets/example_idx"][:].tolist() == [5, 6, 7, 8, 9, 10]


def lose_a_window(run):
    rows = windows_of(run)
    rows.iloc[1:].to_csv(run / "seqlets/seqlets.bed.gz", sep="\t", header=False, index=False, quoting=3)


def lose_a_motif(run):
    table = read_table(run / "motifs.tsv", "motifs")
    write_table(table.iloc[1:], run / "motifs.tsv", "motifs")


def lose_a_place(run):
    table = read_table(run / "umap.tsv", "umap")
    write_table(table.iloc[1:], run / "umap.tsv", "umap")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lose_a_window, "not as many as the manifest counts"),
        (lose_a_motif, "different motifs"),
        (lose_a_place, "different nodes"),
    ],
)
def test_files_that_do_not_belong_together_are_refused(tmp_path, monkeypatch, spoil, message):
    run, genome, _ = finished_run(tmp_path, monkeypatch)
    spoil(run)
    with pytest.raises(ContractError, match=message):
        export(run, genome, run / "exports", BOTH)


def test_files_that_are_missing_are_all_named_before_anything_is_read(tmp_path, monkeypatch):
    run, genome, _ = finished_run(tmp_path, monkeypatch)
    for name in ("umap.tsv", "motifs.meme"):
        (run / name).unlink()
    (run / "nodes.tsv").write_text("no table")
    with pytest.raises(InputError) as error:
        export(run, genome, run / "exports", BOTH)
    assert "['umap.tsv', 'motifs.meme']" in str(error.value)
    assert str(run) in str(error.value)


@pytest.mark.parametrize("wrong", [{"hit_p": 0.0}, {"strand": "back"}, {"seqlets_per_motif": -1}])
def test_nonsense_settings_are_refused(wrong):
    with pytest.raises(ConfigError, match="exports cannot be made"):
        Settings(**wrong)
