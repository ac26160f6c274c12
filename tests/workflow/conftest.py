"""One tiny world, run once to the end through Snakemake; the tests then change one thing at a time."""

import shutil
from pathlib import Path

import helpers
import pytest


@pytest.fixture(scope="package")
def world(tmp_path_factory):
    """A finished run of a tiny config on activations that the workflow did not make itself.

    Returns the project folder, its config and the result of the first run. Paths hold spaces and quotes.
    """
    folder = tmp_path_factory.mktemp("workflow") / 'it\'s a "test" folder'
    folder.mkdir()
    helpers.copy_project(folder)
    made = helpers.run(helpers.simulate_command(), folder)
    if made.returncode:
        raise RuntimeError(made.stdout + made.stderr)
    config = helpers.tiny_config(folder)
    first = helpers.snakemake(folder, config)
    return folder, config, first


@pytest.fixture
def copy(world, tmp_path):
    """A copy of the finished world that a test may change, time stamps kept."""
    folder, config, first = world
    if first.returncode:
        pytest.fail("the tiny run did not end well:\n" + first.stdout[-2000:] + first.stderr[-8000:])
    target = Path(tmp_path) / "a 'copy'"
    shutil.copytree(folder, target, symlinks=True, copy_function=shutil.copy2)
    return target, config
