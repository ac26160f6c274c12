"""After the tiny config has run: what a change re-runs, exactly what it touches, and what stops the plan."""

import sys

import helpers
import pytest

pytestmark = pytest.mark.workflow

BELOW_SELECTION = {
    "write_seqlets": 2,
    "discover_motifs": 4,
    "collect_motifs": 2,
    "match_motifs": 2,
    "cluster_motifs": 2,
    "write_null_sets": 6,
    "discover_null_motifs": 6,
    "match_null_motifs": 6,
    "calibrate_nulls": 2,
    "measure_repeats": 2,
    "measure_specificity": 2,
    "collect_examples": 1,
    "summarise_nodes": 2,
    "embed_nodes": 1,
    "compute_jaccard": 1,
    "overlap_annotations": 1,
    "plot_landscape": 1,
    "build_atlas": 1,
    "export_run": 1,
    "score_runs": 1,
    "summarise_runs": 1,
}
NAMING = {
    "match_motifs": 2,
    "match_null_motifs": 6,
    "calibrate_nulls": 2,
    "note_motif_settings": 2,
    "summarise_nodes": 2,
    "build_atlas": 1,
    "export_run": 1,
    "score_runs": 1,
    "summarise_runs": 1,
}


def test_a_plan_of_the_tests_is_the_plan_as_typed(copy):
    folder, config = copy
    changed = {**config, "select": {**config["select"], "min_nonzero": 25}}
    planned = helpers.planned(helpers.snakemake(folder, changed, "-n"))
    words = [sys.executable, "-m", "snakemake", "--profile", "profiles/local", "-n"]
    typed = helpers.run([*words, "--configfile", "config.yaml"], folder)
    assert planned == helpers.planned(typed) == {"select_nodes": 2, **BELOW_SELECTION}


def test_a_finished_run_has_nothing_to_do(copy):
    folder, config = copy
    assert helpers.planned(helpers.snakemake(folder, config, "-n")) == {}


@pytest.mark.parametrize(
    ("section", "change", "expected"),
    [
        ("select", {"min_nonzero": 25}, {"select_nodes": 2, **BELOW_SELECTION}),
        ("matching", {"significance": 0.01}, NAMING),
        (
            "landscape",
            {"n_clusters": 3},
            {"embed_nodes": 1, "plot_landscape": 1, "build_atlas": 1, "export_run": 1},
        ),
    ],
)
def test_a_changed_parameter_reruns_what_is_below_it(copy, section, change, expected):
    folder, config = copy
    changed = {**config, section: {**config[section], **change}}
    assert helpers.planned(helpers.snakemake(folder, changed, "-n")) == expected


def test_a_changed_module_reruns_the_rules_that_use_it(copy):
    folder, config = copy
    module = folder / "scripts/biosae/landscape/jaccard.py"
    module.write_text(module.read_text() + "\n# a comment\n")
    plan = helpers.planned(helpers.snakemake(folder, config, "-n"))
    assert plan["compute_jaccard"] == 1
    assert not {"train_sae", "encode_activations", "discover_motifs", "embed_nodes"} & set(plan)


def test_a_baseline_reruns_for_its_own_settings_alone(copy):
    folder, config = copy
    settings = {"components": 5, "sample_positions": 1000, "seed": 3}
    assert helpers.planned(helpers.snakemake(folder, {**config, "baseline_settings": settings}, "-n")) == {}


@pytest.mark.parametrize("name", ["statistics_kernels.py", "encoding_kernels.py"])
def test_a_changed_kernel_hides_no_stale_job(copy, name):
    """Compiled code is no input of the jobs that use it: made again, it would mask those that are stale."""
    folder, config = copy
    module = folder / "scripts/biosae" / name
    module.write_text(module.read_text() + "\n# a comment\n")
    plan = helpers.planned(helpers.snakemake(folder, config, "-n"))
    assert "compile_sae_kernels" not in plan
    first = {"statistics_kernels.py": "compute_statistics", "encoding_kernels.py": "encode_activations"}[name]
    assert {first, "select_nodes", "summarise_runs"} <= set(plan)


def test_a_nodes_file_made_under_other_settings_is_stale(copy):
    folder, config = copy
    changed = {**config, "motifs": {**config["motifs"], "seed": 7}}
    target = f"results/tiny/{helpers.SAE}/meme/{helpers.first_node(folder, helpers.SAE)}/meme.txt"
    plan = helpers.planned(helpers.snakemake(folder, changed, "-n", target))
    assert plan == {"note_motif_settings": 1, "discover_node_motifs": 1}


def test_a_missing_raw_input_stops_the_plan_even_when_all_is_done(copy):
    folder, config = copy
    (folder / config["genome"]).unlink()
    result = helpers.snakemake(folder, config, "-n")
    assert result.returncode != 0
    assert "genome: no such file" in result.stderr + result.stdout


def test_an_unknown_key_stops_the_plan(copy):
    folder, config = copy
    result = helpers.snakemake(folder, {**config, "motif": {}}, "-n")
    assert result.returncode != 0
    assert "'motif' was unexpected" in result.stderr + result.stdout
