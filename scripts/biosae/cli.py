"""What every program shares: arguments, logging, progress bars and exit codes."""

from __future__ import annotations

import argparse
import errno
import logging
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from tqdm import tqdm

from biosae.errors import BiosaeError
from biosae.geometry import Layer, find_layer

# OpenMP's threads spin while they wait, which on a shared machine keeps the work they wait for off its core;
# read when PyTorch is loaded, so it must be set before
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

_FULL = (errno.ENOSPC, errno.EDQUOT)
_LOG_BAR_SECONDS = 15.0  # a bar in a log file adds a line this often, on a terminal ten times a second


class _Help(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Show defaults and keep the line breaks of the description."""


def program(description: str) -> argparse.ArgumentParser:
    """A parser whose ``--help`` shows the default of every option."""
    return argparse.ArgumentParser(description=description, formatter_class=_Help)


def add_seed(parser: argparse.ArgumentParser) -> None:
    """Add ``--seed``."""
    parser.add_argument("--seed", type=int, default=0, help="seed of every random choice")


def add_threads(parser: argparse.ArgumentParser) -> None:
    """Add ``--threads``."""
    parser.add_argument("--threads", type=int, default=1, help="number of CPU threads")


def add_layer(parser: argparse.ArgumentParser) -> None:
    """Add the options that name a layer; ``layer_of`` reads them back."""
    parser.add_argument(
        "--layer", default="conv1d_2", help="name of the layer; Borzoi's conv1d_1 to conv1d_5 are known"
    )
    for name, text in (
        ("channels", "number of channels"),
        ("stride-bp", "bases between neighbouring positions"),
        ("left-bp", "bases read before stride*j by position j"),
        ("right-bp", "bases read from stride*j on by position j"),
    ):
        parser.add_argument(f"--{name}", type=int, help=f"{text} (only for a layer that is not known)")


def add_pad(parser: argparse.ArgumentParser) -> None:
    """Add ``--pad-bp``."""
    parser.add_argument(
        "--pad-bp",
        type=int,
        default=0,
        help="bp by which activations reach beyond each listed interval, on each side",
    )


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add ``--device``; ``auto`` is a GPU when there is one, else the CPU."""
    parser.add_argument(
        "--device", choices=("auto", "cpu", "cuda"), default="auto", help="auto: a GPU when there is one"
    )


def layer_of(arguments: argparse.Namespace) -> Layer:
    """The layer named by the options of ``add_layer``."""
    keys = ("channels", "stride_bp", "left_bp", "right_bp")
    return find_layer(arguments.layer, {key: getattr(arguments, key) for key in keys})


def existing_path(text: str) -> Path:
    """An argparse type: a path that must exist."""
    path = Path(text)
    if not path.exists():
        raise argparse.ArgumentTypeError(f"no such file or folder: {path}")
    return path


def progress(items: Iterable | None = None, *, what: str, total: int | None = None, unit: str = "it") -> tqdm:
    """A progress bar on standard error: live on a terminal, a line now and then in a log file."""
    live = sys.stderr.isatty()
    return tqdm(
        items,
        desc=what,
        total=total,
        unit=unit,
        unit_scale=True,
        mininterval=0.1 if live else _LOG_BAR_SECONDS,
        ascii=not live,
        dynamic_ncols=live,
    )


def run(main: Callable[[], None]) -> None:
    """Run a program: a BiosaeError prints one paragraph and exits 2, anything else is a bug."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    try:
        main()
    except BiosaeError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        if error.errno not in _FULL:
            raise
        print(f"error: {_disk_is_full(error)}", file=sys.stderr)
        sys.exit(2)


def _disk_is_full(error: OSError) -> BiosaeError:
    return BiosaeError(
        "The disk is full, or your quota is used up; outputs that exist are whole",
        where=error.filename,
        got=error.strerror,
        mend="make space and give the same command again",
    )
