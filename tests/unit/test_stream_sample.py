"""Sampled blocks, their bases, and who fires where, against definitions spelled out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from biosae import stream_sample
from biosae.activations import ActivationStore
from biosae.errors import ConfigError, InputError
from biosae.genome import Genome
from biosae.letter_codes import OTHER, letter_codes
from biosae.model import RawChannels
from biosae.specificity_kernels import count_covered, count_holding, count_places, find_hits, owners
from biosae.stream_sample import Firing, choose_blocks, cut_blocks, encode_blocks, keep_strongest_codes
from unit.helpers_specificity import LEFT, RIGHT, STRIDE, planted_world, write_world


@settings(max_examples=60, deadline=None)
@given(positions=st.integers(1, 2000), n_sequences=st.integers(1, 9), asked=st.integers(1, 20_000))
def test_blocks_are_apart_and_spread_over_the_store(positions, n_sequences, asked):
    length, places = choose_blocks(positions, n_sequences, asked)
    assert 1 <= length <= stream_sample.BLOCK_POSITIONS
    assert len(np.unique(places, axis=0)) == len(places)
    assert (places[:, 1] % length == 0).all() and (places[:, 1] + length <= positions).all()
    assert places[:, 0].min() >= 0 and places[:, 0].max() < n_sequences
    every = n_sequences * -(-positions // stream_sample.BLOCK_POSITIONS)
    assert len(places) == min(-(-asked // length), every)
    number = places[:, 0] * (every // n_sequences) + places[:, 1] // length
    gaps = np.diff(np.concatenate([[-1], number, [every]]))
    assert (gaps[1:-1].max(initial=0) - gaps[1:-1].min(initial=every)) <= 1 or len(places) < 3


def test_a_sample_of_nothing_is_refused():
    with pytest.raises(ConfigError, match="sample_positions"):
        choose_blocks(100, 1, 0)


def slow_owners(start, width, stride, window, positions, opens, closes):
    """By its definition, with positions of the neighbouring blocks where the sequence goes on."""
    around = range(0 if opens else -50, positions if closes else positions + 50)
    holding = [p for p in around if stride * p <= start and start + width <= stride * p + window]
    inside = holding and holding[0] >= 0 and holding[-1] < positions
    return (holding[0], holding[-1]) if inside else (-1, -2)


geometry = st.tuples(
    st.integers(1, 9), st.integers(1, 20), st.integers(1, 6), st.booleans(), st.booleans(), st.integers(1, 20)
)


@settings(max_examples=150, deadline=None)
@given(geometry)
def test_positions_that_hold_a_hit(drawn):
    stride, window, positions, opens, closes, width = drawn
    width = min(width, window)
    places = stride * (positions - 1) + window - width + 1
    own = [slow_owners(s, width, stride, window, positions, opens, closes) for s in range(places)]
    for start, expected in enumerate(own):
        assert owners(start, width, stride, window, positions, opens, closes) == expected
    two = np.array([opens, opens]), np.array([closes, closes])
    looked_at = [pair for pair in own if pair[0] >= 0]
    assert count_places(width, stride, window, positions, *two, places) == 2 * len(looked_at)
    hits = find_hits(np.zeros((2, places), np.int32), 0, width, stride, window, positions, *two)
    assert hits.tolist() == [[b * positions + p for p in pair] for b in (0, 1) for pair in looked_at]
    held = {p for low, high in hits.tolist() for p in range(low, high + 1)}
    assert count_holding(hits, 2 * positions) == len(held)


@settings(max_examples=150, deadline=None)
@given(geometry, st.sets(st.integers(0, 11)))
def test_places_on_which_a_node_fires(drawn, fired):
    stride, window, positions, opens, closes, width = drawn
    width = min(width, window)
    fired = sorted(p for p in fired if p < 2 * positions)
    two = np.array([opens, opens]), np.array([closes, closes])
    places = stride * (positions - 1) + window - width + 1
    hits = find_hits(np.zeros((2, places), np.int32), 0, width, stride, window, positions, *two)
    slow = sum(any(low <= p <= high for p in fired) for low, high in hits.tolist())
    fired = np.array(fired, dtype=np.int32)
    assert count_covered(fired, width, stride, window, positions, *two) == slow


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    made = planted_world(bases=4096, sites=20)
    write_world(folder, made)
    return folder, made


def opened(folder, made):
    layer = made.layer
    return (
        ActivationStore.open(folder / "store", 0, layer.channels, STRIDE),
        layer,
        Genome(folder / "genome.fa"),
    )


def test_blocks_hold_the_bases_of_their_windows(world):
    folder, made = world
    store, layer, genome = opened(folder, made)
    blocks, places = cut_blocks(store, layer, genome, 1100)
    assert blocks.window_bp == LEFT + RIGHT and blocks.positions == 512
    windows = blocks.windows()
    assert windows.shape == (3, 512, LEFT + RIGHT)
    for block, (sequence, first) in enumerate(places):
        letters = "N" * LEFT + made.chromosomes[sequence] + "N" * RIGHT
        for position in (0, 1, 300, 511):
            at = (first + position) * STRIDE
            text = np.frombuffer(letters[at : at + LEFT + RIGHT].encode(), np.uint8)
            assert windows[block, position].tolist() == letter_codes(text).tolist()
    assert blocks.opens.tolist() == (places[:, 1] == 0).tolist()
    assert (blocks.codes[0, :LEFT] == OTHER).all() == blocks.opens[0]
    narrow, _ = cut_blocks(store, layer, genome, 1100, 6)
    middle = LEFT + STRIDE // 2 - 3
    assert narrow.windows().tolist() == windows[:, :, middle : middle + 6].tolist()


def test_a_genome_without_the_chromosome_is_refused(world, tmp_path):
    folder, made = world
    store, layer, _ = opened(folder, made)
    (tmp_path / "other.fa").write_text(f">chr1\n{made.chromosomes[0]}\n")
    with pytest.raises(InputError, match=r"Chromosome 'chr2' .* missing"):
        cut_blocks(store, layer, Genome(tmp_path / "other.fa"), 1000)


def slow_strongest(values: np.ndarray, n: int) -> list[int]:
    """Positions of the n largest positive values, more where values are equal."""
    return [at for at, value in enumerate(values) if value > 0 and (values > value).sum() < n]


@pytest.mark.parametrize("prune", [3, 2**24])
def test_a_node_fires_at_its_strongest_positions(world, monkeypatch, prune):
    folder, made = world
    store, layer, genome = opened(folder, made)
    monkeypatch.setattr(stream_sample, "PRUNE_CODES", prune)
    places = cut_blocks(store, layer, genome, 1500)[1]
    strongest = {3: 5, 0: 40, 2: 0}
    firing, fires_at = encode_blocks(RawChannels(layer.channels), store, places, 512, strongest)
    activations = made.activations()
    rows = np.concatenate([activations[s, p : p + 512] for s, p in places])
    for place, (node, n) in enumerate(strongest.items()):
        expected = slow_strongest(rows[:, node], n)
        assert firing.of_node(place).tolist() == expected
        weakest = rows[expected, node].min() if expected else np.nan
        assert fires_at[place] == pytest.approx(weakest, nan_ok=True)
    for position in range(0, len(rows), 7):
        own = firing.by_position[firing.position_edges[position] : firing.position_edges[position + 1]]
        assert own.tolist() == [p for p in range(3) if position in firing.of_node(p)]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(1, 6)), max_size=30),
    st.tuples(*[st.integers(0, 8)] * 3),
)
def test_strongest_codes_keep_ties(pairs, wanted):
    codes = np.zeros(len(pairs), dtype=[("position", np.int32), ("node", np.int32), ("value", np.float32)])
    codes["position"] = np.arange(len(pairs))
    codes["node"], codes["value"] = (
        (list(column) for column in zip(*pairs, strict=True)) if pairs else ([], [])
    )
    kept = keep_strongest_codes(codes, np.array(wanted))
    slow = [
        at
        for at, (node, value) in enumerate(pairs)
        if sum(other == node and more > value for other, more in pairs) < wanted[node]
    ]
    assert sorted(kept["position"].tolist()) == slow


def test_a_checkpoint_of_other_channels_or_nodes_is_refused(world):
    folder, made = world
    store, _, _ = opened(folder, made)
    for model, nodes in ((RawChannels(9), {0: 1}), (RawChannels(store.channels), {99: 1})):
        with pytest.raises(InputError, match="neither the store nor the selected nodes"):
            encode_blocks(model, store, np.array([[0, 0]]), 512, nodes)


def test_no_node_fires_nowhere():
    firing = Firing.of(np.zeros(0, np.int32), np.zeros(0, np.int32), 10, 0)
    assert firing.n_nodes == 0 and firing.position_edges.tolist() == [0] * 11
