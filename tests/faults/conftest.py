"""The helpers of the unit tests serve here too; one undisturbed training to compare with."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "unit"))

from helpers_training import contents, options, run_here, train_quietly, write_inputs


@pytest.fixture(scope="session")
def folder(tmp_path_factory) -> Path:
    """Stores and statistics; every test has its own output below."""
    return write_inputs(tmp_path_factory.mktemp("faults"))


@pytest.fixture(scope="session")
def undisturbed(folder) -> dict[str, bytes]:
    """All files of a run that nothing disturbed."""
    train_quietly(options(folder, "whole"))
    return contents(folder / "whole")


@pytest.fixture
def train(monkeypatch, capsys, caplog):
    """Run train_sae.py here: exit code, and what it printed and logged."""
    caplog.set_level("INFO")

    def run(folder: Path, output: str, *extra: str) -> tuple[int, str]:
        caplog.clear()
        code, text = run_here("train_sae.py", options(folder, output, *extra), monkeypatch, capsys)
        return code, text + caplog.text

    return run
