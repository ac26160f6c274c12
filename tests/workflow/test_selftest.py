"""The self-test's workflow on one tiny world: its tables, its picture, and what a change re-runs."""

import sys

import helpers
import pytest

sys.path.insert(0, str(helpers.ROOT / "tests" / "unit"))
import helpers_ladder

from biosae import artefacts

pytestmark = pytest.mark.workflow

SNAKEFILE = ("--snakefile", "workflow/selftest/Snakefile")


def test_one_world_runs_to_the_picture_and_a_change_reruns_its_rungs_alone(tmp_path):
    folder = tmp_path / "it's a folder"
    folder.mkdir()
    helpers.copy_project(folder)
    config = helpers_ladder.tiny_config(baselines=["raw", "random"])
    # motifs are not looked for, so that their kernels need not be compiled; what stands there is believed
    stamp = folder / "ladder" / "kernels" / "motifs.txt"
    stamp.parent.mkdir(parents=True)
    stamp.write_text("not compiled\n")
    result = helpers.snakemake(folder, config, *SNAKEFILE, "--rerun-triggers", "mtime")
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-4000:]
    ladder = artefacts.read_table(folder / "ladder" / "ladder.tsv", "ladder")
    assert ladder["run"].tolist() == ["topk", "chance", "raw", "random"]
    for name in ("ladder_detectors", "ladder_axes", "ladder_differences"):
        artefacts.read_table(folder / "ladder" / f"{name}.tsv", name)
    assert "best null" in (folder / "ladder" / "summary.txt").read_text()
    for name in ("ladder", "ladder_figures"):
        for suffix in ("svg", "png"):
            assert (folder / "ladder" / "figures" / f"{name}.{suffix}").stat().st_size > 0
    assert "topk" in (folder / "ladder" / "figures" / "ladder.svg").read_text()
    config["worlds"]["hard"] = {"axes": {"superposition": 3}, "settings": {"superposition": 3}}
    plan = helpers.planned(helpers.snakemake(folder, config, *SNAKEFILE, "-n"))
    assert plan["climb_rung"] == 1
    assert (plan["join_rungs"], plan["plot_ladder"]) == (1, 1)
    config["axes"]["superposition"]["label"] = "another label"
    config["worlds"].pop("hard")
    plan = helpers.planned(helpers.snakemake(folder, config, *SNAKEFILE, "-n"))
    assert "climb_rung" not in plan
    assert plan["join_rungs"] == 1
    # kernels that are made again must not hide that the rungs are stale
    program = folder / "scripts" / "compile_kernels.py"
    program.write_text(program.read_text() + "\n# another version\n")
    config["recipes"][0]["n_nodes"] = 32
    plan = helpers.planned(helpers.snakemake(folder, config, *SNAKEFILE, "-n"))
    assert plan["compile_kernels"] >= 1
    assert plan["climb_rung"] == 1


def test_a_wrong_configuration_is_refused_before_anything_runs(tmp_path):
    helpers.copy_project(tmp_path)
    config = helpers_ladder.tiny_config(motif_seeds=[7])
    result = helpers.snakemake(tmp_path, config, *SNAKEFILE, "-n")
    assert result.returncode != 0
    assert "motif_seeds must be among seeds" in result.stdout + result.stderr
