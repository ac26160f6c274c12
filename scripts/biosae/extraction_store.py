"""Planning a store that is extracted: its interval table and ``store.json``, which every file is held to."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, replace
from pathlib import Path

import pandas as pd
import torch

from biosae import artefacts
from biosae.errors import ConfigError, ContractError, InputError
from biosae.extraction_plan import Extraction, count_unknown, plan_rows, plan_windows, read_bed, say_unknown
from biosae.genome import Genome
from biosae.geometry import Layer
from biosae.hosts.host import Host, probe_length
from biosae.hosts.loading import HostSpec, load_host
from biosae.hosts.measured_geometry import Measured, compare, measure
from biosae.hosts.weights import weights_hash

_log = logging.getLogger(__name__)

TABLE, DESCRIPTION = "intervals.tsv", "store.json"
_LONGEST_BP = 65_536  # of an input that a layer is measured on
_PROBE_BP = 4096  # length of the whole pass that looks how often a module runs


def plan_store(spec: HostSpec, intervals: Path, genome_path: Path, output: Path, asked: Extraction) -> None:
    """Check everything that an extraction needs, and write ``intervals.tsv`` and ``store.json``.

    Raises:
        ConfigError: the model cannot be made, or what is asked for makes no sense.
        InputError: weights, intervals or genome are at fault, or the layer's geometry is not the claimed one.
    """
    _refuse_leftovers(output, asked.files)
    genome = Genome(genome_path)
    bed = read_bed(intervals)
    # on the CPU: a plan needs no GPU, and is the same with one
    host = load_host(replace(spec, device="cpu", precision="float32"))
    windows = plan_windows(bed, asked, host.layer, genome, intervals)
    measured = measure(host, min(_LONGEST_BP, int((windows["end"] - windows["start"]).iloc[0])))
    if warning := compare(host.layer, measured, output):
        _log.warning("%s", warning)
    _check_runs_once(host)
    counts = count_unknown(windows, genome)
    say_unknown(counts)
    rows = plan_rows(windows, asked, host.stride_bp)
    settings = {
        "model": _model(spec, host),
        "geometry": _geometry(host.layer, measured),
        "extract": asdict(asked),
    }
    made_by = artefacts.provenance("plan_extraction.py", settings, [intervals, genome_path], asked.seed)
    told = _description(host, windows, rows, asked, settings) | {
        "precision": spec.precision,
        "counts": counts,
        "provenance": made_by,
    }
    artefacts.write_table(rows, output / TABLE, "intervals", made_by)
    artefacts.write_json(output / DESCRIPTION, told)
    _log.info("%d rows in %d files", len(rows), asked.files)


def _description(
    host: Host, windows: pd.DataFrame, rows: pd.DataFrame, asked: Extraction, settings: dict
) -> dict:
    """What ``store.json`` says of model, layer and rows."""
    subsample = {"share": asked.subsample_share, "block": asked.subsample_block, "seed": asked.seed}
    return {
        **settings["model"],
        "layer": host.layer.as_dict(),
        "geometry": settings["geometry"],
        "stride_bp": host.stride_bp,
        "channels": host.layer.channels,
        "window": _window(windows, rows, asked, host.stride_bp),
        "strand": asked.strand,
        "dtype": asked.dtype,
        "assembly": asked.assembly,
        "files": asked.files,
        "subsample": None if asked.subsample_share is None else subsample,
    }


def _refuse_leftovers(output: Path, files: int) -> None:
    """Refuse a folder with files that the plan has not: readers would find rows without an interval."""
    own = {f"activations_{number}.h5" for number in range(files)}
    beyond = sorted(path.name for path in output.glob("activations_*") if path.name not in own)
    if beyond:
        raise InputError(
            "The folder of the store holds files that this plan has not",
            where=output,
            got=beyond,
            expected=f"files 0 to {files - 1}",
            mend="move them away: they were made by another plan",
        )


def _model(spec: HostSpec, host: Host) -> dict:
    weights = spec.weights if spec.weights.startswith("random:") else Path(spec.weights).name
    return {
        "model": spec.factory,
        "arguments": spec.arguments,
        "weights": {"source": weights, "sha256": weights_hash(host.module)},
        "module": host.layer.module,
    }


def _geometry(claimed: Layer, measured: Measured) -> dict:
    keys = ("stride_bp", "left_bp", "right_bp")
    return {"claimed": {key: getattr(claimed, key) for key in keys}, "measured": asdict(measured)}


def _window(windows, rows, asked: Extraction, stride_bp: int) -> dict:
    first = rows.iloc[0]
    return {
        "input_bp": int(first["input_end"] - first["input_start"]),
        "core_bp": int(windows["core_end"].iloc[0] - windows["core_start"].iloc[0]),
        "context_bp": asked.context_bp,
        "keep": asked.keep,
        "positions": int(first["end"] - first["start"]) // stride_bp,
    }


def _check_runs_once(host: Host) -> None:
    """Refuse a module that runs more than once a pass, where a short whole pass shows it."""
    length = probe_length(host.stride_bp, max(_PROBE_BP, 4 * host.layer.window_bp))
    try:
        calls = host.count_calls(torch.zeros(1, 4, length))
    except (RuntimeError, ValueError, AttributeError) as error:
        # a model may refuse short input (Borzoi's crop does) or have no head: then its paths alone tell
        _log.info("a whole pass over %d bp fails (%s): runs of the module were not counted", length, error)
        return
    if calls != 1:
        raise ConfigError(
            f"Module '{host.layer.module}' runs {calls} times in one pass",
            expected="once: else it has no one output",
            mend="name another module",
        )


def read_description(folder: Path) -> dict:
    """``store.json`` of a planned store.

    Raises:
        InputError: it is missing or no JSON object of an extraction.
    """
    path = folder / DESCRIPTION
    try:
        told = json.loads(path.read_text())
        Layer.from_dict(told["layer"])
        return told
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            "A store that shall be extracted has no plan",
            where=path,
            got=error,
            mend="run plan_extraction.py first",
        ) from error


def check_host(host: Host, told: dict, precision: str, where: Path) -> None:
    """Refuse a model other than the one that the store was planned with.

    Raises:
        ContractError: says what differs.
    """
    own = {
        "layer": host.layer.as_dict(),
        "precision": precision,
        "sha256 of weights": weights_hash(host.module),
    }
    planned = {
        "layer": told["layer"],
        "precision": told["precision"],
        "sha256 of weights": told["weights"]["sha256"],
    }
    differ = [key for key in own if own[key] != planned[key]]
    if differ:
        raise ContractError(
            "The model is not the one that this store was planned with",
            where=where,
            got={key: own[key] for key in differ},
            expected={key: planned[key] for key in differ},
            mend="plan the store again, in an empty folder",
        )
