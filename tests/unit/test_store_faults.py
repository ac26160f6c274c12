"""Every fault of a store, by its message: files, datasets, interval tables, values, store.json."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from biosae.activations import ActivationStore, shuffled_batches
from biosae.errors import InputError
from unit.helpers_store import random_arrays, write_files, write_published_store, write_store


@pytest.fixture
def arrays() -> list[np.ndarray]:
    return random_arrays([2, 1, 3], positions=50, channels=6)


def stream(store: ActivationStore) -> None:
    """Read all of a store."""
    for _ in store.slabs(7):
        pass


def refused(folder: Path, *parts: str, **options) -> None:
    """Opening ``folder`` must fail with a message that holds all ``parts``."""
    with pytest.raises(InputError) as caught:
        ActivationStore.open(folder, **options)
    for part in parts:
        assert part in str(caught.value)


def test_missing_folder_files_and_tables(tmp_path, arrays):
    refused(tmp_path / "nowhere", "is missing", "nowhere")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", "holds no files", "activations_<number>.h5")
    write_files(tmp_path / "bare", arrays)
    refused(tmp_path / "bare", "exactly one interval table", "none", "intervals.tsv")
    folder = write_published_store(tmp_path / "two", arrays)
    shutil.copy(folder / "train_seqs.bed", folder / "valid_seqs.bed")
    refused(folder, "exactly one interval table", "train_seqs.bed", "valid_seqs.bed")


def test_gap_in_the_file_numbers(tmp_path, arrays):
    folder = write_published_store(tmp_path / "s", arrays)
    (folder / "activations_1.h5").unlink()
    refused(folder, "gap", "activations_1'", "renumber")


def test_numbers_that_begin_at_two_are_a_gap(tmp_path, arrays):
    refused(write_store(tmp_path / "s", arrays, first_number=2), "gap", "'activations_1'")


def test_file_names_that_are_not_understood(tmp_path, arrays):
    folder = write_store(tmp_path / "s", arrays)
    shutil.copy(folder / "activations_0.h5", folder / "activations_0 (copy).h5")
    refused(folder, "name that is not understood", "activations_0 (copy).h5")


def test_file_without_intervals_and_row_without_interval(tmp_path, arrays):
    folder = write_published_store(tmp_path / "s", arrays)
    lines = (folder / "train_seqs.bed").read_text().splitlines()
    (folder / "train_seqs.bed").write_text("\n".join(lines[:-3]) + "\n")
    refused(folder, "activations_2.h5 holds rows without an interval", "the first [0, 1, 2]")
    (folder / "train_seqs.bed").write_text("\n".join(lines[:-1]) + "\n")
    refused(folder, "activations_2.h5 holds rows without an interval", "the first [2]", "2 intervals")


def test_interval_without_file_or_row(tmp_path, arrays):
    folder = write_store(tmp_path / "s", arrays)
    table = (folder / "intervals.tsv").read_text()
    (folder / "intervals.tsv").write_text(table + "chr1\t0\t200\t7\t0\n")
    refused(folder, "names 1 files that are not there", "[7]")
    (folder / "intervals.tsv").write_text(table + "chr1\t0\t200\t1\t1\n")
    refused(folder, "Intervals name rows that activations_1.h5 lacks", "[1]", "each of its 1 rows")
    (folder / "intervals.tsv").write_text(table + "chr1\t0\t200\t1\t0\n")
    refused(folder, "names a file and row that an earlier one names", "line 8")


def test_interval_table_that_is_no_table(tmp_path, arrays):
    folder = write_published_store(tmp_path / "s", arrays)
    table = (folder / "train_seqs.bed").read_text()
    (folder / "train_seqs.bed").write_text(table.split("\n", 1)[1])
    refused(folder, "lacks columns", "header")
    (folder / "train_seqs.bed").write_text(table.replace("\t1000\t", "\tabc\t"))
    refused(folder, "Column 'start'", "line 2", "'abc'")
    (folder / "train_seqs.bed").write_text(table.replace("\t1000\t1200\t", "\t1200\t1000\t"))
    refused(folder, "no bases between start and end", "line 2")
    (folder / "train_seqs.bed").write_text(table.split("\n", 1)[0] + "\n")
    refused(folder, "has no rows")


def test_interval_width_against_positions(tmp_path, arrays):
    folder = write_published_store(tmp_path / "s", arrays, pad_bp=20)
    refused(folder, "6 of 6 intervals", "160 bp", "200 bp", "pad_bp", pad_bp=0, stride_bp=4)
    refused(folder, "200 bp", "400 bp", pad_bp=20, stride_bp=8)
    assert ActivationStore.open(folder, pad_bp=20, stride_bp=4).n_sequences == 6


def test_wrong_channels_and_channels_first(tmp_path, arrays):
    folder = write_store(tmp_path / "s", arrays)
    refused(folder, "number of channels", "(2, 50, 6)", "positions, 8)", "dataset '/x'", channels=8)
    refused(folder, "channels first", "positions before channels", channels=50)


def test_files_that_differ(tmp_path, arrays):
    write_store(tmp_path / "s", arrays)
    with h5py.File(tmp_path / "s" / "activations_2.h5", "w") as handle:
        handle["x"] = np.zeros((3, 50, 7), np.float32)
    refused(tmp_path / "s", "differ in positions, channels or type", "activations_2.h5", "(3, 50, 7)")
    with h5py.File(tmp_path / "s" / "activations_2.h5", "w") as handle:
        handle["x"] = np.zeros((3, 50, 6), np.float16)
    refused(tmp_path / "s", "differ", "float16", "float32")


@pytest.mark.parametrize(
    ("content", "shown"),
    [
        ({"x": np.zeros((2, 5, 3), np.int32)}, "int32"),
        ({"x": np.zeros((2, 5), np.float32)}, "(2, 5)"),
        ({"x": np.zeros((2, 5, 3)), "y": np.zeros((2, 5, 3))}, "'/y' float64"),
        ({"x": np.zeros((0, 5, 3))}, "(0, 5, 3)"),
        ({}, "no dataset"),
    ],
)
def test_datasets_that_are_no_activations(tmp_path, arrays, content, shown):
    folder = write_store(tmp_path / "s", arrays)
    with h5py.File(folder / "activations_1.h5", "w") as handle:
        for name, data in content.items():
            handle[name] = data
    refused(folder, "exactly one floating-point dataset of three dimensions", "activations_1.h5", shown)


def test_truncated_and_foreign_files(tmp_path, arrays):
    folder = write_store(tmp_path / "s", arrays)
    path = folder / "activations_1.h5"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    refused(folder, "truncated, damaged or not HDF5", "activations_1.h5")
    path.write_text("this is text")
    refused(folder, "truncated, damaged or not HDF5", "activations_1.h5")


def test_file_damaged_after_opening_names_the_row(tmp_path):
    arrays = random_arrays([2], positions=50)
    folder = write_store(tmp_path / "s", arrays, chunks=(1, 50, 6), fletcher32=True)
    store = ActivationStore.open(folder)
    data = bytearray((folder / "activations_0.h5").read_bytes())
    place = bytes(data).index(arrays[0][1].tobytes())
    data[place] ^= 0xFF
    (folder / "activations_0.h5").write_bytes(bytes(data))
    with pytest.raises(InputError, match=r"activations_0\.h5, dataset '/x', row 1"):
        stream(store)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_nan_and_infinity_are_named(tmp_path, dtype, value):
    arrays = random_arrays([2, 3], dtype=dtype)
    arrays[1][1, 33, 4] = value
    store = ActivationStore.open(write_store(tmp_path / "s", arrays))
    with pytest.raises(InputError) as caught:
        stream(store)
    assert "activations_1.h5, dataset '/x', row 1, position 33, channel 4" in str(caught.value)
    with pytest.raises(InputError, match="NaN"):
        list(shuffled_batches(store, 10, 0))


def test_float64_that_float32_cannot_hold_is_named(tmp_path):
    arrays = random_arrays([1], dtype=np.float64)
    arrays[0][0, 3, 1] = 1e300
    with pytest.raises(InputError, match=r"position 3, channel 1.*1e\+300"):
        stream(ActivationStore.open(write_store(tmp_path / "s", arrays)))


def test_store_json_is_verified(tmp_path, arrays):
    folder = write_store(tmp_path / "s", arrays)
    note = folder / "store.json"
    note.write_text(json.dumps({"layer": "conv1d_2", "channels": 6, "stride_bp": 4}))
    ActivationStore.open(folder, stride_bp=4, layer="conv1d_2")
    refused(folder, "store.json contradicts", "'conv1d_2'", "'conv1d_3'", layer="conv1d_3")
    note.write_text(json.dumps({"layer": {"name": "conv1d_2", "channels": 7, "stride_bp": 4}}))
    refused(folder, "store.json contradicts", "{'channels': 7}", "{'channels': 6}")
    note.write_text("[1]")
    refused(folder, "not a JSON object")
