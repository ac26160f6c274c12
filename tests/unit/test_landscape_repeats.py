"""Repeats: a planted repeat node is found, null nodes are not, and no bad input passes in silence."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from biosae.artefacts import check_table, conform, read_table
from biosae.errors import ConfigError, InputError
from biosae.genome import Genome
from biosae.landscape.repeats import Settings, choose_classes, repeat_table
from biosae.landscape.tracks import Annotation
from biosae.repeat_classes import kind_of
from unit.helpers_seqlets import LETTERS, TINY, write_genome, write_run, write_seqlet_folder

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "measure_repeats.py"
WIDTH, N_BP, PERIOD, REPEAT_BP = 20, 200_000, 1000, 200
SMALL = Settings(background_windows=2000, pool_windows=20_000)
INTERVALS = pd.DataFrame({"chrom": ["chr1"], "core_start": [0], "core_end": [N_BP]})


def repeat_genome(folder: Path, masked: bool = True, repeat_gc: float = 0.7) -> Genome:
    """Every 1000 bp begin with 200 bp of lower case, of 70 % GC; the rest has 40 % GC."""
    rng = np.random.default_rng(0)
    in_repeat = np.arange(N_BP) % PERIOD < REPEAT_BP
    strong = rng.random(N_BP) < np.where(in_repeat, repeat_gc, 0.4)
    codes = np.where(strong, rng.integers(1, 3, N_BP), 3 * rng.integers(0, 2, N_BP))
    letters = LETTERS[codes].copy()
    if masked:
        letters[in_repeat] += 32
    return Genome(write_genome(folder / "g.fa", {"chr1": letters.tobytes().decode()}))


def in_repeats(n: int, seed: int) -> list[int]:
    """Non-overlapping windows inside repeats, one a repeat."""
    rng = np.random.default_rng(seed)
    return (rng.permutation(N_BP // PERIOD)[:n] * PERIOD + rng.integers(0, REPEAT_BP - WIDTH, n)).tolist()


def gc_rich(genome: Genome, n: int, seed: int) -> list[int]:
    """Random windows of 55 to 65 % GC, in repeats or not."""
    start = np.random.default_rng(seed).permutation(N_BP // WIDTH) * WIDTH
    letters = genome.windows("chr1", start, WIDTH)
    gc = np.isin(letters, list(b"GCgc")).mean(axis=1)
    return start[(gc >= 0.55) & (gc <= 0.65)][:n].tolist()


def measured(
    genome, starts: list[list[int]], features=None, options=SMALL, intervals=INTERVALS, counts=None
) -> pd.DataFrame:
    """The table; ``counts`` takes what was left out."""
    nodes = pd.DataFrame({"rank": np.arange(1, len(starts) + 1), "node": 10 * np.arange(1, len(starts) + 1)})
    rows = [("chr1", s, s + WIDTH, row) for row, places in enumerate(starts) for s in places]
    seqlets = pd.DataFrame(rows, columns=["chrom", "start", "end", "row"])
    annotation = None if features is None else Annotation("repeats", Path("r.bed"), features)
    table, left_out = repeat_table(nodes, seqlets, intervals, genome, annotation, options)
    if counts is not None:
        counts.update(left_out)
    check_table(conform(table, "repeats"), "repeats")
    return table


def classes(every: int = 2) -> pd.DataFrame:
    """The repeats of the genome: SINE and LINE in turn."""
    start = np.arange(0, N_BP, PERIOD)
    label = np.where(np.arange(len(start)) % every == 0, "SINE/Alu", "LINE/L1")
    return pd.DataFrame({"chrom": "chr1", "start": start, "end": start + REPEAT_BP, "class": label})


def test_a_planted_repeat_node_is_found_with_its_class(tmp_path):
    genome = repeat_genome(tmp_path)
    sine = [s for s in in_repeats(200, 1) if s // PERIOD % 2 == 0]
    random = np.random.default_rng(2).permutation(N_BP // WIDTH)[:100] * WIDTH
    table = measured(genome, [sine, random.tolist()], classes())
    found = table[table["explains"]]
    assert found[["node", "class"]].to_numpy().tolist() == [[10, "soft_masked"], [10, "SINE/Alu"]]
    first = table.iloc[0]
    assert (first["n_seqlets"], first["n_overlap"], first["share"]) == (len(sine), len(sine), 1.0)
    assert first["excess_share"] == 1.0
    assert first["ci_low"] > 1
    assert first["gc_distance"] < 0.02
    assert table["source"].tolist() == ["genome", "bed", "bed"] * 2


def test_odds_p_and_q_are_those_of_the_counts(tmp_path):
    table = measured(repeat_genome(tmp_path), [in_repeats(60, 1), list(range(0, 4000, WIDTH))], classes())
    a, n = table["n_overlap"] + 0.5, table["n_seqlets"] + 1
    c, m = table["n_background_overlap"] + 0.5, table["n_background"] + 1
    np.testing.assert_allclose(table["odds_ratio"], a / (n - a) / (c / (m - c)))
    counts = table[["n_overlap", "n_seqlets", "n_background_overlap", "n_background"]].to_numpy()
    assert len(set(counts[:, 3])) > 1  # nodes have backgrounds of their own size
    p = [stats.fisher_exact([[a, n - a], [c, m - c]]).pvalue for a, n, c, m in counts]
    np.testing.assert_allclose(table["p_value"], p, rtol=1e-6)
    order = np.sort(p) * len(p) / np.arange(1, len(p) + 1)
    assert np.isclose(table["q_value"].min(), np.minimum.accumulate(order[::-1])[-1])


def test_null_nodes_are_not_significant_also_where_gc_goes_with_repeats(tmp_path):
    genome = repeat_genome(tmp_path)
    table = measured(genome, [gc_rich(genome, 150, seed) for seed in range(20)], classes())
    assert (table["q_value"] < 0.05).sum() <= 1
    assert not table["explains"].any()
    # the same windows against all windows of the genome, unmatched, would be called repeats
    masked = table[table["class"] == "soft_masked"]
    assert masked["share"].mean() > 1.5 * REPEAT_BP / PERIOD


def test_a_small_excess_is_significant_and_explains_nothing(tmp_path):
    genome = repeat_genome(tmp_path, repeat_gc=0.4)
    mixed = in_repeats(80, 3) + [p * PERIOD + 500 for p in range(120)]
    row = measured(genome, [mixed]).iloc[0]
    assert row["q_value"] < 1e-6
    assert 0.2 < row["excess_share"] < 0.4
    assert not row["explains"]
    easier = Settings(background_windows=2000, pool_windows=20_000, explained_share=0.2)
    assert measured(genome, [mixed], options=easier)["explains"].all()


def test_a_class_explains_nothing_against_a_background_of_other_gc(tmp_path):
    rng = np.random.default_rng(0)
    only_gc = LETTERS[rng.integers(1, 3, 2000)].tobytes().decode().lower()  # soft-masked, and of 100 % GC
    text = only_gc + LETTERS[rng.integers(0, 4, N_BP - 2000)].tobytes().decode()
    genome = Genome(write_genome(tmp_path / "g.fa", {"chr1": text}))
    own = [*range(0, 1800, WIDTH), *range(4000, 4200, WIDTH)]
    beyond = INTERVALS.assign(core_start=2000)  # where no window has the GC of nine tenths of the seqlets
    counts: dict = {}
    row = measured(genome, [own, list(range(9000, 9400, WIDTH))], intervals=beyond, counts=counts).iloc[0]
    assert (row["share"], row["background_share"]) == (0.9, 0.0)
    assert row["excess_share"] == pytest.approx(0.9)
    assert row["q_value"] < 1e-9
    assert row["gc_distance"] > 0.8
    assert not row["explains"]
    assert counts["nodes_with_a_background_of_other_gc"] == 1
    # with windows of its GC at hand, the same seqlets are in the class as often as these
    row = measured(genome, [own], counts=counts).iloc[0]
    assert row["gc_distance"] < 0.05
    assert row["excess_share"] < 0.3
    assert counts["nodes_with_a_background_of_other_gc"] == 0


def test_a_node_of_which_no_window_has_the_gc_has_no_row_and_is_counted(tmp_path):
    rng = np.random.default_rng(0)
    text = "c" * 2000 + LETTERS[rng.integers(0, 4, N_BP - 2000)].tobytes().decode()
    genome = Genome(write_genome(tmp_path / "g.fa", {"chr1": text}))
    counts: dict = {}
    table = measured(
        genome,
        [list(range(0, 800, WIDTH)), list(range(9000, 9400, WIDTH))],
        intervals=INTERVALS.assign(core_start=2000),
        counts=counts,
    )
    assert table["node"].tolist() == [20]
    assert counts["nodes_without_background"] == 1
    assert counts["nodes_with_a_background_of_other_gc"] == 0


def test_without_a_soft_mask_nothing_is_masked_and_the_bed_still_speaks(tmp_path):
    genome = repeat_genome(tmp_path, masked=False)
    table = measured(genome, [in_repeats(100, 1)], classes(every=1))
    assert table.set_index("class")["share"].to_dict() == {"soft_masked": 0.0, "SINE/Alu": 1.0}
    assert table["explains"].tolist() == [False, True]


@pytest.mark.parametrize(
    ("label", "kind"),
    [
        ("Simple_repeat", "low_complexity"),
        ("Low_complexity", "low_complexity"),
        ("low_complexity", "low_complexity"),
        ("SINE/Alu", "repeat"),
        ("Satellite/centr", "repeat"),
        ("LTR?", "repeat"),
        ("soft_masked", "repeat"),
        ("(CA)n", "low_complexity"),
        ("A-rich", "low_complexity"),
        ("GC_rich", "low_complexity"),
    ],
)
def test_kinds_of_classes(label, kind):
    assert kind_of(label) == kind


def test_chosen_classes_alone_count_and_a_misspelt_one_is_refused():
    features = classes().assign(other=1)
    annotation = Annotation("repeats", Path("r.bed"), features)
    assert set(choose_classes(annotation, ["LINE/L1"]).features["class"]) == {"LINE/L1"}
    assert choose_classes(annotation, None) is annotation
    with pytest.raises(
        InputError, match=r"1 of the classes of repeats are not.*SINEs.*SINE/Alu.*class_column"
    ):
        choose_classes(annotation, ["SINEs", "LINE/L1"])


def test_settings_that_cannot_be_are_refused():
    for wrong in ({"background_windows": 10, "pool_windows": 5}, {"background_windows": 0}):
        with pytest.raises(ConfigError, match=r"pool_windows must be at least"):
            Settings(**wrong)
    with pytest.raises(ConfigError, match=r"explained_share"):
        Settings(explained_share=0)


def test_a_bed_of_other_chromosome_names_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"names none of the chromosomes of the seqlets.*'1'"):
        measured(repeat_genome(tmp_path), [in_repeats(20, 1)], classes().assign(chrom="1"))


# ---- the program ----


def call(monkeypatch, *words) -> None:
    monkeypatch.setattr(sys, "argv", ["measure_repeats.py", *map(str, words)])
    runpy.run_path(str(SCRIPT), run_name="__main__")


def run_folder(tmp_path: Path, sites: dict[int, list[int]]) -> list[object]:
    """The options that name a run whose seqlets are 10 bp, and its genome."""
    genome = repeat_genome(tmp_path)
    run = tmp_path / "layer" / "run"
    write_run(run, [], list(sites), [["chr1", 0, N_BP, 0, N_BP]])
    places = {node: [("chr1", start) for start in starts] for node, starts in sites.items()}
    write_seqlet_folder(run, places, TINY.window_bp)
    small = ["--background-windows", 500, "--pool-windows", 5000]
    return ["--run", run, "--genome", genome.path, *small, "--output", run / "repeats.tsv"]


def test_the_program_writes_the_same_bytes_twice_and_says_what_it_left_out(tmp_path, monkeypatch):
    words = run_folder(tmp_path, {4: in_repeats(40, 1), 9: []})
    bed = tmp_path / "rm.bed"
    rows = [f"chr1\t{s}\t{s + REPEAT_BP}\tAluY\t0\t+\tSINE\n" for s in range(0, N_BP, PERIOD)]
    bed.write_text("".join(rows) + "chr1\t300\t320\tenh\t0\t+\tenhancer\n")
    more = ["--path", bed, "--class-column", 7, "--classes", "SINE"]
    texts = []
    for _ in range(2):
        call(monkeypatch, *words, *more)
        texts.append([(words[-1].parent / name).read_text() for name in ("repeats.tsv", "repeats.tsv.json")])
    assert texts[0] == texts[1]
    table = read_table(words[-1], "repeats")
    assert table[["node", "class", "explains"]].to_numpy().tolist() == [
        [4, "soft_masked", True],
        [4, "SINE", True],
    ]
    about = json.loads(texts[0][1])
    assert about["counts"] == {
        "nodes": 2,
        "nodes_without_seqlets": 1,
        "nodes_without_background": 0,
        "nodes_with_a_background_of_other_gc": 0,
    }
    assert about["settings"]["classes"] == ["SINE"]


def test_a_run_without_any_kept_node_gives_an_empty_table(tmp_path, monkeypatch):
    words = run_folder(tmp_path, {})
    call(monkeypatch, *words)
    assert read_table(words[-1], "repeats").empty


def test_bad_input_exits_with_its_reason(tmp_path, monkeypatch, capsys):
    words = run_folder(tmp_path, {4: in_repeats(10, 1)})
    bed = tmp_path / "rm.bed"
    bed.write_text("chr1\t10\t5\tx\t0\tSINE\n")
    for more, reason in (
        (["--path", bed], "end before start"),
        (["--pool-windows", 10], "pool_windows must be at least"),
    ):
        with pytest.raises(SystemExit) as stop:
            call(monkeypatch, *words, *more)
        assert stop.value.code == 2
        assert reason in capsys.readouterr().err
        assert not words[-1].exists()
