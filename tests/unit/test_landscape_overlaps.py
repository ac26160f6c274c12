"""Overlaps with annotations: planted ones are found, random ones are not; statistics by definition."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import biosae.landscape.overlaps as module
from biosae.artefacts import check_table, read_table
from biosae.errors import InputError
from biosae.landscape.overlaps import add_statistics, count_overlaps, fisher_two_sided, overlap_table
from biosae.landscape.tracks import Annotation
from unit.helpers_seqlets import write_seqlet_folder

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "overlap_annotations.py"
NODES = pd.DataFrame({"rank": [1, 2], "node": [7, 3]})


def frame(rows: list[tuple], last: str) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["chrom", "start", "end", last])
    return table.astype({"start": "int64", "end": "int64"})


def windows_at(chrom: str, starts, row: int, width: int = 20) -> pd.DataFrame:
    return frame([(chrom, int(s), int(s) + width, row) for s in starts], "row")


def annotation(rows: list[tuple], name: str = "repeats") -> Annotation:
    return Annotation(name, Path("a.bed"), frame(rows, "class"))


# ---- counting ----


def test_counts_literal():
    windows = frame([("chr1", 100, 110, 0), ("chr1", 110, 120, 0), ("chr2", 100, 110, 1)], "group")
    features = frame(
        [
            ("chr1", 109, 110, "a"),  # the last base of the first window
            ("chr1", 90, 100, "b"),  # touches: no overlap
            ("chr1", 105, 115, "c"),
            ("chr1", 106, 107, "c"),  # a second one of the class on the first window
            ("chr2", 0, 1000, "a"),
            ("chr9", 0, 1000, "d"),
        ],
        "class",
    )
    found = count_overlaps(windows, 2, features)
    assert found.classes.tolist() == ["a", "b", "c", "d"]
    assert found.counts.tolist() == [[1, 0, 2, 0], [1, 0, 0, 0]]


spans = st.tuples(st.sampled_from(["x", "y"]), st.integers(0, 60), st.integers(1, 15))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(spans, st.integers(0, 2)), max_size=15),
    st.lists(st.tuples(spans, st.sampled_from("pq")), max_size=15),
)
def test_counts_equal_slow_reference(windows, features):
    windows = [(c, s, s + n, group) for (c, s, n), group in windows]
    features = [(c, s, s + n, label) for (c, s, n), label in features]
    found = count_overlaps(frame(windows, "group"), 3, frame(features, "class"))
    for column, label in enumerate(found.classes):
        for group in range(3):
            expected = sum(
                w[3] == group
                and any(f[3] == label and f[0] == w[0] and f[1] < w[2] and w[1] < f[2] for f in features)
                for w in windows
            )
            assert found.counts[group, column] == expected


# ---- statistics ----


def fisher_slow(a, size, c, n_background):
    return [
        stats.fisher_exact([[x, n - x], [y, n_background - y]])[1] for x, n, y in zip(a, size, c, strict=True)
    ]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6))
def test_fisher_equals_scipy(seed):
    generator = np.random.default_rng(seed)
    n_background = int(generator.integers(1, 300))
    size = generator.integers(1, 60, 12)
    a, c = generator.integers(0, size + 1), generator.integers(0, n_background + 1, 12)
    p = fisher_two_sided(a, size, c, n_background)
    np.testing.assert_allclose(p, fisher_slow(a, size, c, n_background), rtol=1e-6)


def test_fisher_at_real_size_and_in_blocks(monkeypatch):
    a, size = np.array([0, 300, 412, 1000, 20]), np.array([1000, 1000, 1000, 1000, 37])
    c = np.array([5000, 6100, 7900, 0, 20000])
    p = fisher_two_sided(a, size, c, 20000)
    expected = np.array(fisher_slow(a, size, c, 20000))
    np.testing.assert_allclose(p[expected > 0], expected[expected > 0], rtol=1e-6)
    assert (p > 0).all() and p[3] < 1e-300
    monkeypatch.setattr(module, "_CELLS", 1500)
    assert np.array_equal(p, fisher_two_sided(a, size, c, 20000))


def test_statistics_literal():
    table = pd.DataFrame(
        {
            "n_overlap": [8, 0],
            "n_seqlets": [10, 4],
            "n_background_overlap": [20, 0],
            "n_background": [100, 100],
        }
    )
    add_statistics(table)
    # (8.5 / 2.5) / (20.5 / 80.5) = 13.351; error sqrt(1/8.5 + 1/2.5 + 1/20.5 + 1/80.5) = 0.7610
    assert table["odds_ratio"][0] == pytest.approx(13.3512, rel=1e-4)
    assert table["ci_low"][0] == pytest.approx(13.3512 / np.exp(1.959964 * 0.76098), rel=1e-3)
    assert table["ci_high"][0] == pytest.approx(13.3512 * np.exp(1.959964 * 0.76098), rel=1e-3)
    assert table["p_value"][1] == 1  # nothing overlaps on either side
    assert table["q_value"][0] == pytest.approx(2 * table["p_value"][0])  # two tests


def test_interval_covers_the_true_odds_ratio():
    """The 95 % interval holds the odds ratio that the counts were drawn from about 95 times in 100."""
    generator = np.random.default_rng(6)
    n, size, n_background, share, background_share = 2000, 200, 2000, 0.3, 0.1
    table = pd.DataFrame(
        {
            "n_overlap": generator.binomial(size, share, n),
            "n_seqlets": size,
            "n_background_overlap": generator.binomial(n_background, background_share, n),
            "n_background": n_background,
        }
    )
    add_statistics(table)
    true = share / (1 - share) / (background_share / (1 - background_share))
    assert 0.93 < ((table["ci_low"] < true) & (true < table["ci_high"])).mean() < 0.97


# ---- the table ----


def random_starts(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 1_000_000, n)


def test_planted_overlap_is_found_and_the_other_node_is_not():
    starts = random_starts(300, 1)
    seqlets = pd.concat([windows_at("chr1", starts, 0), windows_at("chr1", random_starts(300, 2), 1)])
    background = windows_at("chr1", random_starts(3000, 3), 0).drop(columns="row")
    planted = [("chr1", int(s) + 5, int(s) + 15, "planted") for s in starts[:200]]
    table = overlap_table(NODES, seqlets, background, [annotation(planted)]).set_index("node")
    assert table["n_overlap"][7] >= 200
    assert table["q_value"][7] < 1e-20 and table["ci_low"][7] > 10
    assert table["q_value"][3] > 0.05 and table["ci_low"][3] < 1 < table["ci_high"][3]
    check_table(table.reset_index()[module.COLUMNS], "overlaps")


def test_depletion_is_found():
    background = windows_at("chr1", random_starts(3000, 3), 0).drop(columns="row")
    seqlets = windows_at("chr1", 2 * random_starts(300, 1) % 500_000, 0)
    table = overlap_table(NODES[:1], seqlets, background, [annotation([("chr1", 500_020, 1_000_020, "far")])])
    assert table["odds_ratio"][0] < 0.01 and table["q_value"][0] < 1e-20


def test_random_annotations_are_not_significant():
    """A null: 200 tests of random intervals against random seqlets; q < 0.05 may hardly ever occur."""
    nodes = pd.DataFrame({"rank": range(1, 21), "node": range(20)})
    seqlets = pd.concat([windows_at("chr1", random_starts(200, 100 + row), row) for row in range(20)])
    background = windows_at("chr1", random_starts(4000, 99), 0).drop(columns="row")
    generator = np.random.default_rng(5)
    rows = [("chr1", int(s), int(s) + 300, f"c{generator.integers(10)}") for s in random_starts(4000, 7)]
    table = overlap_table(nodes, seqlets, background, [annotation(rows)])
    assert len(table) == 200
    assert (table["q_value"] < 0.05).sum() <= 1
    assert (table["p_value"] < 0.05).mean() < 0.1
    assert (table["p_value"] < 0.5).sum() > 40  # the test has power: p is spread over [0, 1]


def test_order_of_annotations_and_windows_does_not_matter():
    seqlets = pd.concat(
        [windows_at("chr1", random_starts(50, 1), 0), windows_at("chr1", random_starts(50, 2), 1)]
    )
    background = windows_at("chr1", random_starts(500, 3), 0).drop(columns="row")
    tracks = [
        annotation([("chr1", 0, 400_000, "A")], "x"),
        annotation([("chr1", 300_000, 900_000, "B")], "b"),
    ]
    table = overlap_table(NODES, seqlets, background, tracks)
    mixed = overlap_table(NODES, seqlets.sample(frac=1, random_state=1), background, tracks[::-1])
    pd.testing.assert_frame_equal(table, mixed)
    assert table[["rank", "annotation"]].to_numpy().tolist() == [[1, "b"], [1, "x"], [2, "b"], [2, "x"]]


def test_nothing_to_compare():
    background = windows_at("chr1", [1], 0).drop(columns="row")
    empty = windows_at("chr1", [], 0)
    track = annotation([("chr1", 0, 5, "A")])
    assert overlap_table(NODES, windows_at("chr1", [1], 0), background, []).columns.tolist() == module.COLUMNS
    assert len(overlap_table(NODES[:0], empty, background, [track])) == 0
    check_table(overlap_table(NODES[:0], empty, background, [track]), "overlaps")


def test_annotation_of_another_assembly_is_refused():
    seqlets = windows_at("chr1", [1], 0)
    with pytest.raises(InputError, match=r"'repeats' names none of the chromosomes.*\['1'\].*\['chr1'\]"):
        overlap_table(NODES, seqlets, seqlets.drop(columns="row"), [annotation([("1", 0, 5, "A")])])


def test_empty_background_is_refused():
    seqlets = windows_at("chr1", [1], 0)
    with pytest.raises(InputError, match="background is empty"):
        overlap_table(NODES, seqlets, seqlets.drop(columns="row")[:0], [annotation([("chr1", 0, 5, "A")])])


# ---- the program ----


def run_program(monkeypatch, run: Path, *options: str) -> pd.DataFrame:
    monkeypatch.setattr(
        sys, "argv", ["x", "--run", str(run), "--output", str(run / "overlaps.tsv"), *options]
    )
    runpy.run_path(str(SCRIPT), run_name="__main__")
    return read_table(run / "overlaps.tsv", "overlaps")


def test_program(monkeypatch, tmp_path):
    sites = {4: [("chr1", 100), ("chr1", 200)], 9: [("chr1", 300)], 5: []}
    background = [("chr1", start) for start in range(0, 400, 40)]
    run = write_seqlet_folder(tmp_path / "a 'run'", sites, background=background)
    path = tmp_path / "my repeats.bed"
    path.write_text("chr1\t95\t205\tn\t0\tNA\nchr1\t1000\t1001\tn\t0\tnever\n")
    table = run_program(monkeypatch, run, "--annotation", "r", str(path), "6")
    counts = ["node", "class", "n_seqlets", "n_overlap", "n_background", "n_background_overlap"]
    assert table[counts].to_numpy().tolist() == [[4, "NA", 2, 2, 10, 3], [9, "NA", 1, 0, 10, 3]]
    assert len(run_program(monkeypatch, run)) == 0  # no annotation


def test_program_without_nodes(monkeypatch, tmp_path):
    run = write_seqlet_folder(tmp_path / "run", {})
    path = tmp_path / "a.bed"
    path.write_text("chr1\t95\t205\tn\t0\tA\n")
    assert len(run_program(monkeypatch, run, "--annotation", "r", str(path))) == 0


def test_broken_background(tmp_path):
    run = write_seqlet_folder(tmp_path / "run", {})
    (run / "seqlets" / "background.fa").write_text(">somewhere\nACGT\n")
    with pytest.raises(InputError, match=r"background header is not.*>somewhere"):
        module.read_background(run)
    (run / "seqlets" / "background.fa").unlink()
    with pytest.raises(InputError, match="Cannot read the background"):
        module.read_background(run)
