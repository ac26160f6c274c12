"""Import a best_model.pt of the published SAE on Borzoi (calico/sae-borzoi) as a run.

Their normaliser (x / signed maximum) goes into the checkpoint, from their JSON of maxima or from our
statistics.h5. Their inference leaves out the ReLU of their training; ours always has it, so positions
where fewer than k nodes are positive have zeros where theirs had negative values.
With --validation the run also gets evaluation.json and training_curve.tsv (one row).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from biosae import artefacts, cli
from biosae.options import add_run_options
from biosae.recipes import K_OF


def main() -> None:
    """Parse, convert, write the run."""
    parser = cli.program(__doc__)
    parser.add_argument("--checkpoint", type=cli.existing_path, required=True, help="their best_model.pt")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--statistics-json", type=cli.existing_path, help="their JSON of maxima, by channel")
    source.add_argument("--statistics", type=cli.existing_path, help="our statistics.h5")
    add_run_options(parser, validation_required=False)
    parser.add_argument("--k", type=float, default=0.05, help="active nodes a position (not in their file)")
    parser.add_argument("--k-of", choices=K_OF, default="input_channels", help="what k is counted over")
    arguments = parser.parse_args()

    from biosae.published import published_model, read_maxima
    from biosae.runs import RunInputs, write_run

    inputs = RunInputs.open(arguments)
    channels = inputs.layer.channels
    if arguments.statistics is not None:
        shift, scale = inputs.vectors(arguments.statistics, "max")
    else:
        shift, scale = np.zeros(channels), read_maxima(arguments.statistics_json, channels)
    model = published_model(arguments.checkpoint, shift, scale, channels, arguments.k, arguments.k_of)
    config = {"normaliser": "max", "expansion": model.n_nodes / channels, "k_of": arguments.k_of}
    files = [Path(arguments.checkpoint), Path(arguments.statistics or arguments.statistics_json)]
    config |= {"unit_norm_decoder": False, "imported": [artefacts.fingerprint(path) for path in files]}
    write_run(inputs, model.to(inputs.device), "import_published_checkpoint.py", config, arguments.output)


if __name__ == "__main__":
    cli.run(main)
