"""Whole runs through SLURM, without accounting and with it: they give the bytes of a workstation."""

from __future__ import annotations

import re
import shlex
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import helpers
import pytest
import yaml
from project import Project
from stages import RUN

pytestmark = pytest.mark.slurm

GPU_RULES = {"train_sae", "encode_activations", "collect_examples"}
LOCAL_RULES = {"select_nodes", "calibrate_nulls", "summarise_nodes", "summarise_runs"}
# what does not depend on the null sets and baselines that the README's run goes without
OF_THE_SAE = [
    f"{RUN}/{name}"
    for name in (
        *(
            "checkpoint/model.safetensors",
            "top_activations.parquet",
            "node_stats.tsv",
            "seqlets/manifest.tsv",
        ),
        *("motifs.tsv", "motifs.meme", "motif_clusters.tsv", "umap.tsv", "jaccard.tsv", "specificity.tsv"),
    )
]


def submitted(project: Project) -> dict[str, set[str]]:
    """Rule -> partitions of the SLURM jobs that ended well; from their kept logs and SLURM's own record."""
    of_job = {job["JobId"]: job for job in project.cluster.finished()}
    rules: dict[str, set[str]] = {}
    for log in (project.folder / "logs" / "slurm").rglob("*.log"):
        rule = log.relative_to(project.folder / "logs" / "slurm").parts[0].removeprefix("rule_")
        assert of_job[log.stem]["JobState"] == "COMPLETED", (rule, of_job[log.stem])
        rules.setdefault(rule, set()).add(of_job[log.stem]["Partition"])
    return rules


def test_a_whole_run_gives_the_same_bytes(project):
    project.empty()
    done = project.snakemake()
    assert done.returncode == 0, done.stderr[-4000:]
    assert project.compare() == (0, 0)
    partitions = submitted(project)
    assert {rule for rule, seen in partitions.items() if "gpu" in seen} == GPU_RULES
    assert all(len(seen) == 1 for seen in partitions.values())
    assert not LOCAL_RULES & set(partitions), "jobs of seconds are not submitted"
    started = [line.split() for line in (project.faults / "started").read_text().splitlines()]
    assert {program for program, gpus in started if gpus != "none"} == GPU_RULES
    counts = Counter(program for program, _ in started)
    assert counts["train_sae"] == counts["build_baseline"] == counts["summarise_runs"] == 1
    assert counts["encode_activations"] == counts["write_seqlets"] == 2, "one a run, none twice"
    assert counts["discover_motifs"] == 2 * project.config["motifs"]["chunks"] + 2, "chunks and null sets"


def readme_commands() -> list[list[str]]:
    """The words of each command of the README's SLURM section."""
    section = re.search(r"^## SLURM\n(.*?)^## ", (helpers.ROOT / "README.md").read_text(), re.M | re.S)[1]
    block = re.search(r"```\n(.*?)```", section, re.S)[1]
    return [shlex.split(line, comments=True) for line in block.strip().splitlines()]


@pytest.mark.xdist_group("accounting")
def test_the_readme_followed_to_the_letter(project, accounting_cluster):
    project = replace(project, cluster=accounting_cluster)
    project.empty()
    (project.folder / ".venv").symlink_to(Path(sys.prefix))
    (project.folder / "Makefile").write_bytes((helpers.ROOT / "Makefile").read_bytes())
    (project.folder / "requirements.txt").touch()
    quick = {"baselines": [], "nulls": {"kinds": []}}
    (project.folder / "my.yaml").write_text(yaml.safe_dump({**project.config, **quick}))
    script = "set -e\n" + "\n".join(shlex.join(words) for words in readme_commands())
    done = project.run("bash", "-c", script)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    made = {name: (project.results / name).read_bytes() for name in OF_THE_SAE}
    assert made == {name: project.expected[name] for name in OF_THE_SAE}
    assert (project.results / "summary.html").is_file()
