"""A throw-away SLURM on this machine: two nodes, cpu01 and gpu01, on loopback, all state in one folder.

    python tests/slurm/cluster.py up FOLDER [--accounting]    then:  . FOLDER/env.sh
    python tests/slurm/cluster.py down FOLDER

Debian's packages slurm-wlm and munge (22.05), with accounting also slurmdbd and mariadb-server. No cgroups
and no root are needed; ports are free ones; nothing outside FOLDER is written. ``down`` stops what ``up``
started, by pid. The nodes claim more cores and memory than the machine has, so that the workflow's own
requests fit.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from cluster_config import database_conf, gres_conf, slurm_conf

SERVERS = ("munged", "slurmctld", "slurmd")
ACCOUNTING_SERVERS = ("slurmdbd", "mariadbd", "mariadb-install-db")
NODES = ("cpu01", "gpu01")
ACCOUNT = "lab"
SERVER_NAMES = ("slurmd.gpu01", "slurmd.cpu01", "slurmctld", "slurmdbd", "mariadbd", "munged")
PORTS = ("slurmctld", "cpu01", "gpu01", "slurmdbd", "mariadbd")


def missing_servers(accounting: bool = False) -> list[str]:
    """Programs that a cluster needs and this machine lacks."""
    wanted = SERVERS + (ACCOUNTING_SERVERS if accounting else ())
    return [name for name in wanted if shutil.which(name, path=search_path()) is None]


def search_path() -> str:
    """PATH with the folders of servers, which a user's own may lack."""
    return os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/sbin"])


def free_ports(number: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody listens on."""
    sockets = [socket.socket() for _ in range(number)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def wait_until(done: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
    """Poll ``done``; TimeoutError after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds:.0f} s")
        time.sleep(0.1)


class Cluster:
    """A cluster in ``folder``.

    Partitions: ``cpu`` (cpu01), ``gpu`` (gpu01, two GPUs) and ``urgent``, which takes gpu01 from ``gpu``.

    Attributes:
        env: environment in which ``sbatch``, ``squeue`` and ``snakemake`` find it.
    """

    def __init__(self, folder: Path, accounting: bool = False) -> None:
        self.folder = Path(folder).resolve()
        self.accounting = accounting
        self.conf = self.folder / "etc" / "slurm.conf"
        path = os.pathsep.join([str(self.folder / "bin"), search_path()])
        self.env = {**os.environ, "SLURM_CONF": str(self.conf), "PATH": path}

    def start(self) -> Cluster:
        """Start all servers and wait until both nodes are idle; what was started is stopped on a fault."""
        for name in ("munge", "state", "log", "run", "etc", "bin", *(f"spool/{node}" for node in NODES)):
            (self.folder / name).mkdir(parents=True)
        self._configure()
        try:
            self._start_servers()
        except BaseException:
            self.stop()
            raise
        return self

    def _configure(self) -> None:
        ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
        self.conf.write_text(slurm_conf(self.folder, ports, self.accounting))
        (self.folder / "etc" / "gres.conf").write_text(gres_conf())
        if self.accounting:
            secret = self.folder / "etc" / "slurmdbd.conf"
            secret.touch(0o600)
            secret.write_text(database_conf(self.folder, ports))
        self.ports = ports
        # the executor's job step takes every SLURM_* variable from the environment of its inner srun
        srun = self.folder / "bin" / "srun"
        real = shutil.which("srun", path=search_path())
        srun.write_text(f"#!/bin/sh\nSLURM_CONF='{self.conf}' exec {real} \"$@\"\n")
        srun.chmod(0o755)
        lines = (
            f"export SLURM_CONF='{self.conf}'",
            f"export PATH='{self.folder / 'bin'}':/usr/sbin:\"$PATH\"",
        )
        (self.folder / "env.sh").write_text("\n".join(lines) + "\n")

    def _start_servers(self) -> None:
        munge = self.folder / "munge"
        key = munge / "key"
        key.touch(0o600)
        key.write_bytes(os.urandom(1024))
        self.run(
            *("munged", "--force", f"--key-file={key}", f"--socket={munge / 'socket'}", "--num-threads=2"),
            *(f"--pid-file={self.pid_file('munged')}", f"--log-file={self.folder / 'log' / 'munged.log'}"),
            f"--seed-file={munge / 'seed'}",
        )
        if self.accounting:
            self._start_accounting()
        self.run("slurmctld", "-c")
        for node in NODES:
            self.run("slurmd", "-N", node)
        wait_until(lambda: self.states() == dict.fromkeys(NODES, "idle"), "two idle nodes")

    def _start_accounting(self) -> None:
        data, user = self.folder / "db", f"--user={_user()}"
        sock, log = self.folder / "run" / "db.sock", self.folder / "log"
        self.run(
            *("mariadb-install-db", "--no-defaults", f"--datadir={data}", user, "--skip-test-db"),
            "--auth-root-authentication-method=normal",
        )
        with (log / "mariadbd.log").open("wb") as out:
            subprocess.Popen(
                [
                    *("mariadbd", "--no-defaults", user, f"--datadir={data}", f"--socket={sock}"),
                    *("--bind-address=127.0.0.1", f"--port={self.ports['mariadbd']}"),
                    *(f"--pid-file={self.pid_file('mariadbd')}", "--innodb-lock-wait-timeout=900"),
                    "--innodb-buffer-pool-size=128M",
                ],
                env=self.env,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        client = ("mariadb", "--no-defaults", "-S", str(sock), "-e")
        wait_until(lambda: self.attempt(*client, "select 1"), "the database")
        sql = "create database slurm_acct; create user slurm@127.0.0.1 identified by 'x';"
        self.run(*client, f"{sql} grant all on slurm_acct.* to slurm@127.0.0.1;")
        self.run("slurmdbd")
        wait_until(lambda: self.attempt("sacctmgr", "-n", "list", "cluster"), "slurmdbd")
        self.attempt("sacctmgr", "-i", "add", "cluster", "test")
        self.run("sacctmgr", "-i", "add", "account", ACCOUNT, "Description=lab", "Organization=lab")
        self.run("sacctmgr", "-i", "add", "user", _user(), f"Account={ACCOUNT}", "AdminLevel=Admin")

    def run(self, *command: str) -> None:
        """Run a command that may leave a server behind; its words go to a log. RuntimeError if it fails."""
        with (self.folder / "log" / "commands.log").open("a") as words:
            # servers inherit these files: a pipe would never close
            code = subprocess.run(
                command, env=self.env, stdin=subprocess.DEVNULL, stdout=words, stderr=words, check=False
            ).returncode
        if code:
            raise RuntimeError(f"{command[0]} exited with {code}: see {words.name}")

    def ask(self, *command: str) -> str:
        """What a client command such as ``squeue`` prints; RuntimeError with its words if it fails."""
        done = subprocess.run(command, env=self.env, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{command} exited with {done.returncode}: {done.stderr}")
        return done.stdout

    def attempt(self, *command: str) -> bool:
        """Whether a command exits with 0."""
        return subprocess.run(command, env=self.env, capture_output=True, check=False).returncode == 0

    def states(self) -> dict[str, str]:
        """State of each node, such as ``idle`` or ``mixed``; empty while the controller does not answer."""
        done = subprocess.run(
            ["sinfo", "-h", "-N", "-o", "%N %T"], env=self.env, capture_output=True, text=True, check=False
        )
        return dict(line.split() for line in done.stdout.splitlines())

    def jobs(self, *states: str) -> dict[int, str]:
        """Number -> comment of the jobs in these states (``RUNNING``, ...), or of all that are known."""
        wanted = ",".join(states) or "all"
        text = self.ask("squeue", "-h", f"--states={wanted}", "-o", "%i|%k")
        return {int(number): comment for number, comment in (line.split("|") for line in text.splitlines())}

    def state(self, number: str) -> str:
        """State of one job, such as ``RUNNING``."""
        return self.ask("squeue", "-h", "--states=all", "-j", number, "-o", "%T").strip()

    def finished(self) -> list[dict[str, str]]:
        """One entry a finished job, from the log of completions: JobId, JobState, Partition, NodeList, ..."""
        log = self.folder / "log" / "jobcomp.log"
        lines = log.read_text().splitlines() if log.exists() else []
        return [dict(word.split("=", 1) for word in line.split() if "=" in word) for line in lines]

    def pid_file(self, server: str) -> Path:
        """Where a server keeps its process number."""
        return self.folder / "run" / f"{server}.pid"

    def stop(self) -> None:
        """Stop the servers that ``start`` started, jobs first; each by the number in its pid file."""
        if self.conf.is_file():
            self.attempt("scancel", "--full", "--signal=KILL", "--user", _user())
        pids = [
            int(self.pid_file(name).read_text() or 0)
            for name in SERVER_NAMES
            if self.pid_file(name).is_file()
        ]
        _end([pid for pid in pids if pid])


def _user() -> str:
    return subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()


def _end(pids: list[int]) -> None:
    """SIGTERM to all, and SIGKILL to those that are still there after ten seconds."""
    for number, seconds in ((signal.SIGTERM, 10.0), (signal.SIGKILL, 2.0)):
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        try:
            wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids), "their end", seconds)
            return
        except TimeoutError:
            continue


def main() -> None:
    """Start or stop a cluster from a shell."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("action", choices=("up", "down"))
    parser.add_argument("folder", type=Path)
    parser.add_argument(
        "--accounting", action="store_true", help="with slurmdbd on MariaDB, so that sacct works"
    )
    args = parser.parse_args()
    cluster = Cluster(args.folder, args.accounting)
    if args.action == "down":
        cluster.stop()
        return
    if missing := missing_servers(args.accounting):
        parser.error(f"not on the PATH: {missing}")
    cluster.start()
    print(f"{cluster.states()}; now: . '{cluster.folder / 'env.sh'}'")


if __name__ == "__main__":
    main()
