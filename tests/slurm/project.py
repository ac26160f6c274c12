"""A project with a finished run of the tiny world, which faults disturb; it is put back between tests."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import helpers
import yaml
from cluster import Cluster, wait_until

import warm_snakemake

FAULTY = Path(__file__).with_name("faulty")
KEPT = ("results", ".snakemake", "data")  # what is put back between tests
NO_RESULTS = ("logs", "benchmarks", "kernels")  # of results: time stamps and machine code
QUICK = ("--slurm-init-seconds-before-status-checks", "3", "--max-jobs-per-timespan", "1000/1s")
PATIENCE_SECONDS = 300.0  # a test takes tens of seconds on a machine of its own


def is_result(path: Path, results: Path) -> bool:
    """Whether a file is an artefact: no log, no time, no machine code, no hidden file, no resume state."""
    parts = path.relative_to(results).parts
    hidden = any(part.startswith(".") for part in parts)
    return not (
        hidden or parts[0] in NO_RESULTS or path.name.startswith("state.pt") or path.suffix == ".unseen"
    )


def artefacts(results: Path) -> dict[str, bytes]:
    """Relative name -> bytes of every artefact below ``results``."""
    files = (path for path in sorted(results.rglob("*")) if path.is_file() and is_result(path, results))
    return {path.relative_to(results).as_posix(): path.read_bytes() for path in files}


def copy(source: Path, target: Path) -> None:
    """Copy a folder, times kept."""
    shutil.copytree(source, target, symlinks=True, copy_function=shutil.copy2)


def lost_and_doubled(expected: bytes, got: bytes) -> tuple[int, int]:
    """Lines of ``expected`` that ``got`` lacks, and lines that it has too many."""
    want, have = Counter(expected.split(b"\n")), Counter(got.split(b"\n"))
    return (want - have).total(), (have - want).total()


@dataclass
class Project:
    """A project folder on a cluster.

    Attributes:
        pristine: a copy of KEPT as the undisturbed run left it.
        expected: artefacts of the undisturbed run.
    """

    folder: Path
    pristine: Path
    config: dict
    cluster: Cluster
    expected: dict[str, bytes] = field(default_factory=dict)

    @property
    def results(self) -> Path:
        """The results folder."""
        return self.folder / "results"

    @property
    def faults(self) -> Path:
        """Where faults are laid."""
        return self.folder / "faults"

    def environment(self) -> dict:
        """The cluster's environment with the faulty python of jobs first on the path."""
        path = os.pathsep.join([str(FAULTY), str(Path(sys.executable).parent), self.cluster.env["PATH"]])
        own = {"PATH": path, "FAULTS": str(self.faults), "REAL_PYTHON": sys.executable}
        return {key: value for key, value in self.cluster.env.items() if key != "PYTHONPATH"} | own

    def arguments(
        self, *words: str, profile: str = "profiles/slurm", config: dict | None = None
    ) -> list[str]:
        """Snakemake's arguments, with the project's config or another; targets and options are ``words``."""
        (self.folder / "config.yaml").write_text(yaml.safe_dump(config or self.config))
        words += QUICK if "slurm" in profile else ()
        if "slurm" in profile and not self.cluster.accounting:
            words += ("--slurm-status-command", "squeue")
        return ["--profile", profile, *words, "--configfile", "config.yaml"]

    def saving(self) -> dict:
        """The config with a resume state after every training step."""
        return {**self.config, "sae": {**self.config["sae"], "checkpoint_seconds": 1e-9}}

    def run(self, *command: str) -> subprocess.CompletedProcess:
        """Run a command in the project's folder to its end."""
        return subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=6 * PATIENCE_SECONDS,
        )

    def snakemake(self, *words: str, **options) -> subprocess.CompletedProcess:
        """Run Snakemake to its end."""
        arguments = self.arguments(*words, **options)
        return warm_snakemake.run(arguments, self.folder, self.environment(), 6 * PATIENCE_SECONDS)

    @contextmanager
    def driver(self, *words: str, **options) -> Iterator[subprocess.Popen]:
        """Run Snakemake beside the test, killed in the end if it still runs; ``said`` is what it says."""
        with (
            (self.folder / "driver.log").open("wb") as said,
            subprocess.Popen(
                (sys.executable, "-m", "snakemake", *self.arguments(*words, **options)),
                cwd=self.folder,
                env=self.environment(),
                stdout=said,
                stderr=said,
            ) as process,
        ):
            try:
                yield process
            finally:
                if process.poll() is None:
                    process.send_signal(signal.SIGKILL)

    def lay(self, program: str, fault: str) -> None:
        """Lay a fault for a program (see faulty/sitecustomize.py)."""
        (self.faults / program).write_text(fault + "\n")

    def wait_for_hold(self, program: str) -> int:
        """Wait until a program stands still at its laid fault; its process number."""
        mark = self.faults / f"{program}.held"
        wait_until(mark.exists, f"{program} to stand still", PATIENCE_SECONDS)
        return int(mark.read_text())

    def release(self, program: str) -> None:
        """Let a program go on that stands still."""
        (self.faults / f"{program}.go").touch()

    def unlock(self) -> None:
        """What Snakemake asks for after its driver was killed."""
        done = self.snakemake("--unlock")
        if done.returncode:
            raise RuntimeError(done.stderr)

    def wait_for_queue(self) -> None:
        """Wait until no job of the cluster is left."""
        wait_until(
            lambda: not self.cluster.jobs("PENDING", "RUNNING", "COMPLETING"),
            "an empty queue",
            PATIENCE_SECONDS,
        )

    def restore(self) -> None:
        """Put everything back as the undisturbed run left it."""
        self.cluster.attempt("scancel", "--full", "--signal=KILL", "--user", str(os.getuid()))
        self.wait_for_queue()
        shutil.rmtree(self.folder / "logs", ignore_errors=True)
        for name in KEPT:
            shutil.rmtree(self.folder / name, ignore_errors=True)
            copy(self.pristine / name, self.folder / name)
        shutil.rmtree(self.faults, ignore_errors=True)
        self.faults.mkdir()

    def empty(self) -> None:
        """Delete all results, logs and metadata: nothing has run yet."""
        for name in ("results", "logs", ".snakemake"):
            shutil.rmtree(self.folder / name, ignore_errors=True)

    def remove(self, *patterns: str) -> None:
        """Delete the artefacts that fit, as before the stage that makes them has run."""
        for pattern in patterns:
            found = list(self.results.glob(pattern))
            if not found:
                raise ValueError(f"no artefact fits {pattern}")
            for path in found:
                path.unlink()

    def incomplete(self) -> list[str]:
        """Artefacts that are there and are not what the undisturbed run wrote."""
        return [name for name, data in artefacts(self.results).items() if data != self.expected.get(name)]

    def compare(self) -> tuple[int, int]:
        """Lost and doubled lines over all artefacts; of a file that is missing or too many, all its lines."""
        now = artefacts(self.results)
        changed = [n for n in self.expected.keys() | now.keys() if self.expected.get(n) != now.get(n)]
        pairs = [lost_and_doubled(self.expected.get(n, b""), now.get(n, b"")) for n in changed]
        return sum(lost for lost, _ in pairs), sum(doubled for _, doubled in pairs)

    def said(self) -> str:
        """What the last driver said."""
        return (self.folder / "driver.log").read_text()


def config_of(folder: Path) -> dict:
    """The tiny config with null sets of one kind: each further kind is a dozen jobs of the same rules."""
    config = helpers.tiny_config(folder)
    return {**config, "nulls": {**config["nulls"], "kinds": ["genome"]}}


def run_undisturbed(root: Path) -> None:
    """Run the tiny world once with profiles/local below ``root``; KEPT of it lies in ``root/pristine``."""
    folder = root / "a project"
    folder.mkdir()
    helpers.copy_project(folder)
    made = helpers.run(helpers.simulate_command(), folder)
    if made.returncode:
        raise RuntimeError(made.stdout + made.stderr)
    first = helpers.snakemake(folder, config_of(folder))
    if first.returncode:
        raise RuntimeError(first.stdout[-2000:] + first.stderr[-8000:])
    for name in KEPT:
        copy(folder / name, root / "pristine" / name)


def finished_project(folder: Path, undisturbed: Path, cluster: Cluster) -> Project:
    """A project in ``folder``, not there yet, whose run has ended as that of ``run_undisturbed``.

    Its programs are links to those of that run: Numba would compile anew what lies under another path.
    """
    pristine = undisturbed / "pristine"
    project = Project(folder, pristine, {}, cluster, artefacts(pristine / "results"))
    folder.mkdir()
    helpers.copy_project(folder)
    shutil.rmtree(folder / "scripts")
    (folder / "scripts").mkdir()
    for path in (undisturbed / "a project" / "scripts").iterdir():
        (folder / "scripts" / path.name).symlink_to(path)
    project.restore()
    project.config = config_of(folder)
    return project
