"""`--sdm conda` with a stand-in `conda`: planned, made once, active in its jobs, a reason to run again."""

import re
import shutil
import stat
import sys
from pathlib import Path

import helpers
import pytest

pytestmark = pytest.mark.workflow

RUN = "results/tiny/topk-x4-k4-lr0.003-s0"
CHANGED = "Software environment definition has changed since last execution"
# Answers what Snakemake asks of conda; an environment is a `python` that notes what it runs, and is this one.
CONDA = """#!/bin/sh
base={base}
echo "$*" >> "$base/calls"
case "$*" in
  "info --json") printf '{{"conda_prefix": "%s", "platform": "linux-64"}}' "$base" ;;
  --version) echo "conda 25.1.0" ;;
  "config --get channel_priority --json") echo '{{"get": {{"channel_priority": "strict"}}}}' ;;
  "env create "*)
    for prefix; do :; done  # the last word
    mkdir -p "$prefix/bin"
    printf '#!/bin/sh\\necho "$CONDA_PREFIX $1" >> "%s/started"\\nexec "%s" "$@"\\n' "$base" "{python}" \\
      > "$prefix/bin/python"
    chmod +x "$prefix/bin/python" ;;
  "clean -y --tarballs") ;;
  *) echo "the stand-in knows no: conda $*" >&2; exit 1 ;;
esac
"""
ACTIVATE = 'export CONDA_PREFIX="$1" PATH="$1/bin:$PATH"\n'
PLOTS = {"plot_training": 1, "plot_quality": 2, "summarise_nodes": 2, "build_page": 1, "summarise_runs": 1}


class Conda:
    """A stand-in installation, first on the path of what ``snakemake`` starts."""

    def __init__(self, base: Path) -> None:
        self.base, self.envs = base, base / "environments"
        (base / "bin").mkdir(parents=True)
        script = base / "bin" / "conda"
        script.write_text(CONDA.format(base=base, python=sys.executable))
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
        (base / "bin" / "activate").write_text(ACTIVATE)

    def snakemake(self, folder: Path, config: dict, *arguments: str):
        with pytest.MonkeyPatch.context() as monkeypatch:
            monkeypatch.setenv("PATH", str(self.base / "bin"), prepend=":")
            deployment = ("--sdm", "conda", "--conda-prefix", str(self.envs))
            return helpers.snakemake(folder, config, *arguments, *deployment)

    def made(self) -> list[str]:
        """The definitions of the environments that were made, by their text, in order."""
        calls = [line for line in (self.base / "calls").read_text().splitlines() if "env create" in line]
        files = [line.split("--file ")[1].split(" --prefix ")[0] for line in calls]
        return [Path(file).read_text() for file in files]

    def started(self) -> dict[str, str]:
        """For each program that an environment's python ran, that environment's definition."""
        lines = [line.split() for line in (self.base / "started").read_text().splitlines()]
        return {Path(program).stem: Path(f"{prefix}.yaml").read_text() for prefix, program in lines}


@pytest.fixture
def conda(tmp_path):
    return Conda(tmp_path / "conda")


@pytest.fixture(scope="module")
def recorded(world, tmp_path_factory):
    """A copy of the finished world, noted as if its jobs had run in their environments; with its conda."""
    folder, config, first = world
    assert first.returncode == 0, first.stderr
    base = tmp_path_factory.mktemp("conda")
    target, conda = base / "a project", Conda(base / "conda")
    shutil.copytree(folder, target, symlinks=True, copy_function=shutil.copy2)
    touched = conda.snakemake(target, config, "--touch")
    assert touched.returncode == 0, touched.stderr
    return target, config, conda


@pytest.fixture
def project(recorded, tmp_path):
    folder, config, conda = recorded  # where environments lie is part of what Snakemake notes
    shutil.copytree(folder, tmp_path / "project", symlinks=True, copy_function=shutil.copy2)
    return tmp_path / "project", config, conda


def plan(conda: Conda, folder: Path, config: dict, *targets: str) -> tuple[dict[str, int], str]:
    """Counts of rules and the text of a dry run."""
    result = conda.snakemake(folder, config, "-n", *targets)
    return helpers.planned(result), result.stdout


def edit(folder: Path, name: str) -> None:
    path = folder / "envs" / f"{name}.yaml"
    path.write_text(path.read_text().replace("  - tqdm=", "  - xz\n  - tqdm="))


def test_a_dry_run_names_every_environment_and_makes_none(copy, conda):
    folder, config = copy
    drawn = {"tracks": {"top_nodes": 1, "assembly": "toy"}}
    result = conda.snakemake(folder, {**config, **drawn, "results": "elsewhere"}, "-n")
    assert result.returncode == 0, result.stderr
    for path in set((folder / "envs").glob("*.yaml")) - {folder / "envs" / "borzoi.yaml"}:  # needs extract
        assert f"Conda environment envs/{path.name} will be created." in result.stdout + result.stderr
    assert conda.made() == []
    assert not conda.envs.is_dir() or not [path for path in conda.envs.iterdir() if path.is_dir()]


def test_environments_are_made_once_and_are_active_in_their_jobs(copy, conda):
    folder, config = copy
    targets = [f"{RUN}/figures/training_curve.svg", f"{RUN}/figures/quality.svg", f"{RUN}/jaccard.tsv"]
    before = [(folder / target).read_bytes() for target in targets]
    names = ("atlas", "analysis", "sae")  # of every job of the graph; the SAE's own do not run
    atlas, analysis, sae = ((folder / "envs" / f"{name}.yaml").read_text() for name in names)
    for _ in range(2):
        for target in targets:
            (folder / target).unlink()
        result = conda.snakemake(folder, config, *targets, "--rerun-triggers", "mtime")
        assert result.returncode == 0, result.stderr
        assert sorted(conda.made()) == sorted([atlas, analysis, sae])
        used = {"plot_training": atlas, "plot_quality": atlas, "compute_jaccard": analysis}
        assert conda.started() == used
        assert [(folder / target).read_bytes() for target in targets] == before


def test_an_edited_environment_reruns_what_uses_it(project):
    folder, config, conda = project
    assert plan(conda, folder, config)[0] == {}
    original = {path: path.read_text() for path in (folder / "envs").glob("*.yaml")}
    users = {
        "atlas": (PLOTS, {"plot_training", "plot_quality", "summarise_nodes"}),
        "motifs": ({"compile_kernels": 1}, {"note_motif_settings", "compile_kernels"}),
        "sae": ({"compute_statistics": 1, "train_sae": 1, "encode_activations": 2}, {"compute_statistics"}),
    }
    for name, (expected, first) in users.items():
        edit(folder, name)
        counts, text = plan(conda, folder, config)
        assert {rule: counts.get(rule) for rule in expected} == expected
        blocks = {re.search(r"rule (\w+):", block)[1] for block in text.split("\n\n") if CHANGED in block}
        assert first <= blocks, "the dry run says why"
        if name == "atlas":
            assert counts == PLOTS
        if name == "motifs":
            above = {"train_sae", "encode_activations", "select_nodes", "write_seqlets", "embed_nodes"}
            assert not above & set(counts)
        for path, content in original.items():
            path.write_text(content)


def test_a_run_moved_to_conda_runs_again_unless_told_otherwise(copy, conda):
    folder, config = copy
    assert "train_sae" in plan(conda, folder, config)[0]
    told = ("--rerun-triggers", "mtime", "params", "input", "code")
    assert plan(conda, folder, config, *told)[0] == {}
