"""Encoding in several jobs: the plan, where the jobs go, and the same bytes as one job."""

import json
import re

import helpers
import pytest

pytestmark = pytest.mark.workflow

RUN = "results/tiny/raw"
FILES = ("top_activations.parquet", "node_stats.tsv")


def in_parts(config: dict, parts: int) -> dict:
    return {**config, "encode": {**config["encode"], "encode_parts": parts}}


def test_parts_are_planned_with_a_gpu_and_merged_without(copy):
    folder, config = copy
    changed = in_parts({**config, "results": "elsewhere"}, 3)
    plan = helpers.planned(helpers.snakemake(folder, changed, "-n"))
    assert plan["encode_part"] == 6 and plan["merge_encoded"] == 2 and "encode_activations" not in plan
    (folder / "config.yaml").write_text(json.dumps(changed))
    command = ["snakemake", "-n", "--profile", "profiles/slurm", "--configfile", "config.yaml"]
    result = helpers.run([helpers.sys.executable, "-m", *command], folder)
    jobs = re.findall(r"^rule (\w+):.*?resources: ([^\n]*)", result.stdout, re.M | re.S)
    on_gpu = {name for name, resources in jobs if "slurm_partition=gpu" in resources}
    assert on_gpu == {"train_sae", "encode_part", "collect_examples"}


def test_parts_give_the_bytes_of_one_job(copy):
    folder, config = copy
    before = [(folder / RUN / name).read_bytes() for name in FILES]
    for name in FILES:
        (folder / RUN / name).unlink()
    done = helpers.snakemake(folder, in_parts(config, 3), f"{RUN}/node_stats.tsv")
    assert done.returncode == 0, done.stderr
    assert [(folder / RUN / name).read_bytes() for name in FILES] == before
    assert not list((folder / RUN).glob("encoded/*.h5")), "part files are temporary"
