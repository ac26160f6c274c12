"""Null sets: they mirror the nodes, keep what they must keep, and repeat exactly."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from helpers_page import manifest

from biosae.backgrounds import candidate_windows, strata
from biosae.errors import ConfigError, InputError
from biosae.genome import Genome
from biosae.motifs import null_sets, nulls

WIDTH = 20


@pytest.fixture(scope="module")
def genome(tmp_path_factory):
    """Two chromosomes; the second half of each is lower case and rich in GC; a run of N in the first."""
    rng = np.random.default_rng(0)
    lines = []
    for name in ("chrA", "chrB"):
        plain = "".join(rng.choice(list("ACGT"), 20_000, p=[0.35, 0.15, 0.15, 0.35]))
        rich = "".join(rng.choice(list("acgt"), 20_000, p=[0.2, 0.3, 0.3, 0.2]))
        lines.append(f">{name}\n{plain[:5000]}{'N' * 200}{plain[5200:]}{rich}\n")
    path = tmp_path_factory.mktemp("genome") / "genome.fa"
    path.write_text("".join(lines))
    return Genome(path)


@pytest.fixture(scope="module")
def pool(genome):
    return nulls.draw_pool(intervals(), genome, WIDTH, 20_000, 0)


def intervals() -> pd.DataFrame:
    return pd.DataFrame(
        {"chrom": ["chrA", "chrB"], "core_start": [0, 1000], "core_end": [40_000, 39_000]}
    ).assign(start=0, end=40_000)


def starts_of(records) -> list[tuple[str, int]]:
    spans = [header.split("(")[0].split(":") for header, _ in records]
    return [(chrom, int(span.split("-")[0])) for chrom, span in spans]


def dinucleotides(text: str) -> Counter:
    return Counter(itertools.pairwise(text))


def test_fewer_sets_than_nodes_mirror_nodes_at_even_ranks_and_more_go_round():
    table = manifest([40, 7, 12, 99])
    assert null_sets.plan_sets(table, 2)["mirrored_rank"].tolist() == [2, 4]
    assert null_sets.plan_sets(table, 4)["mirrored_node"].tolist() == [40, 7, 12, 99]
    assert null_sets.plan_sets(table, 6)["mirrored_node"].tolist() == [40, 7, 12, 99, 40, 7]
    assert null_sets.plan_sets(table.iloc[::-1], 6)["mirrored_node"].tolist() == [40, 7, 12, 99, 40, 7]
    assert null_sets.plan_sets(table.iloc[:0], 5).empty


def test_the_pool_lies_in_the_intervals_without_n_and_each_window_once(pool):
    spans = list(zip(pool.chrom, pool.start, strict=True))
    assert len(set(spans)) == len(spans)
    assert all(at + WIDTH <= 40_000 for chrom, at in spans if chrom == "chrA")
    assert all(at >= 1000 and at + WIDTH <= 39_000 for chrom, at in spans if chrom == "chrB")
    assert not np.isin(pool.letters, list(b"Nn")).any()


def test_a_pool_of_nothing_but_n_is_refused(tmp_path):
    (tmp_path / "n.fa").write_text(">chrA\n" + "N" * 40_000 + "\n>chrB\n" + "N" * 40_000 + "\n")
    with pytest.raises(InputError, match="free of N"):
        nulls.draw_pool(intervals(), Genome(tmp_path / "n.fa"), WIDTH, 100, 0)


def test_shuffles_keep_dinucleotides_headers_and_the_mark_of_repeats():
    rng = np.random.default_rng(1)
    records = [(f"chr1:{i}-{i + 40}(+)", "".join(rng.choice(list("ACGT"), 40))) for i in range(30)]
    records[3] = (records[3][0], records[3][1].lower())
    shuffled = nulls.shuffled_records(records, 7)
    assert [header for header, _ in shuffled] == [header for header, _ in records]
    for (_, before), (_, after) in zip(records, shuffled, strict=True):
        assert dinucleotides(before.upper()) == dinucleotides(after.upper())
    assert [text.islower() for _, text in shuffled] == [i == 3 for i in range(30)]
    assert sum(a != b for a, b in zip(records, shuffled, strict=True)) > 25
    assert nulls.shuffled_records(records, 7) == shuffled != nulls.shuffled_records(records, 8)


def test_genome_sets_have_the_shares_of_the_background_and_no_overlap(pool):
    rng = np.random.default_rng(2)
    rich = rng.choice(np.frombuffer(b"acgt", np.uint8), (3000, WIDTH), p=[0.2, 0.3, 0.3, 0.2])
    plain = rng.choice(np.frombuffer(b"ACGT", np.uint8), (1000, WIDTH), p=[0.35, 0.15, 0.15, 0.35])
    like = np.concatenate([rich, plain])
    sets = list(nulls.genome_sets(pool, like, [400] * 12, 0))
    letters = np.frombuffer("".join(text for some in sets for _, text in some).encode(), np.uint8)
    letters = letters.reshape(-1, WIDTH)
    want = np.bincount(strata(like), minlength=80) / len(like)
    got = np.bincount(strata(letters), minlength=80) / len(letters)
    assert abs(want - got).sum() / 2 < 0.06
    for some in sets:
        assert len(some) == 400
        places = sorted(starts_of(some))
        assert all(a != b or y - x >= WIDTH for (a, x), (b, y) in itertools.pairwise(places))


def test_a_filter_set_holds_the_windows_that_the_filter_scores_highest(pool):
    """Slow and plain: score every window base by base, take the best one after another."""
    (fast,) = nulls.filter_sets(pool, [50], seed=5, filter_bp=9)
    weights = nulls._random_filter(WIDTH, 9, nulls.set_seed(5, "filter", 1)).reshape(WIDTH, 4)
    assert (weights != 0).any(axis=1).sum() == 9
    scores = [
        sum(weights[i, "ACGT".index(base)] for i, base in enumerate(bytes(row).decode().upper()))
        for row in pool.letters
    ]
    taken: list[tuple[str, int]] = []
    for row in sorted(range(len(scores)), key=lambda row: -scores[row]):
        place = pool.chrom[row], int(pool.start[row])
        if all(place[0] != chrom or abs(place[1] - at) >= WIDTH for chrom, at in taken):
            taken.append(place)
        if len(taken) == 50:
            break
    assert starts_of(fast) == taken


def test_a_set_does_not_depend_on_how_many_sets_there_are(pool):
    few = list(nulls.filter_sets(pool, [30] * 3, 0))
    many = list(nulls.filter_sets(pool, [30] * 70, 0))
    assert many[:3] == few
    like = pool.letters[:500]
    assert list(nulls.genome_sets(pool, like, [30] * 5, 0))[:2] == list(
        nulls.genome_sets(pool, like, [30] * 2, 0)
    )
    assert len({tuple(some) for some in many}) == 70


def test_a_pool_that_runs_out_gives_smaller_sets_and_says_so(genome, tmp_path):
    folder = tmp_path / "seqlets"
    folder.mkdir()
    (folder / "background.fa").write_text("".join(f">b{i}\n{'ACGTA' * 4}\n" for i in range(50)))
    table = manifest([5]).assign(n_seqlets=10_000)
    settings = null_sets.NullSettings("filter", sets=2, pool_windows=300)
    written = null_sets.write_sets(folder, table, intervals(), genome, settings, tmp_path / "out")
    assert written["n_wanted"].tolist() == [10_000, 10_000]
    assert written["n_sequences"].between(1, 299).all()
    for number, n in zip(written["set"], written["n_sequences"], strict=True):
        text = (tmp_path / "out" / f"{number}_n{number - 1}.fa").read_text()
        assert text.count(">") == n


def test_a_run_without_kept_nodes_has_no_sets(genome, tmp_path):
    settings = null_sets.NullSettings("genome", sets=5)
    table = null_sets.write_sets(tmp_path, manifest([]), intervals(), genome, settings, tmp_path / "out")
    assert table.empty
    assert list(table.columns) == ["set", "mirrored_rank", "mirrored_node", "n_wanted", "n_sequences"]


def test_settings_that_do_not_fit_are_refused():
    with pytest.raises(ConfigError, match="Settings of null sets"):
        null_sets.NullSettings("chance")
    with pytest.raises(ConfigError, match="1 or more"):
        null_sets.NullSettings("genome", sets=0)


def test_the_pool_is_not_the_background_drawn_again(genome):
    first = candidate_windows(intervals(), WIDTH, 2000, np.random.default_rng(0))
    drawn = nulls.draw_pool(intervals(), genome, WIDTH, 2000, 0)
    common = set(zip(first["chrom"], first["start"], strict=True)) & set(
        zip(drawn.chrom, drawn.start, strict=True)
    )
    assert len(common) < 200  # of 2,000 of 78,000 starts: 51 expected


def test_backgrounds_that_do_not_fit_are_refused(genome, tmp_path):
    settings = null_sets.NullSettings("filter", sets=2, pool_windows=300)
    table = manifest([5]).assign(n_seqlets=10)
    for text in ("", ">a\nACGTA\n>b\nACG\n"):
        (tmp_path / "background.fa").write_text(text)
        with pytest.raises(InputError, match="not of one width"):
            null_sets.write_sets(tmp_path, table, intervals(), genome, settings, tmp_path / "out")


def test_a_background_like_nothing_in_the_pool_is_refused(pool):
    with pytest.raises(InputError, match="like the background in GC and repeats"):
        list(nulls.genome_sets(pool, np.full((5, WIDTH), ord("G"), np.uint8), [5], 0))


def test_files_of_an_earlier_draw_are_removed(genome, tmp_path):
    (tmp_path / "background.fa").write_text(f">b\n{'ACGTA' * 4}\n")
    table = manifest([5]).assign(n_seqlets=10)
    for n in (4, 2):
        settings = null_sets.NullSettings("filter", sets=n, pool_windows=300)
        null_sets.write_sets(tmp_path, table, intervals(), genome, settings, tmp_path / "out")
        assert len(list((tmp_path / "out").glob("*.fa"))) == n
