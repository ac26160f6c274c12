"""Backgrounds: matched in GC and repeat share, from the store's intervals, without N."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd
import pytest

from biosae.backgrounds import apportion, draw_background, merge_intervals, strata, write_background
from biosae.errors import ConfigError, InputError
from biosae.genome import Genome
from unit.helpers_seqlets import LETTERS, random_dna, write_genome


def as_letters(*windows: str) -> np.ndarray:
    return np.array([list(window.encode()) for window in windows], dtype=np.uint8)


def intervals(*spans: tuple[str, int, int]) -> pd.DataFrame:
    return pd.DataFrame(spans, columns=["chrom", "core_start", "core_end"])


@pytest.fixture(scope="module")
def genome(tmp_path_factory) -> Genome:
    """chr1: thirds of 35 %, 50 % and 65 % GC, every other kilobase lower case, a run of N."""
    generator = np.random.default_rng(3)
    parts = []
    for gc in (0.35, 0.5, 0.65):
        weights = [(1 - gc) / 2, gc / 2, gc / 2, (1 - gc) / 2]
        parts.append(LETTERS[generator.choice(4, size=20_000, p=weights)].tobytes().decode())
    text = "".join(parts)
    text = "".join(
        text[i : i + 1000].lower() if i % 2000 else text[i : i + 1000] for i in range(0, 60_000, 1000)
    )
    text = text[:30_000] + "N" * 2000 + text[32_000:]
    path = write_genome(
        tmp_path_factory.mktemp("genome") / "g.fa", {"chr1": text, "chr2": random_dna(5000, 4)}
    )
    return Genome(path)


def test_strata_literal():
    windows = as_letters("AAAAAAAAAA", "acgtACGTAC", "gggggggggg", "ggggggCCCC", "AAAAACgAAA")
    # GC of 10: 0, 5, 10, 10, 2 -> bins 0, 10, 19, 19, 4; lower case: 0, 4, 10, 6, 1 -> bins 0, 1, 3, 2, 1
    assert strata(windows).tolist() == [0, 41, 79, 78, 17]


def test_merge_intervals_literal():
    table = merge_intervals(
        pd.Series(["b", "a", "a", "a", "a", "b"]),
        pd.Series([5, 0, 5, 40, 3, 50]),
        pd.Series([9, 10, 15, 50, 4, 60]),
    )
    assert table.to_numpy().tolist() == [["a", 0, 15], ["a", 40, 50], ["b", 5, 9], ["b", 50, 60]]


def test_merge_intervals_equals_slow_reference():
    generator = np.random.default_rng(0)
    for _ in range(30):
        start = generator.integers(0, 80, 12)
        end = start + generator.integers(1, 15, 12)
        covered = np.zeros(100, dtype=bool)
        for a, b in zip(start, end, strict=True):
            covered[a:b] = True
        table = merge_intervals(pd.Series(["c"] * 12), pd.Series(start), pd.Series(end))
        merged = np.zeros(100, dtype=int)
        for a, b in zip(table["start"], table["end"], strict=True):
            merged[a:b] += 1
        assert (merged == covered).all()


def test_apportion_literal():
    assert apportion(np.array([1.0, 1.0, 1.0]), 10).tolist() == [4, 3, 3]
    assert apportion(np.array([0.0, 3.0, 1.0]), 4).tolist() == [0, 3, 1]


def test_background_matches_skewed_seqlets(genome):
    """Seqlets from the GC-rich repeats only: a plain random draw would differ widely."""
    generator = np.random.default_rng(8)
    start = generator.integers(40_000, 60_000 - 20, 4000)
    windows = genome.windows("chr1", start, 20)
    windows = windows[(windows >= ord("a")).all(axis=1)]
    spans = intervals(("chr1", 0, 60_000), ("chr2", 0, 5000))
    background = draw_background(windows, spans, genome, 400, seed=1)
    assert background.report["windows"] + background.report["windows_missing"] == 400
    assert background.report["windows"] >= 396  # only the rarest strata may be short
    shares = np.bincount(strata(windows), minlength=80) / len(windows)
    got = np.bincount(strata(background.letters), minlength=80) / len(background.letters)
    assert np.abs(shares - got).max() < 0.01
    assert (background.letters >= ord("a")).all()  # all lower case, as the seqlets
    plain = genome.windows("chr1", generator.integers(0, 29_000, 400), 20)
    assert np.abs(shares - np.bincount(strata(plain), minlength=80) / 400).sum() > 1  # the test can fail


def test_background_lies_in_the_core_intervals_without_n(genome):
    spans = intervals(("chr1", 29_000, 33_000), ("chr1", 29_500, 33_500))
    windows = genome.windows("chr1", np.arange(29_000, 29_900, 30), 20)
    background = draw_background(windows, spans, genome, 100, seed=1)
    assert len(background.letters) > 50
    assert set(background.letters.ravel()) <= set(b"ACGTacgt")
    assert background.table["start"].min() >= 29_000 and background.table["end"].max() <= 33_500
    for chrom, start, letters in zip(
        background.table["chrom"], background.table["start"], background.letters, strict=True
    ):
        assert genome.letters(chrom)[start : start + 20].tobytes() == letters.tobytes()
    assert background.report["candidates_with_n"] > 0
    assert not background.table.duplicated().any()


def test_doubly_covered_bases_count_once(genome):
    """chr2:0-2500 is covered three times: still half of the draws fall there."""
    spans = intervals(*[("chr2", 0, 2500)] * 3, ("chr2", 2500, 5000))
    windows = genome.windows("chr2", np.arange(0, 4900, 7), 20)
    start = draw_background(windows, spans, genome, 1000, seed=2).table["start"]
    assert abs((start < 2490).mean() - 0.5) < 0.06  # 4 standard deviations; counted thrice it were 0.75


def test_strata_that_cannot_be_filled_are_reported(genome, caplog):
    windows = as_letters("A" * 20, "acgtacgtacgtacgtacgt")  # poly-A of 20 does not occur
    with caplog.at_level(logging.WARNING):
        report = draw_background(windows, intervals(("chr1", 0, 20_000)), genome, 40, seed=1).report
    assert (report["strata"], report["strata_short"]) == (2, 1)
    assert (report["windows"], report["windows_missing"]) == (20, 20)
    assert report["distance_to_seqlets"] == pytest.approx(0.5)
    assert "20 of 40 background windows are missing" in caplog.text


def test_genome_without_soft_mask_is_said(genome, caplog):
    windows = genome.windows("chr2", np.arange(0, 900, 30), 20)
    with caplog.at_level(logging.INFO):
        draw_background(windows, intervals(("chr2", 0, 5000)), genome, 20, seed=1)
    assert "not soft-masked" in caplog.text


def test_seed_decides(genome):
    windows = genome.windows("chr1", np.arange(0, 900, 30), 20)
    spans = intervals(("chr1", 0, 20_000))
    tables = [draw_background(windows, spans, genome, 50, seed).table for seed in (1, 1, 2)]
    pd.testing.assert_frame_equal(tables[0], tables[1])
    assert not tables[0].equals(tables[2])


def test_no_seqlets_no_background(genome, tmp_path):
    background = draw_background(np.zeros((0, 20), np.uint8), intervals(("chr1", 0, 500)), genome, 50, seed=1)
    write_background(background, tmp_path, {})
    assert (tmp_path / "background.fa").read_text() == ""


def test_written_header(genome, tmp_path):
    windows = genome.windows("chr1", np.arange(0, 900, 30), 20)
    background = draw_background(windows, intervals(("chr1", 0, 20_000)), genome, 5, seed=1)
    write_background(background, tmp_path, {})
    header, text = (tmp_path / "background.fa").read_text().splitlines()[:2]
    chrom, start, end = background.table.iloc[0]
    assert header == f">{chrom}:{start}-{end}(+) background"
    assert text == background.letters[0].tobytes().decode()


def test_intervals_too_narrow(genome):
    windows = genome.windows("chr1", np.arange(0, 90, 30), 20)
    with pytest.raises(InputError, match=r"as wide as a seqlet.*widest interval 19 bp.*at least 20 bp"):
        draw_background(windows, intervals(("chr1", 0, 19)), genome, 5, seed=1)


def test_nonsense_number_of_windows(genome):
    with pytest.raises(ConfigError, match="background_windows must be 1 or more"):
        draw_background(as_letters("ACGT"), intervals(("chr1", 0, 500)), genome, 0, seed=1)
