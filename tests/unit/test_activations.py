"""The store: both layouts, order, streaming, conversion, fingerprint."""

from __future__ import annotations

import json
import shutil
import tracemalloc

import h5py
import numpy as np
import pandas as pd
import pytest

from biosae.activations import ActivationStore, to_float32
from biosae.errors import ConfigError
from unit.helpers_store import random_arrays, rows_of, write_published_store, write_store


def stream(store: ActivationStore, rows_per_slab: int = 7) -> np.ndarray:
    return np.concatenate([slab for _, slab in store.slabs(rows_per_slab)])


@pytest.fixture
def arrays() -> list[np.ndarray]:
    return random_arrays([2, 1, 3], positions=50, channels=6)


# --- layouts and order ---------------------------------------------------------------------------


def test_published_layout_widens_cores_by_the_padding(tmp_path, arrays):
    cores = [("chr1", 1000 * i, 1000 * i + 160) for i in range(1, 7)]
    store = ActivationStore.open(
        write_published_store(tmp_path / "s", arrays, cores, pad_bp=20), pad_bp=20, channels=6, stride_bp=4
    )
    assert (store.channels, store.positions, store.n_sequences, store.n_rows) == (6, 50, 6, 300)
    third = store.intervals.iloc[2].to_dict()
    assert third == {
        "sequence": 2, "chrom": "chr1", "start": 2980, "end": 3180, "core_start": 3000, "core_end": 3160,
        "file": 1, "row": 0, "strand": "+",
    }  # fmt: skip


def test_our_layout_lists_the_whole_and_the_core_is_inside(tmp_path, arrays):
    spans = [("chrX", 500 * i, 500 * i + 200) for i in range(6)]
    store = ActivationStore.open(write_store(tmp_path / "s", arrays, spans), pad_bp=30, stride_bp=4)
    assert store.intervals.iloc[5][["start", "end", "core_start", "core_end"]].tolist() == [
        2500,
        2700,
        2530,
        2670,
    ]


def test_both_layouts_give_the_same_rows(tmp_path, arrays):
    published = ActivationStore.open(write_published_store(tmp_path / "p", arrays))
    ours = ActivationStore.open(write_store(tmp_path / "o", arrays))
    np.testing.assert_array_equal(stream(published), rows_of(arrays))
    np.testing.assert_array_equal(stream(ours), rows_of(arrays))
    pd.testing.assert_frame_equal(published.intervals, ours.intervals)


def test_files_are_ordered_by_number_not_as_text(tmp_path):
    """Published trap: as text, activations_10 comes before activations_2."""
    arrays = [np.full((1, 4, 2), number, np.float32) for number in range(12)]
    store = ActivationStore.open(write_published_store(tmp_path / "s", arrays))
    assert [path.name for path in store.files] == [f"activations_{i}.h5" for i in range(12)]
    np.testing.assert_array_equal(stream(store)[::4, 0], np.arange(12))
    assert store.intervals["file"].tolist() == list(range(12))


def test_order_of_lines_in_the_table_does_not_matter(tmp_path, arrays):
    folder = write_published_store(tmp_path / "s", arrays)
    expected = ActivationStore.open(folder).intervals
    header, *lines = (folder / "train_seqs.bed").read_text().splitlines()
    (folder / "train_seqs.bed").write_text("\n".join([header, *reversed(lines)]) + "\n")
    pd.testing.assert_frame_equal(ActivationStore.open(folder).intervals, expected)


def test_numbers_may_begin_at_one_and_the_folder_may_hold_spaces_and_quotes(tmp_path, arrays):
    folder = tmp_path / "my 'own' store"
    store = ActivationStore.open(write_store(folder, arrays, first_number=1))
    assert store.intervals["file"].tolist() == [1, 1, 2, 3, 3, 3]
    np.testing.assert_array_equal(stream(store), rows_of(arrays))


def test_other_datasets_and_other_names_do_not_matter(tmp_path, arrays):
    folder = write_store(tmp_path / "s", arrays, dataset="group/of activations")
    with h5py.File(folder / "activations_0.h5", "a") as handle:
        handle["labels"] = np.arange(3)
    assert ActivationStore.open(folder).n_rows == 300


def test_pooled_store_has_one_position(tmp_path):
    arrays = random_arrays([3, 2], positions=1)
    store = ActivationStore.open(write_store(tmp_path / "s", arrays))
    np.testing.assert_array_equal(stream(store), rows_of(arrays))


# --- streaming -----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float16, np.uint16, np.float32, np.float64])
@pytest.mark.parametrize("rows_per_slab", [1, 7, 25, 50, 1000])
def test_slabs_are_whole_ordered_and_within_one_sequence(tmp_path, dtype, rows_per_slab):
    arrays = random_arrays([2, 1], positions=25, dtype=dtype)
    store = ActivationStore.open(write_store(tmp_path / "s", arrays))
    slabs = list(store.slabs(rows_per_slab))
    np.testing.assert_array_equal(np.concatenate([slab for _, slab in slabs]), rows_of(arrays))
    for first, slab in slabs:
        assert slab.dtype == np.float32 and len(slab) <= rows_per_slab
        assert first // 25 == (first + len(slab) - 1) // 25


def test_slabs_of_a_range_and_single_reads(tmp_path, arrays):
    store = ActivationStore.open(write_store(tmp_path / "s", arrays))
    part = [(first, slab) for first, slab in store.slabs(16, rows=(40, 111))]
    assert [first for first, _ in part] == [40, 50, 66, 82, 98, 100]
    np.testing.assert_array_equal(np.concatenate([slab for _, slab in part]), rows_of(arrays)[40:111])
    np.testing.assert_array_equal(store.read(103, 9), rows_of(arrays)[103:112])
    with pytest.raises(IndexError):
        store.read(95, 10)  # would cross into the next sequence


def test_reused_slabs_hold_the_same_values(tmp_path, arrays):
    store = ActivationStore.open(write_store(tmp_path / "s", arrays))
    copies = [slab.copy() for _, slab in store.slabs(16, reuse=True)]
    np.testing.assert_array_equal(np.concatenate(copies), rows_of(arrays))


def test_reading_is_bounded_by_the_slab(tmp_path):
    """Published trap: a whole sequence in memory to use a part of it."""
    array = np.zeros((1, 20000, 32), np.float16)  # 1.28 MB a sequence, 2.56 MB in float32
    store = ActivationStore.open(write_store(tmp_path / "s", [array]))
    for _ in store.slabs(100, rows=(0, 200)):
        pass  # opens the file and imports what conversion needs
    tracemalloc.start()
    for _ in store.slabs(100):
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200_000


def test_compressed_chunks_longer_than_a_slab_are_read_right(tmp_path, arrays):
    folder = write_store(tmp_path / "s", arrays, chunks=(1, 50, 3), compression="gzip")
    np.testing.assert_array_equal(stream(ActivationStore.open(folder)), rows_of(arrays))


def test_more_files_than_are_kept_open(tmp_path):
    arrays = random_arrays([1] * 40, positions=4)
    store = ActivationStore.open(write_store(tmp_path / "s", arrays))
    np.testing.assert_array_equal(stream(store), rows_of(arrays))
    store.close()
    np.testing.assert_array_equal(store.read(0, 4), rows_of(arrays)[:4])


def test_locate_is_the_inverse_of_row_numbers(tmp_path, arrays):
    store = ActivationStore.open(write_store(tmp_path / "s", arrays))
    sequence, position = store.locate(np.array([0, 49, 50, 299]))
    assert sequence.tolist() == [0, 0, 1, 5] and position.tolist() == [0, 49, 0, 49]


@pytest.mark.parametrize("rows", [0, -1])
def test_slabs_without_rows_are_refused(tmp_path, arrays, rows):
    store = ActivationStore.open(write_store(tmp_path / "s", arrays))
    with pytest.raises(ConfigError, match=rf"at least one row.*{rows}"):
        next(store.slabs(rows))


def test_conversion_from_float16_is_exact_for_every_code():
    codes = np.arange(2**16, dtype=np.uint16).view(np.float16)
    finite = codes[np.isfinite(codes)]
    np.testing.assert_array_equal(to_float32(finite), finite.astype(np.float32))


def test_fingerprint_does_not_depend_on_the_folder_but_on_the_content(tmp_path, arrays):
    first = ActivationStore.open(write_store(tmp_path / "a", arrays)).fingerprint()
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    assert ActivationStore.open(tmp_path / "b").fingerprint() == first
    with h5py.File(tmp_path / "b" / "activations_0.h5", "a") as handle:
        handle["x"][0, 0, 0] = 9.0
    assert ActivationStore.open(tmp_path / "b").fingerprint() != first
    assert str(tmp_path) not in json.dumps(first)
