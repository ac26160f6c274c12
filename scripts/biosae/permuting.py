"""A store whose positions mean nothing: each channel of each sequence permuted on its own.

Every channel keeps its values, so that its distribution is what it was, sequence by sequence. What goes is
which channels fire together and where on the sequence they fire. A dictionary trained and encoded on it can
find neither features of the network nor motifs: its named nodes are chance.

Floor: the bytes of the sequences read once and written once, and a random order a channel and sequence.
Memory: three copies of one sequence.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import h5py
import numpy as np

from biosae import artefacts
from biosae.activations import ActivationStore
from biosae.cli import progress
from biosae.errors import ConfigError, InputError
from biosae.store_files import new_hdf5
from biosae.store_types import bfloat16_type, memory_type

_PROGRAM = "permute_activations.py"
LEAST_SEQUENCES = 2  # of one alone no statement about others can be made


def permute_sequence(rows: np.ndarray, sequence: int, seed: int) -> np.ndarray:
    """``rows`` (positions, channels) with the positions of each channel in an order of its own.

    Args:
        rows: any type; not changed.
        sequence, seed: with the channel's number they fix the order, whatever else is permuted.
    """
    columns = np.ascontiguousarray(rows.T)
    for channel, column in enumerate(columns):
        np.random.default_rng([seed, sequence, channel]).shuffle(column)
    return np.ascontiguousarray(columns.T)


def spread_sequences(n_sequences: int, positions: int, wanted: int, least: int) -> np.ndarray:
    """Numbers of sequences spread evenly over a store, for ``wanted`` positions and ``least`` sequences.

    All of them where the store holds fewer; int64, increasing.
    """
    count = min(n_sequences, max(-(-wanted // positions), least))
    return np.arange(count, dtype=np.int64) * n_sequences // count


def permute_store(
    store: ActivationStore, output: str | Path, positions: int, seed: int = 0, least: int = LEAST_SEQUENCES
) -> None:
    """Write ``output``: a store of whole sequences of ``store``, permuted; one file and ``intervals.tsv``.

    A sequence keeps its interval and its order in every channel depends on its number in ``store``, the
    channel and the seed alone.

    Args:
        positions: sequences are taken, spread evenly, until so many positions are reached.
        least: sequences at least, as far as the store has them.

    Raises:
        ConfigError: nothing to take, or the output is the store itself.
        InputError: the store cannot be read, has one position a sequence, or the disk is too small.
    """
    output = Path(output)
    if positions < 1 or least < 1 or output.resolve() == store.folder.resolve():
        raise ConfigError(
            "A permuted store needs positions and sequences, and a folder of its own",
            got={"positions": positions, "least": least, "output": output},
        )
    if store.positions < 2:
        raise InputError(
            "A store with one position a sequence cannot be permuted within sequences", where=store.folder
        )
    chosen = spread_sequences(store.n_sequences, store.positions, positions, least)
    needed, place = len(chosen) * store.positions * store.row_bytes, output.parent
    place.mkdir(parents=True, exist_ok=True)
    if (free := shutil.disk_usage(place).free) < needed:
        got, expected = f"{free / 1e9:.1f} GB free", f"{needed / 1e9:.1f} GB"
        problem = "The disk is too small for the permuted store"
        raise InputError(problem, where=output, got=got, expected=expected)
    with artefacts.atomic_directory(output) as temporary:
        _write_sequences(store, chosen, temporary / "activations_0.h5", seed)
        _write_intervals(store, chosen, temporary / "intervals.tsv", seed)


def _write_sequences(store: ActivationStore, chosen: np.ndarray, path: Path, seed: int) -> None:
    kind = h5py.Datatype(bfloat16_type()) if store.dtype == "bfloat16" else store.raw_dtype.newbyteorder("<")
    raw = np.empty((store.positions, store.channels), store.raw_dtype)
    space = h5py.h5s.create_simple(raw.shape)
    with new_hdf5(path, path) as handle:
        data = handle.create_dataset("activations", (len(chosen), *raw.shape), kind).id
        for row, sequence in enumerate(progress(chosen, what="permute", unit="sequence")):
            mixed = permute_sequence(store.read_into(int(sequence), 0, raw), int(sequence), seed)
            into = data.get_space()
            into.select_hyperslab((row, 0, 0), (1, *raw.shape))
            data.write(space, into, mixed, mtype=memory_type(store.dtype))


def _write_intervals(store: ActivationStore, chosen: np.ndarray, path: Path, seed: int) -> None:
    table = store.intervals.iloc[chosen][["chrom", "start", "end"]].reset_index(drop=True)
    table["file"], table["row"] = 0, range(len(table))
    settings = {"store": store.fingerprint(), "sequences": len(chosen), "of_sequences": store.n_sequences}
    artefacts.write_json(f"{path}.json", artefacts.provenance(_PROGRAM, settings, seed=seed))
    artefacts.write_text(path, table.to_csv(sep="\t", index=False, lineterminator="\n"))
