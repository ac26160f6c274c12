"""cluster_motifs: the run's table and matrices, what is left out and marked, empty input, same bytes."""

from __future__ import annotations

import os
import warnings

import numpy as np
import pandas as pd
import pytest
from helpers_meme_suite import run_program
from helpers_motif_clusters import planted_motifs, table_of

from biosae.artefacts import load_schema, read_table, write_table
from biosae.errors import ContractError
from biosae.motifs.clusters import cluster_run
from biosae.motifs.formats import read_meme, write_meme


@pytest.fixture(scope="module")
def planted():
    return planted_motifs()


def test_insignificant_motifs_are_left_out_and_flagged_ones_are_marked(planted):
    motifs, log10_e, family = planted
    significant = np.arange(len(motifs)) % 8 != 3
    best = int(min(np.flatnonzero((family == 0) & significant), key=lambda i: log10_e[i]))
    flags = [("low_information" if i == best else None) for i in range(len(motifs))]
    table, averaged, counts = cluster_run(motifs, table_of(motifs, log10_e, significant, flags), 0.01)
    assert set(table["motif_id"]) == {m.id for m, kept in zip(motifs, significant, strict=True) if kept}
    assert counts["left_out_not_significant"] == int((~significant).sum())
    assert counts["motifs_clustered"] + counts["left_out_not_significant"] == counts["motifs"] == len(motifs)
    assert counts["flagged_clustered"] == 1
    marked = table[table["flag"].notna()]
    assert marked["motif_id"].tolist() == [motifs[best].id]
    assert not marked["is_seed"].any()  # the best E, but it cannot stand for its cluster
    assert table.groupby("cluster")["is_seed"].sum().eq(1).all()
    assert [motif.id for motif in averaged] == [f"cluster_{i}" for i in range(1, len(averaged) + 1)]
    assert (table.groupby("cluster")["cluster_name"].first() == [motif.name for motif in averaged]).all()


def test_a_table_without_the_column_flag_will_do(planted):
    motifs, log10_e, _ = planted
    table = table_of(motifs, log10_e).drop(columns="flag")
    assert cluster_run(motifs, table, 0.01)[0]["flag"].isna().all()


def test_a_table_of_other_motifs_is_refused(planted):
    motifs, log10_e, _ = planted
    with pytest.raises(ContractError, match=r"do not belong together(.|\n)*9_n8_m1"):
        cluster_run([m for m in motifs if m.id != "9_n8_m1"], table_of(motifs, log10_e), 0.01)


def run_on(monkeypatch, folder, motifs, table):
    """Write the inputs, run the program; (table, motifs) as read back."""
    folder.mkdir()
    columns = list(load_schema("motifs")["properties"])
    write_meme(folder / "motifs.meme", motifs)
    write_table(table.reindex(columns=columns), folder / "motifs.tsv", "motifs")
    out = ("--output-table", folder / "motif_clusters.tsv", "--output-meme", folder / "motif_clusters.meme")
    files = ("--motifs", folder / "motifs.meme", "--table", folder / "motifs.tsv")
    with warnings.catch_warnings():
        warnings.simplefilter("error", FutureWarning)
        run_program(monkeypatch, "cluster_motifs", *files, *out)
    return read_table(out[1], "motif_clusters"), read_meme(out[3])


@pytest.mark.parametrize("n", [0, 1])
def test_the_program_on_no_motif_and_on_one(monkeypatch, tmp_path, planted, n):
    motifs, log10_e, _ = planted
    table, averaged = run_on(monkeypatch, tmp_path / "run", motifs[:n], table_of(motifs[:n], log10_e[:n]))
    assert len(table) == len(averaged) == n
    assert (tmp_path / "run" / "motif_clusters.tsv").read_text().startswith("cluster\tcluster_name\t")
    if n:
        assert table.loc[0, ["cluster", "cluster_size", "offset", "correlation"]].tolist() == [1, 1, 0, 1.0]


def test_the_program_with_nothing_significant(monkeypatch, tmp_path, planted):
    motifs, log10_e, _ = planted
    table = table_of(motifs, log10_e, np.zeros(len(motifs), bool))
    assert run_on(monkeypatch, tmp_path / "run", motifs, table)[1] == []
    assert '"left_out_not_significant": 44' in (tmp_path / "run" / "motif_clusters.tsv.json").read_text()


def test_the_program_writes_the_same_bytes_for_any_order(monkeypatch, tmp_path, planted):
    motifs, log10_e, _ = planted
    order = np.random.default_rng(3).permutation(len(motifs))
    run_on(monkeypatch, tmp_path / "one", motifs, table_of(motifs, log10_e))
    table, averaged = run_on(
        monkeypatch,
        tmp_path / "other",
        [motifs[i] for i in order],
        table_of([motifs[i] for i in order], [log10_e[i] for i in order]),
    )
    for name in ("motif_clusters.tsv", "motif_clusters.meme"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "other" / name).read_bytes()
    assert len(averaged) == 9
    assert averaged[0].n_sites == sum(
        motif.n_sites for motif in motifs if motif.id in set(table.loc[table["cluster"] == 1, "motif_id"])
    )
    assert str(tmp_path) not in (tmp_path / "one" / "motif_clusters.tsv.json").read_text()
    assert os.sep + "tmp" not in (tmp_path / "one" / "motif_clusters.meme").read_text()


def test_the_tools_own_e_orders_motifs_where_there_is_no_other(planted):
    motifs, log10_e, _ = planted
    bare = table_of(motifs, [None] * len(motifs)).assign(tool_log10_e=log10_e)
    expected = cluster_run(motifs, table_of(motifs, log10_e), 0.01)[0]
    pd.testing.assert_frame_equal(cluster_run(motifs, bare, 0.01)[0], expected)
