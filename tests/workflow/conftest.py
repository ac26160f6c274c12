"""One tiny world, run once to the end through Snakemake; the tests then change one thing at a time."""

import json
import shutil
import subprocess
from pathlib import Path

import helpers
import pytest

from made_once import made_once

FOLDER = 'it\'s a "test" folder'


def run_world(root: Path) -> None:
    """Run the tiny config below ``root``, and write what Snakemake said and how it ended."""
    folder = root / FOLDER
    folder.mkdir()
    helpers.copy_project(folder)
    made = helpers.run(helpers.simulate_command(), folder)
    if made.returncode:
        raise RuntimeError(made.stdout + made.stderr)
    first = helpers.snakemake(folder, helpers.tiny_config(folder))
    (root / "first.json").write_text(json.dumps(vars(first)))


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    """A finished run of a tiny config on activations that the workflow did not make; all workers share it.

    Returns the project folder, its config and the result of the first run. Paths hold spaces and quotes.
    """
    root = made_once(tmp_path_factory, "workflow", run_world)
    first = subprocess.CompletedProcess(**json.loads((root / "first.json").read_text()))
    return root / FOLDER, helpers.tiny_config(root / FOLDER), first


@pytest.fixture
def copy(world, tmp_path):
    """A copy of the finished world that a test may change, time stamps kept."""
    folder, config, first = world
    if first.returncode:
        pytest.fail("the tiny run did not end well:\n" + first.stdout[-2000:] + first.stderr[-8000:])
    target = Path(tmp_path) / "a 'copy'"
    shutil.copytree(folder, target, symlinks=True, copy_function=shutil.copy2)
    return target, config
