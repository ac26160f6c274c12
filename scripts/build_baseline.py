"""Build a dictionary that is not trained, as a null to compare trained ones with.

Kind raw takes every channel with both signs as a node: node c is ReLU(+channel c), node channels + c is
ReLU(-channel c), after normalisation. Writes the same files as train_sae.py; training_curve.tsv has one
row, at step 0.
"""

from __future__ import annotations

from biosae import cli
from biosae.options import add_run_options
from biosae.recipes import PRESETS, recipe_of

_NOTE = "Both signs of every channel reconstruct the input: fvu is 0 by construction and proves nothing."


def main() -> None:
    """Parse, build, evaluate, write the run."""
    parser = cli.program(__doc__)
    parser.add_argument("--kind", choices=["raw"], default="raw", help="kind of baseline")
    parser.add_argument(
        "--activations", type=cli.existing_path, help="training store, for its fingerprint only"
    )
    parser.add_argument(
        "--statistics", type=cli.existing_path, required=True, help="statistics.h5 of the training store"
    )
    add_run_options(parser)
    parser.add_argument("--preset", choices=sorted(PRESETS), default="default", help="gives the normaliser")
    normalisers = ["standard", "max", "absmax", "none"]
    parser.add_argument(
        "--normaliser", choices=normalisers, help="how channels are scaled; None: the preset's"
    )
    arguments = parser.parse_args()
    normaliser = recipe_of(arguments.preset, {"normaliser": arguments.normaliser}).normaliser

    from biosae.model import RawChannels
    from biosae.runs import RunInputs, write_run

    inputs = RunInputs.open(arguments)
    shift, scale = inputs.vectors(arguments.statistics, normaliser)
    model = RawChannels(inputs.layer.channels, shift, scale).to(inputs.device)
    write_run(inputs, model, "build_baseline.py", {"normaliser": normaliser}, arguments.output, note=_NOTE)


if __name__ == "__main__":
    cli.run(main)
