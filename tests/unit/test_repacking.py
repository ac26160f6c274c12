"""Repacking: any store becomes one of the wanted layout with the same numbers, or nothing is lost."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from biosae import repacking
from biosae.activations import ActivationStore
from biosae.errors import ConfigError, ContractError, InputError
from biosae.number_conversion import Loss, convert
from biosae.repacking import Target, repack_store
from unit.helpers_store import (
    as_float32,
    random_arrays,
    rows_of,
    write_files,
    write_published_store,
    write_store,
)

PROGRAM = Path(__file__).resolve().parents[2] / "scripts" / "repack_activations.py"


def stream(folder: Path) -> np.ndarray:
    return np.concatenate([slab for _, slab in ActivationStore.open(folder).slabs(64)])


def channels_first(folder: Path, arrays: list[np.ndarray], **options) -> Path:
    """A store whose files are (n, channels, positions)."""
    write_store(folder, arrays)
    write_files(folder, [np.moveaxis(array, 2, 1) for array in arrays], **options)
    return folder


@pytest.mark.parametrize("source", [{}, {"chunks": (1, 70, 2), "compression": "gzip"}])
@pytest.mark.parametrize("dtype", [np.float16, np.uint16, np.float32, np.float64])
@pytest.mark.parametrize("layout", ["contiguous", "chunked"])
def test_kept_types_keep_every_bit(tmp_path, source, dtype, layout):
    arrays = random_arrays([2, 1], positions=1500, dtype=dtype)
    folder = write_store(tmp_path / "old", arrays, **source)
    repack_store(folder, tmp_path / "new", Target(layout))
    old, new = (ActivationStore.open(tmp_path / name) for name in ("old", "new"))
    assert new.dtype == old.dtype and new.direct is (layout == "contiguous")
    np.testing.assert_array_equal(stream(tmp_path / "new"), rows_of(arrays))
    with h5py.File(tmp_path / "new" / "activations_0.h5") as handle:
        assert handle["x"].chunks == {"contiguous": None, "chunked": (1, 1024, 6)}[layout]
        assert handle["x"].compression is None


@pytest.mark.parametrize("options", [{}, {"chunks": (1, 4, 99), "compression": "gzip"}])
@pytest.mark.parametrize("dtype", [np.float16, np.uint16, np.float32])
def test_channels_first_is_turned(tmp_path, options, dtype):
    arrays = random_arrays([2, 1], positions=1100, dtype=dtype)
    folder = channels_first(tmp_path / "old", arrays, **options)
    repack_store(folder, tmp_path / "new", Target(), channels_first=True)
    assert ActivationStore.open(tmp_path / "new", channels=6).positions == 1100
    np.testing.assert_array_equal(stream(tmp_path / "new"), rows_of(arrays))


@pytest.mark.parametrize("source", [np.float16, np.uint16, np.float32, np.float64])
@pytest.mark.parametrize("target", ["float16", "bfloat16", "float32"])
def test_types_are_rounded_to_the_nearest_and_the_loss_is_told(tmp_path, caplog, source, target):
    arrays = random_arrays([1], positions=300, dtype=source)
    arrays[0].flat[0] = 0
    folder = write_store(tmp_path / "old", arrays)
    with caplog.at_level(logging.INFO):
        repack_store(folder, tmp_path / "new", Target(dtype=target))
    before = rows_of(arrays) if source is np.uint16 else arrays[0].reshape(-1, 6).astype(np.float64)
    if target == "bfloat16":
        bits = before.astype(np.float32).view(np.uint32).astype(np.uint64)
        expected = as_float32(((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16))
    else:
        expected = before.astype(target).astype(np.float32)
    store = ActivationStore.open(tmp_path / "new")
    assert store.dtype == target
    np.testing.assert_array_equal(stream(tmp_path / "new"), expected)
    largest = np.abs(before - expected).max()
    told = [text for text in caplog.messages if "largest rounding error" in text]
    lossless = {"float16": ["float32"], "uint16": ["float32"]}.get(np.dtype(source).name, [])
    if (
        target in lossless
        or np.dtype(source).name == target
        or (source is np.uint16 and target == "bfloat16")
    ):
        assert largest == 0 and not told
    else:
        assert f"{largest:.3g}" in told[0]


def test_numbers_that_float16_cannot_hold_are_refused_and_nothing_is_lost(tmp_path):
    arrays = random_arrays([1, 2], positions=1200)
    arrays[1][1, 1100, 4] = -65505.0
    folder = write_store(tmp_path / "old", arrays)
    with pytest.raises(InputError) as caught:
        repack_store(folder, tmp_path / "new", Target(dtype="float16"))
    for part in ("too large for float16", "activations_1.h5", "row 1, position 1100, channel 4", "-65505"):
        assert part in str(caught.value)
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["activations_0.h5"]
    np.testing.assert_array_equal(stream(folder), rows_of(arrays))
    arrays[1][1, 1100, 4] = -65504.0
    repack_store(write_store(tmp_path / "fits", arrays), tmp_path / "new_fits", Target(dtype="float16"))


def test_float64_becomes_float16_in_one_rounding():
    """Just above the middle of two neighbours: float32 has the middle only, which is rounded down."""
    raw = np.array([1 + 2.0**-11 + 2.0**-30, -1 - 2.0**-11 - 2.0**-30, 1 + 2.0**-11])
    loss = Loss()
    made = convert(raw, "float64", "float16", loss)
    assert made.dtype == np.float16 and made.tolist() == [1 + 2.0**-10, -1 - 2.0**-10, 1]
    assert raw.astype(np.float32).astype(np.float16).tolist() != made.tolist()  # what this guards against
    assert loss.largest == 2.0**-11 and loss.vanished == 0


def test_nan_is_refused_with_its_place(tmp_path):
    arrays = random_arrays([2], positions=60)
    arrays[0][1, 3, 2] = np.nan
    folder = channels_first(tmp_path / "old", arrays)
    with pytest.raises(InputError, match="row 1, position 3, channel 2"):
        repack_store(folder, tmp_path / "new", Target(), channels_first=True)


def test_a_stopped_repacking_goes_on_and_finished_files_are_not_written_again(tmp_path, monkeypatch):
    arrays = random_arrays([1, 1, 1], positions=60)
    folder = write_published_store(tmp_path / "old", arrays)
    (folder / "store.json").write_text(json.dumps({"channels": 6, "dtype": "float32"}))
    verify, seen = repacking._verify, []

    def stop_at_the_second(source, *rest) -> None:
        seen.append(source.part.number)
        if len(seen) == 2:
            raise KeyboardInterrupt
        verify(source, *rest)

    monkeypatch.setattr(repacking, "_verify", stop_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        repack_store(folder, tmp_path / "new", Target(dtype="float16"))
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["activations_0.h5"]
    first = (tmp_path / "new" / "activations_0.h5").stat().st_mtime_ns
    repack_store(folder, tmp_path / "new", Target(dtype="float16"))
    assert seen == [0, 1, 1, 2] and (tmp_path / "new" / "activations_0.h5").stat().st_mtime_ns == first
    assert json.loads((tmp_path / "new" / "store.json").read_text()) == {"channels": 6, "dtype": "float16"}
    assert (tmp_path / "new" / "train_seqs.bed").read_text() == (folder / "train_seqs.bed").read_text()
    assert len(stream(tmp_path / "new")) == 180


def test_files_of_another_making_are_not_overwritten(tmp_path):
    folder = write_store(tmp_path / "old", random_arrays([1]))
    repack_store(folder, tmp_path / "new", Target())
    for change in (Target(dtype="float16"), Target("chunked")):
        with pytest.raises(InputError, match=r"not made from this store.*activations_0\.h5.*remove it"):
            repack_store(folder, tmp_path / "new", change)
    with pytest.raises(ConfigError, match="onto itself"):
        repack_store(folder, folder / ".", Target())


def test_what_was_written_wrong_is_found_by_reading_back(tmp_path, monkeypatch):
    folder = write_store(tmp_path / "old", random_arrays([1]))
    monkeypatch.setattr(repacking, "convert", lambda raw, *rest: raw + (rest[2] is not None))
    with pytest.raises(ContractError, match="does not hold what was written"):
        repack_store(folder, tmp_path / "new", Target())
    assert not list((tmp_path / "new").iterdir())


def test_disk_that_is_too_small(tmp_path, monkeypatch):
    folder = write_store(tmp_path / "old", random_arrays([1]))
    monkeypatch.setattr(repacking.shutil, "disk_usage", lambda path: type("usage", (), {"free": 100}))
    with pytest.raises(InputError, match="disk is too small"):
        repack_store(folder, tmp_path / "new", Target())


def test_full_disk_in_mid_file_is_named_and_finished_files_are_kept(tmp_path):
    folder = write_store(tmp_path / "old", random_arrays([1, 9], positions=60))
    code = (
        "import resource, runpy, sys\n"
        "most = resource.getrlimit(resource.RLIMIT_FSIZE)[1]\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (8000, most))\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')\n"
    )
    code = f"import sys; sys.argv = sys.argv[1:]; sys.path.insert(0, {str(PROGRAM.parent)!r})\n" + code
    command = [sys.executable, "-c", code, PROGRAM, "--activations", folder, "--output", tmp_path / "new"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "Traceback" not in done.stderr, done.stderr
    assert "activations_1.h5" in done.stderr and "free space; finished files are kept" in done.stderr
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["activations_0.h5"]


def test_the_interval_table_is_checked_before_anything_is_written(tmp_path):
    arrays = random_arrays([2, 1], positions=60)
    for turned in (False, True):
        folder = tmp_path / f"old_{turned}"
        channels_first(folder, arrays) if turned else write_store(folder, arrays)
        lines = (folder / "intervals.tsv").read_text().splitlines()
        (folder / "intervals.tsv").write_text("\n".join(lines[:-1]) + "\n")
        with pytest.raises(InputError, match=r"activations_1\.h5 holds rows without an interval"):
            repack_store(folder, tmp_path / "new", Target(), turned)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("foreign", ["activations_7.h5", "valid_seqs.bed", "intervals.tsv", "store.json"])
def test_a_folder_of_another_store_is_refused(tmp_path, foreign):
    folder = write_published_store(tmp_path / "old", random_arrays([1]))
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / foreign).write_text("text")
    with pytest.raises(InputError, match=rf"files of another store.*{foreign}.*name another folder"):
        repack_store(folder, tmp_path / "new", Target())
    assert [path.name for path in (tmp_path / "new").iterdir()] == [foreign]


@pytest.mark.parametrize("place", ["file", "file/new"])
def test_an_output_that_is_a_file_is_refused(tmp_path, place):
    folder = write_store(tmp_path / "old", random_arrays([1]))
    (tmp_path / "file").write_text("text")
    with pytest.raises(InputError, match="output is not a folder"):
        repack_store(folder, tmp_path / place, Target())


def test_what_a_dead_run_left_is_removed_and_told(tmp_path, caplog):
    folder = write_store(tmp_path / "old", random_arrays([1]))
    (tmp_path / "new").mkdir()
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    alive = tmp_path / "new" / f".activations_1.h5.{os.getpid()}.tmp"
    left = tmp_path / "new" / f".activations_0.h5.{dead.pid}.tmp"
    for path in (alive, left):
        path.write_text("12345")
    repack_store(folder, tmp_path / "new", Target())
    assert alive.exists() and not left.exists()
    assert any("5 bytes left by a run that died" in text and left.name in text for text in caplog.messages)


def test_files_tell_their_program_and_another_version_does_not_write_them_again(tmp_path, monkeypatch):
    folder = write_store(tmp_path / "old", random_arrays([1]))
    monkeypatch.setattr(repacking, "__version__", "0.0.1")
    repack_store(folder, tmp_path / "new", Target())
    monkeypatch.undo()
    repack_store(folder, tmp_path / "new", Target())
    with h5py.File(tmp_path / "new" / "activations_0.h5") as handle:
        assert handle.attrs["program"] == "repack_activations.py, biosae 0.0.1"


def test_lz4_needs_chunks_and_its_package(tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match="--layout chunked"):
        Target("contiguous", compression="lz4")
    with pytest.raises(ConfigError, match="zip"):
        Target("chunked", compression="zip")
    monkeypatch.setitem(sys.modules, "hdf5plugin", None)
    with pytest.raises(ConfigError, match="pip install hdf5plugin"):
        Target("chunked", compression="lz4")


def test_lz4_is_read_back(tmp_path):
    pytest.importorskip("hdf5plugin")
    arrays = [np.repeat(a, 3, axis=1) for a in random_arrays([2], positions=700, dtype=np.uint16)]
    folder = write_store(tmp_path / "old", arrays)
    repack_store(folder, tmp_path / "new", Target("chunked", compression="lz4"))
    np.testing.assert_array_equal(stream(tmp_path / "new"), rows_of(arrays))
    with h5py.File(tmp_path / "new" / "activations_0.h5") as handle:
        assert handle["x"].id.get_create_plist().get_filter(0)[0] == 32004


def test_program_gives_the_same_bytes_and_says_what_is_wrong(tmp_path):
    folder = channels_first(tmp_path / "it's old", random_arrays([1], positions=70))

    def run(output: Path, *options: str) -> subprocess.CompletedProcess:
        command = [sys.executable, PROGRAM, "--activations", folder, "--output", output, *options]
        return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)

    for name in ("a", "b"):
        done = run(tmp_path / name, "--channels-first", "--dtype", "bfloat16")
        assert done.returncode == 0, done.stderr
    a, b = ((tmp_path / name / "activations_0.h5").read_bytes() for name in ("a", "b"))
    assert a == b and str(tmp_path).encode() not in a
    wrong = run(tmp_path / "c", "--compression", "lz4")
    assert wrong.returncode == 2 and "--layout chunked" in wrong.stderr and "Traceback" not in wrong.stderr
