"""Encoding against a slow dense reference: nothing lost, nothing dependent on blocks or files."""

from __future__ import annotations

import threading

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from biosae import artefacts, encoded_parts
from biosae.activations import ActivationStore
from biosae.encoding import RunningTally, encode_part, encode_store, part_borders
from biosae.errors import ConfigError, InputError
from unit.helpers_store import (
    Codes,
    RectifiedChannels,
    random_arrays,
    slow_top,
    write_store,
)

COLUMNS = ["node", "rank", "activation", "sequence", "position"]


def as_tuples(top: pd.DataFrame) -> list[tuple]:
    return list(top[COLUMNS].itertuples(index=False, name=None))


def store_of(tmp_path, arrays) -> ActivationStore:
    return ActivationStore.open(write_store(tmp_path / "s", arrays))


@settings(max_examples=25, deadline=None)
@given(
    top=st.integers(1, 9),
    parts=st.integers(1, 7),
    block=st.integers(1, 60),
    levels=st.sampled_from([2, 5, 1000]),
    run=st.sampled_from([1, 50, 10**6]),
    nodes=st.sampled_from([1, 40, 10**6]),
    shuffle=st.booleans(),
)
def test_equal_to_the_slow_reference(tmp_path_factory, top, parts, block, levels, run, nodes, shuffle):
    # few levels of activation: most activations are ties
    arrays = [np.round(a * levels) / levels for a in random_arrays([2, 1], positions=41, channels=5)]
    store = store_of(tmp_path_factory.mktemp("store"), arrays)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoded_parts, "RUN_ENTRIES", run)
        patch.setattr(encoded_parts, "RANGE_ENTRIES", nodes)
        got = encode_store(RectifiedChannels(5, [4, 0, 2], shuffle), store, top, parts, block_rows=block)
    assert as_tuples(got.top) == slow_top(arrays, [4, 0, 2], top, parts)


def test_last_rows_of_the_stream_are_kept(tmp_path):
    """Published trap: rows after the last full block were never flushed (12 to 16 % lost)."""
    array = np.full((2, 1001, 1), -1.0, np.float32)
    array[1, 1000, 0] = 3.0  # the only activation of all, at the very end
    store = store_of(tmp_path, [array])
    model = RectifiedChannels(1, [0])
    got = encode_store(model, store, top_per_part=8, parts_per_sequence=4, block_rows=64)
    assert as_tuples(got.top) == [(0, 1, 3.0, 1, 1000)]
    assert sum(model.blocks) == store.n_rows == 2002
    assert got.stats["stream_count"].tolist() == [1]


def test_blocks_begin_at_parts_whatever_the_files(tmp_path):
    """The same rows in one file or in three: the model sees the same blocks."""
    arrays = random_arrays([3], positions=41, channels=2)
    one, three = RectifiedChannels(2, [0, 1]), RectifiedChannels(2, [0, 1])
    first = encode_store(one, ActivationStore.open(write_store(tmp_path / "a", arrays)), 2, 4, 8)
    split = [arrays[0][i : i + 1] for i in range(3)]
    second = encode_store(three, ActivationStore.open(write_store(tmp_path / "b", split)), 2, 4, 8)
    assert one.blocks == three.blocks and one.blocks[:8] == [8, 2, 8, 2, 8, 2, 8, 3]
    pd.testing.assert_frame_equal(first.top, second.top)
    pd.testing.assert_frame_equal(first.stats, second.stats)


def test_parts_cover_every_position():
    assert part_borders(10, 4).tolist() == [0, 2, 5, 7, 10]
    assert part_borders(65536, 4).tolist() == [0, 16384, 32768, 49152, 65536]
    assert part_borders(1, 4).tolist() == [0, 0, 0, 0, 1]


def test_ties_go_to_the_earlier_sequence_and_position(tmp_path):
    got = encode_store(RectifiedChannels(1, [0]), store_of(tmp_path, [np.ones((2, 8, 1), np.float32)]), 2, 2)
    assert got.top["sequence"].tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert got.top["position"].tolist() == [0, 1, 4, 5, 0, 1, 4, 5]
    assert got.top["rank"].tolist() == [1, 2, 3, 4, 5, 6, 7, 8]


def test_zeros_that_a_model_pads_with_are_not_written(tmp_path):
    class Padded(RectifiedChannels):
        def encode_block(self, x: np.ndarray) -> Codes:
            dense = np.maximum(x[:, self.nodes], 0)
            rows, nodes = np.indices(dense.shape).reshape(2, -1)
            return Codes(rows, nodes, dense.ravel())

    arrays = random_arrays([1], positions=20, channels=2)
    store = store_of(tmp_path, arrays)
    padded, plain = (encode_store(kind(2, [0, 1]), store, 30, 1) for kind in (Padded, RectifiedChannels))
    pd.testing.assert_frame_equal(padded.top, plain.top)
    pd.testing.assert_frame_equal(padded.stats, plain.stats)
    assert (padded.top["activation"] > 0).all()


# --- statistics ----------------------------------------------------------------------------------


def test_published_columns_over_the_top_activations_literal(tmp_path):
    # parts of two positions and one kept a part: node 0 keeps 8, 2, 1, 1; node 1 keeps 5; node 2 nothing
    columns = [[8, 7, 1, 2, 1, 0.5, 0, 1], [0, 0, 0, 0, 4, 5, 0, 0], [-1, 0, 0, 0, 0, 0, 0, 0]]
    array = np.array(columns, np.float32).T[None]
    stats = encode_store(RectifiedChannels(3, [0, 1, 2]), store_of(tmp_path, [array]), 1, 4).stats
    assert stats["node_id"].tolist() == [0, 1, 2]
    assert stats["num_nonzero"].tolist() == [4, 1, 0]
    assert stats["mean_act"].tolist() == [3, 5, 0]
    assert stats["max_act"].tolist() == [8, 5, 0]
    # of 8, 2, 1, 1 around 3: (25 + 1 + 4 + 4) / (4 - 1)
    np.testing.assert_allclose(stats["std_act"], [np.sqrt(34 / 3), 0, 0])
    assert stats["median_act"].tolist() == [1.5, 5, 0]
    assert stats["acts_above_global_mean"].tolist() == [1, 1, 0]  # 17 / 5 = 3.4
    assert stats["acts_above_node_mean"].tolist() == [1, 0, 0]
    assert stats["acts_above_node_half"].tolist() == [2, 1, 0]  # above 1.5, and above 2.5
    assert stats["acts_above_node_half_max"].tolist() == [1, 1, 0]  # above 4, and above 2.5


def test_statistics_equal_pandas_and_the_whole_stream(tmp_path):
    arrays = random_arrays([2, 3], positions=101, channels=4)
    arrays[0][:, :, 3] = -1
    arrays[1][1:, :, 3] = -1  # channel 3 lives in one sequence
    encoded = encode_store(
        RectifiedChannels(4, [0, 1, 2, 3]), store_of(tmp_path, arrays), 3, 4, block_rows=10
    )
    dense = np.maximum(np.concatenate(arrays), 0).reshape(5, 101, 4).astype(np.float64)
    stats, groups = encoded.stats, encoded.top.groupby("node")["activation"]
    np.testing.assert_allclose(stats["mean_act"], groups.mean(), rtol=1e-6)
    np.testing.assert_allclose(stats["std_act"], groups.std(), rtol=1e-6)
    np.testing.assert_allclose(stats["median_act"], groups.median(), rtol=1e-6)
    active = dense > 0
    assert stats["stream_count"].tolist() == active.sum(axis=(0, 1)).tolist()
    np.testing.assert_allclose(stats["density"], active.mean(axis=(0, 1)))
    np.testing.assert_allclose(stats["stream_mean"], dense.sum(axis=(0, 1)) / active.sum(axis=(0, 1)))
    np.testing.assert_allclose(stats["stream_max"], dense.max(axis=(0, 1)))
    for name, share in (("stream_median", 0.5), ("stream_q90", 0.9), ("stream_q99", 0.99)):
        columns = [dense[..., node][active[..., node]] for node in range(4)]
        true = [np.quantile(column, share, method="inverted_cdf") for column in columns]
        np.testing.assert_allclose(stats[name], true, rtol=1 / 32)
    assert stats["n_sequences"].tolist() == active.any(axis=1).sum(axis=0).tolist() == [5, 5, 5, 1]


def test_histogram_bins_are_powers_of_two(tmp_path):
    values = [2.0**-30, 2.0**-16, 0.5, 0.99, 1.0, 1.99, 2.0, 2.0**40]
    array = np.array(values, np.float32).reshape(1, 8, 1)
    stats = encode_store(RectifiedChannels(1, [0]), store_of(tmp_path, [array]), 1, 1).stats
    counts = [int(count) for count in stats["histogram"][0].split(",")]
    assert {i: n for i, n in enumerate(counts) if n} == {0: 2, 15: 2, 16: 2, 17: 1, 31: 1}


def test_statistics_fit_the_schema_and_survive_the_file(tmp_path):
    arrays = random_arrays([2], positions=30, channels=3)
    arrays[0][:, :, 1] = -1
    stats = encode_store(RectifiedChannels(3, [0, 1, 2]), store_of(tmp_path, arrays), 3, 4).stats
    artefacts.write_table(stats, tmp_path / "node_stats.tsv", "node_stats", {"program": "test"})
    read = artefacts.read_table(tmp_path / "node_stats.tsv", "node_stats")
    assert read["num_nonzero"].tolist() == stats["num_nonzero"].tolist() and read["num_nonzero"][1] == 0
    assert read["histogram"].tolist() == stats["histogram"].tolist()


# --- refusals and the file -----------------------------------------------------------------------


def test_wrong_channels_and_numbers_are_refused_before_work(tmp_path):
    store = store_of(tmp_path, random_arrays([1], channels=6))
    model = RectifiedChannels(5, [0])
    with pytest.raises(InputError, match=r"6 channels in the store.*5 channels"):
        encode_store(model, store, 8, 4)
    with pytest.raises(ConfigError, match="top_per_part"):
        encode_store(RectifiedChannels(6, [0]), store, 0, 4)
    assert model.blocks == []


@pytest.mark.parametrize("value", [-1.0, np.nan, np.inf, 2.0**62])
def test_an_activation_that_cannot_be_counted_is_refused_with_its_place(value):
    running = RunningTally(3, 2)
    codes = Codes(np.array([0, 5]), np.array([1, 2]), np.array([1.0, value], np.float32))
    with pytest.raises(InputError, match=r"sequence 7, position 105.*of node 2"):
        running.add(codes, first=100, sequence=7)


def test_an_unknown_node_is_refused():
    for node in (3, -1):
        with pytest.raises(InputError, match=f"of node {node}.*nodes below 3"):
            RunningTally(3, 2).add(Codes(np.array([0]), np.array([node]), np.ones(1)), 0, 0)


def test_an_error_while_reading_ahead_leaves_no_part_and_no_thread(tmp_path):
    arrays = random_arrays([2, 1], positions=30, channels=2)
    arrays[1][0, 20, 1] = np.nan
    store = store_of(tmp_path, arrays)
    with pytest.raises(InputError, match=r"activations_1\.h5.*position 20"):
        encode_part(RectifiedChannels(2, [0, 1]), store, tmp_path / "out" / "part.h5", 2, 2)
    assert list((tmp_path / "out").iterdir()) == []
    assert not [thread for thread in threading.enumerate() if thread.name == "read-ahead"]
