"""A whole node with every kernel replaced by the plain model: the same motifs, threshold and table."""

from __future__ import annotations

import numpy as np
import pytest

from biosae.motifs import em, heldout, reference, seeds, width
from biosae.motifs.batched import DiscoverySettings, discover
from unit.helpers_motifs import STRONG, aligned_correlation, markov_windows, plant


def node(both: bool) -> tuple[list[str], list[str]]:
    """Sixty seqlets of unequal length, some with N, and a background."""
    rng = np.random.default_rng(11)
    windows = markov_windows(28, 560, rng)
    sequences = plant(windows[:60], STRONG, 0.7, both, rng)
    sequences = [s[: 22 + i % 7] for i, s in enumerate(sequences)]
    return [s[:4] + "N" + s[5:] if i % 11 == 0 else s for i, s in enumerate(sequences)], windows[60:]


@pytest.mark.parametrize("both", [False, True])
def test_a_node_by_the_plain_model_equals_the_engine(both, monkeypatch):
    settings = DiscoverySettings(
        strand="both" if both else "given", seeds=3, refined=1, controls_per_seqlet=2, max_width=12
    )
    sequences, background = node(both)
    fast = discover(sequences, background, settings, 5)
    for module, names in (
        (em, ("fit", "best_sites", "erase_sites")),
        (width, ("column_gains",)),
        (seeds, ("count_words",)),
        (heldout, ("choose_threshold",)),
    ):
        for name in names:
            monkeypatch.setattr(module, name, getattr(reference, name))
    slow = discover(sequences, background, settings, 5)
    assert len(fast) == len(slow) >= 1
    assert aligned_correlation(fast[0].matrix, STRONG, both) > 0.9
    for ours, theirs in zip(fast, slow, strict=True):
        assert ours.held_out == theirs.held_out
        assert (ours.width, ours.n_sites, ours.share_forward) == (
            theirs.width, theirs.n_sites, theirs.share_forward,
        )  # fmt: skip
        assert ours.matrix == pytest.approx(theirs.matrix, abs=1e-6)
        assert ours.llr == pytest.approx(theirs.llr, abs=1e-5)
        assert ours.log10_p == pytest.approx(theirs.log10_p, abs=1e-8)
