"""discover_motifs, collect_motifs and match_motifs: chunks change nothing, empty is valid."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers_meme_suite import (
    DATA,
    DATABASE,
    MEME_BODY,
    MEME_TEXT,
    files_of,
    run_program,
    stand_in,
    write_seqlets,
)

from biosae.artefacts import read_table
from biosae.errors import BiosaeError, ConfigError, ContractError, InputError
from biosae.motifs import jobs
from biosae.motifs.formats import read_meme
from biosae.motifs.options import Discovery
from biosae.motifs.tables import chunk_table

NAMES = ["1_n5.fa", "2_n42.fa", "3_n127.fa", "4_n7.fa"]  # planted (half of 3_n127), null, planted, too few


def write_run(folder: Path, names=NAMES) -> Path:
    """A seqlets folder with manifest."""
    planted = (DATA / "3_n127.fa").read_text()
    content = {
        "1_n5.fa": "".join(planted.splitlines(keepends=True)[:200]),
        "2_n42.fa": (DATA / "9_n42_null.fa").read_text(),
        "3_n127.fa": planted,
        "4_n7.fa": ">chr1:0-42(+) node=7\nTGGCTAATCTCTTACTATACTCCCGCTCCCCGCCCTGGCTCA\n",
    }
    return write_seqlets(folder, {name: content[name] for name in names})


def discover_chunks(monkeypatch, seqlets: Path, run: Path, chunks: int, *more: object) -> None:
    for chunk in range(chunks):
        part = ("--manifest", seqlets / "manifest.tsv", "--chunk", chunk, "--chunks", chunks)
        folders = ("--output", run / "motifs", "--meme-dir", run / "meme")
        run_program(monkeypatch, "discover_motifs", "--fasta", seqlets, *part, *folders, *more)


def collect(monkeypatch, seqlets: Path, run: Path, *more: object) -> None:
    chunks, memes = (
        sorted((run / "motifs").glob(f"chunk_*.{kind}"), reverse=True) for kind in ("tsv", "meme")
    )
    out = ("--output-table", run / "motifs.tsv", "--output-meme", run / "motifs.meme")
    manifest = ("--manifest", seqlets / "manifest.tsv")
    run_program(monkeypatch, "collect_motifs", "--chunks", *chunks, "--memes", *memes, *manifest, *out, *more)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """(seqlets, output) of the program on the whole folder; the folder's name has a space and quotes."""
    base = tmp_path_factory.mktemp("whole") / "a 'quoted' \"folder\""
    seqlets = write_run(base / "seqlets")
    with pytest.MonkeyPatch.context() as monkeypatch:
        run_program(
            monkeypatch, "discover_motifs", "--fasta", seqlets, "--output", base / "out", "--chunks", 3
        )
    return seqlets, base / "out"


def test_planted_motifs_are_found_and_nulls_are_not_significant(whole):
    motifs = read_table(whole[1] / "motifs.tsv", "motifs")
    best = motifs.sort_values("q_value").groupby("node").first()
    assert best.loc[[5, 127], "significant"].all()
    assert not best.loc[42, "significant"]
    assert {"CTAATCT", "AGATTAG"} & set(motifs.loc[motifs["significant"].astype(bool), "consensus"])
    np.testing.assert_allclose(motifs["q_value"].min(), motifs["p_value"].min() * len(motifs), rtol=1e-6)


def test_status_covers_every_node(whole):
    status = read_table(whole[1] / "status.tsv", "motif_status").set_index("rank")
    assert status["status"].to_dict() == {1: "ok", 2: "ok", 3: "ok", 4: "too_few"}
    assert status["n_seqlets"].to_list() == [100, 200, 200, 1]
    assert read_meme(whole[1] / "meme" / "4_n7" / "meme.txt") == []


def test_chunks_give_the_same_bytes_as_the_whole(whole, tmp_path, monkeypatch):
    seqlets, out = whole
    results = []
    for chunks in (1, 3, 5):  # more chunks than nodes: the last are empty and valid
        run = tmp_path / f"run{chunks}"
        discover_chunks(monkeypatch, seqlets, run, chunks, "--threads", 2)
        collect(monkeypatch, seqlets, run, "--statuses", *(run / "motifs").glob("status_*.tsv"))
        results.append({name: (run / name).read_bytes() for name in ("motifs.tsv", "motifs.meme")})
        assert files_of(run / "meme") == files_of(out / "meme")
    assert results[0] == results[1] == results[2]
    assert results[0] == {name: (out / name).read_bytes() for name in ("motifs.tsv", "motifs.meme")}


def test_one_fasta_gives_the_same_bytes(whole, tmp_path, monkeypatch):
    seqlets, out = whole
    folder = ("--meme-dir", tmp_path / "one")  # as a rule for one node calls it: no tables, no --output
    run_program(monkeypatch, "discover_motifs", "--fasta", seqlets / "3_n127.fa", *folder)
    assert files_of(tmp_path) == {"one/3_n127/meme.txt": (out / "meme/3_n127/meme.txt").read_bytes()}


def test_a_node_does_not_depend_on_its_rank(whole, tmp_path, monkeypatch):
    """Another selection gives a node another rank; its motifs must stay."""
    shutil.copy(whole[0] / "3_n127.fa", tmp_path / "1_n127.fa")
    run_program(monkeypatch, "discover_motifs", "--fasta", tmp_path / "1_n127.fa", "--output", tmp_path)
    before, after = (
        read_meme(folder) for folder in (whole[1] / "meme/3_n127/meme.txt", tmp_path / "meme/1_n127/meme.txt")
    )
    assert len(before) == len(after) == 2
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one.matrix, other.matrix)


def test_outputs_hold_neither_paths_nor_times(whole, tmp_path, monkeypatch):
    seqlets = write_run(tmp_path / "elsewhere" / "seqlets")
    run_program(monkeypatch, "discover_motifs", "--fasta", seqlets, "--output", tmp_path / "again")
    assert files_of(tmp_path / "again") == files_of(whole[1])
    assert set(files_of(whole[1])) >= {"motifs.tsv.json", "status.tsv.json"}


def test_an_empty_selection_gives_valid_empty_files(tmp_path, monkeypatch):
    seqlets = write_run(tmp_path / "seqlets", [])
    run = tmp_path / "run"
    discover_chunks(monkeypatch, seqlets, run, 2)
    collect(monkeypatch, seqlets, run, "--statuses", *(run / "motifs").glob("status_*.tsv"))
    assert read_table(run / "motifs.tsv", "motifs").empty
    assert read_meme(run / "motifs.meme") == []
    database = ("--database", DATABASE)
    run_program(
        monkeypatch, "match_motifs", "--motifs", run / "motifs.meme", *database, "--output", run / "m.tsv"
    )
    assert read_table(run / "m.tsv", "matches").empty
    run_program(monkeypatch, "discover_motifs", "--fasta", seqlets, "--output", tmp_path / "dir")
    assert read_table(tmp_path / "dir" / "motifs.tsv", "motifs").empty


def test_faults_of_discovery(tmp_path, monkeypatch, whole):
    seqlets = write_run(tmp_path / "seqlets")
    base = ("discover_motifs", "--output", tmp_path / "out", "--fasta")
    chunk = ("--manifest", seqlets / "manifest.tsv", "--chunk", "3", "--chunks", "3")
    with pytest.raises(ConfigError, match="0 <= chunk < chunks"):
        run_program(monkeypatch, *base, seqlets, *chunk)
    (seqlets / "3_n127.fa").rename(seqlets / "7_n5.fa")
    with pytest.raises(InputError, match=r"missing.*3_n127\.fa.*write_seqlets"):
        run_program(monkeypatch, *base, seqlets, *chunk[:3], "0", *chunk[4:5], "1")
    with pytest.raises(InputError, match=r"same node.*\[5\]"):
        run_program(monkeypatch, *base, seqlets)
    (seqlets / "7_n5.fa").rename(seqlets / "notes.fa")
    with pytest.raises(InputError, match=r"not named after a node.*notes\.fa"):
        run_program(monkeypatch, *base, seqlets)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no FASTA of a node"):
        run_program(monkeypatch, *base, tmp_path / "empty")
    with pytest.raises(ConfigError, match="motifs_per_node >= 1"):
        run_program(monkeypatch, *base, whole[0], "--motifs-per-node", 0)
    with pytest.raises(SystemExit):
        run_program(monkeypatch, *base, whole[0], "--chunk", 0)
    with pytest.raises(SystemExit):
        run_program(monkeypatch, "discover_motifs", "--fasta", whole[0])
    assert not (tmp_path / "out").exists()


def test_faults_of_collection(tmp_path, monkeypatch, whole):
    seqlets = write_run(tmp_path / "seqlets", NAMES[:3])
    run = tmp_path / "run"
    discover_chunks(monkeypatch, seqlets, run, 2)
    statuses = sorted((run / "motifs").glob("status_*.tsv"))
    with pytest.raises(ContractError, match=r"do not cover the nodes.*missing \[42\]"):
        collect(monkeypatch, seqlets, run, "--statuses", statuses[0])
    shutil.copy(run / "motifs" / "chunk_0.tsv", run / "motifs" / "chunk_9.tsv")
    with pytest.raises(ContractError, match="stands in two chunks"):
        collect(monkeypatch, seqlets, run)
    (run / "motifs" / "chunk_9.tsv").unlink()
    (run / "motifs" / "chunk_1.meme").unlink()
    with pytest.raises(ContractError, match="different motifs"):
        collect(monkeypatch, seqlets, run)
    other = write_run(tmp_path / "other", NAMES[:1])
    discover_chunks(monkeypatch, seqlets, run, 2)
    with pytest.raises(ContractError, match=r"the manifest does not"):
        collect(monkeypatch, other, run)


@pytest.fixture
def meme_on_path(tmp_path, monkeypatch):
    """A stand-in ``meme`` that fails on node 42 as long as a file ``fail`` stands beside it."""
    folder = tmp_path / "bin"
    fails = "if '_n42' in args[0] and pathlib.Path(__file__).with_name('fail').exists():\n"
    fails += "    sys.exit('no memory')\n"
    stand_in(folder, "meme", fails + MEME_BODY)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


def test_meme_chunks_whole_and_single_node_agree(tmp_path, monkeypatch, meme_on_path):
    seqlets = write_run(tmp_path / "seqlets")
    engine = ("--engine", "meme", "--meme-arguments=-norand", "--held-out-share", 0)
    discover_chunks(monkeypatch, seqlets, tmp_path / "run", 3, *engine, "--threads", 2)
    collect(monkeypatch, seqlets, tmp_path / "run")
    run_program(monkeypatch, "discover_motifs", "--fasta", seqlets, "--output", tmp_path / "out", *engine)
    assert files_of(tmp_path / "run" / "meme") == files_of(tmp_path / "out" / "meme")
    assert (tmp_path / "run" / "motifs.tsv").read_bytes() == (tmp_path / "out" / "motifs.tsv").read_bytes()
    one = ("--fasta", seqlets / "3_n127.fa", "--output", tmp_path / "one")
    run_program(monkeypatch, "discover_motifs", *one, *engine)
    assert (tmp_path / "one/meme/3_n127/meme.txt").read_bytes() == MEME_TEXT.read_bytes()
    table = read_table(tmp_path / "run" / "motifs.tsv", "motifs")
    assert table["motif_id"].tolist() == [
        f"{rank}_m{m}" for rank in ("1_n5", "2_n42", "3_n127") for m in (1, 2)
    ]
    assert table["tool_e_value"].tolist() == [7.8e-124, 3.1e-81] * 3
    assert table[["p_value", "log10_p", "e_value", "log10_e", "share_forward"]].isna().all(axis=None)
    assert table.loc[0, "q_value"] == pytest.approx(7.8e-124 * 6 / 3)
    assert [motif.id for motif in read_meme(tmp_path / "run" / "motifs.meme")] == table["motif_id"].tolist()
    assert read_table(tmp_path / "out" / "status.tsv", "motif_status")["status"].tolist() == ["ok"] * 3 + [
        "too_few"
    ]


def test_held_out_meme_chunks_whole_and_single_node_agree(tmp_path, monkeypatch, meme_on_path):
    """And its table holds E = p x motifs for MEME as for any engine, beside what MEME says itself."""
    seqlets = write_run(tmp_path / "seqlets")
    more = ("--engine", "meme", "--strand", "both")
    discover_chunks(monkeypatch, seqlets, tmp_path / "run", 3, *more, "--threads", 2)
    collect(monkeypatch, seqlets, tmp_path / "run")
    run_program(monkeypatch, "discover_motifs", "--fasta", seqlets, "--output", tmp_path / "out", *more)
    assert files_of(tmp_path / "run" / "meme") == files_of(tmp_path / "out" / "meme")
    assert (tmp_path / "run" / "motifs.tsv").read_bytes() == (tmp_path / "out" / "motifs.tsv").read_bytes()
    one = ("--fasta", seqlets / "3_n127.fa", "--meme-dir", tmp_path / "one")
    run_program(monkeypatch, "discover_motifs", *one, *more)
    whole = files_of(tmp_path / "out" / "meme" / "3_n127")
    assert files_of(tmp_path / "one" / "3_n127") == whole
    table = read_table(tmp_path / "out" / "motifs.tsv", "motifs")
    np.testing.assert_allclose(table["log10_e"], table["log10_p"] + np.log10(2), rtol=1e-7)
    assert table["tool_e_value"].tolist() == [7.8e-124, 3.1e-81] * 3
    best = table.groupby("node")["q_value"].min()
    assert best[127] < 1e-8
    np.testing.assert_allclose(best.min(), table["p_value"].min() * len(table), rtol=1e-6)
    stated = [motif.e_value for motif in read_meme(tmp_path / "out" / "motifs.meme")]
    np.testing.assert_allclose(stated, table["e_value"], rtol=1e-8)


def test_a_failed_node_does_not_lose_the_others(tmp_path, monkeypatch, meme_on_path):
    seqlets = write_run(tmp_path / "seqlets")
    (meme_on_path / "fail").touch()
    run = tmp_path / "run"
    with pytest.raises(BiosaeError, match=r"(?s)failed for 1 of 4 nodes:\n  2_n42: .*no memory"):
        discover_chunks(monkeypatch, seqlets, run, 1, "--engine", "meme")
    status = read_table(run / "motifs" / "failed_0.tsv", "motif_status").set_index("rank")
    assert status["status"].to_dict() == {1: "ok", 2: "failed", 3: "ok", 4: "too_few"}
    assert "no memory" in status.loc[2, "message"]
    assert sorted(files_of(run / "motifs")) == ["failed_0.tsv", "failed_0.tsv.json"]
    assert sorted(path.name for path in (run / "meme").iterdir()) == ["1_n5", "3_n127", "4_n7"]
    assert str(tmp_path) not in (run / "motifs" / "failed_0.tsv").read_text()
    (meme_on_path / "fail").unlink()
    before = len((meme_on_path / "meme.calls").read_text().splitlines())
    discover_chunks(monkeypatch, seqlets, run, 1, "--engine", "meme")
    assert len((meme_on_path / "meme.calls").read_text().splitlines()) == before + 1  # the failed node only
    assert not list((run / "motifs").glob("failed_0.tsv*"))
    assert read_table(run / "motifs" / "chunk_0.tsv", "motif_chunk")["rank"].tolist() == [1, 1, 2, 2, 3, 3]


def test_the_meme_suite_is_not_used_unless_asked(tmp_path, monkeypatch, meme_on_path):
    seqlets = write_run(tmp_path / "seqlets", NAMES[:1])
    run_program(monkeypatch, "discover_motifs", "--fasta", seqlets, "--output", tmp_path / "out")
    assert not (meme_on_path / "meme.calls").exists()
    assert set(read_table(tmp_path / "out" / "motifs.tsv", "motifs")["engine"]) == {"batched"}


def test_flags_of_motifs(whole, tmp_path):
    """Planted GATA is not flagged; with a bound above what any motif holds each is."""
    table = read_table(whole[1] / "motifs.tsv", "motifs")
    gata = table[table["consensus"].isin(["CTAATCT", "AGATTAG"])]
    assert len(gata)
    assert gata["flag"].isna().all()
    assert gata["information_bits"].between(6, 14).all()
    nodes = jobs.nodes_of(whole[0] / "3_n127.fa", None, None)
    wanted = Discovery("batched", 1, "given", 6, None, 2, 0, 0.4, 5, 100.0)
    results = jobs.discover_nodes(nodes, wanted, None, tmp_path, 1)
    assert chunk_table(results)["flag"].tolist() == ["low_information"]
