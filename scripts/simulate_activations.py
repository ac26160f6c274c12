"""Simulate a genome with planted motifs and the activations of a small network whose detectors are known."""

from __future__ import annotations

from argparse import SUPPRESS, BooleanOptionalAction
from dataclasses import MISSING, Field, fields
from pathlib import Path

from biosae import cli
from biosae.synthetic.settings import SyntheticSettings

STATED = ("channels", "left_bp", "right_bp")


def _option(setting: Field) -> dict:
    """How argparse reads one setting: a switch, a list, or one value."""
    common = {"default": setting.default, "help": setting.metadata["help"]}
    if isinstance(setting.default, bool):
        return {**common, "action": BooleanOptionalAction}
    several = {"nargs": "*"} if isinstance(setting.default, tuple) else {}
    return {**common, **several, "type": setting.metadata["of"]}


def main() -> None:
    """Parse, simulate, write."""
    parser = cli.program(__doc__)
    parser.add_argument(
        "--database", type=cli.existing_path, required=True, help="motif database, MEME format"
    )
    parser.add_argument("--motif-ids", nargs="+", required=True, help="ids of the matrices to plant")
    for setting in fields(SyntheticSettings):
        if setting.default is not MISSING:
            parser.add_argument(f"--{setting.name.replace('_', '-')}", **_option(setting))
    for name in STATED:
        text = "of the layer, as stated elsewhere; refused if the network's is another (default: not checked)"
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=SUPPRESS, help=text)
    parser.add_argument("--output", type=Path, required=True, help="folder to write (replaced whole)")
    arguments = vars(parser.parse_args())
    layer = {name: arguments.pop(name) for name in STATED if name in arguments}
    database, output = arguments.pop("database"), arguments.pop("output")

    import torch

    from biosae.synthetic.simulate import simulate

    torch.set_num_threads(1)  # sums in another order would change the last bits, and so the bytes
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in arguments.items()}
    simulate(SyntheticSettings(**values), database, output, layer)


if __name__ == "__main__":
    cli.run(main)
