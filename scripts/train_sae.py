"""Train one sparse autoencoder, or several at once, on an activation store.

Writes checkpoint/, training_curve.tsv and evaluation.json into OUTPUT, or with --dictionary into
OUTPUT/NAME of each. A job that was killed continues from state.pt there when the same command is given
again. SIGTERM saves the state and stops. Started by torchrun, the processes share each batch
(torchrun --standalone --nproc-per-node N train_sae.py ...; one GPU a process; not measured on several).
"""

from __future__ import annotations

import argparse

from biosae import cli
from biosae.options import add_recipe, add_run_options, add_runs, given_runs


def main() -> None:
    """Parse, train, write the run."""
    parser = cli.program(__doc__)
    parser.add_argument("--activations", type=cli.existing_path, required=True, help="training store")
    parser.add_argument(
        "--statistics", type=cli.existing_path, required=True, help="statistics.h5 of the training store"
    )
    add_run_options(parser)
    parser.add_argument("--kind", default="topk", help="kind of dictionary")
    add_runs(parser)
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
    runs = given_runs(arguments)

    from biosae.runs import RunInputs, TrainedRun, train_runs

    train_runs(
        RunInputs.open(arguments),
        [TrainedRun(*run) for run in runs],
        arguments.statistics,
        arguments.resume,
        arguments.checkpoint_seconds,
    )


if __name__ == "__main__":
    cli.run(main)
