"""Encode an activation store with a checkpoint: top activations (Parquet) and node statistics (TSV)."""

from __future__ import annotations

from pathlib import Path

from biosae import cli


def main() -> None:
    """Parse, encode, write ``top_activations.parquet`` and ``node_stats.tsv``."""
    parser = cli.program(__doc__)
    parser.add_argument("--checkpoint", type=cli.existing_path, required=True, help="RUN/checkpoint")
    parser.add_argument("--activations", type=cli.existing_path, required=True, help="folder of the store")
    parser.add_argument("--output", type=Path, required=True, help="RUN folder to write into")
    parser.add_argument("--top-per-part", type=int, default=8, help="positions kept per node and part")
    parser.add_argument("--parts-per-sequence", type=int, default=4, help="equal parts of a sequence")
    cli.add_pad(parser)
    cli.add_device(parser)
    cli.add_threads(parser)
    arguments = parser.parse_args()

    import torch

    from biosae import artefacts
    from biosae.activations import ActivationStore
    from biosae.checkpoint import load_checkpoint
    from biosae.encoding import encode_store, write_top_activations
    from biosae.geometry import Layer
    from biosae.runs import find_device

    torch.set_num_threads(arguments.threads)
    model = load_checkpoint(arguments.checkpoint).to(find_device(arguments.device))
    layer = Layer.from_dict(model.config.get("layer"))
    store = ActivationStore.open(
        arguments.activations, arguments.pad_bp, layer.channels, layer.stride_bp, layer.name
    )
    settings = {key: getattr(arguments, key) for key in ("top_per_part", "parts_per_sequence")}
    encoded = encode_store(model, store, **settings)
    inputs = sorted(path for path in arguments.checkpoint.iterdir() if path.is_file())
    made_by = artefacts.provenance(
        "encode_activations.py", {**settings, "pad_bp": arguments.pad_bp, "layer": layer.as_dict()}, inputs
    )
    made_by["store"] = store.fingerprint()
    notes = {**settings, "n_nodes": model.n_nodes, "provenance": made_by}
    write_top_activations(arguments.output / "top_activations.parquet", encoded.top, store, layer, notes)
    artefacts.write_table(encoded.stats, arguments.output / "node_stats.tsv", "node_stats", made_by)


if __name__ == "__main__":
    cli.run(main)
