"""Train one sparse autoencoder on an activation store.

Writes OUTPUT/checkpoint/, OUTPUT/training_curve.tsv and OUTPUT/evaluation.json. A run that was killed
continues from OUTPUT/state.pt when the same command is given again.
"""

from __future__ import annotations

import argparse

from biosae import cli
from biosae.options import add_recipe, add_run_options, given_recipe


def main() -> None:
    """Parse, train, write the run."""
    parser = cli.program(__doc__)
    parser.add_argument("--activations", type=cli.existing_path, required=True, help="training store")
    parser.add_argument(
        "--statistics", type=cli.existing_path, required=True, help="statistics.h5 of the training store"
    )
    add_run_options(parser)
    parser.add_argument("--kind", choices=["topk"], default="topk", help="kind of dictionary")
    cli.add_seed(parser)
    add_recipe(parser)
    parser.add_argument(
        "--checkpoint-seconds", type=float, default=600.0, help="least seconds between two resume states"
    )
    parser.add_argument(
        "--resume",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="continue from a state.pt in the output folder",
    )
    arguments = parser.parse_args()
    recipe = given_recipe(arguments)

    from biosae.runs import RunInputs, train_run

    inputs = RunInputs.open(arguments)
    train_run(
        inputs, recipe, arguments.statistics, arguments.output, arguments.resume, arguments.checkpoint_seconds
    )


if __name__ == "__main__":
    cli.run(main)
