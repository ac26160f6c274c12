"""The tiny config end to end: its artefacts, its targets, and what it ends in where no node is kept."""

import gzip
import json
import re
from pathlib import Path

import helpers
import pandas as pd
import pytest

from biosae import artefacts
from biosae.atlas.payload import decode

pytestmark = pytest.mark.workflow

RUNS = (helpers.SAE, "raw")


def test_every_artefact_is_there_and_fits_its_contract(copy):
    folder, _ = copy
    tables = {
        "training_curve.tsv": "training_curve",
        "node_stats.tsv": "node_stats",
        "selected_nodes.tsv": "selected_nodes",
        "seqlets/manifest.tsv": "seqlet_manifest",
        "motifs.tsv": "motifs",
        "matches.tsv": "matches",
        "calibration.tsv": "calibration",
        "null_counts.tsv": "null_counts",
        "null_targets.tsv": "null_targets",
        "motif_clusters.tsv": "motif_clusters",
        "repeats.tsv": "repeats",
        "specificity.tsv": "specificity",
        "nodes.tsv": "nodes",
    }
    seen = {"umap.tsv": "umap", "jaccard.tsv": "jaccard", "overlaps.tsv": "overlaps"}
    seen["exports/exports.tsv"] = "exports"
    for run in RUNS:
        own = folder / "results/tiny" / run
        for name, schema in (tables | (seen if run == helpers.SAE else {})).items():
            artefacts.read_table(own / name, schema)
        for name in ("checkpoint/model.safetensors", "evaluation.json", "figures/quality.svg"):
            assert (own / name).stat().st_size > 0
        for name in ("examples.h5", "atlas/index.html", "figures/umap.png", "exports/motifs.h5"):
            assert (own / name).exists() == (run == helpers.SAE), "a baseline's page is made when asked for"
    summary = artefacts.read_table(folder / "results/summary.tsv", "summary")
    assert set(summary["run"]) == set(RUNS)
    assert len(artefacts.read_table(folder / f"results/tiny/{helpers.SAE}/nodes.tsv", "nodes")) > 0


def test_every_table_has_its_provenance_beside_it(copy):
    folder, _ = copy
    tables = list((folder / "results").rglob("*.tsv"))
    tables = [t for t in tables if "benchmarks" not in t.parts and "tomtom" not in t.parts]
    # MultiQC would read it as data of its own; exports.tsv.json is that of the whole folder
    tables = [t for t in tables if not t.name.endswith("_mqc.tsv")]
    tables = [
        t for t in tables if t.parent != folder / "results/tiny" / helpers.SAE / "atlas/files"
    ]  # copies
    assert len(tables) > 20
    for table in tables:
        made_by = json.loads(Path(f"{table}.json").read_text())
        text = json.dumps(made_by)
        assert str(folder) not in text, f"{table.name}.json holds a path of this machine"
        assert "versions" in made_by


def test_the_plan_is_whole_before_anything_runs(copy):
    folder, config = copy
    result = helpers.snakemake(folder, {**config, "results": "elsewhere"}, "-n")
    plan = helpers.planned(result)
    assert "<TBD>" not in result.stdout
    assert plan["train_sae"] == 1
    assert plan["build_baseline"] == 1
    assert plan["discover_motifs"] == 2 * config["motifs"]["chunks"]


def test_baselines_read_stores_of_their_own(copy):
    folder, config = copy
    twin = {"train": "data/activations/validation", "validation": "data/activations/train"}
    changed = {**config, "baselines": ["pca", "permuted", "random_model"], "results": "elsewhere"}
    changed["activations"] = {**config["activations"], "random_model": twin}
    result = helpers.snakemake(folder, changed, "-n")
    assert result.returncode == 0, result.stderr
    blocks = re.split(r"\n\n", result.stdout)
    jobs = [re.search(r"rule (\w+):\n +input: ([^\n]*)\n.*wildcards: run=([^\n,]*)", b, re.S) for b in blocks]
    jobs = [job.groups() for job in jobs if job]
    given, own = config["activations"], "elsewhere/tiny"
    stores = {
        "topk": (given["train"], given["validation"], f"{own}/statistics.h5"),
        "permuted": (f"{own}/permuted/train", f"{own}/permuted/validation", f"{own}/statistics.h5"),
        "random_model": (twin["train"], twin["validation"], f"{own}/random_model/statistics.h5"),
    }
    for role, (train, validation, statistics) in stores.items():
        read = {rule: set(files.split(", ")) for rule, files, run in jobs if run.startswith(role)}
        assert {str(Path(file).parent) for file in read["train_sae"]} >= {train, validation}
        assert statistics in read["train_sae"]
        for rule in ("encode_activations", "measure_specificity"):
            folders = {str(Path(file).parent) for file in read[rule]}
            assert train in folders, (role, rule)
            assert not folders & {*twin.values()} - {train}, (role, rule)


def test_one_nodes_target_runs_one_job_and_gives_the_same_bytes(copy):
    folder, config = copy
    target = f"results/tiny/{helpers.SAE}/meme/{helpers.first_node(folder, helpers.SAE)}/meme.txt"
    assert helpers.planned(helpers.snakemake(folder, config, "-n", target)) == {}
    before = (folder / target).read_bytes()
    (folder / target).unlink()
    assert helpers.planned(helpers.snakemake(folder, config, "-n", target)) == {"discover_node_motifs": 1}
    result = helpers.snakemake(folder, config, target)
    assert result.returncode == 0, result.stderr
    assert (folder / target).read_bytes() == before


def test_one_nodes_tomtom_and_fasta_are_targets(copy):
    folder, config = copy
    node = helpers.first_node(folder, helpers.SAE)
    run = f"results/tiny/{helpers.SAE}"
    tomtom, fasta = f"{run}/tomtom/{node}/tomtom.tsv", f"{run}/seqlets/{node}.fa"
    before = (folder / tomtom).read_bytes(), (folder / fasta).read_bytes()
    (folder / tomtom).unlink()
    result = helpers.snakemake(folder, config, tomtom, fasta)
    assert result.returncode == 0, result.stderr
    assert ((folder / tomtom).read_bytes(), (folder / fasta).read_bytes()) == before


def test_a_node_that_was_not_kept_is_named(copy):
    folder, config = copy
    result = helpers.snakemake(folder, config, f"results/tiny/{helpers.SAE}/seqlets/9999_n9999.fa")
    assert result.returncode != 0
    assert "is not a kept node of this run" in result.stderr


def test_chunking_never_changes_a_result(copy):
    folder, config = copy
    run = folder / "results/tiny" / helpers.SAE
    before = {name: (run / name).read_bytes() for name in ("motifs.tsv", "motifs.meme", "matches.tsv")}
    changed = {**config, "motifs": {**config["motifs"], "chunks": 3}}
    target = f"results/tiny/{helpers.SAE}/matches.tsv"
    result = helpers.snakemake(folder, changed, target)
    assert result.returncode == 0, result.stderr
    assert {name: (run / name).read_bytes() for name in before} == before


def test_nulls_are_rules_of_their_own(copy):
    folder, config = copy
    run = folder / "results/tiny" / helpers.SAE
    counts = artefacts.read_table(run / "null_counts.tsv", "null_counts")
    assert set(counts["null"]) == {"shuffled", "genome", "filter"}
    assert (counts["sets"] == 40).all()
    assert (counts.loc[counts["null"] == "genome", "sets_passing"] <= 6).all()  # 5 % of 40 are 2 expected
    assert not list(run.glob("nulls/*/sets")), "the sequences of the sets are temporary"
    more = helpers.snakemake(folder, {**config, "nulls": {**config["nulls"], "sets": 50}}, "-n")
    again = {"write_null_sets", "discover_null_motifs", "match_null_motifs", "calibrate_nulls"}
    below = {"summarise_nodes", "build_atlas", "export_run", "score_runs", "summarise_runs"}
    assert set(helpers.planned(more)) == again | below
    none = helpers.planned(helpers.snakemake(folder, {**config, "nulls": {"kinds": []}}, "-n"))
    assert set(none) == {"calibrate_nulls"} | below
    target = f"results/tiny/{helpers.SAE}/calibration.tsv"
    result = helpers.snakemake(folder, {**config, "nulls": {"kinds": []}}, target)
    assert result.returncode == 0, result.stderr
    table = artefacts.read_table(folder / target, "calibration")
    assert table.drop(columns="node").isna().all().all()


def test_a_run_that_keeps_no_node_ends_in_valid_empty_tables(copy):
    folder, config = copy
    changed = {**config, "select": {**config["select"], "min_nonzero": 10**9}}
    result = helpers.snakemake(folder, changed)
    assert result.returncode == 0, result.stderr
    run = folder / "results/tiny" / helpers.SAE
    for name, schema in (("nodes.tsv", "nodes"), ("motifs.tsv", "motifs"), ("matches.tsv", "matches")):
        assert len(artefacts.read_table(run / name, schema)) == 0
    with gzip.open(run / "seqlets/seqlets.bed.gz", "rt") as bed:
        assert not [line for line in bed if not line.startswith("#")]
    log = (folder / "results/logs/tiny" / helpers.SAE / "select_nodes.log").read_text()
    assert "WARNING" in log
    assert "'dropped_by_min_nonzero': 40" in log
    assert not list(run.glob("meme/*_n*")) + list(run.glob("tomtom/*_n*")), "results of dropped nodes stay"
    exports = artefacts.read_table(run / "exports/exports.tsv", "exports").set_index("file")
    assert "no kept node" in exports.loc["seqlets.bb", "reason"]
    assert not (run / "exports/seqlets.bb").exists(), "the windows of dropped nodes stay"
    index = decode((run / "atlas/data/index.js").read_text())
    assert index["limits"][0].startswith("No node of this run passed the selection")


def test_the_atlas_is_a_folder_whose_page_is_a_target_and_a_rebuild_is_identical(copy):
    folder, config = copy
    atlas = folder / "results/tiny" / helpers.SAE / "atlas"

    def bytes_of() -> dict[str, bytes]:
        files = [path for path in atlas.rglob("*") if path.is_file() and path.name != ".snakemake_timestamp"]
        return {str(path.relative_to(atlas)): path.read_bytes() for path in files}

    before = bytes_of()
    index = decode(before["data/index.js"].decode())
    nodes = artefacts.read_table(atlas.parent / "nodes.tsv", "nodes")
    assert index["n_nodes"] == len(nodes)
    assert index["scoreboard"], "an SAE shows what it has beside its best null"
    target = str(atlas.relative_to(folder) / "index.html")
    (atlas / "index.html").unlink()
    (atlas / "data" / "a stray file").touch()
    assert helpers.planned(helpers.snakemake(folder, config, "-n", target)) == {"build_atlas": 1}
    result = helpers.snakemake(folder, config, target)
    assert result.returncode == 0, result.stderr
    assert bytes_of() == before
    assert helpers.planned(helpers.snakemake(folder, config, "-n")) == {}


def test_the_atlas_of_one_run_waits_for_others_only_for_the_scoreboard(copy):
    folder, config = copy
    target = f"elsewhere/tiny/{helpers.SAE}/atlas/index.html"
    apart = {**config, "results": "elsewhere"}
    whole = helpers.snakemake(folder, apart, "-n", target).stdout
    assert "run=raw" in whole
    alone = helpers.snakemake(folder, {**apart, "atlas": {"scoreboard": False}}, "-n", target).stdout
    assert "rule build_atlas" in alone
    assert "run=raw" not in alone
    baseline = helpers.snakemake(folder, apart, "-n", "elsewhere/tiny/raw/atlas/index.html").stdout
    assert "rule build_atlas" in baseline
    assert f"run={helpers.SAE}" not in baseline, "a baseline has no rows in the scoreboard"


def test_nodes_agree_across_tables(copy):
    folder, _ = copy
    run = folder / "results/tiny" / helpers.SAE
    nodes = artefacts.read_table(run / "nodes.tsv", "nodes")
    top = pd.read_parquet(run / "top_activations.parquet")
    motifs = artefacts.read_table(run / "motifs.tsv", "motifs")
    assert set(motifs["node"]) <= set(nodes["node"]) <= set(top["node"])
    assert nodes["rank"].tolist() == list(range(1, len(nodes) + 1))
    assert nodes["mean_act"].is_monotonic_decreasing


def test_the_slurm_profile_plans_gpu_rules_on_the_gpu_partition(copy):
    folder, config = copy
    (folder / "slurm").symlink_to("profiles/slurm")  # what `make slurm-profile` makes
    command = ["snakemake", "-n", "--profile", "slurm", "--forceall", "--configfile", "config.yaml"]
    (folder / "config.yaml").write_text(json.dumps(config))
    result = helpers.run([helpers.sys.executable, "-m", *command], folder)
    assert result.returncode == 0, result.stderr
    jobs = re.findall(r"^rule (\w+):.*?resources: ([^\n]*)", result.stdout, re.M | re.S)
    gpu_jobs = {name for name, resources in jobs if "slurm_partition=gpu" in resources}
    assert gpu_jobs == {"train_sae", "encode_activations", "collect_examples"}
    assert all(
        "slurm_partition=cpu" in resources for name, resources in jobs if name not in gpu_jobs | {"all"}
    )
    assert all("gpu=1" in resources for name, resources in jobs if name in gpu_jobs)
