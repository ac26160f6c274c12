"""Specificity against its definitions, one window at a time, and of nodes that fire at random."""

from __future__ import annotations

import numpy as np
import pytest

from biosae.letter_codes import letter_codes
from biosae.motif_sample import MotifSample
from biosae.motif_scan import prepare
from biosae.specificity import NodeMotif, Settings, find_motifs, measure
from biosae.stream_sample import Blocks, Firing
from unit.helpers_specificity import (
    LEFT,
    ONE_STRAND,
    PAIR,
    PALINDROME,
    RIGHT,
    STRIDE,
    planted_world,
    seqlets_of,
    sharp_motif,
)

WINDOW = LEFT + RIGHT


def sample_of(letters: str, positions: int) -> MotifSample:
    text = np.frombuffer(f"{'N' * LEFT}{letters}{'N' * RIGHT}".encode(), np.uint8)
    span = STRIDE * (positions - 1) + WINDOW
    ends = np.ones(1, dtype=bool)
    return MotifSample(Blocks(STRIDE, WINDOW, positions, letter_codes(text[None, :span]), ends, ends))


def at_random(density: float, n: int, rng: np.random.Generator) -> np.ndarray:
    return np.flatnonzero(rng.random(n) < density).astype(np.int32)


def test_a_node_that_fires_at_random_has_no_specificity():
    world = planted_world(bases=65_536, chromosomes=1, sites=300)
    sample = sample_of(world.chromosomes[0], world.positions)
    rng = np.random.default_rng(11)
    seqlets = [letter_codes(np.array([list(w.encode()) for w in own], np.uint8)) for own in seqlets_of(world)]
    nodes = [NodeMotif(n, sharp_motif(f"m{n}", word), seqlets[n]) for n, word in enumerate(world.words)]
    fired = [at_random(0.1, world.positions, rng) for _ in nodes]
    pairs = np.concatenate(fired), np.repeat(np.arange(4), [len(own) for own in fired])
    firing = Firing.of(*pairs, world.positions, 4)
    found = find_motifs(nodes, sample, Settings())
    table = measure(nodes, found, sample, firing, np.ones(4, np.float32), Settings())
    # 300 hits each: four standard errors of a share of 0.3 are 0.1
    assert (table["hits_fired"] - table["hits_fired_chance"]).abs().max() < 0.11
    # windows of 18 bp at stride 4 hold a word of 10 bp whole in 2 or 3 of them
    assert table["hits_fired_chance"].between(1 - 0.9**2 - 0.02, 1 - 0.9**3 + 0.02).all()
    assert (table["motif_auroc"] - 0.5).abs().max() < 0.03
    assert (table["strand_class"] == "unknown").all() and table["partner_node"].isna().all()


def slow_figures(sample: MotifSample, word_motif, fired: np.ndarray, turned: bool) -> dict:
    """Hits, chance and AUROC by their definitions, one window at a time."""
    blocks = sample.blocks
    motif = prepare(word_motif, sample.background, 1e-4, 0.9)
    motif = motif.reverse_complement() if turned else motif
    codes, width = blocks.codes[0], motif.width
    places = range(len(codes) - width + 1)
    score = [sum(int(motif.weights[i, codes[s + i]]) for i in range(width)) for s in places]
    holding = {s: [p for p in range(blocks.positions) if STRIDE * p <= s and s + width <= STRIDE * p + WINDOW]
               for s in places}  # fmt: skip
    fires = set(fired.tolist())
    on = {s: any(p in fires for p in own) for s, own in holding.items() if own}
    hits = [s for s in on if score[s] >= motif.threshold]
    windows = [codes[STRIDE * p : STRIDE * p + WINDOW].tolist() for p in range(blocks.positions)]
    best = [max(score[STRIDE * p : STRIDE * p + WINDOW - width + 1]) for p in range(blocks.positions)]
    gc = [None if 4 in w else (w.count(1) + w.count(2)) * 20 // WINDOW for w in windows]
    gc = [g if g is None else min(g, 19) for g in gc]
    shares = []
    for p in sorted(fires):
        others = [
            q for q in range(blocks.positions) if q not in fires and gc[q] is not None and gc[q] == gc[p]
        ]
        if others:
            shares.append(np.mean([(best[p] > best[q]) + 0.5 * (best[p] == best[q]) for q in others]))
    return {
        "n_hits": len(hits),
        "fired": sum(on[s] for s in hits),
        "chance": sum(on.values()) / len(on),
        "holding": len({p for s in hits for p in holding[s]}),
        "auroc": np.mean(shares),
    }


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_equal_to_the_slow_reference(seed):
    world = planted_world(bases=2048, chromosomes=1, sites=12, seed=seed)
    letters = world.chromosomes[0][:1000] + "NNNN" + world.chromosomes[0][1004:]
    sample = sample_of(letters, world.positions)
    rng = np.random.default_rng(seed)
    truth = world.activations()[0]
    settings = Settings(min_hits=1)
    words = [PAIR, PALINDROME, ONE_STRAND[:7]]
    nodes = [
        NodeMotif(n, sharp_motif(f"m{n}", w, 0.8), np.zeros((0, 0), np.uint8)) for n, w in enumerate(words)
    ]
    fired = [np.flatnonzero((truth[:, n] > 0) ^ (rng.random(world.positions) < 0.1)) for n in (0, 2, 3)]
    pairs = np.concatenate(fired), np.repeat(np.arange(3), [len(own) for own in fired])
    firing = Firing.of(*pairs, world.positions, 3)
    found = find_motifs(nodes, sample, settings)
    table = measure(nodes, found, sample, firing, np.ones(3, np.float32), settings)
    assert table["seqlets_with_motif"].isna().all() and table["motif_f1"].isna().all()
    for n, entry in enumerate(nodes):
        slow = slow_figures(sample, entry.motif, fired[n], False)
        reverse = slow_figures(sample, entry.motif, fired[n], True)
        row = table.iloc[n]
        assert (row["n_hits"], row["n_reverse_hits"]) == (slow["n_hits"], reverse["n_hits"])
        assert found[n].n_holding == slow["holding"]
        assert row["hits_fired"] * row["n_hits"] == pytest.approx(slow["fired"])
        assert row["own_reverse_share"] * row["n_reverse_hits"] == pytest.approx(reverse["fired"])
        assert row["hits_fired_chance"] == pytest.approx(slow["chance"])
        assert row["motif_auroc"] == pytest.approx(slow["auroc"])
