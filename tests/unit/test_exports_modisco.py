"""motifs.h5: planted sites at their place and strand, modisco's identities, and what reads it."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from biosae.exports.writer import Settings
from biosae.exports.writer import export_run as export
from biosae.motifs.formats import read_meme
from unit.helpers_exports import WINDOW_BP, exports_of, finished_run, windows_of

BOTH = Settings(strand="both")


@pytest.fixture
def exported(tmp_path, monkeypatch):
    """A run with six nodes, its exports and the sites that were planted."""
    run, genome, planted = finished_run(tmp_path, monkeypatch)
    export(run, genome, run / "exports", BOTH)
    return run, run / "exports", planted


def test_every_planted_site_is_in_the_modisco_file_at_its_place_and_strand(exported):
    run, folder, planted = exported
    windows = windows_of(run)
    with h5py.File(folder / "motifs.h5") as handle:
        patterns = {group.attrs["motif_id"]: group for group in handle["pos_patterns"].values()}
        assert list(handle) == ["pos_patterns"]
        assert handle.attrs["window_size"] == WINDOW_BP
        assert "stand-ins" in handle.attrs["stand_in"]
        assert len(planted) > 20
        for row in planted.itertuples():
            group = patterns[row.motif_id]
            seqlets, own = group["seqlets"], group.attrs
            example = windows.iloc[seqlets["example_idx"][row.seqlet_rank - 1]]
            assert (example["chrom"], example["start"]) == (row.chrom, row.start)
            assert example["seqlet_rank"] == row.seqlet_rank
            assert seqlets["is_revcomp"][row.seqlet_rank - 1] == row.reverse
            width = group["sequence"].shape[0]
            left = own["offset"] if not row.reverse else width - own["offset"] - own["motif_width"]
            assert seqlets["start"][row.seqlet_rank - 1] == row.offset - left
            assert seqlets["end"][row.seqlet_rank - 1] == row.offset - left + width
            word = seqlets["sequence"][row.seqlet_rank - 1][own["offset"] :][: own["motif_width"]]
            matrix = {motif.id: motif for motif in read_meme(run / "motifs.meme")}[row.motif_id].matrix
            assert word.argmax(axis=1).tolist() == matrix.argmax(axis=1).tolist()


def test_patterns_keep_modiscos_own_identities(exported):
    """Contributions are hypothetical ones times letters; a pattern's are their mean under its matrix."""
    run, folder, _ = exported
    with h5py.File(folder / "motifs.h5") as handle:
        groups = handle["pos_patterns"]
        motifs = read_meme(run / "motifs.meme")
        assert [groups[f"pattern_{i}"].attrs["motif_id"] for i in range(len(groups))] == [
            m.id for m in motifs
        ]
        widths = {group["sequence"].shape for group in groups.values()}
        assert widths == {(max(motif.width for motif in motifs), 4)}, "finemo stacks them"
        for i, motif in enumerate(motifs):
            group = groups[f"pattern_{i}"]
            inside = slice(group.attrs["offset"], group.attrs["offset"] + motif.width)
            np.testing.assert_array_equal(group["sequence"][inside], motif.matrix)
            outside = np.delete(group["sequence"][:], np.arange(motif.width) + group.attrs["offset"], axis=0)
            assert (outside == 0.25).all()
            hypothetical = group["hypothetical_contribs"][:]
            np.testing.assert_allclose(group["contrib_scores"][:], group["sequence"][:] * hypothetical)
            seqlets = group["seqlets"]
            shape = (seqlets["n_seqlets"][0], *group["sequence"].shape)
            for name in ("sequence", "contrib_scores", "hypothetical_contribs"):
                assert seqlets[name].shape == shape
            expected = seqlets["sequence"][:] * hypothetical
            np.testing.assert_allclose(seqlets["contrib_scores"][:], expected, rtol=1e-6)
            assert (seqlets["sequence"][:].sum(axis=2) <= 1).all()


def test_only_the_strongest_seqlets_of_a_motif_are_written_and_the_others_counted(tmp_path, monkeypatch):
    run, genome, _ = finished_run(tmp_path, monkeypatch)
    export(run, genome, run / "exports", BOTH)
    with h5py.File(run / "exports/motifs.h5") as handle:
        all_sites = [int(group["seqlets"]["n_seqlets"][0]) for group in handle["pos_patterns"].values()]
        first = handle["pos_patterns/pattern_0/seqlets/start"][:2]
    export(run, genome, run / "exports", Settings(seqlets_per_motif=2, strand="both"))
    row = exports_of(run).loc["motifs.h5"]
    assert row["left_out"] == sum(max(n - 2, 0) for n in all_sites) > 0
    assert "strongest 2" in row["reason"]
    with h5py.File(run / "exports/motifs.h5") as handle:
        seqlets = handle["pos_patterns/pattern_0/seqlets"]
        assert seqlets["start"][:].tolist() == first.tolist()
        assert seqlets.attrs["n_with_motif"] == all_sites[0]


def test_one_strand_alone_is_looked_at_where_motifs_were_discovered_so(tmp_path, monkeypatch):
    run, genome, planted = finished_run(tmp_path, monkeypatch)
    export(run, genome, run / "exports", Settings(strand="given"))
    with h5py.File(run / "exports/motifs.h5") as handle:
        groups = list(handle["pos_patterns"].values())
        assert not any(group["seqlets"]["is_revcomp"][:].any() for group in groups)
    assert planted["reverse"].any()


def test_finemo_reads_the_motifs(exported):
    data_io = pytest.importorskip("finemo.data_io", reason="finemo is not installed: make consumers")
    run, folder, _ = exported
    options = {"motif_type": "cwm", "motifs_include": None, "motif_name_map": None, "motif_lambdas": None}
    table, matrices, masks, names = data_io.load_modisco_motifs(
        str(folder / "motifs.h5"), None, None, 0.3, **options, motif_lambda_default=0.7, include_rc=True
    )
    motifs = read_meme(run / "motifs.meme")
    assert len(names) == len(motifs)
    assert len(table) == len(matrices) == len(masks) == 2 * len(motifs)
    for motif, matrix in zip(motifs, matrices[::2], strict=True):
        best = [
            letter for letter, used in zip(matrix.T.argmax(1), np.abs(matrix).sum(0) > 0, strict=True) if used
        ]
        assert best == motif.matrix.argmax(axis=1).tolist()


def test_modisco_gives_the_matrices_back_and_reports_them(tmp_path, monkeypatch):
    io = pytest.importorskip("modiscolite.io", reason="modisco-lite is not installed: make consumers")
    from modiscolite.report import report_motifs
    from modiscolite.util import MemeDataType

    run, genome, _ = finished_run(tmp_path, monkeypatch, n_nodes=1)
    export(run, genome, run / "exports", BOTH)
    path = run / "exports" / "motifs.h5"
    io.write_meme_from_h5(path, MemeDataType.PFM, tmp_path / "back.meme", True)
    for motif, back in zip(read_meme(run / "motifs.meme"), read_meme(tmp_path / "back.meme"), strict=True):
        np.testing.assert_allclose(
            back.matrix[(len(back.matrix) - motif.width) // 2 :][: motif.width], motif.matrix, atol=1e-5
        )
    report_motifs(path, str(tmp_path / "report"), "./", None, False)
    page = (tmp_path / "report" / "motifs.html").read_text()
    assert "pos_patterns.pattern_0" in page
    assert "pos_patterns.pattern_1" in page
    assert (tmp_path / "report/trimmed_logos/pos_patterns.pattern_0.cwm.fwd.png").stat().st_size > 0
