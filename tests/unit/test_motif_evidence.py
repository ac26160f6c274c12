"""The evidence that discovery leaves: the tables behind every p, by locus; chunks change no byte of it."""

from __future__ import annotations

import os
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from helpers_meme_suite import MEME_BODY, run_program, stand_in
from test_motif_jobs import random_sequences, wanted, write_nodes
from test_motif_programs import discover_chunks, write_run

from biosae.artefacts import read_table, write_table
from biosae.errors import ContractError
from biosae.motifs import evidence, jobs
from biosae.motifs.exact_test import log10_p_of_tables
from biosae.motifs.fasta import read_fasta
from biosae.motifs.heldout import place_of
from biosae.motifs.tables import chunk_table

# one word for engine batched to find, and the one that the stand-in for meme reports whatever it reads
PLANTED = [f"{s[:8]}TGACTCAGC{s[17:24]}CTAATCTC{s[32:]}" for s in random_sequences(1, 60)]


@pytest.fixture
def tool(tmp_path, monkeypatch):
    """Engine meme stands in on the PATH."""
    stand_in(tmp_path / "bin", "meme", MEME_BODY)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")


def counts_of(rows: pd.DataFrame) -> list[np.ndarray]:
    """Hits and sizes by stratum: of seqlets, of controls."""
    size = int(rows["stratum"].max()) + 1
    return [
        np.bincount(part["stratum"], weights=part[name], minlength=size).astype(int)
        for population in ("seqlets", "controls")
        for part in [rows[rows["population"] == population]]
        for name in ("n_hit", "n")
    ]


@pytest.mark.parametrize("engine", ["batched", "meme"])
@pytest.mark.parametrize("background", [True, False])
def test_added_up_it_gives_the_p_of_each_motif(tmp_path, tool, engine, background):
    # the first two sequences hold no motif: a place in the FASTA is not a place among the usable
    nodes = write_nodes(tmp_path / "fa", [["ACGTN", "NNNNN", *PLANTED], random_sequences(5, 40)])
    controls = tmp_path / "background.fa"
    controls.write_text("".join(f">b{i}\n{s}\n" for i, s in enumerate(random_sequences(9, 1500))))
    given = controls if background else None
    results = jobs.discover_nodes(nodes, wanted(engine), given, tmp_path / "out", 1)
    table, motifs = evidence.evidence_table(results), chunk_table(results).set_index("motif_id")
    assert set(table["motif_id"]) == set(motifs.index)
    for motif_id, rows in table.groupby("motif_id"):
        log10_p = log10_p_of_tables(*counts_of(rows))
        assert log10_p == pytest.approx(motifs.loc[motif_id, "log10_p"], rel=1e-8, abs=1e-12)
    assert motifs["log10_p"].min() < -8
    for node in nodes:
        places = {place_of(header) for header, _ in read_fasta(node.path)}
        rows = table[table["motif_id"].str.startswith(node.name) & (table["population"] == "seqlets")]
        told = set(zip(rows["chrom"], rows["start"].astype(int), strict=True))
        assert told <= places
        assert len(told) == 24 if node.rank == 1 else len(told) == 16  # 0.4 of the usable
        assert (rows["n"] == 1).all()


def test_a_hit_stands_at_the_place_of_the_sequence_that_has_the_motif(tmp_path):
    plain = random_sequences(7, 200)
    mixed = [s[:10] + "TGACTCAGCA" + s[20:] if i % 2 else s for i, s in enumerate(plain)]
    (result,) = jobs.discover_nodes(write_nodes(tmp_path, [mixed]), wanted(motifs_per_node=1), None, None, 1)
    rows = evidence.evidence_table([result]).query("population == 'seqlets'")
    with_motif = (rows["start"] // 1000 % 2).astype(bool)
    assert (rows["n_hit"].astype(bool) == with_motif).mean() > 0.9
    assert 0.2 < with_motif.mean() < 0.8


def test_a_locus_counts_once(tmp_path):
    """Of two windows that overlap one alone stands for the locus."""
    records = [
        f">chr1:{1000 * i + shift}-{1000 * i + shift + 42}(+)\n{s}\n"
        for shift, sequences in ((0, PLANTED), (10, random_sequences(4, 60)))
        for i, s in enumerate(sequences)
    ]
    (tmp_path / "1_n5.fa").write_text("".join(records))
    (result,) = jobs.discover_nodes(jobs.nodes_of_folder(tmp_path), wanted(), None, None, 1)
    rows = evidence.evidence_table([result]).query("population == 'seqlets' and motif_id == '1_n5_m1'")
    loci = (rows["start"] // 1000).tolist()
    assert len(set(loci)) == len(loci) == 24


def test_headers_without_a_place_are_loci_by_name(tmp_path):
    text = "".join(f">{'' if i % 2 else f'window{i} more'}\n{s}\n" for i, s in enumerate(PLANTED))
    (tmp_path / "3_n7.fa").write_text(text)
    (result,) = jobs.discover_nodes(jobs.nodes_of_folder(tmp_path), wanted(), None, None, 1)
    rows = evidence.evidence_table([result]).query("population == 'seqlets' and motif_id == '3_n7_m1'")
    assert rows["start"].isna().all()
    names = set(rows["chrom"])
    assert len(names) == len(rows) == 24
    assert all(name.startswith(("window", "3_n7_record_")) for name in names)
    assert len({name.startswith("window") for name in names}) == 2


def test_chunks_change_no_byte(tmp_path, monkeypatch):
    seqlets = write_run(tmp_path / "seqlets")
    run_program(monkeypatch, "discover_motifs", "--fasta", seqlets, "--output", tmp_path / "whole")
    results = [(tmp_path / "whole" / "held_out.tsv.gz").read_bytes()]
    for chunks in (1, 3, 5):
        run = tmp_path / f"run{chunks}"
        discover_chunks(monkeypatch, seqlets, run, chunks, "--threads", 2)
        found = {
            kind: sorted((run / "motifs").glob(f"{stem}_*.{kind}"), reverse=True)
            for stem, kind in (("chunk", "tsv"), ("chunk", "meme"), ("held_out", "tsv.gz"))
        }
        words = ("--chunks", *found["tsv"], "--memes", *found["meme"], "--held-out", *found["tsv.gz"])
        out = ("--output-table", run / "motifs.tsv", "--output-meme", run / "motifs.meme")
        more = ("--manifest", seqlets / "manifest.tsv", "--output-held-out", run / "held_out.tsv.gz")
        run_program(monkeypatch, "collect_motifs", *words, *out, *more)
        results.append((run / "held_out.tsv.gz").read_bytes())
    assert all(one == other for one, other in pairwise(results))
    table = read_table(tmp_path / "whole" / "held_out.tsv.gz", "held_out")
    motifs = read_table(tmp_path / "whole" / "motifs.tsv", "motifs")
    assert table["motif_id"].unique().tolist() == motifs["motif_id"].tolist()
    with pytest.raises(SystemExit):  # one without the other
        run_program(monkeypatch, "collect_motifs", *words, *out, *more[:2])


def test_there_is_none_where_nothing_was_held_out(tmp_path, tool):
    nodes = write_nodes(tmp_path / "fa", [PLANTED])
    results = jobs.discover_nodes(nodes, wanted("meme", held_out_share=0), None, tmp_path / "out", 1)
    assert results[0].motifs
    assert evidence.evidence_table(results).empty


def test_evidence_of_other_motifs_is_refused(tmp_path):
    nodes = write_nodes(tmp_path / "fa", [PLANTED, PLANTED[:30]])
    results = jobs.discover_nodes(nodes, wanted(), None, None, 1)
    motifs = chunk_table(results)
    path = tmp_path / "held_out_0.tsv.gz"
    write_table(evidence.evidence_table(results[:1]), path, "held_out")
    with pytest.raises(ContractError, match=r"held-out evidence.*2_n102_m1.*discover the motifs"):
        evidence.gather([path], motifs)
    alone = evidence.gather([path], motifs[motifs["rank"] == 1])
    assert alone["motif_id"].nunique() == (motifs["rank"] == 1).sum()
