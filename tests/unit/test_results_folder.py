"""Results that cannot be written are refused while the workflow is parsed; nothing is made to find out."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from biosae.config import check_results
from biosae.errors import ConfigError


def config(results):
    return {"results": str(results), "layer": {"name": "conv1d_2"}}


@pytest.fixture
def closed(tmp_path):
    """A folder that this user, root included, may not write to."""
    folder = tmp_path / "closed"
    folder.mkdir()
    if os.geteuid():
        folder.chmod(0o555)
        yield folder
        folder.chmod(0o755)
        return
    # permission bits do not bind root; an immutable folder does
    chattr = shutil.which("chattr")
    if chattr is None or subprocess.run([chattr, "+i", folder], capture_output=True, check=False).returncode:
        pytest.skip("root, and no chattr on this file system")
    yield folder
    subprocess.run([chattr, "-i", folder], check=True)


def test_a_folder_that_can_be_made_is_not_made(tmp_path):
    check_results(config(tmp_path / "a" / "b"))
    assert list(tmp_path.iterdir()) == []


def test_a_relative_folder_is_taken_from_the_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    check_results(config("results/"))
    Path("results").touch()
    with pytest.raises(ConfigError, match="results is no folder"):
        check_results(config("results/"))


def test_a_link_to_a_folder_is_one(tmp_path):
    (tmp_path / "scratch").mkdir()
    (tmp_path / "results").symlink_to(tmp_path / "scratch")
    check_results(config(tmp_path / "results"))


@pytest.mark.parametrize("below", ["results", "results/more", "results/more/still"])
def test_a_file_in_the_way(tmp_path, below):
    (tmp_path / "results").touch()
    with pytest.raises(ConfigError, match=r"cannot be written.*/results is no folder.*To mend"):
        check_results(config(tmp_path / below))


def test_a_link_that_leads_nowhere(tmp_path):
    (tmp_path / "results").symlink_to(tmp_path / "gone")
    with pytest.raises(ConfigError, match="/results is a link that leads nowhere"):
        check_results(config(tmp_path / "results"))


@pytest.mark.parametrize("below", [".", "results"])
def test_a_folder_without_permission(closed, below):
    with pytest.raises(ConfigError, match="/closed may not be written to"):
        check_results(config(closed / below))


def test_the_folder_of_the_layer_is_looked_at_too(tmp_path):
    (tmp_path / "conv1d_2").touch()
    with pytest.raises(ConfigError, match="/conv1d_2 is no folder"):
        check_results(config(tmp_path))
