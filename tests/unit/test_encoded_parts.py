"""Parts of an encoding: any split, order and grouping gives the same bytes; what does not fit is refused."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from biosae import encoded_parts
from biosae.activations import ActivationStore
from biosae.checkpoint import save_checkpoint
from biosae.encoded_parts import EncodedParts
from biosae.encoding import encode_part, encode_store, sequence_share, write_encoded
from biosae.errors import ConfigError, InputError
from biosae.geometry import Layer
from biosae.model import RawChannels
from unit.helpers_store import RectifiedChannels, random_arrays, write_published_store, write_store

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
LAYER = Layer("tiny", "", 3, stride_bp=4, left_bp=19, right_bp=23)
N_SEQUENCES = 7
FILES = ("top_activations.parquet", "node_stats.tsv", "node_stats.tsv.json")


def notes(checkpoint: str = "a", store: str = "s", version: str = "1", device: str = "cpu") -> dict:
    made_by = {"inputs": [checkpoint], "store": store, "versions": {"torch": version}, "program": "p"}
    return {"layer": LAYER.as_dict(), "device": device, "provenance": made_by}


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> ActivationStore:
    # two levels of activation: nearly all are ties, within and between parts
    arrays = [np.round(a * 2) / 2 for a in random_arrays([3, 1, 3], positions=41, channels=3)]
    return ActivationStore.open(write_store(tmp_path_factory.mktemp("store"), arrays), stride_bp=4)


def encode(opened, path, sequences=None, top=2, **told) -> Path:
    model = RectifiedChannels(3, [2, 0, 1])
    encode_part(model, opened, path, top, 4, sequences=sequences, notes=notes(**told), block_rows=7)
    return path


@pytest.fixture(scope="module")
def whole(store, tmp_path_factory) -> Path:
    """Final files of one part."""
    folder = tmp_path_factory.mktemp("whole")
    write_encoded([encode(store, folder / "part.h5")], folder)
    return folder


def assert_same_files(left: Path, right: Path) -> None:
    for name in FILES:
        assert (left / name).read_bytes() == (right / name).read_bytes(), name


@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_any_split_order_and_grouping_gives_the_same_bytes(store, whole, tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("parts")
    cuts = sorted(data.draw(st.lists(st.integers(0, N_SEQUENCES), max_size=5)))
    spans = zip([0, *cuts], [*cuts, N_SEQUENCES], strict=True)  # some may be empty
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoded_parts, "RUN_ENTRIES", data.draw(st.sampled_from([1, 20, 10**6])))
        patch.setattr(encoded_parts, "RANGE_ENTRIES", data.draw(st.sampled_from([1, 80, 10**6])))
        parts = [encode(store, folder / f"{i}.h5", span) for i, span in enumerate(spans)]
        parts = data.draw(st.permutations(parts))
        for i in range(data.draw(st.integers(0, len(parts) - 1))):  # join neighbours of the shuffled list
            at = data.draw(st.integers(0, len(parts) - 2))
            EncodedParts(parts[at : at + 2]).write(folder / f"joined_{i}.h5")
            parts[at : at + 2] = [folder / f"joined_{i}.h5"]
        write_encoded(parts, folder)
    assert_same_files(folder, whole)


def test_one_part_equals_the_encoding_in_memory(store, whole):
    encoded = encode_store(RectifiedChannels(3, [2, 0, 1]), store, 2, 4, block_rows=7)
    table = pd.read_parquet(whole / "top_activations.parquet")
    assert encoded.top["position"].tolist() == table["position"].tolist()
    assert encoded.top["activation"].tolist() == table["activation"].tolist()
    assert encoded.top["activation"].duplicated().mean() > 0.9  # ties were at stake


def test_more_parts_than_sequences():
    shares = [sequence_share(3, part, 5) for part in range(5)]
    assert shares == [(0, 0), (0, 1), (1, 1), (1, 2), (2, 3)]
    assert sequence_share(3) == (0, 3)
    for part, of in ((5, 5), (-1, 5), (None, 5), (1, None)):
        with pytest.raises(ConfigError, match="--part and --of"):
            sequence_share(3, part, of)


def test_a_missing_part_is_named(store, tmp_path):
    parts = [encode(store, tmp_path / f"{i}.h5", span) for i, span in enumerate([(0, 2), (4, 6)])]
    with pytest.raises(InputError, match=r"missing.*\[2, 4\), \[6, 7\)"):
        write_encoded(parts, tmp_path / "out")
    with pytest.raises(InputError, match=r"\[0, 4\), \[6, 7\)"):
        write_encoded(parts[1:], tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(InputError, match="no parts"):
        write_encoded([], tmp_path)


def test_a_part_twice_is_refused(store, tmp_path):
    parts = [encode(store, tmp_path / f"{i}.h5", span) for i, span in enumerate([(0, 3), (3, 7), (2, 4)])]
    with pytest.raises(InputError, match=r"(?s)same sequences.*0\.h5.*0\.h5.*\[0, 3\) twice"):
        EncodedParts([parts[0], parts[1], parts[0]])
    with pytest.raises(InputError, match=r"(?s)0\.h5 and .*2\.h5.*\[2, 3\) twice"):
        EncodedParts([parts[2], parts[0]])


@pytest.mark.parametrize(
    ("told", "named"),
    [
        ({"checkpoint": "b"}, "another checkpoint"),
        ({"store": "t"}, "another store"),
        ({"top": 3}, "another settings"),
        ({"version": "2"}, "another versions"),
        ({"device": "cuda"}, "another device"),
    ],
)
def test_parts_of_different_encodings_are_refused(store, tmp_path, told, named):
    one = encode(store, tmp_path / "one.h5", (0, 3))
    other = encode(store, tmp_path / "other.h5", (3, 7), **told)
    with pytest.raises(InputError, match=rf"(?s)one\.h5 and .*other\.h5.*{named}"):
        EncodedParts([one, other])


@pytest.mark.parametrize("most", [1, 2, 256])
def test_files_are_opened_once_while_merging(store, whole, tmp_path, monkeypatch, most):
    monkeypatch.setattr(encoded_parts, "RUN_ENTRIES", 1)
    monkeypatch.setattr(encoded_parts, "RANGE_ENTRIES", 1)  # a range a node
    monkeypatch.setattr(encoded_parts, "_OPEN_FILES", most)
    parts = [encode(store, tmp_path / f"{i}.h5", span) for i, span in enumerate([(0, 4), (4, 7)])]
    opened, open_file = [], h5py.File

    def counted(path, *rest):
        opened.append(open_file(path, *rest))
        assert sum(map(bool, opened)) <= most
        return opened[-1]

    monkeypatch.setattr(encoded_parts.h5py, "File", counted)
    write_encoded(parts, tmp_path / "out")
    assert_same_files(tmp_path / "out", whole)
    assert len(opened) == (4 if most > 1 else 2 + 2 * 3)  # to inspect them, and to merge
    assert not any(opened)  # all are closed again


def test_full_disk_while_encoding_and_joining_is_named(store, tmp_path):
    part = encode(store, tmp_path / "part.h5")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, before[1]))
    try:
        for name, write in (
            ("again", lambda path: encode(store, path)),
            ("joined", lambda path: EncodedParts([part]).write(path)),
        ):
            with pytest.raises(InputError, match=rf"Cannot write.*{name}\.h5.*free space"):
                write(tmp_path / f"{name}.h5")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [path.name for path in tmp_path.iterdir()] == ["part.h5"]


@pytest.mark.parametrize("span", [(4, 9), (3, 2), (-1, 2)])
def test_sequences_that_the_store_has_not_are_refused(store, tmp_path, span):
    with pytest.raises(ConfigError, match=r"no such range.*first <= last <= 7"):
        encode(store, tmp_path / "part.h5", span)
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_no_part(store, tmp_path):
    (tmp_path / "text.h5").write_text("text")
    with h5py.File(tmp_path / "foreign.h5", "w") as file:
        file["x"] = [1]
    whole = encode(store, tmp_path / "whole.h5")
    (tmp_path / "short.h5").write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    for name in ("text.h5", "foreign.h5", "short.h5", "nowhere.h5"):
        with pytest.raises(InputError, match=rf"Cannot read a part.*{name}"):
            EncodedParts([tmp_path / name])


def test_memory_does_not_grow_with_the_sequences(tmp_path, monkeypatch):
    """No buffer grows: runs, and what is sorted at once, keep their size for ten times the sequences."""
    monkeypatch.setattr(encoded_parts, "RUN_ENTRIES", 60)
    monkeypatch.setattr(encoded_parts, "RANGE_ENTRIES", 60)
    largest = {}
    for n in (4, 40):
        folder = write_store(tmp_path / str(n), random_arrays([n], positions=16, channels=12))
        part = tmp_path / f"{n}.h5"
        store = ActivationStore.open(folder, stride_bp=4)
        encode_part(RectifiedChannels(12, list(range(12))), store, part, 1, 1, notes=notes())
        encoded = EncodedParts([part])
        with h5py.File(part) as file:
            runs = [len(run["activation"]) for run in file["runs"].values()]
        ranges = [len(encoded.top(*span)) for span in encoded.ranges()]
        assert sum(runs) == sum(ranges) == 12 * n
        largest[n] = max(runs), max(ranges)
    assert largest[40] <= (60, 60) and largest[4][0] == 48


# --- the programs --------------------------------------------------------------------------------


def run_script(name: str, *arguments: object) -> subprocess.CompletedProcess:
    command = [sys.executable, SCRIPTS / name, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_programs_in_parts_give_the_bytes_of_one_job(tmp_path):
    arrays = random_arrays([2, 1], positions=50, channels=3, dtype=np.float16)
    folder = write_published_store(tmp_path / "it's a store", arrays, pad_bp=20)
    save_checkpoint(RawChannels(3), tmp_path / "checkpoint", {"layer": LAYER.as_dict()})
    common = ["--checkpoint", tmp_path / "checkpoint", "--activations", folder, "--pad-bp", 20]
    for output, extra in (("one", []), ("two", ["--part", 1, "--of", 2]), ("two", ["--part", 0, "--of", 2])):
        done = run_script("encode_activations.py", *common, "--output", tmp_path / output, *extra)
        assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == sorted(FILES)
    parts = [tmp_path / f"two/encoded/part_{i}_of_2.h5" for i in (0, 1)]
    done = run_script("merge_encoded.py", "--parts", *parts, "--output", tmp_path / "two")
    assert done.returncode == 0, done.stderr
    assert_same_files(tmp_path / "one", tmp_path / "two")
    assert str(tmp_path) not in json.dumps(EncodedParts(parts).description)

    done = run_script("merge_encoded.py", "--parts", parts[1], "--output", tmp_path / "two")
    assert done.returncode == 2 and "[0, 1)" in done.stderr and "Traceback" not in done.stderr
    done = run_script("merge_encoded.py", "--parts", *parts, "--joined", tmp_path / "joined.h5")
    assert done.returncode == 0 and EncodedParts([tmp_path / "joined.h5"]).sequences == [[0, 3]]
