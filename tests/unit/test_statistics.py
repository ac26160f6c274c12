"""Statistics against the obvious computation."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from biosae import statistics, statistics_pass
from biosae.activations import ActivationStore
from biosae.errors import ConfigError, InputError
from biosae.statistics import compute_statistics, load_statistics, write_statistics
from biosae.statistics_kernels import State
from biosae.statistics_pass import sample_rows
from unit.helpers_store import (
    as_float32,
    bfloat16_bits,
    random_arrays,
    rows_of,
    write_published_store,
    write_store,
)

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
FIELDS = ("count", "min", "max", "absmax", "mean", "variance", "quantiles")


def store_of(tmp_path, arrays) -> ActivationStore:
    return ActivationStore.open(write_store(tmp_path / "s", arrays))


def test_literal_table(tmp_path):
    rows = np.array([[[1.0, -4.0], [3.0, -2.0], [5.0, -6.0], [7.0, -4.0]]], np.float32)
    stats = compute_statistics(store_of(tmp_path, [rows]), [0.0, 0.5, 1.0])
    assert stats.count.tolist() == [4, 4]
    assert stats.min.tolist() == [1, -6] and stats.max.tolist() == [7, -2] and stats.absmax.tolist() == [7, 6]
    assert stats.mean.tolist() == [4, -4] and stats.variance.tolist() == [5, 2]
    assert stats.quantiles.tolist() == [[1, 4, 7], [-6, -4, -2]]


@pytest.mark.parametrize("dtype", [np.float16, np.uint16, np.float32, np.float64])
def test_equal_to_numpy_over_the_whole(tmp_path, dtype):
    arrays = random_arrays([2, 1], positions=700, channels=5, dtype=dtype)
    rows = rows_of(arrays).astype(np.float64)
    stats = compute_statistics(store_of(tmp_path, arrays), [0.1, 0.5, 0.99])
    tolerance = 1e-6 if dtype is np.float16 else 1e-12
    np.testing.assert_allclose(stats.mean, rows.mean(axis=0), rtol=0, atol=tolerance)
    np.testing.assert_allclose(stats.variance, rows.var(axis=0), rtol=tolerance)
    np.testing.assert_array_equal(stats.max, rows.max(axis=0))
    np.testing.assert_array_equal(stats.min, rows.min(axis=0))
    np.testing.assert_array_equal(stats.absmax, np.abs(rows).max(axis=0))
    # fewer rows than the sample: the quantiles are exact
    np.testing.assert_allclose(stats.quantiles, np.quantile(rows, [0.1, 0.5, 0.99], axis=0).T, rtol=1e-12)


@pytest.mark.parametrize(("slab_rows", "threads"), [(1, 1), (256, 2), (300, 3), (1000, 1), (10**6, 2)])
@pytest.mark.parametrize("chunks", [None, (1, 128, 5)])
def test_neither_slab_size_nor_threads_change_a_bit(tmp_path, slab_rows, threads, chunks, monkeypatch):
    monkeypatch.setattr(statistics, "SAMPLE_ROWS", 500)
    monkeypatch.setattr(statistics_pass, "UNIT_ROWS", 512)
    arrays = random_arrays([2, 1], positions=1300, channels=5, dtype=np.float16)
    store = ActivationStore.open(write_store(tmp_path / "s", arrays, chunks=chunks))
    expected = compute_statistics(store, [0.5, 0.9], slab_rows=512)
    got = compute_statistics(store, [0.5, 0.9], slab_rows=slab_rows, threads=threads)
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(got, name), getattr(expected, name))


def moments_of(rows: np.ndarray, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of raw rows, added in three parts."""
    total = State(rows.shape[1], kind)
    for part in np.array_split(rows, 3):
        state = State(rows.shape[1], kind)
        state.add(np.ascontiguousarray(part))
        total.merge(state)
    return total.mean, total.squares / total.count


@pytest.mark.parametrize(("dtype", "offset"), [(np.float16, 30.0), (np.float16, -3000.0), (np.float32, 1e5)])
def test_variance_survives_a_large_mean(dtype, offset):
    """Sum of squares minus square of sum gives rubbish (even negative values) here."""
    noise = np.random.default_rng(0).standard_normal((20011, 3))
    rows = (noise * abs(offset) * 2e-3 + offset).astype(dtype)
    exact = rows.astype(np.float64)
    mean, variance = moments_of(rows, np.dtype(dtype).name)
    tolerance = 1e-6 if dtype is np.float16 else 1e-12
    np.testing.assert_allclose(variance, exact.var(axis=0), rtol=max(tolerance, 1e-10))
    assert (np.abs(mean - exact.mean(axis=0)) <= tolerance * exact.std(axis=0) * 30).all()
    sums = exact.astype(np.float32)
    wrong = np.mean(sums**2, axis=0, dtype=np.float32) - np.mean(sums, axis=0, dtype=np.float32) ** 2
    assert (np.abs(wrong / exact.var(axis=0) - 1) > 1e-4).all()  # what this test guards against


@pytest.mark.parametrize(
    ("kind", "offset", "deviation"),
    [("float32", 1e6, 1.0), ("float32", -1e6, 2e3), ("float32", 0.0, 1.0), ("bfloat16", 100.0, 1.0)],
)
def test_precision_is_what_the_module_says(kind, offset, deviation):
    rows = (np.random.default_rng(5).standard_normal((20011, 3)) * deviation + offset).astype(np.float32)
    raw = rows
    if kind == "bfloat16":
        raw = bfloat16_bits(rows)
        rows = as_float32(raw)
    exact = rows.astype(np.float64)
    mean, variance = moments_of(raw, kind)
    np.testing.assert_allclose(variance, exact.var(axis=0), rtol=1e-9)
    assert (np.abs(mean - exact.mean(axis=0)) <= 1e-8 * exact.std(axis=0)).all()


def test_float64_is_rounded_to_float32_first(tmp_path):
    array = np.random.default_rng(5).standard_normal((1, 700, 3)) + 1e6
    wide, narrow = (
        compute_statistics(store_of(tmp_path / name, [array.astype(name)]), [0.5])
        for name in ("float64", "float32")
    )
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(wide, name), getattr(narrow, name))


def test_variance_survives_a_block_whose_first_rows_are_unlike_the_others():
    """The shift comes from eight rows of the block: here they lie 3000 standard deviations off."""
    noise = np.random.default_rng(0).standard_normal((256, 4)) * 0.02
    rows = (noise + 1.0).astype(np.float16)
    rows[::32] = 60000.0  # just the rows that make the shift
    mean, variance = moments_of(rows[:256], "float16")
    np.testing.assert_allclose(variance, rows.astype(np.float64).var(axis=0), rtol=2e-5)
    np.testing.assert_allclose(mean, rows.astype(np.float64).mean(axis=0), rtol=1e-6)


@pytest.mark.parametrize("scale", [1e-30, 1e25])
@pytest.mark.parametrize("kind", ["float32", "bfloat16"])
def test_squares_neither_overflow_nor_vanish(kind, scale):
    rows = (np.random.default_rng(1).standard_normal((300, 2)) * scale).astype(np.float32)
    if kind == "bfloat16":
        rows = (rows.view(np.uint32) & 0xFFFF0000).view(np.float32)
    raw = bfloat16_bits(rows) if kind == "bfloat16" else rows
    np.testing.assert_allclose(moments_of(raw, kind)[1], rows.astype(np.float64).var(axis=0), rtol=1e-11)


@pytest.mark.parametrize("kind", [np.float16, np.uint16, np.float32])
def test_extremes_of_every_sign(tmp_path, kind):
    columns = [
        [1, 2, 3],
        [-1, -2, -3],
        [-1, 0, 2],
        [0, 0, 0],
        [-0.0, -0.0, -0.0],
        [-5, -0.0, -1],
        [0, 7, 1e-7],
    ]
    rows = np.array(columns, np.float32).T[None]
    raw = bfloat16_bits(rows) if kind is np.uint16 else rows.astype(kind)
    stats = compute_statistics(store_of(tmp_path, [raw]), [0.0, 1.0])
    expected = rows_of([raw])
    np.testing.assert_array_equal(stats.max, expected.max(axis=0))
    np.testing.assert_array_equal(stats.min, expected.min(axis=0))
    np.testing.assert_array_equal(stats.quantiles[:, 0], stats.min)
    np.testing.assert_array_equal(stats.quantiles[:, 1], stats.max)


def test_constant_channel_has_variance_exactly_zero(tmp_path):
    array = np.full((3, 700, 2), 0.1, np.float32)
    stats = compute_statistics(store_of(tmp_path, [array]), [0.5])
    assert stats.variance.tolist() == [0, 0]


def test_sampled_quantiles_are_close_and_follow_the_seed(tmp_path, monkeypatch):
    monkeypatch.setattr(statistics, "SAMPLE_ROWS", 2000)
    store = store_of(tmp_path, random_arrays([4], positions=5000, channels=2))
    stats = compute_statistics(store, [0.5, 0.9], seed=1)
    # standard normal: 0 and 1.2816; the standard errors are 0.028 and 0.038
    np.testing.assert_allclose(stats.quantiles, [[0, 1.2816]] * 2, atol=0.16)
    again, other = (compute_statistics(store, [0.5, 0.9], seed=seed) for seed in (1, 2))
    np.testing.assert_array_equal(again.quantiles, stats.quantiles)
    assert (other.quantiles != stats.quantiles).any()


def test_every_stretch_of_the_stream_is_sampled_once():
    rows = sample_rows(100, 7, seed=0)
    assert (rows * 7 // 100 == np.arange(7)).sum() >= 5 and (np.diff(rows) > 0).all() and rows.max() < 100
    assert sample_rows(5, 7, seed=0).tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("dtype", [np.float16, np.uint16, np.float32, np.float64])
def test_nan_is_named_with_file_dataset_and_row(tmp_path, dtype, threads):
    arrays = random_arrays([1, 2], positions=600, dtype=dtype)
    arrays[1][1, 599, 5] = {np.uint16: 0xFFC0}.get(dtype, np.nan)  # the very last value
    with pytest.raises(InputError, match=r"activations_1\.h5, dataset '/x', row 1, position 599, channel 5"):
        compute_statistics(store_of(tmp_path, arrays), [0.5], threads=threads)


def test_number_that_float32_cannot_hold_is_named(tmp_path):
    arrays = random_arrays([1], dtype=np.float64)
    arrays[0][0, 7, 3] = -1e39
    with pytest.raises(InputError, match=r"position 7, channel 3.*-1e\+39"):
        compute_statistics(store_of(tmp_path, arrays), [0.5])


def test_levels_outside_zero_and_one_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="threads"):
        compute_statistics(store_of(tmp_path / "t", random_arrays([1])), [0.5], threads=0)
    for wrong in ("1.5", "-0.1", "nan"):
        with pytest.raises(ConfigError, match=wrong):
            compute_statistics(store_of(tmp_path, random_arrays([1])), [0.5, float(wrong)])


# --- the file ------------------------------------------------------------------------------------


def test_written_and_read_back(tmp_path):
    stats = compute_statistics(store_of(tmp_path, random_arrays([2])), [0.5, 0.9])
    write_statistics(stats, tmp_path / "statistics.h5", {"program": "test"})
    read = load_statistics(tmp_path / "statistics.h5")
    for name in (*FIELDS, "quantile_levels"):
        np.testing.assert_array_equal(getattr(read, name), getattr(stats, name))
    assert read.provenance == {"program": "test"} and read.fingerprint == stats.fingerprint


def test_full_disk_is_named(tmp_path):
    stats = compute_statistics(store_of(tmp_path, random_arrays([2])), [0.5])
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(InputError, match=r"out/statistics\.h5.*free space"):
            write_statistics(stats, tmp_path / "out" / "statistics.h5", {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list((tmp_path / "out").iterdir())


def test_file_that_is_no_statistics(tmp_path):
    with pytest.raises(InputError, match=r"compute_statistics\.py"):
        load_statistics(tmp_path / "nowhere.h5")
    with h5py.File(tmp_path / "other.h5", "w") as handle:
        handle["mean"] = np.zeros(3)
    with pytest.raises(InputError, match=r"other\.h5"):
        load_statistics(tmp_path / "other.h5")


def run_script(*arguments: object) -> subprocess.CompletedProcess:
    command = [sys.executable, SCRIPTS / "compute_statistics.py", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_program_writes_the_same_bytes_and_refuses_a_wrong_layer(tmp_path):
    folder = write_published_store(tmp_path / "it's a store", random_arrays([2]), pad_bp=20)
    sizes = {"channels": 6, "stride-bp": 4, "left-bp": 3, "right-bp": 5, "pad-bp": 20}
    layer = ["--layer", "tiny", *(word for name, size in sizes.items() for word in (f"--{name}", size))]
    for name in ("a.h5", "b.h5"):
        done = run_script("--activations", folder, "--output", tmp_path / "out" / name, *layer)
        assert done.returncode == 0, done.stderr
    a, b = ((tmp_path / "out" / name).read_bytes() for name in ("a.h5", "b.h5"))
    assert a == b and str(tmp_path).encode() not in a
    assert load_statistics(tmp_path / "out" / "a.h5").count.tolist() == [100] * 6
    wrong = run_script("--activations", folder, "--output", tmp_path / "c.h5", "--layer", "conv1d_2")
    assert wrong.returncode == 2 and "736" in wrong.stderr and "Traceback" not in wrong.stderr
    assert not (tmp_path / "c.h5").exists()
