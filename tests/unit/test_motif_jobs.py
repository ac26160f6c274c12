"""Discovery over many nodes: shards change nothing, and no node, whatever it holds, stops the others."""

from __future__ import annotations

import os

import numpy as np
import pytest
from helpers_meme_suite import DATA, MEME_BODY, calls, files_of, run_program, stand_in

from biosae.artefacts import check_table
from biosae.errors import ConfigError
from biosae.motifs import jobs
from biosae.motifs.options import Discovery
from biosae.motifs.tables import chunk_table, status_table

GATA = "TGGCTAATCTCTTACTATACTCCCGCTCCCCGCCCTGGCTCA"


def wanted(engine="batched", **more) -> Discovery:
    given = {
        "motifs_per_node": 2, "strand": "given", "min_width": 6, "max_width": None, "background_order": 2,
        "seed": 0, "held_out_share": 0.4, "controls_per_seqlet": 5, "min_information_bits": 0.0,
    }  # fmt: skip
    return Discovery(engine, **given | more)


def write_nodes(folder, sequences_of_nodes, header="chr1:{at}-{end}(+) node={node}"):
    """{rank}_n{node}.fa for each list of sequences; node = 100 + rank."""
    folder.mkdir(parents=True, exist_ok=True)
    for rank, sequences in enumerate(sequences_of_nodes, 1):
        names = [
            header.format(at=1000 * i, end=1000 * i + len(s), node=rank) for i, s in enumerate(sequences)
        ]
        text = "".join(f">{name}\n{s}\n" for name, s in zip(names, sequences, strict=True))
        (folder / f"{rank}_n{100 + rank}.fa").write_text(text)
    return jobs.nodes_of_folder(folder)


def random_sequences(seed, n, length=42, letters="ACGT"):
    rng = np.random.default_rng(seed)
    return ["".join(row) for row in np.array(list(letters))[rng.integers(len(letters), size=(n, length))]]


@pytest.fixture
def meme(tmp_path, monkeypatch):
    """A stand-in ``meme`` on the PATH that refuses an empty FASTA, or one of a single sequence."""
    folder = tmp_path / "bin"
    fewest = "assert pathlib.Path(args[0]).read_text().count('>') >= 2\n"
    stand_in(folder, "meme", fewest + MEME_BODY)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


@pytest.mark.parametrize("background", [True, False])
def test_the_size_of_a_shard_changes_no_byte(tmp_path, monkeypatch, background):
    """Nor does the number of threads; the bar runs over all nodes."""
    planted = [s[:10] + "TGACTCAGC" + s[19:] for s in random_sequences(1, 40)]
    nodes = write_nodes(tmp_path / "fa", [planted[i:] + random_sequences(i, 10) for i in range(5)])
    controls = tmp_path / "background.fa"
    controls.write_text("".join(f">b{i}\n{s}\n" for i, s in enumerate(random_sequences(9, 1500))))
    results = []
    for size, threads in ((100, 1), (2, 2), (1, 1)):
        monkeypatch.setattr(jobs, "SHARD_NODES", size)
        out = tmp_path / f"by_{size}"
        found = jobs.discover_nodes(nodes, wanted(), controls if background else None, out, threads)
        results.append((chunk_table(found).to_csv(), status_table(found).to_csv(), files_of(out)))
    assert results[0] == results[1] == results[2]
    assert len(results[0][2]) == 5
    assert "TGACTCA" in results[0][0]


def test_a_shard_is_all_that_is_in_memory(tmp_path, monkeypatch):
    """The FASTA files of a shard are read when its turn comes, after the shards before are written."""
    nodes = write_nodes(tmp_path / "fa", [random_sequences(i, 3) for i in range(7)])
    read, trace = jobs.read_fasta, []
    written = jobs.write_meme
    monkeypatch.setattr(jobs, "read_fasta", lambda path: trace.append("r") or read(path))
    monkeypatch.setattr(jobs, "write_meme", lambda *a, **k: trace.append("w") or written(*a, **k))
    monkeypatch.setattr(jobs, "SHARD_NODES", 3)
    results = jobs.discover_nodes(nodes, wanted(), None, tmp_path / "out", 1)
    assert "".join(trace) == "rrrwwwrrrwwwrw"
    assert [result.node for result in results] == [101, 102, 103, 104, 105, 106, 107]


def test_the_background_is_read_once(tmp_path, monkeypatch, meme):
    nodes = write_nodes(tmp_path / "fa", [random_sequences(i, 12) for i in range(5)])
    controls = tmp_path / "background.fa"
    controls.write_text("".join(f">b{i}\n{s}\n" for i, s in enumerate(random_sequences(9, 500))))
    read, paths = jobs.read_fasta, []
    monkeypatch.setattr(jobs, "read_fasta", lambda path: paths.append(path.name) or read(path))
    monkeypatch.setattr(jobs, "SHARD_NODES", 2)
    for engine in ("batched", "meme"):
        paths.clear()
        jobs.discover_nodes(nodes, wanted(engine), controls, tmp_path / engine, 2)
        assert paths.count("background.fa") == 1


ODD = {
    "one seqlet": ([GATA], "too_few"),
    "two seqlets": ([GATA, GATA[::-1]], "too_few"),
    "five seqlets": (random_sequences(1, 5), "too_few"),
    "no seqlet": ([], "too_few"),
    "shorter than the minimum width": (random_sequences(2, 30, 5), "too_short"),
    "all N": (["N" * 42] * 30, "too_short"),
    "N but for five bases": (["N" * 20 + "ACGTA" + "N" * 17] * 30, "too_short"),
    "identical": ([GATA] * 30, "too_few"),  # one sequence: none of it can be held out
    "all A": (["A" * 42] * 30, "too_few"),
    "poly-A of many lengths": (["A" * (12 + i) for i in range(30)], None),
    "lower case": ([s.lower() for s in random_sequences(3, 30)], None),
    "IUPAC": (random_sequences(4, 30, 42, "ACGT" * 20 + "RYSWKMBDHVN"), None),
    "mostly IUPAC": (random_sequences(4, 30, 42, "ACGTRYSWKMBDHVN"), "too_few"),
    "N here and there": ([s[:20] + "NN" + s[22:] for s in random_sequences(5, 30)], None),
    "lengths from 3 to 60": ([s[: 3 + 2 * i] for i, s in enumerate(random_sequences(6, 29, 60))], None),
}


@pytest.mark.parametrize(
    ("engine", "strand"), [("batched", "given"), ("batched", "both"), ("meme", "given"), ("meme", "both")]
)
def test_odd_nodes_have_a_status_and_stop_nothing(tmp_path, meme, engine, strand):
    nodes = write_nodes(tmp_path / "fa", [sequences for sequences, _ in ODD.values()])
    nodes += [jobs.NodeInput(99, 127, DATA / "3_n127.fa")]
    results = jobs.discover_nodes(nodes, wanted(engine, strand=strand), None, tmp_path / "out", 1)
    statuses = dict(zip([*ODD, "planted"], results, strict=True))
    for name, (sequences, expected) in ODD.items():
        result = statuses[name]
        assert result.status in ((expected,) if expected else ("ok", "no_motif")), name
        assert result.n_seqlets == len(sequences)
        assert bool(result.motifs) == (result.status == "ok"), name
        assert (tmp_path / "out" / result.name / "meme.txt").is_file(), name
    assert statuses["planted"].status == "ok"
    assert min(row["log10_p"] for row in statuses["planted"].rows) < -5
    check_table(chunk_table(results), "motif_chunk")
    check_table(status_table(results), "motif_status")


def test_odd_nodes_where_the_tool_reads_everything(tmp_path, meme):
    """Without a held-out part only what the tool itself refuses is left out."""
    nodes = write_nodes(tmp_path / "fa", [sequences for sequences, _ in ODD.values()])
    results = jobs.discover_nodes(nodes, wanted("meme", held_out_share=0), None, tmp_path / "out", 1)
    got = {name: result.status for name, result in zip(ODD, results, strict=True)}
    left_out = {name: status for name, status in got.items() if status != "ok"}
    assert left_out == {
        "one seqlet": "too_few",
        "no seqlet": "too_few",
        "shorter than the minimum width": "too_short",
        "all N": "too_short",
        "N but for five bases": "too_short",
    }
    assert len(calls(meme, "meme")) == len(ODD) - 5
    check_table(chunk_table(results), "motif_chunk")


def test_lower_case_and_upper_case_are_one_sequence(tmp_path):
    """Where there is no background, whose repeats a soft mask marks, case changes nothing."""
    planted = [s[:10] + "TGACTCAGC" + s[19:] for s in random_sequences(1, 40)]
    rows = []
    for fold in (str.upper, str.lower):
        nodes = write_nodes(tmp_path / fold.__name__, [[fold(s) for s in planted]])
        rows.append(jobs.discover_nodes(nodes, wanted(), None, tmp_path / "out", 1)[0].rows)
    assert rows[0] == rows[1]
    assert rows[0]


@pytest.mark.parametrize("engine", ["batched", "meme"])
@pytest.mark.parametrize(
    "header", ["a/b/../c {at}", "x:y:{at}", "chr1:{at}-x(?) 'q'", "{at} | ; $(touch x) `y`", "*", ""]
)
def test_headers_are_only_data(tmp_path, meme, engine, header):
    """Spaces, slashes, colons, shell signs, the same name for all and none at all; never a file name."""
    planted = [s[:10] + "TGACTCAGC" + s[19:] for s in random_sequences(1, 30)]
    nodes = write_nodes(tmp_path / "a b:c" / "fa", [planted], header)
    (result,) = jobs.discover_nodes(nodes, wanted(engine), None, tmp_path / "a b:c" / "out", 1)
    assert result.status == "ok"
    names = {
        path.relative_to(tmp_path / "a b:c" / "out").parts[0] for path in (tmp_path / "a b:c/out").iterdir()
    }
    assert names == {"1_n101"}
    if engine == "meme":
        seen = (meme / "1_n101_part_a.fa").read_text().splitlines()[::2]
        assert all(len(name.split()[0]) > 1 for name in seen)  # meme needs a word


@pytest.mark.parametrize("engine", ["batched", "meme"])
def test_tables_only_gives_the_same_tables_and_nothing_else(tmp_path, monkeypatch, meme, engine):
    planted = [s[:10] + "TGACTCAGC" + s[19:] for s in random_sequences(1, 30)]
    write_nodes(tmp_path / "fa", [planted, planted[:20], planted[:2]])
    given = ("--fasta", tmp_path / "fa", "--engine", engine)
    run_program(monkeypatch, "discover_motifs", *given, "--output", tmp_path / "all")
    run_program(monkeypatch, "discover_motifs", *given, "--tables-only", "--output", tmp_path / "few")
    everything = files_of(tmp_path / "all")
    kept = {k: v for k, v in everything.items() if not k.startswith(("meme/", "held_out.tsv.gz"))}
    assert files_of(tmp_path / "few") == kept
    assert "held_out.tsv.gz" in everything
    assert "meme/1_n101/meme.txt" in everything
    for wrong in (("--meme-dir", tmp_path / "m"), ("--fasta", tmp_path / "fa" / "1_n101.fa")):
        with pytest.raises(SystemExit):
            run_program(
                monkeypatch, "discover_motifs", *given, "--tables-only", "--output", tmp_path / "x", *wrong
            )


def test_settings_that_do_not_fit_are_refused_before_work():
    with pytest.raises(ConfigError, match=r"no other test.*held_out_share 0.*engine meme or streme"):
        wanted(held_out_share=0)
    for engine in ("batched", "meme"):
        with pytest.raises(ConfigError, match="0 < held_out_share < 1"):
            wanted(engine, held_out_share=1.0)
        with pytest.raises(ConfigError, match="controls_per_seqlet >= 1"):
            wanted(engine, controls_per_seqlet=0)
        with pytest.raises(ConfigError, match=r"bound on information is negative.*-1"):
            wanted(engine, min_information_bits=-1)
    with pytest.raises(ConfigError, match="max_width <= 200"):
        wanted("meme", max_width=300)
    assert wanted("meme", max_width=300, held_out_share=0).external().max_width == 300
