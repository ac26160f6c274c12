"""One thing changed in a finished run: exactly what depends on it is planned, and the plan says why."""

import os
import re
import shutil
import sys
from pathlib import Path

import h5py
import helpers
import pytest

from biosae import artefacts

sys.path.insert(0, str(helpers.ROOT / "tests" / "unit"))

from helpers_meme_suite import MEME_BODY, calls, stand_in

pytestmark = pytest.mark.workflow

RUNS = ("topk-x4-k4-lr0.003-s0", "raw")
SAE = f"results/tiny/{RUNS[0]}"
PAGES = {"build_atlas": 1, "export_run": 1, "summarise_runs": 1}
NAMES = {"summarise_nodes": 2, **PAGES}
BELOW_MOTIFS = {"match_motifs": 1, "cluster_motifs": 1, "calibrate_nulls": 1, "measure_specificity": 1}
BELOW_MOTIFS |= {"collect_examples": 1, "summarise_nodes": 1, "score_runs": 1, **PAGES}


def plan(folder: Path, config: dict, *targets: str) -> dict[str, int]:
    return helpers.planned(helpers.snakemake(folder, config, "-n", *targets))


def reasons(text: str) -> dict[str, str]:
    """The reason of a rule's last job in a dry run."""
    return dict(re.findall(r"^rule (\w+):$.*?^    reason: ([^\n]*)", text, re.M | re.S))


def add_comment(path: Path) -> None:
    path.write_text(path.read_text() + "\n# a comment\n")


def add_file(store: Path) -> None:
    """A third file of activations, a copy of the first, with rows of its own in the interval table."""
    shutil.copy(store / "activations_1.h5", store / "activations_2.h5")
    (table,) = store.glob("*_seqs.bed")
    rows = [line.split("\t") for line in table.read_text().splitlines()]
    at, added = rows[0].index("chunk_ind"), [row.copy() for row in rows[1:] if row[-2] == "1"]
    for row in added:
        row[at] = "2"
    table.write_text("".join("\t".join(row) + "\n" for row in rows + added))


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        ("plot_quality.py", {"plot_quality": 2}),
        ("plot_training.py", {"plot_training": 1}),
        ("biosae/landscape/figures.py", {"plot_landscape": 1}),
        ("biosae/scoreboard/picture.py", {"summarise_runs": 1}),
        ("biosae/atlas/builder.py", {"build_atlas": 1}),
        ("biosae/atlas/page/atlas.css", {"build_atlas": 1}),
        ("biosae/exports/bigbed.py", {"export_run": 1}),
        ("biosae/landscape/repeats.py", {"measure_repeats": 2, **NAMES}),
        ("compile_kernels.py", {}),
    ],
)
def test_a_changed_module_reruns_its_users_and_what_is_below(copy, module, expected):
    folder, config = copy
    add_comment(folder / "scripts" / module)
    result = helpers.snakemake(folder, config, "-n")
    assert helpers.planned(result) == expected
    first = next(iter(expected), None)
    if first is not None:
        why = reasons(result.stdout)[first]
        assert why.startswith("Params have changed since last execution")
        assert f"code of {first}.py and the modules it imports" in why


def test_an_added_training_file_reruns_all_that_reads_it(copy):
    folder, config = copy
    everything = plan(folder, {**config, "results": "elsewhere"})
    add_file(folder / config["activations"]["train"])
    result = helpers.snakemake(folder, config, "-n")
    unmoved = {"compile_kernels", "compile_sae_kernels", "note_motif_settings"}
    expected = {rule: count for rule, count in everything.items() if rule not in unmoved}
    assert helpers.planned(result) == expected
    assert re.search("input files|[Ii]nput files", reasons(result.stdout)["compute_statistics"])

    def rows() -> int:
        with h5py.File(folder / "results/tiny/statistics.h5") as handle:
            return int(handle["count"][0])

    before = rows()
    with h5py.File(folder / config["activations"]["train"] / "activations_2.h5") as handle:
        (data,) = (handle[name] for name in handle)
        added = data.shape[0] * data.shape[1]
    ran = helpers.snakemake(folder, config, "results/tiny/statistics.h5")
    assert ran.returncode == 0, ran.stderr
    assert rows() == before + added


def test_an_added_validation_file_leaves_statistics_and_permuted_stores(copy):
    folder, config = copy
    add_file(folder / config["activations"]["validation"])
    counts = plan(folder, config)
    assert (counts["train_sae"], counts["build_baseline"], counts["encode_activations"]) == (1, 1, 2)
    assert not {"compute_statistics", "compile_sae_kernels", "note_motif_settings"} & set(counts)
    everything = plan(folder, {**config, "results": "elsewhere"})
    apart = {"compute_statistics", "compile_kernels", "compile_sae_kernels", "note_motif_settings"}
    assert counts == {rule: count for rule, count in everything.items() if rule not in apart}


def test_targets_name_one_run_one_stage_or_one_node(copy):
    folder, config = copy
    selected = {**config, "select": {**config["select"], "min_nonzero": 25}}
    counts = plan(folder, selected, f"results/tiny/{RUNS[1]}/motifs.tsv")
    one_run = {"select_nodes": 1, "write_seqlets": 1, "discover_motifs": 2, "collect_motifs": 1}
    assert counts == one_run
    reseeded = {**config, "motifs": {**config["motifs"], "seed": 7}}
    stage = {"note_motif_settings": 1, "discover_motifs": 2, "collect_motifs": 1}
    assert plan(folder, reseeded, f"{SAE}/motifs.tsv") == stage
    manifest = artefacts.read_table(folder / SAE / "seqlets/manifest.tsv", "seqlet_manifest")
    node = manifest["file"].iloc[1].removesuffix(".fa")
    counts = plan(folder, reseeded, f"{SAE}/tomtom/{node}/tomtom.tsv")
    assert counts == {"note_motif_settings": 1, "discover_node_motifs": 1, "match_node_motifs": 1}


def test_a_changed_setting_is_shown_with_its_value_before_and_now(copy):
    folder, config = copy
    changed = {**config, "select": {**config["select"], "min_nonzero": 25}}
    result = helpers.snakemake(folder, changed, "-n")
    why = reasons(result.stdout)
    assert re.search(
        r"before: \[.*'--min-nonzero', '20'.*now: \[.*'--min-nonzero', '25'", why["select_nodes"]
    )
    assert why["write_seqlets"].startswith("Input files updated by another job")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (f"{SAE}/figures/overlaps.png", {"plot_landscape": 1}),
        ("results/summary.html", {"summarise_runs": 1}),
        (f"{SAE}/nodes.tsv", {"summarise_nodes": 1, **PAGES}),
        (
            f"{SAE}/motifs.tsv",
            {"collect_motifs": 1, **BELOW_MOTIFS},
        ),
        ("results/kernels/sae.txt", {"compile_sae_kernels": 1}),
        # what README does not list is made again when something needs it, and not before
        (f"{SAE}/nulls/genome/status.tsv", {}),
        (f"{SAE}/motifs/chunk_1.tsv", {}),
    ],
)
def test_an_output_deleted_by_hand_is_made_again_with_what_is_below(copy, name, expected):
    folder, config = copy
    (folder / name).unlink()
    assert plan(folder, config) == expected


def test_deleted_outputs_come_back_with_the_same_bytes(copy):
    folder, config = copy
    names = [f"{SAE}/motifs.tsv", f"{SAE}/nodes.tsv", f"{SAE}/figures/quality.svg", "results/summary.tsv"]
    before = {
        path: path.read_bytes()
        for path in (folder / "results").rglob("*.tsv")
        if "benchmarks" not in path.parts
    }
    for name in names:
        before[folder / name] = (folder / name).read_bytes()
        (folder / name).unlink()
    result = helpers.snakemake(folder, config)
    assert result.returncode == 0, result.stderr
    assert {path: path.read_bytes() for path in before} == before


def test_a_failed_chunk_says_which_nodes_and_repeats_them_alone(copy, tmp_path, monkeypatch):
    """Snakemake removes the status table of a chunk that fails; what failed stands beside it."""
    folder, config = copy
    failing = "if pathlib.Path(__file__).with_name('fail').exists() and len(calls.open().readlines()) == 2:\n"
    stand_in(tmp_path / "bin", "meme", failing + "    sys.exit('no memory')\n" + MEME_BODY)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    (tmp_path / "bin/fail").touch()
    config = {**config, "motifs": {**config["motifs"], "engine": "meme"}}
    target = f"{SAE}/motifs/chunk_0.tsv"
    first = helpers.snakemake(folder, config, target)
    assert first.returncode != 0
    assert "Motif discovery failed for 1 of" in first.stderr, "show-failed-logs shows it"
    assert not (folder / SAE / "motifs/status_0.tsv").exists()
    status = artefacts.read_table(folder / SAE / "motifs/failed_0.tsv", "motif_status")
    assert (status["status"] == "failed").sum() == 1
    (tmp_path / "bin/fail").unlink()
    before = len(calls(tmp_path / "bin", "meme"))
    again = helpers.snakemake(folder, config, target)
    assert again.returncode == 0, again.stderr
    assert len(calls(tmp_path / "bin", "meme")) == before + 1
    assert not (folder / SAE / "motifs/failed_0.tsv").exists()
    status = artefacts.read_table(folder / SAE / "motifs/status_0.tsv", "motif_status")
    assert "failed" not in set(status["status"])
