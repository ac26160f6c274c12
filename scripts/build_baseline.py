"""Build a dictionary that is not trained, as a null to compare trained ones with.

Kind raw takes every channel with both signs as a node: node c is ReLU(+channel c), node channels + c is
ReLU(-channel c), after normalisation; pca and ica do the same with principal and independent components.
Kind random has random directions in the shape of an SAE. Writes the same files as train_sae.py;
training_curve.tsv has one row, at step 0.
"""

from __future__ import annotations

from biosae import cli
from biosae.options import add_baseline, add_run_options, given_shape
from biosae.recipes import PRESETS, recipe_of


def main() -> None:
    """Parse, build, evaluate, write the run."""
    parser = cli.program(__doc__)
    add_baseline(parser)
    parser.add_argument("--activations", type=cli.existing_path, help="training store (all kinds but raw)")
    parser.add_argument(
        "--statistics", type=cli.existing_path, required=True, help="statistics.h5 of the training store"
    )
    add_run_options(parser)
    cli.add_seed(parser)
    parser.add_argument("--preset", choices=sorted(PRESETS), default="default", help="gives the normaliser")
    normalisers = ["standard", "max", "absmax", "none"]
    parser.add_argument(
        "--normaliser", choices=normalisers, help="how channels are scaled; None: the preset's"
    )
    arguments = parser.parse_args()
    given = {"normaliser": arguments.normaliser, "layer_norm": arguments.layer_norm}
    recipe = recipe_of(arguments.preset, given)
    shape = given_shape(arguments, recipe, cli.layer_of(arguments).channels)

    from biosae.baselines import BaselineSettings, build
    from biosae.runs import RunInputs, write_run

    inputs = RunInputs.open(arguments)
    settings = BaselineSettings(
        arguments.components, arguments.sample_positions, **shape, seed=arguments.seed
    )
    vectors = inputs.vectors(arguments.statistics, recipe.normaliser)
    model, note = build(arguments.kind, inputs.store, vectors, settings)
    config = {"normaliser": recipe.normaliser, "role": arguments.kind}
    if arguments.kind != "raw":
        config["sample_positions"] = arguments.sample_positions
    if arguments.kind in ("ica", "random"):
        config["seed"] = arguments.seed
    write_run(inputs, model.to(inputs.device), "build_baseline.py", config, arguments.output, note=note)


if __name__ == "__main__":
    cli.run(main)
