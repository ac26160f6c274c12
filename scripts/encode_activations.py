"""Encode an activation store with a checkpoint: top activations (Parquet) and node statistics (TSV).

With --part I --of N only sequences [I*n/N, (I+1)*n/N) of n are encoded, into encoded/part_I_of_N.h5;
merge_encoded.py makes the two files of all parts, the same as of one job. All parts must be encoded on one
type of device (--device), all with a GPU or all without.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from biosae import cli


def main() -> None:
    """Parse, encode, write ``top_activations.parquet`` and ``node_stats.tsv``, or a part file."""
    parser = cli.program(__doc__)
    parser.add_argument("--checkpoint", type=cli.existing_path, required=True, help="RUN/checkpoint")
    parser.add_argument("--activations", type=cli.existing_path, required=True, help="folder of the store")
    parser.add_argument("--output", type=Path, required=True, help="RUN folder to write into")
    parser.add_argument("--top-per-part", type=int, default=8, help="positions kept per node and part")
    parser.add_argument("--parts-per-sequence", type=int, default=4, help="equal parts of a sequence")
    parser.add_argument("--part", type=int, help="encode only this share of the sequences, from 0")
    parser.add_argument("--of", type=int, help="number of shares")
    cli.add_pad(parser)
    cli.add_device(parser)
    cli.add_threads(parser)
    arguments = parser.parse_args()

    import torch

    from biosae.activations import ActivationStore
    from biosae.checkpoint import load_checkpoint
    from biosae.devices import find_device
    from biosae.encoding import encode_part, encoding_notes, sequence_share, write_encoded
    from biosae.geometry import Layer

    torch.set_num_threads(arguments.threads)
    settings = {"top_per_part": arguments.top_per_part, "parts_per_sequence": arguments.parts_per_sequence}
    model = load_checkpoint(arguments.checkpoint).to(find_device(arguments.device))
    layer = Layer.from_dict(model.config.get("layer"))
    geometry = layer.channels, layer.stride_bp, layer.name
    store = ActivationStore.open(arguments.activations, arguments.pad_bp, *geometry)
    share = sequence_share(store.n_sequences, arguments.part, arguments.of)
    notes = encoding_notes(arguments.checkpoint, store, layer, settings, model.shift.device.type)
    options = {**settings, "sequences": share, "notes": notes}
    if arguments.part is not None:
        path = arguments.output / "encoded" / f"part_{arguments.part}_of_{arguments.of}.h5"
        encode_part(model, store, path, **options)
        return
    arguments.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".encode.", suffix=".tmp", dir=arguments.output) as folder:
        encode_part(model, store, Path(folder) / "part.h5", **options)
        write_encoded([Path(folder) / "part.h5"], arguments.output)


if __name__ == "__main__":
    cli.run(main)
