"""A chunk of nodes under MEME that is killed, or whose program fails: a new run repeats what is missing."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from helpers_meme_suite import DATA, MEME_BODY, SCRIPTS, calls, files_of, stand_in, write_seqlets

from biosae.artefacts import read_table

NODES = 6
# the stand-in ends the program that started it, from the call on that die_at says, as the kernel would
KILLED_FROM_WITHIN = """
import os, signal, time
at = pathlib.Path(__file__).with_name("die_at")
if at.exists() and len(calls.read_text().splitlines()) >= int(at.read_text()):
    (out / "meme.txt").write_text("half a")
    os.kill(os.getppid(), signal.SIGKILL)
    sys.exit(1)
"""
FAILING = """
if args[0].split("_")[1] in pathlib.Path(__file__).with_name("fail").read_text().split():
    print("no memory", file=sys.stderr)
    sys.exit(1)
"""
# discover_motifs.py in a process that ends itself when a node's output is moved into place, file by file
KILLED_AT_MOVE = """
import os, runpy, shutil, signal, sys
sys.path.insert(0, {scripts!r})
moves, original = [], shutil.move
def move(*names):
    moves.append(names)
    if len(moves) == {at}:
        os.kill(os.getpid(), signal.SIGKILL)
    return original(*names)
shutil.move = move
sys.argv[0] = "discover_motifs.py"
runpy.run_path({scripts!r} + "/discover_motifs.py", run_name="__main__")
"""


@pytest.fixture(scope="module")
def seqlets(tmp_path_factory) -> Path:
    """Nodes 1_n101 to 6_n106 with planted motifs, each with fewer sequences than the one before."""
    records = re.findall(r">[^>]*", (DATA / "3_n127.fa").read_text())
    content = {f"{rank}_n{100 + rank}.fa": "".join(records[10 * rank :]) for rank in range(1, NODES + 1)}
    return write_seqlets(tmp_path_factory.mktemp("killed") / "seqlets", content)


@pytest.fixture
def bin_folder(tmp_path, monkeypatch) -> Path:
    """A folder for stand-ins, first on the PATH; scratch files go where the test can see them."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    (tmp_path / "scratch").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "scratch"))
    return folder


def discover(seqlets: Path, run: Path, threads: int = 1, start: tuple = ()) -> subprocess.CompletedProcess:
    """discover_motifs.py on chunk 0 of 1, as the workflow calls it; ``start``: what runs it."""
    command = [sys.executable, *(start or (str(SCRIPTS / "discover_motifs.py"),))]
    command += ["--fasta", seqlets, "--manifest", seqlets / "manifest.tsv", "--chunk", 0, "--chunks", 1]
    command += ["--engine", "meme", "--output", run / "motifs", "--meme-dir", run / "meme"]
    command += ["--threads", threads]
    return subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope="module")
def undisturbed(seqlets, tmp_path_factory) -> dict[str, bytes]:
    """All files of a chunk that nothing disturbed."""
    base = tmp_path_factory.mktemp("undisturbed")
    stand_in(base / "bin", "meme", MEME_BODY)
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("PATH", f"{base / 'bin'}{os.pathsep}{os.environ['PATH']}")
        done = discover(seqlets, base / "run")
    assert done.returncode == 0, done.stderr
    assert len(calls(base / "bin", "meme")) == NODES
    return files_of(base / "run")


def names_after(word: str, log: str) -> list[str]:
    """Nodes that the log says were read again, or run."""
    wanted = {"read again": r"(\w+): complete output .* read again", "run": r"running: .*?(\w+)_part_a\.fa"}
    return sorted(re.findall(wanted[word], log))


@pytest.mark.parametrize("threads", [1, 2])
def test_killed_in_the_middle_only_what_is_missing_runs_again(
    seqlets, undisturbed, bin_folder, tmp_path, threads
):
    stand_in(bin_folder, "meme", KILLED_FROM_WITHIN + MEME_BODY)
    (bin_folder / "die_at").write_text("4")
    run = tmp_path / "run"
    died = discover(seqlets, run, threads)
    assert died.returncode == -signal.SIGKILL, died.stderr
    finished = sorted(path.parent.name for path in run.glob("meme/[0-9]*_n*/settings.json"))
    assert len(finished) == 3 if threads == 1 else 1 <= len(finished) <= 4
    assert not (run / "motifs").exists()
    before = len(calls(bin_folder, "meme"))
    (bin_folder / "die_at").unlink()
    again = discover(seqlets, run, threads)
    assert again.returncode == 0, again.stderr
    # once each: what was running when its program was killed may note its call after we have counted
    ran = {words[0].removesuffix("_part_a.fa") for words in calls(bin_folder, "meme")[before:]}
    assert sorted([*ran, *finished]) == [f"{rank}_n{100 + rank}" for rank in range(1, NODES + 1)]
    assert names_after("read again", again.stderr) == finished
    assert names_after("run", again.stderr) == sorted(ran)
    assert files_of(run) == undisturbed


@pytest.mark.parametrize("at", [1, 2, 3, 4])
def test_a_node_that_was_half_written_is_made_again(seqlets, undisturbed, bin_folder, tmp_path, at):
    """Two files a node are moved: killed before and between them, of the first and of the second node."""
    stand_in(bin_folder, "meme", MEME_BODY)
    run = tmp_path / "run"
    died = discover(seqlets, run, start=("-c", KILLED_AT_MOVE.format(scripts=str(SCRIPTS), at=at)))
    assert died.returncode == -signal.SIGKILL, died.stderr
    finished = [path.name for path in run.glob("meme/[0-9]*_n*")]
    assert finished == ["1_n101"][: (at - 1) // 2]
    assert len(list(run.glob("meme/.*.tmp"))) == 1
    again = discover(seqlets, run)
    assert again.returncode == 0, again.stderr
    assert names_after("read again", again.stderr) == finished
    assert files_of(run) == undisturbed, "nothing that was half written is left either"


def test_failed_nodes_are_named_and_alone_repeated(seqlets, undisturbed, bin_folder, tmp_path):
    stand_in(bin_folder, "meme", FAILING + MEME_BODY)
    (bin_folder / "fail").write_text("n102 n105")
    run = tmp_path / "run"
    done = discover(seqlets, run)
    assert done.returncode == 2
    assert "error: Motif discovery failed for 2 of 6 nodes:" in done.stderr
    for name in ("2_n102", "5_n105"):
        assert re.search(rf"^  {name}: meme left no complete meme\.txt.*no memory", done.stderr, re.M)
    status = read_table(run / "motifs/failed_0.tsv", "motif_status")
    assert status["status"].tolist() == ["ok", "failed", "ok", "ok", "failed", "ok"]
    assert status["message"].notna().tolist() == (status["status"] == "failed").tolist()
    assert not [name for name in files_of(run / "motifs") if not name.startswith("failed_0.tsv")]
    (bin_folder / "fail").write_text("")
    again = discover(seqlets, run)
    assert again.returncode == 0, again.stderr
    assert names_after("run", again.stderr) == ["2_n102", "5_n105"]
    assert files_of(run) == undisturbed
