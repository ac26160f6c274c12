"""Permuted stores: every channel keeps its values, and nothing else is kept."""

from __future__ import annotations

import json

import numpy as np
import pytest
from helpers_store import as_float32, random_arrays, write_published_store, write_store
from helpers_training import contents, run_here

from biosae.activations import ActivationStore
from biosae.errors import ConfigError, InputError
from biosae.permuting import permute_sequence, permute_store, spread_sequences

COLUMNS = ["chrom", "start", "end", "core_start", "core_end"]


@pytest.mark.parametrize("dtype", [np.float16, np.uint16, np.float32, np.float64])
def test_each_channel_of_each_sequence_keeps_its_values_and_no_order(tmp_path, dtype):
    arrays = random_arrays([2, 3], positions=200, dtype=dtype)
    store = ActivationStore.open(write_store(tmp_path / "s", arrays))
    permute_store(store, tmp_path / "p", 10**9, seed=1)
    made = ActivationStore.open(tmp_path / "p", stride_bp=4)
    assert (made.dtype, made.n_sequences, made.positions, made.channels) == (store.dtype, 5, 200, 6)
    assert made.intervals[COLUMNS].equals(store.intervals[COLUMNS])
    for number, sequence in enumerate(as_float32(np.concatenate(arrays))):
        rows = made.read(number * 200, 200)
        np.testing.assert_array_equal(np.sort(rows, axis=0), np.sort(sequence, axis=0))
        stay = (rows == sequence).mean(axis=0)
        assert stay.max() < 0.1


def test_channels_that_go_together_no_longer_do():
    one = np.random.default_rng(0).normal(size=(5000, 1)).astype(np.float32)
    rows = np.repeat(one, 4, axis=1)
    mixed = permute_sequence(rows, sequence=3, seed=0)
    off = np.corrcoef(mixed.T)[~np.eye(4, dtype=bool)]
    assert np.abs(off).max() < 0.08
    assert np.abs(np.corrcoef(mixed[:-1, 0], mixed[1:, 0])[0, 1]) < 0.08
    np.testing.assert_array_equal(rows, np.repeat(one, 4, axis=1))  # the caller's are left alone


def test_the_order_depends_on_seed_sequence_and_channel_alone(tmp_path):
    rows = np.arange(60, dtype=np.float32).reshape(20, 3)
    orders = [permute_sequence(rows, *key) for key in ((0, 0), (1, 0), (0, 1))]
    for first in range(3):
        for second in range(first):
            assert not np.array_equal(orders[first], orders[second])
    np.testing.assert_array_equal(permute_sequence(rows[:, :1], 0, 0), orders[0][:, :1])
    store = ActivationStore.open(write_store(tmp_path / "s", random_arrays([4, 4])))
    for name, positions in (("all", 400), ("again", 400), ("some", 150)):
        permute_store(store, tmp_path / name, positions, seed=2)
    assert contents(tmp_path / "all") == contents(tmp_path / "again")
    everything, some = (ActivationStore.open(tmp_path / name) for name in ("all", "some"))
    for row, sequence in enumerate([0, 2, 5]):  # spread over the eight
        np.testing.assert_array_equal(some.read(row * 50, 50), everything.read(sequence * 50, 50))


@pytest.mark.parametrize(
    ("n", "positions", "wanted", "least", "expected"),
    [
        (10, 100, 250, 2, [0, 3, 6]),
        (10, 100, 1, 2, [0, 5]),
        (10, 100, 1, 4, [0, 2, 5, 7]),
        (3, 100, 10**9, 2, [0, 1, 2]),
        (1, 100, 50, 2, [0]),
    ],
)
def test_sequences_are_spread_evenly(n, positions, wanted, least, expected):
    assert spread_sequences(n, positions, wanted, least).tolist() == expected


def test_program_keeps_the_padding_and_says_what_it_made(tmp_path, monkeypatch, capsys):
    write_published_store(tmp_path / "a b", random_arrays([3, 2]), pad_bp=40)
    words = ["--activations", str(tmp_path / "a b"), "--output", str(tmp_path / "p")]
    words += ["--positions", "60", "--least-sequences", "3", "--seed", "9", "--pad-bp", "40"]
    code, text = run_here("permute_activations.py", words, monkeypatch, capsys)
    assert code == 0, text
    old = ActivationStore.open(tmp_path / "a b", 40, stride_bp=4)
    new = ActivationStore.open(tmp_path / "p", 40, stride_bp=4)
    chosen = old.intervals.iloc[[0, 1, 3]].reset_index(drop=True)
    assert new.intervals[COLUMNS].equals(chosen[COLUMNS])
    made_by = json.loads((tmp_path / "p" / "intervals.tsv.json").read_text())
    assert (made_by["seed"], made_by["settings"]["sequences"], made_by["settings"]["of_sequences"]) == (
        9,
        3,
        5,
    )
    assert str(tmp_path) not in json.dumps(made_by)


def test_what_cannot_be_permuted_is_refused(tmp_path):
    store = ActivationStore.open(write_store(tmp_path / "s", random_arrays([2])))
    with pytest.raises(ConfigError, match="a folder of its own"):
        permute_store(store, tmp_path / "s", 100)
    with pytest.raises(ConfigError, match="needs positions and sequences"):
        permute_store(store, tmp_path / "p", 0)
    pooled = ActivationStore.open(write_store(tmp_path / "one", random_arrays([5], positions=1)))
    with pytest.raises(InputError, match="one position a sequence"):
        permute_store(pooled, tmp_path / "p", 100)
    bad = random_arrays([2])
    bad[0][1, 4, 2] = np.nan
    broken = ActivationStore.open(write_store(tmp_path / "bad", bad))
    with pytest.raises(InputError, match="row 1, position 4, channel 2"):
        permute_store(broken, tmp_path / "p", 10**6)
    assert not (tmp_path / "p").exists()


def test_a_full_disk_is_said_before_anything_is_written(tmp_path, monkeypatch):
    store = ActivationStore.open(write_store(tmp_path / "s", random_arrays([2])))
    usage = type("usage", (), {"free": 10})
    monkeypatch.setattr("biosae.permuting.shutil.disk_usage", lambda place: usage)
    with pytest.raises(InputError, match="disk is too small"):
        permute_store(store, tmp_path / "p", 100)
    assert not (tmp_path / "p").exists()
