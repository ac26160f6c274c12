"""Examples of planted detectors, of a sample of a part of the store, and what was left out of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from biosae.artefacts import read_table, write_table
from biosae.errors import ContractError
from biosae.examples import BANDS
from biosae.examples_sample import NEAR_MISS
from biosae.model import RawChannels
from unit.helpers_examples import SmallRun
from unit.helpers_specificity import ONE_STRAND, PAIR, planted_world, reverse_complement, sharp_motif
from unit.test_examples import toy

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "collect_examples.py"


def planted_run(folder: Path, turned: bool = False, strand: str = "given") -> SmallRun:
    """Detectors of planted words; ``turned``: their motifs are written on the other strand."""
    world = planted_world(bases=4096, chromosomes=2, sites=20)
    motifs = [sharp_motif("", word) for word in world.words]
    if turned:
        motifs = [motif.reverse_complement() for motif in motifs]
    names = [f"chr{i + 1}" for i in range(2)]
    return SmallRun(
        folder,
        RawChannels(len(world.words)),
        world.layer,
        [world.activations()],
        [(name, 0, 4096) for name in names],
        dict(zip(names, world.chromosomes, strict=True)),
        kept=[3, 0, 1, 2],
        motifs=[motifs[node] for node in (3, 0, 1, 2)],
        strand=strand,
    ).write()


@pytest.mark.parametrize("turned", [False, True])
def test_a_planted_word_is_found_at_its_place_and_strand(tmp_path, turned):
    made = planted_run(tmp_path, turned)
    found = made.collect()
    for row, word in enumerate([ONE_STRAND, PAIR, reverse_complement(PAIR)]):
        top = found.of(row, 0)
        texts = ["".join("ACGTN"[code] for code in codes) for codes in top["sequence"]]
        perfect = [text.find(word) for text in texts]
        assert len(perfect) > 20 and min(perfect[:20]) >= 0
        assert top["motif_at"][:20].tolist() == perfect[:20]
        assert (top["motif_strand"] == turned).all() and (top["has_motif"][:20] == 1).all()
        best = found.arrays["motif_best_score"][row]
        assert (top["motif_score"][:20] == best).all() and (top["peak"][:20] == 2).all()


def test_with_both_strands_a_site_of_either_is_found(tmp_path):
    made = planted_run(tmp_path, strand="both")
    found = made.collect(top_examples=5)
    # PAIR's node fires on its own strand only; hits of the other strand are its near misses
    misses = found.of(1, NEAR_MISS)
    assert len(misses["peak"]) == 20 and (misses["motif_strand"] == 1).all()
    other = reverse_complement(PAIR)
    texts = ["".join("ACGTN"[code] for code in codes) for codes in misses["sequence"]]
    assert [text.find(other) for text in texts] == misses["motif_at"].tolist()
    assert (found.of(1, 0)["motif_strand"] == 0).all() and len(found.of(1, 0)["peak"]) == 5


def test_near_misses_really_do_not_fire(tmp_path):
    """A node that misses half of the sites of its word: exactly those are near misses."""
    made = planted_run(tmp_path)
    before = made.collect(band_examples=100).of(1, NEAR_MISS)
    dense, rng = made.arrays[0], np.random.default_rng(0)
    fires = np.argwhere(dense[0, :, 0] == 2).ravel()
    sites = np.split(fires, np.flatnonzero(np.diff(fires) > 1) + 1)
    silent = [site for site in sites if rng.random() < 0.5]
    for site in silent:
        dense[0, site[0] - 1 : site[-1] + 2, 0] = 0
    made.write()
    found = made.collect(band_examples=100).of(1, NEAR_MISS)
    assert 5 < len(silent) <= len(found["peak"]) <= len(silent) + len(before["peak"])
    starts = [at for name, at in zip(found["chrom"], found["start"].tolist(), strict=True) if name == "chr1"]
    for site in silent:
        centre = 4 * site[len(site) // 2] - 7
        assert any(abs(start - centre) < 18 for start in starts), "a site that is silent is a near miss"
    for row, node in enumerate(made.kept):
        misses = made.collect().of(row, NEAR_MISS)
        assert (misses["peak"] < 2).all() and (misses["has_motif"] == 1).all(), node


@pytest.mark.parametrize("sample", [300, 1500])
def test_a_sample_of_a_part_is_drawn_from_alone(tmp_path, sample):
    made = planted_run(tmp_path)
    table = made.measure(sample)
    found = made.collect(sample_positions=sample)
    assert table["n_positions"][0] == 512 * -(-sample // 512)
    number = (2 * np.arange(-(-sample // 512)) + 1) * 4 // (2 * -(-sample // 512))
    chosen = {(f"chr{n // 2 + 1}", n % 2) for n in number.tolist()}
    for row in range(4):
        for band in range(1, len(BANDS)):
            own = found.of(row, band)
            halves = ((own["start"] + 7) // 4 // 512).tolist()
            assert set(zip(own["chrom"], halves, strict=True)) <= chosen
        assert len(found.of(row, 0)["peak"]) > 20, "the strongest are those of the whole store"


def test_a_sample_other_than_that_of_specificity_is_refused(tmp_path):
    made = planted_run(tmp_path)
    with pytest.raises(ContractError, match=r"counted other hits .* measure_specificity"):
        made.collect(sample_positions=600)
    with pytest.raises(ContractError, match="counted other hits"):
        made.collect(site_share=0.2)
    table = read_table(made.run / "specificity.tsv", "specificity")
    write_table(table.iloc[1:], made.run / "specificity.tsv", "specificity")
    with pytest.raises(ContractError, match=r"specificity\.tsv is of other nodes"):
        made.collect()


def test_other_kept_nodes_change_no_draw(tmp_path):
    made = toy(tmp_path, "topk")
    whole = made.collect()
    alone = replace(made, kept=made.kept[1:2], motifs=made.motifs[1:2])
    alone.write_tables()
    alone.measure()
    found = alone.collect()
    for band in range(len(BANDS)):
        for name, own in whole.of(1, band).items():
            np.testing.assert_array_equal(own, found.of(0, band)[name])


def test_what_was_left_out_is_counted(tmp_path):
    made = toy(tmp_path, "raw")
    found = made.collect()
    dense = made.dense()[:, :, made.kept] > 0
    start = np.array([at for _, at, _ in made.intervals])[:, None] + 4 * np.arange(60) - 7
    length = np.array([len(made.chromosomes[name]) for name, _, _ in made.intervals])[:, None]
    outside = (start < 0) | (start + 18 > length)
    assert (
        found.counts["activations left out: window over an end of its chromosome"] == dense[outside].sum() > 0
    )
    assert found.counts["nodes without a motif"] == 1
    assert found.counts["positions passed over: overlap an example of the same node and band"] > 0
    assert found.counts["windows whose own activation is not that of the first encoding"] == 0
