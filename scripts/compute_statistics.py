"""Compute per-channel statistics of an activation store in one streaming pass."""

from __future__ import annotations

from pathlib import Path

from biosae import cli


def main() -> None:
    """Parse, compute, write ``statistics.h5``."""
    parser = cli.program(__doc__)
    parser.add_argument("--activations", type=cli.existing_path, required=True, help="folder of the store")
    parser.add_argument("--output", type=Path, required=True, help="statistics.h5 to write")
    cli.add_layer(parser)
    cli.add_pad(parser)
    parser.add_argument(
        "--slab-rows",
        type=int,
        default=8192,
        help="rows read at a time, rounded up to a multiple of 256, at most 8,192 (1 MiB where files are "
        "contiguous); bounds memory, changes no result",
    )
    parser.add_argument(
        "--quantiles", type=float, nargs="+", default=[0.01, 0.5, 0.99, 0.999], help="levels in [0, 1]"
    )
    cli.add_seed(parser)
    cli.add_threads(parser)
    arguments = parser.parse_args()
    layer = cli.layer_of(arguments)

    from biosae import artefacts
    from biosae.activations import ActivationStore
    from biosae.statistics import compute_statistics, write_statistics

    store = ActivationStore.open(
        arguments.activations, arguments.pad_bp, layer.channels, layer.stride_bp, layer.name
    )
    stats = compute_statistics(
        store, arguments.quantiles, arguments.slab_rows, arguments.seed, arguments.threads
    )
    settings = {
        "layer": layer.as_dict(),
        "pad_bp": arguments.pad_bp,
        "quantiles": arguments.quantiles,
    }
    made_by = artefacts.provenance("compute_statistics.py", settings, seed=arguments.seed)
    write_statistics(stats, arguments.output, made_by)


if __name__ == "__main__":
    cli.run(main)
