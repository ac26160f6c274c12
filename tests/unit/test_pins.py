"""The pins of the conda environments equal those of requirements.txt, and nothing used is unpinned."""

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from biosae.codehash import used_files

ROOT = Path(__file__).resolve().parents[2]
CONDA_NAMES = {"pytorch": "torch"}  # conda-forge's name -> pip's
# import's name -> pip's
DISTRIBUTIONS = {"sklearn": "scikit-learn", "yaml": "pyyaml", "umap": "umap-learn", "Bio": "biopython"}
# in motifs.yaml it compiles the kernels of the motif stages alone
NOT_RUN = {("motifs", "compile_kernels"): {"torch", "h5py", "llvmlite"}}
ONLY_CONDA = {"python", "meme", "pip"}
ENVIRONMENTS = sorted((ROOT / "envs").glob("*.yaml"))


def pip_pins() -> dict[str, str]:
    files = ("requirements.txt", "requirements-borzoi.txt")
    lines = [line for name in files for line in (ROOT / name).read_text().splitlines()]
    pins = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {name.lower().replace("_", "-"): version for name, version in pins}


def conda_pins(path: Path) -> dict[str, str]:
    entries = yaml.safe_load(path.read_text())["dependencies"]
    flat = [entry for entry in entries if isinstance(entry, str) and entry != "pip"]
    from_pip = [line for entry in entries if isinstance(entry, dict) for line in entry["pip"]]
    pairs = [re.split("==?", entry) for entry in [*flat, *from_pip]]
    return {CONDA_NAMES.get(name, name): version for name, version in pairs}


@pytest.mark.parametrize("path", ENVIRONMENTS, ids=lambda path: path.stem)
def test_conda_pins_equal_pip_pins(path):
    pins = {name: version for name, version in conda_pins(path).items() if name not in ONLY_CONDA}
    assert pins == {name: pip_pins()[name] for name in pins}


def test_borzoi_changes_no_version():
    pins = [
        line.split("==")[0].lower() for line in (ROOT / "requirements-borzoi.txt").read_text().splitlines()
    ]
    rest = {line.split("==")[0].lower() for line in (ROOT / "requirements.txt").read_text().splitlines()}
    assert "borzoi-pytorch" in pins
    assert not rest & {name for name in pins if name and not name.startswith("#")}


def test_torch_is_pinned_without_a_local_build():
    assert pip_pins()["torch"] == "2.13.0"


def test_every_environment_is_used_by_a_rule():
    used = set(
        re.findall(
            r"envs/(\w+)\.yaml", "".join(p.read_text() for p in (ROOT / "workflow/rules").glob("*.smk"))
        )
    )
    assert used == {path.stem for path in ENVIRONMENTS}


def test_the_python_asked_for_is_the_one_the_makefile_checks():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["requires-python"] == ">=3.11"
    assert "(3, 11)" in (ROOT / "Makefile").read_text()


def users() -> set[tuple[str, str]]:
    """(environment, program) of every rule that runs a program in an environment."""
    pairs = set()
    for path in (ROOT / "workflow").rglob("*.smk"):
        for block in re.split(r"^(?= *rule )", path.read_text(), flags=re.M):
            program, environment = (
                re.search(rf"{left}(\w+){right}", block)
                for left, right in (("{SCRIPTS}/", r"\.py"), ("envs/", r"\.yaml"))
            )
            if program and environment:
                pairs.add((environment[1], program[1]))
    return pairs


def foreign_imports(program: str) -> set[str]:
    """Distributions that a program and the library files behind it import, also inside functions."""
    names: set[str] = set()
    for path in used_files(program, ROOT / "scripts"):
        if path.suffix == ".py":
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Import):
                    names |= {alias.name.split(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    names.add(node.module.split(".")[0])
    own = names - set(sys.stdlib_module_names) - {"biosae"}
    return {DISTRIBUTIONS.get(name, name).replace("_", "-") for name in own}


@pytest.mark.parametrize(("environment", "program"), sorted(users()))
def test_an_environment_holds_what_its_programs_import(environment, program):
    imported = foreign_imports(program) - NOT_RUN.get((environment, program), set())
    assert imported
    assert imported <= set(conda_pins(ROOT / "envs" / f"{environment}.yaml"))
