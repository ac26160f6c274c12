"""Snakemake started from a process that has imported it already: a test that plans starts it many times."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
from pathlib import Path

TESTS = Path(__file__).resolve().parent
OURS = [str(TESTS), str(TESTS.parent / "scripts")]
# what a plan imports beside what lies in the project's own folder
PRELOADED = ["snakemake.cli", "snakemake.report.html_reporter", "smart_open", "pandas", "jsonschema"]
PRELOADED += ["snakemake_executor_plugin_slurm"]

_server = multiprocessing.get_context("forkserver")
_server.set_forkserver_preload(PRELOADED)


def _main(arguments: list[str], folder: Path, environment: dict, files: list[str]) -> None:
    """In the child: become ``snakemake *arguments`` as typed in ``folder``."""
    for number, path in enumerate(files, start=1):
        os.dup2(os.open(path, os.O_WRONLY), number)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["snakemake", *arguments]
    sys.path[:] = [path for path in sys.path if not path.startswith(tuple(OURS))]

    from snakemake.cli import main

    main()


def run(
    arguments: list[str], folder: Path, environment: dict, patience_seconds: float | None = None
) -> subprocess.CompletedProcess:
    """Run ``snakemake *arguments`` in ``folder`` to its end; what it says as text.

    Raises:
        subprocess.TimeoutExpired: it did not end in time; it is killed.
    """
    command = ["snakemake", *arguments]
    with tempfile.TemporaryDirectory() as said:
        files = [str(Path(said) / name) for name in ("out", "err")]
        for file in files:
            Path(file).touch()
        process = _server.Process(target=_main, args=(arguments, folder, environment, files))
        process.start()
        process.join(patience_seconds)
        if process.is_alive():
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(command, patience_seconds)
        out, err = (Path(file).read_text() for file in files)
    return subprocess.CompletedProcess(command, process.exitcode, out, err)
