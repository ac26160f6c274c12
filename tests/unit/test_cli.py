"""Exit codes, help texts, layers and progress bars of every program."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from biosae import cli
from biosae.errors import ConfigError

SCRIPTS = Path(cli.__file__).parents[1]


def run_program(body: str, *arguments: str) -> subprocess.CompletedProcess:
    """Run a program whose main() is `body`, in its own process."""
    code = f"from biosae import cli\nfrom biosae.errors import *\ndef main():\n    {body}\ncli.run(main)\n"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(SCRIPTS)},
        check=False,
    )


def test_a_user_error_is_one_line_without_traceback_and_exits_2():
    done = run_program("raise InputError('No such store', where='a b.h5', mend='check it')")
    assert done.returncode == 2
    assert done.stderr == "error: No such store. Where: a b.h5. To mend: check it.\n"
    assert done.stdout == ""


def test_any_other_exception_keeps_its_traceback():
    done = run_program("raise KeyError('a bug')")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "KeyError: 'a bug'" in done.stderr


def test_success_exits_0_and_logs_to_standard_error_only():
    done = run_program("import logging; logging.getLogger('x').info('counted 3'); print('result')")
    assert done.returncode == 0
    assert done.stdout == "result\n"
    assert "INFO counted 3" in done.stderr


def test_help_shows_defaults_and_units(capsys):
    parser = cli.program("Do it.\n\nSecond paragraph.")
    cli.add_seed(parser)
    cli.add_threads(parser)
    cli.add_layer(parser)
    with pytest.raises(SystemExit) as stop:
        parser.parse_args(["--help"])
    text = capsys.readouterr().out
    assert stop.value.code == 0
    assert "(default: 0)" in text
    assert "(default: 1)" in text
    assert "bases between neighbouring positions" in text
    assert "Do it.\n\nSecond paragraph." in text


def test_a_known_layer_needs_its_name_only():
    parser = cli.program("")
    cli.add_layer(parser)
    layer = cli.layer_of(parser.parse_args(["--layer", "conv1d_3"]))
    assert (layer.channels, layer.stride_bp, layer.left_bp, layer.right_bp) == (896, 8, 35, 43)


def test_an_unknown_layer_names_what_is_missing():
    parser = cli.program("")
    cli.add_layer(parser)
    with pytest.raises(ConfigError, match=r"geometry of layer 'mine' is not known.*left_bp"):
        cli.layer_of(parser.parse_args(["--layer", "mine", "--channels", "8"]))


def test_existing_path_refuses_what_is_not_there(tmp_path, capsys):
    parser = cli.program("")
    parser.add_argument("--input", type=cli.existing_path)
    assert parser.parse_args(["--input", str(tmp_path)]).input == tmp_path
    with pytest.raises(SystemExit) as stop:
        parser.parse_args(["--input", str(tmp_path / "no 'file'")])
    assert stop.value.code == 2
    assert "no such file or folder" in capsys.readouterr().err


def test_progress_yields_every_item_and_counts_by_hand(capsys):
    assert list(cli.progress([1, 2, 3], what="rows")) == [1, 2, 3]
    with cli.progress(what="slabs", total=5) as bar:
        bar.update(5)
    assert "slabs: 100%" in capsys.readouterr().err


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_one_paragraph(capsys, number):
    def main():
        raise OSError(number, os.strerror(number), "table.tsv")

    with pytest.raises(SystemExit) as ended:
        cli.run(main)
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("error: The disk is full, or your quota is used up")
    assert "Where: table.tsv." in said
    assert "To mend: make space and give the same command again." in said


def test_another_fault_of_the_system_keeps_its_traceback():
    def main():
        raise OSError(errno.EIO, os.strerror(errno.EIO), "table.tsv")

    with pytest.raises(OSError, match=r"table\.tsv"):
        cli.run(main)
