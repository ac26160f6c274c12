"""What the programs that test nodes in the network share: their options, and all inputs opened and
checked."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from biosae import cli
from biosae.errors import ConfigError, ContractError
from biosae.hosts.options import add_host_options, host_spec

if TYPE_CHECKING:
    import numpy as np

    from biosae.causal.passes import Passes
    from biosae.causal.targets import Tracks
    from biosae.dictionary import Dictionary


def add_causal_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that name a run, its network and how windows are fed; ``open_network`` reads them
    back."""
    add = parser.add_argument
    add("--run", type=cli.existing_path, required=True, help="folder of the run")
    add("--genome", type=cli.existing_path, required=True, help="genome FASTA")
    add("--targets", type=cli.existing_path, help="table of output tracks: identifier, description, group")
    add(
        "--input-bp",
        type=int,
        help="bases of a whole pass (left out: the store's sequences and their context)",
    )
    add("--context-bp", type=int, default=0, help="bases that the model saw on each side of a sequence")
    add("--batch", type=int, default=4, help="windows a pass: bounds memory")
    add_host_options(parser)
    cli.add_threads(parser)


@dataclass(frozen=True)
class Network:
    """A run's dictionary and its network, ready to run.

    Attributes:
        passes: host, genome, input length.
        model: the dictionary, on the host's device.
        tracks: names of the outputs.
        notes: of top_activations.parquet.
        inputs: files that were read, for provenance.
        settings: what was decided, for provenance.
    """

    passes: Passes
    model: Dictionary
    tracks: Tracks
    notes: dict
    inputs: list[Path]
    settings: dict

    def windows(self) -> list[tuple[str, int]]:
        """Chromosome and start of the input window of each sequence of the store."""
        import numpy as np

        from biosae.causal.places import window_shift

        stride, positions = self.passes.host.stride_bp, self.notes["positions"]
        middle = np.array([positions // 2 * stride])
        shift = int(window_shift(middle, positions * stride, self.passes.input_bp, stride)[0])
        return [(chrom, start + shift) for chrom, start, *_ in self.notes["intervals"]]

    def track_scale(self) -> np.ndarray:
        """Standard deviation of each track, over windows spread over the store, (tracks,)."""
        from biosae.causal.passes import SCALE_WINDOWS, spread

        return self.passes.track_scale(spread(self.windows(), SCALE_WINDOWS))


def open_network(arguments: argparse.Namespace) -> Network:
    """Load and check everything that the options of ``add_causal_options`` name.

    Raises:
        InputError: a checkpoint of another layer; a table of tracks that does not fit the model.
        ContractError: the run's geometry is not the model's.
        ConfigError: an input length that the model does not take; a batch below 1.
    """
    import torch

    from biosae.causal.passes import Passes
    from biosae.causal.targets import read_tracks
    from biosae.checkpoint import load_checkpoint
    from biosae.genome import Genome
    from biosae.hosts.loading import load_host
    from biosae.top_activations import read_notes

    if arguments.batch < 1:
        raise ConfigError("--batch must be 1 or more", got=arguments.batch)
    torch.set_num_threads(arguments.threads)
    spec = host_spec(arguments)
    model = load_checkpoint(arguments.run / "checkpoint", spec.layer.channels, spec.layer.name)
    notes = read_notes(arguments.run / "top_activations.parquet")
    _check_geometry(notes["layer"], spec.layer.as_dict(), arguments.run)
    genome = Genome(arguments.genome)
    host = load_host(spec)
    input_bp = arguments.input_bp
    if input_bp is None:
        input_bp = notes["positions"] * spec.layer.stride_bp + 2 * arguments.context_bp
    passes = Passes(host, genome, input_bp, arguments.batch)
    tracks = read_tracks(arguments.targets, passes.tracks)
    inputs, settings = _provenance(arguments, input_bp)
    return Network(passes, model.to(host.device), tracks, notes, inputs, settings)


def _provenance(arguments: argparse.Namespace, input_bp: int) -> tuple[list[Path], dict]:
    """Files that were read, and what was decided."""
    said = ("factory", "arguments", "module", "head", "precision")
    settings = {name: getattr(arguments, name) for name in said}
    weights, targets = Path(arguments.weights), arguments.targets
    settings |= {"weights": weights.name, "input_bp": input_bp, "targets": targets and targets.name}
    inputs = [arguments.genome, *([targets] if targets else []), *([weights] if weights.is_file() else [])]
    files = ("checkpoint/model.safetensors", "top_activations.parquet")
    return inputs + [arguments.run / name for name in files], settings


def _check_geometry(of_run: dict, of_model: dict, run: Path) -> None:
    differ = {key: value for key, value in of_run.items() if key != "module" and of_model[key] != value}
    if differ:
        raise ContractError(
            "The run was made on another layer than the model's",
            got=differ,
            expected={key: of_model[key] for key in differ},
            where=run,
            mend="name the layer that the run's activations are of",
        )
