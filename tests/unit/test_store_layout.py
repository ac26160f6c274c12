"""Stores that are slow to read: one warning, with how much and the command that mends it."""

from __future__ import annotations

import logging

import h5py
import numpy as np
import pytest

from biosae.activations import ActivationStore
from biosae.errors import InputError
from biosae.store_layout import Layout, require_filters, slowness
from unit.helpers_store import random_arrays, write_store


def warnings_of(caplog, folder) -> list[str]:
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        ActivationStore.open(folder)
    return [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"chunks": (1, 200, 6), "compression": "gzip"}, "compressed with gzip (gzip: some 50 times slower)"),
        ({"chunks": (1, 200, 2)}, "chunks of 2 of 6 channels, as h5py chooses them (some 6 times slower)"),
        ({"chunks": (1, 1, 6)}, "chunks of 1 positions (more than 4 times slower)"),
    ],
)
def test_slow_layouts_are_told_once_with_the_command(tmp_path, caplog, options, reason):
    folder = write_store(tmp_path / "my store", random_arrays([2, 1, 1], positions=200), **options)
    (text,) = warnings_of(caplog, folder)
    assert "3 of 3 files" in text and "activations_0.h5" in text and reason in text
    assert (
        f"python scripts/repack_activations.py --activations '{folder}' --output '{folder}_repacked'" in text
    )


@pytest.mark.parametrize("options", [{}, {"chunks": (1, 128, 6)}, {"chunks": (2, 200, 6)}])
def test_good_layouts_are_not_warned_of(tmp_path, caplog, options):
    assert not warnings_of(caplog, write_store(tmp_path / "s", random_arrays([2], positions=200), **options))
    pooled = write_store(tmp_path / "p", random_arrays([9], positions=1), chunks=(4, 1, 6))
    assert not warnings_of(caplog, pooled)


def test_automatic_chunks_of_h5py_are_warned_of(tmp_path, caplog):
    array = np.zeros((1, 9000, 608), np.float16)
    folder = write_store(tmp_path / "s", [array], chunks=True)
    with h5py.File(folder / "activations_0.h5") as handle:
        part = handle["x"].chunks[2]
    assert f"chunks of {part} of 608 channels" in warnings_of(caplog, folder)[0]


def test_byte_order_and_long_compressed_chunks_are_slow():
    assert "byte order" in slowness(Layout(None, (), False), 1000, 6)
    assert "16384 positions" in slowness(Layout((1, 16384, 6), (32004,), True), 20000, 6)
    assert slowness(Layout((1, 1024, 6), (32004,), True), 20000, 6) is None


def test_one_slow_file_among_good_ones(tmp_path, caplog):
    arrays = random_arrays([1, 1], positions=200)
    folder = write_store(tmp_path / "s", arrays)
    with h5py.File(folder / "activations_1.h5", "w") as handle:
        handle.create_dataset("x", data=arrays[1], chunks=(1, 200, 6), compression="gzip")
    (text,) = warnings_of(caplog, folder)
    assert "1 of 2 files" in text and "activations_1.h5" in text


def test_unknown_filter_names_what_to_install():
    with pytest.raises(InputError, match=r"here\.h5.*\[305\].*pip install hdf5plugin"):
        require_filters(Layout((1, 1, 1), (305,), True), "here.h5")


def test_channels_first_names_the_command(tmp_path):
    folder = write_store(tmp_path / "s", random_arrays([2]))
    with pytest.raises(InputError, match=r"repack_activations\.py .*s_repacked --channels-first"):
        ActivationStore.open(folder, channels=50)
